//! Rows of purchases: locked books read and written in batches, history, expiry.

pub(super) mod books;
pub(super) mod close;
pub(super) mod history;
pub(super) mod message_threads;
pub(super) mod upkeep;
