//! Who says yes: two human beings, in their own words, and a manager above a sum.

use jiff::ToSpan as _;
use sayso::domain::agreement::Answer;
use sayso::domain::agreement::proposal::{Parts, Said, Side, State};
use sayso::domain::id::{PauseId, ProposalId, TalkId};
use sayso::people::agreements::{
    Draft, Next, Pausing, confirm, draft, force, lift, pause, take_up, write_down,
};
use sayso::people::members::ActError;
use serde_json::json;

use super::village::{
    Village, a_session, cash, category, id, is_conflict, is_invalid, is_not_allowed, peopled,
    proposing, term, weekly, with,
};
use crate::support::TestDatabase;
use crate::world::{DEMO, patient, purchase};

on_both_databases!(
    two_accounts_of_one_human_are_one,
    what_is_written_down_counts_when_it_is_confirmed,
    what_is_written_down_is_no_yes_beside_others,
    a_manager_joins_above_a_sum,
    a_draft_does_nothing_until_somebody_makes_it_their_own,
    somebody_with_a_link_to_the_person_decides_nothing,
    a_law_takes_two_of_the_staff_and_only_tightens,
    a_pause_ends_to_the_second_and_is_told,
    a_pause_is_no_rule,
    a_pause_leaves_the_persons_own_freeze,
    who_freezes_during_a_pause_stays_frozen_after_it,
);

async fn two_accounts_of_one_human_are_one(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = village.propose("dee", "dee", list.clone()).await.unwrap();
    let own = village.answer("dee-works", "dee", proposed.proposal, Said::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    village.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    let proposed = village.propose("dee-works", "dee", list).await.unwrap();
    let own = village.answer("dee", "dee", proposed.proposal, Said::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    let own = village.write_down("dee-works", "dee", proposed.proposal).await;
    assert!(own.is_err(), "{own:?}");
    assert_eq!(village.in_force("dee").await, before);
    village.world.check().await;
}

async fn what_is_written_down_counts_when_it_is_confirmed(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    let nothing = village.confirm("dee", "dee", proposed.proposal).await;
    assert!(is_conflict(&nothing), "{nothing:?}");
    village.write_down("amina", "dee", proposed.proposal).await.unwrap();
    assert_eq!(village.in_force("dee").await, before, "it counts for nothing yet");
    assert_eq!(village.told("dee", "person").await.last().unwrap().0, "list-written-down");
    for who in ["amina", "helen", "ruth"] {
        let not_theirs = village.confirm(who, "dee", proposed.proposal).await;
        assert!(is_not_allowed(&not_theirs), "{who}: {not_theirs:?}");
    }
    let agreed = village.confirm("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(agreed.next, Next::Started(2));
    assert!(village.in_force("dee").await.how.starts_with("Dee, in person, the hostel office"));

    // Or she says something else, in her own words.
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    village.write_down("amina", "dee", proposed.proposal).await.unwrap();
    let no = village.answer("dee", "dee", proposed.proposal, Said::No).await.unwrap();
    assert_eq!(no.next, Next::Ended(State::Refused));
    village.world.check().await;
}

/// Everybody else has said yes; only the person's own word is missing.
async fn what_is_written_down_is_no_yes_beside_others(database: TestDatabase) {
    let file =
        patient(DEMO).replace("country = \"GB\"", "country = \"GB\"\nmanager_above = \"50.00\"");
    let village = Village::open_with(database, &file).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = village.propose("amina", "dee", list).await.unwrap();
    village.write_down("amina", "dee", proposed.proposal).await.unwrap();
    let agreed = village.answer("ruth", "dee", proposed.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Waits([Side::Person].into()));
    assert_eq!(village.in_force("dee").await, before);
    let agreed = village.confirm("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(agreed.next, Next::Started(2));
    village.world.check().await;
}

async fn a_manager_joins_above_a_sum(database: TestDatabase) {
    let file =
        patient(DEMO).replace("country = \"GB\"", "country = \"GB\"\nmanager_above = \"50.00\"");
    let village = Village::open_with(database, &file).await;
    let before = village.in_force("dee").await;
    let fifty = with(&before.list(), weekly(cash(), 50_00));
    let proposed = village.propose("dee", "dee", fifty).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Worker].into()), "up to the sum, nobody joins");
    assert!(is_not_allowed(&village.answer("ruth", "dee", proposed.proposal, Said::No).await));
    village.withdraw("dee", "dee", proposed.proposal).await.unwrap();

    let more = with(&before.list(), weekly(cash(), 50_01));
    let proposed = village.propose("dee", "dee", more).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Worker, Side::Manager].into()));
    assert_eq!(village.told("dee", "manager").await.len(), 1);
    let agreed = village.answer("amina", "dee", proposed.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Waits([Side::Manager].into()));
    let own = village.answer("amina-manages", "dee", proposed.proposal, Said::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    let agreed = village.answer("ruth", "dee", proposed.proposal, Said::Yes).await.unwrap();
    assert_eq!(agreed.next, Next::Started(2));
    assert_eq!(village.in_force("dee").await.agreed_by, ["Dee", "Amina", "Ruth"]);

    // Never instead of the person, and never instead of the worker.
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let proposed = village.propose("ruth", "dee", list).await.unwrap();
    assert_eq!(proposed.next, Next::Waits([Side::Person, Side::Worker].into()));
    village.world.check().await;
}

async fn a_draft_does_nothing_until_somebody_makes_it_their_own(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), Answer::Yes));
    let first = village.draft("paul", "dee", list.clone()).await.unwrap();
    for who in ["dee", "amina"] {
        let early = village.answer(who, "dee", first, Said::Yes).await;
        assert!(is_conflict(&early), "{who}: {early:?}");
    }
    assert!(is_not_allowed(&village.take_up("paul", "dee", first).await));
    assert!(is_not_allowed(&village.take_up("helen", "dee", first).await));
    // Another version starts meanwhile, about something else.
    let less = with(&before.list(), weekly(cash(), 5_00));
    village.propose("dee", "dee", less).await.unwrap();
    let taken = village.take_up("dee", "dee", first).await.unwrap();
    assert_eq!(taken.next, Next::Waits([Side::Worker].into()));
    assert_eq!(village.state("dee", first).await, State::TakenUp);
    assert!(is_conflict(&village.take_up("amina", "dee", first).await));
    village.answer("amina", "dee", taken.proposal, Said::Yes).await.unwrap();
    let now = village.in_force("dee").await.list();
    assert_eq!(now.term(&cash()), Some(&weekly(cash(), 5_00)), "what started meanwhile holds");
    assert_eq!(now.term(&category("phone")).unwrap().answer(), Answer::Yes);

    let second = village.draft("helen", "dee", list).await;
    assert!(second.is_ok(), "{second:?}");
    village.world.pass((14 * 24).hours());
    village.world.upkeep().await;
    assert_eq!(village.state("dee", second.unwrap()).await, State::RunOut);
    village.world.check().await;
}

async fn somebody_with_a_link_to_the_person_decides_nothing(database: TestDatabase) {
    let village = Village::open(database).await;
    village.change_member("amina", |amina| amina.conflicts = vec![id("dee")]).await;
    let list = with(&village.in_force("dee").await.list(), weekly(cash(), 60_00));
    let proposed = village.propose("dee", "dee", list.clone()).await.unwrap();
    let linked = village.answer("amina", "dee", proposed.proposal, Said::Yes).await;
    assert!(is_not_allowed(&linked), "{linked:?}");
    assert!(is_not_allowed(&village.propose("amina", "dee", list).await));
    let until = village.now().checked_add(1.hour()).unwrap();
    let pausing = village.pause("amina", "dee", until).await;
    assert!(is_not_allowed(&pausing), "{pausing:?}");
    let paused = village.pause("ruth", "dee", until).await.unwrap();
    let lifted = village.lift("amina", "dee", paused).await;
    assert!(is_not_allowed(&lifted), "{lifted:?}");
    village.lift("ruth", "dee", paused).await.unwrap();
    village.world.check().await;
}

async fn a_law_takes_two_of_the_staff_and_only_tightens(database: TestDatabase) {
    let village = Village::open(database).await;
    let before = village.in_force("dee").await;
    let forced = proposing(with(&before.list(), term(category("pubs"), Answer::No)), Parts::Whole);
    let looser = proposing(with(&before.list(), weekly(cash(), 60_00)), Parts::Whole);
    assert!(is_invalid(&village.force("amina", "dee", looser).await, "list"));
    assert!(is_not_allowed(&village.force("dee", "dee", forced.clone()).await));
    assert!(is_not_allowed(&village.force("helen", "dee", forced.clone()).await));
    let recorded = village.force("amina", "dee", forced).await.unwrap();
    assert_eq!(recorded.next, Next::Waits([Side::Manager].into()));
    assert_eq!(village.in_force("dee").await, before, "one of the staff alone forces nothing");
    for who in ["amina", "amina-manages", "dee"] {
        let refused = village.answer(who, "dee", recorded.proposal, Said::Yes).await;
        assert!(refused.is_err(), "{who}: {refused:?}");
    }
    let started = village.answer("ruth", "dee", recorded.proposal, Said::Yes).await.unwrap();
    assert_eq!(started.next, Next::Started(2));
    assert_eq!(
        village.told("dee", "person").await.last().unwrap().1,
        "Your list has changed. You were not asked. A law says so. Why: We talked about it. \
         Reply LOOK to have someone else look at it."
    );
    village.world.check().await;
}

async fn a_pause_ends_to_the_second_and_is_told(database: TestDatabase) {
    let village = Village::open(database).await;
    assert!(village.world.ask(&purchase("Before", 1_00)).await.is_approved());
    let until = village.now().checked_add(5.hours()).unwrap();
    let paused = village.pause("amina", "dee", until).await.unwrap();
    let told = village.told("dee", "person").await;
    assert_eq!(
        told.last().unwrap(),
        &(
            "pause-begun".to_owned(),
            "Amina paused your card until 1pm on Mon 23 November. Why: Someone has your PIN. \
             Reply LOOK to have someone else look at it."
                .to_owned()
        )
    );
    assert_eq!(village.world.ask(&purchase("During", 1_00)).await.reason(), "frozen_staff");
    village.world.pass(4.hours().minutes(59).seconds(59));
    let last = village.world.ask(&purchase("Last", 1_00)).await;
    assert_eq!(last.reason(), "frozen_staff");
    village.world.pass(1.second());
    assert!(village.world.ask(&purchase("After", 1_00)).await.is_approved(), "nobody ended it");
    let lifted = village.lift("amina", "dee", paused).await;
    assert!(is_conflict(&lifted), "it is over: {lifted:?}");
    // What was decided while it held is explained as it was.
    let directory = village.world.app.directory();
    let explained =
        sayso::operations::explain::explain(village.store(), directory, &last.decision()).await;
    let explained = explained.unwrap().remove(0);
    assert_eq!(explained.replay, sayso::operations::explain::Replay::Same);
    assert!(explained.person_text.contains("Our team froze your card"), "{explained:?}");
    village.world.check().await;
}

async fn a_pause_is_no_rule(database: TestDatabase) {
    let village = Village::open(database).await;
    let now = village.now();
    let at = |hours: i64| now.checked_add(hours.hours()).unwrap();
    assert!(is_invalid(&village.pause("amina", "dee", now).await, "until"));
    assert!(is_invalid(&village.pause("amina", "dee", at(7 * 24 + 1)).await, "until"));
    for who in ["dee", "helen", "paul", "priya"] {
        assert!(is_not_allowed(&village.pause(who, "dee", at(1)).await), "{who}");
    }
    let off_duty = village.pause("dora", "dee", at(1)).await;
    assert!(matches!(off_duty, Err(ActError::NotThere(_))), "{off_duty:?}");
    let acting = village.as_("amina");
    let nothing_said = TalkId::new(uuid::Uuid::nil());
    let talked = village.talk("dee").await;
    let of_another = village.talk("femi").await;
    for (reason, talk) in [
        ("", talked),
        ("Someone has your PIN.", nothing_said),
        ("Someone has your PIN.", of_another),
    ] {
        let pausing = Pausing { reason: reason.into(), talk, until: at(1) };
        let refused = village
            .run(async |tx| pause(tx, village.desk(), &acting, &id("dee"), pausing).await)
            .await;
        assert!(matches!(refused, Err(ActError::Invalid { .. })), "{refused:?}");
    }
    let first = village.pause("amina", "dee", at(2)).await.unwrap();
    assert!(is_conflict(&village.pause("ruth", "dee", at(3)).await), "one at a time");
    village.lift("ruth", "dee", first).await.unwrap();
    assert_eq!(village.told("dee", "person").await.last().unwrap().0, "pause-lifted");
    assert!(village.world.ask(&purchase("Lifted", 1_00)).await.is_approved());
    // Pause after pause by the same human being would be a rule that nobody agreed to.
    for who in ["amina", "amina-manages"] {
        assert!(is_not_allowed(&village.pause(who, "dee", at(3)).await), "{who}");
    }
    village.pause("ruth", "dee", at(3)).await.unwrap();
    village.world.check().await;
}

async fn a_pause_leaves_the_persons_own_freeze(database: TestDatabase) {
    let frozen = patient(DEMO).replacen("state = \"active\"", "state = \"frozen_by_person\"", 1);
    let village = Village::open_with(database, &frozen).await;
    assert_eq!(village.world.ask(&purchase("Own", 1_00)).await.reason(), "frozen_self");
    let until = village.now().checked_add(1.hour()).unwrap();
    village.pause("amina", "dee", until).await.unwrap();
    assert_eq!(village.world.ask(&purchase("Paused", 1_00)).await.reason(), "frozen_staff");
    // Applying the file again ends no pause.
    village.world.apply(&peopled(&frozen)).await;
    assert_eq!(village.world.ask(&purchase("Applied", 1_00)).await.reason(), "frozen_staff");
    village.world.pass(1.hour());
    assert_eq!(village.world.ask(&purchase("Over", 1_00)).await.reason(), "frozen_self");
    village.world.check().await;
}

async fn who_freezes_during_a_pause_stays_frozen_after_it(database: TestDatabase) {
    let village = Village::open(database).await;
    let until = village.now().checked_add(1.hour()).unwrap();
    village.pause("amina", "dee", until).await.unwrap();
    let freeze = village.world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(freeze.status, 200, "{freeze:?}");
    assert_eq!(village.world.ask(&purchase("Paused", 1_00)).await.reason(), "frozen_staff");
    village.world.pass(1.hour());
    assert_eq!(village.world.ask(&purchase("Over", 1_00)).await.reason(), "frozen_self");
    let thaw = village.world.post_as("dee", "/v1/people/dee/unfreeze", &json!({})).await;
    assert_eq!(thaw.json()["cards"][0]["state"], "active");
    assert!(village.world.ask(&purchase("Own", 1_00)).await.is_approved());
    village.world.check().await;
}

impl Village {
    async fn write_down(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
    ) -> Result<sayso::people::agreements::Outcome, ActError> {
        let (acting, person, session) = (self.as_(member), id(person), a_session());
        self.run(async |tx| {
            write_down(tx, self.desk(), &acting, &person, proposal, None, session).await
        })
        .await
    }

    async fn confirm(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
    ) -> Result<sayso::people::agreements::Outcome, ActError> {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| confirm(tx, self.desk(), &acting, &person, proposal).await).await
    }

    async fn draft(
        &self,
        member: &str,
        person: &str,
        list: sayso::domain::agreement::change::List,
    ) -> Result<ProposalId, ActError> {
        let (acting, person) = (self.as_(member), id(person));
        let new = Draft { list, words: "An idea for Dee.".to_owned() };
        self.run(async |tx| draft(tx, self.desk(), &acting, &person, new).await).await
    }

    async fn take_up(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
    ) -> Result<sayso::people::agreements::Outcome, ActError> {
        let (acting, person, session) = (self.as_(member), id(person), a_session());
        let parts = Parts::Whole;
        self.run(async |tx| {
            take_up(tx, self.desk(), &acting, &person, proposal, parts, session).await
        })
        .await
    }

    async fn force(
        &self,
        member: &str,
        person: &str,
        forcing: sayso::people::agreements::Proposing,
    ) -> Result<sayso::people::agreements::Outcome, ActError> {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| force(tx, self.desk(), &acting, &person, forcing).await).await
    }

    async fn pause(
        &self,
        member: &str,
        person: &str,
        until: jiff::Timestamp,
    ) -> Result<PauseId, ActError> {
        let talk = self.talk(person).await;
        let (acting, person) = (self.as_(member), id(person));
        let pausing = Pausing { reason: "Someone has your PIN.".to_owned(), talk, until };
        self.run(async |tx| pause(tx, self.desk(), &acting, &person, pausing).await).await
    }

    async fn lift(&self, member: &str, person: &str, pause: PauseId) -> Result<(), ActError> {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| lift(tx, self.desk(), &acting, &person, pause).await).await
    }
}
