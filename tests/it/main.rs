//! The integration tests, in one binary, because it links only once.

// `cfg(test)` tells clippy that the helpers below are test code too.
#[cfg(test)]
#[macro_use] // `on_both_databases!`
mod support;
#[cfg(test)]
mod agreements;
#[cfg(test)]
mod api;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod caller;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod days;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod file_fields;
#[cfg(test)]
mod http;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod programme_text;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod shops;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod values;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod world;
