//! Rows of pots, of the counters of limits, and of permissions.

pub(super) mod counters;
pub(super) mod permissions;
pub(super) mod pots;
