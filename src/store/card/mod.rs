//! Rows of cards: owners, pauses, custody.

pub(super) mod owners;
pub(super) mod pauses;
pub(super) mod safety;
