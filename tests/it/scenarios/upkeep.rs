//! Upkeep without messages: holds expire by the gateway's clock, and unconfirmed approvals become
//! exceptions.

use jiff::ToSpan as _;
use sayso::operations::exceptions;
use sayso::operations::upkeep::UpkeepReport;
use serde_json::json;

use crate::support::TestDatabase;
use crate::world::{Purchase, World, purchase};

on_both_databases!(
    scenario_7_an_approval_that_is_not_confirmed_is_told_after_ten_minutes,
    scenario_12_a_hold_that_nobody_speaks_of_is_given_back,
    scenario_12_a_hotel_has_longer,
    scenario_29_a_claim_after_our_own_expiry_is_paid,
    scenario_31_disputed_money_moves_once,
    scenario_31_a_dispute_waits_for_its_claim,
);

/// What all of Dee's pots have at the beginning.
const DEE_HAS: i64 = 273_90;

async fn unconfirmed(world: &World) -> Vec<String> {
    let found = exceptions::list(world.app.store(), world.now(), 100).await.unwrap();
    found.into_iter().filter(|e| e.kind == "not_confirmed").map(|e| e.subject).collect()
}

async fn scenario_7_an_approval_that_is_not_confirmed_is_told_after_ten_minutes(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let (told, silent) = (purchase("Told", 5_00), purchase("Silent", 7_00));
    assert!(
        world.authorise(&told).await.is_approved() && world.authorise(&silent).await.is_approved()
    );
    world.send_event(&told.created(world.now(), 5_00)).await;
    world.advance_clock(9.minutes());
    assert_eq!(world.upkeep().await.unconfirmed, 0);
    assert!(unconfirmed(&world).await.is_empty());
    world.advance_clock(2.minutes());
    assert_eq!(world.upkeep().await.unconfirmed, 1);
    assert_eq!(unconfirmed(&world).await, [format!("riverside-stripe/{}", silent.id)]);
    assert_eq!(world.figures("dee").await[0], 12_00, "the hold stays until somebody knows");
    // The event was only late: the exception is settled.
    world.send_event(&silent.created(world.now(), 7_00)).await;
    assert!(unconfirmed(&world).await.is_empty());
    world.check().await;
}

async fn scenario_12_a_hold_that_nobody_speaks_of_is_given_back(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Forgotten", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    world.advance_clock((6 * 24).hours());
    world.send_event(&bought.created(world.now(), 12_50)).await;
    world.advance_clock((7 * 24 - 1).hours());
    assert_eq!(world.upkeep().await, UpkeepReport::default());
    assert_eq!(world.figures("dee").await, [12_50, 0, DEE_HAS - 12_50]);
    world.advance_clock(1.hour());
    assert_eq!(world.upkeep().await.expired, 1);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.upkeep().await, UpkeepReport::default(), "nothing is given back twice");
    assert_eq!(world.count("counter", "amount_minor <> 0 OR purchases <> 0").await, 0);

    // An event older than the last known snapshot changes nothing. A newer one counts although it
    // arrives late: its hold continues.
    let days_ago = |days: i64| world.now().checked_sub((24 * days).hours()).unwrap();
    let (old, newer) = (days_ago(8), days_ago(1));
    let mut message = bought.created(old, 12_50);
    message["id"] = json!("evt_1Old");
    world.send_event(&message).await;
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    let mut message = bought.created(newer, 12_50);
    message["id"] = json!("evt_1StillOpen");
    world.send_event(&message).await;
    assert_eq!(world.figures("dee").await, [12_50, 0, DEE_HAS - 12_50]);
    world.advance_clock((7 * 24).hours());
    assert_eq!(world.upkeep().await.expired, 1);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    world.check().await;
}

async fn scenario_12_a_hotel_has_longer(database: TestDatabase) {
    let world = World::open(database).await;
    let hotel =
        Purchase { mcc: json!("7011"), shop: "TEST HOTEL".to_owned(), ..purchase("Room", 20_00) };
    // The issuer's network approved it by itself.
    world.send_event(&hotel.created(world.now(), 20_00)).await;
    let held = world.figures("dee").await[0];
    assert!(held > 0, "some pot pays for it");
    world.advance_clock((30 * 24).hours());
    assert_eq!(world.upkeep().await.expired, 0);
    assert_eq!(world.figures("dee").await[0], held);
    world.advance_clock((24).hours());
    assert_eq!(world.upkeep().await.expired, 1);
    assert_eq!(world.figures("dee").await[0], 0);
    world.check().await;
}

async fn scenario_29_a_claim_after_our_own_expiry_is_paid(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("LateClaim", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    world.advance_clock((20 * 24).hours());
    assert_eq!(world.upkeep().await.expired, 1);
    world.send_event(&bought.captured(world.now(), "late", 12_50)).await;
    assert_eq!(world.figures("dee").await, [0, 12_50, DEE_HAS - 12_50]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

async fn scenario_31_disputed_money_moves_once(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Disputed", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    world.send_event(&bought.captured(world.now(), "one", 12_50)).await;
    let say = async |kind: &str, status: &str| {
        world.advance_clock(1.minute());
        let event = bought.disputed(world.now(), "one", kind, status, 12_50);
        world.send_event(&event).await;
        world.send_event(&event).await;
        (world.figures("dee").await, world.disputed().await)
    };
    let (paid, has) = ([0, 12_50, DEE_HAS - 12_50], [0, 0, DEE_HAS]);
    assert_eq!(say("submitted", "submitted").await, (paid, 0));
    assert_eq!(say("funds_reinstated", "submitted").await, (paid, 12_50), "not theirs yet");
    assert_eq!(say("closed", "won").await, (has, 0), "moved on, once");
    // The shop objects, and the dispute is lost.
    assert_eq!(say("funds_rescinded", "lost").await, (paid, 0));
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

async fn scenario_31_a_dispute_waits_for_its_claim(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Ahead", 12_50);
    assert!(world.authorise(&bought).await.is_approved());
    world.send_event(&bought.disputed(world.now(), "one", "funds_reinstated", "won", 12_50)).await;
    assert_eq!(world.exceptions().await, ["dispute_of_unknown_claim"]);
    assert_eq!(world.upkeep().await.unparked, 0);
    world.send_event(&bought.captured(world.now(), "one", 12_50)).await;
    assert_eq!(world.figures("dee").await, [0, 12_50, DEE_HAS - 12_50]);
    assert_eq!(world.upkeep().await.unparked, 1);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert!(world.exceptions().await.is_empty(), "nobody has to look any more");
    assert_eq!(world.upkeep().await, UpkeepReport::default());
    world.check().await;
}
