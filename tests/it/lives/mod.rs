//! Lives of purchases from a table, each played in every order: see `tests/fixtures/lives.md`.
//!
//! A new issuer adds a column to the table, an [`IssuerVocabulary`] that encodes it, and a line in
//! [`play_columns!`].

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

use sayso::issuers::Issuer;

use changes::CHANGES;
use message::IssuerVocabulary;
use play::play_all_orders;
use stripe::STRIPE;
use table::{Life, lives};
use written::play_as_written;

use crate::support::TestDatabase;

/// Declares the two tests of each column, and lists the columns that have them.
macro_rules! play_columns {
    ($($vocabulary:ident: $in_order:ident, $in_any_order:ident;)+) => {
        const PLAYED: &[&IssuerVocabulary] = &[$(&$vocabulary),+];

        on_both_databases!($($in_order, $in_any_order),+);

        $(
            async fn $in_order(database: TestDatabase) {
                play_as_written(database, &$vocabulary, lives()).await;
            }

            async fn $in_any_order(database: TestDatabase) {
                play_all_orders(database, &$vocabulary, lives()).await;
            }
        )+
    };
}

play_columns! {
    STRIPE: what_stripe_sends_in_order_ends_as_the_line_says,
        any_order_of_what_stripe_sends_ends_as_the_line_says;
    CHANGES: changes_in_order_end_as_the_line_says, any_order_of_changes_ends_as_the_line_says;
}

#[test]
fn every_issuer_has_a_column_that_is_played() {
    for issuer in Issuer::ALL {
        let column = PLAYED.iter().find(|vocabulary| vocabulary.issuer == Some(*issuer));
        let column = column.unwrap_or_else(|| panic!("{issuer:?} has no column in lives.md"));
        let is_told = |life: &Life| life.script(column.title).is_some();
        assert!(lives().iter().any(is_told), "{issuer:?} tells no life");
    }
}
