//! The integration tests: one binary, so that it links once.

// `cfg(test)` lets clippy see that the helpers below are test code too.
#[cfg(test)]
mod issuers;
