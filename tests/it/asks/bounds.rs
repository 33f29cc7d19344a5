//! The lookup of a refused purchase is bounded, however many messages a person has.

use sayso::domain::ask::GrantScope;
use sayso::people::asks::{AskRequest, AskTarget};
use sayso::people::members::UseCaseError;

use super::town::{AskFixture, latest};
use crate::support::TestDatabase;

on_both_databases!(a_decision_that_never_was_makes_nobody_search);

/// The message about a decision directly follows it in id order, so only that place is searched.
async fn a_decision_that_never_was_makes_nobody_search(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("A1").await;
    let sql = "SELECT subject FROM message WHERE kind = 'not_paid'";
    let real = town.world.database.rows(sql).await[0][0].clone();
    let (never, last) = (format!("dec_{}", "0".repeat(32)), format!("msg_{}", "f".repeat(32)));
    let sql = format!(
        "INSERT INTO message (programme_id, message_id, budget_id, kind, subject, body, \
         created_at, recipient, facts) SELECT programme_id, '{last}', budget_id, kind, '{never}', \
         body, created_at, recipient, facts FROM message WHERE kind = 'not_paid'"
    );
    town.world.database.rows(&sql).await;
    let about = |decision: &str| {
        let about =
            AskTarget::Decline { decision: decision.parse().ok(), reach: GrantScope::Place };
        AskRequest { about, ..latest(GrantScope::Place) }
    };
    let searched = town.try_authorise("dee", &about(&never)).await;
    assert!(matches!(searched, Err(UseCaseError::NotFound("purchase"))), "{searched:?}");
    assert!(town.try_authorise("dee", &about(&real)).await.is_ok());
    town.world.check().await;
}
