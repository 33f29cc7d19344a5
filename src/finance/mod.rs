//! Finance: the daily seal of the ledger.

mod seal;

pub use self::seal::{DailySeals, seal};
