//! Seals: made once at the programme's local midnight, by any one of the gateways.

use std::slice;
use std::time::Duration;

use jiff::ToSpan as _;
use sayso::app::gateway::{App, AppSettings};

use crate::caller::wait_until;
use crate::support::TestDatabase;
use crate::world::{DEMO, World, purchase};

on_both_databases!(a_served_gateway_seals_each_programme_at_its_own_midnight);

async fn sealed(world: &World) -> Vec<Vec<String>> {
    let sql = "SELECT programme_id, CAST(number AS TEXT), CAST(sealed_at AS TEXT) FROM seal \
               ORDER BY programme_id, number";
    world.database.rows(sql).await
}

fn row(programme: &str, number: i64, at: &str) -> Vec<String> {
    let at: jiff::Timestamp = at.parse().unwrap();
    vec![programme.to_owned(), number.to_string(), at.as_microsecond().to_string()]
}

/// Two programmes, one 13 hours ahead of the other.
async fn a_served_gateway_seals_each_programme_at_its_own_midnight(database: TestDatabase) {
    let world = World::open_at(database, DEMO, "2026-11-23T10:59:59Z").await;
    let far = DEMO.replace("Europe/London", "Pacific/Auckland");
    let far = far.replace("riverside", "lakeside").replace("ic_1Demo", "ic_1Lake");
    world.apply(&far).await;
    assert!(world.authorise(&purchase("Today", 1_00)).await.is_approved());
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let settings = AppSettings {
            upkeep_every: Some(Duration::from_millis(20)),
            ..world.database.settings(&world.clock)
        };
        gateways.push(App::start(settings).await.unwrap());
    }
    let some_rounds = || tokio::time::sleep(Duration::from_millis(200));
    some_rounds().await;
    assert!(sealed(&world).await.is_empty(), "the day is not over anywhere");
    world.advance_clock(1.second());
    wait_until(async || !sealed(&world).await.is_empty()).await;
    some_rounds().await;
    let auckland = row("lakeside", 1, "2026-11-23T11:00:00Z");
    assert_eq!(sealed(&world).await, slice::from_ref(&auckland));
    // No gateway ran at midnight in London: the seal is made later, once.
    world.set_time("2026-11-24T00:30:00Z");
    wait_until(async || sealed(&world).await.len() == 2).await;
    some_rounds().await;
    let london = row("riverside", 1, "2026-11-24T00:30:00Z");
    assert_eq!(sealed(&world).await, [auckland, london]);
    for gateway in gateways {
        gateway.stop().await;
    }
    let proof = sayso::operations::verify(world.app.store(), None).await.unwrap();
    assert!(proof.is_clean(), "{}", proof.to_text());
    assert_eq!(proof.counts.of("seal"), 2);
}
