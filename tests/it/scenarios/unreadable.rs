//! Data that a decision depends on is unreadable: that person's request gets an our-fault response
//! in time, and nobody else is affected.

use serde_json::json;
use sqlx::{Connection as _, Executor as _};

use crate::support::TestDatabase;
use crate::world::{ANA, DEMO, Purchase, World, patient, purchase};

on_both_databases!(
    scenario_56_rules_that_cannot_be_read_are_our_fault_for_one_person_alone,
    a_one_time_ok_pays_once_however_many_ask_at_once,
    what_the_issuer_signed_is_kept_whatever_it_says,
);

/// The demo with a one-off permission for Dee: up to £79 at a phone shop.
fn with_an_ok() -> String {
    let femi = "[[person]]\nid = \"femi\"";
    let ok = format!(
        "[[person.permission]]\non = {{ category = \"phone\" }}\nup_to = \"79.00\"\nuses = 1\n\
         from = 2026-11-22T07:00:00Z\nends = 2026-11-30T00:00:00Z\n\n{femi}"
    );
    patient(&DEMO.replacen(femi, &ok, 1))
}

async fn meddle(world: &World, sql: &'static str) {
    let mut connection = world.database.connect().await;
    let done = connection.execute(sql).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{sql}");
    connection.close().await.unwrap();
}

async fn scenario_56_rules_that_cannot_be_read_are_our_fault_for_one_person_alone(
    database: TestDatabase,
) {
    let world = World::open_with(database, &with_an_ok()).await;
    let was = world.figures("dee").await;
    meddle(&world, "UPDATE permission SET scope = 'nonsense' WHERE budget_id = 'dee'").await;
    let caller = world.caller();
    let anas = |number| Purchase { card: ANA.to_owned(), ..purchase(&format!("Ana{number}"), 10) };
    // Concurrent requests, so that some share a batch with the unreadable data.
    let asked = (0..12).map(|number| {
        let (caller, is_dees) = (caller.clone(), number % 3 == 0);
        let bought = if is_dees { purchase(&format!("Dee{number}"), 10) } else { anas(number) };
        tokio::spawn(async move { (is_dees, caller.authorise(&bought).await) })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (is_dees, answer) = asked.await.unwrap();
        let reason = if is_dees { "our_fault" } else { "" };
        assert_eq!((answer.is_approved(), answer.reason().as_str()), (!is_dees, reason));
    }
    assert_eq!(world.figures("dee").await, was, "nothing is held");
    meddle(&world, "UPDATE permission SET scope = 'category:phone' WHERE budget_id = 'dee'").await;
    assert!(world.authorise(&purchase("Mended", 10)).await.is_approved());
    world.check().await;
}

/// Unpaired surrogates, an escaped NUL and a date far in the future: if rejected, the issuer would
/// retry them for ever.
async fn what_the_issuer_signed_is_kept_whatever_it_says(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let odd = |event: &serde_json::Value| {
        let text = event.to_string();
        assert!(text.contains("TEST GROCER"), "{text}");
        text.replace("TEST GROCER", "TEST \\ud800 GRO\\u0000CER \\ud83d\\ude00")
    };
    let bought = purchase("Odd", 12_50);
    let asked = world.authorise_body(&odd(&bought.request(world.now()))).await;
    assert!(asked.is_approved(), "{asked:?}");
    assert_eq!(world.authorise_body(&odd(&bought.request(world.now()))).await, asked);
    let mut capture = bought.captured(world.now(), "one", 12_50);
    capture["created"] = json!(253_402_300_800_i64);
    capture["data"]["object"]["created"] = json!(i64::MAX);
    capture["data"]["object"]["merchant_data"]["name"] = json!("TEST GROCER");
    for _ in 0..2 {
        assert_eq!(world.send_event_body(&odd(&capture)).await.status, 200);
    }
    assert_eq!(world.pot("dee", "week", "spent").await + world.figures("dee").await[0], 12_50);
    let names = "SELECT merchant FROM decision";
    let name = world.database.rows(names).await[0][0].clone();
    assert!(name.contains("TEST \u{fffd} GRO\u{fffd}CER 😀"), "{name}");
    // A snapshot of the year 292277026596 is an exception.
    let mut snapshot = purchase("Far", 1_00).over(world.now(), "reversed");
    snapshot["created"] = json!(i64::MAX);
    for _ in 0..2 {
        assert_eq!(world.send_event_body(&snapshot.to_string()).await.status, 200);
    }
    assert_eq!(world.exceptions().await, ["not_understood"]);
    assert_eq!(world.count("issuer_event", "state = 'kept'").await, 1);
    world.check().await;
}

/// A use by a concurrent request must be seen before the commit.
async fn a_one_time_ok_pays_once_however_many_ask_at_once(database: TestDatabase) {
    let world = World::open_with(database, &with_an_ok()).await;
    let other = world.another().await;
    let callers = [world.caller(), world.caller_of(&other)];
    let asked = (0..16).map(|number: usize| {
        let caller = callers[number % 2].clone();
        let phone = Purchase { mcc: json!("4812"), ..purchase(&format!("Phone{number}"), 40_00) };
        tokio::spawn(async move { caller.authorise(&phone).await })
    });
    let mut answers = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        answers.push(asked.await.unwrap());
    }
    let paid = answers.iter().filter(|answer| answer.is_approved()).count();
    assert_eq!(paid, 1);
    let refused = answers.iter().filter(|answer| !answer.is_approved());
    assert!(refused.clone().all(|answer| answer.reason() == "ok_held"), "{answers:?}");
    other.stop().await;
    world.check().await;
}
