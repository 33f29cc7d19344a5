//! Gateways with wrong clocks: the chain orders their decisions, and not a clock.

use sayso::platform::clock::Clock;

use crate::caller::{Caller, authorise_concurrently};
use crate::support::TestDatabase;
use crate::world::{DEMO, MONDAY_MORNING, Purchase, World, patient, purchase};

on_both_databases!(
    scenario_46_a_replica_whose_clock_is_wrong_overspends_nothing,
    scenario_47_a_clock_that_steps_back_breaks_no_chain,
);

async fn scenario_46_a_replica_whose_clock_is_wrong_overspends_nothing(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    // The issuer's own clock is right, and signs the messages to both gateways.
    for (minutes, is_heard) in [(4, true), (-4, true), (7, false), (-7, false)] {
        let wrong = MONDAY_MORNING.parse::<jiff::Timestamp>().unwrap();
        let wrong = wrong.checked_add(jiff::Span::new().minutes(minutes)).unwrap();
        let other = world.another_at(&Clock::manual(wrong).0).await;
        let there = Caller::new(other.address(), world.clock.clone());
        for round in 0..10 {
            // Femi may spend 30.00 a day on food: enough for one of two.
            let buy = |side: &str| Purchase {
                card: crate::world::FEMI.to_owned(),
                ..purchase(&format!("M{minutes}R{round}{side}"), 16_00)
            };
            let asked = [(world.caller(), buy("Here")), (there.clone(), buy("There"))];
            let answers = authorise_concurrently(asked.clone()).await;
            if !is_heard {
                // At more than five minutes of difference every signature is out of its window, so
                // that gateway decides nothing.
                assert_eq!(answers[1].0.status, 401, "{answers:?}");
                assert!(answers[0].0.is_approved(), "{answers:?}");
                world.send_event(&asked[0].1.over(world.now(), "reversed")).await;
                continue;
            }
            let paid: Vec<_> = answers.iter().map(|(answer, _)| answer.is_approved()).collect();
            assert!(paid[0] != paid[1], "{minutes} minutes, round {round}: {answers:?}");
            let (caller, won) = &asked[usize::from(paid[1])];
            caller.send_event(&won.over(world.now(), "reversed")).await;
        }
        other.stop().await;
    }
    assert_eq!(world.figure("femi", "held").await, 0);
    world.check().await;
}

async fn scenario_47_a_clock_that_steps_back_breaks_no_chain(database: TestDatabase) {
    let world = World::open(database).await;
    let steps =
        ["09:00:00", "08:50:00", "09:10:00", "08:00:01", "08:00:00", "12:00:00", "09:00:00"];
    for (number, time) in steps.iter().enumerate() {
        world.set_time(&format!("2026-11-23T{time}Z"));
        // A new process does not know the ids that were generated before it.
        let fresh = world.another().await;
        for (side, caller) in [("Old", world.caller()), ("New", world.caller_of(&fresh))] {
            let bought = purchase(&format!("Step{number}{side}"), 1_00);
            assert!(caller.authorise(&bought).await.is_approved());
            caller.send_event(&bought.captured(world.now(), "c", 1_00)).await;
            caller.send_event(&bought.over(world.now(), "closed")).await;
        }
        fresh.stop().await;
    }
    let bought = i64::try_from(2 * steps.len()).unwrap();
    assert_eq!(world.figures("dee").await[..2], [0, bought * 1_00]);
    let order = "SELECT subject FROM posting WHERE budget_id = 'dee' AND kind = 'decision' \
                 ORDER BY seq";
    let links = world.database.rows(order).await;
    let ids: std::collections::BTreeSet<_> = links.iter().flatten().collect();
    assert_eq!(i64::try_from(ids.len()).unwrap(), bought, "every identifier is another one");
    world.check().await;
}
