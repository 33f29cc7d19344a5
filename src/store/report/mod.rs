//! Read-only queries: reports, activity, and the rows that prove the ledger.

pub(super) mod activity;
pub(super) mod proof;
pub(super) mod reports;
