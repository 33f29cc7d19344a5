//! What people are told.

pub mod words;
