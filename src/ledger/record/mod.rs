//! What is stored for ever, and how: the rows of facts, decisions, purchases and postings.
//!
//! The domain knows nothing of storage and the store knows nothing of meaning; this module turns
//! one into the other. A row's [digest](row::Digest) covers its values in a canonical form, so
//! that the ledger's chain can vouch for it.

pub mod agreement;
pub mod answer;
pub mod decision;
mod dispute;
pub mod event;
pub mod facts;
pub mod message_parameters;
pub mod own_pot;
pub mod proposal;
pub mod purchase;
mod purchase_extra;
pub mod reason;
pub mod row;
pub mod uses;
