//! Use cases of people: agreements, asks, cards, pots and helpers, and the access checks and tokens
//! of accounts.

mod admitted_budget;
pub mod agreements;
pub mod asks;
pub mod cards;
pub mod delegation;
pub mod members;
pub mod pots;
pub mod tokens;
