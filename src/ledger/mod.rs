//! Double entry: what each event moves, and the chain that proves it. Pure.

#![warn(clippy::arithmetic_side_effects)]

pub mod account;
pub mod book;
pub mod posting;
pub mod postings;
pub mod record;
pub mod seal;
