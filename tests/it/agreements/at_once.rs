//! Several people at several gateways at once: one of them is first, and no decision is stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sayso::domain::agreement::Answer;
use sayso::domain::agreement::proposal::Said;
use sayso::people::agreements::{Desk, Next, answer};
use sayso::people::members::ActError;

use super::village::{
    Village, answering, at_a_phone_shop, category, id, peopled, term, with, with_a_garden,
};
use crate::support::TestDatabase;

on_both_databases!(
    two_who_answer_at_once_leave_one_answer,
    scenario_51_a_list_that_changes_meanwhile_is_never_the_stale_one,
    scenario_53_who_has_left_meanwhile_agrees_to_nothing,
    scenario_54_nobody_agrees_with_themselves,
    scenario_55_a_yes_to_a_list_that_was_replaced_starts_nothing,
);

/// Dee says yes on one gateway and no on another one, again and again.
async fn two_who_answer_at_once_leave_one_answer(database: TestDatabase) {
    let village = Village::open(database).await;
    let other = village.world.another().await;
    for round in 0..8 {
        let before = village.in_force("dee").await;
        let answer_now = if round % 2 == 0 { Answer::Yes } else { Answer::Ask };
        let list = with(&before.list(), term(category("phone"), answer_now));
        let Ok(proposed) = village.propose("amina", "dee", list).await else { continue };
        let acting = village.as_("dee");
        let run = |app: &sayso::app::gateway::App, said: Said| {
            let (store, acting) = (app.store().clone(), acting.clone());
            let (directory, ids) = (app.directory().clone(), app.ids().clone());
            let proposal = proposed.proposal;
            tokio::spawn(async move {
                for _ in 0..20 {
                    let mut tx = store.begin().await.unwrap();
                    let desk = Desk { directory: &directory, ids: &ids };
                    let done =
                        answer(&mut tx, desk, &acting, &id("dee"), proposal, answering(said)).await;
                    match done {
                        Ok(done) => {
                            tx.commit().await.unwrap();
                            return Ok(done.next);
                        }
                        Err(ActError::Store(error)) if error.is_transient() => {}
                        Err(error) => return Err(error),
                    }
                }
                panic!("no turn in twenty tries");
            })
        };
        let (yes, no) = tokio::join!(run(&village.world.app, Said::Yes), run(&other, Said::No));
        let (yes, no) = (yes.unwrap(), no.unwrap());
        let now = village.in_force("dee").await;
        match (&yes, &no) {
            (Ok(Next::Started(version)), Err(ActError::Answered(_))) => {
                assert_eq!((now.version, *version), (before.version + 1, before.version + 1));
            }
            (Err(ActError::Answered(_)), Ok(Next::Ended(_))) => assert_eq!(now, before),
            _ => panic!("round {round}: {yes:?} {no:?}"),
        }
        village.world.pass(jiff::Span::new().hours(7 * 24)); // a no is no longer in the way
    }
    other.stop().await;
    village.world.check().await;
}

/// Purchases go through two gateways while the second yes arrives. Each is decided by the version
/// that was in force at its place in the chain, and whoever asks after the yes was told gets it.
async fn scenario_51_a_list_that_changes_meanwhile_is_never_the_stale_one(database: TestDatabase) {
    let village = Village::open(database).await;
    let other = village.world.another().await;
    let list = with(&village.in_force("dee").await.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    let has_started = Arc::new(AtomicBool::new(false));
    let callers = [village.world.caller(), village.world.caller_of(&other)];
    let asking: Vec<_> = (0..2)
        .map(|number| {
            let (caller, has_started) = (callers[number].clone(), Arc::clone(&has_started));
            tokio::spawn(async move {
                let mut after = 0;
                for n in 0..200 {
                    let is_after = has_started.load(Ordering::SeqCst);
                    let answer = caller.ask(&at_a_phone_shop(&format!("S{number}x{n}"), 1)).await;
                    if is_after {
                        assert!(answer.is_approved(), "asked after the yes: {answer:?}");
                        after += 1;
                        if after == 10 {
                            return;
                        }
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    loop {
        match village.answer("dee", "dee", proposed.proposal, Said::Yes).await {
            Ok(started) => {
                assert_eq!(started.next, Next::Started(2));
                break;
            }
            Err(ActError::Store(error)) if error.is_transient() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    has_started.store(true, Ordering::SeqCst);
    for task in asking {
        task.await.unwrap();
    }
    // In the chain, no decision before the new version knows of it, and none after it goes by the old.
    let sql = "SELECT p.kind, COALESCE(d.facts, '') FROM posting p \
               LEFT JOIN decision d ON d.programme_id = p.programme_id \
               AND d.decision_id = p.subject WHERE p.budget_id = 'dee' ORDER BY p.seq";
    let mut version = 0;
    let mut decided = 0;
    for row in village.world.database.rows(sql).await {
        if row[0] == "agreement" {
            version += 1;
        } else if !row[1].is_empty() {
            assert!(
                row[1].contains(&format!("\"agreement\":{version}}}")),
                "{version}: {}",
                row[1]
            );
            decided += 1;
        }
    }
    assert!(version == 2 && decided >= 20, "{version} {decided}");
    other.stop().await;
    village.world.check().await;
}

async fn scenario_53_who_has_left_meanwhile_agrees_to_nothing(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("dee", "dee", list).await.unwrap();
    // Amina had opened the page before she left.
    village
        .change_member("amina", |amina| {
            amina.state = sayso::domain::people::role::MemberState::Ended
        })
        .await;
    let late = village.answer("amina", "dee", proposed.proposal, Said::Yes).await;
    assert!(matches!(late, Err(ActError::NotThere(_))), "{late:?}");
    assert_eq!(village.in_force("dee").await, before);
    village.world.check().await;
}

async fn scenario_54_nobody_agrees_with_themselves(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("dee", "dee", list).await.unwrap();
    for own in ["dee", "dee-works"] {
        assert!(village.answer(own, "dee", proposed.proposal, Said::Yes).await.is_err(), "{own}");
    }
    assert_eq!(village.in_force("dee").await, before);
    village.world.check().await;
}

async fn scenario_55_a_yes_to_a_list_that_was_replaced_starts_nothing(database: TestDatabase) {
    let village = Village::open(database).await;
    let first = village.in_force("dee").await.list();
    let list = with(&first, term(category("phone"), Answer::Yes));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    // More money, in a pot of its own, is another version.
    let file = with_a_garden(&crate::world::patient(crate::world::DEMO));
    village.world.apply(&peopled(&file)).await;
    let now = village.in_force("dee").await;
    assert_eq!(now.version, 2);
    let stale = village.answer("dee", "dee", proposed.proposal, Said::Yes).await;
    assert!(matches!(stale, Err(ActError::Conflict(_))), "{stale:?}");
    assert_eq!(village.in_force("dee").await, now);
    village.world.check().await;
}
