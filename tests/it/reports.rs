//! What operators and finance can read: balances, exceptions and explanations.

use jiff::ToSpan as _;
use sayso::ledger::record::decision::DecisionOutcome;
use sayso::operations::balances::Balances;
use sayso::operations::exceptions;
use sayso::operations::explain::{ExplainError, Replay, explain};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _};

use crate::support::TestDatabase;
use crate::world::{World, purchase};

on_both_databases!(
    balances_are_told_by_pot_person_and_programme,
    a_decision_is_explained_by_any_of_its_names,
    a_decision_that_does_not_replay_is_noticed,
    what_the_books_cannot_explain_is_listed,
);

async fn balances_are_told_by_pot_person_and_programme(database: TestDatabase) {
    let world = World::open(database).await;
    assert!(world.authorise(&purchase("Held", 12_50)).await.is_approved());
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    let programme = &balances.to_json()["programmes"][0];
    let people: Vec<_> =
        programme["people"].as_array().unwrap().iter().map(|p| p["person"].clone()).collect();
    assert_eq!(people, ["ana", "dee", "femi"]);
    let dee = &programme["people"][1];
    let pots: Vec<_> =
        dee["pots"].as_array().unwrap().iter().map(|pot| pot["pot"].clone()).collect();
    assert_eq!(pots, ["pets", "moving-in", "week", "emergency"], "in the order of the agreement");
    let total =
        json!([dee["loaded_minor"], dee["held_minor"], dee["spent_minor"], dee["left_minor"]]);
    assert_eq!(total, json!([273_90, 12_50, 0, 261_40]));
    assert_eq!(
        dee["pots"][2],
        json!({
            "pot": "week", "allocated_minor": 3120_00, "loaded_minor": 63_90, "held_minor": 12_50,
            "spent_minor": 0, "left_minor": 51_40,
        })
    );
    assert_eq!(
        (&programme["programme"], &programme["currency"]),
        (&json!("riverside"), &json!("GBP"))
    );
    let text = balances.to_string();
    assert!(text.contains("dee     (all)        3510.00  273.90  12.50   0.00  261.40"), "{text}");
    assert!(text.ends_with("exposure 0.00, suspense 0.00, disputed 0.00\n"), "{text}");

    // A capture above the balance, and a refund without a purchase.
    world.send_event(&purchase("Forced", 0).forced(world.now(), "ipi_1Forced", 400_00)).await;
    let unlinked = purchase("Back", 0).refunded_unlinked(world.now(), "ipi_1Back", 7_00);
    world.send_event(&unlinked).await;
    let (exposure, suspense) = world.exposure_and_suspense().await;
    assert!(exposure > 0, "{exposure}");
    assert_eq!(suspense, 7_00);
    world.check().await;
}

async fn a_decision_is_explained_by_any_of_its_names(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Bought", 12_50);
    let answer = world.authorise(&bought).await;
    assert!(answer.is_approved());
    let (store, directory) = (world.app.store(), world.app.directory());
    let by_decision = explain(store, directory, &answer.decision()).await.unwrap();
    for name in [bought.id.clone(), format!("{}/0", bought.id)] {
        assert_eq!(explain(store, directory, &name).await.unwrap(), by_decision, "{name}");
    }
    let [explained] = by_decision.as_slice() else { panic!("{by_decision:?}") };
    assert_eq!(explained.replay, Replay::Same);
    assert_eq!(explained.outcome, DecisionOutcome::Approved(explained.asked));
    assert_eq!((explained.person.as_str(), explained.place.as_str()), ("dee", "TEST GROCER 123"));
    assert_eq!(explained.parts[0].pot.as_str(), "week");
    assert_eq!(explained.person_text, "£12.50 at TEST GROCER 123, from your week.");
    assert_eq!((explained.next_text.as_ref(), explained.messages.len()), (None, 0));
    let worker_and_finance = [&explained.worker_text, &explained.finance_text];
    assert!(worker_and_finance.iter().all(|text| !text.contains("GROCER")));

    let mut refused = purchase("Refused", 5_00);
    refused.currency = "eur".to_owned();
    assert_eq!(world.authorise(&refused).await.reason(), "other_currency");
    let explained = explain(store, directory, &refused.id).await.unwrap();
    assert_eq!(explained[0].replay, Replay::Same);
    assert!(explained[0].next_text.is_some());
    assert_eq!(explained[0].to_json()["reasons"], json!(["other_currency"]));
    assert!(explained[0].to_string().contains("declined (other_currency)"));

    let mut unknown = purchase("Unknown", 5_00);
    unknown.card = "ic_1Nobody".to_owned();
    assert_eq!(world.authorise(&unknown).await.reason(), "unknown_card");
    let explained = explain(store, directory, &unknown.id).await.unwrap();
    assert_eq!(explained[0].replay, Replay::Same);
    assert_eq!(explained[0].to_json()["person"], json!(null));

    let none = explain(store, directory, "iauth_1Never").await;
    assert!(matches!(none, Err(ExplainError::NotFound(_))), "{none:?}");
    world.check().await;
}

async fn a_decision_that_does_not_replay_is_noticed(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Bought", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    let mut connection = AnyConnection::connect(&world.database.url).await.unwrap();
    let changes = [
        ("UPDATE decision SET approved_minor = 1249", "recorded as approved 12.49 GBP"),
        ("UPDATE decision SET question = REPLACE(question, '1250', '1251')", "question"),
    ];
    for (sql, expected) in changes {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        let explained =
            explain(world.app.store(), world.app.directory(), &bought.id).await.unwrap();
        let Replay::Differs(difference) = &explained[0].replay else { panic!("{explained:?}") };
        assert!(difference.contains(expected), "{difference}");
        assert!(explained[0].to_string().contains("DIFFERENT"));
    }
    world.app.stop().await;
}

async fn what_the_books_cannot_explain_is_listed(database: TestDatabase) {
    let world = World::open(database).await;
    let store = world.app.store();
    assert_eq!(store.exceptions(10).await.unwrap(), Vec::new());
    assert_eq!(exceptions::text(&[], world.now()), "");
    world.send_event(&purchase("Forced", 0).forced(world.now(), "ipi_1Forced", 3_00)).await;
    world.advance_clock(26.hours());
    let found = store.exceptions(10).await.unwrap();
    let [exception] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (exception.kind.as_str(), exception.budget_id.as_str()),
        ("capture_without_question", "dee")
    );
    let text = exceptions::text(&found, world.now());
    assert!(text.lines().nth(1).unwrap().starts_with("1 d  riverside  dee"), "{text}");
    let body = &exceptions::to_json(&found, world.now())["exceptions"][0];
    assert_eq!(
        (&body["cause"], &body["age_s"]),
        (&json!("capture_without_question"), &json!(93_600))
    );
    world.check().await;
}
