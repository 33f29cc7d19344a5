//! Repeated messages: later, concurrent, changed, or in another order.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sayso::card_path::authorise::{ReceivedAuthorisation, authorise};
use sayso::issuers::{Issuer, Origin};
use serde_json::{Map, Value, json};

use super::gateway::held_by_approval;
use crate::caller::{Caller, authorise_concurrently, send_events_concurrently};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{
    APPROVED, AuthorisationState, CONNECTION, DEMO, FEMI, Purchase, TestResponse, World, an_hour,
    patient, purchase,
};

on_both_databases!(
    scenario_01_a_repeat_is_answered_byte_for_byte,
    scenario_02_fifty_at_once_through_two_gateways_are_one_decision,
    scenario_03_other_content_under_the_same_reference_is_a_conflict,
    scenario_03_two_contents_at_once_leave_one_decision,
    scenario_04_what_is_not_content_does_not_matter,
    scenario_06_what_was_committed_before_a_crash_is_the_answer_after_it,
    scenario_10_the_event_may_come_before_during_or_after_the_question,
    scenario_11_events_in_any_order_and_twice_end_the_same,
    scenario_14_a_declined_reference_stays_declined_after_a_load,
    scenario_19_the_same_capture_is_booked_once,
);

/// The demo programme with much more money for Dee.
fn with_a_lot_of_money() -> String {
    patient(DEMO)
        .replace(r#"allocated = "3120.00""#, r#"allocated = "9000.00""#)
        .replace(r#"id = "starter", amount = "3.90""#, r#"id = "starter", amount = "5000.00""#)
}

async fn scenario_01_a_repeat_is_answered_byte_for_byte(database: TestDatabase) {
    let world = World::open(database).await;
    let (bought, refused) = (purchase("Bought", 12_50), purchase("Refused", 900_00));
    let first = [world.authorise(&bought).await, world.authorise(&refused).await];
    assert!(first[0].is_approved() && !first[1].is_approved(), "{first:?}");
    let postings = world.count("posting", "true").await;

    assert_eq!([world.authorise(&bought).await, world.authorise(&refused).await], first);
    // Neither later events nor the time passed change the recorded response.
    world.send_event(&bought.created(world.now(), 12_50)).await;
    world.send_event(&bought.captured(world.now(), "c", 12_50)).await;
    world.advance_clock(jiff::ToSpan::hours(24 * 40));
    assert_eq!([world.authorise(&bought).await, world.authorise(&refused).await], first);

    assert_eq!(world.count("decision", "true").await, 2);
    assert_eq!(world.count("hold", "true").await, 1);
    assert_eq!(world.count("posting", "true").await, postings + 2, "the event and the capture");
    world.check().await;
}

/// One gateway commits the decision and sends no response; a second one gets the retry.
async fn scenario_06_what_was_committed_before_a_crash_is_the_answer_after_it(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let bought = purchase("Bought", 12_50);
    let body = bought.request(world.now()).to_string();
    let origin =
        Origin { programme: "riverside".parse().unwrap(), connection: CONNECTION.parse().unwrap() };
    let request = Issuer::Stripe.decode_authorisation(&origin, body.as_bytes()).unwrap();
    let question = ReceivedAuthorisation { request: Arc::new(request), arrived_at: world.now() };
    let (store, directory) = (world.app.store(), world.app.directory());
    let mut tx = store.begin().await.unwrap();
    let untold = authorise(&mut tx, directory, world.app.ids(), &[question]).await.unwrap();
    tx.commit().await.unwrap();

    let after = world.another().await;
    // Checked before any retry, because a retry would decide a lost hold again.
    let approval = (bought.id.clone(), untold[0].response.decision.unwrap().to_string());
    let held = held_by_approval(&world.database).await;
    assert_eq!(held, BTreeMap::from([(approval.clone(), 12_50)]));
    let answer = world.caller_of(&after).authorise(&bought).await;
    assert!(answer.is_approved(), "{answer:?}");
    assert_eq!(answer.decision(), approval.1);
    world.send_event(&bought.created(world.now(), 12_50)).await;
    assert_eq!(world.figure("dee", "held").await, 12_50);
    assert_eq!(world.count("decision", "true").await, 1);
    after.stop().await;
    world.check().await;
}

/// Two clients: of two gateways on PostgreSQL, of one on SQLite.
async fn two_ways(world: &World) -> ([Caller; 2], Option<sayso::app::gateway::App>) {
    match world.database.kind {
        DatabaseKind::Postgres => {
            let second = world.another().await;
            ([world.caller(), world.caller_of(&second)], Some(second))
        }
        DatabaseKind::Sqlite => ([world.caller(), world.caller()], None),
    }
}

async fn done(world: World, second: Option<sayso::app::gateway::App>) {
    if let Some(second) = second {
        second.stop().await;
    }
    world.check().await;
}

async fn scenario_02_fifty_at_once_through_two_gateways_are_one_decision(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let (ways, second) = two_ways(&world).await;
    let bought = purchase("Fifty", 12_50);
    let both = ways.iter().cycle().take(50);
    let answers = authorise_concurrently(both.map(|way| (way.clone(), bought.clone()))).await;

    assert!(answers[0].0.is_approved(), "{:?}", answers[0]);
    assert!(answers.iter().all(|(answer, _)| *answer == answers[0].0), "{answers:?}");
    assert_eq!(world.count("decision", "true").await, 1);
    assert_eq!(world.figure("dee", "held").await, 12_50);
    done(world, second).await;
}

fn changed(change: impl FnOnce(&mut Purchase)) -> Purchase {
    let mut changed = purchase("Same", 12_50);
    change(&mut changed);
    changed
}

async fn scenario_03_other_content_under_the_same_reference_is_a_conflict(database: TestDatabase) {
    let world = World::open(database).await;
    let honest = purchase("Same", 12_50);
    let first = world.authorise(&honest).await;
    let stored = stored_decision(&world).await;
    let others = [
        changed(|p| p.amount = 12_51),
        changed(|p| p.amount = 1),
        changed(|p| p.currency = "eur".to_owned()),
        changed(|p| p.card = FEMI.to_owned()),
        changed(|p| p.card = "ic_1NobodysCard0000001".to_owned()),
        changed(|p| p.mcc = json!("5812")),
        changed(|p| p.shop = "ANOTHER SHOP".to_owned()),
        changed(|p| p.country = "FR".to_owned()),
        changed(|p| p.online = true),
        changed(|p| p.partial = true),
        changed(|p| p.cash_back = Some(5_00)),
    ];
    let counted = world.caller().counted("sayso_conflicts_total").await;
    for other in &others {
        let answer = world.authorise(other).await;
        assert!(!answer.is_approved(), "{other:?}");
        assert_eq!(answer.reason(), "conflict", "{other:?}");
        assert_eq!(world.count("exception", "kind = 'conflict'").await, 1, "one matter, told once");
    }
    let more = world.caller().counted("sayso_conflicts_total").await - counted;
    assert_eq!(usize::try_from(more), Ok(others.len()));

    assert_eq!(stored_decision(&world).await, stored, "the stored decision was changed");
    assert_eq!(world.figure("dee", "held").await, 12_50);
    assert_eq!(world.figure("femi", "held").await, 0);
    assert_eq!(world.authorise(&honest).await, first);
    world.check().await;
}

async fn stored_decision(world: &World) -> (String, String, String, i64) {
    let mut connection = world.database.connect().await;
    let sql = "SELECT decision_id, content, facts, approved_minor FROM decision";
    sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap()
}

/// Two cards have two locks, so only the decision's key prevents a second decision.
async fn scenario_03_two_contents_at_once_leave_one_decision(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let (ways, second) = two_ways(&world).await;
    for round in 0..20 {
        let mine = purchase(&format!("Both{round}"), 10);
        let theirs = Purchase { card: FEMI.to_owned(), ..mine.clone() };
        let asked = [(ways[0].clone(), mine), (ways[1].clone(), theirs)];
        let answers = authorise_concurrently(asked).await;
        let is_conflict = |answer: &TestResponse| answer.reason() == "conflict";
        let conflicts = answers.iter().filter(|(answer, _)| is_conflict(answer)).count();
        let approved = answers.iter().filter(|(answer, _)| answer.is_approved()).count();
        assert_eq!((approved, conflicts), (1, 1), "{answers:?}");
    }
    assert_eq!(world.count("decision", "true").await, 20);
    assert_eq!(world.count("hold", "true").await, 20);
    done(world, second).await;
}

/// The same JSON with the keys of every object reversed.
fn turned_round(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let turned = fields.iter().rev().map(|(key, value)| (key.clone(), turned_round(value)));
            Value::Object(turned.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(turned_round).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

async fn scenario_04_what_is_not_content_does_not_matter(database: TestDatabase) {
    let world = World::open(database).await;
    let message = purchase("Same", 12_50).request(world.now());
    let first = world.authorise_body(&message.to_string()).await;
    assert!(first.is_approved(), "{first:?}");

    let mut another_attempt = message.clone();
    another_attempt["id"] = json!("evt_1AnotherAttempt00001");
    another_attempt["created"] = json!(world.now().as_second() + 3);
    another_attempt["pending_webhooks"] = json!(7);
    another_attempt["request"] = json!({"id": "req_another", "idempotency_key": "another"});
    another_attempt["data"]["object"]["created"] = json!(world.now().as_second() + 3);
    another_attempt["data"]["object"]["a_new_field"] = json!({"of": ["the", "issuer"]});
    another_attempt["data"]["object"]["card"]["metadata"] = json!({"changed": "meanwhile"});
    let spellings = [
        turned_round(&message).to_string(),
        serde_json::to_string_pretty(&message).unwrap(),
        format!("\n\t {message} \r\n"),
        message.to_string().replace("TEST GROCER", "\\u0054EST GROCER"),
        another_attempt.to_string(),
        serde_json::to_string_pretty(&turned_round(&another_attempt)).unwrap(),
    ];
    for spelling in &spellings {
        assert_ne!(*spelling, message.to_string());
        assert_eq!(world.authorise_body(spelling).await, first, "{spelling}");
    }
    assert_eq!(world.count("decision", "true").await, 1);
    assert_eq!(world.count("exception", "true").await, 0);
    world.check().await;
}

async fn scenario_10_the_event_may_come_before_during_or_after_the_question(
    database: TestDatabase,
) {
    let world = World::open_with(database, &with_a_lot_of_money()).await;
    let (ways, second) = two_ways(&world).await;
    let mut approved = 0;
    for round in 0..24 {
        let bought = purchase(&format!("Round{round}"), 10_00);
        let event = bought.created(world.now(), 10_00);
        let answer = match round {
            0 => {
                world.send_event(&event).await;
                world.authorise(&bought).await
            }
            1 => {
                let answer = world.authorise(&bought).await;
                world.send_event(&event).await;
                answer
            }
            _ => {
                let (told, asked) = (ways[1].clone(), ways[0].clone());
                let (asking, telling) = (bought.clone(), event.clone());
                let telling = tokio::spawn(async move { told.send_event(&telling).await });
                let answer = asked.authorise(&asking).await;
                telling.await.unwrap();
                answer
            }
        };
        assert!(answer.is_approved(), "round {round}: {answer:?}");
        approved += 1;
        assert_eq!(world.figure("dee", "held").await, approved * 10_00, "round {round}");
    }
    assert_eq!(world.count("purchase", "true").await, approved);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    done(world, second).await;
}

/// All permutations of `items`.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let rest: Vec<_> = [&items[..index], &items[index + 1..]].concat();
        for mut order in permutations(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

/// The events of one purchase with increasing timestamps: held, two partial captures, a refund, the
/// rest released.
fn a_life(bought: &Purchase, start: Timestamp) -> Vec<Value> {
    let after = |seconds| start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let raised = AuthorisationState { name: "raised", amount: 12_50, ..APPROVED };
    vec![
        bought.created(after(0), 12_50),
        bought.snapshot("updated", after(1), &raised),
        bought.captured(after(2), "first", 5_00),
        bought.captured(after(3), "second", 6_00),
        bought.refunded(after(4), "back", 2_00),
        bought.over(after(5), "closed"),
    ]
}

async fn scenario_11_events_in_any_order_and_twice_end_the_same(database: TestDatabase) {
    let world = World::open_with(database, &with_a_lot_of_money()).await;
    let start = world.now();
    let orders = permutations(&[0, 1, 2, 3, 4, 5]);
    // Every seventh of the 720 orders: each message is first, last, and before each other one.
    let orders: Vec<_> = orders.into_iter().step_by(7).collect();
    let mut telling = tokio::task::JoinSet::new();
    let count = i64::try_from(orders.len()).unwrap();
    for (number, order) in orders.into_iter().enumerate() {
        let (caller, bought) = (world.caller(), purchase(&format!("Order{number}"), 12_50));
        telling.spawn(async move {
            let life = a_life(&bought, start);
            if number % 3 > 0 {
                assert!(caller.authorise(&bought).await.is_approved());
            }
            for (step, message) in order.iter().enumerate() {
                caller.send_event(&life[*message]).await;
                caller.send_event(&life[order[step / 2]]).await;
            }
            if number % 3 == 0 {
                caller.authorise(&bought).await;
            }
        });
    }
    telling.join_all().await;

    let same = "captured_minor = 1100 AND refunded_minor = 200 AND exposure_minor = 0 \
                AND suspense_minor = 0";
    assert_eq!(world.count("purchase", "true").await, count);
    assert_eq!(world.count("purchase", same).await, count);
    assert_eq!(world.count("hold", "held_minor <> 0").await, 0);
    assert_eq!(world.count("issuer_event", "true").await, count * 6);
    assert_eq!(world.count("presentment", "true").await, count * 3);
    assert_eq!(world.figure("dee", "held").await, 0);
    assert_eq!(world.figure("dee", "spent").await, count * 9_00);
    world.check().await;
}

async fn scenario_14_a_declined_reference_stays_declined_after_a_load(database: TestDatabase) {
    let world = World::open(database).await;
    let dear = purchase("Dear", 150_00);
    let declined = world.authorise(&dear).await;
    assert!(!declined.is_approved());
    assert!(declined.reason().contains("money"), "{declined:?}");

    let topped_up = DEMO.replace(
        r#"{ id = "2026-11-23", amount = "60.00" }]"#,
        r#"{ id = "2026-11-23", amount = "60.00" }, { id = "gift", amount = "200.00" }]"#,
    );
    assert_ne!(topped_up, DEMO);
    world.apply(&topped_up).await;
    world.advance_clock(an_hour());
    assert_eq!(world.authorise(&dear).await, declined);
    assert!(
        world.authorise(&purchase("DearAgain", 150_00)).await.is_approved(),
        "another reference"
    );
    assert_eq!(world.authorise(&dear).await, declined);
    assert_eq!(world.figure("dee", "held").await, 150_00);
    world.check().await;
}

async fn scenario_19_the_same_capture_is_booked_once(database: TestDatabase) {
    let world = World::open_with(database, &with_a_lot_of_money()).await;
    let (ways, second) = two_ways(&world).await;
    for round in 1..=10 {
        let bought = purchase(&format!("Round{round}"), 12_50);
        assert!(world.authorise(&bought).await.is_approved());
        let capture = bought.captured(world.now(), "c", 12_50);
        let mut other = capture.clone();
        other["id"] = json!(format!("evt_other_{round}"));
        let again = [&capture, &other].into_iter().cycle().take(12).zip(ways.iter().cycle());
        let again: Vec<_> = again.map(|(event, way)| (way.clone(), event.clone())).collect();
        // Each event id goes through both clients.
        let crossed = [(ways[1].clone(), capture.clone()), (ways[0].clone(), other.clone())];
        send_events_concurrently(again.into_iter().chain(crossed)).await;
        world.send_event(&capture).await;
        world.send_event(&other).await;

        assert_eq!(world.figure("dee", "spent").await, round * 12_50, "round {round}");
        assert_eq!(world.count("presentment", "true").await, round);
        assert_eq!(world.count("issuer_event", "true").await, round * 2);
    }
    assert_eq!(world.figure("dee", "held").await, 0);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    done(world, second).await;
}
