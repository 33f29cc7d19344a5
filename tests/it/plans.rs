//! The cost of a decision's reads is bounded, whether there are ten people or a million.

use sayso::store::Dialect;

use crate::support::TestDatabase;

on_both_databases!(no_statement_walks_through_a_programme);

/// Rows are looked up by a key that is more selective than the programme. SQLite plans without
/// statistics, and the gateway's connections on PostgreSQL may use index lookups only, so the plans
/// on empty tables are those of every database.
async fn no_statement_walks_through_a_programme(database: TestDatabase) {
    let store = database.store().await;
    let plans = store.plans().await.unwrap();
    assert!(plans.len() > 10);
    for listed in [
        "decisions_of_purchases",
        "first_links",
        "transfers",
        "message_threads",
        "links",
        "inbox_of_staff",
        "decisions_with",
        "decision_called",
        "purchase_called",
        "messages_about",
        "cards_of_budget",
    ] {
        assert!(plans.iter().any(|plan| plan.statement == listed), "{listed}");
    }
    for plan in plans {
        // PostgreSQL plans the inbox by its statistics. Decisions do not read it.
        if plan.statement.starts_with("inbox") && store.dialect() == Dialect::Postgres {
            continue;
        }
        assert_eq!(plan.full_scan(store.dialect()), None, "{plan:#?}");
    }
    store.close().await;
}
