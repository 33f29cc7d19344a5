//! Platform services: settings, time, identifiers, encryption, failpoints.

pub mod clock;
pub mod config;
pub mod crash;
pub mod encryption;
pub mod ids;
