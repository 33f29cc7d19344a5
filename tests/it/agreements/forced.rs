//! Terms that a law forces: no other change undoes them, the person can appeal against them, and
//! only the accounts concerned are notified.

use jiff::ToSpan as _;
use sayso::domain::agreement::TermAnswer;
use sayso::domain::agreement::proposal::{ConsentAnswer, ProposalState};
use sayso::domain::ask::appeal::{Appeal, AppealState, AppealSubject};
use sayso::domain::id::ProposalId;
use sayso::domain::people::role::Role;
use sayso::people::agreements::{ProposalStage, record_law};
use sayso::people::asks;
use sayso::people::asks::AppealAnswerRequest;
use sayso::people::members::{UseCaseContext, UseCaseError};

use super::fixture::{
    AgreementFixture, cash, category, forcing, id, is_conflict, is_not_allowed, term, weekly, with,
    without,
};
use crate::support::TestDatabase;
use crate::world::{Purchase, demo_with_manager_above, purchase};

on_both_databases!(
    somebody_else_than_the_two_looks_at_what_a_law_forces,
    what_else_changes_stops_no_law,
    what_was_taken_back_comes_back_with_nothing_else,
    only_who_has_heard_of_a_change_is_told_that_it_ended,
);

async fn somebody_else_than_the_two_looks_at_what_a_law_forces(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.change_member("dora", |dora| dora.role = Role::Manager).await;
    let forced = force_no_pubs(&fixture).await;
    assert!(
        appeal(&fixture, AppealSubject::Version(forced)).await.is_err(),
        "nothing is forced yet"
    );
    fixture.answer("ruth", "dee", forced, ConsentAnswer::Yes).await.unwrap();
    assert!(!fixture.world.authorise(&at_a_pub("Forced")).await.is_approved());
    // Another change meanwhile is kept.
    let less = with(&fixture.in_force("dee").await.list(), weekly(cash(), 5_00));
    let own = fixture.propose("dee", "dee", less).await.unwrap();
    let forced_list = fixture.in_force("dee").await.list();
    assert!(is_conflict(&appeal(&fixture, AppealSubject::Version(own.proposal)).await), "her own");

    let opened = appeal(&fixture, AppealSubject::Version(forced)).await.unwrap();
    for who in ["amina", "amina-manages", "ruth"] {
        let refused = look(&fixture, who, &opened).await;
        assert!(is_not_allowed(&refused), "{who}: {refused:?}");
    }
    let looked = look(&fixture, "dora", &opened).await.unwrap();
    assert_eq!(looked.state, AppealState::Changed);
    let now = fixture.in_force("dee").await;
    assert_eq!((now.version, &now.agreed_by), (4, &vec!["Dora".to_owned()]));
    assert_eq!(now.list(), without(&forced_list, &category("pubs")), "what was there before holds");
    assert!(fixture.world.authorise(&at_a_pub("Free")).await.is_approved());
    fixture.world.check().await;
}

/// A pending proposal and another forced term survive when a forced term is taken back, each with
/// its own change only.
async fn what_was_taken_back_comes_back_with_nothing_else(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.change_member("dora", |dora| dora.role = Role::Manager).await;
    let free = without(&fixture.in_force("dee").await.list(), &category("alcohol"));
    let wish = fixture.propose("dee", "dee", free).await.unwrap();
    assert!(matches!(wish.next, ProposalStage::CoolingOff(_)), "{wish:?}");
    let pubs = force_no(&fixture, "pubs").await;
    fixture.answer("ruth", "dee", pubs, ConsentAnswer::Yes).await.unwrap();
    let fun = force_no(&fixture, "fun").await;
    let opened = appeal(&fixture, AppealSubject::Version(pubs)).await.unwrap();
    look(&fixture, "dora", &opened).await.unwrap();
    // The worker answered yes to "no fun" before pubs were forced.
    let less = with(&fixture.in_force("dee").await.list(), weekly(cash(), 5_00));
    fixture.propose("dee", "dee", less).await.unwrap();
    let less = fixture.in_force("dee").await.list();
    fixture.answer("ruth", "dee", fun, ConsentAnswer::Yes).await.unwrap();
    let no_fun = with(&less, term(category("fun"), TermAnswer::No));
    assert_eq!(fixture.in_force("dee").await.list(), no_fun);
    let more = with(&no_fun, weekly(cash(), 30_00));
    fixture.propose("amina", "dee", more).await.unwrap();
    fixture.world.advance_clock((7 * 24).hours());
    let again = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert!(matches!(again.next, ProposalStage::Started(_)), "{again:?}");
    let now = fixture.in_force("dee").await.list();
    assert_eq!(now, without(&no_fun, &category("alcohol")));
    fixture.world.check().await;
}

/// The person may tighten their list, or reorder their pots, any number of times.
async fn what_else_changes_stops_no_law(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let forced = force_no_pubs(&fixture).await;
    let mut list = fixture.in_force("dee").await.list();
    list.pots.rotate_left(1);
    assert_eq!(
        fixture.propose("dee", "dee", list.clone()).await.unwrap().next,
        ProposalStage::Started(2)
    );
    let less = with(&list, weekly(category("pubs"), 10_00));
    assert_eq!(
        fixture.propose("dee", "dee", less.clone()).await.unwrap().next,
        ProposalStage::Started(3)
    );
    assert_eq!(fixture.state("dee", forced).await, ProposalState::Open);
    let started = fixture.answer("ruth", "dee", forced, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(started.next, ProposalStage::Started(4));
    let now = fixture.in_force("dee").await.list();
    assert_eq!(now, with(&less, term(category("pubs"), TermAnswer::No)), "and nothing else");
    fixture.world.check().await;
}

async fn only_who_has_heard_of_a_change_is_told_that_it_ended(database: TestDatabase) {
    let file = demo_with_manager_above("50.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    force_no_pubs(&fixture).await;
    fixture.world.advance_clock((8 * 24).hours());
    fixture.world.upkeep().await;
    assert_eq!(last_told(&fixture, "manager").await, "worker-list-run-out");
    assert_eq!(last_told(&fixture, "worker").await, "worker-list-run-out");

    let forced = force_no_pubs(&fixture).await;
    fixture.withdraw("amina", "dee", forced).await.unwrap();
    assert_eq!(last_told(&fixture, "manager").await, "worker-list-taken-back");
    assert_eq!(fixture.told("dee", "person").await, [], "never heard of it");

    let more = with(&fixture.in_force("dee").await.list(), weekly(cash(), 60_00));
    fixture.propose("dee", "dee", more).await.unwrap();
    fixture.world.advance_clock((8 * 24).hours());
    fixture.world.upkeep().await;
    for who in ["manager", "worker"] {
        assert_eq!(last_told(&fixture, who).await, "worker-list-run-out", "{who}");
    }
    assert_eq!(last_told(&fixture, "person").await, "list-run-out");
    fixture.world.check().await;
}

fn at_a_pub(id: &str) -> Purchase {
    Purchase { mcc: serde_json::json!("5813"), ..purchase(id, 1_00) }
}

async fn last_told(fixture: &AgreementFixture, recipient: &str) -> String {
    fixture.told("dee", recipient).await.last().unwrap().0.clone()
}

/// Amina records that a law forbids pubs.
async fn force_no_pubs(fixture: &AgreementFixture) -> ProposalId {
    force_no(fixture, "pubs").await
}

async fn force_no(fixture: &AgreementFixture, kind: &str) -> ProposalId {
    let list = with(&fixture.in_force("dee").await.list(), term(category(kind), TermAnswer::No));
    let (amina, law) = (fixture.as_("amina"), forcing(list));
    let forced = fixture
        .run(async |tx| record_law(tx, fixture.context(), &amina, &id("dee"), law).await)
        .await;
    forced.unwrap().proposal
}

fn asking(fixture: &AgreementFixture) -> UseCaseContext<'_> {
    UseCaseContext { directory: fixture.world.app.directory(), ids: fixture.world.app.ids() }
}

async fn appeal(fixture: &AgreementFixture, about: AppealSubject) -> Result<Appeal, UseCaseError> {
    let dee = fixture.as_("dee");
    fixture
        .run(async |tx| asks::appeal(tx, asking(fixture), &dee, &id("dee"), about, None).await)
        .await
}

/// `who` decides the appeal: no law forces this.
async fn look(
    fixture: &AgreementFixture,
    who: &str,
    appeal: &Appeal,
) -> Result<Appeal, UseCaseError> {
    let acting = fixture.as_(who);
    let answering = AppealAnswerRequest {
        appeal: appeal.id,
        next_step: None,
        words: "No law says so.".to_owned(),
    };
    fixture
        .run(async |tx| {
            asks::answer_appeal(tx, asking(fixture), &acting, &id("dee"), &answering).await
        })
        .await
}
