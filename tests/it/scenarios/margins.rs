//! Purchases in another currency, held with the programme's margin.

use std::iter;

use sayso::app::gateway::App;
use sayso::domain::money::Money;
use sayso::operations::explain::{Replay, explain};
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{APPROVED, AuthorisationState, DEMO, FEMI, Purchase, World, purchase};

on_both_databases!(
    scenario_38_a_margin_is_held_and_the_true_price_is_booked,
    scenario_38_without_a_margin_or_another_currency_what_is_asked_is_held,
    scenario_38_a_margin_takes_what_there_is_and_refuses_nobody,
    scenario_38_an_increment_is_paid_from_the_margin_before_it_is_refused,
    scenario_38_a_margin_counts_in_no_limit,
    scenario_38_a_margin_is_that_of_the_day_on_which_the_purchase_began,
    scenario_38_any_order_of_messages_in_another_currency_ends_the_same,
    scenario_38_a_margin_is_explained_and_replayed,
    scenario_38_purchases_from_before_margins_were_known_have_none_and_prove,
);

const DEE_HAS: i64 = 273_90;
/// What of Dee's money may pay for food.
const FOR_FOOD: i64 = 83_90;

/// The demo with a margin of `percent`.
fn with_margin(percent: u32) -> String {
    let line = format!("country = \"GB\"\nexchange_margin_percent = {percent}\n");
    let file = DEMO.replacen("country = \"GB\"\n", &line, 1);
    assert_ne!(file, DEMO);
    file
}

/// `message` with a merchant who prices in euros.
fn in_euros(mut message: Value) -> Value {
    let object = &mut message["data"]["object"];
    object["merchant_currency"] = json!("eur");
    if !object["pending_request"].is_null() {
        object["pending_request"]["merchant_currency"] = json!("eur");
        object["pending_request"]["merchant_amount"] = json!(23_40);
    }
    message
}

async fn ask(world: &World, purchase: &Purchase) {
    let answer = world.authorise_body(&in_euros(purchase.request(world.now())).to_string()).await;
    assert!(answer.is_approved(), "{answer:?}");
    assert_eq!(answer.json()["amount"], Value::Null, "what was asked is answered");
}

/// The reason for which a purchase in euros is declined.
async fn refused(world: &World, purchase: &Purchase) -> String {
    world.authorise_body(&in_euros(purchase.request(world.now())).to_string()).await.reason()
}

/// `issuing_authorization.updated`, closed after `answers` requests, with these captures in its
/// list.
fn closed(world: &World, purchase: &Purchase, answers: usize, claims: &[i64]) -> Value {
    let state = AuthorisationState { name: "closed", status: "closed", answers, ..APPROVED };
    let mut event = in_euros(purchase.snapshot("updated", world.now(), &state));
    let claim = |minor: &i64| json!({"type": "capture", "amount": -minor});
    event["data"]["object"]["transactions"] = claims.iter().map(claim).collect();
    event
}

async fn scenario_38_a_margin_is_held_and_the_true_price_is_booked(database: TestDatabase) {
    let world = World::open_with(database, &with_margin(5)).await;
    let mut spent = 0;
    // The exchange rate at the capture: above the hold within the margin, at its end, below the
    // hold, and beyond the margin.
    for (id, captured, rest) in
        [("Dearer", 20_61, 0), ("Dearest", 21_00, 0), ("Cheaper", 19_57, 1_43), ("Much", 22_00, 0)]
    {
        let bought = purchase(id, 20_00);
        ask(&world, &bought).await;
        let left = DEE_HAS - spent - 21_00;
        assert_eq!(world.figures("dee").await, [21_00, spent, left], "{id}");
        // The request is retried, and the issuer reports it twice.
        ask(&world, &bought).await;
        for _ in 0..2 {
            world.send_event(&in_euros(bought.created(world.now(), 20_00))).await;
            assert_eq!(world.figures("dee").await, [21_00, spent, left], "{id}");
        }
        world.send_event(&in_euros(bought.captured(world.now(), "one", captured))).await;
        spent += captured;
        let figures = world.figures("dee").await;
        assert_eq!(figures, [rest, spent, DEE_HAS - spent - rest], "{id}: what was captured");
        world.send_event(&closed(&world, &bought, 1, &[captured])).await;
        assert_eq!(
            world.figures("dee").await,
            [0, spent, DEE_HAS - spent],
            "{id}: the rest is back"
        );
    }
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.exceptions().await, ["captured_above_hold"], "only what no rate explains");
    world.check().await;
}

async fn scenario_38_without_a_margin_or_another_currency_what_is_asked_is_held(
    database: TestDatabase,
) {
    let world = World::open_with(database, &with_margin(0)).await;
    let none = purchase("None", 20_00);
    ask(&world, &none).await;
    world.send_event(&in_euros(none.created(world.now(), 20_00))).await;
    assert_eq!(world.figure("dee", "held").await, 20_00);
    // A later margin does not affect a purchase that has begun.
    world.apply(&with_margin(25)).await;
    world.send_event(&in_euros(none.created(world.now(), 20_00))).await;
    assert_eq!(world.figure("dee", "held").await, 20_00);
    let home = purchase("Home", 10_00);
    assert!(world.authorise(&home).await.is_approved());
    world.send_event(&home.created(world.now(), 10_00)).await;
    assert_eq!(world.figure("dee", "held").await, 30_00);
    // Abroad but priced in pounds: no currency conversion, so no margin.
    let abroad = Purchase { country: "FR".to_owned(), ..purchase("Abroad", 10_00) };
    assert!(world.authorise(&abroad).await.is_approved());
    assert_eq!(world.figure("dee", "held").await, 40_00);
    world.check().await;
}

async fn scenario_38_a_margin_takes_what_there_is_and_refuses_nobody(database: TestDatabase) {
    let world = World::open_with(database, &with_margin(5)).await;
    // 20.40 is left for food, and 21.00 should be held.
    let other = purchase("Other", FOR_FOOD - 20_40);
    assert!(world.authorise(&other).await.is_approved());
    let held = FOR_FOOD - 20_40;
    let bought = purchase("Bought", 20_00);
    ask(&world, &bought).await;
    assert_eq!(world.figure("dee", "held").await, FOR_FOOD);
    world.send_event(&in_euros(bought.created(world.now(), 20_00))).await;
    assert_eq!(world.figure("dee", "held").await, FOR_FOOD);
    assert_eq!(world.exceptions().await, [""; 0], "a margin that is not there is nobody's matter");
    world.send_event(&in_euros(bought.captured(world.now(), "one", 20_30))).await;
    world.send_event(&closed(&world, &bought, 1, &[20_30])).await;
    assert_eq!(world.figures("dee").await, [held, 20_30, DEE_HAS - held - 20_30]);
    // Ten pence are left, and can be spent completely.
    assert_eq!(refused(&world, &purchase("Over", 11)).await, "no_money");
    let last = purchase("Last", 10);
    ask(&world, &last).await;
    world.send_event(&in_euros(last.created(world.now(), 10))).await;
    assert_eq!(world.exceptions().await, [""; 0]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    // A capture beyond the balance is exposure.
    world.send_event(&in_euros(last.captured(world.now(), "one", 12))).await;
    assert_eq!(world.exposure_and_suspense().await, (2, 0));
    assert_eq!(world.exceptions().await, ["capture_above_money"]);
    world.check().await;
}

async fn scenario_38_an_increment_is_paid_from_the_margin_before_it_is_refused(
    database: TestDatabase,
) {
    let world = World::open_with(database, &with_margin(5)).await;
    let other = purchase("Other", FOR_FOOD - 25_00);
    assert!(world.authorise(&other).await.is_approved());
    let held = FOR_FOOD - 25_00;
    let bought = purchase("Bought", 20_00);
    ask(&world, &bought).await;
    assert_eq!(world.figure("dee", "held").await, held + 21_00);
    let more = Purchase { amount: 3_00, answers: 1, ..bought.clone() };
    ask(&world, &more).await;
    assert_eq!(world.figure("dee", "held").await, held + 24_15, "5 % of all of it");
    // 0.85 is left in the pot, and 1.15 is held as margin.
    let most = Purchase { amount: 2_01, answers: 2, ..bought.clone() };
    assert_eq!(refused(&world, &most).await, "no_money");
    let rest = Purchase { amount: 2_00, answers: 3, ..bought.clone() };
    ask(&world, &rest).await;
    ask(&world, &rest).await;
    assert_eq!(world.figure("dee", "held").await, held + 25_00);
    let all = AuthorisationState { amount: 25_00, answers: 4, name: "all", ..APPROVED };
    world.send_event(&in_euros(bought.snapshot("updated", world.now(), &all))).await;
    assert_eq!(world.figure("dee", "held").await, held + 25_00);
    // According to this snapshot the issuer approved all four requests, one of which was declined
    // here.
    assert_eq!(world.exceptions().await, ["decided_without_us"]);
    world.send_event(&in_euros(bought.captured(world.now(), "one", 24_40))).await;
    world.send_event(&closed(&world, &bought, 4, &[24_40])).await;
    assert_eq!(world.figures("dee").await, [held, 24_40, DEE_HAS - held - 24_40]);
    world.check().await;
}

async fn scenario_38_a_margin_counts_in_no_limit(database: TestDatabase) {
    let world = World::open_with(database, &with_margin(10)).await;
    // Femi agreed on 30.00 a day for food.
    let femi = |id: &str, amount| Purchase { card: FEMI.to_owned(), ..purchase(id, amount) };
    let counted = || async {
        let days = "SELECT CAST(amount_minor AS TEXT) FROM counter ORDER BY first_day";
        world.database.rows(days).await.concat()
    };
    let lunch = femi("Lunch", 20_00);
    ask(&world, &lunch).await;
    assert_eq!(world.figure("femi", "held").await, 22_00);
    assert_eq!(counted().await, ["2000"]);
    let supper = femi("Supper", 10_00);
    ask(&world, &supper).await;
    assert_eq!(world.figure("femi", "held").await, 33_00);
    assert_eq!(counted().await, ["3000"]);
    assert_eq!(refused(&world, &femi("Over", 1)).await, "over_period");
    // The captured amount counts, and not the requested one.
    world.send_event(&in_euros(lunch.captured(world.now(), "one", 21_00))).await;
    assert_eq!(counted().await, ["3100"]);
    world.send_event(&in_euros(supper.captured(world.now(), "one", 8_00))).await;
    assert_eq!(counted().await, ["3100"]);
    world.send_event(&closed(&world, &supper, 1, &[8_00])).await;
    assert_eq!(counted().await, ["2900"]);
    ask(&world, &femi("Room", 1_00)).await;
    world.check().await;
}

async fn scenario_38_a_margin_is_that_of_the_day_on_which_the_purchase_began(
    database: TestDatabase,
) {
    let world = World::open_with(database, &with_margin(5)).await;
    let early = purchase("Early", 20_00);
    ask(&world, &early).await;
    // The first purchase's currency is known from its request only, the other one's is not known
    // yet.
    let told = purchase("Told", 2_00);
    world.send_event(&told.created(world.now(), 2_00)).await;
    let held = || world.figure("dee", "held");
    assert_eq!(held().await, 23_00);
    world.apply(&with_margin(10)).await;
    world.send_event(&in_euros(early.created(world.now(), 20_00))).await;
    assert_eq!(held().await, 23_00);
    let more = Purchase { amount: 4_00, answers: 1, ..early.clone() };
    ask(&world, &more).await;
    assert_eq!(held().await, 27_20);
    world.send_event(&in_euros(told.captured(world.now(), "one", 1_00))).await;
    assert_eq!(held().await, 26_30, "1.00, and the margin of the day on which it began");
    let late = purchase("Late", 10_00);
    ask(&world, &late).await;
    assert_eq!(held().await, 37_30);
    world.apply(&with_margin(0)).await;
    let both = AuthorisationState { amount: 24_00, answers: 2, name: "both", ..APPROVED };
    world.send_event(&in_euros(early.snapshot("updated", world.now(), &both))).await;
    world.send_event(&in_euros(late.created(world.now(), 10_00))).await;
    assert_eq!(held().await, 37_30);
    let last = Purchase { amount: 2_00, answers: 2, ..early };
    ask(&world, &last).await;
    assert_eq!(held().await, 39_40, "more of a purchase that began with a margin");
    // A reversed purchase that is requested again starts anew, with the current margin.
    world.send_event(&in_euros(late.over(world.now(), "reversed"))).await;
    assert_eq!(held().await, 28_40);
    let again = Purchase { answers: 1, ..late };
    ask(&world, &again).await;
    assert_eq!(held().await, 38_40);
    world.check().await;
}

/// All orders of `count` items.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |begun, thing| {
        let with = |order: &Vec<usize>| {
            let at = 0..=order.len();
            at.map(|at| [&order[..at], &[thing], &order[at..]].concat()).collect::<Vec<_>>()
        };
        begun.iter().flat_map(with).collect()
    })
}

/// Two requests, two snapshots and a capture in every order; every other order with each message
/// twice.
async fn scenario_38_any_order_of_messages_in_another_currency_ends_the_same(
    database: TestDatabase,
) {
    let rich = with_margin(5).replace("amount = \"60.00\" }]", "amount = \"600.00\" }]");
    let world = World::open_with(database, &rich).await;
    let mut expected = world.figures("dee").await;
    for (number, order) in orders(5).into_iter().enumerate() {
        let bought = purchase(&format!("Order{number}"), 10);
        let more = Purchase { amount: 5, answers: 1, ..bought.clone() };
        let snapshot = |answers, amount, name| {
            let state = AuthorisationState { name, amount, answers, ..APPROVED };
            bought.snapshot("updated", world.now(), &state)
        };
        // The first snapshot does not contain the currency.
        let (first, both) = (snapshot(1, 10, "first"), in_euros(snapshot(2, 15, "second")));
        let claim = in_euros(bought.captured(world.now(), "one", 9));
        let order: Vec<_> = if number % 2 == 0 { order } else { [&order[..], &order[..]].concat() };
        for message in order {
            match message {
                0 => ask(&world, &bought).await,
                1 => ask(&world, &more).await,
                2 => world.send_event(&first).await,
                3 => world.send_event(&both).await,
                _ => world.send_event(&claim).await,
            }
        }
        // 15 and 5 % of it, rounded up to 16, less the captured 9.
        for (figure, change) in iter::zip(&mut expected, [7, 9, -16]) {
            *figure += change;
        }
        assert_eq!(world.figures("dee").await, expected, "{number}");
    }
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    world.check().await;
}

async fn scenario_38_a_margin_is_explained_and_replayed(database: TestDatabase) {
    let world = World::open_with(database, &with_margin(5)).await;
    let other = purchase("Other", FOR_FOOD - 25_00);
    assert!(world.authorise(&other).await.is_approved());
    let bought = purchase("Bought", 20_00);
    ask(&world, &bought).await;
    let more = Purchase { amount: 5_00, answers: 1, ..bought.clone() };
    ask(&world, &more).await;
    let most = Purchase { amount: 1, answers: 2, ..bought.clone() };
    assert_eq!(refused(&world, &most).await, "no_money");
    // Regardless of the current settings.
    world.apply(&with_margin(25)).await;
    let explained = explain(world.app.store(), world.app.directory(), &bought.id).await.unwrap();
    let told: Vec<_> =
        explained.iter().map(|one| (one.replay.clone(), one.margin.map(Money::minor))).collect();
    let same = |margin| (Replay::Same, margin);
    assert_eq!(told, [same(Some(1_00)), same(None), same(None)]);
    let first = &explained[0];
    assert!(first.person_text.contains("£1 more is kept aside"), "{}", first.person_text);
    assert!(first.to_string().contains("1.00 GBP of it"), "{first}");
    assert_eq!(first.to_json()["margin_minor"], 1_00);
    assert_eq!(first.to_json()["approved_minor"], 20_00);
    assert_eq!(explained[1].to_json()["margin_minor"], Value::Null);
    world.check().await;
}

/// A database of the version before margins, migrated to this one.
async fn scenario_38_purchases_from_before_margins_were_known_have_none_and_prove(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let bought = purchase("Before", 20_00);
    ask(&world, &bought).await;
    world.send_event(&in_euros(bought.created(world.now(), 20_00))).await;
    for sql in [
        "ALTER TABLE purchase DROP COLUMN exchange_margin",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        world.database.rows(sql).await;
    }
    let upgraded = App::start(world.database.settings(&world.clock)).await.unwrap();
    world.prove().await;
    world.apply(&with_margin(5)).await;
    world.send_event(&in_euros(bought.captured(world.now(), "one", 8_00))).await;
    assert_eq!(world.figures("dee").await, [12_00, 8_00, DEE_HAS - 20_00]);
    ask(&world, &purchase("After", 10_00)).await;
    assert_eq!(world.figures("dee").await, [22_50, 8_00, DEE_HAS - 30_50]);
    assert_eq!(world.count("purchase", "exchange_margin = '5:held'").await, 1);
    upgraded.stop().await;
    world.check().await;
}
