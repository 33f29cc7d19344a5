//! Messages in the format of each issuer, with its signature.

pub(crate) mod issuer_record;
pub(crate) mod stripe;
