//! What the machine gives: configuration, time, identifiers, encryption.

pub mod clock;
pub mod config;
pub mod crash;
pub mod encryption;
pub mod ids;
