//! People and what they agree: use cases of agreements, asks, cards, pots and helpers, and who may act.

pub mod agreements;
pub mod asks;
pub mod cards;
pub mod delegation;
pub mod members;
pub mod pots;
pub mod tokens;
