//! An answer that contradicts the recorded one gets a conflict with the recorded answer; the same
//! answer sent again counts once. Over the JSON API, with real tokens.

use serde_json::{Value, json};

use super::town::{AskFixture, handset};
use crate::support::TestDatabase;
use crate::world::TestResponse;

on_both_databases!(
    another_yes_hears_the_one_that_stands,
    another_no_hears_the_one_that_stands,
    a_look_in_other_words_hears_the_one_that_stands,
    another_outcome_hears_the_one_that_stands,
);

async fn post(town: &AskFixture, who: &str, path: &str, body: &Value) -> TestResponse {
    town.world.post_as(who, &format!("/v1/people/dee{path}"), body).await
}

/// Dee is declined and asks. Returns the path of the ask.
async fn asked(town: &AskFixture, name: &str) -> String {
    town.world.authorise(&handset(name)).await;
    let ask = post(town, "dee", "/asks", &json!({"purchase": "latest"})).await;
    assert_eq!(ask.status, 201, "{ask:?}");
    format!("/asks/{}", ask.json()["ask"].as_str().unwrap())
}

/// The recorded answer in the conflict that `who` gets for `other`.
async fn heard(town: &AskFixture, who: &str, path: &str, other: &Value) -> Value {
    let told = post(town, who, path, other).await;
    assert_eq!(told.status, 409, "{other}: {told:?}");
    let told = told.json();
    assert_eq!(told["type"], "/problems/answered", "{other}");
    assert!(!told["detail"].as_str().unwrap().is_empty());
    told["stands"].clone()
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

async fn another_yes_hears_the_one_that_stands(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let ask = asked(&town, "First").await;
    let path = format!("{ask}/answer");
    let ends_at = (town.world.now() + jiff::SignedDuration::from_hours(72)).to_string();
    let yes = json!({"answer": "yes", "up_to": {"amount": 60_00, "currency": "GBP"},
        "ends_at": ends_at, "words": "Take care."});
    for _ in 0..2 {
        let answered = post(&town, "amina", &path, &yes).await;
        assert_eq!((answered.status, &answered.json()["state"]), (200, &json!("yes_less")));
        town.world.advance_clock(jiff::Span::new().hours(1));
    }
    let others = [
        with(&yes, "whole_group", json!(true)),
        with(&yes, "up_to", json!({"amount": 79_00, "currency": "GBP"})),
        with(
            &yes,
            "ends_at",
            json!((town.world.now() + jiff::SignedDuration::from_hours(80)).to_string()),
        ),
        with(&yes, "words", json!("Good luck.")),
        json!({"answer": "yes", "up_to": {"amount": 60_00, "currency": "GBP"}}),
        json!({"answer": "not_this_time", "reason": "not_in_purpose"}),
    ];
    for other in &others {
        let stands = heard(&town, "amina", &path, other).await;
        assert_eq!((&stands["by"], &stands["said"]), (&json!("amina"), &json!("yes_less")));
        assert_eq!((&stands["up_to"], &stands["words"]), (&json!(60_00), &json!("Take care.")));
        assert_eq!(stands["ends_at"], json!(ends_at));
        assert!(stands["scope"].as_str().unwrap().starts_with("shop:"), "{stands}");
    }
    // The same answer by somebody else is not theirs.
    let stands = heard(&town, "ruth", &path, &yes).await;
    assert_eq!(stands["by"], "amina");
    assert_eq!(town.world.count("permission", "1 = 1").await, 1);
    assert_eq!(town.world.authorise(&handset("Second")).await.reason(), "ok_small");
    town.world.check().await;
}

async fn another_no_hears_the_one_that_stands(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let path = format!("{}/answer", asked(&town, "First").await);
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    for _ in 0..2 {
        assert_eq!(post(&town, "amina", &path, &no).await.status, 200);
    }
    let others = [
        with(&no, "reason", json!("not_enough_money")),
        with(&no, "words", json!("Sorry.")),
        json!({"answer": "yes"}),
    ];
    for other in &others {
        let stands = heard(&town, "amina", &path, other).await;
        assert_eq!(stands["said"], "not_this_time");
        assert_eq!(stands["reason"], "not_in_purpose");
    }
    town.world.check().await;
}

async fn a_look_in_other_words_hears_the_one_that_stands(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.world.set_time("2026-11-23T21:40:00Z");
    town.on_duty("omar", 10, None).await;
    let ask = asked(&town, "First").await;
    let yes = post(&town, "omar", &format!("{ask}/answer"), &json!({"answer": "yes"})).await;
    assert_eq!(yes.status, 200, "{yes:?}");
    let path = format!("{ask}/looked-at");
    let look = json!({"words": "It was right."});
    for _ in 0..2 {
        let looked = post(&town, "amina", &path, &look).await;
        assert_eq!(
            (looked.status, &looked.json()["answer"]["looked_words"]),
            (200, &json!("It was right."))
        );
    }
    for (who, other) in [("amina", json!({})), ("amina", json!({"words": "Hm."})), ("ruth", look)] {
        let stands = heard(&town, who, &path, &other).await;
        assert_eq!((&stands["by"], &stands["words"]), (&json!("amina"), &json!("It was right.")));
    }
    town.world.check().await;
}

async fn another_outcome_hears_the_one_that_stands(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let ask = asked(&town, "First").await;
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    assert_eq!(post(&town, "amina", &format!("{ask}/answer"), &no).await.status, 200);
    let about = ask.replace("/asks/", "ask:");
    let appeal = post(&town, "dee", "/appeals", &json!({"about": about})).await.json();
    let path = format!("/appeals/{}/outcome", appeal["appeal"].as_str().unwrap());
    let kept = json!({"outcome": "kept", "words": "It is fair.", "next_step": "The ombudsman."});
    for _ in 0..2 {
        assert_eq!(post(&town, "ruth", &path, &kept).await.json()["state"], "kept");
    }
    let others = [
        with(&kept, "words", json!("It was fair.")),
        with(&kept, "next_step", json!("The court.")),
        json!({"outcome": "changed", "words": "It is fair."}),
    ];
    for other in &others {
        let stands = heard(&town, "ruth", &path, other).await;
        assert_eq!((&stands["by"], &stands["said"]), (&json!("ruth"), &json!("kept")));
        assert_eq!(stands["words"], "It is fair.");
        assert_eq!(stands["next_step"], "The ombudsman.");
    }
    town.put("rosa", sayso::domain::people::role::Role::Manager, |_| {}).await;
    assert_eq!(heard(&town, "rosa", &path, &kept).await["by"], "ruth");
    town.world.check().await;
}
