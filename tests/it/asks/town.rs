//! Riverside with its accounts, and shorthands for their actions.

use jiff::Timestamp;
use sayso::domain::ask::appeal;
use sayso::domain::ask::appeal::Appeal;
use sayso::domain::ask::{Ask, AskKind, AskRefusalReason, AskReply, AskState, GrantScope};
use sayso::domain::id::{AppealId, AskId, PersonId};
use sayso::domain::people::recipient::Recipient;
use sayso::domain::people::role::{Member, MemberState, Role};
use sayso::people::asks;
use sayso::people::asks::{
    AppealAnswerRequest, AskAnswerRequest, AskChange, AskRequest, AskTarget,
};
use sayso::people::members::{Principal, UseCaseContext, UseCaseError};
use sayso::store::{ActAudience, DutyRow, Store};

use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, TestResponse, World, patient, purchase};

/// A gateway with accounts: Dee and Ana, the workers Amina and Ben, the manager Ruth, and Omar and
/// Lena, who can be on duty.
pub(crate) struct AskFixture {
    pub(crate) world: World,
}

fn member(id: &str, role: Role) -> Member {
    let person = (role == Role::Person).then(|| id.parse().unwrap());
    let worker = (role == Role::Worker).then(|| id.parse().unwrap());
    let (first, rest) = id.split_at(1);
    Member {
        id: id.parse().unwrap(),
        human: id.parse().unwrap(),
        name: format!("{}{rest}", first.to_uppercase()),
        role,
        person,
        sees: Vec::new(),
        worker,
        answer_limit_minor: None,
        conflicts: Vec::new(),
        state: MemberState::Active,
    }
}

impl AskFixture {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        Self::open_with(database, &patient(DEMO)).await
    }

    pub(crate) async fn open_with(database: TestDatabase, file: &str) -> Self {
        let town = Self { world: World::open_with(database, file).await };
        people(town.world.app.store()).await;
        town.world.set_time("2026-11-23T09:30:00Z");
        town
    }

    /// Adds an account, or changes one.
    pub(crate) async fn put(&self, id: &str, role: Role, change: impl FnOnce(&mut Member)) {
        let mut member = member(id, role);
        change(&mut member);
        put(self.world.app.store(), &[member]).await;
    }

    /// Puts an account on duty for the next `hours`; `covers` is a worker who is away.
    pub(crate) async fn on_duty(&self, id: &str, hours: i64, covers: Option<&str>) {
        let begins_at = self.world.now();
        let duty = DutyRow {
            programme_id: "riverside".parse().unwrap(),
            member_id: id.parse().unwrap(),
            begins_at,
            ends_at: begins_at + jiff::SignedDuration::from_hours(hours),
            covers: covers.map(|worker| worker.parse().unwrap()),
        };
        let mut tx = self.world.app.store().begin().await.unwrap();
        tx.put_duties(&[duty]).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) fn context(&self) -> UseCaseContext<'_> {
        UseCaseContext { directory: self.world.app.directory(), ids: self.world.app.ids() }
    }

    pub(crate) fn acting(&self, member: &str) -> Principal {
        acting(member, self.world.now())
    }

    /// Dee buys a phone for £79 and is declined with "ask first".
    pub(crate) async fn refused(&self, name: &str) -> TestResponse {
        let answer = self.world.authorise(&handset(name)).await;
        assert_eq!(answer.reason(), "category_ask", "{answer:?}");
        answer
    }

    /// As [`Self::refused`], while an earlier purchase holds the permission.
    pub(crate) async fn refused_again(&self, name: &str) {
        assert_eq!(self.world.authorise(&handset(name)).await.reason(), "ok_held");
    }

    /// Answers, and retries after a lost lock conflict.
    pub(crate) async fn answer_until_done(
        &self,
        who: &str,
        ask: AskId,
        reply: AskReply,
    ) -> Result<Ask, UseCaseError> {
        loop {
            match self.try_answer(who, ask, reply.clone()).await {
                Err(UseCaseError::Store(error)) if error.is_transient() => {}
                done => return done,
            }
        }
    }

    /// Dee is declined at a car park with "ask first". Such an ask can wait.
    pub(crate) async fn refused_parking(&self, name: &str, amount: i64) {
        let answer = self.world.authorise(&parking(name, amount)).await;
        assert_eq!(answer.reason(), "category_ask", "{answer:?}");
    }

    /// Dee asks about the latest declined purchase.
    pub(crate) async fn ask(&self) -> Ask {
        self.try_authorise("dee", &latest(GrantScope::Place)).await.unwrap()
    }

    pub(crate) async fn try_authorise(
        &self,
        who: &str,
        wish: &AskRequest,
    ) -> Result<Ask, UseCaseError> {
        let mut tx = self.world.app.store().begin().await?;
        let ask = asks::ask(&mut tx, self.context(), &self.acting(who), &dee(), wish).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn answer(&self, who: &str, ask: AskId, reply: AskReply) -> Ask {
        self.try_answer(who, ask, reply).await.unwrap()
    }

    pub(crate) async fn try_answer(
        &self,
        who: &str,
        ask: AskId,
        reply: AskReply,
    ) -> Result<Ask, UseCaseError> {
        let answer = AskAnswerRequest { reply, words: None };
        self.change(who, ask, AskChange::Answer(answer)).await
    }

    async fn change(&self, who: &str, ask: AskId, change: AskChange) -> Result<Ask, UseCaseError> {
        let mut tx = self.world.app.store().begin().await?;
        let (context, acting) = (self.context(), self.acting(who));
        let ask = asks::change(&mut tx, context, &acting, &dee(), ask, &change).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn see(&self, who: &str, ask: AskId) -> Result<Ask, UseCaseError> {
        self.change(who, ask, AskChange::See).await
    }

    pub(crate) async fn pass_on(&self, who: &str, ask: AskId) -> Result<Ask, UseCaseError> {
        let words = Some("It is a lot.".to_owned());
        self.change(who, ask, AskChange::PassOn { words }).await
    }

    pub(crate) async fn suggest(&self, who: &str, ask: AskId, words: &str) {
        let mut tx = self.world.app.store().begin().await.unwrap();
        let (context, acting) = (self.context(), self.acting(who));
        asks::suggest(&mut tx, context, &acting, &dee(), ask, words).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn take_back(&self, ask: AskId) -> Result<Ask, UseCaseError> {
        self.change("dee", ask, AskChange::TakeBack).await
    }

    pub(crate) async fn appeal(&self, who: &str, ask: AskId) -> Result<Appeal, UseCaseError> {
        let about = appeal::AppealSubject::Ask(ask);
        let mut tx = self.world.app.store().begin().await?;
        let (context, acting) = (self.context(), self.acting(who));
        let appeal = asks::appeal(&mut tx, context, &acting, &dee(), about, None).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    /// Decides an appeal: changed, or kept with a next step.
    pub(crate) async fn look(
        &self,
        who: &str,
        appeal: AppealId,
        next_step: Option<&str>,
    ) -> Result<Appeal, UseCaseError> {
        let next_step = next_step.map(str::to_owned);
        let answering = AppealAnswerRequest { appeal, next_step, words: "I looked.".to_owned() };
        let mut tx = self.world.app.store().begin().await?;
        let (context, acting) = (self.context(), self.acting(who));
        let appeal = asks::answer_appeal(&mut tx, context, &acting, &dee(), &answering).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    pub(crate) async fn take_back_appeal(&self, appeal: AppealId) -> Result<Appeal, UseCaseError> {
        self.take_back_appeal_as("dee", appeal).await
    }

    pub(crate) async fn take_back_appeal_as(
        &self,
        who: &str,
        appeal: AppealId,
    ) -> Result<Appeal, UseCaseError> {
        let mut tx = self.world.app.store().begin().await?;
        let (context, acting) = (self.context(), self.acting(who));
        let appeal = asks::take_back_appeal(&mut tx, context, &acting, &dee(), appeal).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    /// The current state of the ask.
    pub(crate) async fn now(&self, ask: AskId) -> Ask {
        let mut tx = self.world.app.store().snapshot().await.unwrap();
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        let ask = tx.ask(&programme, &budget, ask).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        ask
    }

    /// Recipient, kind and text of the messages, newest last.
    pub(crate) async fn told(&self) -> Vec<(String, String, String)> {
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        let told = self
            .world
            .app
            .store()
            .messages_to(&programme, &budget, Recipient::ALL, None, 100)
            .await;
        let mut told = told.unwrap();
        told.reverse();
        told.into_iter()
            .map(|message| (message.recipient.word().to_owned(), message.kind, message.body))
            .collect()
    }

    /// Actor and kind of the acts, newest last.
    pub(crate) async fn acts(&self) -> Vec<(String, String)> {
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        let acts = self
            .world
            .app
            .store()
            .acts(&programme, &budget, ActAudience::Person, None, 100)
            .await
            .unwrap();
        acts.into_iter().rev().map(|act| (act.member_id.to_string(), act.kind)).collect()
    }
}

/// Creates all accounts.
pub(crate) async fn people(store: &Store) {
    let people = [
        ("dee", Role::Person),
        ("ana", Role::Person),
        ("amina", Role::Worker),
        ("ben", Role::Worker),
        ("ruth", Role::Manager),
        ("omar", Role::Duty),
        ("lena", Role::Duty),
    ];
    put(store, &people.map(|(id, role)| member(id, role))).await;
}

async fn put(store: &Store, members: &[Member]) {
    let mut tx = store.begin().await.unwrap();
    tx.put_members(&"riverside".parse().unwrap(), members).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn acting(member: &str, at: Timestamp) -> Principal {
    Principal { programme: "riverside".parse().unwrap(), member: member.parse().unwrap(), at }
}

pub(crate) fn dee() -> PersonId {
    "dee".parse().unwrap()
}

/// £79 at a phone shop.
pub(crate) fn handset(name: &str) -> Purchase {
    Purchase { mcc: "4812".into(), shop: "PHONE PLACE".to_owned(), ..purchase(name, 79_00) }
}

/// A purchase at a car park.
pub(crate) fn parking(name: &str, amount: i64) -> Purchase {
    Purchase { mcc: "7523".into(), shop: "CAR PARK".to_owned(), ..purchase(name, amount) }
}

/// An ask for a permission for the latest declined purchase.
pub(crate) const fn latest(reach: GrantScope) -> AskRequest {
    AskRequest {
        kind: AskKind::OneTime,
        about: AskTarget::Decline { decision: None, reach },
        up_to: None,
        words: None,
    }
}

pub(crate) const YES: AskReply =
    AskReply::Yes { up_to: None, reach: GrantScope::Place, ends_at: None };
pub(crate) const NOT_NOW: AskReply = AskReply::NotThisTime(AskRefusalReason::Purpose);

pub(crate) fn is_conflict(result: &Result<Ask, UseCaseError>) -> bool {
    matches!(result, Err(UseCaseError::Conflict(_) | UseCaseError::AlreadyAnswered(_)))
}

pub(crate) fn is_not_allowed(result: &Result<Ask, UseCaseError>) -> bool {
    matches!(result, Err(UseCaseError::NotAllowed(_) | UseCaseError::SeparationOfDuties(_)))
}

/// Whether the ask is still open.
pub(crate) const fn is_open(state: AskState) -> bool {
    matches!(state, AskState::Sent | AskState::Seen | AskState::TalkFirst)
}
