//! The demo programme with accounts for its people, and shorthands for their actions.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::date;
use sayso::domain::agreement::change::List;
use sayso::domain::agreement::proposal::{
    ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentSession, ProposalState,
};
use sayso::domain::agreement::{Agreement, Gate, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId, TalkId};
use sayso::domain::money::Money;
use sayso::domain::money::limit::Limit;
use sayso::domain::people::role::{Member, Role};
use sayso::domain::time::period::Period;
use sayso::people::agreements::{
    LawRequest, ProposalAnswerRequest, ProposalChange, ProposalProgress, ProposalRequest,
    SpendingControls, change_proposal, controls, propose,
};
use sayso::people::asks;
use sayso::people::members::{Principal, UseCaseContext, UseCaseError};
use sayso::programme::directory::Programme;
use sayso::store::{ActAudience, Store, Tx};
use serde_json::Value;

use crate::support::TestDatabase;
use crate::values;
use crate::world::{Purchase, TestResponse, World, patient, purchase};

pub(crate) const CURRENCY: &str = "GBP";

/// A gateway with the accounts of [`MEMBERS`].
pub(crate) struct AgreementFixture {
    pub(crate) world: World,
}

/// The progress of a proposal, or why there is none.
pub(crate) type Progress = Result<ProposalProgress, UseCaseError>;

/// Member, human being, role, person, worker.
type Account = (&'static str, &'static str, Role, Option<&'static str>, Option<&'static str>);

/// The accounts.
const MEMBERS: &[Account] = &[
    ("dee", "dee", Role::Person, Some("dee"), None),
    ("ana", "ana", Role::Person, Some("ana"), None),
    ("femi", "femi", Role::Person, Some("femi"), None),
    ("amina", "amina", Role::Worker, None, Some("amina")),
    ("ben", "ben", Role::Worker, None, Some("ben")),
    // Dee's second account, of the same human being.
    ("dee-works", "dee", Role::Worker, None, Some("amina")),
    ("ruth", "ruth", Role::Manager, None, None),
    // Amina's second account.
    ("amina-manages", "amina", Role::Manager, None, None),
    ("helen", "helen", Role::Helper, Some("dee"), None),
    ("paul", "paul", Role::Planner, Some("dee"), None),
    ("dora", "dora", Role::Duty, None, None),
    ("priya", "priya", Role::Finance, None, None),
];

impl AgreementFixture {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        Self::open_with(database, &patient(crate::world::DEMO)).await
    }

    pub(crate) async fn open_with(database: TestDatabase, file: &str) -> Self {
        Self { world: World::open_with(database, &peopled(file)).await }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    pub(crate) fn store(&self) -> &Store {
        self.world.app.store()
    }

    pub(crate) fn context(&self) -> UseCaseContext<'_> {
        UseCaseContext { directory: self.world.app.directory(), ids: self.world.app.ids() }
    }

    /// The programme's settings, loaded as a handler loads them.
    pub(crate) async fn programme(&self) -> Arc<Programme> {
        self.world.app.directory().latest_or_load(&riverside()).await.unwrap()
    }

    /// `member` as the acting principal, now.
    pub(crate) fn as_(&self, member: &str) -> Principal {
        Principal { programme: riverside(), member: member.parse().unwrap(), at: self.now() }
    }

    /// Runs one use case in its own transaction; commits it only on success.
    pub(crate) async fn run<T>(
        &self,
        act: impl AsyncFnOnce(&mut Tx) -> Result<T, UseCaseError>,
    ) -> Result<T, UseCaseError> {
        let mut tx = self.store().begin().await.unwrap();
        let done = act(&mut tx).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// The list of `person` that is in force.
    pub(crate) async fn in_force(&self, person: &str) -> Agreement {
        let mut tx = self.store().snapshot().await.unwrap();
        let (programme, budget, currency) =
            (riverside(), budget(person), CURRENCY.parse().unwrap());
        let found = tx.agreement_in_force(&programme, &budget, currency).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        (*found).clone()
    }

    /// `member` proposes `list` for `person`.
    pub(crate) async fn propose(&self, member: &str, person: &str, list: List) -> Progress {
        self.propose_in(member, person, list, ConsentGranularity::Whole).await
    }

    pub(crate) async fn propose_in(
        &self,
        member: &str,
        person: &str,
        list: List,
        parts: ConsentGranularity,
    ) -> Progress {
        self.propose_as(member, person, proposing(list, parts)).await
    }

    pub(crate) async fn propose_as(
        &self,
        member: &str,
        person: &str,
        proposing: ProposalRequest,
    ) -> Progress {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| propose(tx, self.context(), &acting, &person, proposing).await).await
    }

    /// `member` answers a whole proposal for `person`.
    pub(crate) async fn answer(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
        said: ConsentAnswer,
    ) -> Progress {
        self.answer_with(member, person, proposal, answering(said)).await
    }

    pub(crate) async fn answer_with(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
        answering: ProposalAnswerRequest,
    ) -> Progress {
        self.change(member, person, proposal, ProposalChange::Answer(answering)).await
    }

    pub(crate) async fn change(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
        change: ProposalChange,
    ) -> Progress {
        let (acting, person) = (self.as_(member), id(person));
        self.run(async |tx| {
            change_proposal(tx, self.context(), &acting, &person, proposal, change).await
        })
        .await
    }

    pub(crate) async fn withdraw(
        &self,
        member: &str,
        person: &str,
        proposal: ProposalId,
    ) -> Progress {
        self.change(member, person, proposal, ProposalChange::Withdraw).await
    }

    /// Every version of the list of `person`, oldest first.
    pub(crate) async fn versions(&self, person: &str) -> Vec<Agreement> {
        let mut tx = self.store().snapshot().await.unwrap();
        let currency = CURRENCY.parse().unwrap();
        let found = tx.versions_of(&riverside(), &budget(person), currency).await.unwrap();
        tx.commit().await.unwrap();
        found.into_iter().map(|version| version.agreement).collect()
    }

    /// The state of a proposal.
    pub(crate) async fn state(&self, person: &str, proposal: ProposalId) -> ProposalState {
        let mut tx = self.store().snapshot().await.unwrap();
        let currency = CURRENCY.parse().unwrap();
        let found = tx.proposal(&riverside(), &budget(person), proposal, currency).await;
        let (found, _) = found.unwrap().unwrap();
        tx.commit().await.unwrap();
        found.state
    }

    /// The restrictions of `person` that `member` sees.
    pub(crate) async fn controls(&self, member: &str, person: &str) -> SpendingControls {
        let mut tx = self.store().snapshot().await.unwrap();
        let acting = self.as_(member);
        let programme = self.programme().await;
        let controls = controls(&mut tx, &programme, &acting, &id(person)).await.unwrap();
        tx.commit().await.unwrap();
        controls
    }

    /// Ruth records a talk.
    pub(crate) async fn talk(&self, person: &str) -> TalkId {
        let (acting, person) = (self.as_("ruth"), id(person));
        let context =
            UseCaseContext { directory: self.world.app.directory(), ids: self.world.app.ids() };
        let talked = asks::TalkNotes {
            concern: "Someone watched her type her PIN.".to_owned(),
            wants: "That nobody takes her money.".to_owned(),
            consent: "She rang us herself, and agreed.".to_owned(),
            options: "A new card comes in five days, which is too slow.".to_owned(),
            next_step: "We go to the bank together.".to_owned(),
        };
        let talk =
            self.run(async |tx| asks::record_talk(tx, context, &acting, &person, &talked).await);
        talk.await.unwrap().id
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: Value) -> TestResponse {
        self.world.post_as(who, &format!("/v1/people/dee{path}"), &body).await
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> Value {
        let answer = self.world.get_as(who, &format!("/v1/people/dee{path}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Changes an account.
    pub(crate) async fn change_member(&self, member: &str, change: impl FnOnce(&mut Member)) {
        let mut tx = self.store().begin().await.unwrap();
        let known = tx.lock_members(&riverside()).await.unwrap();
        let mut known = known.into_iter().find(|m| m.id.as_str() == member).unwrap();
        change(&mut known);
        tx.put_members(&riverside(), &[known]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Kind and text of the messages to `recipient` about `person`, oldest first.
    pub(crate) async fn told(&self, person: &str, recipient: &str) -> Vec<(String, String)> {
        let sql = format!(
            "SELECT kind, body FROM message WHERE budget_id = '{person}' \
             AND recipient = '{recipient}' AND kind <> 'not_paid' ORDER BY message_id"
        );
        let rows = self.world.database.rows(&sql).await;
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    }

    /// Actor and kind of the acts about `person`, oldest first.
    pub(crate) async fn acts(&self, person: &str) -> Vec<(String, String)> {
        let acts = self
            .store()
            .acts(&riverside(), &budget(person), ActAudience::Person, None, 100)
            .await
            .unwrap();
        acts.into_iter().rev().map(|act| (act.member_id.to_string(), act.kind)).collect()
    }
}

/// `file` with an additional pot for Dee.
pub(crate) fn with_a_garden(file: &str) -> String {
    let list = "[person.agreement]\nagreed_on = 2026-11-16";
    let pot = "[[person.pot]]\nid = \"garden\"\nname = \"garden\"\nstream = \"homes\"\n\
               allocated = \"50.00\"\nonly = [\"diy\"]\n\
               loads = [{ id = \"start\", amount = \"50.00\" }]\n\n";
    file.replace(list, &format!("{pot}{list}"))
}

/// `file` with all accounts of [`MEMBERS`].
pub(crate) fn peopled(file: &str) -> String {
    let mut file = file.to_owned();
    for (id, human, role, person, worker) in MEMBERS {
        if file.contains(&format!("[[member]]\nid = \"{id}\"")) {
            continue;
        }
        let mut name: String = str::to_owned(id);
        name[..1].make_ascii_uppercase();
        let role_word = role.word();
        let _ = write!(
            file,
            "\n[[member]]\nid = \"{id}\"\nhuman = \"{human}\"\nname = \"{name}\"\n\
             role = \"{role_word}\"\n"
        );
        if let Some(person) = person {
            let _ = writeln!(file, "person = \"{person}\"");
        }
        if let Some(worker) = worker {
            let _ = writeln!(file, "worker = \"{worker}\"");
        }
        if matches!(role, Role::Helper | Role::Planner) {
            file.push_str("sees = [\"balance\", \"list\", \"draft\"]\n");
        }
    }
    file
}

pub(crate) fn riverside() -> ProgrammeId {
    "riverside".parse().unwrap()
}

pub(crate) fn id(person: &str) -> PersonId {
    person.parse().unwrap()
}

pub(crate) fn budget(person: &str) -> BudgetId {
    BudgetId::of(&id(person))
}

pub(crate) fn gbp(minor: i64) -> Money {
    Money::from_minor(minor, CURRENCY.parse().unwrap())
}

pub(crate) fn a_session() -> ConsentSession {
    ConsentSession {
        how: ConsentChannel::OwnPage,
        place: "the hostel office".to_owned(),
        minutes: 20,
        present: "a peer supporter".to_owned(),
    }
}

pub(crate) fn proposing(list: List, parts: ConsentGranularity) -> ProposalRequest {
    ProposalRequest { list, words: "We talked about it.".to_owned(), parts, session: a_session() }
}

pub(crate) fn forcing(list: List) -> LawRequest {
    LawRequest { list, words: "We talked about it.".to_owned(), session: a_session() }
}

pub(crate) fn answering(said: ConsentAnswer) -> ProposalAnswerRequest {
    ProposalAnswerRequest { said, parts: None, session: a_session(), words: String::new() }
}

pub(crate) fn category(name: &str) -> Scope {
    Scope::Category(name.parse().unwrap())
}

/// A term that two people can agree on. Tests change only what they are about.
pub(crate) fn draft_of(scope: Scope, answer: TermAnswer) -> TermDraft {
    TermDraft {
        reason: Some("We talked about it.".to_owned()),
        review_on: Some(date(2027, 5, 1)),
        ..values::a_draft(scope, answer)
    }
}

pub(crate) fn term(scope: Scope, answer: TermAnswer) -> Term {
    Term::new(draft_of(scope, answer)).unwrap()
}

/// A term with a weekly limit of `minor`.
pub(crate) fn weekly(scope: Scope, minor: i64) -> Term {
    let limits = vec![Limit::Amount { per: Period::Week, most: gbp(minor) }];
    Term::new(TermDraft { limits, ..draft_of(scope, TermAnswer::Yes) }).unwrap()
}

/// The list with `term` in place of the term of the same scope.
pub(crate) fn with(list: &List, term: Term) -> List {
    let mut list = without(list, term.scope());
    list.terms.push(term);
    list
}

/// The list without the term about `scope`.
pub(crate) fn without(list: &List, scope: &Scope) -> List {
    let mut list = list.clone();
    list.terms.retain(|term| term.scope() != scope);
    list
}

pub(crate) fn cash() -> Scope {
    Scope::Gate(Gate::Cash)
}

/// A purchase of Dee's at a phone shop.
pub(crate) fn at_a_phone_shop(id: &str, minor: i64) -> Purchase {
    Purchase { mcc: serde_json::json!("4812"), ..purchase(id, minor) }
}

pub(crate) fn is_conflict<T>(done: &Result<T, UseCaseError>) -> bool {
    matches!(done, Err(UseCaseError::Conflict(_) | UseCaseError::AlreadyAnswered(_)))
}

pub(crate) fn is_not_allowed<T>(done: &Result<T, UseCaseError>) -> bool {
    matches!(done, Err(UseCaseError::NotAllowed(_) | UseCaseError::SeparationOfDuties(_)))
}

pub(crate) fn is_not_there<T>(done: &Result<T, UseCaseError>) -> bool {
    matches!(done, Err(UseCaseError::NotFound(_)))
}

pub(crate) fn is_invalid<T>(done: &Result<T, UseCaseError>, field: &str) -> bool {
    matches!(done, Err(UseCaseError::Invalid { field: wrong, .. }) if *wrong == field)
}
