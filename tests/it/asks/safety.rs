//! Safety notices without surveillance.

use jiff::ToSpan as _;
use sayso::domain::ask::{AskRefusalReason, AskReply};
use sayso::domain::people::role::{Delegation, Member, Role};
use sayso::people::asks;
use sayso::people::asks::TalkNotes;
use sayso::people::members::UseCaseError;
use serde_json::json;

use super::town::{AskFixture, dee};
use crate::support::TestDatabase;

on_both_databases!(
    the_quiet_word_tells_duty_and_nobody_else,
    the_card_comes_back_when_the_person_says_so,
    a_no_for_safety_rests_on_a_talk,
);

async fn the_quiet_word_tells_duty_and_nobody_else(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    town.on_duty("omar", 4, None).await;
    // Lena knows Dee privately; Hal is Dee's helper.
    town.put("lena", Role::Manager, |lena| lena.conflicts.push(dee())).await;
    let helps = |hal: &mut Member| {
        hal.person = Some(dee());
        hal.sees = Delegation::ALL.to_vec();
    };
    town.put("hal", Role::Helper, helps).await;
    let chosen = json!({"word": "Bus 23?"});
    assert_eq!(world.post_as("dee", "/v1/people/dee/quiet-word", &chosen).await.status, 200);
    let too_short = json!({"word": "b 2!"});
    assert_eq!(world.post_as("dee", "/v1/people/dee/quiet-word", &too_short).await.status, 422);
    let mut replies = Vec::new();
    for text in ["bus 24", "BUS 23", ""] {
        replies.push(world.post_as("dee", "/v1/people/dee/texts", &json!({"text": text})).await);
    }
    assert_eq!(replies[0].status, 200);
    assert_eq!(replies[0], replies[1], "nobody who looks on can tell");
    assert_eq!(replies[0], replies[2]);
    let told = town.told().await;
    let told: Vec<_> = told.iter().map(|(to, kind, _)| (to.as_str(), kind.as_str())).collect();
    assert_eq!(told, [("duty", "worker-quiet-word")]);
    for (who, status, is_told) in [
        ("dee", 200, false),
        ("hal", 403, false),
        ("ben", 404, false),
        ("lena", 200, false),
        ("omar", 200, true),
        ("amina", 200, false),
    ] {
        for list in ["messages", "timeline", "looks", "asks", "talks"] {
            let read = world.get_as(who, &format!("/v1/people/dee/{list}")).await;
            assert_eq!(read.status, status, "{who} {list}");
            let shows = read.body.contains("quiet");
            assert_eq!(shows, is_told && list == "messages", "{who} {list}: {read:?}");
        }
    }
    assert_eq!(town.acts().await, []);
    let stored = world.database.rows("SELECT digest FROM quiet_word").await;
    assert!(!stored[0][0].contains("bus"));
    assert!(world.authorise(&crate::world::purchase("After", 1_00)).await.is_approved());
    // With nobody on duty the manager is notified too.
    world.set_time("2027-11-02T09:00:00Z");
    world.post_as("dee", "/v1/people/dee/texts", &json!({"text": "bus 23"})).await;
    let told: Vec<_> = town.told().await.into_iter().map(|(to, _, _)| to).collect();
    assert_eq!(told, ["duty", "duty", "manager"]);
    town.world.check().await;
}

async fn the_card_comes_back_when_the_person_says_so(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    let path = "/v1/people/dee/custody";
    let at_first = world.get_as("amina", path).await.json();
    assert_eq!(at_first, json!({"holder": "person", "due": false}));
    let kept = json!({"holder": "kept_safe", "name": "The office"});
    for (who, status) in [("amina", 403), ("ruth", 403), ("ben", 404), ("dee", 201)] {
        assert_eq!(world.post_as(who, path, &kept).await.status, status, "{who}");
    }
    let nobody = json!({"holder": "helper"});
    assert_eq!(world.post_as("dee", path, &nobody).await.status, 422, "who is it?");
    let shown = world.get_as("amina", path).await.json();
    assert_eq!((&shown["review_on"], &shown["due"]), (&json!("2026-12-07"), &json!(false)));
    world.advance_clock((14 * 24).hours());
    assert_eq!(world.get_as("amina", path).await.json()["due"], true);
    assert!(world.authorise(&crate::world::purchase("Late", 1_00)).await.is_approved());
    let back = world.post_as("dee", path, &json!({"holder": "person"})).await;
    assert_eq!(back.json()["name"], "Dee");
    assert_eq!(world.get_as("amina", path).await.json()["due"], false);
    let told: Vec<_> = town.told().await.into_iter().map(|(to, kind, _)| (to, kind)).collect();
    let told: Vec<_> = told.iter().map(|(to, kind)| (to.as_str(), kind.as_str())).collect();
    assert_eq!(
        told,
        [
            ("person", "custody-changed"),
            ("worker", "worker-card-elsewhere"),
            ("worker", "worker-card-back"),
        ]
    );
    town.world.check().await;
}

async fn a_no_for_safety_rests_on_a_talk(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let no = AskReply::NotThisTime(AskRefusalReason::Safety);
    let refused = town.try_answer("amina", ask.id, no.clone()).await;
    assert!(matches!(refused, Err(UseCaseError::Invalid { field: "reason", .. })), "{refused:?}");
    let mut talked = TalkNotes {
        concern: "Somebody waits for Dee at the shop.".to_owned(),
        wants: String::new(),
        consent: "She understood, and agreed.".to_owned(),
        options: "Going together tomorrow.".to_owned(),
        next_step: "We talk again on Friday.".to_owned(),
    };
    for wants in ["", "To choose the day herself."] {
        talked.wants = wants.to_owned();
        let mut tx = town.world.app.store().begin().await.unwrap();
        let (context, acting) = (town.context(), town.acting("amina"));
        let written = asks::record_talk(&mut tx, context, &acting, &dee(), &talked).await;
        assert_eq!(written.is_ok(), !wants.is_empty(), "what the person wants is written down");
        tx.commit().await.unwrap();
    }
    town.answer("amina", ask.id, no).await;
    town.world.check().await;
}
