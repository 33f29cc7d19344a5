//! Interim permissions do not add up beyond the programme's limit. Over the JSON API, with real
//! tokens.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::town::{AskFixture, handset};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, patient};

on_both_databases!(yeses_for_now_do_not_add_up);

async fn post(town: &AskFixture, who: &str, path: &str, body: Value) -> Value {
    let answer = town.world.post_as(who, &format!("/v1/people/dee{path}"), &body).await;
    assert!((200..202).contains(&answer.status), "{path}: {answer:?}");
    answer.json()
}

/// Dee is declined, asks, is refused and appeals. Returns the appeal, and the limit of the interim
/// permission if there is one.
async fn appealed(town: &AskFixture, name: &str) -> (String, Option<i64>) {
    let refused = town.world.authorise(&handset(name)).await;
    let ask = post(town, "dee", "/asks", json!({"purchase": refused.decision()})).await;
    let ask = ask["ask"].as_str().unwrap().to_owned();
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    post(town, "amina", &format!("/asks/{ask}/answer"), no).await;
    let appeal = post(town, "dee", "/appeals", json!({"about": format!("ask:{ask}")})).await;
    let id = appeal["appeal"].as_str().unwrap().to_owned();
    let sql = format!(
        "SELECT CAST(p.cap_minor AS TEXT) FROM appeal a JOIN permission p \
         ON p.permission_id = a.permission_id WHERE a.appeal_id = '{id}'"
    );
    let cap = town.world.database.rows(&sql).await.first().map(|row| row[0].parse().unwrap());
    assert_eq!(appeal["interim"] == "yes_for_now", cap.is_some(), "{appeal}");
    (id, cap)
}

async fn keep(town: &AskFixture, appeal: &str) {
    let kept = json!({"outcome": "kept", "words": "I looked.", "next_step": "The ombudsman."});
    post(town, "ruth", &format!("/appeals/{appeal}/outcome"), kept).await;
}

async fn bought(town: &AskFixture, name: &str, amount: i64) -> bool {
    town.world.authorise(&Purchase { amount, ..handset(name) }).await.is_approved()
}

/// £20 per permission and £30 within a week, at one phone shop.
async fn yeses_for_now_do_not_add_up(database: TestDatabase) {
    let file = patient(DEMO)
        .replace("answer_hours = 3", "answer_hours = 3\ninterim_week_up_to = \"30.00\"");
    let town = AskFixture::open_with(database, &file).await;
    let (first, cap) = appealed(&town, "A").await;
    assert_eq!(cap, Some(20_00));
    let (second, cap) = appealed(&town, "B").await;
    assert_eq!(cap, None, "one at a time for one shop");
    assert!(bought(&town, "C", 20_00).await);
    let (third, cap) = appealed(&town, "D").await;
    assert_eq!(cap, None, "though the first was used: nobody has looked yet");
    for appeal in [&first, &second, &third] {
        keep(&town, appeal).await;
    }
    let (fourth, cap) = appealed(&town, "E").await;
    assert_eq!(cap, Some(10_00), "what is left of the week");
    assert!(!bought(&town, "F", 10_01).await);
    // An interim permission that was withdrawn unused frees its amount for the next one.
    post(&town, "dee", &format!("/appeals/{fourth}/taken-back"), json!({})).await;
    assert!(!bought(&town, "G", 1_00).await);
    let (fifth, cap) = appealed(&town, "H").await;
    assert_eq!(cap, Some(10_00));
    assert!(bought(&town, "I", 10_00).await);
    keep(&town, &fifth).await;
    let (sixth, cap) = appealed(&town, "J").await;
    assert_eq!(cap, None, "it was as much as it may be");
    keep(&town, &sixth).await;
    assert!(!bought(&town, "K", 1_00).await);
    town.world.advance_clock((7 * 24).hours());
    let (_, cap) = appealed(&town, "L").await;
    assert_eq!(cap, Some(20_00), "a week later");
    town.world.check().await;
}
