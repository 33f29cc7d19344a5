//! The queue of a worker, over all people of their caseload.

use jiff::ToSpan as _;
use sayso::domain::people::role::Role;
use serde_json::{Value, json};

use super::town::{AskFixture, NOT_NOW, YES, handset};
use crate::support::TestDatabase;
use crate::world::World;

on_both_databases!(
    what_waits_is_in_line_by_what_runs_out_first,
    an_appeal_is_in_line_for_those_who_may_look,
    a_yes_at_night_is_looked_at_the_next_working_day,
);

async fn line(world: &World, who: &str, path: &str) -> Vec<Value> {
    let answer = world.get_as(who, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

/// Amounts of the asks in the queue, each with its caseload.
async fn asks(world: &World, who: &str) -> Vec<(i64, String)> {
    let line = line(world, who, "/v1/asks").await;
    let shown = |item: &Value| {
        let amount = item["ask"]["amount"]["amount"].as_i64().unwrap();
        (amount, item["caseload"].as_str().unwrap().to_owned())
    };
    line.iter().map(shown).collect()
}

async fn what_waits_is_in_line_by_what_runs_out_first(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    // An ask that can wait has a later deadline than one that cannot, although it was sent first.
    town.refused_parking("Park", 60_00).await;
    town.ask().await;
    world.set_time("2026-11-23T15:30:00Z");
    town.refused("Phone").await;
    let phone = town.ask().await;
    let own = |amount| (amount, "own".to_owned());
    let waits = asks(world, "amina").await;
    assert_eq!(waits.len(), 2);
    let by_time: Vec<_> = line(world, "amina", "/v1/asks")
        .await
        .iter()
        .map(|item| item["ask"]["answer_by"].as_str().unwrap().to_owned())
        .collect();
    assert!(by_time.is_sorted(), "{by_time:?}");
    let first = &line(world, "amina", "/v1/asks").await[0];
    assert_eq!((&first["person"], &first["name"]), (&json!("dee"), &json!("Dee")));
    assert_eq!(first["worker"], "amina");
    let until: jiff::Timestamp = by_time[0].parse().unwrap();
    assert_eq!(first["seconds_left"], until.duration_since(world.now()).as_secs());
    // Paging gives the same items.
    let mut paged = Vec::new();
    let mut path = "/v1/asks?limit=1".to_owned();
    loop {
        let page = world.get_as("amina", &path).await.json();
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/asks?limit=1&cursor={next}");
    }
    assert_eq!(paged, line(world, "amina", "/v1/asks").await);
    let both = |caseload: &str| {
        waits.iter().map(|(amount, _)| (*amount, caseload.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(asks(world, "ben").await, [], "somebody else's caseload");
    assert_eq!(asks(world, "ruth").await, both("programme"));
    assert_eq!(asks(world, "omar").await, [], "not on duty");
    town.on_duty("omar", 1, None).await;
    town.on_duty("ben", 1, Some("amina")).await;
    assert_eq!(asks(world, "omar").await, both("programme"));
    assert_eq!(asks(world, "ben").await, both("covered"));
    world.advance_clock(2.hours());
    assert_eq!(asks(world, "ben").await, [], "the cover is over");
    // An account that may not answer about Dee has no item of hers in its queue.
    town.put("ruth", Role::Manager, |ruth| ruth.conflicts.push("dee".parse().unwrap())).await;
    assert_eq!(asks(world, "ruth").await, []);
    town.put("dee-works", Role::Manager, |dee| dee.human = "dee".parse().unwrap()).await;
    assert_eq!(asks(world, "dee-works").await, []);
    town.answer("amina", phone.id, YES).await;
    assert_eq!(asks(world, "amina").await, [own(60_00)]);
    for bad in ["cursor=x", "cursor=ZGVl", "list=all", "limit=0"] {
        assert_eq!(world.get_as("amina", &format!("/v1/asks?{bad}")).await.status, 400, "{bad}");
    }
    town.world.check().await;
}

async fn an_appeal_is_in_line_for_those_who_may_look(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    town.put("amina-manages", Role::Manager, |amina| amina.human = "amina".parse().unwrap()).await;
    for (who, count) in [("amina", 0), ("amina-manages", 0), ("ben", 0), ("omar", 0), ("ruth", 1)] {
        assert_eq!(line(world, who, "/v1/appeals").await.len(), count, "{who}");
    }
    let first = &line(world, "ruth", "/v1/appeals").await[0];
    assert_eq!(first["appeal"]["appeal"], appeal.id.to_string());
    assert!(first["seconds_left"].as_i64().unwrap() > 0);
    town.look("ruth", appeal.id, Some("The ombudsman.")).await.unwrap();
    assert_eq!(line(world, "ruth", "/v1/appeals").await.len(), 0);
    town.world.check().await;
}

async fn a_yes_at_night_is_looked_at_the_next_working_day(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    world.set_time("2026-11-23T21:40:00Z");
    let limit =
        |omar: &mut sayso::domain::people::role::Member| omar.answer_limit_minor = Some(79_00);
    town.put("omar", Role::Duty, limit).await;
    town.on_duty("omar", 10, None).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let path = format!("/v1/people/dee/asks/{}", ask.id);
    let to_look_at = "/v1/asks?list=to_look_at";
    let early = world.post_as("amina", &format!("{path}/looked-at"), &json!({})).await;
    assert_eq!(early.status, 409, "nothing was said yet");
    let yes = world.post_as("omar", &format!("{path}/answer"), &json!({"answer": "yes"})).await;
    assert_eq!(yes.json()["answer"]["review_on"], "2026-11-24", "{yes:?}");
    assert_eq!(line(world, "omar", to_look_at).await.len(), 0, "not one's own yes");
    assert_eq!(line(world, "ben", to_look_at).await.len(), 0);
    assert_eq!(line(world, "amina", "/v1/asks").await.len(), 0);
    let timeline = world.get_as("dee", "/v1/people/dee/timeline").await;
    let kinds: Vec<_> = timeline.json()["data"].as_array().unwrap().clone();
    assert_eq!(
        (&kinds[0]["kind"], &kinds[0]["detail"]),
        (&json!("to_be_looked_at"), &json!("2026-11-24"))
    );
    // An overdue review does not affect the permission.
    world.set_time("2026-11-25T12:00:00Z");
    assert!(world.authorise(&handset("Second")).await.is_approved());
    let waits = line(world, "amina", to_look_at).await;
    assert_eq!((waits.len(), &waits[0]["ask"]["ask"]), (1, &json!(ask.id.to_string())));
    assert!(waits[0].get("seconds_left").is_none());
    let own = world.post_as("omar", &format!("{path}/looked-at"), &json!({})).await;
    assert!(matches!(own.status, 403 | 404), "{own:?}");
    for _ in 0..2 {
        let looked = world.post_as("amina", &format!("{path}/looked-at"), &json!({})).await;
        assert_eq!(looked.json()["answer"]["looked_by"], "amina", "{looked:?}");
    }
    let late = world.post_as("ruth", &format!("{path}/looked-at"), &json!({})).await;
    assert_eq!(late.status, 409);
    assert_eq!(line(world, "amina", to_look_at).await.len(), 0);
    let done: Vec<_> = town.acts().await.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(done, ["asked", "answered", "to_be_looked_at", "looked_at"]);
    town.world.check().await;
}
