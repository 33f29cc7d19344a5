//! People and accounts: states, roles and capabilities, recipients of messages, and signals.

pub mod person;
pub mod recipient;
pub mod role;
pub mod signal;
