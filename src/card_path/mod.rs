//! The card path: from an issuer's bytes to a durable decision, and through the later life of the
//! purchase.

pub mod authorise;
pub mod committer;
pub mod error;
pub mod lifecycle;
