//! The JSON API, over real HTTP.

mod accounts;
mod activity;
mod bounds;
mod could_pay;
mod document;
mod people;
mod purchases;
mod requests;
mod roles;
pub(crate) mod town;
