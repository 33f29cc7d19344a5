//! Storms of the simulator against a whole gateway on a story's clock: many people's purchases at
//! once over several days, and books that know what every answer and every balance must be.

use jiff::Timestamp;
use sayso::ops::balances::Balances;
use simulator::storm::{Storm, storm};
use simulator::{Clock, population};

use crate::support::TestDatabase;
use crate::world::{World, patient};

on_both_databases!(a_storm_of_days_leaves_every_answer_and_every_balance_right);

async fn a_storm_of_days_leaves_every_answer_and_every_balance_right(database: TestDatabase) {
    let programme = patient(&population::populate(population::TEMPLATE, 24, 2).unwrap());
    let world = World::open_with(database, &programme).await;
    let wanted = Storm {
        gateway: world.url(""),
        programme,
        seed: 1,
        purchases: 500,
        connections: 16,
        rate: None,
        may_be_away: false,
    };
    let hand = world.hand();
    let clock = Clock::Story(Box::new(move |unix| hand.set(Timestamp::from_second(unix).unwrap())));
    let mut aftermath = storm(&wanted, clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    aftermath.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = aftermath.report();
    assert!(report.is_clean(), "{}", report.to_text());
    assert!(report.answers().len() >= 3, "{}", report.to_text());
    world.check().await;
}
