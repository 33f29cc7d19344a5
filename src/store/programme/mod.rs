//! Rows of programmes and of files under way.

pub(super) mod applications;
pub(super) mod budgets;
pub(super) mod connections;
pub(super) mod programmes;
