//! Programmes: their files, how a file is applied, and what is kept of them in memory.

mod accounts;
mod added;
pub mod apply;
pub mod directory;
pub mod file;
pub mod forced;
mod listed;
pub mod pausing;
pub mod proposing;
pub mod rules;
pub mod show;
pub mod version;
