//! What operators, auditors and finance need to know: health, counts, balances, exceptions, why a
//! decision was made, the proof of the ledger, and seals.

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
