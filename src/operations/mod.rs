//! Operations: health, metrics, periodic upkeep, and the reports for operators, auditors and
//! finance (balances, purchases, exceptions, explanations, and the verification of ledger and
//! seals).

pub mod activity;
pub mod balances;
pub mod exceptions;
pub mod explain;
pub mod health;
pub mod loss;
pub mod metrics;
pub mod purchase_texts;
pub mod purchases;
mod text_table;
pub mod upkeep;
mod verify;

pub use self::verify::{Counts, RowFinding, VerificationReport, verify};
