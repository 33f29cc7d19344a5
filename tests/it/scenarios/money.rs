//! Amounts, currencies, the calendar, pots, and merchants with every kind of data.

use jiff::ToSpan as _;
use sayso::operations::explain::{Replay, explain};
use sayso::programme::apply::apply;
use serde_json::{Value, json};

use crate::programme_text::ProgrammeText;
use crate::support::TestDatabase;
use crate::values::ODD_AMOUNTS;
use crate::world::{
    ANA, APPROVED, AuthorisationState, DEE, DEMO, FEMI, Purchase, RULES, TestResponse, World,
    purchase,
};

on_both_databases!(
    scenario_33_a_verification_holds_nothing_and_hears_of_the_card_only,
    scenario_34_a_part_is_paid_where_the_till_and_the_agreement_take_one,
    scenario_35_cash_counts_as_cash_and_the_unknown_as_the_stricter,
    scenario_37_each_currency_has_its_own_minor_units,
    scenario_37_three_decimals_and_decimals_that_stay_zero,
    scenario_37_issuers_and_the_standard_may_differ,
    scenario_39_another_currency_is_refused_or_kept_for_a_person,
    scenario_40_no_odd_amount_gets_in,
    scenario_41_sums_that_do_not_fit_are_refused,
    scenario_42_a_day_is_a_local_day_though_clocks_change,
    scenario_43_an_increment_counts_on_the_day_of_its_purchase,
    scenario_45_a_month_ends_with_its_last_day,
    scenario_48_a_purchase_over_two_pots_adds_up_exactly,
    scenario_49_a_shop_without_a_usable_code_is_unsorted,
    scenario_50_a_shop_may_be_called_anything,
    scenario_57_pots_pay_in_the_order_that_the_decision_knew,
);

const DEE_HAS: i64 = 273_90;

fn femi(id: &str, amount: i64) -> Purchase {
    Purchase { card: FEMI.to_owned(), ..purchase(id, amount) }
}

/// At a clothes shop, which no term of the demo is about.
fn clothes(purchase: Purchase) -> Purchase {
    Purchase { mcc: json!("5651"), ..purchase }
}

/// A small programme of one person, Dee, in `currency`.
fn programme_in(currency: &str, loaded: &str) -> String {
    let mut text = ProgrammeText::small(currency);
    text.person("dee", "Dee").card(DEE, "5678").pot("week", "homes", loaded);
    text.agreement().with("partial = true").yes_to_everything_else();
    text.as_str().to_owned()
}

async fn scenario_33_a_verification_holds_nothing_and_hears_of_the_card_only(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let card = |id: &str, card: &str| Purchase {
        card: card.to_owned(),
        online: true,
        mcc: json!("7995"),
        ..purchase(id, 0)
    };
    // Gambling, and online with Ana's card: an account verification is not subject to rules about
    // money or shops.
    for (id, token) in [("Dee", DEE), ("Ana", ANA)] {
        let answer = world.authorise(&card(id, token)).await;
        assert!(answer.is_approved(), "{answer:?}");
        assert_eq!(answer.json()["amount"], Value::Null);
    }
    assert_eq!(world.authorise(&card("Old", "ic_1DemoDeeOld00000001")).await.reason(), "old_card");
    assert_eq!(
        world.authorise(&card("Nobody", "ic_nobody_has_this")).await.reason(),
        "unknown_card"
    );
    world.send_event(&card("Dee", DEE).created(world.now(), 0)).await;
    assert_eq!(world.count("decision", "approved_minor = 0").await, 2);
    assert_eq!(world.count("decision", "outcome = 'declined'").await, 2);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    assert_eq!(world.count("hold", "1 = 1").await + world.count("counter", "1 = 1").await, 0);
    world.check().await;
}

async fn scenario_34_a_part_is_paid_where_the_till_and_the_agreement_take_one(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    assert!(world.authorise(&clothes(femi("First", 60_00))).await.is_approved());
    // 20.00 is left for clothes.
    let whole = clothes(femi("Whole", 50_00));
    assert_eq!(world.authorise(&whole).await.reason(), "no_money", "the till takes no part");
    let cash = Purchase { partial: true, cash_back: Some(20_01), ..clothes(femi("Cash", 50_00)) };
    assert_eq!(world.authorise(&cash).await.reason(), "no_money", "cash back is handed out whole");

    let part = Purchase { partial: true, ..clothes(femi("Part", 50_00)) };
    let answer = world.authorise(&part).await;
    assert!(answer.is_approved());
    assert_eq!(answer.json()["amount"], 20_00);
    assert_eq!(world.figures("femi").await, [80_00, 0, 50_00]);
    assert_eq!(world.authorise(&part).await, answer);
    world.send_event(&part.created(world.now(), 20_00)).await;
    assert_eq!(world.figures("femi").await, [80_00, 0, 50_00]);
    world.send_event(&part.captured(world.now(), "one", 20_00)).await;
    assert_eq!(world.figures("femi").await, [60_00, 20_00, 50_00]);
    let none = Purchase { partial: true, ..clothes(femi("None", 1)) };
    assert_eq!(world.authorise(&none).await.reason(), "no_money", "nothing is no part");

    // Dee's agreement has no partial approval.
    let dee = Purchase { partial: true, ..purchase("Dee", 100_00) };
    assert_eq!(world.authorise(&dee).await.reason(), "no_money");
    // A full approval has no amount.
    let all = Purchase { partial: true, ..purchase("All", 10_00) };
    assert_eq!(world.authorise(&all).await.json()["amount"], Value::Null);
    world.check().await;
}

async fn scenario_35_cash_counts_as_cash_and_the_unknown_as_the_stricter(database: TestDatabase) {
    let world = World::open(database).await;
    // Dee agreed on 20.00 of cash a week, from a machine (6011) or over a counter (6010).
    let cash = |id, mcc, amount| Purchase { mcc: json!(mcc), ..purchase(id, amount) };
    assert!(world.authorise(&cash("Machine", "6011", 15_00)).await.is_approved());
    assert_eq!(world.authorise(&cash("More", "6010", 5_01)).await.reason(), "over_period");
    assert!(world.authorise(&cash("Counter", "6010", 5_00)).await.is_approved());
    // A purchase with cash back does not count as cash.
    let back = Purchase { cash_back: Some(10_00), ..purchase("Back", 15_00) };
    assert!(world.authorise(&back).await.is_approved());
    let odd = Purchase { cash_back: Some(15_01), ..purchase("Odd", 15_00) };
    assert_eq!(world.authorise(&odd).await.status, 400);

    // Ana's list refuses online purchases. Without evidence that the card was present, a purchase
    // counts as online.
    let ana = |id| Purchase { card: ANA.to_owned(), ..purchase(id, 5_00) };
    let mut silent = ana("Silent").request(world.now());
    silent["data"]["object"]["card_presence"] = Value::Null;
    silent["data"]["object"]["authorization_method"] = json!("by_thought");
    let answer = world.authorise_body(&silent.to_string()).await;
    assert_eq!(answer.reason(), "online_off");
    assert!(world.authorise(&ana("There")).await.is_approved());
    assert_eq!(world.figures("dee").await[0], 35_00);
    world.check().await;
}

async fn scenario_37_each_currency_has_its_own_minor_units(database: TestDatabase) {
    let world = World::open_with(database, &programme_in("JPY", "5000")).await;
    let yen = |id, amount| Purchase { currency: "jpy".to_owned(), ..purchase(id, amount) };
    assert!(world.authorise(&yen("Yen", 1250)).await.is_approved());
    assert_eq!(world.figures("dee").await, [1250, 0, 3750]);
    let part = Purchase { partial: true, ..yen("Part", 4000) };
    assert_eq!(world.authorise(&part).await.json()["amount"], 3750);
    world.send_event(&yen("Yen", 1250).captured(world.now(), "one", 1250)).await;
    assert_eq!(world.figures("dee").await, [3750, 1250, 0]);
    world.check().await;
}

async fn scenario_39_another_currency_is_refused_or_kept_for_a_person(database: TestDatabase) {
    let world = World::open(database).await;
    let euros = Purchase { currency: "eur".to_owned(), ..purchase("Euro", 5_00) };
    assert_eq!(world.authorise(&euros).await.reason(), "other_currency");
    // Only the merchant's amount is in euros: the billing amount in pounds counts.
    let bought = purchase("Abroad", 5_00);
    let mut request = bought.request(world.now());
    let asked = &mut request["data"]["object"]["pending_request"];
    asked["merchant_currency"] = json!("eur");
    asked["merchant_amount"] = json!(5_80);
    assert!(world.authorise_body(&request.to_string()).await.is_approved());
    assert_eq!(world.figures("dee").await, [5_00, 0, DEE_HAS - 5_00]);

    // Events are never rejected. These are exceptions, and no figure changes.
    let mut capture = bought.captured(world.now(), "euros", 5_80);
    capture["data"]["object"]["currency"] = json!("eur");
    world.send_event(&capture).await;
    world.send_event(&euros.created(world.now(), 5_00)).await;
    world.send_event(&euros.over(world.now(), "reversed")).await;
    assert_eq!(world.figures("dee").await, [5_00, 0, DEE_HAS - 5_00]);
    assert_eq!(world.exceptions().await, ["other_currency"; 3]);
    assert_eq!(world.count("issuer_event", "state = 'kept'").await, 3);
    world.check().await;
}

/// Sends a request in which `"amount":1250` of the pending request is replaced by `amount`.
async fn ask_for(world: &World, amount: &str) -> TestResponse {
    let body = purchase("Odd", 12_50).request(world.now()).to_string();
    let pending = body.find("\"pending_request\":{").unwrap();
    let (head, tail) = body.split_at(pending);
    world.authorise_body(&format!("{head}{}", tail.replacen("\"amount\":1250", amount, 1))).await
}

/// Asserts a problem response that names `field`.
fn assert_names(answer: &TestResponse, field: &str, case: &str) {
    assert_eq!(answer.status, 400, "{case}: {answer:?}");
    let problem = answer.json();
    assert_eq!(problem["field"], field, "{case}: {problem}");
    assert_eq!(problem["status"], 400, "{case}");
    assert!(problem["type"].as_str().unwrap().starts_with("/problems/"), "{case}");
    assert!(!problem["detail"].as_str().unwrap().is_empty(), "{case}");
}

async fn scenario_40_no_odd_amount_gets_in(database: TestDatabase) {
    const AMOUNT: &str = "data.object.pending_request.amount";
    let world = World::open(database).await;
    for amount in ODD_AMOUNTS.into_iter().chain(["12.50", "{}", "0x10", "1,5", ""]) {
        let answer = ask_for(&world, &format!("\"amount\":{amount}")).await;
        assert_eq!(answer.status, 400, "{amount}: {answer:?}");
        let field = answer.json()["field"].as_str().unwrap().to_owned();
        let is_near = field == AMOUNT || field == "data.object.pending_request";
        assert!(is_near || amount == "1,5", "{amount}: {answer:?}");
    }
    let missing = ask_for(&world, "\"other\":1").await;
    assert_names(&missing, "data.object.pending_request", "missing");
    assert!(missing.json()["detail"].as_str().unwrap().contains("amount"), "{missing:?}");
    let twice = ask_for(&world, "\"amount\":1250,\"amount\":1").await;
    assert_names(&twice, AMOUNT, "twice");

    let whole = purchase("Odd", 12_50).request(world.now()).to_string();
    let shapes = [
        ("", "body"),
        ("not JSON", "body"),
        ("[]", "body"),
        ("null", "body"),
        ("{}", "body"),
        (&whole[..whole.len() / 2], ""),
        (&format!("{whole}{whole}"), "body"),
        (&whole.replace("TEST GROCER", "TEST\0GROCER"), "data.object.merchant_data.name"),
        (&whole.replace("\"currency\":\"gbp\"", "\"currency\":\"pounds\""), ""),
        (&format!("{whole}{}", " ".repeat(64 * 1024)), "body"),
    ];
    for (body, field) in shapes {
        let case: String = body.chars().take(40).collect();
        let answer = world.authorise_body(body).await;
        let field = if field.is_empty() {
            answer.json()["field"].as_str().unwrap_or_default().to_owned()
        } else {
            field.to_owned()
        };
        assert_names(&answer, &field, &case);
        let told = world.send_event_body(body).await;
        assert_eq!(told.status, 400, "{case}: {told:?}");
    }
    for table in ["decision", "purchase", "issuer_event", "message", "exception"] {
        assert_eq!(world.count(table, "1 = 1").await, 0, "{table}");
    }
    // A capture of a positive amount, and amounts out of range: events, so they become exceptions.
    for (number, amount) in [12_50, -100_000_000_001, i64::MIN].into_iter().enumerate() {
        let claim = format!("odd{number}");
        let mut event = purchase("Odd", 1).captured(world.now(), &claim, 12_50);
        event["data"]["object"]["amount"] = json!(amount);
        world.send_event(&event).await;
    }
    assert_eq!(world.exceptions().await, ["not_understood"; 3]);
    assert_eq!(world.count("purchase", "1 = 1").await, 0);
    assert_eq!(world.figures("dee").await, [0, 0, DEE_HAS]);
    // The signed body is read, with U+FFFD for characters that cannot be stored.
    let escaped = purchase("Escaped", 1).request(world.now()).to_string();
    let escaped = escaped.replace("TEST GROCER", "TEST\\u0000GROCER");
    assert!(world.authorise_body(&escaped).await.is_approved());
    let kept = world.database.rows("SELECT place FROM purchase WHERE place LIKE 'TEST%'").await;
    assert_eq!(kept, [["TEST\u{fffd}GROCER 123"]]);
    world.check().await;
}

async fn scenario_41_sums_that_do_not_fit_are_refused(database: TestDatabase) {
    let world = World::open(database).await;
    // The largest amount of one message, repeatedly: a decline, and no overflow.
    for n in 0..3 {
        let much = purchase(&format!("Much{n}"), 100_000_000_000);
        assert_eq!(world.authorise(&much).await.reason(), "no_money");
    }
    // Loads whose sum overflows.
    let most = "90000000000000000.00";
    let huge = DEMO.replace(
        "loads = [{ id = \"2026-11-23\", amount = \"45.00\" }]",
        &format!(
            "loads = [{{ id = \"a\", amount = \"{most}\" }}, {{ id = \"b\", amount = \"{most}\" }}]"
        ),
    );
    assert_ne!(huge, DEMO);
    let (app, now) = (&world.app, world.now());
    let applied = apply(app.store(), app.ids(), now, &huge, RULES).await;
    let refused = applied.unwrap_err().to_string();
    assert!(!refused.is_empty());
    assert_eq!(world.figures("ana").await, [0, 0, 45_00], "{refused}");
    world.check().await;
}

async fn scenario_37_three_decimals_and_decimals_that_stay_zero(database: TestDatabase) {
    let world = World::open_with(database, &programme_in("KWD", "10.000")).await;
    let dinar = |id, amount| Purchase { currency: "kwd".to_owned(), ..purchase(id, amount) };
    // Stripe's dinars have three decimals, the last of which is 0.
    let finer = world.authorise(&dinar("Finer", 1_255)).await;
    assert_names(&finer, "data.object.pending_request.amount", "KWD");
    assert!(world.authorise(&dinar("Dinar", 6_250)).await.is_approved());
    assert_eq!(world.figures("dee").await, [6_250, 0, 3_750]);
    let part = Purchase { partial: true, ..dinar("Part", 9_000) };
    assert_eq!(world.authorise(&part).await.json()["amount"], 3_750);
    world.check().await;
}

async fn scenario_37_issuers_and_the_standard_may_differ(database: TestDatabase) {
    // The króna has no decimals by ISO 4217, and two zeros at Stripe.
    let world = World::open_with(database, &programme_in("ISK", "5000")).await;
    let krona = |id, amount| Purchase { currency: "isk".to_owned(), ..purchase(id, amount) };
    let finer = world.authorise(&krona("Finer", 1250_50)).await;
    assert_names(&finer, "data.object.pending_request.amount", "ISK");
    assert!(world.authorise(&krona("Krona", 1250_00)).await.is_approved());
    assert_eq!(world.figures("dee").await, [1250, 0, 3750]);
    let part = Purchase { partial: true, ..krona("Part", 4000_00) };
    assert_eq!(world.authorise(&part).await.json()["amount"], 3750_00);
    world.check().await;
}

/// The demo with streams that do not end, and with another limit in Femi's list.
fn without_end(limit: &str) -> String {
    let file = DEMO.replace("ends_on = 2027-09-30", "").replace("ends_on = 2027-03-31", "");
    let changed = file.replace("{ per = \"day\", amount = \"30.00\" }", limit);
    assert!(changed.contains(limit));
    changed
}

async fn scenario_42_a_day_is_a_local_day_though_clocks_change(database: TestDatabase) {
    let world =
        World::open_with(database, &without_end("{ per = \"day\", amount = \"10.00\" }")).await;
    // 28 March 2027 has 23 hours in London, 31 October has 25.
    let days = [
        ("2027-03-28T00:00:00Z", "2027-03-28T22:59:59Z", "2027-03-28T23:00:00Z"),
        ("2027-10-30T23:00:00Z", "2027-10-31T23:59:59.999999Z", "2027-11-01T00:00:00Z"),
    ];
    for (day, (first, last, next)) in days.into_iter().enumerate() {
        let id = |when: &str| format!("{when}{day}");
        world.set_time(first);
        assert!(world.authorise(&femi(&id("First"), 6_00)).await.is_approved());
        world.set_time(last);
        assert_eq!(world.authorise(&femi(&id("Last"), 4_01)).await.reason(), "over_period");
        assert!(world.authorise(&femi(&id("Fits"), 4_00)).await.is_approved());
        world.set_time(next);
        assert!(world.authorise(&femi(&id("Next"), 10_00)).await.is_approved());
        assert_eq!(world.authorise(&femi(&id("Over"), 1)).await.reason(), "over_period");
    }
    let days = "SELECT first_day || ' ' || CAST(amount_minor AS TEXT) FROM counter ORDER BY 1";
    let expected = ["2027-03-28 1000", "2027-03-29 1000", "2027-10-31 1000", "2027-11-01 1000"];
    assert_eq!(world.database.rows(days).await.concat(), expected);
    world.check().await;
}

async fn scenario_43_an_increment_counts_on_the_day_of_its_purchase(database: TestDatabase) {
    let world = World::open(database).await;
    world.set_time("2026-11-23T23:50:00Z");
    let first = femi("Night", 20_00);
    assert!(world.authorise(&first).await.is_approved());
    // Femi agreed on 30.00 a day for food. Midnight does not allow one purchase a second 30.00.
    world.set_time("2026-11-24T00:10:00Z");
    let more = Purchase { amount: 10_01, answers: 1, ..first.clone() };
    assert_eq!(world.authorise(&more).await.reason(), "over_period");
    let fits = Purchase { amount: 10_00, answers: 2, ..first.clone() };
    assert!(world.authorise(&fits).await.is_approved());
    let again = Purchase { amount: 1, answers: 3, ..first.clone() };
    assert_eq!(world.authorise(&again).await.reason(), "over_period");
    // The new day's limit is unused.
    assert!(world.authorise(&femi("Morning", 25_00)).await.is_approved());
    // Reversed and requested again, it starts anew: it counts on this day.
    let undone = AuthorisationState { status: "reversed", name: "undone", answers: 4, ..APPROVED };
    world.send_event(&first.snapshot("updated", world.now(), &undone)).await;
    let anew = Purchase { amount: 5_01, answers: 4, ..first.clone() };
    assert_eq!(world.authorise(&anew).await.reason(), "over_period");
    let fits = Purchase { amount: 5_00, answers: 5, ..first.clone() };
    assert!(world.authorise(&fits).await.is_approved());
    assert_eq!(world.authorise(&femi("Noon", 1)).await.reason(), "over_period");
    assert_eq!(world.figures("femi").await[0], 30_00);
    let told = explain(world.app.store(), world.app.directory(), &first.id).await.unwrap();
    assert!(told.iter().all(|told| told.replay == Replay::Same), "{told:?}");
    world.check().await;
}

async fn scenario_45_a_month_ends_with_its_last_day(database: TestDatabase) {
    let world =
        World::open_with(database, &without_end("{ per = \"month\", amount = \"10.00\" }")).await;
    // A leap day, the end of a 31-day month in summer time, and the end of a year.
    let ends = [
        ("2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"),
        ("2028-08-31T22:59:59Z", "2028-08-31T23:00:00Z"),
        ("2028-12-31T23:59:59Z", "2029-01-01T00:00:00Z"),
    ];
    for (end, (last, next)) in ends.into_iter().enumerate() {
        let id = |when: &str| format!("{when}{end}");
        world.set_time(last);
        assert!(world.authorise(&femi(&id("Last"), 10_00)).await.is_approved());
        assert_eq!(world.authorise(&femi(&id("Over"), 1)).await.reason(), "over_period");
        world.set_time(next);
        assert!(world.authorise(&femi(&id("Next"), 1_00)).await.is_approved());
    }
    assert_eq!(world.figures("femi").await[0], 33_00);
    world.check().await;
}

async fn scenario_48_a_purchase_over_two_pots_adds_up_exactly(database: TestDatabase) {
    let world = World::open(database).await;
    let lines = "SELECT from_account || ' ' || to_account || ' ' || CAST(amount_minor AS TEXT) \
                 FROM journal WHERE from_account NOT LIKE 'stream:%' ORDER BY posting_id, line";
    let bought = purchase("Two", 66_67);
    assert!(world.authorise(&bought).await.is_approved());
    world.send_event(&bought.captured(world.now(), "one", 66_67)).await;
    world.send_event(&bought.refunded(world.now(), "back", 3_34)).await;
    let expected = [
        "pot:week:left pot:week:held 6390",
        "pot:emergency:left pot:emergency:held 277",
        "pot:week:held clearing:riverside-stripe 6390",
        "pot:emergency:held clearing:riverside-stripe 277",
        "clearing:riverside-stripe pot:emergency:left 277",
        "clearing:riverside-stripe pot:week:left 57",
    ];
    assert_eq!(world.database.rows(lines).await.concat(), expected);
    assert_eq!(world.figures("dee").await, [0, 63_33, DEE_HAS - 63_33]);
    world.check().await;
}

async fn scenario_49_a_shop_without_a_usable_code_is_unsorted(database: TestDatabase) {
    let world = World::open(database).await;
    let codes = [
        Value::Null,
        json!("0000"),
        json!("9998"),
        json!("54111"),
        json!("541"),
        json!("abcd"),
        json!("５４１１"),
        json!(5411),
        json!(["5411"]),
        json!(""),
    ];
    for (n, code) in codes.iter().enumerate() {
        let odd = |id: &str, amount| Purchase {
            mcc: code.clone(),
            ..purchase(&format!("{id}{n}"), amount)
        };
        // Shops of unknown category are limited to 15.00 per purchase.
        assert_eq!(world.authorise(&odd("Big", 15_01)).await.reason(), "over_purchase", "{code}");
        assert!(world.authorise(&odd("Small", 1_00)).await.is_approved(), "{code}");
    }
    let mut without = purchase("Without", 15_01).request(world.now());
    without["data"]["object"]["merchant_data"].as_object_mut().unwrap().remove("category_code");
    assert_eq!(world.authorise_body(&without.to_string()).await.reason(), "over_purchase");
    without["data"]["object"]["id"] = json!("iauth_1TestNoShop");
    without["data"]["object"]["merchant_data"] = Value::Null;
    assert_eq!(world.authorise_body(&without.to_string()).await.reason(), "over_purchase");
    assert_eq!(world.count("purchase", "category = 'unsorted'").await, 10);
    assert_eq!(world.count("purchase", "mcc IS NULL").await, 9, "all but 9998 are no codes");
    assert_eq!(world.count("decision", "1 = 1").await, 22);

    // Where the list says "ask", the reason is the ask's own.
    let asks = DEMO.replace(
        "on = { category = \"unsorted\" }\nanswer = \"yes\"\n\
         limits = [{ per = \"purchase\", amount = \"15.00\" }]",
        "on = { category = \"unsorted\" }\nanswer = \"ask\"",
    );
    assert_ne!(asks, DEMO);
    let waiting = world.apply(&asks).await;
    world.agree(&waiting).await;
    for (id, code) in [("Ask1", Value::Null), ("Ask2", json!("0000"))] {
        let odd = Purchase { mcc: code, ..purchase(id, 1_00) };
        assert_eq!(world.authorise(&odd).await.reason(), "unsorted");
    }
    world.check().await;
}

async fn scenario_50_a_shop_may_be_called_anything(database: TestDatabase) {
    let world = World::open(database).await;
    let long = "Ω".repeat(25_000);
    let names = [
        ("", ""),
        (" \t\n ", ""),
        ("Кафе «Ёлка»", "Кафе «Ёлка»"),
        ("مقهى الياسمين", "مقهى الياسمين"),
        ("食堂 🍜", "食堂 🍜"),
        ("\u{202E}PAYPAL\u{202C}", "PAYPAL"),
        ("CO\u{200B}RN\u{00AD}ER\u{FEFF}", "CORNER"),
        ("a\u{7}b\r\nc", "ab  c"),
        ("'; DROP TABLE pot; --", "'; DROP TABLE pot; --"),
        ("=HYPERLINK(\"x\")", "=HYPERLINK(\"x\")"),
        (&long, &long[..400]),
    ];
    for (n, (name, kept)) in names.into_iter().enumerate() {
        let id = format!("Name{n}");
        let bought = Purchase { shop: name.to_owned(), ..purchase(&id, 1_00) };
        assert!(world.authorise(&bought).await.is_approved(), "{n}");
        world.send_event(&bought.created(world.now(), 1_00)).await;
        world.send_event(&bought.captured(world.now(), "one", 1_00)).await;
        let place = format!("SELECT place FROM purchase WHERE reference = 'iauth_1Test{id}'");
        assert_eq!(world.database.rows(&place).await, [[kept]], "{n}");
        let told = explain(world.app.store(), world.app.directory(), &bought.id).await.unwrap();
        assert_eq!(told[0].replay, Replay::Same, "{n}");
        assert_eq!(told[0].place, kept, "{n}");
    }
    // Invisible characters do not separate a shop from its term: two tests, and no third.
    let tests = ["Theory Test Centre", "THEORY\u{200B} TEST CENTRE", "Theory Test\u{202E} Centre"];
    let answers = [true, true, false];
    for (n, (name, is_paid)) in tests.iter().zip(answers).enumerate() {
        let shop = (*name).to_owned();
        let attempt = Purchase { shop, mcc: json!("8299"), ..femi(&format!("Try{n}"), 1_00) };
        let answer = world.authorise(&attempt).await;
        assert_eq!(answer.is_approved(), is_paid, "{n}: {answer:?}");
        assert!(is_paid || answer.reason() == "too_many", "{answer:?}");
    }
    world.check().await;
}

async fn scenario_57_pots_pay_in_the_order_that_the_decision_knew(database: TestDatabase) {
    let world = World::open(database).await;
    // Two pots may pay for pets; the one for pets only is first in Dee's list.
    let pets = |id: &str| Purchase { mcc: json!("5995"), ..purchase(id, 45_00) };
    let first = world.authorise(&pets("First")).await;
    assert!(first.is_approved());
    let order = |pots: &[(&str, i64)]| {
        pots.iter().map(|(pot, amount)| ((*pot).to_owned(), *amount)).collect::<Vec<_>>()
    };
    let parts = async |decision: String| {
        let told = explain(world.app.store(), world.app.directory(), &decision).await.unwrap();
        assert_eq!(told[0].replay, Replay::Same);
        let parts = told[0].parts.iter();
        parts.map(|part| (part.pot.to_string(), part.amount.minor())).collect::<Vec<_>>()
    };
    assert_eq!(parts(first.decision()).await, order(&[("pets", 40_00), ("week", 5_00)]));
    world.send_event(&pets("First").over(world.now(), "reversed")).await;

    // The person reverses the order. New decisions follow it; the old one is explained as before.
    let at = DEMO.find("[[person.pot]]\nid = \"pets\"").unwrap();
    let week = DEMO.find("[[person.pot]]\nid = \"week\"").unwrap();
    let end = DEMO.find("[[person.pot]]\nid = \"emergency\"").unwrap();
    let turned = [&DEMO[..at], &DEMO[week..end], &DEMO[at..week], &DEMO[end..]].concat();
    world.advance_clock(1.minute());
    let waiting = world.apply(&turned).await;
    world.agree(&waiting).await;
    let second = world.authorise(&pets("Second")).await;
    assert_eq!(parts(second.decision()).await, order(&[("week", 45_00)]));
    assert_eq!(parts(first.decision()).await, order(&[("pets", 40_00), ("week", 5_00)]));
    assert_eq!(world.authorise(&pets("First")).await, first, "and its answer stays");
    world.check().await;
}
