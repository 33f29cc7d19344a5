//! What finance closes: a day's seal over the ledger.

mod seal;

pub use self::seal::{DailySeals, seal};
