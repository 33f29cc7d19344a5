//! Every move of two people, and every refused one.

use jiff::ToSpan as _;
use sayso::domain::agreement::change::TermKey;
use sayso::domain::agreement::proposal::{
    ConsentAnswer, ConsentGranularity, ConsentSession, ConsentSide, ProposalState,
};
use sayso::domain::agreement::{Decider, Term, TermAnswer, TermDraft};
use sayso::people::agreements::{ProposalAnswerRequest, ProposalStage, counter_propose};
use sayso::people::members::UseCaseError;
use sayso::programme::apply::apply;

use super::fixture::{
    AgreementFixture, answering, at_a_phone_shop, cash, category, draft_of, id, is_conflict,
    is_invalid, is_not_allowed, is_not_there, peopled, proposing, term, weekly, with, without,
};
use crate::support::TestDatabase;
use crate::world::{DEMO, RULES, patient};

on_both_databases!(
    the_second_yes_starts_the_next_version,
    a_no_changes_nothing_and_holds_for_a_week,
    another_idea_answers_the_first,
    parts_can_be_agreed_where_they_may,
    only_the_side_that_proposed_takes_it_back,
    nobody_answers_and_nothing_changes,
    one_change_waits_at_a_time,
    a_worker_alone_never_tightens,
    nothing_is_left_to_the_worker_alone,
    another_decider_needs_both,
    somebody_elses_budget_is_not_there,
    how_it_was_agreed_is_part_of_it,
    the_same_list_is_no_change,
    a_late_review_switches_nothing_off,
);

/// Dee must ask for phone shops. Amina proposes to allow them, and Dee answers yes.
async fn the_second_yes_starts_the_next_version(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    assert!(!fixture.world.authorise(&at_a_phone_shop("A", 10_00)).await.is_approved());

    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Person].into()));
    assert_eq!(fixture.in_force("dee").await, before, "nothing has changed");
    assert!(!fixture.world.authorise(&at_a_phone_shop("B", 10_00)).await.is_approved());
    let told = fixture.told("dee", "person").await;
    assert_eq!(told[0].0, "list-proposed");
    assert!(told[0].1.starts_with("Amina wants to change your list."), "{told:?}");

    let agreed = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(before.version + 1));
    let now = fixture.in_force("dee").await;
    assert_eq!(now.agreed_by, ["Dee", "Amina"]);
    assert_eq!(
        now.how,
        "Dee, on their own page, the hostel office, 20 minutes, with a peer supporter. \
         Amina, on their own page, the hostel office, 20 minutes, with a peer supporter."
    );
    assert!(fixture.world.authorise(&at_a_phone_shop("C", 10_00)).await.is_approved());
    assert_eq!(
        fixture.acts("dee").await,
        [("amina".into(), "list_proposed".into()), ("dee".into(), "list_started".into())]
    );
    assert!(is_conflict(&fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::No).await));
    assert_eq!(fixture.versions("dee").await, [before, now], "every version stays readable");
    fixture.world.check().await;
}

async fn a_no_changes_nothing_and_holds_for_a_week(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(cash(), TermAnswer::No));
    let proposed = fixture.propose("amina", "dee", list.clone()).await.unwrap();
    let refused = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::No).await.unwrap();
    assert_eq!(refused.next, ProposalStage::Ended(ProposalState::Refused));
    assert_eq!(fixture.in_force("dee").await, before);
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-refused");

    fixture.world.advance_clock((7 * 24 - 1).hours().minutes(59).seconds(59));
    assert!(is_conflict(&fixture.propose("amina", "dee", list.clone()).await));
    let more = with(&list, term(category("fun"), TermAnswer::Ask));
    assert!(is_conflict(&fixture.propose("amina", "dee", more).await), "with something beside it");
    let other = with(&before.list(), weekly(cash(), 10_00));
    let other = fixture.propose("amina", "dee", other).await.unwrap();
    fixture.answer("dee", "dee", other.proposal, ConsentAnswer::No).await.unwrap();
    fixture.world.advance_clock(1.second());
    fixture.propose("amina", "dee", list).await.unwrap();
    fixture.world.check().await;
}

async fn another_idea_answers_the_first(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let first = with(&before.list(), weekly(cash(), 60_00));
    let first = fixture.propose("dee", "dee", first).await.unwrap();
    assert_eq!(first.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    let less = proposing(with(&before.list(), weekly(cash(), 40_00)), ConsentGranularity::Whole);
    let amina = fixture.as_("amina");
    let second = fixture
        .run(async |tx| {
            counter_propose(tx, fixture.context(), &amina, &id("dee"), first.proposal, less).await
        })
        .await
        .unwrap();
    assert_eq!(fixture.state("dee", first.proposal).await, ProposalState::Countered);
    assert_eq!(fixture.told("dee", "person").await.last().unwrap().0, "list-countered");
    assert!(is_conflict(&fixture.answer("amina", "dee", first.proposal, ConsentAnswer::Yes).await));
    fixture.answer("dee", "dee", second.proposal, ConsentAnswer::Yes).await.unwrap();
    let now = fixture.in_force("dee").await;
    assert_eq!(now.list().term(&cash()), Some(&weekly(cash(), 40_00)));
    // Nobody counters their own proposal.
    let own = fixture.propose("dee", "dee", before.list()).await;
    assert!(
        matches!(own.unwrap().next, ProposalStage::Started(_)),
        "back to less is her own to say"
    );
    fixture.world.check().await;
}

async fn parts_can_be_agreed_where_they_may(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let list = with(&list, weekly(cash(), 60_00));
    let whole = fixture.propose("amina", "dee", list.clone()).await.unwrap();
    let phone = ProposalAnswerRequest {
        parts: Some([TermKey::Term(category("phone"))].into()),
        ..answering(ConsentAnswer::Yes)
    };
    let refused = fixture.answer_with("dee", "dee", whole.proposal, phone.clone()).await;
    assert!(is_invalid(&refused, "parts"), "{refused:?}");
    fixture.withdraw("amina", "dee", whole.proposal).await.unwrap();

    let parts = fixture.propose_in("amina", "dee", list, ConsentGranularity::Parts).await.unwrap();
    for wrong in [[].into(), [TermKey::Term(category("fun"))].into()] {
        let wrong = ProposalAnswerRequest { parts: Some(wrong), ..answering(ConsentAnswer::Yes) };
        let refused = fixture.answer_with("dee", "dee", parts.proposal, wrong).await;
        assert!(is_invalid(&refused, "parts"), "{refused:?}");
    }
    let agreed = fixture.answer_with("dee", "dee", parts.proposal, phone).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(2));
    let now = fixture.in_force("dee").await.list();
    assert_eq!(now.term(&category("phone")).unwrap().answer(), TermAnswer::Yes);
    assert_eq!(now.term(&cash()), before.list().term(&cash()), "this part was not agreed");
    fixture.world.check().await;
}

async fn only_the_side_that_proposed_takes_it_back(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let list = with(&fixture.in_force("dee").await.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("dee", "dee", list.clone()).await.unwrap();
    assert!(is_not_allowed(&fixture.withdraw("amina", "dee", proposed.proposal).await));
    assert!(is_not_allowed(&fixture.withdraw("helen", "dee", proposed.proposal).await));
    assert!(is_not_there(&fixture.withdraw("ben", "dee", proposed.proposal).await));
    fixture.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(fixture.state("dee", proposed.proposal).await, ProposalState::Withdrawn);
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-taken-back");
    assert!(is_conflict(
        &fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await
    ));
    fixture.propose("dee", "dee", list).await.expect("what was taken back was no no");
    fixture.world.check().await;
}

async fn nobody_answers_and_nothing_changes(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("dee", "dee", list.clone()).await.unwrap();
    fixture.world.advance_clock((7 * 24 - 1).hours().minutes(59).seconds(59));
    assert_eq!(fixture.world.upkeep().await.ended_proposals, 0);
    fixture.world.advance_clock(1.second());
    let late = fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_conflict(&late), "before anybody has written down that it ran out: {late:?}");
    assert_eq!(fixture.world.upkeep().await.ended_proposals, 1);
    assert_eq!(fixture.world.upkeep().await.ended_proposals, 0);
    assert_eq!(fixture.state("dee", proposed.proposal).await, ProposalState::RunOut);
    assert_eq!(fixture.in_force("dee").await, before);
    assert_eq!(
        fixture.told("dee", "person").await.last().unwrap().1,
        "The change to your list has ended. Nothing changed."
    );
    fixture.propose("dee", "dee", list).await.expect("silence is no no");
    fixture.world.check().await;
}

async fn one_change_waits_at_a_time(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let more = with(&before, weekly(cash(), 60_00));
    let proposed = fixture.propose("amina", "dee", more).await.unwrap();
    let other = with(&before, term(category("phone"), TermAnswer::Yes));
    assert!(is_conflict(&fixture.propose("dee", "dee", other.clone()).await));
    // A change that she decides alone starts at once, and ends proposals about the earlier version.
    let less = with(&before, weekly(cash(), 5_00));
    let alone = fixture.propose("dee", "dee", less).await.unwrap();
    assert_eq!(alone.next, ProposalStage::Started(2));
    assert_eq!(fixture.state("dee", proposed.proposal).await, ProposalState::RunOut);
    assert!(is_conflict(
        &fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await
    ));
    fixture.world.check().await;
}

async fn a_worker_alone_never_tightens(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let agreed = fixture.in_force("ana").await;
    let list = with(&agreed.list(), term(cash(), TermAnswer::No));
    let proposed = fixture.propose("ben", "ana", list).await.unwrap();
    assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Person].into()));
    assert!(is_conflict(
        &fixture.answer("ben", "ana", proposed.proposal, ConsentAnswer::Yes).await
    ));
    assert_eq!(fixture.in_force("ana").await, agreed);
    fixture.world.check().await;
}

async fn nothing_is_left_to_the_worker_alone(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("ana").await;
    let alone =
        TermDraft { decides: Decider::Worker, ..draft_of(category("furniture"), TermAnswer::Ask) };
    let list = with(&before.list(), Term::new(alone).unwrap());
    for member in ["ana", "ben"] {
        let refused = fixture.propose(member, "ana", list.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("takes the person's yes"), "{refused}");
    }
    let file = peopled(&patient(DEMO)).replace("decides = \"together\"", "decides = \"worker\"");
    let (store, ids) = (fixture.store(), fixture.world.app.ids());
    let refused = apply(store, ids, fixture.now(), &file, RULES).await.unwrap_err().to_string();
    assert!(refused.contains("person dee: category:"), "{refused}");
    assert!(refused.contains("write decides = \"together\""), "{refused}");
    assert_eq!(fixture.in_force("ana").await, before);
    fixture.world.check().await;
}

async fn another_decider_needs_both(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("ana").await.list();
    // "online" is Ana's to decide, and the term stays a no.
    let online = before.terms.iter().find(|term| term.scope().to_string() == "gate:online");
    let together = draft_of(online.unwrap().scope().clone(), TermAnswer::No);
    let list = with(&before, Term::new(together).unwrap());
    let proposed = fixture.propose("ana", "ana", list).await.unwrap();
    assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    fixture.withdraw("ana", "ana", proposed.proposal).await.unwrap();
    let eating =
        TermDraft { decides: Decider::Person, ..draft_of(category("eating"), TermAnswer::No) };
    let list = with(&before, Term::new(eating).unwrap());
    let proposed = fixture.propose("ana", "ana", list).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "stricter, but hers from then on"
    );
    fixture.world.check().await;
}

async fn somebody_elses_budget_is_not_there(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let list = with(&before, weekly(cash(), 60_00));
    for who in ["ben", "ana", "nobody"] {
        assert!(is_not_there(&fixture.propose(who, "dee", list.clone()).await), "{who}");
    }
    for who in ["helen", "paul", "priya"] {
        assert!(is_not_allowed(&fixture.propose(who, "dee", list.clone()).await), "{who}");
    }
    assert!(is_not_there(&fixture.propose("amina", "nobody", list.clone()).await));
    let proposed = fixture.propose("dee", "dee", list).await.unwrap();
    for (who, is_refused) in [("ben", false), ("ana", false), ("helen", true), ("paul", true)] {
        let refused = fixture.answer(who, "dee", proposed.proposal, ConsentAnswer::Yes).await;
        let is_right = if is_refused { is_not_allowed(&refused) } else { is_not_there(&refused) };
        assert!(is_right, "{who}: {refused:?}");
    }
    // A proposal exists only under its own person.
    let elsewhere = fixture.answer("femi", "femi", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_not_there(&elsewhere), "{elsewhere:?}");
    fixture.world.check().await;
}

async fn how_it_was_agreed_is_part_of_it(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 5_00));
    let mut nowhere = proposing(list.clone(), ConsentGranularity::Whole);
    nowhere.session.place = "  ".to_owned();
    assert!(is_invalid(&fixture.propose_as("dee", "dee", nowhere).await, "place"));
    let mut wordless = proposing(list.clone(), ConsentGranularity::Whole);
    wordless.words = String::new();
    assert!(is_invalid(&fixture.propose_as("dee", "dee", wordless).await, "words"));
    let mut endless = proposing(list.clone(), ConsentGranularity::Whole);
    endless.session.minutes = 1_441;
    assert!(is_invalid(&fixture.propose_as("dee", "dee", endless).await, "minutes"));

    let loose = with(&before.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("amina", "dee", loose).await.unwrap();
    let session = ConsentSession { place: String::new(), ..answering(ConsentAnswer::Yes).session };
    let nowhere = ProposalAnswerRequest { session, ..answering(ConsentAnswer::Yes) };
    let refused = fixture.answer_with("dee", "dee", proposed.proposal, nowhere).await;
    assert!(is_invalid(&refused, "place"), "{refused:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn the_same_list_is_no_change(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await.list();
    let same = fixture.propose("amina", "dee", before.clone()).await;
    assert!(is_invalid(&same, "list"), "{same:?}");
    let mut twice = before.clone();
    twice.terms.push(weekly(cash(), 10_00));
    assert!(is_invalid(&fixture.propose("amina", "dee", twice).await, "list"));
    let mut fewer = before.clone();
    fewer.pots.pop();
    assert!(is_invalid(&fixture.propose("amina", "dee", fewer).await, "list"));
    let missing = "prop_00000000000000000000000000000001".parse().unwrap();
    assert!(is_not_there(&fixture.answer("dee", "dee", missing, ConsentAnswer::Yes).await));
    let nothing = fixture.withdraw("dee", "dee", missing).await;
    assert!(matches!(nothing, Err(UseCaseError::NotFound("proposal"))), "{nothing:?}");
    let _ = without(&before, &cash());
    fixture.world.check().await;
}

/// A forgotten review must never block anybody's purchases.
async fn a_late_review_switches_nothing_off(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.world.set_time("2027-09-20T08:00:00Z"); // every review of Dee's list is long past
    let controls = fixture.controls("amina", "dee").await;
    assert!(controls.overdue > 0 && controls.overdue == controls.restrictions.len());
    assert!(fixture.world.authorise(&crate::world::purchase("Late", 5_00)).await.is_approved());
    let mut at_the_pump = crate::world::purchase("Pump", 9_00);
    at_the_pump.mcc = serde_json::json!("5541");
    assert!(
        fixture.world.authorise(&at_the_pump).await.is_approved(),
        "a term whose review is late"
    );
    fixture.world.check().await;
}
