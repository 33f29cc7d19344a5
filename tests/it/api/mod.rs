//! The JSON API, over real HTTP.

mod accounts;
mod requests;
