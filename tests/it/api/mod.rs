//! The JSON API, over real HTTP.

mod requests;
