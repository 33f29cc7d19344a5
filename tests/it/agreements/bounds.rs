//! The cost of a change does not grow with the history of the list, and nobody can block others by
//! what they leave open.

use std::time::Duration;

use jiff::ToSpan as _;
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentSide, DRAFTS_MAX, ProposalState};
use sayso::domain::agreement::{Decider, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::money::limit::Limit;
use sayso::domain::time::period::Period;
use sayso::people::agreements::{DraftRequest, ProposalStage, draft};
use sayso::store::PoolSizes;

use super::fixture::{
    AgreementFixture, cash, category, draft_of, gbp, id, is_conflict, riverside, term, weekly,
    with, without,
};
use crate::support::TestDatabase;
use crate::world::purchase;

on_both_databases!(
    looking_at_a_list_takes_one_reader,
    what_ended_long_ago_is_not_read_again,
    an_account_keeps_ten_drafts,
    what_cannot_end_keeps_nothing_behind_it_open,
    a_change_reads_no_purchase_that_it_does_not_count,
    whose_yes_it_takes_is_known_without_the_versions_before,
    one_wish_cools_at_a_time,
    a_wish_that_takes_two_by_now_is_put_to_the_worker,
);

/// With a single reader connection left, a read does not wait for a second one.
async fn looking_at_a_list_takes_one_reader(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let mut busy = Vec::new();
    for _ in 1..PoolSizes::default().readers {
        busy.push(fixture.store().snapshot().await.unwrap());
    }
    let looked = tokio::time::timeout(Duration::from_secs(5), fixture.controls("amina", "dee"));
    assert!(!looked.await.unwrap().restrictions.is_empty());
    drop(busy);
    fixture.world.check().await;
}

/// Ended proposals are made unreadable, and the next change must not notice.
async fn what_ended_long_ago_is_not_read_again(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let now = fixture.in_force("dee").await.list();
    let list = with(&now, term(category("phone"), TermAnswer::Yes));
    let refused = fixture.propose("amina", "dee", list.clone()).await.unwrap().proposal;
    fixture.answer("dee", "dee", refused, ConsentAnswer::No).await.unwrap();
    let kept = try_draft(&fixture, "helen").await.unwrap();
    fixture.world.advance_clock((8 * 24).hours());
    let sql =
        format!("UPDATE proposal SET list = '?' WHERE proposal_id IN ('{refused}', '{kept}')");
    fixture.world.database.rows(&sql).await;
    let again = fixture.propose("amina", "dee", list).await.unwrap().proposal;
    let started = fixture.answer("dee", "dee", again, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(started.next, ProposalStage::Started(2));
    fixture.world.check().await;
}

async fn an_account_keeps_ten_drafts(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let mut first = None;
    for _ in 0..DRAFTS_MAX {
        let kept = try_draft(&fixture, "helen").await.unwrap();
        first = first.or(Some(kept));
    }
    assert!(is_conflict(&try_draft(&fixture, "helen").await));
    // Drafts of one account do not use up the limit of another.
    try_draft(&fixture, "dee").await.unwrap();
    fixture.withdraw("helen", "dee", first.unwrap()).await.unwrap();
    try_draft(&fixture, "helen").await.unwrap();
    assert!(is_conflict(&try_draft(&fixture, "helen").await));
    fixture.world.advance_clock((14 * 24).hours());
    try_draft(&fixture, "helen").await.unwrap();
    fixture.world.check().await;
}

/// A page of unreadable proposals precedes one that awaits an answer.
async fn what_cannot_end_keeps_nothing_behind_it_open(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let now = fixture.in_force("dee").await.list();
    let list = with(&now, term(category("phone"), TermAnswer::Yes));
    let asked = fixture.propose("amina", "dee", list).await.unwrap().proposal;
    for n in 0..100 {
        let sql = format!(
            "INSERT INTO proposal (programme_id, budget_id, proposal_id, kind, base_version, list, \
             words, parts, state, proposed_by, proposed_at, not_before, open_until) \
             SELECT programme_id, budget_id, 'prop_{n:032x}', kind, base_version, '?', words, \
             parts, state, proposed_by, proposed_at, not_before, open_until - 1000000 \
             FROM proposal WHERE proposal_id = '{asked}'"
        );
        fixture.world.database.rows(&sql).await;
    }
    fixture.world.advance_clock((8 * 24).hours());
    assert_eq!(fixture.world.upkeep().await.ended_proposals, 1);
    assert_eq!(fixture.state("dee", asked).await, ProposalState::RunOut);
    let left = fixture.store().due_proposals(&riverside(), fixture.now(), None, 500).await.unwrap();
    assert_eq!(left.len(), 100);
    fixture.world.check().await;
}

/// Old purchases are made unreadable: an unchanged limit continues from its counter, and a new one
/// counts from the first day of its period.
async fn a_change_reads_no_purchase_that_it_does_not_count(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let limits = vec![
        Limit::Amount { per: Period::Agreement, most: gbp(500_00) },
        Limit::Count { per: Period::Week, most: 9 },
    ];
    let food =
        Term::new(TermDraft { limits, ..draft_of(category("food"), TermAnswer::Yes) }).unwrap();
    buy(&fixture, "A", 5_00).await;
    let list = with(&fixture.in_force("dee").await.list(), food);
    assert_eq!(fixture.propose("dee", "dee", list).await.unwrap().next, ProposalStage::Started(2));
    buy(&fixture, "B", 3_00).await;
    let for_ever = "SELECT CAST(amount_minor AS TEXT), CAST(purchases AS TEXT) FROM counter \
                    WHERE budget_id = 'dee' AND period = 'agreement'";
    assert_eq!(fixture.world.database.rows(for_ever).await, [["800", "2"]], "from the first");
    fixture.world.advance_clock((70 * 24).hours());
    buy(&fixture, "C", 2_00).await;
    let old = "reference IN ('iauth_1TestA', 'iauth_1TestB')";
    let spoil = format!("UPDATE purchase SET category = '?' || category WHERE {old}");
    fixture.world.database.rows(&spoil).await;

    let mut swapped = fixture.in_force("dee").await.list();
    swapped.pots.rotate_left(1);
    let swapped = fixture.propose("dee", "dee", swapped).await.unwrap();
    assert_eq!(swapped.next, ProposalStage::Started(3));
    let list = with(&fixture.in_force("dee").await.list(), weekly(category("pubs"), 10_00));
    assert_eq!(fixture.propose("dee", "dee", list).await.unwrap().next, ProposalStage::Started(4));

    assert_eq!(fixture.world.database.rows(for_ever).await, [["1000", "3"]]);
    let mend = format!("UPDATE purchase SET category = SUBSTR(category, 2) WHERE {old}");
    fixture.world.database.rows(&mend).await;
    fixture.world.check().await;
}

/// The person's own restrictions are derived from the last agreed list, without reading every
/// version.
async fn whose_yes_it_takes_is_known_without_the_versions_before(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let first = fixture.in_force("dee").await.list();
    let stricter = with(&first, weekly(cash(), 5_00));
    assert_eq!(
        fixture.propose("dee", "dee", stricter).await.unwrap().next,
        ProposalStage::Started(2)
    );
    let fun = with(&fixture.in_force("dee").await.list(), term(category("fun"), TermAnswer::Ask));
    let fun = fixture.propose("amina", "dee", fun).await.unwrap().proposal;
    fixture.answer("dee", "dee", fun, ConsentAnswer::Yes).await.unwrap();
    let spoil = "UPDATE term SET scope = '?' || scope WHERE budget_id = 'dee' AND version < 3";
    fixture.world.database.rows(spoil).await;

    let now = fixture.in_force("dee").await.list();
    let back = fixture.propose("dee", "dee", with(&now, weekly(cash(), 15_00))).await.unwrap();
    assert_eq!(back.next, ProposalStage::Started(4), "her own to take back");
    let now = fixture.in_force("dee").await.list();
    let list = without(&now, &category("fun"));
    let together = fixture.propose("dee", "dee", list).await.unwrap();
    assert_eq!(
        together.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "agreed by two"
    );
    let mend = "UPDATE term SET scope = SUBSTR(scope, 2) WHERE budget_id = 'dee' AND version < 3";
    fixture.world.database.rows(mend).await;
    fixture.world.check().await;
}

/// A cooled-off proposal must not be kept in reserve, so only one cools off at a time.
async fn one_wish_cools_at_a_time(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let now = fixture.in_force("dee").await.list();
    let first = fixture.propose("dee", "dee", without(&now, &category("alcohol"))).await.unwrap();
    assert!(matches!(first.next, ProposalStage::CoolingOff(_)), "{first:?}");
    let second = fixture.propose("dee", "dee", without(&now, &category("gambling"))).await;
    assert!(is_conflict(&second), "{second:?}");
    // A change that starts at once does not conflict with it, and the proposal continues.
    let less = fixture.propose("dee", "dee", with(&now, weekly(cash(), 5_00))).await.unwrap();
    assert_eq!(less.next, ProposalStage::Started(2));
    fixture.world.advance_clock((14 * 24).hours());
    assert!(is_conflict(&fixture.answer("dee", "dee", first.proposal, ConsentAnswer::Yes).await));
    let now = fixture.in_force("dee").await.list();
    let second = fixture.propose("dee", "dee", without(&now, &category("gambling"))).await.unwrap();
    assert!(
        matches!(second.next, ProposalStage::CoolingOff(_)),
        "its time begins anew: {second:?}"
    );
    fixture.world.check().await;
}

/// Dee's own block of one kind of shop lies within a category that two agreed on. While her
/// proposal to lift it cools off, the two agree on a lower limit for the whole category.
async fn a_wish_that_takes_two_by_now_is_put_to_the_worker(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let own = |answer, cooling_days| {
        let scope = Scope::Code("4812".parse().unwrap());
        let decides = Decider::Person;
        Term::new(TermDraft { decides, cooling_days, ..draft_of(scope, answer) }).unwrap()
    };
    let blocked = with(&fixture.in_force("dee").await.list(), own(TermAnswer::No, Some(7)));
    let blocked = fixture.propose("dee", "dee", blocked).await.unwrap();
    assert_eq!(blocked.next, ProposalStage::Started(2));
    let lifted = with(&fixture.in_force("dee").await.list(), own(TermAnswer::Ask, None));
    let wish = fixture.propose("dee", "dee", lifted).await.unwrap();
    assert!(matches!(wish.next, ProposalStage::CoolingOff(_)), "{wish:?}");
    let less = with(&fixture.in_force("dee").await.list(), term(category("phone"), TermAnswer::No));
    let less = fixture.propose("amina", "dee", less).await.unwrap().proposal;
    assert_eq!(
        fixture.answer("dee", "dee", less, ConsentAnswer::Yes).await.unwrap().next,
        ProposalStage::Started(3)
    );
    fixture.world.advance_clock((7 * 24).hours());
    let again = fixture.answer("dee", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(again.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    assert_eq!(fixture.told("dee", "worker").await.last().unwrap().0, "worker-list-proposed");
    fixture.world.advance_clock((6 * 24).hours());
    let agreed = fixture.answer("amina", "dee", wish.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(4));
    fixture.world.check().await;
}

async fn buy(fixture: &AgreementFixture, id: &str, minor: i64) {
    let bought = purchase(id, minor);
    assert!(fixture.world.authorise(&bought).await.is_approved());
    fixture.world.send_event(&bought.captured(fixture.now(), id, minor)).await;
}

async fn try_draft(
    fixture: &AgreementFixture,
    member: &str,
) -> Result<sayso::domain::id::ProposalId, sayso::people::members::UseCaseError> {
    let list = with(&fixture.in_force("dee").await.list(), term(category("fun"), TermAnswer::Ask));
    let kept = DraftRequest { list, words: "An idea.".to_owned() };
    let acting = fixture.as_(member);
    fixture.run(async |tx| draft(tx, fixture.context(), &acting, &id("dee"), kept).await).await
}
