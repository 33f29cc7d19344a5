//! What operators and finance need to know: health, counts, balances, exceptions, and why.

pub mod balances;
pub mod exceptions;
pub mod explain;
pub mod health;
pub mod metrics;
mod table;
