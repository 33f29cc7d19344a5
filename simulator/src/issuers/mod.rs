//! Messages as each issuer spells and signs them.

pub(crate) mod stripe;
