//! The issuers' JSON exactly as sent: serde types and nothing else.

pub mod stripe;
