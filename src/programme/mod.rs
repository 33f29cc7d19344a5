//! Programmes: their files, how a file is applied, and their in-memory cache.

mod accounts;
pub mod apply;
pub mod card_pause;
pub mod directory;
pub mod file;
mod filed_state;
pub mod forced_change;
mod load_message;
pub mod proposal_conflicts;
pub mod rules;
pub mod show;
pub mod version;
