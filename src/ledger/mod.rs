//! Double-entry ledger: the transfers of each event, and the hash chain that proves them. Pure.

#![warn(clippy::arithmetic_side_effects)]

pub mod account;
pub mod book;
pub mod posting;
pub mod postings;
pub mod record;
pub mod seal;
