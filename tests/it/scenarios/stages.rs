//! Staged release: at local midnight, exact to the second and to the penny.

use sayso::operations::explain::{Replay, explain};
use sayso::programme::apply::apply;
use serde_json::json;

use crate::support::TestDatabase;
use crate::world::{DEMO, RULES, World, purchase};

on_both_databases!(
    scenario_42_a_stage_begins_at_local_midnight_to_the_second_at_every_gateway,
    what_comes_back_can_be_spent_again_once,
    a_person_sees_what_can_be_spent_and_what_comes,
    stages_of_a_pot_in_use_begin_with_what_is_left,
);

/// The demo with £30.00 released each Monday in Dee's week pot, and without emergency money.
fn staged() -> String {
    released(r#"release = { amount = "30.00", every = "week", from = 2026-11-23 }"#)
}

/// The demo with `release` in Dee's week pot.
fn released(release: &str) -> String {
    let week = "allocated = \"3120.00\"\n";
    let file = DEMO.replacen(week, &format!("{week}{release}\n"), 1);
    let food = "only = [\"food\", \"energy\", \"health\", \"around\", \"phone\"]\n";
    let file = file.replacen(
        &format!("{food}loads = [{{ id = \"start\", amount = \"20.00\" }}]\n"),
        food,
        1,
    );
    assert!(!file.contains("amount = \"20.00\" }]\n\n[person.agreement]"), "{file}");
    file
}

/// The reason of the decline; empty if approved.
async fn answered(world: &World, id: &str, amount: i64) -> String {
    world.authorise(&purchase(id, amount)).await.reason()
}

async fn scenario_42_a_stage_begins_at_local_midnight_to_the_second_at_every_gateway(
    database: TestDatabase,
) {
    // Monday begins in New York at five in the morning UTC.
    let file = staged().replace("Europe/London", "America/New_York");
    let world = World::open_with(database, &file).await;
    let other = world.another().await;
    let there = world.caller_of(&other);
    assert_eq!(answered(&world, "Most", 30_01).await, "not_yet");
    assert_eq!(answered(&world, "First", 26_10).await, "");
    assert_eq!(answered(&world, "More", 10_00).await, "not_yet");
    let told = world.database.rows("SELECT body FROM message ORDER BY message_id").await;
    let text = "Not paid. No money was taken. You have £3.90 for this now. £30 more comes on \
                Mon 30 November. Ask for £3.90 on this card and the rest another way.";
    assert_eq!(told.last().unwrap()[0], text);

    world.set_time("2026-11-30T04:59:59Z");
    assert_eq!(answered(&world, "TooSoon", 3_91).await, "not_yet");
    assert!(!there.authorise(&purchase("TooSoonThere", 3_91)).await.is_approved());
    world.set_time("2026-11-30T05:00:00Z");
    assert_eq!(answered(&world, "Beyond", 33_91).await, "not_yet");
    assert!(there.authorise(&purchase("Second", 33_90)).await.is_approved());
    // The last stage releases the rest; afterwards there is nothing to wait for.
    assert_eq!(answered(&world, "Last", 3_90).await, "not_yet");
    world.set_time("2026-12-07T05:00:00Z");
    assert_eq!(answered(&world, "None", 3_91).await, "no_money");
    assert_eq!(answered(&world, "All", 3_90).await, "");
    // A stage begins without a posting.
    assert_eq!(
        world.count("posting", "kind NOT IN ('agreement', 'pot', 'load', 'decision')").await,
        0
    );

    let (store, directory) = (world.app.store(), world.app.directory());
    for name in ["Most", "First", "More", "TooSoon", "Beyond", "Second", "Last", "None", "All"] {
        let explained = explain(store, directory, &format!("iauth_1Test{name}")).await.unwrap();
        assert_eq!(explained.len(), 1);
        assert_eq!(explained[0].replay, Replay::Same, "{name}: {explained:?}");
    }
    other.stop().await;
    world.check().await;
}

async fn what_comes_back_can_be_spent_again_once(database: TestDatabase) {
    let world = World::open_with(database, &staged()).await;
    let boots = purchase("Boots", 30_00);
    assert!(world.authorise(&boots).await.is_approved());
    world.send_event(&boots.captured(world.now(), "claim", 30_00)).await;
    assert_eq!(answered(&world, "Nothing", 1).await, "not_yet");
    world.send_event(&boots.refunded(world.now(), "back", 10_00)).await;
    assert_eq!(answered(&world, "Beyond", 10_01).await, "not_yet");
    assert_eq!(answered(&world, "Back", 10_00).await, "");
    assert_eq!(answered(&world, "Gone", 1).await, "not_yet");
    // A capture without an authorisation uses money that is not released yet; the next stage fills
    // the gap.
    let forced = purchase("Forced", 12_00);
    world.send_event(&forced.forced(world.now(), "forced", 12_00)).await;
    assert_eq!(world.pot("dee", "week", "left").await, 21_90);
    world.set_time("2026-11-30T09:00:00Z");
    assert_eq!(answered(&world, "TooMuch", 18_01).await, "not_yet");
    assert_eq!(answered(&world, "Rest", 18_00).await, "");
    world.check().await;
}

async fn a_person_sees_what_can_be_spent_and_what_comes(database: TestDatabase) {
    let file = released(
        r#"release = { at_once = "3.90", amount = "40.00", every = "month", from = 2026-10-31 }"#,
    );
    let world = World::open_with(database, &file).await;
    let pounds = |minor: i64| json!({"amount": minor, "currency": "GBP"});
    let week = async || {
        let dee = world.get_as("dee", "/v1/people/dee").await.json();
        (dee["spendable"].clone(), dee["pots"][2].clone())
    };
    let (all, pot) = week().await;
    assert_eq!(all, pounds(40_00 + 150_00 + 43_90));
    assert_eq!((&pot["left"], &pot["spendable"]), (&pounds(63_90), &pounds(43_90)));
    assert_eq!(pot["next"], json!({"on": "2026-11-30", "amount": pounds(20_00)}));
    let list = world.get_as("dee", "/v1/people/dee/agreement").await.json();
    let release = &list["pots"][2]["release"];
    assert_eq!((&release["every"], &release["from"]), (&json!("month"), &json!("2026-10-31")));
    world.set_time("2026-11-30T00:00:00Z");
    let (_, pot) = week().await;
    assert_eq!((&pot["spendable"], pot.get("next")), (&pounds(63_90), None));
    let programme = "riverside".parse().unwrap();
    let shown = sayso::programme::show::show(world.app.store(), &programme);
    let line = "release = { at_once = \"3.90\", amount = \"40.00\", every = \"month\", \
                from = 2026-10-31 }";
    assert!(shown.await.unwrap().unwrap().contains(line));
    world.check().await;
}

async fn stages_of_a_pot_in_use_begin_with_what_is_left(database: TestDatabase) {
    let world = World::open_with(database, &released("")).await;
    assert_eq!(answered(&world, "Before", 46_10).await, "");
    // Money transferred into a pot of her own counts as gone from this one.
    for (path, body) in [
        ("pots", json!({"of": "week", "name": "Boots"})),
        ("moves", json!({"from": "week", "to": "own-1", "amount": 3_90})),
    ] {
        let answer = world.post_as("dee", &format!("/v1/people/dee/{path}"), &body).await;
        assert!(answer.status < 300, "{answer:?}");
    }
    let apply = |file: String| {
        let (store, ids, now) = (world.app.store(), world.app.ids(), world.now());
        async move { apply(store, ids, now, &file, RULES).await.map(|applied| applied.waiting) }
    };
    let refused = apply(staged()).await.unwrap_err().to_string();
    assert!(refused.contains("pot week: GBP 50.00 of it is gone already"), "{refused}");
    assert!(refused.contains("at_once = \"50.00\""), "{refused}");
    let caught_up =
        r#"release = { at_once = "50.00", amount = "5.00", every = "day", from = 2026-11-23 }"#;
    let waiting = apply(released(caught_up)).await.unwrap();
    assert_eq!(world.agree(&waiting).await.len(), 1);
    assert_eq!(answered(&world, "Beyond", 5_01).await, "not_yet");
    assert_eq!(answered(&world, "Stage", 5_00).await, "");
    world.check().await;
}
