//! What becomes of a hold before it is claimed: raised, lowered, given up, forgotten.

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::support::TestDatabase;
use crate::world::{APPROVED, Purchase, Standing, World, purchase};

on_both_databases!(
    scenario_13_one_purchase_asked_for_under_two_names_is_held_twice,
    scenario_21_reversals_give_back_what_is_held_and_no_more,
    scenario_24_an_increment_to_no_more_than_before_holds_no_more,
);

const DEE_HAS: i64 = 273_90;

async fn ask(world: &World, purchase: &Purchase) {
    let answer = world.ask(purchase).await;
    assert!(answer.is_approved(), "{answer:?}");
}

/// A snapshot of an open authorisation: it holds `amount` after `answers` questions.
fn open(purchase: &Purchase, at: Timestamp, amount: i64, answers: usize) -> Value {
    let name = format!("{amount}_{answers}_{}", at.as_second());
    let standing = Standing { name: &name, amount, answers, ..APPROVED };
    purchase.standing("updated", at, &standing)
}

/// The merchant's till tries again under another name. Both are true for us until one is undone.
async fn scenario_13_one_purchase_asked_for_under_two_names_is_held_twice(database: TestDatabase) {
    let world = World::open(database).await;
    let (first, again) = (purchase("First", 20_00), purchase("Again", 20_00));
    ask(&world, &first).await;
    ask(&world, &again).await;
    assert_eq!(world.figures("dee").await, [40_00, 0, DEE_HAS - 40_00]);
    // A third would be more than there is for food.
    for id in ["Third", "Fourth"] {
        ask(&world, &purchase(id, 20_00)).await;
    }
    assert_eq!(world.ask(&purchase("Fifth", 20_00)).await.reason(), "no_money");
    // The till gave the first one up; the second is what was bought.
    world.tell(&first.over(world.now(), "reversed")).await;
    world.tell(&again.captured(world.now(), "one", 20_00)).await;
    world.tell(&first.over(world.now(), "reversed")).await;
    assert_eq!(world.figures("dee").await, [40_00, 20_00, DEE_HAS - 60_00]);
    assert!(world.exceptions().await.is_empty());
    world.check().await;
}

async fn scenario_21_reversals_give_back_what_is_held_and_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    // Lowered, lowered again, and given up; each told twice, and the oldest news once more at last.
    let bought = purchase("Lowered", 70_00);
    ask(&world, &bought).await;
    let begun = bought.created(world.now(), 70_00);
    world.tell(&begun).await;
    let mut told = Vec::new();
    for (amount, week, emergency) in [(65_00, 63_90, 1_10), (40_00, 40_00, 0), (0, 0, 0)] {
        world.pass(1.minute());
        let lowered = if amount == 0 {
            bought.over(world.now(), "reversed")
        } else {
            open(&bought, world.now(), amount, 1)
        };
        for _ in 0..2 {
            world.tell(&lowered).await;
            assert_eq!(world.pot("dee", "week", "held").await, week, "{amount}");
            assert_eq!(world.pot("dee", "emergency", "held").await, emergency, "{amount}");
        }
        told.push(lowered);
    }
    for old in told.iter().chain([&begun]) {
        world.tell(old).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    }
    // Another reversal, as a message of its own.
    world.pass(1.minute());
    let standing = Standing { name: "again", status: "reversed", ..APPROVED };
    world.tell(&bought.standing("updated", world.now(), &standing)).await;
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.count("hold", "held_minor <> 0").await, 0);
    world.check().await;
}

async fn scenario_24_an_increment_to_no_more_than_before_holds_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    let ride = purchase("Ride", 10_00);
    ask(&world, &ride).await;
    world.tell(&ride.created(world.now(), 10_00)).await;
    // Asked for nothing more, and told of nothing more.
    ask(&world, &Purchase { amount: 0, answers: 1, ..ride.clone() }).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.pass(1.minute());
    world.tell(&open(&ride, world.now(), 10_00, 2)).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    // Lower: a part is given back, and may be asked for again.
    world.pass(1.minute());
    world.tell(&open(&ride, world.now(), 6_00, 2)).await;
    assert_eq!(world.figures("dee").await, [6_00, 0, DEE_HAS - 6_00]);
    ask(&world, &Purchase { amount: 4_00, answers: 2, ..ride.clone() }).await;
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.pass(1.minute());
    world.tell(&open(&ride, world.now(), 10_00, 3)).await;
    assert_eq!(world.figures("dee").await, [10_00, 0, DEE_HAS - 10_00]);
    // And a shop that asks for less than nothing is not understood.
    let less = Purchase { amount: -1_00, answers: 3, ..ride.clone() };
    assert_eq!(world.ask(&less).await.status, 400);
    assert_eq!(world.figure("dee", "held").await, 10_00);
    world.check().await;
}
