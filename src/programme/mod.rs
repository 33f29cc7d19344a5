//! Programmes: one organisation's people, streams, agreed lists and links to card issuers.

pub mod file;
