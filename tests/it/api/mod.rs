//! The JSON API, over real HTTP.

mod accounts;
mod document;
mod people;
mod requests;
mod roles;
pub(crate) mod town;
