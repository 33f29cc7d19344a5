//! Messages as each issuer spells and signs them.

pub(crate) mod issuer_record;
pub(crate) mod stripe;
