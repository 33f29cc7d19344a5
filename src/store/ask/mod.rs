//! Rows of asks and appeals.

pub(super) mod appeals;
pub(super) mod asks;
