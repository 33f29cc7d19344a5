//! Rows of pots and of the counters of limits.

pub(super) mod counters;
pub(super) mod pots;
