//! Rows of cards: states, the budget that a card belongs to, pauses, custody.

pub(super) mod budget_cache;
pub(super) mod cards;
pub(super) mod pauses;
pub(super) mod safety;
