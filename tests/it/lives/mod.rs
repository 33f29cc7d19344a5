//! Lives of purchases from a table, each played in every order: see `tests/fixtures/lives.md`.
//!
//! A new issuer adds a column to the table, and an [`IssuerVocabulary`] that encodes it.

mod changes;
mod ends;
mod life_script;
mod message;
mod orders;
mod play;
mod stripe;
mod table;
mod town;
mod words;
mod written;

use changes::CHANGES;
use play::play_all_orders;
use stripe::STRIPE;
use table::lives;
use written::play_as_written;

use crate::support::TestDatabase;

on_both_databases!(
    what_stripe_sends_in_order_ends_as_the_line_says,
    changes_in_order_end_as_the_line_says,
    any_order_of_what_stripe_sends_ends_as_the_line_says,
    any_order_of_changes_ends_as_the_line_says,
);

async fn any_order_of_what_stripe_sends_ends_as_the_line_says(database: TestDatabase) {
    play_all_orders(database, &STRIPE, lives()).await;
}

async fn any_order_of_changes_ends_as_the_line_says(database: TestDatabase) {
    play_all_orders(database, &CHANGES, lives()).await;
}

async fn what_stripe_sends_in_order_ends_as_the_line_says(database: TestDatabase) {
    play_as_written(database, &STRIPE, lives()).await;
}

async fn changes_in_order_end_as_the_line_says(database: TestDatabase) {
    play_as_written(database, &CHANGES, lives()).await;
}
