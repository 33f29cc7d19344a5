//! What operators and auditors run: the proof of the ledger, and seals.

mod seal;
mod verify;

pub use self::seal::seal;
pub use self::verify::{Counts, Finding, Proof, verify};
