//! One inbox for each account, with its notifications about all people: unread ones first, in order
//! of their deadline. Over the JSON API, with real tokens.

use jiff::ToSpan as _;
use sayso::domain::people::role::Role;
use serde_json::{Value, json};

use super::town::{AskFixture, YES};
use crate::support::TestDatabase;

on_both_databases!(
    what_runs_out_first_is_first_and_what_was_read_is_last,
    the_quiet_word_is_in_the_inbox_of_whoever_is_on_duty,
    an_inbox_is_of_ones_own_people_and_of_those_whom_one_covers_for,
);

async fn inbox(town: &AskFixture, who: &str) -> Vec<Value> {
    let answer = town.world.get_as(who, "/v1/me/inbox").await;
    assert_eq!(answer.status, 200, "{who}: {answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

fn kinds(inbox: &[Value]) -> Vec<(&str, &str)> {
    inbox.iter().map(|i| (i["to"].as_str().unwrap(), i["kind"].as_str().unwrap())).collect()
}

async fn read(town: &AskFixture, who: &str, item: &Value) -> crate::world::TestResponse {
    let path = format!("/v1/me/inbox/{}/read", item["id"].as_str().unwrap());
    town.world.post_as(who, &path, &json!({})).await
}

/// Dee is declined at a car park, which can wait, and at a phone shop, which cannot, and asks about
/// both.
async fn two_asks(town: &AskFixture) {
    town.refused_parking("Park", 60_00).await;
    town.ask().await;
    town.world.set_time("2026-11-23T15:30:00Z");
    town.refused("Phone").await;
    town.ask().await;
}

async fn quiet_word(town: &AskFixture) {
    let path = "/v1/people/dee/quiet-word";
    town.world.post_as("dee", path, &json!({"word": "Bus 23?"})).await;
    let text = json!({"text": "bus 23"});
    let heard = town.world.post_as("dee", "/v1/people/dee/texts", &text).await;
    assert_eq!(heard.status, 200, "{heard:?}");
}

async fn what_runs_out_first_is_first_and_what_was_read_is_last(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    two_asks(&town).await;
    let first = inbox(&town, "amina").await;
    let waiting = ("worker", "worker-waiting");
    assert_eq!(kinds(&first), [waiting, waiting]);
    let due: Vec<_> = first.iter().map(|item| item["runs_out_at"].as_str().unwrap()).collect();
    assert!(due[0] < due[1], "{due:?}");
    assert_eq!((&first[0]["person"], &first[0]["name"]), (&json!("dee"), &json!("Dee")));
    assert_eq!(first[0].get("read_at"), None);
    // A read item sorts after the unread ones. Marking it again keeps the first time.
    let at = town.world.now();
    for _ in 0..2 {
        let done = read(&town, "amina", &first[0]).await;
        assert_eq!((done.status, &done.json()["read_at"]), (200, &json!(at.to_string())));
        town.world.advance_clock(1.minutes());
    }
    let then = inbox(&town, "amina").await;
    let ids = |items: &[Value]| items.iter().map(|i| i["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&then), [first[1]["id"].clone(), first[0]["id"].clone()]);
    assert_eq!(town.world.count("read_message", "member_id = 'amina'").await, 1);
    // Nobody marks another account's item.
    for who in ["ben", "dee", "ruth", "omar"] {
        assert_eq!(read(&town, who, &first[1]).await.status, 404, "{who}");
    }
    // Dee's own inbox: items with a deadline first, then the newest first.
    let ask =
        town.world.get_as("dee", "/v1/people/dee/asks").await.json()["data"][0]["ask"].clone();
    town.answer("amina", ask.as_str().unwrap().parse().unwrap(), YES).await;
    let own = inbox(&town, "dee").await;
    let own = kinds(&own);
    assert_eq!(own[0], ("person", "ask-yes"), "{own:?}");
    assert_eq!(own[1..], [("person", "ask-sent"), ("person", "not_paid")].repeat(2), "{own:?}");
    town.world.check().await;
}

async fn the_quiet_word_is_in_the_inbox_of_whoever_is_on_duty(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    two_asks(&town).await;
    quiet_word(&town).await;
    let quiet = |to: &'static str| (to, "worker-quiet-word");
    // Dara is on duty all year.
    assert_eq!(kinds(&inbox(&town, "dara").await), [quiet("duty")]);
    assert_eq!(inbox(&town, "ruth").await, Vec::<Value>::new());
    assert_eq!(inbox(&town, "omar").await, Vec::<Value>::new(), "not on duty");
    assert!(!kinds(&inbox(&town, "amina").await).contains(&quiet("duty")));
    assert!(!kinds(&inbox(&town, "dee").await).iter().any(|(_, kind)| kind.contains("quiet")));
    // It waits for every account that comes on duty, in any staff role, and for no other one.
    town.on_duty("omar", 2, None).await;
    town.on_duty("ben", 2, None).await;
    assert_eq!(kinds(&inbox(&town, "omar").await), [quiet("duty")]);
    assert_eq!(kinds(&inbox(&town, "ben").await), [quiet("duty")]);
    // It sorts before everything else, including overdue items.
    town.on_duty("amina", 2, None).await;
    assert_eq!(kinds(&inbox(&town, "amina").await)[0], quiet("duty"));
    let item = inbox(&town, "omar").await.remove(0);
    assert_eq!(read(&town, "omar", &item).await.status, 200);
    assert_eq!(inbox(&town, "ben").await[0].get("read_at"), None, "each reads for themselves");
    // An account with a recorded conflict of interest about Dee is not notified.
    let link = |member: &mut sayso::domain::people::role::Member| {
        member.conflicts.push("dee".parse().unwrap());
    };
    town.put("ben", Role::Worker, link).await;
    assert_eq!(inbox(&town, "ben").await, Vec::<Value>::new());
    assert_eq!(read(&town, "ben", &item).await.status, 404);
    let acts = town.acts().await;
    assert!(acts.iter().all(|(_, kind)| kind == "asked"), "it leaves no trace: {acts:?}");
    town.world.advance_clock(3.hours());
    assert_eq!(inbox(&town, "omar").await, Vec::<Value>::new(), "off duty");
    // When nobody is on duty, the manager is notified too, unless they have a conflict of interest.
    town.world.set_time("2027-11-02T09:00:00Z");
    quiet_word(&town).await;
    assert_eq!(kinds(&inbox(&town, "ruth").await), [quiet("manager")]);
    town.put("ruth", Role::Manager, link).await;
    assert_eq!(inbox(&town, "ruth").await, Vec::<Value>::new());
    town.world.check().await;
}

async fn an_inbox_is_of_ones_own_people_and_of_those_whom_one_covers_for(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    two_asks(&town).await;
    assert_eq!(inbox(&town, "ben").await, Vec::<Value>::new());
    assert_eq!(inbox(&town, "ana").await, Vec::<Value>::new());
    town.on_duty("ben", 1, Some("amina")).await;
    town.on_duty("lena", 1, Some("amina")).await;
    let own = inbox(&town, "amina").await;
    assert_eq!(inbox(&town, "ben").await, own);
    assert_eq!(inbox(&town, "lena").await, own);
    for (who, role) in [("priya", Role::Finance), ("sol", Role::Operator), ("owen", Role::Auditor)]
    {
        town.put(who, role, |_| {}).await;
        assert_eq!(inbox(&town, who).await, Vec::<Value>::new(), "{who}");
    }
    town.put("hal", Role::Helper, |hal| hal.person = Some("dee".parse().unwrap())).await;
    assert_eq!(inbox(&town, "hal").await, Vec::<Value>::new());
    // Paging gives the same items.
    let mut paged = Vec::new();
    let mut path = "/v1/me/inbox?limit=1".to_owned();
    read(&town, "amina", &own[0]).await;
    loop {
        let page = town.world.get_as("amina", &path).await.json();
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/me/inbox?limit=1&cursor={next}");
    }
    assert_eq!(paged, inbox(&town, "amina").await);
    assert_eq!(paged.len(), 2);
    town.world.advance_clock(2.hours());
    assert_eq!(inbox(&town, "ben").await, Vec::<Value>::new(), "the cover is over");
    // After two months it is only on the person's page.
    town.world.advance_clock((63 * 24).hours());
    assert_eq!(inbox(&town, "amina").await, Vec::<Value>::new());
    assert_eq!(town.world.get_as("amina", "/v1/me/inbox?cursor=x").await.status, 400);
    town.world.check().await;
}
