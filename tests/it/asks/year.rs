//! A year of asks: a budget keeps few permissions, however many were given.

use jiff::ToSpan as _;
use sayso::domain::ask::AskKind;
use sayso::domain::money::Money;
use sayso::operations::explain::{Replay, explain};
use sayso::people::asks::{AskRequest, AskTarget};

use super::town::{AskFixture, YES, handset};
use crate::support::TestDatabase;
use crate::world::{DEMO, World, patient};

on_both_databases!(
    three_hundred_asks_leave_few_permissions,
    a_file_forgets_no_permission_that_helps,
);

/// A permission that begins next year must not affect the deletion of ended ones.
async fn a_file_forgets_no_permission_that_helps(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let one = |from: &str, ends: &str| {
        format!(
            "[[person.permission]]\non = {{ category = \"phone\" }}\nup_to = \"79.00\"\n\
             uses = 1\nfrom = {from}\nends = {ends}\n\n"
        )
    };
    let helps = one("2026-11-22T00:00:00Z", "2026-12-06T00:00:00Z");
    let coming = one("2027-11-23T00:00:00Z", "2027-11-30T00:00:00Z");
    let femi = DEMO.find("[[person]]\nid = \"femi\"").unwrap();
    for permissions in [helps.clone(), format!("{helps}{coming}")] {
        let file = format!("{}{permissions}{}", &DEMO[..femi], &DEMO[femi..]);
        world.apply(&patient(&file)).await;
    }
    assert_eq!(world.count("permission", "budget_id = 'dee'").await, 2);
    assert!(world.authorise(&handset("First")).await.is_approved());
    world.check().await;
}

async fn three_hundred_asks_leave_few_permissions(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, YES).await;
    let paid = world.authorise(&handset("Second")).await;
    assert!(paid.is_approved());
    world.send_event(&handset("Second").created(world.now(), 79_00)).await;
    let mut most = 0;
    for number in 0..300 {
        world.advance_clock(29.hours());
        let wish = AskRequest {
            kind: AskKind::OneTime,
            about: AskTarget::Shop { name: format!("Shop {number}") },
            up_to: Some(Money::from_minor(1_00, "GBP".parse().unwrap())),
            words: None,
        };
        let ask = town.try_authorise("dee", &wish).await.unwrap();
        town.answer("amina", ask.id, YES).await;
        if number % 50 == 0 {
            world.upkeep().await;
        }
        if number % 10 == 9 {
            most = most.max(world.count("permission", "budget_id = 'dee'").await);
        }
    }
    // One ends every 29 hours and is kept for 40 days; two are valid.
    assert!((30..=40).contains(&most), "{most}");
    let used = format!("permission_id = '{}'", ask_permission(&town, ask.id).await);
    assert_eq!(world.count("permission", &used).await, 0, "it has long ended");
    // A decision that used a deleted permission is explained as before, and its purchase can still
    // be reversed.
    let store = world.app.store();
    let explained = explain(store, world.app.directory(), &paid.decision()).await.unwrap();
    assert_eq!(explained[0].replay, Replay::Same);
    world.prove().await;
    world.send_event(&handset("Second").over(world.now(), "reversed")).await;
    world.prove().await;
    let held = world.figures("dee").await[0];
    assert_eq!(held, 0);
    town.world.check().await;
}

async fn ask_permission(town: &AskFixture, ask: sayso::domain::id::AskId) -> String {
    town.now(ask).await.answer.unwrap().permission.unwrap().to_string()
}
