//! Disputes together with other events of the same purchase.

use jiff::ToSpan as _;

use crate::caller::send_events_concurrently;
use crate::support::TestDatabase;
use crate::world::{DEMO, World, patient, purchase};

on_both_databases!(
    scenario_32_what_comes_back_twice_is_given_to_the_person_once,
    scenario_32_a_refund_and_a_dispute_at_once_give_back_what_was_captured,
    scenario_31_a_dispute_that_is_lost_after_all_takes_what_there_is,
);

const DEE_HAS: i64 = 273_90;

async fn scenario_32_what_comes_back_twice_is_given_to_the_person_once(database: TestDatabase) {
    let world = World::open(database).await;
    // The merchant's refund arrives first, or the issuer's dispute.
    for (round, is_merchant_first) in [(0, true), (1, false)] {
        let bought = purchase(&format!("Twice{round}"), 20_00);
        assert!(world.authorise(&bought).await.is_approved());
        world.send_event(&bought.captured(world.now(), "one", 20_00)).await;
        world.advance_clock(1.minute());
        let refund = bought.refunded(world.now(), "back", 20_00);
        let credit = bought.disputed(world.now(), "one", "funds_reinstated", "won", 20_00);
        let messages = if is_merchant_first { [&refund, &credit] } else { [&credit, &refund] };
        for (nth, message) in messages.into_iter().enumerate() {
            world.send_event(message).await;
            world.send_event(message).await;
            assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS], "round {round}, {nth}");
        }
        // The second one stays in suspense until somebody resolves it.
        let aside = (round + 1) * 20_00;
        assert_eq!(world.exposure_and_suspense().await, (0, aside), "round {round}");
        assert_eq!(world.disputed().await, 0);
    }
    world.check().await;
}

async fn scenario_32_a_refund_and_a_dispute_at_once_give_back_what_was_captured(
    database: TestDatabase,
) {
    const ROUNDS: i64 = 20;

    let world = World::open_with(database, &patient(DEMO)).await;
    let caller = world.caller();
    for round in 0..ROUNDS {
        let bought = purchase(&format!("Round{round}"), 20_00);
        assert!(world.authorise(&bought).await.is_approved());
        world.send_event(&bought.captured(world.now(), "one", 20_00)).await;
        world.advance_clock(1.second());
        let credit = bought.disputed(world.now(), "one", "funds_reinstated", "submitted", 12_00);
        world.advance_clock(1.second());
        let won = bought.disputed(world.now(), "one", "closed", "won", 12_00);
        let refund = bought.refunded(world.now(), "back", 15_00);
        let messages = [&credit, &refund, &won, &refund, &credit];
        send_events_concurrently(messages.map(|message| (caller.clone(), message.clone()))).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS], "round {round}");
        assert_eq!(world.exposure_and_suspense().await, (0, (round + 1) * 7_00));
        assert_eq!(world.disputed().await, 0, "round {round}");
    }
    world.check().await;
}

/// The person has spent the money of a won dispute when the dispute is lost after all.
async fn scenario_31_a_dispute_that_is_lost_after_all_takes_what_there_is(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Disputed", 60_00);
    assert!(world.authorise(&bought).await.is_approved());
    world.send_event(&bought.captured(world.now(), "one", 60_00)).await;
    world.advance_clock(1.minute());
    world.send_event(&bought.disputed(world.now(), "one", "funds_reinstated", "won", 60_00)).await;
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    let again = purchase("Again", 70_00);
    assert!(world.authorise(&again).await.is_approved());
    world.advance_clock(1.minute());
    let lost = bought.disputed(world.now(), "one", "funds_rescinded", "lost", 60_00);
    world.send_event(&lost).await;
    // 13.90 is left for food. The hold of another purchase is not used, so the rest is exposure.
    assert_eq!(world.figures("dee").await, [70_00, 13_90, DEE_HAS - 83_90]);
    assert_eq!(world.exposure_and_suspense().await, (46_10, 0));
    world.send_event(&lost).await;
    assert_eq!(world.exposure_and_suspense().await, (46_10, 0));
    assert_eq!(world.exceptions().await, ["dispute_above_money"]);
    world.send_event(&again.captured(world.now(), "one", 70_00)).await;
    assert_eq!(world.figures("dee").await, [0, 83_90, DEE_HAS - 83_90]);
    world.check().await;
}
