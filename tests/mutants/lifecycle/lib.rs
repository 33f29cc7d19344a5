//! The gateway with the tests of what happens to a purchase after it was approved, as one crate.

#[cfg(test)]
extern crate self as sayso;

#[cfg(test)]
#[macro_use] // `on_both_databases!`
#[path = "../tests/it/support.rs"]
mod support;

pub mod app;
pub mod card_path;
pub mod domain;
pub mod finance;
pub mod issuers;
pub mod ledger;
pub mod merchant_rules;
pub mod messages;
pub mod operations;
pub mod people;
pub mod platform;
pub mod programme;
pub mod store;
pub mod web;

#[cfg(test)]
#[path = "../tests/it/caller.rs"]
mod caller;
#[cfg(test)]
#[path = "../tests/it/lives/mod.rs"]
mod lives;
#[cfg(test)]
#[path = "../tests/it/programme_text.rs"]
mod programme_text;
#[cfg(test)]
#[path = "../tests/it/scenarios"]
mod scenarios {
    mod claims;
    mod disputes;
    pub(crate) mod gateway;
    mod heard;
    mod holds;
    mod links;
    mod lives;
    mod margins;
    mod money;
    mod repeats;
    mod stages;
    mod told;
    mod upkeep;
}
#[cfg(test)]
#[path = "../tests/it/values.rs"]
mod values;
#[cfg(test)]
#[path = "../tests/it/world.rs"]
mod world;
