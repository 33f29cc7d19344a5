//! A link is a hint: a presentment that does not match the purchase it names moves no other
//! funder's money.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::programme_text::ProgrammeText;
use crate::support::TestDatabase;
use crate::world::{APPROVED, AuthorisationState, CONNECTION, Purchase, World, purchase};

on_both_databases!(
    a_refund_of_another_shop_goes_to_the_purchase_that_it_fits,
    a_refund_of_another_persons_card_goes_to_their_own_purchase,
    a_refund_that_fits_no_purchase_or_two_is_kept_aside,
    a_refund_to_the_card_that_replaced_the_old_one_fits,
    a_capture_of_another_shop_is_paid_by_the_pots_for_it,
    a_capture_of_another_persons_card_is_theirs,
    names_that_clearing_spells_otherwise_fit,
    a_refund_in_a_third_currency_is_kept_aside,
    it_does_not_matter_whether_messages_come_together,
    of_messages_that_come_together_the_first_content_is_booked,
    a_refund_of_another_shop_releases_nothing_of_the_purchase_that_it_names,
    a_dispute_follows_a_claim_that_does_not_fit,
);

const DEE: &str = "ic_1LinkDee0000000001";
const DEE_NEW: &str = "ic_1LinkDee0000000002";
const FEMI: &str = "ic_1LinkFemi000000001";

/// Dee has 60.00 of one funder for food and 60.00 of another one for health. Femi has 50.00 for
/// everything.
fn file() -> String {
    let mut text = ProgrammeText::small("GBP");
    text.stream("health", "Health grant", "Riverside Health");
    text.person("dee", "Dee")
        .card(DEE, "0001")
        .with(r#"state = "replaced""#)
        .card(DEE_NEW, "0002")
        .pot("food", "homes", "60.00")
        .with(r#"only = ["food"]"#)
        .pot("health", "health", "60.00")
        .with(r#"only = ["health"]"#)
        .agreement()
        .yes_to_everything_else();
    text.person("femi", "Femi")
        .card(FEMI, "0003")
        .pot("week", "homes", "50.00")
        .agreement()
        .yes_to_everything_else();
    text.as_str().to_owned()
}

fn at_tesco(id: &str, amount: i64) -> Purchase {
    let shop = "TESCO STORES 3278".to_owned();
    Purchase { card: DEE_NEW.to_owned(), shop, ..purchase(id, amount) }
}

fn at_boots(id: &str, amount: i64) -> Purchase {
    let shop = "BOOTS 0452".to_owned();
    Purchase { card: DEE_NEW.to_owned(), shop, mcc: json!("5912"), ..purchase(id, amount) }
}

/// Authorises a purchase and confirms its hold.
async fn hold(world: &World, bought: &Purchase) {
    assert!(world.authorise(bought).await.is_approved());
    world.send_event(&bought.created(world.now(), bought.amount)).await;
}

/// Authorises a purchase and captures all of it.
async fn buy(world: &World, bought: &Purchase) {
    hold(world, bought).await;
    world.send_event(&bought.captured(world.now(), "paid", bought.amount)).await;
}

/// `message` with its link changed to the purchase `named`.
fn naming(mut message: Value, named: &Purchase) -> Value {
    message["data"]["object"]["authorization"] = json!(named.id);
    message
}

async fn spent(world: &World, pots: [(&str, &str); 3]) -> [i64; 3] {
    let mut spent = [0; 3];
    for (place, (person, pot)) in pots.into_iter().enumerate() {
        spent[place] = world.pot(person, pot, "spent").await;
    }
    spent
}

const POTS: [(&str, &str); 3] = [("dee", "food"), ("dee", "health"), ("femi", "week")];

async fn a_refund_of_another_shop_goes_to_the_purchase_that_it_fits(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    buy(&world, &tesco).await;
    buy(&world, &boots).await;
    let refund = naming(boots.refunded(world.now(), "back", 30_00), &tesco);
    world.send_event(&refund).await;
    world.send_event(&refund).await;
    assert_eq!(spent(&world, POTS).await, [40_00, 0, 0]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.exceptions().await, ["link_does_not_fit"]);
    let detail = world.database.rows("SELECT detail FROM exception").await.concat().concat();
    assert!(detail.contains("shop") && detail.contains("iauth_1TestTesco"), "{detail}");
    world.check().await;
}

async fn a_refund_of_another_persons_card_goes_to_their_own_purchase(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let tesco = at_tesco("Tesco", 40_00);
    let boots = Purchase { card: FEMI.to_owned(), ..at_boots("Boots", 30_00) };
    buy(&world, &tesco).await;
    buy(&world, &boots).await;
    world.send_event(&naming(boots.refunded(world.now(), "back", 30_00), &tesco)).await;
    assert_eq!(spent(&world, POTS).await, [40_00, 0, 0]);
    // The shop matches, but the card belongs to another person without a purchase there.
    let refund = Purchase { card: FEMI.to_owned(), ..tesco.clone() };
    world.send_event(&naming(refund.refunded(world.now(), "other", 7_00), &tesco)).await;
    assert_eq!(spent(&world, POTS).await, [40_00, 0, 0]);
    assert_eq!(world.exposure_and_suspense().await, (0, 7_00));
    assert_eq!(world.exceptions().await, ["link_does_not_fit"; 2]);
    let noted = "budget_id = 'femi' AND detail LIKE '%card%'";
    assert_eq!(world.count("exception", noted).await, 2);
    world.check().await;
}

async fn a_refund_that_fits_no_purchase_or_two_is_kept_aside(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let tesco = at_tesco("Tesco", 40_00);
    buy(&world, &tesco).await;
    let refund = |name: &str, amount| {
        naming(at_boots("Boots", 30_00).refunded(world.now(), name, amount), &tesco)
    };
    world.send_event(&refund("none", 10_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 10_00), "nothing was bought there");
    buy(&world, &at_boots("First", 20_00)).await;
    buy(&world, &at_boots("Second", 20_00)).await;
    world.send_event(&refund("two", 10_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 20_00), "it may be either");
    // One of them is refunded, so that only one matches.
    world.send_event(&at_boots("Second", 20_00).refunded(world.now(), "back", 20_00)).await;
    world.send_event(&refund("one", 10_00)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 20_00));
    assert_eq!(spent(&world, POTS).await, [40_00, 10_00, 0]);
    world.send_event(&refund("more", 10_01)).await;
    assert_eq!(world.exposure_and_suspense().await, (0, 30_01), "more than is left of it");
    assert_eq!(world.exceptions().await, ["link_does_not_fit"; 4]);
    world.check().await;
}

async fn a_refund_to_the_card_that_replaced_the_old_one_fits(database: TestDatabase) {
    let file = file();
    let started = file.replace(r#"state = "replaced""#, r#"state = "active""#);
    let world = World::open_with(database, &started).await;
    let bought = Purchase { card: DEE.to_owned(), ..at_tesco("Old", 20_00) };
    buy(&world, &bought).await;
    world.apply(&file).await;
    let refund = Purchase { card: DEE_NEW.to_owned(), ..bought };
    world.send_event(&refund.refunded(world.now(), "back", 20_00)).await;
    assert_eq!(spent(&world, POTS).await, [0; 3]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.exceptions().await, [""; 0]);
    world.check().await;
}

async fn a_capture_of_another_shop_is_paid_by_the_pots_for_it(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    hold(&world, &tesco).await;
    // No purchase is open at Boots, so the capture is a purchase of its own, paid from the health
    // pot.
    world.send_event(&naming(boots.captured(world.now(), "own", 12_00), &tesco)).await;
    assert_eq!(spent(&world, POTS).await, [0, 12_00, 0]);
    assert_eq!(world.pot("dee", "food", "held").await, 40_00);
    // Now one is open, and the capture belongs to it.
    hold(&world, &boots).await;
    world.send_event(&naming(boots.captured(world.now(), "fits", 30_00), &tesco)).await;
    assert_eq!(spent(&world, POTS).await, [0, 42_00, 0]);
    assert_eq!(world.pot("dee", "health", "held").await, 0);
    assert_eq!(world.exceptions().await, ["link_does_not_fit"; 2]);
    // The issuer lists both captures under the purchase at Tesco: nothing is held for them.
    world.advance_clock(1.minute());
    let mut closed = tesco.snapshot(
        "updated",
        world.now(),
        &AuthorisationState { status: "closed", ..APPROVED },
    );
    closed["data"]["object"]["transactions"] =
        json!([{"type": "capture", "amount": -12_00}, {"type": "capture", "amount": -30_00}]);
    world.send_event(&closed).await;
    assert_eq!(world.pot("dee", "food", "held").await, 0);
    world.check().await;
}

async fn a_capture_of_another_persons_card_is_theirs(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let tesco = at_tesco("Tesco", 40_00);
    hold(&world, &tesco).await;
    let theirs = Purchase { card: FEMI.to_owned(), ..tesco.clone() };
    world.send_event(&theirs.captured(world.now(), "one", 40_00)).await;
    assert_eq!(spent(&world, POTS).await, [0, 0, 40_00]);
    assert_eq!(world.pot("dee", "food", "held").await, 40_00);
    assert_eq!(world.exceptions().await, ["link_does_not_fit"]);
    // A dispute finds the capture where it is booked.
    let disputed = theirs.disputed(world.now(), "one", "funds_reinstated", "won", 40_00);
    world.send_event(&disputed).await;
    assert_eq!(spent(&world, POTS).await, [0; 3]);
    world.check().await;
}

async fn names_that_clearing_spells_otherwise_fit(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let names = ["TESCO STORE", "Tesco Pfs 4470", "", "TESCO", "TESCO.COM"];
    for (number, name) in names.into_iter().enumerate() {
        let bought = at_tesco(&format!("Spelt{number}"), 5_00);
        hold(&world, &bought).await;
        let claimed = Purchase { shop: name.to_owned(), ..bought };
        world.send_event(&claimed.captured(world.now(), "one", 5_00)).await;
        world.send_event(&claimed.refunded(world.now(), "back", 5_00)).await;
    }
    assert_eq!(world.exceptions().await, [""; 0]);
    assert_eq!(spent(&world, POTS).await, [0; 3]);
    world.check().await;
}

async fn a_refund_in_a_third_currency_is_kept_aside(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let priced = |mut message: Value, currency: &str, minor: i64| {
        message["data"]["object"]["merchant_currency"] = json!(currency);
        message["data"]["object"]["merchant_amount"] = json!(minor);
        message
    };
    let bought = at_tesco("Euros", 20_00);
    hold(&world, &bought).await;
    let at = world.now();
    world.send_event(&priced(bought.captured(at, "one", 20_00), "eur", -23_40)).await;
    world.send_event(&priced(bought.refunded(at, "dollars", 5_00), "usd", 6_60)).await;
    assert_eq!(spent(&world, POTS).await, [20_00, 0, 0]);
    assert_eq!(world.exposure_and_suspense().await, (0, 5_00));
    // In euros, or in pounds at the shop's own rate, the refund matches the purchase.
    world.send_event(&priced(bought.refunded(at, "euros", 5_00), "eur", 5_85)).await;
    world.send_event(&priced(bought.refunded(at, "pounds", 5_00), "gbp", 5_00)).await;
    assert_eq!(spent(&world, POTS).await, [10_00, 0, 0]);
    assert_eq!(world.exceptions().await, ["link_does_not_fit"]);
    world.check().await;
}

/// Books messages in one transaction.
async fn book_together(world: &World, messages: &[Value]) {
    let decode = |message: &Value| {
        let text = message.to_string();
        let event = sayso::issuers::Issuer::Stripe.decode_event(text.as_bytes()).unwrap();
        sayso::ledger::record::event::ReceivedEvent {
            programme: "riverside".parse().unwrap(),
            connection: CONNECTION.parse().unwrap(),
            event,
            text,
            received_at: world.now(),
        }
    };
    let events: Vec<_> = messages.iter().map(decode).collect();
    let app = &world.app;
    let mut tx = app.store().begin().await.unwrap();
    sayso::card_path::lifecycle::book(&mut tx, app.directory(), app.ids(), &events).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_dispute_follows_a_claim_that_does_not_fit(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    hold(&world, &tesco).await;
    let claim = naming(boots.captured(world.now(), "one", 30_00), &tesco);
    let won = boots.disputed(world.now(), "one", "funds_reinstated", "won", 30_00);
    book_together(&world, &[claim, won]).await;
    world.upkeep().await;
    assert_eq!(spent(&world, POTS).await, [0, 0, 0], "given back to whom it was taken from");
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    assert_eq!(world.disputed().await, 0);
    world.check().await;
}

async fn a_refund_of_another_shop_releases_nothing_of_the_purchase_that_it_names(
    database: TestDatabase,
) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    hold(&world, &tesco).await;
    buy(&world, &boots).await;
    world.send_event(&naming(boots.refunded(world.now(), "back", 30_00), &tesco)).await;
    // The capture of the whole total is still to come.
    let mut closed = tesco.over(world.now(), "closed");
    closed["data"]["object"]["transactions"] = json!([{"type": "capture", "amount": -40_00}]);
    world.send_event(&closed).await;
    assert_eq!(spent(&world, POTS).await, [0, 0, 0]);
    assert_eq!(world.figures("dee").await[0], 40_00, "all of it is still held");
    world.check().await;
}

async fn of_messages_that_come_together_the_first_content_is_booked(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    let repeated = tesco.created(world.now(), 40_00);
    book_together(&world, &[repeated.clone(), repeated]).await;
    let unexpected = world.exceptions().await;
    assert_eq!(unexpected, ["decided_without_us"], "a repetition is no exception");
    let first = boots.created(world.now(), 30_00);
    let mut other = first.clone();
    other["data"]["object"]["amount"] = json!(25_00);
    book_together(&world, &[first, other]).await;
    let mut told = world.exceptions().await;
    told.sort();
    assert_eq!(told, ["decided_without_us", "decided_without_us", "same_identifier_other_content"]);
    assert_eq!(world.count("issuer_event", "1 = 1").await, 2);
    world.check().await;
}

/// Messages of one commit have the same result as messages of separate commits.
async fn it_does_not_matter_whether_messages_come_together(database: TestDatabase) {
    let world = World::open_with(database, &file()).await;
    let (tesco, boots) = (at_tesco("Tesco", 40_00), at_boots("Boots", 30_00));
    let messages = [
        tesco.created(world.now(), 40_00),
        boots.created(world.now(), 30_00),
        tesco.captured(world.now(), "one", 40_00),
        naming(boots.captured(world.now(), "two", 30_00), &tesco),
        naming(boots.refunded(world.now(), "back", 30_00), &tesco),
    ];
    book_together(&world, &messages).await;
    assert_eq!(spent(&world, POTS).await, [40_00, 0, 0]);
    assert_eq!(world.exposure_and_suspense().await, (0, 0));
    let noted =
        ["decided_without_us", "decided_without_us", "link_does_not_fit", "link_does_not_fit"];
    assert_eq!(world.exceptions().await, noted);
    world.check().await;
}
