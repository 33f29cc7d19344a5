//! The stored form of facts, decisions, purchases and postings as rows.
//!
//! The domain does not know how it is stored, and the store does not interpret what it stores; this
//! module converts between them. A row's [digest](row::Digest) covers its values in a canonical
//! form, so that the ledger's hash chain can prove that the row is unchanged.

pub mod agreement;
pub mod answer;
pub mod column;
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
pub mod table;
pub mod uses;
