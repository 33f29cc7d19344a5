//! What a law forces: nobody stops it by the way, the person can have somebody else look at it, and
//! only those hear of it whom it concerns.

use jiff::ToSpan as _;
use sayso::domain::agreement::Answer;
use sayso::domain::agreement::proposal::{Parts, Said, State};
use sayso::domain::ask::appeal::{About, Appeal, AppealState};
use sayso::domain::id::ProposalId;
use sayso::domain::people::role::Role;
use sayso::people::agreements::{Next, force};
use sayso::people::asks;
use sayso::people::asks::AppealAnswering;
use sayso::people::members::ActError;

use super::village::{
    Village, cash, category, id, is_conflict, is_not_allowed, proposing, term, weekly, with,
    without,
};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, patient, purchase};

on_both_databases!(
    somebody_else_than_the_two_looks_at_what_a_law_forces,
    what_else_changes_stops_no_law,
    what_was_taken_back_comes_back_with_nothing_else,
    only_who_has_heard_of_a_change_is_told_that_it_ended,
);

async fn somebody_else_than_the_two_looks_at_what_a_law_forces(database: TestDatabase) {
    let village = Village::open(database).await;
    village.change_member("dora", |dora| dora.role = Role::Manager).await;
    let forced = force_no_pubs(&village).await;
    assert!(appeal(&village, About::Version(forced)).await.is_err(), "nothing is forced yet");
    village.answer("ruth", "dee", forced, Said::Yes).await.unwrap();
    assert!(!village.world.ask(&at_a_pub("Forced")).await.is_approved());
    // Something else changes meanwhile, and stays.
    let less = with(&village.in_force("dee").await.list(), weekly(cash(), 5_00));
    let own = village.propose("dee", "dee", less).await.unwrap();
    let forced_list = village.in_force("dee").await.list();
    assert!(is_conflict(&appeal(&village, About::Version(own.proposal)).await), "her own");

    let opened = appeal(&village, About::Version(forced)).await.unwrap();
    for who in ["amina", "amina-manages", "ruth"] {
        let refused = look(&village, who, &opened).await;
        assert!(is_not_allowed(&refused), "{who}: {refused:?}");
    }
    let looked = look(&village, "dora", &opened).await.unwrap();
    assert_eq!(looked.state, AppealState::Changed);
    let now = village.in_force("dee").await;
    assert_eq!((now.version, &now.agreed_by), (4, &vec!["Dora".to_owned()]));
    assert_eq!(now.list(), without(&forced_list, &category("pubs")), "what was there before holds");
    assert!(village.world.ask(&at_a_pub("Free")).await.is_approved());
    village.world.check().await;
}

/// A wish that cools and another law go on when a law is taken back, each as what it is about alone.
async fn what_was_taken_back_comes_back_with_nothing_else(database: TestDatabase) {
    let village = Village::open(database).await;
    village.change_member("dora", |dora| dora.role = Role::Manager).await;
    let free = without(&village.in_force("dee").await.list(), &category("alcohol"));
    let wish = village.propose("dee", "dee", free).await.unwrap();
    assert!(matches!(wish.next, Next::Cools(_)), "{wish:?}");
    let pubs = force_no(&village, "pubs").await;
    village.answer("ruth", "dee", pubs, Said::Yes).await.unwrap();
    let fun = force_no(&village, "fun").await;
    let opened = appeal(&village, About::Version(pubs)).await.unwrap();
    look(&village, "dora", &opened).await.unwrap();
    // The worker said yes to "no fun" when pubs were no news.
    let less = with(&village.in_force("dee").await.list(), weekly(cash(), 5_00));
    village.propose("dee", "dee", less).await.unwrap();
    let less = village.in_force("dee").await.list();
    village.answer("ruth", "dee", fun, Said::Yes).await.unwrap();
    let no_fun = with(&less, term(category("fun"), Answer::No));
    assert_eq!(village.in_force("dee").await.list(), no_fun);
    let more = with(&no_fun, weekly(cash(), 30_00));
    village.propose("amina", "dee", more).await.unwrap();
    village.world.pass((7 * 24).hours());
    let again = village.answer("dee", "dee", wish.proposal, Said::Yes).await.unwrap();
    assert!(matches!(again.next, Next::Started(_)), "{again:?}");
    let now = village.in_force("dee").await.list();
    assert_eq!(now, without(&no_fun, &category("alcohol")));
    village.world.check().await;
}

/// The person can make their list stricter, or order their pots, as often as they like.
async fn what_else_changes_stops_no_law(database: TestDatabase) {
    let village = Village::open(database).await;
    let forced = force_no_pubs(&village).await;
    let mut list = village.in_force("dee").await.list();
    list.pots.rotate_left(1);
    assert_eq!(village.propose("dee", "dee", list.clone()).await.unwrap().next, Next::Started(2));
    let less = with(&list, weekly(category("pubs"), 10_00));
    assert_eq!(village.propose("dee", "dee", less.clone()).await.unwrap().next, Next::Started(3));
    assert_eq!(village.state("dee", forced).await, State::Open);
    let started = village.answer("ruth", "dee", forced, Said::Yes).await.unwrap();
    assert_eq!(started.next, Next::Started(4));
    let now = village.in_force("dee").await.list();
    assert_eq!(now, with(&less, term(category("pubs"), Answer::No)), "and nothing else");
    village.world.check().await;
}

async fn only_who_has_heard_of_a_change_is_told_that_it_ended(database: TestDatabase) {
    let file =
        patient(DEMO).replace("country = \"GB\"", "country = \"GB\"\nmanager_above = \"50.00\"");
    let village = Village::open_with(database, &file).await;
    force_no_pubs(&village).await;
    village.world.pass((8 * 24).hours());
    village.world.upkeep().await;
    assert_eq!(last_told(&village, "manager").await, "worker-list-run-out");
    assert_eq!(last_told(&village, "worker").await, "worker-list-run-out");

    let forced = force_no_pubs(&village).await;
    village.withdraw("amina", "dee", forced).await.unwrap();
    assert_eq!(last_told(&village, "manager").await, "worker-list-taken-back");
    assert_eq!(village.told("dee", "person").await, [], "never heard of it");

    let more = with(&village.in_force("dee").await.list(), weekly(cash(), 60_00));
    village.propose("dee", "dee", more).await.unwrap();
    village.world.pass((8 * 24).hours());
    village.world.upkeep().await;
    for who in ["manager", "worker"] {
        assert_eq!(last_told(&village, who).await, "worker-list-run-out", "{who}");
    }
    assert_eq!(last_told(&village, "person").await, "list-run-out");
    village.world.check().await;
}

fn at_a_pub(id: &str) -> Purchase {
    Purchase { mcc: serde_json::json!("5813"), ..purchase(id, 1_00) }
}

async fn last_told(village: &Village, recipient: &str) -> String {
    village.told("dee", recipient).await.last().unwrap().0.clone()
}

/// Amina records that a law allows no pubs.
async fn force_no_pubs(village: &Village) -> ProposalId {
    force_no(village, "pubs").await
}

async fn force_no(village: &Village, kind: &str) -> ProposalId {
    let list = with(&village.in_force("dee").await.list(), term(category(kind), Answer::No));
    let (amina, forcing) = (village.as_("amina"), proposing(list, Parts::Whole));
    let forced =
        village.run(async |tx| force(tx, village.desk(), &amina, &id("dee"), forcing).await).await;
    forced.unwrap().proposal
}

fn asking(village: &Village) -> asks::Desk<'_> {
    asks::Desk { directory: village.world.app.directory(), ids: village.world.app.ids() }
}

async fn appeal(village: &Village, about: About) -> Result<Appeal, ActError> {
    let dee = village.as_("dee");
    village
        .run(async |tx| asks::appeal(tx, asking(village), &dee, &id("dee"), about, None).await)
        .await
}

/// `who` finds that no law says so.
async fn look(village: &Village, who: &str, appeal: &Appeal) -> Result<Appeal, ActError> {
    let acting = village.as_(who);
    let answering =
        AppealAnswering { appeal: appeal.id, next_step: None, words: "No law says so.".to_owned() };
    village
        .run(async |tx| {
            asks::answer_appeal(tx, asking(village), &acting, &id("dee"), &answering).await
        })
        .await
}
