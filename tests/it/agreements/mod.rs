//! The life of an agreement, through the use cases, on both databases.

mod again;
mod any_moves;
mod at_once;
mod bounds;
mod counting;
mod files;
pub(crate) mod fixture;
mod forced;
mod moves;
mod over_http;
mod own;
mod paused_cards;
mod probes;
mod who;
mod words;
