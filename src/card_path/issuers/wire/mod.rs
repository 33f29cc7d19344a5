//! The issuers' JSON exactly as they spell it: serde and nothing else.

pub mod stripe;
