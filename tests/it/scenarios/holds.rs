//! Holds before the capture: raised, lowered, reversed and expired.

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::caller::{authorise_concurrently, send_events_concurrently};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{APPROVED, AuthorisationState, DEMO, Purchase, World, patient, purchase};

on_both_databases!(
    scenario_13_one_purchase_asked_for_under_two_names_is_held_twice,
    scenario_21_reversals_give_back_what_is_held_and_no_more,
    scenario_24_an_increment_to_no_more_than_before_holds_no_more,
    scenario_30_a_hold_that_expires_and_is_claimed_at_once_is_paid_once,
    scenario_30_a_hold_expires_once_however_often_it_is_looked_at,
);

const DEE_HAS: i64 = 273_90;

async fn ask(world: &World, purchase: &Purchase) {
    let answer = world.authorise(purchase).await;
    assert!(answer.is_approved(), "{answer:?}");
}

/// A snapshot of an open authorisation that holds `amount` after `answers` requests.
fn open(purchase: &Purchase, at: Timestamp, amount: i64, answers: usize) -> Value {
    let name = format!("{amount}_{answers}_{}", at.as_second());
    let state = AuthorisationState { name: &name, amount, answers, ..APPROVED };
    purchase.snapshot("updated", at, &state)
}

/// The till retries under another reference. Both are held until one is reversed.
async fn scenario_13_one_purchase_asked_for_under_two_names_is_held_twice(database: TestDatabase) {
    let world = World::open(database).await;
    let (first, again) = (purchase("First", 20_00), purchase("Again", 20_00));
    ask(&world, &first).await;
    ask(&world, &again).await;
    assert_eq!(world.figures("dee").await, [40_00, 0, DEE_HAS - 40_00]);
    // Further ones up to what the pots have for food.
    for id in ["Third", "Fourth"] {
        ask(&world, &purchase(id, 20_00)).await;
    }
    assert_eq!(world.authorise(&purchase("Fifth", 20_00)).await.reason(), "no_money");
    // The first one is reversed, and the second one is captured.
    world.send_event(&first.over(world.now(), "reversed")).await;
    world.send_event(&again.captured(world.now(), "one", 20_00)).await;
    world.send_event(&first.over(world.now(), "reversed")).await;
    assert_eq!(world.figures("dee").await, [40_00, 20_00, DEE_HAS - 60_00]);
    assert!(world.exceptions().await.is_empty());
    world.check().await;
}

async fn scenario_21_reversals_give_back_what_is_held_and_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    // Lowered twice and reversed, each event sent twice, and the oldest one once more at the end.
    let bought = purchase("Lowered", 70_00);
    ask(&world, &bought).await;
    let begun = bought.created(world.now(), 70_00);
    world.send_event(&begun).await;
    let mut told = Vec::new();
    for (amount, week, emergency) in [(65_00, 63_90, 1_10), (40_00, 40_00, 0), (0, 0, 0)] {
        world.advance_clock(1.minute());
        let lowered = if amount == 0 {
            bought.over(world.now(), "reversed")
        } else {
            open(&bought, world.now(), amount, 1)
        };
        for _ in 0..2 {
            world.send_event(&lowered).await;
            assert_eq!(world.pot("dee", "week", "held").await, week, "{amount}");
            assert_eq!(world.pot("dee", "emergency", "held").await, emergency, "{amount}");
        }
        told.push(lowered);
    }
    for old in told.iter().chain([&begun]) {
        world.send_event(old).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    }
    // Another reversal with its own event id.
    world.advance_clock(1.minute());
    let state = AuthorisationState { name: "again", status: "reversed", ..APPROVED };
    world.send_event(&bought.snapshot("updated", world.now(), &state)).await;
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.count("hold", "held_minor <> 0").await, 0);
    world.check().await;
}

async fn scenario_24_an_increment_to_no_more_than_before_holds_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    let ride = purchase("Ride", 10_00);
    ask(&world, &ride).await;
    world.send_event(&ride.created(world.now(), 10_00)).await;
    // An increment of zero, confirmed by a snapshot.
    ask(&world, &Purchase { amount: 0, answers: 1, ..ride.clone() }).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.advance_clock(1.minute());
    world.send_event(&open(&ride, world.now(), 10_00, 2)).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    // The hold is lowered, and the freed part is requested again.
    world.advance_clock(1.minute());
    world.send_event(&open(&ride, world.now(), 6_00, 2)).await;
    assert_eq!(world.figures("dee").await, [6_00, 0, DEE_HAS - 6_00]);
    ask(&world, &Purchase { amount: 4_00, answers: 2, ..ride.clone() }).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.advance_clock(1.minute());
    world.send_event(&open(&ride, world.now(), 10_00, 3)).await;
    assert_eq!(world.figures("dee").await, [10_00, 0, DEE_HAS - 10_00]);
    // A negative amount is rejected.
    let less = Purchase { amount: -1_00, answers: 3, ..ride.clone() };
    assert_eq!(world.authorise(&less).await.status, 400);
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.check().await;
}

/// Many holds expire while they are captured: a third is captured before, a third concurrently, a
/// third after. Two gateways run upkeep on PostgreSQL, one runs it twice concurrently on SQLite.
async fn scenario_30_a_hold_that_expires_and_is_claimed_at_once_is_paid_once(
    database: TestDatabase,
) {
    const EACH: usize = 120;

    let world = World::open_with(database, &patient(DEMO)).await;
    let second = match world.database.kind {
        DatabaseKind::Postgres => Some(world.another().await),
        DatabaseKind::Sqlite => None,
    };
    let caller = world.caller();
    let bought: Vec<_> = (0..3 * EACH).map(|n| purchase(&format!("Race{n}"), 20)).collect();
    for some in bought.chunks(EACH) {
        let asked = some.iter().map(|bought| (caller.clone(), bought.clone()));
        for (answer, _) in authorise_concurrently(asked).await {
            assert!(answer.is_approved(), "{answer:?}");
        }
    }
    world.advance_clock((8 * 24).hours());
    // Captured completely, or by half: then the rest is released.
    let claimed = |n: usize| if n.is_multiple_of(2) { 20 } else { 10 };
    let claims: Vec<_> = (0..)
        .zip(&bought)
        .map(|(n, bought)| (caller.clone(), bought.captured(world.now(), "one", claimed(n))))
        .collect();
    let (before, others) = claims.split_at(EACH);
    let (meanwhile, after) = others.split_at(EACH);
    send_events_concurrently(before.iter().cloned()).await;
    let other = second.as_ref().unwrap_or(&world.app);
    let claiming = send_events_concurrently(meanwhile.iter().cloned());
    let ((), one, two) = tokio::join!(claiming, world.app.upkeep(), other.upkeep());
    let expired = one.unwrap().expired + two.unwrap().expired;
    assert!((EACH..=3 * EACH).contains(&expired), "{expired} ran out");
    send_events_concurrently(after.iter().cloned()).await;
    // After a capture of half in time, the other half is held for the same period again.
    world.advance_clock((8 * 24).hours());
    world.upkeep().await;

    let spent: i64 = (0..3 * EACH).map(claimed).sum();
    assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.count("hold", "held_minor <> 0").await, 0);
    if let Some(second) = second {
        second.stop().await;
    }
    world.check().await;
}

async fn scenario_30_a_hold_expires_once_however_often_it_is_looked_at(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    for n in 0..10 {
        ask(&world, &purchase(&format!("Once{n}"), 2_00)).await;
    }
    world.advance_clock((8 * 24).hours());
    let app = &world.app;
    let (one, two, three) = tokio::join!(app.upkeep(), app.upkeep(), app.upkeep());
    let expired = [one, two, three].map(|done| done.unwrap().expired);
    assert_eq!(expired.iter().sum::<usize>(), 10, "{expired:?}");
    assert_eq!(world.count("posting", "kind = 'expiry'").await, 10);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    world.check().await;
}
