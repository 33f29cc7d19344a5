//! Texts for people.

pub mod words;
