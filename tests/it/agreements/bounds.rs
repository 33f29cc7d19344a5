//! What a change of a list costs does not grow with what there was before, and nobody can make
//! others wait by what they leave behind.

use std::time::Duration;

use jiff::ToSpan as _;
use sayso::domain::agreement::proposal::{DRAFTS_MOST, Said, Side, State};
use sayso::domain::agreement::{Answer, Decider, Scope, Term, TermDraft};
use sayso::domain::money::limit::Limit;
use sayso::domain::time::period::Period;
use sayso::people::agreements::{Draft, Next, draft};
use sayso::store::Connections;

use super::village::{
    Village, cash, category, draft_of, gbp, id, is_conflict, riverside, term, weekly, with, without,
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

/// With a single reader left, nobody who reads waits for a second one.
async fn looking_at_a_list_takes_one_reader(database: TestDatabase) {
    let village = Village::open(database).await;
    let mut busy = Vec::new();
    for _ in 1..Connections::default().readers {
        busy.push(village.store().snapshot().await.unwrap());
    }
    let looked = tokio::time::timeout(Duration::from_secs(5), village.controls("amina", "dee"));
    assert!(!looked.await.unwrap().restrictions.is_empty());
    drop(busy);
    village.world.check().await;
}

/// What nobody can answer any more could be unreadable, and the next change would not notice.
async fn what_ended_long_ago_is_not_read_again(database: TestDatabase) {
    let village = Village::open(database).await;
    let now = village.in_force("dee").await.list();
    let list = with(&now, term(category("phone"), Answer::Yes));
    let refused = village.propose("amina", "dee", list.clone()).await.unwrap().proposal;
    village.answer("dee", "dee", refused, Said::No).await.unwrap();
    let kept = try_draft(&village, "helen").await.unwrap();
    village.world.pass((8 * 24).hours());
    let sql =
        format!("UPDATE proposal SET list = '?' WHERE proposal_id IN ('{refused}', '{kept}')");
    village.world.database.rows(&sql).await;
    let again = village.propose("amina", "dee", list).await.unwrap().proposal;
    let started = village.answer("dee", "dee", again, Said::Yes).await.unwrap();
    assert_eq!(started.next, Next::Started(2));
    village.world.check().await;
}

async fn an_account_keeps_ten_drafts(database: TestDatabase) {
    let village = Village::open(database).await;
    let mut first = None;
    for _ in 0..DRAFTS_MOST {
        let kept = try_draft(&village, "helen").await.unwrap();
        first = first.or(Some(kept));
    }
    assert!(is_conflict(&try_draft(&village, "helen").await));
    // Nobody else's place is taken by them.
    try_draft(&village, "dee").await.unwrap();
    village.withdraw("helen", "dee", first.unwrap()).await.unwrap();
    try_draft(&village, "helen").await.unwrap();
    assert!(is_conflict(&try_draft(&village, "helen").await));
    village.world.pass((14 * 24).hours());
    try_draft(&village, "helen").await.unwrap();
    village.world.check().await;
}

/// A page of changes that nobody can read lies in front of one that somebody was asked about.
async fn what_cannot_end_keeps_nothing_behind_it_open(database: TestDatabase) {
    let village = Village::open(database).await;
    let now = village.in_force("dee").await.list();
    let list = with(&now, term(category("phone"), Answer::Yes));
    let asked = village.propose("amina", "dee", list).await.unwrap().proposal;
    for n in 0..100 {
        let sql = format!(
            "INSERT INTO proposal (programme_id, budget_id, proposal_id, kind, base_version, list, \
             words, parts, state, proposed_by, proposed_at, not_before, open_until) \
             SELECT programme_id, budget_id, 'prop_{n:032x}', kind, base_version, '?', words, \
             parts, state, proposed_by, proposed_at, not_before, open_until - 1000000 \
             FROM proposal WHERE proposal_id = '{asked}'"
        );
        village.world.database.rows(&sql).await;
    }
    village.world.pass((8 * 24).hours());
    assert_eq!(village.world.upkeep().await.ended_proposals, 1);
    assert_eq!(village.state("dee", asked).await, State::RunOut);
    let left = village.store().proposals_due(&riverside(), village.now(), None, 500).await.unwrap();
    assert_eq!(left.len(), 100);
    village.world.check().await;
}

/// What was bought long ago could be unreadable: a limit that goes on goes on from its counter, and a
/// new one counts from the first day of its period.
async fn a_change_reads_no_purchase_that_it_does_not_count(database: TestDatabase) {
    let village = Village::open(database).await;
    let limits = vec![
        Limit::Amount { per: Period::Agreement, most: gbp(500_00) },
        Limit::Count { per: Period::Week, most: 9 },
    ];
    let food = Term::new(TermDraft { limits, ..draft_of(category("food"), Answer::Yes) }).unwrap();
    buy(&village, "A", 5_00).await;
    let list = with(&village.in_force("dee").await.list(), food);
    assert_eq!(village.propose("dee", "dee", list).await.unwrap().next, Next::Started(2));
    buy(&village, "B", 3_00).await;
    let for_ever = "SELECT CAST(amount_minor AS TEXT), CAST(purchases AS TEXT) FROM counter \
                    WHERE budget_id = 'dee' AND period = 'agreement'";
    assert_eq!(village.world.database.rows(for_ever).await, [["800", "2"]], "from the first");
    village.world.pass((70 * 24).hours());
    buy(&village, "C", 2_00).await;
    let old = "reference IN ('iauth_1TestA', 'iauth_1TestB')";
    let spoil = format!("UPDATE purchase SET category = '?' || category WHERE {old}");
    village.world.database.rows(&spoil).await;

    let mut swapped = village.in_force("dee").await.list();
    swapped.pots.rotate_left(1);
    let swapped = village.propose("dee", "dee", swapped).await.unwrap();
    assert_eq!(swapped.next, Next::Started(3));
    let list = with(&village.in_force("dee").await.list(), weekly(category("pubs"), 10_00));
    assert_eq!(village.propose("dee", "dee", list).await.unwrap().next, Next::Started(4));

    assert_eq!(village.world.database.rows(for_ever).await, [["1000", "3"]]);
    let mend = format!("UPDATE purchase SET category = SUBSTR(category, 2) WHERE {old}");
    village.world.database.rows(&mend).await;
    village.world.check().await;
}

/// What the person made stricter alone is known from what was agreed, and not from every version.
async fn whose_yes_it_takes_is_known_without_the_versions_before(database: TestDatabase) {
    let village = Village::open(database).await;
    let first = village.in_force("dee").await.list();
    let stricter = with(&first, weekly(cash(), 5_00));
    assert_eq!(village.propose("dee", "dee", stricter).await.unwrap().next, Next::Started(2));
    let fun = with(&village.in_force("dee").await.list(), term(category("fun"), Answer::Ask));
    let fun = village.propose("amina", "dee", fun).await.unwrap().proposal;
    village.answer("dee", "dee", fun, Said::Yes).await.unwrap();
    let spoil = "UPDATE term SET scope = '?' || scope WHERE budget_id = 'dee' AND version < 3";
    village.world.database.rows(spoil).await;

    let now = village.in_force("dee").await.list();
    let back = village.propose("dee", "dee", with(&now, weekly(cash(), 15_00))).await.unwrap();
    assert_eq!(back.next, Next::Started(4), "her own to take back");
    let now = village.in_force("dee").await.list();
    let list = without(&now, &category("fun"));
    let together = village.propose("dee", "dee", list).await.unwrap();
    assert_eq!(together.next, Next::Waits([Side::Worker].into()), "agreed by two");
    let mend = "UPDATE term SET scope = SUBSTR(scope, 2) WHERE budget_id = 'dee' AND version < 3";
    village.world.database.rows(mend).await;
    village.world.check().await;
}

/// Nobody keeps a wish that has cooled already, for whenever they feel like it.
async fn one_wish_cools_at_a_time(database: TestDatabase) {
    let village = Village::open(database).await;
    let now = village.in_force("dee").await.list();
    let first = village.propose("dee", "dee", without(&now, &category("alcohol"))).await.unwrap();
    assert!(matches!(first.next, Next::Cools(_)), "{first:?}");
    let second = village.propose("dee", "dee", without(&now, &category("gambling"))).await;
    assert!(is_conflict(&second), "{second:?}");
    // What starts at once is not in the way, and the wish goes on.
    let less = village.propose("dee", "dee", with(&now, weekly(cash(), 5_00))).await.unwrap();
    assert_eq!(less.next, Next::Started(2));
    village.world.pass((14 * 24).hours());
    assert!(is_conflict(&village.answer("dee", "dee", first.proposal, Said::Yes).await));
    let now = village.in_force("dee").await.list();
    let second = village.propose("dee", "dee", without(&now, &category("gambling"))).await.unwrap();
    assert!(matches!(second.next, Next::Cools(_)), "its time begins anew: {second:?}");
    village.world.check().await;
}

/// Dee's own block of one kind of shop lies inside a group that two agreed on. While her wish to lift
/// it cools, the two agree on less for the whole group.
async fn a_wish_that_takes_two_by_now_is_put_to_the_worker(database: TestDatabase) {
    let village = Village::open(database).await;
    let own = |answer, cooling_days| {
        let scope = Scope::Code("4812".parse().unwrap());
        let decides = Decider::Person;
        Term::new(TermDraft { decides, cooling_days, ..draft_of(scope, answer) }).unwrap()
    };
    let blocked = with(&village.in_force("dee").await.list(), own(Answer::No, Some(7)));
    let blocked = village.propose("dee", "dee", blocked).await.unwrap();
    assert_eq!(blocked.next, Next::Started(2));
    let lifted = with(&village.in_force("dee").await.list(), own(Answer::Ask, None));
    let wish = village.propose("dee", "dee", lifted).await.unwrap();
    assert!(matches!(wish.next, Next::Cools(_)), "{wish:?}");
    let less = with(&village.in_force("dee").await.list(), term(category("phone"), Answer::No));
    let less = village.propose("amina", "dee", less).await.unwrap().proposal;
    assert_eq!(village.answer("dee", "dee", less, Said::Yes).await.unwrap().next, Next::Started(3));
    village.world.pass((7 * 24).hours());
    let again = village.answer("dee", "dee", wish.proposal, Said::Yes).await.unwrap();
    assert_eq!(again.next, Next::Waits([Side::Worker].into()));
    assert_eq!(village.told("dee", "worker").await.last().unwrap().0, "worker-list-proposed");
    village.world.pass((6 * 24).hours());
    let agreed = village.answer("amina", "dee", wish.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Started(4));
    village.world.check().await;
}

async fn buy(village: &Village, id: &str, minor: i64) {
    let bought = purchase(id, minor);
    assert!(village.world.ask(&bought).await.is_approved());
    village.world.tell(&bought.captured(village.now(), id, minor)).await;
}

async fn try_draft(
    village: &Village,
    member: &str,
) -> Result<sayso::domain::id::ProposalId, sayso::people::members::ActError> {
    let list = with(&village.in_force("dee").await.list(), term(category("fun"), Answer::Ask));
    let kept = Draft { list, words: "An idea.".to_owned() };
    let acting = village.as_(member);
    village.run(async |tx| draft(tx, village.desk(), &acting, &id("dee"), kept).await).await
}
