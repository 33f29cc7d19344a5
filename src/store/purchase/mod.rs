//! Rows of purchases: locked books read and written in batches, history, expiry, messages.

pub(super) mod books;
pub(super) mod close;
pub(super) mod history;
pub(super) mod messages;
pub(super) mod upkeep;
pub(super) mod withdrawals;
