//! The JSON API, over real HTTP.

mod accounts;
mod activity;
mod document;
mod people;
mod purchases;
mod requests;
mod roles;
pub(crate) mod town;
