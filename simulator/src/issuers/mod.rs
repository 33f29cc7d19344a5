//! Messages as each issuer spells and signs them.

pub(crate) mod file;
pub(crate) mod stripe;
