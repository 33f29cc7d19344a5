//! Every move of two people, and every one that is refused.

use jiff::ToSpan as _;
use sayso::domain::agreement::change::Key;
use sayso::domain::agreement::proposal::{Parts, Said, Session, Side, State};
use sayso::domain::agreement::{Answer, Decider, Term, TermDraft};
use sayso::people::agreements::{Answering, Next, counter, withdraw};
use sayso::people::members::ActError;
use sayso::programme::apply::apply;

use super::village::{
    Village, answering, at_a_phone_shop, cash, category, draft_of, id, is_conflict, is_invalid,
    is_not_allowed, is_not_there, peopled, proposing, term, weekly, with, without,
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

/// Dee has to ask for phone shops; Amina proposes that she does not; Dee says yes.
async fn the_second_yes_starts_the_next_version(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    assert!(!village.world.ask(&at_a_phone_shop("A", 10_00)).await.is_approved());

    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Person].into()));
    assert_eq!(village.in_force("dee").await, before, "nothing has changed");
    assert!(!village.world.ask(&at_a_phone_shop("B", 10_00)).await.is_approved());
    let told = village.told("dee", "person").await;
    assert_eq!(told[0].0, "list-proposed");
    assert!(told[0].1.starts_with("Amina wants to change your list."), "{told:?}");

    let agreed = village.answer("dee", "dee", proposed.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Started(before.version + 1));
    let now = village.in_force("dee").await;
    assert_eq!(now.agreed_by, ["Dee", "Amina"]);
    assert_eq!(
        now.how,
        "Dee, on their own page, the hostel office, 20 minutes, with a peer supporter. \
         Amina, on their own page, the hostel office, 20 minutes, with a peer supporter."
    );
    assert!(village.world.ask(&at_a_phone_shop("C", 10_00)).await.is_approved());
    assert_eq!(
        village.acts("dee").await,
        [("amina".into(), "list_proposed".into()), ("dee".into(), "list_started".into())]
    );
    assert!(is_conflict(&village.answer("dee", "dee", proposed.proposal, Said::No).await));
    assert_eq!(village.versions("dee").await, [before, now], "every version stays readable");
    village.world.check().await;
}

async fn a_no_changes_nothing_and_holds_for_a_week(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(cash(), Answer::No));
    let proposed = village.propose("amina", "dee", list.clone()).await.unwrap();
    let refused = village.answer("dee", "dee", proposed.proposal, Said::No).await.unwrap();
    assert_eq!(refused.next, Next::Ended(State::Refused));
    assert_eq!(village.in_force("dee").await, before);
    assert_eq!(village.told("dee", "worker").await.last().unwrap().0, "worker-list-refused");

    village.world.pass((7 * 24 - 1).hours().minutes(59).seconds(59));
    assert!(is_conflict(&village.propose("amina", "dee", list.clone()).await));
    let more = with(&list, term(category("fun"), Answer::Ask));
    assert!(is_conflict(&village.propose("amina", "dee", more).await), "with something beside it");
    let other = with(&before.list(), weekly(cash(), 10_00));
    let other = village.propose("amina", "dee", other).await.unwrap();
    village.answer("dee", "dee", other.proposal, Said::No).await.unwrap();
    village.world.pass(1.second());
    village.propose("amina", "dee", list).await.unwrap();
    village.world.check().await;
}

async fn another_idea_answers_the_first(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let first = with(&before.list(), weekly(cash(), 60_00));
    let first = village.propose("dee", "dee", first).await.unwrap();
    assert_eq!(first.next, Next::Waits([Side::Worker].into()));
    let less = proposing(with(&before.list(), weekly(cash(), 40_00)), Parts::Whole);
    let amina = village.as_("amina");
    let second = village
        .run(async |tx| counter(tx, village.desk(), &amina, &id("dee"), first.proposal, less).await)
        .await
        .unwrap();
    assert_eq!(village.state("dee", first.proposal).await, State::Countered);
    assert_eq!(village.told("dee", "person").await.last().unwrap().0, "list-countered");
    assert!(is_conflict(&village.answer("amina", "dee", first.proposal, Said::Yes).await));
    village.answer("dee", "dee", second.proposal, Said::Yes).await.unwrap();
    let now = village.in_force("dee").await;
    assert_eq!(now.list().term(&cash()), Some(&weekly(cash(), 40_00)));
    // Nobody answers their own proposal with another one.
    let own = village.propose("dee", "dee", before.list()).await;
    assert!(matches!(own.unwrap().next, Next::Started(_)), "back to less is her own to say");
    village.world.check().await;
}

async fn parts_can_be_agreed_where_they_may(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let list = with(&list, weekly(cash(), 60_00));
    let whole = village.propose("amina", "dee", list.clone()).await.unwrap();
    let phone =
        Answering { parts: Some([Key::Term(category("phone"))].into()), ..answering(Said::Yes) };
    let refused = village.answer_with("dee", "dee", whole.proposal, phone.clone()).await;
    assert!(is_invalid(&refused, "parts"), "{refused:?}");
    village.withdraw("amina", "dee", whole.proposal).await.unwrap();

    let parts = village.propose_in("amina", "dee", list, Parts::Parts).await.unwrap();
    for wrong in [[].into(), [Key::Term(category("fun"))].into()] {
        let wrong = Answering { parts: Some(wrong), ..answering(Said::Yes) };
        let refused = village.answer_with("dee", "dee", parts.proposal, wrong).await;
        assert!(is_invalid(&refused, "parts"), "{refused:?}");
    }
    let agreed = village.answer_with("dee", "dee", parts.proposal, phone).await.unwrap();
    assert_eq!(agreed.next, Next::Started(2));
    let now = village.in_force("dee").await.list();
    assert_eq!(now.term(&category("phone")).unwrap().answer(), Answer::Yes);
    assert_eq!(now.term(&cash()), before.list().term(&cash()), "this part was not agreed");
    village.world.check().await;
}

async fn only_the_side_that_proposed_takes_it_back(database: TestDatabase) {
    let village = Village::open(database).await;
    let list = with(&village.in_force("dee").await.list(), weekly(cash(), 60_00));
    let proposed = village.propose("dee", "dee", list.clone()).await.unwrap();
    assert!(is_not_allowed(&village.withdraw("amina", "dee", proposed.proposal).await));
    assert!(is_not_allowed(&village.withdraw("helen", "dee", proposed.proposal).await));
    assert!(is_not_there(&village.withdraw("ben", "dee", proposed.proposal).await));
    village.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(village.state("dee", proposed.proposal).await, State::Withdrawn);
    assert_eq!(village.told("dee", "worker").await.last().unwrap().0, "worker-list-taken-back");
    assert!(is_conflict(&village.answer("amina", "dee", proposed.proposal, Said::Yes).await));
    village.propose("dee", "dee", list).await.expect("what was taken back was no no");
    village.world.check().await;
}

async fn nobody_answers_and_nothing_changes(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = village.propose("dee", "dee", list.clone()).await.unwrap();
    village.world.pass((7 * 24 - 1).hours().minutes(59).seconds(59));
    assert_eq!(village.world.upkeep().await.ended_proposals, 0);
    village.world.pass(1.second());
    let late = village.answer("amina", "dee", proposed.proposal, Said::Yes).await;
    assert!(is_conflict(&late), "before anybody has written down that it ran out: {late:?}");
    assert_eq!(village.world.upkeep().await.ended_proposals, 1);
    assert_eq!(village.world.upkeep().await.ended_proposals, 0);
    assert_eq!(village.state("dee", proposed.proposal).await, State::RunOut);
    assert_eq!(village.in_force("dee").await, before);
    assert_eq!(
        village.told("dee", "person").await.last().unwrap().1,
        "The change to your list has ended. Nothing changed."
    );
    village.propose("dee", "dee", list).await.expect("silence is no no");
    village.world.check().await;
}

async fn one_change_waits_at_a_time(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await.list();
    let more = with(&before, weekly(cash(), 60_00));
    let proposed = village.propose("amina", "dee", more).await.unwrap();
    let other = with(&before, term(category("phone"), Answer::Yes));
    assert!(is_conflict(&village.propose("dee", "dee", other.clone()).await));
    // What she decides alone does not wait, and ends what was about the version before.
    let less = with(&before, weekly(cash(), 5_00));
    let alone = village.propose("dee", "dee", less).await.unwrap();
    assert_eq!(alone.next, Next::Started(2));
    assert_eq!(village.state("dee", proposed.proposal).await, State::RunOut);
    assert!(is_conflict(&village.answer("dee", "dee", proposed.proposal, Said::Yes).await));
    village.world.check().await;
}

async fn a_worker_alone_never_tightens(database: TestDatabase) {
    let village = Village::open(database).await;
    let agreed = village.in_force("ana").await;
    let list = with(&agreed.list(), term(cash(), Answer::No));
    let proposed = village.propose("ben", "ana", list).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Person].into()));
    assert!(is_conflict(&village.answer("ben", "ana", proposed.proposal, Said::Yes).await));
    assert_eq!(village.in_force("ana").await, agreed);
    village.world.check().await;
}

async fn nothing_is_left_to_the_worker_alone(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("ana").await;
    let alone =
        TermDraft { decides: Decider::Worker, ..draft_of(category("furniture"), Answer::Ask) };
    let list = with(&before.list(), Term::new(alone).unwrap());
    for member in ["ana", "ben"] {
        let refused = village.propose(member, "ana", list.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("takes the person's yes"), "{refused}");
    }
    let file = peopled(&patient(DEMO)).replace("decides = \"together\"", "decides = \"worker\"");
    let (store, ids) = (village.store(), village.world.app.ids());
    let refused = apply(store, ids, village.now(), &file, RULES).await.unwrap_err().to_string();
    assert!(refused.contains("person dee: category:"), "{refused}");
    assert!(refused.contains("write decides = \"together\""), "{refused}");
    assert_eq!(village.in_force("ana").await, before);
    village.world.check().await;
}

async fn another_decider_needs_both(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("ana").await.list();
    // "online" is Ana's to decide, and stays a no.
    let online = before.terms.iter().find(|term| term.scope().to_string() == "gate:online");
    let together = draft_of(online.unwrap().scope().clone(), Answer::No);
    let list = with(&before, Term::new(together).unwrap());
    let proposed = village.propose("ana", "ana", list).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Worker].into()));
    village.withdraw("ana", "ana", proposed.proposal).await.unwrap();
    let eating = TermDraft { decides: Decider::Person, ..draft_of(category("eating"), Answer::No) };
    let list = with(&before, Term::new(eating).unwrap());
    let proposed = village.propose("ana", "ana", list).await.unwrap();
    assert_eq!(
        proposed.next,
        Next::Waits([Side::Worker].into()),
        "stricter, but hers from then on"
    );
    village.world.check().await;
}

async fn somebody_elses_budget_is_not_there(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await.list();
    let list = with(&before, weekly(cash(), 60_00));
    for who in ["ben", "ana", "nobody"] {
        assert!(is_not_there(&village.propose(who, "dee", list.clone()).await), "{who}");
    }
    for who in ["helen", "paul", "priya"] {
        assert!(is_not_allowed(&village.propose(who, "dee", list.clone()).await), "{who}");
    }
    assert!(is_not_there(&village.propose("amina", "nobody", list.clone()).await));
    let proposed = village.propose("dee", "dee", list).await.unwrap();
    for (who, is_refused) in [("ben", false), ("ana", false), ("helen", true), ("paul", true)] {
        let refused = village.answer(who, "dee", proposed.proposal, Said::Yes).await;
        let is_right = if is_refused { is_not_allowed(&refused) } else { is_not_there(&refused) };
        assert!(is_right, "{who}: {refused:?}");
    }
    // A proposal is found with its own person only.
    let elsewhere = village.answer("femi", "femi", proposed.proposal, Said::Yes).await;
    assert!(is_not_there(&elsewhere), "{elsewhere:?}");
    village.world.check().await;
}

async fn how_it_was_agreed_is_part_of_it(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 5_00));
    let mut nowhere = proposing(list.clone(), Parts::Whole);
    nowhere.session.place = "  ".to_owned();
    assert!(is_invalid(&village.propose_as("dee", "dee", nowhere).await, "place"));
    let mut wordless = proposing(list.clone(), Parts::Whole);
    wordless.words = String::new();
    assert!(is_invalid(&village.propose_as("dee", "dee", wordless).await, "words"));
    let mut endless = proposing(list.clone(), Parts::Whole);
    endless.session.minutes = 1_441;
    assert!(is_invalid(&village.propose_as("dee", "dee", endless).await, "minutes"));

    let loose = with(&before.list(), weekly(cash(), 60_00));
    let proposed = village.propose("amina", "dee", loose).await.unwrap();
    let session = Session { place: String::new(), ..answering(Said::Yes).session };
    let nowhere = Answering { session, ..answering(Said::Yes) };
    let refused = village.answer_with("dee", "dee", proposed.proposal, nowhere).await;
    assert!(is_invalid(&refused, "place"), "{refused:?}");
    assert_eq!(village.in_force("dee").await, before);
    village.world.check().await;
}

async fn the_same_list_is_no_change(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await.list();
    let same = village.propose("amina", "dee", before.clone()).await;
    assert!(is_invalid(&same, "list"), "{same:?}");
    let mut twice = before.clone();
    twice.terms.push(weekly(cash(), 10_00));
    assert!(is_invalid(&village.propose("amina", "dee", twice).await, "list"));
    let mut fewer = before.clone();
    fewer.pots.pop();
    assert!(is_invalid(&village.propose("amina", "dee", fewer).await, "list"));
    let missing = "prop_00000000000000000000000000000001".parse().unwrap();
    assert!(is_not_there(&village.answer("dee", "dee", missing, Said::Yes).await));
    let acting = village.as_("dee");
    let nothing = village
        .run(async |tx| withdraw(tx, village.desk(), &acting, &id("dee"), missing).await)
        .await;
    assert!(matches!(nothing, Err(ActError::NotThere("proposal"))), "{nothing:?}");
    let _ = without(&before, &cash());
    village.world.check().await;
}

/// A renewal that nobody got round to must never cost anybody their shopping.
async fn a_late_review_switches_nothing_off(database: TestDatabase) {
    let village = Village::open(database).await;
    village.world.set_time("2027-09-20T08:00:00Z"); // every review of Dee's list is long past
    let controls = village.controls("amina", "dee").await;
    assert!(controls.overdue > 0 && controls.overdue == controls.restrictions.len());
    assert!(village.world.ask(&crate::world::purchase("Late", 5_00)).await.is_approved());
    let mut at_the_pump = crate::world::purchase("Pump", 9_00);
    at_the_pump.mcc = serde_json::json!("5541");
    assert!(village.world.ask(&at_the_pump).await.is_approved(), "a term whose review is late");
    village.world.check().await;
}
