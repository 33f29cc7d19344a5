//! What a decision reads is bounded, whether there are ten people or a million.

use sayso::store::{Connections, Store};

use crate::support::TestDatabase;

on_both_databases!(no_statement_walks_through_a_programme);

/// Rows are looked up by a key that says more than the programme. SQLite plans without figures, and
/// a connection of ours on PostgreSQL may do nothing but look up: so the plans on empty tables are
/// the plans for ever.
async fn no_statement_walks_through_a_programme(database: TestDatabase) {
    let store = Store::open(&database.url, Connections::default()).await.unwrap();
    let plans = store.plans().await.unwrap();
    assert!(plans.len() > 10);
    let has = |listed: &str| plans.iter().any(|plan| plan.statement == listed);
    for listed in ["questions", "first_links", "transfers", "matters", "links", "decisions_with"] {
        assert!(has(listed), "{listed}");
    }
    let plans_without_figures = store.dialect() == sayso::store::Dialect::Sqlite;
    for listed in ["inbox_of_staff", "inbox_of_person"] {
        assert_eq!(has(listed), plans_without_figures, "{listed}");
    }
    for plan in plans {
        assert_eq!(plan.walk(store.dialect()), None, "{plan:#?}");
    }
    store.close().await;
}
