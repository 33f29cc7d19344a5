//! Events of a purchase after its authorisation.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{
    ANA, APPROVED, AuthorisationState, CONNECTION, Purchase, World, purchase, sample,
};

on_both_databases!(
    scenario_15_a_capture_before_its_authorisation_counts_once,
    scenario_15_a_question_after_its_capture_holds_nothing,
    scenario_16_a_smaller_capture_keeps_the_rest_until_the_purchase_is_closed,
    scenario_17_a_larger_capture_takes_what_is_left_then_other_pots_then_the_programme,
    scenario_19_a_capture_is_booked_once_however_often_it_is_told,
    scenario_22_a_hold_that_was_undone_can_be_placed_again,
    scenario_23_an_increment_is_held_once,
    scenario_25_a_refund_of_nothing_known_is_kept_aside,
    scenario_26_refunds_never_give_back_more_than_was_captured,
    scenario_26_a_refund_before_its_capture_finds_its_way,
    scenario_29_a_late_capture_is_booked_after_the_hold_expired,
    scenario_36_what_the_issuer_ends_is_released,
    scenario_8_what_was_approved_without_us_holds_what_there_is,
    scenario_31_what_we_do_not_know_yet_is_stored_whole,
);

/// What Dee's pots have together, and what of it may pay for food.
const DEE_HAS: i64 = 273_90;
const FOOD_HAS: i64 = 83_90;

async fn ask(world: &World, purchase: &Purchase) {
    let answer = world.authorise(purchase).await;
    assert!(answer.is_approved(), "{answer:?}");
}

/// A snapshot whose event id is derived from its contents.
fn stands(purchase: &Purchase, at: Timestamp, state: &AuthorisationState<'_>) -> Value {
    let AuthorisationState { status, amount, answers, .. } = *state;
    let name = format!("{status}_{amount}_{answers}_{}", at.as_second());
    purchase.snapshot("updated", at, &AuthorisationState { name: &name, ..*state })
}

async fn scenario_15_a_capture_before_its_authorisation_counts_once(database: TestDatabase) {
    let world = World::open(database).await;
    let at = world.now();
    // Every order of four messages, each order for a purchase of its own.
    let mut orders = 0;
    for a in 0..4_usize {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                let order = [a, b, c, 6 - a - b - c];
                let bought = purchase(&format!("{a}{b}{c}"), 1_00);
                let [_, _, left_before] = world.figures("dee").await;
                for step in order {
                    match step {
                        0 => world.send_event(&bought.captured(at, "one", 1_00)).await,
                        1 => world.send_event(&bought.created(at, 1_00)).await,
                        2 => world.send_event(&bought.over(at, "closed")).await,
                        _ => ask(&world, &bought).await,
                    }
                    let [_, _, left] = world.figures("dee").await;
                    assert!(left_before - left <= 1_00, "{order:?} after {step}");
                }
                orders += 1;
                let spent = orders * 1_00;
                assert_eq!(world.figures("dee").await, [0, spent, DEE_HAS - spent], "{order:?}");
            }
        }
    }
    assert_eq!(orders, 24);
    assert_eq!(world.count("purchase", "captured_minor = 100").await, 24);
    world.check().await;
}

/// What the issuer booked stays booked, also when the pots could not pay it a second time.
async fn scenario_15_a_question_after_its_capture_holds_nothing(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Early", 60_00);
    world.send_event(&bought.captured(world.now(), "one", 60_00)).await;
    assert_eq!(world.exceptions().await, ["capture_before_authorisation"]);
    let answer = world.authorise(&bought).await;
    assert_eq!(answer.reason(), "no_money");
    world.send_event(&bought.created(world.now(), 60_00)).await;
    let exceptions = world.exceptions().await;
    assert!(!exceptions.contains(&"capture_before_authorisation".to_owned()), "{exceptions:?}");
    assert_eq!(world.figures("dee").await, [0, 60_00, DEE_HAS - 60_00]);
    world.check().await;
}

async fn scenario_16_a_smaller_capture_keeps_the_rest_until_the_purchase_is_closed(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let bought = purchase("Part", 12_50);
    ask(&world, &bought).await;
    world.send_event(&bought.created(world.now(), 12_50)).await;
    assert_eq!(world.figures("dee").await, [12_50, 0, DEE_HAS - 12_50]);
    world.send_event(&bought.captured(world.now(), "one", 4_00)).await;
    assert_eq!(world.figures("dee").await, [8_50, 4_00, DEE_HAS - 12_50]);
    // A second partial capture; the rest stays held.
    world.send_event(&bought.captured(world.now(), "two", 6_00)).await;
    assert_eq!(world.figures("dee").await, [2_50, 10_00, DEE_HAS - 12_50]);
    world.send_event(&bought.over(world.now(), "closed")).await;
    assert_eq!(world.figures("dee").await, [0, 10_00, DEE_HAS - 10_00]);
    assert!(world.exceptions().await.is_empty());
    world.check().await;
}

async fn scenario_17_a_larger_capture_takes_what_is_left_then_other_pots_then_the_programme(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    // A tip: the pot with the hold has 3.90 left, and the emergency pot pays 6.10.
    let meal = Purchase { mcc: json!("5411"), ..purchase("Tip", 60_00) };
    ask(&world, &meal).await;
    world.send_event(&meal.captured(world.now(), "one", 70_00)).await;
    assert_eq!(world.pot("dee", "week", "spent").await, 63_90);
    assert_eq!(world.pot("dee", "emergency", "spent").await, 6_10);
    assert_eq!(world.pot("dee", "moving-in", "left").await, 150_00, "that is for furniture");
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.exceptions().await, ["captured_above_hold"], "a grocer has no tips");

    // Nothing is left: the rest is exposure, with an exception.
    let more = purchase("More", 10_00);
    ask(&world, &more).await;
    world.send_event(&more.captured(world.now(), "one", 20_00)).await;
    assert_eq!(world.pot("dee", "emergency", "left").await, 0);
    assert_eq!(world.exposure_and_suspense().await, (6_10, 0));
    let noted = ["capture_above_money", "captured_above_hold"];
    assert_eq!(world.exceptions().await, noted);
    let owed = "from_account = 'exposure' AND amount_minor = 610";
    assert_eq!(world.count("journal", owed).await, 1);

    // A refund reduces the exposure first.
    world.send_event(&more.refunded(world.now(), "back", 7_10)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.pot("dee", "emergency", "left").await, 1_00);
    world.check().await;
}

async fn scenario_19_a_capture_is_booked_once_however_often_it_is_told(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Twice", 10_00);
    ask(&world, &bought).await;
    let capture = bought.captured(world.now(), "one", 10_00);
    let mut renamed = capture.clone();
    renamed["id"] = json!("evt_another_event_about_it");
    let (one, two, three) = tokio::join!(
        world.send_event(&capture),
        world.send_event(&capture),
        world.send_event(&renamed)
    );
    assert_eq!([one, two, three], [(), (), ()]);
    world.send_event(&capture).await;
    world.send_event(&renamed).await;
    assert_eq!(world.figures("dee").await, [0, 10_00, DEE_HAS - 10_00]);
    assert_eq!(world.count("presentment", "1 = 1").await, 1);
    assert_eq!(world.count("issuer_event", "1 = 1").await, 2);
    world.check().await;
}

async fn scenario_22_a_hold_that_was_undone_can_be_placed_again(database: TestDatabase) {
    let world = World::open(database).await;
    let [reversed, empty, again] = [("reversed", 0), ("pending", 0), ("pending", 8_00)]
        .map(|(status, amount)| AuthorisationState { status, amount, ..APPROVED });
    for (id, undone) in [("Reversed", &reversed), ("Empty", &empty)] {
        let bought = purchase(id, 8_00);
        ask(&world, &bought).await;
        world.send_event(&stands(&bought, world.now(), undone)).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
        world.advance_clock(1.minute());
        world.send_event(&stands(&bought, world.now(), &again)).await;
        assert_eq!(world.figures("dee").await, [8_00, 0, DEE_HAS - 8_00]);
        world.send_event(&bought.over(world.now(), "reversed")).await;
    }
    // The event of the second hold arrives before that of the first one's reversal.
    let bought = purchase("Overtaken", 8_00);
    ask(&world, &bought).await;
    let undone = stands(&bought, world.now(), &reversed);
    world.advance_clock(1.minute());
    world.send_event(&stands(&bought, world.now(), &again)).await;
    world.send_event(&undone).await;
    assert_eq!(world.figures("dee").await, [8_00, 0, DEE_HAS - 8_00]);
    world.check().await;
}

async fn scenario_23_an_increment_is_held_once(database: TestDatabase) {
    let world = World::open(database).await;
    let first = purchase("Taxi", 10_00);
    ask(&world, &first).await;
    let second = Purchase { amount: 5_00, answers: 1, ..first.clone() };
    let answer = world.authorise(&second).await;
    assert!(answer.is_approved());
    assert_eq!(world.figures("dee").await, [15_00, 0, DEE_HAS - 15_00]);
    assert_eq!(world.authorise(&second).await, answer, "the same question has one answer");
    // The first snapshot is late: it includes one response only.
    world.send_event(&first.created(world.now(), 10_00)).await;
    assert_eq!(world.figures("dee").await, [15_00, 0, DEE_HAS - 15_00]);
    let both = AuthorisationState { amount: 15_00, answers: 2, ..APPROVED };
    world.send_event(&stands(&first, world.now(), &both)).await;
    assert_eq!(world.figures("dee").await, [15_00, 0, DEE_HAS - 15_00]);

    // A declined increment leaves the hold unchanged, also when the issuer reports it.
    let third = Purchase { amount: 200_00, answers: 2, ..first.clone() };
    assert_eq!(world.authorise(&third).await.reason(), "no_money");
    world.advance_clock(1.second());
    world
        .send_event(&stands(&first, world.now(), &AuthorisationState { answers: 3, ..both }))
        .await;
    assert_eq!(world.figures("dee").await, [15_00, 0, DEE_HAS - 15_00]);
    // The merchant lowers the hold.
    world.advance_clock(1.second());
    let lower = AuthorisationState { amount: 9_00, answers: 3, ..APPROVED };
    world.send_event(&stands(&first, world.now(), &lower)).await;
    assert_eq!(world.figures("dee").await, [9_00, 0, DEE_HAS - 9_00]);
    world.check().await;
}

async fn scenario_25_a_refund_of_nothing_known_is_kept_aside(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Bought", 10_00);
    ask(&world, &bought).await;
    world.send_event(&bought.captured(world.now(), "one", 10_00)).await;
    // Same shop and amount, but without a link it is not booked to that purchase.
    world.send_event(&bought.refunded_unlinked(world.now(), "back", 10_00)).await;
    assert_eq!(world.figures("dee").await, [0, 10_00, DEE_HAS - 10_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 10_00));
    assert_eq!(world.exceptions().await, ["refund_without_purchase"]);

    let stranger = Purchase { card: "ic_nobody_has_this".to_owned(), ..purchase("Nobody", 3_00) };
    world.send_event(&stranger.refunded_unlinked(world.now(), "back", 3_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 13_00));
    let kinds = ["refund_without_purchase", "refund_without_purchase", "unknown_card"];
    assert_eq!(world.exceptions().await, kinds);
    assert_eq!(world.figures("dee").await, [0, 10_00, DEE_HAS - 10_00]);
    world.check().await;
}

async fn scenario_26_refunds_never_give_back_more_than_was_captured(database: TestDatabase) {
    let world = World::open(database).await;
    // 70.00 comes from two pots, the emergency pot last.
    let bought = purchase("Split", 70_00);
    ask(&world, &bought).await;
    world.send_event(&bought.captured(world.now(), "one", 70_00)).await;
    // A refund of half fills the pot that was drawn last first.
    world.send_event(&bought.refunded(world.now(), "half", 35_00)).await;
    assert_eq!(world.pot("dee", "emergency", "left").await, 20_00);
    assert_eq!(world.pot("dee", "week", "left").await, 28_90);
    world.send_event(&bought.refunded(world.now(), "half", 35_00)).await;
    assert_eq!(world.figures("dee").await, [0, 35_00, DEE_HAS - 35_00], "the same refund");
    assert!(world.exceptions().await.is_empty());
    // Two concurrent refunds, together one pound more than is left to refund.
    let (two, three) =
        (bought.refunded(world.now(), "two", 18_00), bought.refunded(world.now(), "three", 18_00));
    tokio::join!(world.send_event(&two), world.send_event(&three));
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.exposure_and_suspense().await, (0, 1_00));
    assert_eq!(world.exceptions().await, ["refund_without_purchase"]);
    world.check().await;
}

async fn scenario_26_a_refund_before_its_capture_finds_its_way(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Backwards", 20_00);
    ask(&world, &bought).await;
    world.send_event(&bought.refunded(world.now(), "back", 8_00)).await;
    assert_eq!(world.figures("dee").await, [20_00, 0, DEE_HAS - 20_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 8_00));
    world.send_event(&bought.captured(world.now(), "one", 20_00)).await;
    assert_eq!(world.figures("dee").await, [0, 12_00, DEE_HAS - 12_00]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

async fn scenario_29_a_late_capture_is_booked_after_the_hold_expired(database: TestDatabase) {
    let world = World::open(database).await;
    let ana = |id, amount| Purchase { card: ANA.to_owned(), ..purchase(id, amount) };
    let late = ana("Late", 30_00);
    ask(&world, &late).await;
    world.advance_clock((7 * 24).hours());
    world.send_event(&late.over(world.now(), "expired")).await;
    assert_eq!(world.figures("ana").await, [0, 0, 45_00]);
    ask(&world, &ana("Meanwhile", 25_00)).await;
    world.advance_clock((13 * 24).hours());
    // 20.00 is left, and the hold of another purchase is not used.
    world.send_event(&late.captured(world.now(), "one", 30_00)).await;
    assert_eq!(world.figures("ana").await, [25_00, 20_00, 0]);
    assert_eq!(world.exposure_and_suspense().await, (10_00, 0));
    assert_eq!(world.exceptions().await, ["capture_above_money"]);
    world.check().await;
}

async fn scenario_36_what_the_issuer_ends_is_released(database: TestDatabase) {
    let world = World::open(database).await;
    let declined = AuthorisationState {
        status: "closed",
        approved: false,
        reason: "webhook_timeout",
        name: "declined",
        ..APPROVED
    };
    for id in ["reversed", "expired", "declined", "unknown"] {
        let bought = purchase(id, 12_50);
        ask(&world, &bought).await;
        assert_eq!(world.figures("dee").await, [12_50, 0, DEE_HAS - 12_50], "{id}");
        let news = match id {
            "declined" => bought.snapshot("created", world.now(), &declined),
            // The issuer declined it for its own lack of funds.
            "unknown" => {
                let reason = "insufficient_funds";
                bought.snapshot("created", world.now(), &AuthorisationState { reason, ..declined })
            }
            over => bought.over(world.now(), over),
        };
        world.send_event(&news).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS], "{id}");
        world.send_event(&news).await;
        // A retry gets the recorded response, and holds nothing.
        ask(&world, &bought).await;
        assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS], "{id}");
    }
    assert_eq!(world.count("counter", "amount_minor <> 0 OR purchases <> 0").await, 0);
    world.check().await;
}

async fn scenario_8_what_was_approved_without_us_holds_what_there_is(database: TestDatabase) {
    let world = World::open(database).await;
    let ana = Purchase { card: ANA.to_owned(), ..purchase("Network", 5_00) };
    let fallback = AuthorisationState { reason: "network_fallback", amount: 5_00, ..APPROVED };
    world.send_event(&ana.snapshot("created", world.now(), &fallback)).await;
    assert_eq!(world.figures("ana").await, [5_00, 0, 40_00]);
    assert_eq!(world.exceptions().await, ["decided_without_us"]);

    let much = purchase("Timeout", 90_00);
    let timeout = AuthorisationState { reason: "webhook_timeout", amount: 90_00, ..APPROVED };
    world.send_event(&much.snapshot("created", world.now(), &timeout)).await;
    assert_eq!(world.figures("dee").await, [FOOD_HAS, 0, DEE_HAS - FOOD_HAS]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0), "nothing is owed before it is claimed");
    let without_us = ["decided_without_us"; 2];
    assert_eq!(world.exceptions().await, [&without_us[..], &["hold_above_money"]].concat());
    // Nothing is left for another purchase of that kind.
    assert_eq!(world.authorise(&purchase("Next", 1)).await.reason(), "no_money");
    world.send_event(&much.captured(world.now(), "one", 90_00)).await;
    assert_eq!(world.figures("dee").await, [0, FOOD_HAS, DEE_HAS - FOOD_HAS]);
    assert_eq!(world.exposure_and_suspense().await, (90_00 - FOOD_HAS, 0));
    // The amount that the pots lacked is no longer held.
    let noted = ["capture_above_money", "decided_without_us", "decided_without_us"];
    assert_eq!(world.exceptions().await, noted);

    // The issuer's own rules declined it: nothing is held.
    let refused = purchase("Refused", 2_00);
    let no = AuthorisationState { approved: false, status: "closed", ..timeout };
    world.send_event(&refused.snapshot("created", world.now(), &no)).await;
    assert_eq!(world.figures("dee").await[0], 0);
    world.check().await;
}

async fn scenario_31_what_we_do_not_know_yet_is_stored_whole(database: TestDatabase) {
    let world = World::open(database).await;
    let mut dispute = sample("evt-dispute-submitted");
    dispute["created"] = json!(world.now().as_second());
    let mut texts = vec![dispute.to_string()];
    for (n, kind) in
        ["issuing_card.updated", "issuing_dispute.closed", "never.heard.of"].iter().enumerate()
    {
        // White space, key order and unknown fields: the body is stored unchanged.
        texts.push(format!(
            "{{ \"type\":\"{kind}\",\n\"id\":\"evt_new_{n}\", \"created\": {}, \"data\": \
             {{\"object\": {{\"z\": [1.5, null], \"a\": \"é\"}}}} }}",
            world.now().as_second()
        ));
    }
    for text in &texts {
        for _ in 0..2 {
            let answer = world.send_event_body(text).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        }
    }
    let stored = world.database.rows("SELECT body, state FROM issuer_event ORDER BY 1").await;
    texts.sort();
    let mut bodies: Vec<_> = stored.iter().map(|row| row[0].clone()).collect();
    bodies.sort();
    assert_eq!(bodies, texts);
    // The dispute waits for its capture; a dispute without one is an exception.
    for row in &stored {
        assert_eq!(row[1], if row[0].contains("idp_1") { "parked" } else { "kept" });
    }
    assert_eq!(world.exceptions().await, ["dispute_of_unknown_claim", "not_understood"]);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.count("issuer_event", &format!("connection_id = '{CONNECTION}'")).await, 4);
    world.check().await;
}
