//! Killed at each named place by abort, and restarted: the final state is as without the crash.
//! What the operating system has buffered survives, so these tests do not cover a power failure.
//! Only debug builds contain the places.

use std::time::Duration;

use super::faults::slow_down;
use super::gateway::{GatewayProcess, count, held_by_approval, prepare, prove};
use crate::caller::wait_until;
use crate::support::TestDatabase;
use crate::world::{DEMO, purchase};

on_both_databases!(
    scenario_65_a_question_survives_a_crash_at_every_place,
    scenario_65_an_event_survives_a_crash_at_every_place,
    scenario_65_a_withdrawal_survives_a_crash_at_every_place,
);

/// Around every transaction: begun, budgets locked, everything decided, about to commit, and
/// committed without a response.
const AROUND: [&str; 5] = ["begun", "locked", "decided", "committing", "committed"];
/// After the rows of these tables were written.
const OF_A_DECISION: [&str; 7] =
    ["decision", "budget", "posting", "journal", "purchase", "hold", "pot"];
const OF_AN_EVENT: [&str; 8] =
    ["issuer_event", "presentment", "budget", "posting", "journal", "purchase", "hold", "pot"];
const OF_A_WITHDRAWAL: [&str; 7] =
    ["withdrawal", "budget", "posting", "journal", "purchase", "hold", "pot"];

async fn held(database: &TestDatabase) -> i64 {
    let rows = database.rows("SELECT CAST(SUM(held_minor) AS TEXT) FROM pot").await;
    rows[0][0].parse().unwrap()
}

async fn scenario_65_a_question_survives_a_crash_at_every_place(database: TestDatabase) {
    let store = prepare(&database, DEMO).await;
    for (number, place) in (1..).zip(AROUND.iter().chain(&OF_A_DECISION)) {
        let bought = purchase(&format!("At{place}"), 1_00);
        let mut gateway = GatewayProcess::start_to_crash(&database, place, 1).await;
        assert!(gateway.caller().try_authorise(&bought).await.is_err(), "{place}");
        gateway.wait_until_exited().await;
        let gateway = GatewayProcess::start(&database).await;
        // Checked before the retry: only a committed decision has a hold.
        let approvals = held_by_approval(&database).await;
        let known = approvals.keys().find(|(reference, _)| *reference == bought.id).cloned();
        assert_eq!(known.is_some(), *place == "committed", "{place}");
        let answer = gateway.caller().authorise(&bought).await;
        assert!(answer.is_approved(), "{place}: {answer:?}");
        assert!(known.is_none_or(|(_, decision)| decision == answer.decision()), "{place}");
        assert_eq!(gateway.caller().authorise(&bought).await, answer);
        assert_eq!(count(&database, "decision WHERE true").await, number, "{place}");
        assert_eq!(held(&database).await, number * 1_00, "{place}");
    }
    prove(&store).await;
    store.close().await;
}

async fn scenario_65_an_event_survives_a_crash_at_every_place(database: TestDatabase) {
    let store = prepare(&database, DEMO).await;
    for (number, place) in (1..).zip(AROUND.iter().chain(&OF_AN_EVENT)) {
        let bought = purchase(&format!("At{place}"), 1_00);
        let gateway = GatewayProcess::start(&database).await;
        assert!(gateway.caller().authorise(&bought).await.is_approved());
        drop(gateway);
        let mut gateway = GatewayProcess::start_to_crash(&database, place, 1).await;
        let event = bought.captured(gateway.caller().clock.now(), "c", 1_00);
        assert!(gateway.caller().try_send_event(&event).await.is_err(), "{place}");
        gateway.wait_until_exited().await;
        let gateway = GatewayProcess::start(&database).await;
        gateway.caller().send_event(&event).await;
        assert_eq!(count(&database, "presentment WHERE true").await, number, "{place}");
        let over = bought.over(gateway.caller().clock.now(), "closed");
        gateway.caller().send_event(&over).await;
        assert_eq!(held(&database).await, 0, "{place}");
    }
    prove(&store).await;
    store.close().await;
}

/// The crash leaves an approval that the issuer did not receive. The issuer reports that it
/// declined.
async fn scenario_65_a_withdrawal_survives_a_crash_at_every_place(database: TestDatabase) {
    let hurried = DEMO.replace("answer_within_ms = 1300", "answer_within_ms = 300");
    let store = prepare(&database, &hurried).await;
    // Far above the deadline, because the actual time depends on the load of the machine.
    slow_down(&database, "%Slow%", Duration::from_millis(1200)).await;
    for place in AROUND.iter().chain(&OF_A_WITHDRAWAL) {
        let bought = purchase(&format!("Slow{place}"), 1_00);
        // The decision passes the place first, unless only withdrawals do.
        let times = if *place == "withdrawal" { 1 } else { 2 };
        let mut gateway = GatewayProcess::start_to_crash(&database, place, times).await;
        let answer = gateway.caller().authorise(&bought).await;
        assert_eq!(answer.reason(), "our_fault", "{place}: {answer:?}");
        gateway.wait_until_exited().await;
        let gateway = GatewayProcess::start(&database).await;
        let caller = gateway.caller();
        let repeat = caller.authorise(&bought).await;
        let was_withdrawn = *place == "committed";
        assert_eq!(repeat.is_approved(), !was_withdrawn, "{place}: {repeat:?}");
        let reversed = bought.over(caller.clock.now(), "reversed");
        caller.send_event(&reversed).await;
        wait_until(async || held(&database).await == 0).await;
    }
    prove(&store).await;
    store.close().await;
}
