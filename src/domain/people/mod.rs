//! People and accounts: who they are, what each may do, and whom a message is for.

pub mod person;
pub mod recipient;
pub mod role;
pub mod signal;
