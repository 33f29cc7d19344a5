//! Programmes: their files, how a file is applied, and their in-memory cache.

mod accounts;
pub mod apply;
pub mod card_pause;
pub mod directory;
pub mod file;
mod file_messages;
mod filed_state;
pub mod forced_change;
pub mod proposal_conflicts;
pub mod show;
pub mod version;
