//! The integration tests of what happens to a purchase after it was approved.

#[macro_use] // `on_both_databases!`
mod support;
mod caller;
mod lives;
mod programme_text;
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
mod values;
mod world;
