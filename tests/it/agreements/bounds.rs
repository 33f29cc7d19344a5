//! What a change of a list costs does not grow with what there was before, and nobody can make
//! others wait by what they leave behind.

use std::time::Duration;

use jiff::ToSpan as _;
use sayso::agreements::{Draft, Next, draft};
use sayso::domain::agreement::Answer;
use sayso::domain::proposal::{DRAFTS_MOST, Said, State};
use sayso::store::Connections;

use super::village::{Village, category, id, is_conflict, riverside, term, with};
use crate::support::TestDatabase;

on_both_databases!(
    looking_at_a_list_takes_one_reader,
    what_ended_long_ago_is_not_read_again,
    an_account_keeps_ten_drafts,
    what_cannot_end_keeps_nothing_behind_it_open,
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

async fn try_draft(
    village: &Village,
    member: &str,
) -> Result<sayso::domain::id::ProposalId, sayso::members::ActError> {
    let list = with(&village.in_force("dee").await.list(), term(category("fun"), Answer::Ask));
    let kept = Draft { list, words: "An idea.".to_owned() };
    let acting = village.as_(member);
    village.run(async |tx| draft(tx, village.desk(), &acting, &id("dee"), kept).await).await
}
