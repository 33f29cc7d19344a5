//! Who must consent: two human beings, each for themselves, and a manager above a sum.

use jiff::ToSpan as _;
use sayso::domain::agreement::TermAnswer;
use sayso::domain::agreement::change::List;
use sayso::domain::agreement::proposal::{
    ConsentAnswer, ConsentGranularity, ConsentSide, ProposalState,
};
use sayso::domain::id::{PauseId, ProposalId, TalkId};
use sayso::people::agreements::{
    DraftRequest, LawRequest, PauseRequest, ProposalChange, ProposalStage, adopt_draft, draft,
    lift, pause, record_law,
};
use sayso::people::members::UseCaseError;
use serde_json::json;

use super::fixture::{
    AgreementFixture, Progress, a_session, cash, category, forcing, id, is_conflict, is_invalid,
    is_not_allowed, peopled, term, weekly, with,
};
use crate::support::TestDatabase;
use crate::world::{DEMO, demo_with_manager_above, patient, purchase};

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
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("dee", "dee", list.clone()).await.unwrap();
    let own = fixture.answer("dee-works", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    fixture.withdraw("dee", "dee", proposed.proposal).await.unwrap();
    let proposed = fixture.propose("dee-works", "dee", list).await.unwrap();
    let own = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    let own = fixture.record_in_person_answer("dee-works", "dee", proposed.proposal).await;
    assert!(own.is_err(), "{own:?}");
    assert_eq!(fixture.in_force("dee").await, before);
    fixture.world.check().await;
}

async fn what_is_written_down_counts_when_it_is_confirmed(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    let nothing = fixture.confirm("dee", "dee", proposed.proposal).await;
    assert!(is_conflict(&nothing), "{nothing:?}");
    fixture.record_in_person_answer("amina", "dee", proposed.proposal).await.unwrap();
    assert_eq!(fixture.in_force("dee").await, before, "it counts for nothing yet");
    assert_eq!(fixture.told("dee", "person").await.last().unwrap().0, "list-written-down");
    for who in ["amina", "helen", "ruth"] {
        let not_theirs = fixture.confirm(who, "dee", proposed.proposal).await;
        assert!(is_not_allowed(&not_theirs), "{who}: {not_theirs:?}");
    }
    let agreed = fixture.confirm("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(2));
    assert!(fixture.in_force("dee").await.how.starts_with("Dee, in person, the hostel office"));

    // Or she answers otherwise herself.
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    fixture.record_in_person_answer("amina", "dee", proposed.proposal).await.unwrap();
    let no = fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::No).await.unwrap();
    assert_eq!(no.next, ProposalStage::Ended(ProposalState::Refused));
    fixture.world.check().await;
}

/// Everybody else has answered yes; only the person's own answer is missing.
async fn what_is_written_down_is_no_yes_beside_others(database: TestDatabase) {
    let file = demo_with_manager_above("50.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("amina", "dee", list).await.unwrap();
    fixture.record_in_person_answer("amina", "dee", proposed.proposal).await.unwrap();
    let agreed =
        fixture.answer("ruth", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::AwaitingConsent([ConsentSide::Person].into()));
    assert_eq!(fixture.in_force("dee").await, before);
    let agreed = fixture.confirm("dee", "dee", proposed.proposal).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(2));
    fixture.world.check().await;
}

async fn a_manager_joins_above_a_sum(database: TestDatabase) {
    let file = demo_with_manager_above("50.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let before = fixture.in_force("dee").await;
    let fifty = with(&before.list(), weekly(cash(), 50_00));
    let proposed = fixture.propose("dee", "dee", fifty).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker].into()),
        "up to the sum, nobody joins"
    );
    assert!(is_not_allowed(
        &fixture.answer("ruth", "dee", proposed.proposal, ConsentAnswer::No).await
    ));
    fixture.withdraw("dee", "dee", proposed.proposal).await.unwrap();

    let more = with(&before.list(), weekly(cash(), 50_01));
    let proposed = fixture.propose("dee", "dee", more).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Worker, ConsentSide::Manager].into())
    );
    assert_eq!(fixture.told("dee", "manager").await.len(), 1);
    let agreed =
        fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::AwaitingConsent([ConsentSide::Manager].into()));
    let own = fixture.answer("amina-manages", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_not_allowed(&own), "{own:?}");
    let agreed =
        fixture.answer("ruth", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(agreed.next, ProposalStage::Started(2));
    assert_eq!(fixture.in_force("dee").await.agreed_by, ["Dee", "Amina", "Ruth"]);

    // A manager never replaces the person or the worker.
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let proposed = fixture.propose("ruth", "dee", list).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Person, ConsentSide::Worker].into())
    );
    fixture.world.check().await;
}

async fn a_draft_does_nothing_until_somebody_makes_it_their_own(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let list = with(&before.list(), term(category("phone"), TermAnswer::Yes));
    let first = fixture.draft("paul", "dee", list.clone()).await.unwrap();
    for who in ["dee", "amina"] {
        let early = fixture.answer(who, "dee", first, ConsentAnswer::Yes).await;
        assert!(is_conflict(&early), "{who}: {early:?}");
    }
    assert!(is_not_allowed(&fixture.adopt_draft("paul", "dee", first).await));
    assert!(is_not_allowed(&fixture.adopt_draft("helen", "dee", first).await));
    // Another version about something else starts meanwhile.
    let less = with(&before.list(), weekly(cash(), 5_00));
    fixture.propose("dee", "dee", less).await.unwrap();
    let taken = fixture.adopt_draft("dee", "dee", first).await.unwrap();
    assert_eq!(taken.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    assert_eq!(fixture.state("dee", first).await, ProposalState::TakenUp);
    assert!(is_conflict(&fixture.adopt_draft("amina", "dee", first).await));
    fixture.answer("amina", "dee", taken.proposal, ConsentAnswer::Yes).await.unwrap();
    let now = fixture.in_force("dee").await.list();
    assert_eq!(now.term(&cash()), Some(&weekly(cash(), 5_00)), "what started meanwhile holds");
    assert_eq!(now.term(&category("phone")).unwrap().answer(), TermAnswer::Yes);

    let second = fixture.draft("helen", "dee", list).await;
    assert!(second.is_ok(), "{second:?}");
    fixture.world.advance_clock((14 * 24).hours());
    fixture.world.upkeep().await;
    assert_eq!(fixture.state("dee", second.unwrap()).await, ProposalState::RunOut);
    fixture.world.check().await;
}

async fn somebody_with_a_link_to_the_person_decides_nothing(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    fixture.change_member("amina", |amina| amina.conflicts = vec![id("dee")]).await;
    let list = with(&fixture.in_force("dee").await.list(), weekly(cash(), 60_00));
    let proposed = fixture.propose("dee", "dee", list.clone()).await.unwrap();
    let linked = fixture.answer("amina", "dee", proposed.proposal, ConsentAnswer::Yes).await;
    assert!(is_not_allowed(&linked), "{linked:?}");
    assert!(is_not_allowed(&fixture.propose("amina", "dee", list).await));
    let until = fixture.now().checked_add(1.hour()).unwrap();
    let pausing = fixture.pause("amina", "dee", until).await;
    assert!(is_not_allowed(&pausing), "{pausing:?}");
    let paused = fixture.pause("ruth", "dee", until).await.unwrap();
    let lifted = fixture.lift("amina", "dee", paused).await;
    assert!(is_not_allowed(&lifted), "{lifted:?}");
    fixture.lift("ruth", "dee", paused).await.unwrap();
    fixture.world.check().await;
}

async fn a_law_takes_two_of_the_staff_and_only_tightens(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let before = fixture.in_force("dee").await;
    let forced = forcing(with(&before.list(), term(category("pubs"), TermAnswer::No)));
    let looser = forcing(with(&before.list(), weekly(cash(), 60_00)));
    assert!(is_invalid(&fixture.record_law("amina", "dee", looser).await, "list"));
    assert!(is_not_allowed(&fixture.record_law("dee", "dee", forced.clone()).await));
    assert!(is_not_allowed(&fixture.record_law("helen", "dee", forced.clone()).await));
    let recorded = fixture.record_law("amina", "dee", forced).await.unwrap();
    assert_eq!(recorded.next, ProposalStage::AwaitingConsent([ConsentSide::Manager].into()));
    assert_eq!(fixture.in_force("dee").await, before, "one of the staff alone forces nothing");
    for who in ["amina", "amina-manages", "dee"] {
        let refused = fixture.answer(who, "dee", recorded.proposal, ConsentAnswer::Yes).await;
        assert!(refused.is_err(), "{who}: {refused:?}");
    }
    let started =
        fixture.answer("ruth", "dee", recorded.proposal, ConsentAnswer::Yes).await.unwrap();
    assert_eq!(started.next, ProposalStage::Started(2));
    assert_eq!(
        fixture.told("dee", "person").await.last().unwrap().1,
        "Your list has changed. You were not asked. A law says so. Why: We talked about it. \
         Reply LOOK to have someone else look at it."
    );
    fixture.world.check().await;
}

async fn a_pause_ends_to_the_second_and_is_told(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    assert!(fixture.world.authorise(&purchase("Before", 1_00)).await.is_approved());
    let until = fixture.now().checked_add(5.hours()).unwrap();
    let paused = fixture.pause("amina", "dee", until).await.unwrap();
    let told = fixture.told("dee", "person").await;
    assert_eq!(
        told.last().unwrap(),
        &(
            "pause-begun".to_owned(),
            "Amina paused your card until 1pm on Mon 23 November. Why: Someone has your PIN. \
             Reply LOOK to have someone else look at it."
                .to_owned()
        )
    );
    assert_eq!(fixture.world.authorise(&purchase("During", 1_00)).await.reason(), "frozen_staff");
    fixture.world.advance_clock(4.hours().minutes(59).seconds(59));
    let last = fixture.world.authorise(&purchase("Last", 1_00)).await;
    assert_eq!(last.reason(), "frozen_staff");
    fixture.world.advance_clock(1.second());
    assert!(
        fixture.world.authorise(&purchase("After", 1_00)).await.is_approved(),
        "nobody ended it"
    );
    let lifted = fixture.lift("amina", "dee", paused).await;
    assert!(is_conflict(&lifted), "it is over: {lifted:?}");
    // The explanation of a decision made during the pause stays the same.
    let directory = fixture.world.app.directory();
    let explained =
        sayso::operations::explain::explain(fixture.store(), directory, &last.decision()).await;
    let explained = explained.unwrap().remove(0);
    assert_eq!(explained.replay, sayso::operations::explain::Replay::Same);
    assert!(explained.person_text.contains("Our team froze your card"), "{explained:?}");
    fixture.world.check().await;
}

async fn a_pause_is_no_rule(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let now = fixture.now();
    let at = |hours: i64| now.checked_add(hours.hours()).unwrap();
    assert!(is_invalid(&fixture.pause("amina", "dee", now).await, "until"));
    assert!(is_invalid(&fixture.pause("amina", "dee", at(7 * 24 + 1)).await, "until"));
    for who in ["dee", "helen", "paul", "priya"] {
        assert!(is_not_allowed(&fixture.pause(who, "dee", at(1)).await), "{who}");
    }
    let off_duty = fixture.pause("dora", "dee", at(1)).await;
    assert!(matches!(off_duty, Err(UseCaseError::NotFound(_))), "{off_duty:?}");
    let acting = fixture.as_("amina");
    let nothing_said = TalkId::new(uuid::Uuid::nil());
    let talked = fixture.talk("dee").await;
    let of_another = fixture.talk("femi").await;
    for (reason, talk) in [
        ("", talked),
        ("Someone has your PIN.", nothing_said),
        ("Someone has your PIN.", of_another),
    ] {
        let pausing = PauseRequest { reason: reason.into(), talk, until: at(1) };
        let refused = fixture
            .run(async |tx| pause(tx, fixture.context(), &acting, &id("dee"), pausing).await)
            .await;
        assert!(matches!(refused, Err(UseCaseError::Invalid { .. })), "{refused:?}");
    }
    let first = fixture.pause("amina", "dee", at(2)).await.unwrap();
    assert!(is_conflict(&fixture.pause("ruth", "dee", at(3)).await), "one at a time");
    fixture.lift("ruth", "dee", first).await.unwrap();
    assert_eq!(fixture.told("dee", "person").await.last().unwrap().0, "pause-lifted");
    assert!(fixture.world.authorise(&purchase("Lifted", 1_00)).await.is_approved());
    // Consecutive pauses by the same human being would be a rule without an agreement.
    for who in ["amina", "amina-manages"] {
        assert!(is_not_allowed(&fixture.pause(who, "dee", at(3)).await), "{who}");
    }
    fixture.pause("ruth", "dee", at(3)).await.unwrap();
    fixture.world.check().await;
}

async fn a_pause_leaves_the_persons_own_freeze(database: TestDatabase) {
    let frozen = patient(DEMO).replacen("state = \"active\"", "state = \"frozen_by_person\"", 1);
    let fixture = AgreementFixture::open_with(database, &frozen).await;
    assert_eq!(fixture.world.authorise(&purchase("Own", 1_00)).await.reason(), "frozen_self");
    let until = fixture.now().checked_add(1.hour()).unwrap();
    fixture.pause("amina", "dee", until).await.unwrap();
    assert_eq!(fixture.world.authorise(&purchase("Paused", 1_00)).await.reason(), "frozen_staff");
    // Applying the file again does not end the pause.
    fixture.world.apply(&peopled(&frozen)).await;
    assert_eq!(fixture.world.authorise(&purchase("Applied", 1_00)).await.reason(), "frozen_staff");
    fixture.world.advance_clock(1.hour());
    assert_eq!(fixture.world.authorise(&purchase("Over", 1_00)).await.reason(), "frozen_self");
    fixture.world.check().await;
}

async fn who_freezes_during_a_pause_stays_frozen_after_it(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let until = fixture.now().checked_add(1.hour()).unwrap();
    fixture.pause("amina", "dee", until).await.unwrap();
    let freeze = fixture.world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(freeze.status, 200, "{freeze:?}");
    assert_eq!(fixture.world.authorise(&purchase("Paused", 1_00)).await.reason(), "frozen_staff");
    fixture.world.advance_clock(1.hour());
    assert_eq!(fixture.world.authorise(&purchase("Over", 1_00)).await.reason(), "frozen_self");
    let thaw = fixture.world.post_as("dee", "/v1/people/dee/unfreeze", &json!({})).await;
    assert_eq!(thaw.json()["cards"][0]["state"], "active");
    assert!(fixture.world.authorise(&purchase("Own", 1_00)).await.is_approved());
    fixture.world.check().await;
}

impl AgreementFixture {
    async fn record_in_person_answer(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
    ) -> Progress {
        let session = a_session();
        let change = ProposalChange::RecordInPersonYes { parts: None, session };
        self.change(member, person, proposal, change).await
    }

    async fn confirm(&self, member: &str, person: &str, proposal: ProposalId) -> Progress {
        self.change(member, person, proposal, ProposalChange::Confirm).await
    }

    async fn draft(
        &self,
        member: &str,
        person: &str,
        list: List,
    ) -> Result<ProposalId, UseCaseError> {
        let (acting, person) = (self.as_(member), id(person));
        let new = DraftRequest { list, words: "An idea for Dee.".to_owned() };
        self.run(async |tx| draft(tx, self.context(), &acting, &person, new).await).await
    }

    async fn adopt_draft(&self, member: &str, person: &str, proposal: ProposalId) -> Progress {
        let (acting, person, session) = (self.as_(member), id(person), a_session());
        let parts = ConsentGranularity::Whole;
        self.run(async |tx| {
            adopt_draft(tx, self.context(), &acting, &person, proposal, parts, session).await
        })
        .await
    }

    async fn record_law(&self, member: &str, person: &str, forced: LawRequest) -> Progress {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| record_law(tx, self.context(), &acting, &person, forced).await).await
    }

    async fn pause(
        &self,
        member: &str,
        person: &str,
        until: jiff::Timestamp,
    ) -> Result<PauseId, UseCaseError> {
        let talk = self.talk(person).await;
        let (acting, person) = (self.as_(member), id(person));
        let pausing = PauseRequest { reason: "Someone has your PIN.".to_owned(), talk, until };
        self.run(async |tx| pause(tx, self.context(), &acting, &person, pausing).await).await
    }

    async fn lift(&self, member: &str, person: &str, pause: PauseId) -> Result<(), UseCaseError> {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| lift(tx, self.context(), &acting, &person, pause).await).await
    }
}
