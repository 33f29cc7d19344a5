//! Concurrent changes through several gateways: one of them wins, and no decision uses a stale
//! list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sayso::domain::agreement::TermAnswer;
use sayso::domain::agreement::proposal::ConsentAnswer;
use sayso::people::agreements::{ProposalChange, ProposalStage, change_proposal};
use sayso::people::members::UseCaseContext;
use sayso::people::members::UseCaseError;

use super::fixture::{
    AgreementFixture, answering, at_a_phone_shop, category, id, peopled, term, with, with_a_garden,
};
use crate::support::TestDatabase;

on_both_databases!(
    two_who_answer_at_once_leave_one_answer,
    scenario_51_a_list_that_changes_meanwhile_is_never_the_stale_one,
    scenario_53_who_has_left_meanwhile_agrees_to_nothing,
    scenario_54_nobody_agrees_with_themselves,
    scenario_55_a_yes_to_a_list_that_was_replaced_starts_nothing,
);

/// Dee answers yes through one gateway and no through another one, repeatedly.
async fn two_who_answer_at_once_leave_one_answer(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let other = fixture.world.another().await;
    for round in 0..8 {
        let before = fixture.in_force("dee").await;
        let answer_now = if round % 2 == 0 { TermAnswer::Yes } else { TermAnswer::Ask };
        let list = with(&before.list(), term(category("phone"), answer_now));
        let Ok(proposed) = fixture.propose("amina", "dee", list).await else { continue };
        let acting = fixture.as_("dee");
        let run = |app: &sayso::app::gateway::App, said: ConsentAnswer| {
            let (store, acting) = (app.store().clone(), acting.clone());
            let (directory, ids) = (app.directory().clone(), app.ids().clone());
            let proposal = proposed.proposal;
            tokio::spawn(async move {
                for _ in 0..20 {
                    let mut tx = store.begin().await.unwrap();
                    let context = UseCaseContext { directory: &directory, ids: &ids };
                    let (dee, answer) = (id("dee"), ProposalChange::Answer(answering(said)));
                    let done =
                        change_proposal(&mut tx, context, &acting, &dee, proposal, answer).await;
                    match done {
                        Ok(done) => {
                            tx.commit().await.unwrap();
                            return Ok(done.next);
                        }
                        Err(UseCaseError::Store(error)) if error.is_transient() => {}
                        Err(error) => return Err(error),
                    }
                }
                panic!("no turn in twenty tries");
            })
        };
        let (yes, no) = tokio::join!(
            run(&fixture.world.app, ConsentAnswer::Yes),
            run(&other, ConsentAnswer::No)
        );
        let (yes, no) = (yes.unwrap(), no.unwrap());
        let now = fixture.in_force("dee").await;
        match (&yes, &no) {
            (Ok(ProposalStage::Started(version)), Err(UseCaseError::AlreadyAnswered(_))) => {
                assert_eq!((now.version, *version), (before.version + 1, before.version + 1));
            }
            (Err(UseCaseError::AlreadyAnswered(_)), Ok(ProposalStage::Ended(_))) => {
                assert_eq!(now, before);
            }
            _ => panic!("round {round}: {yes:?} {no:?}"),
        }
        // Afterwards the refusal no longer blocks the same change.
        fixture.world.advance_clock(jiff::Span::new().hours(7 * 24));
    }
    other.stop().await;
    fixture.world.check().await;
}

/// Purchases go through two gateways while the second yes arrives. Each is decided by the version
/// in force at its position in the chain. A request sent after the response to the yes gets the new
/// version.
async fn scenario_51_a_list_that_changes_meanwhile_is_never_the_stale_one(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let other = fixture.world.another().await;
    let list =
        with(&fixture.in_force("dee").await.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    let has_started = Arc::new(AtomicBool::new(false));
    let callers = [fixture.world.caller(), fixture.world.caller_of(&other)];
    let asking: Vec<_> = (0..2)
        .map(|number| {
            let (caller, has_started) = (callers[number].clone(), Arc::clone(&has_started));
            tokio::spawn(async move {
                let mut after = 0;
                for n in 0..200 {
                    let is_after = has_started.load(Ordering::SeqCst);
                    let answer =
                        caller.authorise(&at_a_phone_shop(&format!("S{number}x{n}"), 1)).await;
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
        match fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await {
            Ok(started) => {
                assert_eq!(started.next, ProposalStage::Started(2));
                break;
            }
            Err(UseCaseError::Store(error)) if error.is_transient() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    has_started.store(true, Ordering::SeqCst);
    for task in asking {
        task.await.unwrap();
    }
    // In the chain, no decision before the new version uses it, and none after it uses the old one.
    let sql = "SELECT p.kind, COALESCE(d.facts, '') FROM posting p \
               LEFT JOIN decision d ON d.programme_id = p.programme_id \
               AND d.decision_id = p.subject WHERE p.budget_id = 'dee' ORDER BY p.seq";
    let mut version = 0;
    let mut decided = 0;
    for row in fixture.world.database.rows(sql).await {
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
    fixture.world.check().await;
}

async fn scenario_53_who_has_left_meanwhile_agrees_to_nothing(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("dee", "dee", list).await.unwrap();
    // Amina had opened the page before her account ended.
    fixture
        .change_member("amina", |amina| {
            amina.state = sayso::domain::people::role::MemberState::Ended;
        })
        .await;
    let late = fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(matches!(late, Err(UseCaseError::NotFound(_))), "{late:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn scenario_54_nobody_agrees_with_themselves(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("dee", "dee", list).await.unwrap();
    for own in ["dee", "dee-works"] {
        assert!(
            fixture.answer(own, "dee", proposed.proposal, ConsentAnswer::Yes).await.is_err(),
            "{own}"
        );
    }
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn scenario_55_a_yes_to_a_list_that_was_replaced_starts_nothing(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let first = fixture.in_force("dee").await.list();
    let list = with(&first, term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    // A load into a new pot makes another version.
    let file = with_a_garden(&crate::world::patient(crate::world::DEMO));
    fixture.world.apply(&peopled(&file)).await;
    let now = fixture.in_force("dee").await;
    assert_eq!(now.version, 2);
    let stale = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(matches!(stale, Err(UseCaseError::Conflict(_))), "{stale:?}");
    assert_eq!(fixture.in_force("dee").await, now);
    fixture.world.check().await;
}
