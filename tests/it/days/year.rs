//! A year of purchases: those within the agreement need no ask.

use simulator::{PlayConfig, population, year};
use tokio::sync::mpsc;

use crate::support::TestDatabase;
use crate::world::{World, patient};

on_both_databases!(nobody_asks_for_what_was_agreed);

/// People whose lists differ in everything that a decision depends on. The simulator reads the same
/// file with code of its own, and computes beforehand whether each purchase is within the
/// agreement.
const PEOPLE: usize = 6;
/// Factor on the template's loads, so that no purchase is declined for lack of money.
const FILL: i64 = 200;

async fn nobody_asks_for_what_was_agreed(database: TestDatabase) {
    let programme = population::populate(population::TEMPLATE, PEOPLE, FILL).unwrap();
    let programme = patient(&programme).replace("allocated = \"", "allocated = \"1000");
    let world = World::open_with(database, &programme).await;
    let play = PlayConfig { gateway: world.url(""), programme, seed: 1, sign_in: None };
    let (steps, nobody_listens) = mpsc::channel(1);
    drop(nobody_listens);
    let mut played = year(&play, world.story_clock(), steps).await.unwrap();
    played.compare_balances(&world.all_balances().await.to_string()).unwrap();
    let report = played.report();
    assert!(report.is_clean(), "{}", report.to_text());
    assert_eq!(report.agreed_not_paid, 0, "of {}", report.agreed);
    // Both kinds are frequent: within the agreement, and outside of it.
    let refused = report.answers()["not paid"];
    assert!(report.agreed > 2_000 && refused > 100, "{}", report.to_text());
    world.check().await;
}
