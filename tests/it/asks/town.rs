//! Riverside with the accounts of the people in it, and what they do.

use jiff::Timestamp;
use sayso::domain::ask::appeal;
use sayso::domain::ask::appeal::Appeal;
use sayso::domain::ask::{Ask, AskKind, AskState, NoReason, Reach, Reply};
use sayso::domain::id::{AppealId, AskId, PersonId};
use sayso::domain::people::recipient::Recipient;
use sayso::domain::people::role::{Member, MemberState, Role};
use sayso::people::asks;
use sayso::people::asks::{About, Answering, AppealAnswering, Desk, Wish};
use sayso::people::members::{ActError, Acting};
use sayso::store::{ActsReader, DutyRow, Store};

use crate::support::TestDatabase;
use crate::world::{Answer, DEMO, Purchase, World, patient, purchase};

/// A gateway, with accounts: Dee, Ana, Amina and Ben who are workers, Ruth who is a manager, Omar and
/// Lena who are on duty when it is theirs.
pub(crate) struct Town {
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

impl Town {
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

    /// Somebody is on duty for the next `hours`; `covers` is a worker who is away.
    pub(crate) async fn on_duty(&self, id: &str, hours: i64, covers: Option<&str>) {
        let begins_at = self.world.now();
        let duty = DutyRow {
            member: id.parse().unwrap(),
            begins_at,
            ends_at: begins_at + jiff::SignedDuration::from_hours(hours),
            covers: covers.map(|worker| worker.parse().unwrap()),
        };
        let mut tx = self.world.app.store().begin().await.unwrap();
        tx.put_duties(&"riverside".parse().unwrap(), &[duty]).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk { directory: self.world.app.directory(), ids: self.world.app.ids() }
    }

    pub(crate) fn acting(&self, member: &str) -> Acting {
        acting(member, self.world.now())
    }

    /// Dee buys a phone for £79: the list says ask first.
    pub(crate) async fn refused(&self, name: &str) -> Answer {
        let answer = self.world.ask(&handset(name)).await;
        assert_eq!(answer.reason(), "category_ask", "{answer:?}");
        answer
    }

    /// As [`Self::refused`], while an earlier try holds the OK.
    pub(crate) async fn refused_again(&self, name: &str) {
        assert_eq!(self.world.ask(&handset(name)).await.reason(), "ok_held");
    }

    /// Answers; run again while another transaction is in the way.
    pub(crate) async fn answer_until_done(
        &self,
        who: &str,
        ask: AskId,
        reply: Reply,
    ) -> Result<Ask, ActError> {
        loop {
            match self.try_answer(who, ask, reply.clone()).await {
                Err(ActError::Store(error)) if error.is_transient() => {}
                done => return done,
            }
        }
    }

    /// Dee parks: the list says ask first, and it can wait.
    pub(crate) async fn refused_parking(&self, name: &str, amount: i64) {
        let answer = self.world.ask(&parking(name, amount)).await;
        assert_eq!(answer.reason(), "category_ask", "{answer:?}");
    }

    /// Dee asks about the latest purchase that was not paid.
    pub(crate) async fn ask(&self) -> Ask {
        self.try_ask("dee", &latest(Reach::Place)).await.unwrap()
    }

    pub(crate) async fn try_ask(&self, who: &str, wish: &Wish) -> Result<Ask, ActError> {
        let mut tx = self.world.app.store().begin().await?;
        let ask = asks::ask(&mut tx, self.desk(), &self.acting(who), &dee(), wish).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn answer(&self, who: &str, ask: AskId, reply: Reply) -> Ask {
        self.try_answer(who, ask, reply).await.unwrap()
    }

    pub(crate) async fn try_answer(
        &self,
        who: &str,
        ask: AskId,
        reply: Reply,
    ) -> Result<Ask, ActError> {
        let answering = Answering { ask, reply, words: None };
        let mut tx = self.world.app.store().begin().await?;
        let ask = asks::answer(&mut tx, self.desk(), &self.acting(who), &dee(), &answering).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn see(&self, who: &str, ask: AskId) -> Result<Ask, ActError> {
        let mut tx = self.world.app.store().begin().await?;
        let ask = asks::see(&mut tx, self.desk(), &self.acting(who), &dee(), ask).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn pass_on(&self, who: &str, ask: AskId) -> Result<Ask, ActError> {
        let mut tx = self.world.app.store().begin().await?;
        let (desk, acting) = (self.desk(), self.acting(who));
        let ask = asks::pass_on(&mut tx, desk, &acting, &dee(), ask, Some("It is a lot.")).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn suggest(&self, who: &str, ask: AskId, words: &str) {
        let mut tx = self.world.app.store().begin().await.unwrap();
        let (desk, acting) = (self.desk(), self.acting(who));
        asks::suggest(&mut tx, desk, &acting, &dee(), ask, words).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn take_back(&self, ask: AskId) -> Result<Ask, ActError> {
        let mut tx = self.world.app.store().begin().await?;
        let ask = asks::take_back(&mut tx, self.desk(), &self.acting("dee"), &dee(), ask).await?;
        tx.commit().await?;
        Ok(ask)
    }

    pub(crate) async fn appeal(&self, who: &str, ask: AskId) -> Result<Appeal, ActError> {
        let about = appeal::About::Ask(ask);
        let mut tx = self.world.app.store().begin().await?;
        let (desk, acting) = (self.desk(), self.acting(who));
        let appeal = asks::appeal(&mut tx, desk, &acting, &dee(), about, None).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    /// Looks again: changed, or kept with a next step.
    pub(crate) async fn look(
        &self,
        who: &str,
        appeal: AppealId,
        next_step: Option<&str>,
    ) -> Result<Appeal, ActError> {
        let next_step = next_step.map(str::to_owned);
        let answering = AppealAnswering { appeal, next_step, words: "I looked.".to_owned() };
        let mut tx = self.world.app.store().begin().await?;
        let (desk, acting) = (self.desk(), self.acting(who));
        let appeal = asks::answer_appeal(&mut tx, desk, &acting, &dee(), &answering).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    pub(crate) async fn take_back_appeal(&self, appeal: AppealId) -> Result<Appeal, ActError> {
        self.take_back_appeal_as("dee", appeal).await
    }

    pub(crate) async fn take_back_appeal_as(
        &self,
        who: &str,
        appeal: AppealId,
    ) -> Result<Appeal, ActError> {
        let mut tx = self.world.app.store().begin().await?;
        let (desk, acting) = (self.desk(), self.acting(who));
        let appeal = asks::take_back_appeal(&mut tx, desk, &acting, &dee(), appeal).await?;
        tx.commit().await?;
        Ok(appeal)
    }

    /// The ask as it stands.
    pub(crate) async fn now(&self, ask: AskId) -> Ask {
        let mut tx = self.world.app.store().snapshot().await.unwrap();
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        let ask = tx.ask(&programme, &budget, ask).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        ask
    }

    /// What was told, to whom: the newest last.
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

    /// What was done, the newest last.
    pub(crate) async fn acts(&self) -> Vec<(String, String)> {
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        let acts = self
            .world
            .app
            .store()
            .acts(&programme, &budget, ActsReader::Person, None, 100)
            .await
            .unwrap();
        acts.into_iter().rev().map(|act| (act.member.to_string(), act.kind)).collect()
    }
}

/// Everybody's account.
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

pub(crate) fn acting(member: &str, at: Timestamp) -> Acting {
    Acting { programme: "riverside".parse().unwrap(), member: member.parse().unwrap(), at }
}

pub(crate) fn dee() -> PersonId {
    "dee".parse().unwrap()
}

/// £79 at a phone shop.
pub(crate) fn handset(name: &str) -> Purchase {
    Purchase { mcc: "4812".into(), shop: "PHONE PLACE".to_owned(), ..purchase(name, 79_00) }
}

/// At a car park.
pub(crate) fn parking(name: &str, amount: i64) -> Purchase {
    Purchase { mcc: "7523".into(), shop: "CAR PARK".to_owned(), ..purchase(name, amount) }
}

/// An OK for the latest purchase that was not paid.
pub(crate) const fn latest(reach: Reach) -> Wish {
    Wish {
        kind: AskKind::OneTime,
        about: About::Refusal { decision: None, reach },
        up_to: None,
        words: None,
    }
}

pub(crate) const YES: Reply = Reply::Yes { up_to: None, reach: Reach::Place, ends_at: None };
pub(crate) const NOT_NOW: Reply = Reply::NotThisTime(NoReason::Purpose);

pub(crate) fn is_conflict(result: &Result<Ask, ActError>) -> bool {
    matches!(result, Err(ActError::Conflict(_) | ActError::Answered(_)))
}

pub(crate) fn is_not_allowed(result: &Result<Ask, ActError>) -> bool {
    matches!(result, Err(ActError::NotAllowed(_) | ActError::Barred(_)))
}

/// Whether an ask still waits.
pub(crate) const fn is_open(state: AskState) -> bool {
    matches!(state, AskState::Sent | AskState::Seen | AskState::TalkFirst)
}
