//! Rows of people and accounts: members, tokens, acts, inbox, queues, idempotency keys.

pub(super) mod acts;
pub(super) mod idempotency;
pub(super) mod inbox;
pub(super) mod members;
pub(super) mod persons;
pub(super) mod queues;
pub(super) mod tokens;
