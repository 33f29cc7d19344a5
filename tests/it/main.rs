//! The integration tests: one binary, so that it links once.

// `cfg(test)` lets clippy see that the helpers below are test code too.
#[cfg(test)]
#[macro_use] // `on_both_databases!`
mod support;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod values;
