//! The list of purchases: one line for each, regardless of the number of messages and pages.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use sayso::issuers::Issuer;
use sayso::ledger::record::event::ReceivedEvent;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};

use super::town::{data, money, town};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{APPROVED, AuthorisationState, CONNECTION, Purchase, World, purchase};

on_both_databases!(
    each_purchase_is_one_line_on_however_many_pages,
    what_the_card_company_refused_is_listed_and_explained,
    purchases_from_before_are_one_line_too,
    the_list_is_filtered_by_state_kind_and_day,
    a_page_reads_no_more_than_so_many_links,
);

const PATH: &str = "/v1/people/dee/purchases";

/// All lines, read in pages of `limit`.
async fn lines(world: &World, limit: usize, query: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{PATH}?limit={limit}{query}{cursor}");
        let page = world.get_as("dee", &path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        let got = data(&page);
        assert!(got.len() <= limit, "{page:?}");
        lines.extend(got);
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return lines,
        }
    }
}

fn sum(lines: &[Value], column: &str) -> i64 {
    lines.iter().map(|line| line[column]["amount"].as_i64().unwrap()).sum()
}

/// `SHOP NAME: state` of each line, in order.
fn states(lines: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines.iter().map(|line| format!("{}: {}", text(&line["place"]), text(&line["state"]))).collect()
}

/// A purchase at a shop of this name.
fn at(shop: &str, amount: i64) -> Purchase {
    Purchase { shop: shop.to_owned(), ..purchase(shop, amount) }
}

/// The next increment of the same purchase.
fn more(purchase: &Purchase, amount: i64) -> Purchase {
    Purchase { amount, answers: purchase.answers + 1, ..purchase.clone() }
}

/// The issuer declined by itself: `asked` was never held.
fn refused(purchase: &Purchase, world: &World, reason: &str, asked: i64) -> Value {
    let state = AuthorisationState {
        name: reason,
        status: "closed",
        approved: false,
        reason,
        amount: asked,
        answers: 1,
    };
    let mut event = purchase.snapshot("created", world.now(), &state);
    event["data"]["object"]["amount"] = json!(0);
    event
}

fn holds(purchase: &Purchase, world: &World, name: &str, amount: i64, answers: usize) -> Value {
    let kind = if name == "created" { "created" } else { "updated" };
    purchase.snapshot(kind, world.now(), &AuthorisationState { name, amount, answers, ..APPROVED })
}

/// One purchase of each kind, with or without a cost for Dee.
async fn live(world: &World) {
    let an_hour = || world.advance_clock(1.hour());
    // One increment is approved, and another one is declined.
    let hotel = at("HOTEL", 20_00);
    assert!(world.authorise(&hotel).await.is_approved());
    assert!(world.authorise(&more(&hotel, 5_00)).await.is_approved());
    assert!(!world.authorise(&more(&more(&hotel, 0), 9_000_00)).await.is_approved());
    world.send_event(&holds(&hotel, world, "created", 20_00, 1)).await;
    world.send_event(&holds(&hotel, world, "all", 25_00, 3)).await;
    world.send_event(&hotel.captured(world.now(), "all", 25_00)).await;
    an_hour();
    // No authorisation request, and two captures.
    let fallback = at("FALLBACK", 20_00);
    let by = AuthorisationState { amount: 20_00, reason: "network_fallback", ..APPROVED };
    world.send_event(&fallback.snapshot("created", world.now(), &by)).await;
    for (claim, amount) in [("a", 12_00), ("b", 8_00)] {
        world.send_event(&fallback.captured(world.now(), claim, amount)).await;
    }
    an_hour();
    // Three declined requests about one purchase, confirmed by the issuer.
    let rug = at("RUG", 9_000_00);
    for answers in 0..3 {
        assert!(!world.authorise(&Purchase { answers, ..rug.clone() }).await.is_approved());
    }
    let declined = AuthorisationState {
        name: "no",
        status: "closed",
        approved: false,
        reason: "webhook_declined",
        amount: 0,
        answers: 3,
    };
    world.send_event(&rug.snapshot("created", world.now(), &declined)).await;
    // The same without the issuer's confirmation.
    let lamp = at("LAMP", 9_000_00);
    for answers in 0..2 {
        assert!(!world.authorise(&Purchase { answers, ..lamp.clone() }).await.is_approved());
    }
    an_hour();
    for (shop, over) in [("REVERSED", "reversed"), ("EXPIRED", "expired")] {
        let bought = at(shop, 4_00);
        assert!(world.authorise(&bought).await.is_approved());
        world.send_event(&bought.created(world.now(), 4_00)).await;
        world.advance_clock(1.second());
        world.send_event(&bought.over(world.now(), over)).await;
    }
    let lowered = at("LOWERED", 4_00);
    assert!(world.authorise(&lowered).await.is_approved());
    world.advance_clock(1.second());
    world.send_event(&holds(&lowered, world, "less", 3_00, 1)).await;
    an_hour();
    for (shop, back) in [("PARTLY", 1_00), ("BACK", 4_00)] {
        let bought = at(shop, 4_00);
        assert!(world.authorise(&bought).await.is_approved());
        world.send_event(&bought.captured(world.now(), "all", 4_00)).await;
        world.send_event(&bought.refunded(world.now(), "back", back)).await;
    }
    for (shop, status) in [("DISPUTED", "submitted"), ("WON", "won"), ("LOST", "lost")] {
        let bought = at(shop, 4_00);
        assert!(world.authorise(&bought).await.is_approved());
        world.send_event(&bought.captured(world.now(), "all", 4_00)).await;
        world.send_event(&bought.disputed(world.now(), "all", "updated", status, 4_00)).await;
    }
    assert!(world.authorise(&at("HELD", 2_00)).await.is_approved());
    world.send_event(&at("NOBODY", 3_00).refunded_unlinked(world.now(), "back", 3_00)).await;
    assert!(world.authorise(&at("CHECK", 0)).await.is_approved());
    world.send_event(&refused(&at("PIN", 6_00), world, "verification_failed", 6_00)).await;
    let unlucky = at("UNLUCKY", 6_00);
    assert!(world.authorise(&unlucky).await.is_approved());
    world.send_event(&refused(&unlucky, world, "card_inactive", 6_00)).await;
}

const LIVED: [&str; 17] = [
    "UNLUCKY: not_paid",
    "PIN: not_paid",
    "CHECK: checked",
    "NOBODY: refund_without_purchase",
    "HELD: held",
    "LOST: lost",
    "WON: won",
    "DISPUTED: disputed",
    "BACK: given_back",
    "PARTLY: partly_given_back",
    "LOWERED: lowered",
    "EXPIRED: expired",
    "REVERSED: given_back",
    "LAMP: not_paid",
    "RUG: not_paid",
    "FALLBACK: approved_without_us",
    "HOTEL: paid",
];

async fn each_purchase_is_one_line_on_however_many_pages(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    live(&world).await;
    let all = lines(&world, 100, "").await;
    assert_eq!(states(&all), LIVED);
    for limit in [1, 2, 3, 17] {
        assert_eq!(lines(&world, limit, "").await, all, "{limit} on a page");
    }
    let ids: BTreeSet<_> = all.iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(ids.len(), all.len());
    // The sums of the list equal the balances.
    let [held, spent, _] = world.figures("dee").await;
    assert_eq!(sum(&all, "held"), held);
    let back = sum(&all, "refunded");
    let aside: i64 = all.iter().filter_map(|line| line["aside"]["amount"].as_i64()).sum();
    assert_eq!(sum(&all, "spent") - back + aside, spent);
    let totals = world.get_as("dee", "/v1/people/dee/totals").await.json();
    assert_eq!(totals["total"], money(held + spent));
    assert_eq!(totals["categories"].as_array().unwrap().len(), 1, "{totals}");
    // Each purchase is found by its id, and shows its state in words.
    for line in &all {
        let id = line["id"].as_str().unwrap();
        let one = world.get_as("dee", &format!("{PATH}/{id}")).await.json();
        for (name, value) in line.as_object().unwrap() {
            assert_eq!(&one[name], value, "{name} of {id}");
        }
        let words = one["words"].as_str().unwrap();
        let is_paid = ["paid", "held"].map(Value::from).contains(&line["state"]);
        assert_eq!(
            words.starts_with("£") && words.contains(" at "),
            is_paid && line["place"] != "HOTEL",
            "{words}"
        );
        assert!(words.ends_with('.') && words.len() > 12, "{words}");
    }
    world.check().await;
}

async fn what_the_card_company_refused_is_listed_and_explained(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let pin = at("PIN", 20_00);
    world.send_event(&refused(&pin, &world, "verification_failed", 20_00)).await;
    let all = lines(&world, 50, "").await;
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0]["outcome"], &all[0]["asked"]), (&json!("not_paid"), &money(20_00)));
    assert_eq!(all[0]["reasons"], json!(["refused_by_issuer", "did_not_match"]));
    let id = all[0]["id"].as_str().unwrap().to_owned();
    let one = world.get_as("dee", &format!("{PATH}/{id}")).await.json();
    assert_eq!(
        one["words"],
        "Not paid: £20 at PIN. No money was taken. The card company said no. \
         The PIN or a number did not match."
    );
    assert_eq!(one["next"], "You can try again. Or reply CALL and we will help you.");
    let amina = format!("{PATH}/{id}?reason=Dee+asked");
    let words = world.get_as("amina", &amina).await.json()["words"].clone();
    assert_eq!(words, "The card company said no to £20 for Dee, and did not ask us.");
    // An operator finds the same by the issuer's reference.
    for name in [pin.id.as_str(), id.as_str()] {
        let told = sayso::operations::purchase_texts::explain_purchases(
            world.app.store(),
            world.app.directory(),
            name,
        );
        let told = told.await.unwrap();
        assert_eq!(told.len(), 1, "{name}");
        let json = told[0].to_json();
        assert_eq!((&json["state"], &json["person_text"]), (&json!("not_paid"), &one["words"]));
        assert!(told[0].to_string().contains("not_paid (refused_by_issuer, did_not_match)"));
    }
    let explained = std::process::Command::new(env!("CARGO_BIN_EXE_sayso"))
        .args(["explain", &pin.id, "--database", &world.database.url])
        .output()
        .unwrap();
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.status.success() && text.contains("The card company said no."), "{text}");
    // Declined by the issuer although the gateway had approved.
    let late = at("LATE", 6_00);
    assert!(world.authorise(&late).await.is_approved());
    world.send_event(&refused(&late, &world, "something_new", 6_00)).await;
    let newest = lines(&world, 1, "").await.remove(0);
    assert_eq!(newest["reasons"], json!(["refused_by_issuer", "unknown"]));
    let id = newest["id"].as_str().unwrap();
    let one = world.get_as("dee", &format!("{PATH}/{id}")).await.json();
    assert!(one["words"].as_str().unwrap().contains("We said yes, but the card company said no."));
    // With the event's body erased, the state stays and the reason is unknown.
    let mut connection = world.database.connect().await;
    connection.execute("UPDATE issuer_event SET body = NULL").await.unwrap();
    let newest = lines(&world, 1, "").await.remove(0);
    assert_eq!(newest["reasons"], json!(["refused_by_issuer", "unknown"]));
    world.check().await;
}

/// Purchases used to have ids of their own. The test changes the ids back, and then writes what the
/// migration records about them.
async fn purchases_from_before_are_one_line_too(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    live(&world).await;
    let new = lines(&world, 100, "").await;
    let mut connection = world.database.connect().await;
    let (drop, migration) = match world.database.kind {
        DatabaseKind::Sqlite => (
            "DROP TRIGGER posting_is_never_updated",
            include_str!("../../../migrations/sqlite/0004_whole_story.sql"),
        ),
        DatabaseKind::Postgres => (
            "ALTER TABLE posting DISABLE TRIGGER USER",
            include_str!("../../../migrations/postgres/0004_whole_story.sql"),
        ),
    };
    connection.execute(drop).await.unwrap();
    for (table, column) in
        [("posting", "purchase_id"), ("purchase", "purchase_id"), ("hold", "purchase_id")]
    {
        let sql = format!(
            "UPDATE {table} SET {column} = 'pur_f' || SUBSTR({column}, 6) \
             WHERE {column} IS NOT NULL"
        );
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let note = migration.split("INSERT INTO first_link").nth(1).unwrap();
    let note = format!("INSERT INTO first_link{}", note.split(';').next().unwrap());
    connection.execute(AssertSqlSafe(note)).await.unwrap();
    let old = lines(&world, 3, "").await;
    assert_eq!(states(&old), states(&new));
    let without_ids = |lines: &[Value]| {
        let bare = lines.iter().map(|line| {
            let mut line = line.clone();
            line.as_object_mut().unwrap().remove("id");
            line
        });
        bare.collect::<Vec<_>>()
    };
    assert_eq!(without_ids(&old), without_ids(&new));
    world.app.stop().await;
}

async fn the_list_is_filtered_by_state_kind_and_day(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    assert!(world.authorise(&at("MONDAY", 2_00)).await.is_approved());
    world.set_time("2026-11-24T12:00:00Z");
    let gin = Purchase { mcc: json!("5921"), ..at("GIN", 5_00) };
    assert!(!world.authorise(&gin).await.is_approved());
    let bought = at("TUESDAY", 4_00);
    assert!(world.authorise(&bought).await.is_approved());
    world.send_event(&bought.captured(world.now(), "all", 4_00)).await;
    world.set_time("2026-11-25T12:00:00Z");
    let anew = at("ANEW", 3_00);
    world.send_event(&refused(&anew, &world, "verification_failed", 3_00)).await;
    world.set_time("2026-11-27T12:00:00Z");
    world.send_event(&anew.captured(world.now(), "all", 3_00)).await;
    for (query, shops) in [
        ("", vec!["ANEW", "TUESDAY", "GIN", "MONDAY"]),
        ("&state=held", vec!["MONDAY"]),
        ("&state=not_paid", vec!["GIN"]),
        ("&state=paid", vec!["ANEW", "TUESDAY", "MONDAY"]),
        ("&state=approved_without_us", vec!["ANEW"]),
        ("&category=alcohol", vec!["GIN"]),
        ("&from=2026-11-24&to=2026-11-24", vec!["TUESDAY", "GIN"]),
        ("&to=2026-11-23", vec!["MONDAY"]),
        // The purchase began on Wednesday, and counts on the day of its later approval.
        ("&from=2026-11-27", vec!["ANEW"]),
        ("&from=2026-11-25&to=2026-11-25", vec![]),
        ("&state=lost", vec![]),
    ] {
        let found = lines(&world, 2, query).await;
        let places: Vec<_> = found.iter().map(|line| line["place"].as_str().unwrap()).collect();
        assert_eq!(places, shops, "{query}");
    }
    for query in ["state=gone", "category=nothing", "from=yesterday", "to=2026-1-1"] {
        let refused = world.get_as("dee", &format!("{PATH}?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
    }
    world.check().await;
}

/// A purchase with very many postings: a page without a result still has a cursor.
async fn a_page_reads_no_more_than_so_many_links(database: TestDatabase) {
    const MESSAGES: usize = 1_100;

    let world = World::open_with(database, &town()).await;
    assert!(world.authorise(&at("FIRST", 1_00)).await.is_approved());
    let hotel = at("HOTEL", 2_00);
    assert!(world.authorise(&hotel).await.is_approved());
    let events: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let event = holds(&hotel, &world, &format!("again{n}"), 2_00, 1).to_string();
            ReceivedEvent {
                programme: "riverside".parse().unwrap(),
                connection: CONNECTION.parse().unwrap(),
                event: Issuer::Stripe.decode_event(event.as_bytes()).unwrap(),
                text: event,
                received_at: world.now(),
            }
        })
        .collect();
    let (store, ids) = (world.app.store(), world.app.ids());
    for some in events.chunks(100) {
        let mut tx = store.begin().await.unwrap();
        sayso::card_path::lifecycle::book(&mut tx, world.app.directory(), ids, some).await.unwrap();
        tx.commit().await.unwrap();
    }
    let page = world.get_as("dee", &format!("{PATH}?limit=1")).await;
    assert_eq!(data(&page), Vec::<Value>::new());
    assert!(page.json()["next_cursor"].is_string());
    assert_eq!(states(&lines(&world, 1, "").await), ["HOTEL: held", "FIRST: held"]);
    world.check().await;
}
