//! Captures and refunds in unusual amounts and orders.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::caller::send_events_concurrently;
use crate::support::TestDatabase;
use crate::world::{ANA, DEMO, FEMI, Purchase, World, patient, purchase};

on_both_databases!(
    scenario_18_of_several_captures_the_last_may_come_late,
    scenario_20_what_was_claimed_is_not_given_back_by_a_reversal,
    scenario_26_refunds_at_once_give_back_what_was_captured_and_no_more,
    scenario_27_a_refund_finds_a_pot_that_is_not_used_any_more,
    scenario_27_a_refund_finds_a_budget_that_has_ended,
    scenario_28_what_the_issuer_took_is_booked_whatever_the_card_is,
    scenario_38_a_purchase_abroad_costs_what_it_costs_at_its_capture,
    scenario_44_a_refund_today_of_yesterdays_purchase_leaves_todays_limit,
);

const DEE_HAS: i64 = 273_90;

async fn ask(world: &World, purchase: &Purchase) {
    let answer = world.authorise(purchase).await;
    assert!(answer.is_approved(), "{answer:?}");
}

/// `issuing_authorization.updated`, closed, with these captures in its list.
fn closed(purchase: &Purchase, at: Timestamp, claims: &[i64]) -> Value {
    let mut event = purchase.over(at, "closed");
    let claim = |minor: &i64| json!({"type": "capture", "amount": -minor});
    event["data"]["object"]["transactions"] = claims.iter().map(claim).collect();
    event
}

async fn scenario_18_of_several_captures_the_last_may_come_late(database: TestDatabase) {
    let world = World::open(database).await;
    let order = purchase("Parcels", 30_00);
    ask(&world, &order).await;
    world.send_event(&order.created(world.now(), 30_00)).await;
    // Three parcels. The hold decreases with each of them, and is never negative.
    for (claim, minor, held, spent) in
        [("one", 10_00, 20_00, 10_00), ("two", 12_00, 8_00, 22_00), ("three", 3_00, 5_00, 25_00)]
    {
        world.send_event(&order.captured(world.now(), claim, minor)).await;
        let left = DEE_HAS - 30_00;
        assert_eq!(world.figures("dee").await, [held, spent, left], "{claim}");
    }
    world.send_event(&closed(&order, world.now(), &[10_00, 12_00, 3_00])).await;
    assert_eq!(world.figures("dee").await, [0, 25_00, DEE_HAS - 25_00]);
    // Ten days after the rest was released a fourth capture arrives.
    world.advance_clock((10 * 24).hours());
    world.send_event(&order.captured(world.now(), "four", 5_00)).await;
    assert_eq!(world.figures("dee").await, [0, 30_00, DEE_HAS - 30_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));

    // A closing event may list captures that have not arrived yet: their amount stays held.
    let ahead = purchase("Ahead", 20_00);
    ask(&world, &ahead).await;
    world.send_event(&closed(&ahead, world.now(), &[8_00, 7_00])).await;
    assert_eq!(world.figure("dee", "held").await, 15_00);
    world.send_event(&ahead.captured(world.now(), "one", 8_00)).await;
    assert_eq!(world.figure("dee", "held").await, 7_00);
    world.send_event(&ahead.captured(world.now(), "two", 7_00)).await;
    assert_eq!(world.figures("dee").await, [0, 45_00, DEE_HAS - 45_00]);
    world.check().await;
}

async fn scenario_20_what_was_claimed_is_not_given_back_by_a_reversal(database: TestDatabase) {
    let world = World::open(database).await;
    // Captured completely or in part. The merchant's reversal arrives after the capture, or before
    // it.
    let cases = [("All", 20_00, false), ("Part", 8_00, false), ("Overtaken", 20_00, true)];
    let mut spent = 0;
    for (id, claimed, is_overtaken) in cases {
        let bought = purchase(id, 20_00);
        ask(&world, &bought).await;
        world.send_event(&bought.created(world.now(), 20_00)).await;
        let capture = bought.captured(world.now(), "one", claimed);
        world.advance_clock(1.minute());
        let reversal = bought.over(world.now(), "reversed");
        let messages = if is_overtaken { [&reversal, &capture] } else { [&capture, &reversal] };
        for message in messages {
            world.send_event(message).await;
        }
        spent += claimed;
        assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent], "{id}");
        // The merchant's refund is booked once.
        world.send_event(&bought.refunded(world.now(), "back", claimed)).await;
        spent -= claimed;
        assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent], "{id}");
        world.send_event(&reversal).await;
        assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent], "{id}");
    }
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

/// Two concurrent refunds of 12.00 for a purchase of 20.00, repeatedly.
async fn scenario_26_refunds_at_once_give_back_what_was_captured_and_no_more(
    database: TestDatabase,
) {
    const ROUNDS: i64 = 25;

    let world = World::open_with(database, &patient(DEMO)).await;
    let caller = world.caller();
    for round in 0..ROUNDS {
        let bought = purchase(&format!("Round{round}"), 20_00);
        ask(&world, &bought).await;
        world.send_event(&bought.captured(world.now(), "one", 20_00)).await;
        let refund = |claim: &str| (caller.clone(), bought.refunded(world.now(), claim, 12_00));
        // Each of them twice, as issuers retry without a response.
        send_events_concurrently(["two", "three", "two", "three"].map(refund)).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS], "round {round}");
        assert_eq!(world.exposure_and_suspense().await, (0, (round + 1) * 4_00));
    }
    assert_eq!(world.count("presentment", "direction = 'refund'").await, 2 * ROUNDS);
    assert_eq!(world.count("exception", "kind = 'refund_without_purchase'").await, ROUNDS);
    world.check().await;
}

async fn scenario_27_a_refund_finds_a_pot_that_is_not_used_any_more(database: TestDatabase) {
    let world = World::open(database).await;
    let pets = Purchase { mcc: json!("5995"), ..purchase("Pets", 40_00) };
    ask(&world, &pets).await;
    world.send_event(&pets.captured(world.now(), "one", 40_00)).await;
    assert_eq!(world.pot("dee", "pets", "spent").await, 40_00);
    // The pot is empty, and is removed from the list.
    let at = DEMO.find("[[person.pot]]\nid = \"pets\"").unwrap();
    let end = DEMO.find("[[person.pot]]\nid = \"moving-in\"").unwrap();
    let without = [&DEMO[..at], &DEMO[end..]].concat();
    world.advance_clock(1.minute());
    world.apply(&without).await;
    // The refund goes back to its pot, because the money stays in its stream.
    world.send_event(&pets.refunded(world.now(), "back", 15_00)).await;
    assert_eq!(world.pot("dee", "pets", "left").await, 15_00);
    assert_eq!(world.figures("dee").await, [0, 25_00, DEE_HAS - 25_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    // It cannot be spent, because the list does not contain the pot.
    let more = Purchase { mcc: json!("5995"), ..purchase("More", 63_91) };
    assert_eq!(world.authorise(&more).await.reason(), "no_money");
    world.check().await;
}

async fn scenario_27_a_refund_finds_a_budget_that_has_ended(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = Purchase { card: ANA.to_owned(), ..purchase("Ended", 30_00) };
    ask(&world, &bought).await;
    world.send_event(&bought.captured(world.now(), "one", 30_00)).await;
    let ended = DEMO.replace("name = \"Ana\"\n", "name = \"Ana\"\nstate = \"ended\"\n");
    assert_ne!(ended, DEMO);
    world.advance_clock(1.minute());
    world.apply(&ended).await;
    let next = Purchase { card: ANA.to_owned(), ..purchase("Next", 1_00) };
    assert!(!world.authorise(&next).await.is_approved());
    // Its stream has ended too: the money belongs to the stream, and can be returned to the funder.
    world.set_time("2027-10-15T12:00:00Z");
    world.send_event(&bought.refunded(world.now(), "back", 30_00)).await;
    assert_eq!(world.figures("ana").await, [0, 0, 45_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

async fn scenario_28_what_the_issuer_took_is_booked_whatever_the_card_is(database: TestDatabase) {
    let world = World::open(database).await;
    let frozen = DEMO.replace(
        "token = \"ic_1DemoAna00000000001\"\nlast_four = \"9034\"\nstate = \"active\"",
        "token = \"ic_1DemoAna00000000001\"\nlast_four = \"9034\"\nstate = \"lost\"",
    );
    assert_ne!(frozen, DEMO);
    world.apply(&frozen).await;
    let of = |card: &str, id: &str| Purchase { card: card.to_owned(), ..purchase(id, 20_00) };

    // A capture with a blocked card is booked, and the card stays blocked.
    let blocked = of(ANA, "Blocked");
    world.send_event(&blocked.forced(world.now(), "one", 20_00)).await;
    assert_eq!(world.figures("ana").await, [0, 20_00, 25_00]);
    assert_eq!(world.authorise(&of(ANA, "After")).await.reason(), "card_lost");
    // Empty pots pay what they have, and the rest is exposure.
    world.send_event(&blocked.forced(world.now(), "two", 40_00)).await;
    assert_eq!(world.figures("ana").await, [0, 45_00, 0]);
    assert_eq!(world.exposure_and_suspense().await, (15_00, 0));
    world.send_event(&blocked.forced(world.now(), "three", 1_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (16_00, 0));
    // A capture with a replaced card, after a decline.
    let old = of("ic_1DemoDeeOld00000001", "Old");
    assert_eq!(world.authorise(&old).await.reason(), "old_card");
    world.send_event(&old.captured(world.now(), "one", 20_00)).await;
    assert_eq!(world.figures("dee").await, [0, 20_00, DEE_HAS - 20_00]);
    // A capture with an unknown card is exposure completely.
    world.send_event(&of("ic_nobody_has_this", "Nobody").forced(world.now(), "one", 20_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (36_00, 0));
    let above = world.count("exception", "kind = 'capture_above_money'").await;
    assert_eq!(above, 3, "each time that money was missing, somebody is told");
    assert_eq!(world.count("exception", "kind = 'unknown_card'").await, 1);
    world.check().await;
}

async fn scenario_38_a_purchase_abroad_costs_what_it_costs_at_its_capture(database: TestDatabase) {
    let world = World::open(database).await;
    let abroad = |id: &str| Purchase { country: "FR".to_owned(), ..purchase(id, 20_00) };
    let in_euros = |mut message: Value, path: &str| {
        let object = message["data"]["object"].as_object_mut().unwrap();
        let money = if path.is_empty() { object } else { object[path].as_object_mut().unwrap() };
        money.insert("merchant_amount".to_owned(), json!(23_40));
        money.insert("merchant_currency".to_owned(), json!("eur"));
        message
    };
    let mut spent = 0;
    // The exchange rate at the capture is higher, lower, and far above the hold.
    for (id, captured) in [("Dearer", 20_61), ("Cheaper", 19_57), ("Much", 29_99)] {
        let bought = abroad(id);
        let question = in_euros(bought.request(world.now()), "pending_request");
        assert!(world.authorise_body(&question.to_string()).await.is_approved());
        assert_eq!(world.figure("dee", "held").await, 20_00, "the billing amount is held");
        world.send_event(&in_euros(bought.created(world.now(), 20_00), "")).await;
        world.send_event(&in_euros(bought.captured(world.now(), "one", captured), "")).await;
        world.send_event(&closed(&bought, world.now(), &[captured])).await;
        spent += captured;
        assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent], "{id}");
    }
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.count("purchase", "abroad = 'yes'").await, 3);
    world.check().await;
}

async fn scenario_44_a_refund_today_of_yesterdays_purchase_leaves_todays_limit(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    // Femi agreed on 30.00 a day for food.
    let femi = |id: &str, amount| Purchase { card: FEMI.to_owned(), ..purchase(id, amount) };
    let yesterday = femi("Yesterday", 30_00);
    ask(&world, &yesterday).await;
    world.send_event(&yesterday.captured(world.now(), "one", 30_00)).await;
    world.advance_clock(24.hours());
    ask(&world, &femi("Today", 25_00)).await;
    world.send_event(&yesterday.refunded(world.now(), "back", 30_00)).await;
    assert_eq!(world.figures("femi").await, [25_00, 0, 105_00], "the money is back");
    assert_eq!(world.authorise(&femi("Over", 5_01)).await.reason(), "over_period");
    ask(&world, &femi("Fits", 5_00)).await;
    assert_eq!(world.authorise(&femi("Again", 1)).await.reason(), "over_period");
    // A reversal and a refund free the limit of their purchase's day only.
    world.send_event(&femi("Today", 25_00).over(world.now(), "reversed")).await;
    let fits = femi("Fits", 5_00);
    world.send_event(&fits.captured(world.now(), "one", 5_00)).await;
    world.send_event(&fits.refunded(world.now(), "back", 5_00)).await;
    ask(&world, &femi("Room", 30_00)).await;
    assert_eq!(world.authorise(&femi("Full", 1)).await.reason(), "over_period");
    let days = "SELECT CAST(amount_minor AS TEXT) FROM counter ORDER BY first_day";
    assert_eq!(world.database.rows(days).await.concat(), ["0", "3000"]);
    world.check().await;
}
