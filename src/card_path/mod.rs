//! The card path: from an issuer's bytes to a durable decision, and on to the end of the purchase.

pub mod authorise;
pub mod committer;
pub mod issuers;
pub mod lifecycle;
