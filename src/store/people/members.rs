//! Rows of accounts (members) and of duty periods.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, HumanId, MemberId, PersonId, ProgrammeId, WorkerId};
use crate::domain::people::role::{AccessTarget, Actor, Delegation, Member, MemberState, Role};
use crate::ledger::record::table::record;
use crate::store::sql::record::OnConflict;
use crate::store::{Dialect, Store, StoreError, Tx};

record! {
    /// An account.
    struct MemberRow in "member" key(programme_id, member_id) {
        programme_id: ProgrammeId,
        member_id: MemberId,
        human_id: HumanId,
        name: String,
        role: Role,
        person_id: Option<PersonId>,
        sees: Vec<Delegation>,
        worker_id: Option<WorkerId>,
        answer_limit_minor: Option<i64>,
        conflicts: Vec<PersonId>,
        state: MemberState,
    }
}

record! {
    /// A duty period of one account.
    pub struct DutyRow in "duty" key(programme_id, member_id) {
        pub programme_id: ProgrammeId,
        pub member_id: MemberId,
        pub begins_at: Timestamp,
        pub ends_at: Timestamp,
        /// The absent worker whom the account covers for; `None` for the programme's own duty.
        pub covers: Option<WorkerId>,
    }
}

record! {
    /// The person who owns a budget and their worker.
    struct AccessTargetRow in "person" key(person_id) {
        person_id: PersonId,
        worker_id: WorkerId,
    }
}

impl MemberRow {
    fn new(programme: &ProgrammeId, member: &Member) -> Self {
        let Member {
            id,
            human,
            name,
            role,
            person,
            sees,
            worker,
            answer_limit_minor,
            conflicts,
            state,
        } = member.clone();
        Self {
            programme_id: programme.clone(),
            member_id: id,
            human_id: human,
            name,
            role,
            person_id: person,
            sees,
            worker_id: worker,
            answer_limit_minor,
            conflicts,
            state,
        }
    }
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self {
            id: row.member_id,
            human: row.human_id,
            name: row.name,
            role: row.role,
            person: row.person_id,
            sees: row.sees,
            worker: row.worker_id,
            answer_limit_minor: row.answer_limit_minor,
            conflicts: row.conflicts,
            state: row.state,
        }
    }
}

impl From<AccessTargetRow> for AccessTarget {
    fn from(row: AccessTargetRow) -> Self {
        Self { person: row.person_id, worker: row.worker_id }
    }
}

impl Store {
    /// Every account of a programme, in order.
    pub async fn members(&self, programme: &ProgrammeId) -> Result<Vec<Member>, StoreError> {
        let sql = "WHERE programme_id = $1 ORDER BY member_id";
        Ok(members(self.fetch_all(sql, &[programme]).await?))
    }

    /// Every duty period of a programme, in order.
    pub async fn every_duty(&self, programme: &ProgrammeId) -> Result<Vec<DutyRow>, StoreError> {
        self.fetch_all("WHERE programme_id = $1 ORDER BY member_id, begins_at", &[programme]).await
    }
}

impl Tx {
    /// Every account of a programme, in order, locked until this transaction ends.
    pub async fn lock_members(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Vec<Member>, StoreError> {
        let lock = self.lock_clause(" FOR UPDATE");
        let sql = format!("WHERE programme_id = $1 ORDER BY member_id{lock}");
        Ok(members(self.fetch_all(sql, &[programme]).await?))
    }

    /// The accounts that help a person, in order, whether or not they are still active.
    pub async fn helpers_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Member>, StoreError> {
        let sql = "WHERE programme_id = $1 AND person_id = $2 ORDER BY member_id";
        Ok(members(self.fetch_all(sql, &[programme, budget]).await?))
    }

    /// An account with its duties at `now`. A share lock keeps it unchanged until this transaction
    /// ends, because permissions must be checked in the transaction that writes the act, not from
    /// an older token.
    pub async fn actor(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Option<Actor>, StoreError> {
        let lock = self.lock_clause(" FOR SHARE");
        self.read_actor(programme, member, now, lock).await
    }

    /// As [`Tx::actor`], without the lock, for a read-only transaction.
    pub async fn actor_without_lock(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Option<Actor>, StoreError> {
        self.read_actor(programme, member, now, "").await
    }

    async fn read_actor(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
        lock: &str,
    ) -> Result<Option<Actor>, StoreError> {
        let sql = format!("WHERE programme_id = $1 AND member_id = $2{lock}");
        let row: Option<MemberRow> = self.fetch_optional(sql, &[programme, member]).await?;
        let Some(member) = row.map(Member::from) else { return Ok(None) };
        let duties = self.duties(programme, &member.id, now).await?;
        let is_on_duty = duties.iter().any(|duty| duty.covers.is_none());
        let covers = duties.into_iter().filter_map(|duty| duty.covers).collect();
        Ok(Some(Actor { member, is_on_duty, covers }))
    }

    /// The lock clause `words` on PostgreSQL; empty on SQLite, where the whole file is locked.
    pub(in crate::store) fn lock_clause(&self, words: &'static str) -> &'static str {
        if self.statements.dialect == Dialect::Postgres { words } else { "" }
    }

    async fn duties(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Vec<DutyRow>, StoreError> {
        let sql = "WHERE programme_id = $1 AND member_id = $2 AND begins_at <= $3 AND ends_at > $3 \
                   ORDER BY begins_at";
        self.fetch_all(sql, &[programme, member, &now]).await
    }

    /// The person who owns a budget and their worker; `None` if there is no such person.
    pub async fn subject(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<AccessTarget>, StoreError> {
        let sql = "WHERE programme_id = $1 AND person_id = $2";
        let row: Option<AccessTargetRow> = self.fetch_optional(sql, &[programme, budget]).await?;
        Ok(row.map(AccessTarget::from))
    }

    /// Adds or updates accounts.
    pub async fn put_members(
        &mut self,
        programme: &ProgrammeId,
        members: &[Member],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = members.iter().map(|member| MemberRow::new(programme, member)).collect();
        self.put(&rows, OnConflict::Replace).await?;
        Ok(())
    }

    /// Deletes every duty period of a programme.
    pub async fn clear_duties(&mut self, programme: &ProgrammeId) -> Result<(), StoreError> {
        self.execute("DELETE FROM duty WHERE programme_id = $1", &[programme]).await?;
        Ok(())
    }

    /// Adds duty periods.
    pub async fn put_duties(&mut self, duties: &[DutyRow]) -> Result<(), StoreError> {
        self.insert(duties).await
    }
}

fn members(rows: Vec<MemberRow>) -> Vec<Member> {
    rows.into_iter().map(Member::from).collect()
}
