//! The rooms that do no I/O.

pub mod domain;
pub mod ledger;
pub mod merchant_rules;
