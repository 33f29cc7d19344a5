//! Responses that surprised people: account verification abroad, fuel pumps, partial approvals, a
//! meal in two authorisations, exchange rates, midnight, and a card that somebody else keeps.

use sayso::domain::card::safety::{CardCustodian, Custody};
use sayso::domain::id::CustodyId;
use sayso::domain::shop::home::UnknownCountry;
use sayso::operations::explain::{Explanation, explain};
use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{
    APPROVED, AuthorisationState, DEMO, FEMI, Purchase, TestResponse, World, an_hour, purchase,
};

on_both_databases!(
    a_shop_abroad_checks_the_card_with_next_to_nothing,
    a_price_that_nobody_can_read_keeps_its_margin,
    a_limit_gives_a_part_as_money_does,
    where_no_part_is_taken_the_text_says_what_helps,
    several_holds_at_one_shop_are_one_use_of_an_ok,
    an_ok_in_pounds_covers_a_price_in_euros_a_minute_later,
    an_ok_survives_the_card_check_before_the_sale,
    what_was_given_for_one_shop_is_used_before_what_was_given_for_its_kind,
    what_was_bought_before_midnight_counts_on_that_day,
    a_card_that_somebody_else_has_is_named_in_no_text,
    a_country_that_is_not_known_is_what_the_programme_says,
    a_country_that_is_not_known_can_be_abroad,
    what_a_cash_machine_takes_for_itself_is_no_cash,
    a_machines_fee_is_no_cash_of_a_purchase_that_was_only_told,
    more_of_an_open_purchase_is_judged_by_counters_of_its_own_day,
    more_of_an_open_purchase_is_judged_in_every_scope,
);

/// The demo with an additional line in its `[programme]` table.
fn with_line(line: &str) -> String {
    let file = DEMO.replacen("country = \"GB\"\n", &format!("country = \"GB\"\n{line}\n"), 1);
    assert_ne!(file, DEMO);
    file
}

/// The demo with a permission for Dee: one purchase of up to £20.00 at phone shops.
fn with_ok(line: &str) -> String {
    let femi = "[[person]]\nid = \"femi\"";
    let ok = format!(
        "[[person.permission]]\non = {{ category = \"phone\" }}\nup_to = \"20.00\"\nuses = 1\n\
         from = 2026-11-23T07:00:00Z\nends = 2026-11-30T00:00:00Z\n\n{femi}"
    );
    with_line(line).replacen(femi, &ok, 1)
}

fn handset(id: &str, amount: i64) -> Purchase {
    Purchase { mcc: json!("4812"), shop: "HANDY PARIS".to_owned(), ..purchase(id, amount) }
}

/// A purchase of Femi's at a grocer. His list has £30.00 a day, and partial approval is agreed.
fn femis(id: &str, amount: i64) -> Purchase {
    Purchase { card: FEMI.to_owned(), ..purchase(id, amount) }
}

async fn ask_with(
    world: &World,
    bought: &Purchase,
    change: impl FnOnce(&mut Value),
) -> TestResponse {
    let mut question = bought.request(world.now());
    change(&mut question["data"]["object"]);
    world.authorise_body(&question.to_string()).await
}

fn price(object: &mut Value, minor: i64, currency: &str) {
    object["merchant_currency"] = json!(currency);
    object["pending_request"]["merchant_amount"] = json!(minor);
    object["pending_request"]["merchant_currency"] = json!(currency);
}

async fn last_message(world: &World) -> String {
    let sql = "SELECT body FROM message WHERE kind = 'not_paid' ORDER BY message_id DESC LIMIT 1";
    world.database.rows(sql).await[0][0].clone()
}

async fn explained(world: &World, answer: &TestResponse) -> Explanation {
    let (store, directory) = (world.app.store(), world.app.directory());
    explain(store, directory, &answer.decision()).await.unwrap().remove(0)
}

async fn a_shop_abroad_checks_the_card_with_next_to_nothing(database: TestDatabase) {
    let world = World::open(database).await;
    for (minor, currency) in [(1, "jpy"), (5000, "idr"), (100, "vnd"), (1, "xts")] {
        let checked = Purchase { online: true, ..purchase(currency, 0) };
        let answer = ask_with(&world, &checked, |object| price(object, minor, currency)).await;
        assert!(answer.is_approved(), "{currency}");
        assert_eq!(world.figure("dee", "held").await, 0);
    }
    // Zero pounds for a price in pounds is rejected.
    let answer = ask_with(&world, &purchase("Odd", 0), |object| price(object, 1, "gbp")).await;
    assert_eq!(answer.status, 400);
    world.check().await;
}

async fn a_price_that_nobody_can_read_keeps_its_margin(database: TestDatabase) {
    let world = World::open_with(database, &with_line("exchange_margin_percent = 5")).await;
    let mut held = 0;
    // A price of 1.005 in Kuwait, an unknown currency, and an amount at the limit of 64 bits.
    for (minor, currency) in [(1005, "kwd"), (5, "xts"), (i64::MAX, "jpy")] {
        let bought = purchase(currency, 2_60);
        let answer = ask_with(&world, &bought, |object| price(object, minor, currency)).await;
        assert!(answer.is_approved(), "{currency}");
        held += 2_73;
        assert_eq!(world.figure("dee", "held").await, held, "{currency}");
    }
    world.check().await;
}

async fn a_limit_gives_a_part_as_money_does(database: TestDatabase) {
    let world = World::open(database).await;
    let pump = Purchase { partial: true, ..femis("Pump", 99_00) };
    let answer = world.authorise(&pump).await;
    assert!(answer.is_approved());
    assert_eq!(answer.json()["amount"], json!(30_00));
    assert_eq!(world.figure("femi", "held").await, 30_00);
    let more = Purchase { partial: true, ..femis("More", 5_00) };
    assert_eq!(world.authorise(&more).await.reason(), "over_period", "all of the day is used");
    world.check().await;
}

async fn where_no_part_is_taken_the_text_says_what_helps(database: TestDatabase) {
    let world = World::open(database).await;
    let reason = world.authorise(&femis("Shop", 40_00)).await.reason();
    assert_eq!(reason, "over_period");
    let told = last_message(&world).await;
    assert!(told.contains("Ask for £30 on this card and the rest another way."), "{told}");
    let online = Purchase { online: true, ..femis("Online", 40_00) };
    assert_eq!(world.authorise(&online).await.reason(), "over_period");
    let told = last_message(&world).await;
    assert!(told.contains("Pay £30 or less, or reply ASK."), "{told}");
    // A pump requests £99, and Femi's list has £60 per purchase. £30 of his £80 are held
    // already.
    assert!(world.authorise(&femis("Bread", 30_00)).await.is_approved());
    let pump = Purchase { mcc: json!("5542"), ..femis("Pump", 99_00) };
    let answer = world.authorise(&pump).await;
    assert_eq!(answer.reason(), "over_purchase");
    let told = last_message(&world).await;
    assert!(told.contains("Pay inside, up to £50."), "{told}");
    let explained = explained(&world, &answer).await;
    assert_eq!(explained.next_text.as_deref(), Some("Pay inside, up to £50."));
    // The suggested amount is approved.
    let inside = Purchase { mcc: json!("5542"), ..femis("Inside", 50_00) };
    assert!(world.authorise(&inside).await.is_approved());
    world.check().await;
}

async fn several_holds_at_one_shop_are_one_use_of_an_ok(database: TestDatabase) {
    let world = World::open_with(database, &with_ok("")).await;
    let (first, second) = (handset("First", 12_00), handset("Second", 8_00));
    assert!(world.authorise(&first).await.is_approved());
    let other = Purchase { shop: "OTHER PHONES".to_owned(), ..handset("Other", 1_00) };
    assert_eq!(world.authorise(&other).await.reason(), "ok_held");
    assert!(world.authorise(&second).await.is_approved());
    let third = handset("Third", 1_00);
    assert_eq!(world.authorise(&third).await.reason(), "ok_held");
    let told = last_message(&world).await;
    assert!(told.contains("An earlier try still holds £20 of your one-time OK."), "{told}");
    world.prove().await;
    // A reversal frees its part of the permission; an increment belongs to the same use.
    world.send_event(&second.over(world.now(), "reversed")).await;
    assert!(world.authorise(&handset("Fourth", 3_00)).await.is_approved());
    let more = Purchase { amount: 5_00, answers: 1, ..first.clone() };
    assert!(world.authorise(&more).await.is_approved());
    assert_eq!(world.authorise(&handset("Fifth", 1)).await.reason(), "ok_held");
    world.prove().await;
    // After a capture the permission is used up, and existing holds stay.
    world.send_event(&first.captured(world.now(), "one", 17_00)).await;
    assert_eq!(world.authorise(&handset("Sixth", 1)).await.reason(), "ok_used");
    assert_eq!(world.figures("dee").await[..2], [3_00, 17_00]);
    world.prove().await;
    // `verify` detects a changed usage.
    let mut meddling = world.database.connect().await;
    let sql = "UPDATE permission SET open_minor = open_minor + 1";
    sqlx::query(sql).execute(&mut meddling).await.unwrap();
    sqlx::Connection::close(meddling).await.unwrap();
    let proof = sayso::operations::verify(world.app.store(), None).await.unwrap();
    assert_eq!(proof.findings.len(), 1, "{}", proof.to_text());
    assert_eq!(proof.findings[0].table, "permission");
    world.app.stop().await;
}

async fn an_ok_in_pounds_covers_a_price_in_euros_a_minute_later(database: TestDatabase) {
    let world = World::open_with(database, &with_ok("exchange_margin_percent = 5")).await;
    assert_eq!(world.authorise(&handset("Pounds", 20_06)).await.reason(), "ok_small");
    let euros = |object: &mut Value| price(object, 23_40, "eur");
    let far = ask_with(&world, &handset("Far", 21_01), euros).await;
    assert_eq!(far.reason(), "ok_small", "rates do not move so much");
    assert!(ask_with(&world, &handset("Euros", 20_06), euros).await.is_approved());
    assert_eq!(world.figure("dee", "held").await, 21_07);
    world.check().await;
}

async fn an_ok_survives_the_card_check_before_the_sale(database: TestDatabase) {
    let world = World::open_with(database, &with_ok("")).await;
    let nothing = Purchase { online: true, ..handset("Nothing", 0) };
    assert!(world.authorise(&nothing).await.is_approved());
    let pound = handset("Pound", 1_00);
    assert!(world.authorise(&pound).await.is_approved());
    world.send_event(&pound.created(world.now(), 1_00)).await;
    world.send_event(&pound.over(world.now(), "reversed")).await;
    let sale = handset("Sale", 20_00);
    assert!(world.authorise(&sale).await.is_approved());
    world.send_event(&sale.captured(world.now(), "one", 20_00)).await;
    assert_eq!(world.authorise(&handset("Again", 20_00)).await.reason(), "ok_used");
    world.check().await;
}

/// A request half a minute after midnight, for a purchase made two minutes before it.
async fn late(world: &World, id: &str, amount: i64) -> TestResponse {
    let bought_at = jiff::SignedDuration::from_secs(150);
    let bought_at = world.now().checked_sub(bought_at).unwrap();
    ask_with(world, &femis(id, amount), |object| {
        object["created"] = json!(bought_at.as_second());
    })
    .await
}

async fn what_was_given_for_one_shop_is_used_before_what_was_given_for_its_kind(
    database: TestDatabase,
) {
    const SHOPS: [&str; 6] = ["ARBOR", "BIRCH", "CEDAR", "ELM", "HAZEL", "LIME"];

    let ok = |on: &str| {
        format!(
            "[[person.permission]]\non = {{ {on} }}\nup_to = \"20.00\"\nuses = 1\n\
             from = 2026-11-23T07:00:00Z\nends = 2026-11-30T00:00:00Z\n\n"
        )
    };
    let oks = SHOPS.map(|shop| ok(&format!("shop = \"{shop} PHONES\"")));
    let femi = "[[person]]\nid = \"femi\"";
    let kind = ok("category = \"phone\"");
    let file = DEMO.replacen(femi, &format!("{}{kind}{femi}", oks.concat()), 1);
    assert_ne!(file, DEMO);
    let world = World::open_with(database, &file).await;
    for shop in SHOPS.into_iter().chain(["OTHER"]) {
        let phone = Purchase { shop: format!("{shop} PHONES"), ..handset(shop, 10_00) };
        assert!(world.authorise(&phone).await.is_approved(), "{shop}");
    }
    assert_eq!(world.authorise(&handset("Last", 10_00)).await.reason(), "ok_held");
    world.check().await;
}

async fn what_was_bought_before_midnight_counts_on_that_day(database: TestDatabase) {
    let world = World::open(database).await;
    world.set_time("2026-11-24T00:00:30Z");
    // Nothing has counted on Monday so far, and Femi may spend £30 a day on food.
    assert!(late(&world, "One", 20_00).await.is_approved());
    let answer = late(&world, "Two", 10_01).await;
    assert_eq!(answer.reason(), "over_period");
    let told = explained(&world, &answer).await;
    assert!(told.person_text.contains("£10 left today, Monday 23 November"), "{told}");
    assert!(late(&world, "Three", 10_00).await.is_approved());
    assert!(world.authorise(&femis("Today", 30_00)).await.is_approved(), "another day");
    assert_eq!(late(&world, "Four", 1).await.reason(), "over_period");
    world.check().await;
}

async fn a_card_that_somebody_else_has_is_named_in_no_text(database: TestDatabase) {
    let world = World::open(database).await;
    let old = Purchase { card: "ic_1DemoDeeOld00000001".to_owned(), ..purchase("Old", 5_00) };
    assert_eq!(world.authorise(&old).await.reason(), "old_card");
    let named = last_message(&world).await;
    assert!(named.contains("ending"), "{named}");
    let custody = Custody {
        id: CustodyId::new(world.app.ids().next(world.now())),
        holder: CardCustodian::Helper,
        name: "Mina".to_owned(),
        since: world.now(),
        review_on: Some(jiff::civil::date(2026, 12, 7)),
    };
    let mut tx = world.app.store().begin().await.unwrap();
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    tx.add_custody(&programme, &budget, &custody).await.unwrap();
    tx.commit().await.unwrap();
    // At another shop, because a retry at the same one has no second message.
    let (id, shop) = ("iauth_1TestAgain".to_owned(), "CORNER SHOP".to_owned());
    let again = Purchase { id, shop, ..old };
    let answer = world.authorise(&again).await;
    assert_eq!(answer.reason(), "old_card");
    let told = explained(&world, &answer).await;
    let shown = [last_message(&world).await, told.person_text, told.worker_text];
    for text in shown.iter().chain(&told.next_text) {
        assert!(!text.chars().any(|c| c.is_ascii_digit() && c != '5'), "{text}");
        assert!(!text.contains("end"), "{text}");
    }
    world.check().await;
}

async fn a_country_that_is_not_known_is_what_the_programme_says(database: TestDatabase) {
    let world = World::open_with(database, &with_line("home_countries = [\"JE\", \"IM\"]")).await;
    let from =
        |id: &str, country: &str| Purchase { country: country.to_owned(), ..femis(id, 1_00) };
    for (id, country) in [("Jersey", "JE"), ("Man", "im"), ("None", ""), ("Name", "Guernsey")] {
        let answer = world.authorise(&from(id, country)).await;
        assert!(answer.is_approved(), "{country}");
        let told = explained(&world, &answer).await;
        let taken_for = (country.len() != 2).then_some(UnknownCountry::Home);
        assert_eq!(told.unknown_country, taken_for, "{country}");
        assert_eq!(told.to_string().contains("taken for home"), taken_for.is_some());
    }
    assert_eq!(world.authorise(&from("Guernsey", "GG")).await.reason(), "abroad_off");
    world.check().await;
}

async fn a_country_that_is_not_known_can_be_abroad(database: TestDatabase) {
    let world = World::open_with(database, &with_line("unknown_country = \"abroad\"")).await;
    let from =
        |id: &str, country: &str| Purchase { country: country.to_owned(), ..femis(id, 1_00) };
    assert!(world.authorise(&from("Kingdom", "UK")).await.is_approved(), "the programme is in GB");
    let answer = world.authorise(&from("Strict", "")).await;
    assert_eq!(answer.reason(), "abroad_off");
    let told = explained(&world, &answer).await;
    assert_eq!(told.unknown_country, Some(UnknownCountry::Abroad));
    assert_eq!(world.authorise(&from("Left", "JE")).await.reason(), "abroad_off");
    world.check().await;
}

async fn what_a_cash_machine_takes_for_itself_is_no_cash(database: TestDatabase) {
    let world = World::open(database).await;
    let machine = |id: &str, amount| Purchase { mcc: json!("6011"), ..purchase(id, amount) };
    let fee = |object: &mut Value| {
        object["pending_request"]["amount_details"]["atm_fee"] = json!(1_75);
    };
    // Dee may withdraw £20 a week.
    let first = machine("First", 16_75);
    assert!(ask_with(&world, &first, fee).await.is_approved());
    world.send_event(&first.created(world.now(), 16_75)).await;
    world.prove().await;
    assert_eq!(ask_with(&world, &machine("Over", 6_76), fee).await.reason(), "over_period");
    assert_eq!(world.authorise(&machine("Plain", 5_01)).await.reason(), "over_period");
    assert!(ask_with(&world, &machine("Rest", 6_75), fee).await.is_approved());
    assert_eq!(world.authorise(&machine("Last", 1)).await.reason(), "over_period");
    assert_eq!(world.figure("dee", "held").await, 23_50);
    world.check().await;
}

async fn a_machines_fee_is_no_cash_of_a_purchase_that_was_only_told(database: TestDatabase) {
    let world = World::open(database).await;
    let machine = |id: &str, amount| Purchase { mcc: json!("6011"), ..purchase(id, amount) };
    let with_fee = |mut event: Value| {
        event["data"]["object"]["amount_details"] = json!({"atm_fee": 75, "cashback_amount": null});
        event
    };
    // Dee may withdraw £20 a week.
    world.send_event(&with_fee(machine("Held", 5_75).created(world.now(), 5_75))).await;
    world
        .send_event(&with_fee(machine("Paid", 8_75).captured(world.now(), "ipi_1TestFee", 8_75)))
        .await;
    world.prove().await;
    assert_eq!(world.authorise(&machine("Over", 7_01)).await.reason(), "over_period");
    assert!(world.authorise(&machine("Rest", 7_00)).await.is_approved());
    assert_eq!(world.figure("dee", "spent").await, 8_75);
    world.check().await;
}

/// The demo with another change of Femi's list.
fn changed() -> String {
    let file = DEMO.replacen("Courses are ones you decide together.", "As we said in May.", 1);
    assert_ne!(file, DEMO);
    file
}

async fn more_of_an_open_purchase_is_judged_by_counters_of_its_own_day(database: TestDatabase) {
    let world = World::open(database).await;
    let open = femis("Open", 12_00);
    assert!(world.authorise(&open).await.is_approved());
    world.send_event(&open.created(world.now(), 12_00)).await;
    assert!(world.authorise(&femis("Other", 15_00)).await.is_approved());
    // Another version of the list starts two weeks later, while the hold is still open.
    for _ in 0..4 {
        world.advance_clock(an_hour() * 84);
        let holds =
            AuthorisationState { amount: 12_00, name: &world.now().to_string(), ..APPROVED };
        world.send_event(&open.snapshot("updated", world.now(), &holds)).await;
    }
    world.apply(&changed()).await;
    let more = Purchase { amount: 3_01, answers: 1, ..open.clone() };
    assert_eq!(world.authorise(&more).await.reason(), "over_period", "£27.00 of that day are used");
    let rest = Purchase { amount: 3_00, answers: 2, ..open };
    assert!(world.authorise(&rest).await.is_approved());
    world.check().await;
}

async fn more_of_an_open_purchase_is_judged_in_every_scope(database: TestDatabase) {
    let world = World::open(database).await;
    let food = femis("Food", 20_00);
    assert!(world.authorise(&food).await.is_approved());
    let eating = |id: &str, amount| Purchase { mcc: json!("5812"), ..femis(id, amount) };
    // The category of the same purchase is now a restaurant: it still counts as food.
    let more = Purchase { id: food.id.clone(), answers: 1, ..eating("More", 10_01) };
    assert_eq!(world.authorise(&more).await.reason(), "over_period");
    // It began as a restaurant, which the list allows without a limit, and is now a grocer.
    let meal = eating("Meal", 5_00);
    assert!(world.authorise(&meal).await.is_approved());
    let more = Purchase { id: meal.id, answers: 1, ..femis("Grocer", 10_01) };
    assert_eq!(world.authorise(&more).await.reason(), "over_period");
    let more = Purchase { answers: 2, amount: 10_00, ..more };
    assert!(world.authorise(&more).await.is_approved());
    world.check().await;
}
