//! Signals that may be worth a talk: derived when somebody reads them, and never a reason to
//! decline.

use jiff::ToSpan as _;
use sayso::domain::people::signal::SignalKind;

use super::town::{AskFixture, handset};
use crate::support::{TestDatabase, project};
use crate::world::{World, purchase};

on_both_databases!(what_is_worth_a_talk_is_told_and_stops_nothing);

async fn signals(world: &World, who: &str) -> Vec<(String, String)> {
    let told = world.get_as(who, "/v1/people/dee/signals").await.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let signals = told["signals"].as_array().unwrap();
    signals.iter().map(|signal| (text(&signal["kind"]), text(&signal["words"]))).collect()
}

async fn kinds(world: &World) -> Vec<String> {
    signals(world, "amina").await.into_iter().map(|(kind, _)| kind).collect()
}

async fn what_is_worth_a_talk_is_told_and_stops_nothing(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let world = &town.world;
    assert_eq!(kinds(world).await, Vec::<String>::new());
    let at = |name: &str| crate::world::Purchase { shop: name.to_owned(), ..handset(name) };
    for name in ["One", "Two", "Three"] {
        assert!(!world.authorise(&at(name)).await.is_approved());
    }
    // The same card, till and amount: a retry, which does not count as another declined purchase.
    let again = crate::world::Purchase { shop: "Three".to_owned(), ..handset("ThreeAgain") };
    assert!(!world.authorise(&again).await.is_approved());
    assert_eq!(kinds(world).await, Vec::<String>::new());
    assert!(!world.authorise(&at("Four")).await.is_approved());
    let told = signals(world, "amina").await;
    assert_eq!(
        told,
        [(
            SignalKind::NotPaid.word().to_owned(),
            "4 purchases were not paid this week. The list may not fit. It may be worth a talk."
                .to_owned()
        )]
    );
    assert_eq!(signals(world, "dee").await, told, "the person reads the same");
    assert!(world.authorise(&purchase("Bread", 1_00)).await.is_approved());
    // In the next week the pattern suggests that somebody puts pressure on Dee.
    world.set_time("2026-12-01T18:00:00Z");
    for name in ["A", "B", "C"] {
        let cash = crate::world::Purchase { mcc: "6011".into(), ..purchase(name, 10_00) };
        world.authorise(&cash).await;
        world.advance_clock(20.minutes());
    }
    assert_eq!(kinds(world).await, ["cash_pressed"]);
    assert!(world.authorise(&purchase("Milk", 1_00)).await.is_approved());
    // No purchase for 30 days: the last one was on the 1st.
    world.set_time("2026-12-31T12:00:00Z");
    assert_eq!(kinds(world).await, Vec::<String>::new());
    world.set_time("2027-01-01T12:00:00Z");
    assert_eq!(kinds(world).await, ["not_used"]);
    assert!(world.authorise(&purchase("Again", 1_00)).await.is_approved());
    assert_eq!(kinds(world).await, Vec::<String>::new());
    town.world.check().await;
}

/// The modules that decide, book and maintain do not refer to signals at all.
#[test]
fn no_decision_knows_a_signal() {
    let mut looked_at = 0;
    for place in [
        "src/domain/decision/decide.rs",
        "src/card_path/authorise",
        "src/card_path/committer",
        "src/card_path/lifecycle",
        "src/operations/upkeep",
        "src/ledger",
        "src/ledger/record",
    ] {
        let path = project().join(place);
        let files = match std::fs::read_dir(&path) {
            Ok(folder) => folder.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => vec![path],
        };
        for file in files.into_iter().filter(|file| file.is_file()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(!words.any(|word| word == "signal"), "{}", file.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 10);
}
