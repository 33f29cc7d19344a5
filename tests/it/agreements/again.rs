//! An answer can be repeated, narrowed or taken back until the change starts. A contradicting
//! answer gets a conflict with the recorded response. Over the JSON API, with real tokens.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::fixture::AgreementFixture;
use crate::support::TestDatabase;
use crate::world::{TestResponse, demo_with_manager_above};

on_both_databases!(
    a_yes_said_again_keeps_what_was_agreed_both_times,
    a_yes_said_again_is_never_to_more,
    a_yes_can_become_a_no_until_it_starts,
    whoever_said_yes_can_answer_with_something_else_until_it_starts,
    another_answer_hears_the_one_that_stands,
    the_same_answer_sent_again_is_one_answer,
);

fn session(minutes: u32) -> Value {
    json!({"how": "own_page", "place": "the hostel office", "minutes": minutes})
}

fn yes() -> Value {
    json!({"say": "yes", "session": session(5)})
}

fn no() -> Value {
    json!({"say": "no", "session": session(5)})
}

fn yes_to(parts: &[&str]) -> Value {
    json!({"say": "yes", "parts": parts, "session": session(5)})
}

/// A term with a weekly limit on cash.
fn cash(sum: i64) -> Value {
    json!({"on": "gate:cash", "answer": "yes", "limits": [{"per": "week", "amount": sum}],
        "reason": "We talked about it.", "review_on": "2027-05-01"})
}

/// A change of three terms: lifts Dee's own block on alcohol, allows phone shops and raises the
/// cash limit.
fn three_parts() -> Value {
    let phone = json!({"on": "category:phone", "answer": "yes"});
    json!({"version": 1, "set": [phone, cash(60_00)], "remove": ["category:alcohol"],
        "words": "You asked for all three.", "in_parts": true, "session": session(20)})
}

/// A change of the cash limit only.
fn more_cash(sum: i64) -> Value {
    json!({"version": 1, "set": [cash(sum)], "words": "It is not enough.", "session": session(20)})
}

async fn proposed(fixture: &AgreementFixture, who: &str, change: Value) -> String {
    let proposed = fixture.post(who, "/proposals", change).await;
    assert_eq!(proposed.status, 201, "{proposed:?}");
    format!("/proposals/{}", proposed.json()["proposal"].as_str().unwrap())
}

async fn answered(
    fixture: &AgreementFixture,
    who: &str,
    proposal: &str,
    body: Value,
) -> TestResponse {
    fixture.post(who, &format!("{proposal}/answer"), body).await
}

fn next(answer: &TestResponse) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["next"].clone()
}

/// Scope and answer of each term of the list in force.
async fn on_list(fixture: &AgreementFixture) -> Vec<(String, String)> {
    let list = fixture.get("dee", "/agreement").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let terms = list["terms"].as_array().unwrap();
    terms.iter().map(|term| (text(&term["on"]), text(&term["answer"]))).collect()
}

fn has(list: &[(String, String)], on: &str, answer: &str) -> bool {
    list.contains(&(on.to_owned(), answer.to_owned()))
}

async fn a_yes_said_again_keeps_what_was_agreed_both_times(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let proposal = proposed(&fixture, "amina", three_parts()).await;
    let first = yes_to(&["category:alcohol", "category:phone"]);
    assert_eq!(next(&answered(&fixture, "dee", &proposal, first.clone()).await), "cools");
    // An answer cannot be repeated before the cooling-off period has ended.
    fixture.world.advance_clock((7 * 24 - 1).hours());
    assert_eq!(next(&answered(&fixture, "dee", &proposal, first.clone()).await), "cools");
    let early = answered(&fixture, "dee", &proposal, yes_to(&["category:alcohol"])).await;
    assert_eq!((early.status, &early.json()["stands"]["parts"]), (409, &first["parts"]));
    fixture.world.advance_clock(1.hours());
    let again = yes_to(&["category:alcohol"]);
    assert_eq!(next(&answered(&fixture, "dee", &proposal, again).await), "started");
    let list = on_list(&fixture).await;
    assert!(!list.iter().any(|(on, _)| on == "category:alcohol"), "{list:?}");
    assert!(has(&list, "category:phone", "ask"), "said yes to once: {list:?}");
    let cash = fixture.get("dee", "/agreement").await["terms"].to_string();
    assert!(!cash.contains("6000"), "never said yes to: {cash}");
    // The replaced answer can still be read, and can no longer be changed.
    let kept = fixture.get("dee", &proposal).await;
    assert_eq!(kept["said_before"][0]["parts"], json!(["category:alcohol", "category:phone"]));
    let own = kept["said"].as_array().unwrap().iter().find(|said| said["side"] == "person");
    assert_eq!(own.unwrap()["parts"], json!(["category:alcohol"]));
    let mut connection = fixture.world.database.connect().await;
    for sql in ["UPDATE replaced_consent SET answer = 'no'", "DELETE FROM replaced_consent"] {
        assert!(sqlx::query(sql).execute(&mut connection).await.is_err(), "{sql}");
    }
    fixture.world.check().await;
}

async fn a_yes_said_again_is_never_to_more(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let proposal = proposed(&fixture, "amina", three_parts()).await;
    let first = yes_to(&["category:alcohol"]);
    assert_eq!(next(&answered(&fixture, "dee", &proposal, first).await), "cools");
    fixture.world.advance_clock((7 * 24).hours());
    let more =
        answered(&fixture, "dee", &proposal, yes_to(&["category:alcohol", "gate:cash"])).await;
    assert_eq!((more.status, &more.json()["errors"][0]["pointer"]), (422, &json!("/parts")));
    assert!(more.body.contains("gate:cash"), "{more:?}");
    // A part that was left out keeps its old term.
    assert_eq!(next(&answered(&fixture, "dee", &proposal, yes()).await), "started");
    let list = on_list(&fixture).await;
    assert!(!list.iter().any(|(on, _)| on == "category:alcohol"), "{list:?}");
    assert!(has(&list, "category:phone", "ask"), "{list:?}");
    let cash = fixture.get("dee", "/agreement").await["terms"].to_string();
    assert!(!cash.contains("6000"), "{cash}");
    fixture.world.check().await;
}

async fn a_yes_can_become_a_no_until_it_starts(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    // The proposer withdraws while the proposal waits for the other side.
    for (own, other, sum) in [("dee", "amina", 60_00), ("amina", "dee", 70_00)] {
        let proposal = proposed(&fixture, own, more_cash(sum)).await;
        assert_eq!(next(&answered(&fixture, own, &proposal, no()).await), "ended", "{own}");
        let late = answered(&fixture, other, &proposal, yes()).await;
        assert_eq!(late.status, 409, "{late:?}");
    }
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-taken-back");
    assert_eq!(fixture.told("dee", "person").await.last().unwrap().0, "list-taken-back");
    let again = proposed(&fixture, "dee", more_cash(60_00)).await;
    assert_eq!(next(&answered(&fixture, "dee", &again, no()).await), "ended", "it was no no");
    // During the cooling-off period the person may answer no after their yes. A part of a list
    // cannot be refused.
    let proposal = proposed(&fixture, "amina", three_parts()).await;
    assert_eq!(next(&answered(&fixture, "dee", &proposal, yes()).await), "cools");
    let part = json!({"say": "no", "parts": ["gate:cash"], "session": session(5)});
    assert_eq!(answered(&fixture, "dee", &proposal, part).await.status, 422);
    assert_eq!(next(&answered(&fixture, "dee", &proposal, no()).await), "ended");
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-refused");
    let kept = fixture.get("dee", &proposal).await;
    assert_eq!(kept["state"], "refused");
    assert_eq!(
        (&kept["said_before"][0]["said"], &kept["said"][0]["said"]),
        (&json!("yes"), &json!("no"))
    );
    fixture.world.advance_clock((7 * 24).hours());
    assert_eq!(answered(&fixture, "dee", &proposal, yes()).await.status, 409);
    // The worker may do so too, until the person has confirmed.
    let wish = json!({"version": 1, "remove": ["category:alcohol"], "set": [cash(80_00)],
        "words": "I want it.", "session": session(5)});
    let proposal = proposed(&fixture, "dee", wish).await;
    assert_eq!(next(&answered(&fixture, "amina", &proposal, yes()).await), "cools");
    assert_eq!(next(&answered(&fixture, "amina", &proposal, no()).await), "ended");
    assert_eq!(fixture.in_force("dee").await.version, 1, "nothing has changed");
    // So may a person who proposed a change of their own block.
    let wish = json!({"version": 1, "remove": ["category:alcohol"], "words": "I want it.",
        "session": session(5)});
    let proposal = proposed(&fixture, "dee", wish).await;
    assert_eq!(next(&answered(&fixture, "dee", &proposal, no()).await), "ended");
    fixture.world.check().await;
}

async fn whoever_said_yes_can_answer_with_something_else_until_it_starts(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let first = proposed(&fixture, "dee", more_cash(60_00)).await;
    let less = fixture.post("dee", &format!("{first}/counter"), more_cash(40_00)).await;
    assert_eq!((less.status, &less.json()["waits_for"]), (201, &json!(["worker"])), "{less:?}");
    assert_eq!(fixture.get("dee", &first).await["state"], "countered");
    let less = format!("/proposals/{}", less.json()["proposal"].as_str().unwrap());
    assert_eq!(next(&answered(&fixture, "amina", &less, yes()).await), "started");
    // Also during the cooling-off period.
    let wish = json!({"version": 2, "remove": ["category:alcohol"], "set": [cash(50_00)],
        "words": "I want it.", "session": session(5)});
    let cooling = proposed(&fixture, "dee", wish).await;
    assert_eq!(next(&answered(&fixture, "amina", &cooling, yes()).await), "cools");
    let other =
        json!({"version": 2, "set": [cash(45_00)], "words": "Less.", "session": session(5)});
    assert_eq!(fixture.post("amina", &format!("{cooling}/counter"), other).await.status, 201);
    fixture.world.advance_clock((7 * 24).hours());
    assert_eq!(answered(&fixture, "dee", &cooling, yes()).await.status, 409);
    assert_eq!(fixture.in_force("dee").await.version, 2);
    fixture.world.check().await;
}

async fn another_answer_hears_the_one_that_stands(database: TestDatabase) {
    let file = demo_with_manager_above("10.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let mut two_parts = three_parts();
    two_parts["remove"] = json!([]);
    let proposal = proposed(&fixture, "amina", two_parts).await;
    let first = json!({"say": "yes", "parts": ["category:phone", "gate:cash"],
        "words": "Thank you.", "session": session(5)});
    let waits = answered(&fixture, "dee", &proposal, first.clone()).await;
    assert_eq!((next(&waits), &waits.json()["waits_for"]), (json!("waits"), &json!(["manager"])));
    for (field, value) in
        [("parts", json!(["category:phone"])), ("words", json!("Thanks.")), ("session", session(6))]
    {
        let mut other = first.clone();
        other[field] = value;
        let told = answered(&fixture, "dee", &proposal, other).await;
        assert_eq!(told.status, 409, "{field}: {told:?}");
        let told = told.json();
        assert_eq!(told["type"], "/problems/answered", "{field}");
        let stands = &told["stands"];
        assert_eq!((&stands["by"], &stands["said"]), (&json!("dee"), &json!("yes")), "{field}");
        assert_eq!(stands["parts"], json!(["category:phone", "gate:cash"]));
        assert_eq!(stands["words"], "Thank you.");
    }
    assert_eq!(next(&answered(&fixture, "ruth", &proposal, yes()).await), "started");
    let late = answered(&fixture, "ruth", &proposal, no()).await;
    assert_eq!((late.status, &late.json()["stands"]["said"]), (409, &json!("yes")), "{late:?}");
    let other = answered(&fixture, "amina-manages", &proposal, yes()).await;
    assert!(matches!(other.status, 403 | 409), "{other:?}");
    fixture.world.check().await;
}

async fn the_same_answer_sent_again_is_one_answer(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let proposal = proposed(&fixture, "amina", more_cash(60_00)).await;
    for _ in 0..2 {
        let started = answered(&fixture, "dee", &proposal, yes()).await;
        assert_eq!((next(&started), &started.json()["version"]), (json!("started"), &json!(2)));
    }
    assert_eq!(fixture.in_force("dee").await.version, 2);
    let change =
        json!({"version": 2, "set": [cash(90_00)], "words": "More.", "session": session(5)});
    let proposal = proposed(&fixture, "amina", change).await;
    for _ in 0..2 {
        assert_eq!(next(&answered(&fixture, "dee", &proposal, no()).await), "ended");
    }
    let acts = fixture.acts("dee").await;
    assert_eq!(acts.iter().filter(|(_, what)| what == "list_refused").count(), 1, "{acts:?}");
    assert_eq!(fixture.world.count("replaced_consent", "1 = 1").await, 0);
    // The proposal itself was the proposer's yes, so they cannot answer it.
    let change =
        json!({"version": 2, "set": [cash(85_00)], "words": "More.", "session": session(5)});
    let proposal = proposed(&fixture, "dee", change).await;
    assert_eq!(answered(&fixture, "dee", &proposal, yes()).await.status, 409);
    fixture.world.check().await;
}
