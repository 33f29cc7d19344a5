//! Rows of accounts (members) and of duty periods.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MemberId, PersonId, ProgrammeId, WorkerId};
use crate::domain::people::role::{AccessTarget, Actor, Delegation, Member, MemberState, Role};
use crate::ledger::record::row::{
    Column, CorruptRow, RowReader, Table, Value, columns, text_value,
};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{Dialect, Store, StoreError, Tx};

static MEMBER: Table = Table {
    name: "member",
    columns: columns![
        Key "programme_id", Key "member_id", Text "human_id", Text "name", Text "role",
        Text "person_id", Text "sees", Text "worker_id", Number "answer_limit_minor",
        Text "conflicts", Text "state",
    ],
};
static DUTY: Table = Table { name: "duty", columns: DUTY_ROW };
const DUTY_ROW: &[Column] = columns![
    Key "programme_id", Key "member_id", Number "begins_at", Number "ends_at", Text "covers",
];
static SUBJECT: Table =
    Table { name: "person", columns: columns![Key "person_id", Text "worker_id"] };

const MEMBERS: &str = "SELECT programme_id, member_id, human_id, name, role, person_id, sees, \
                       worker_id, answer_limit_minor, conflicts, state FROM member";

/// A duty period of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyRow {
    pub member: MemberId,
    pub begins_at: Timestamp,
    pub ends_at: Timestamp,
    /// The absent worker whom the account covers for; `None` for the programme's own duty.
    pub covers: Option<WorkerId>,
}

impl Store {
    /// Every account of a programme, in order.
    pub async fn members(&self, programme: &ProgrammeId) -> Result<Vec<Member>, StoreError> {
        let sql =
            sqlx::AssertSqlSafe(format!("{MEMBERS} WHERE programme_id = $1 ORDER BY member_id"));
        let rows = sqlx::query(sql).bind(programme.to_string()).fetch_all(&self.readers()).await?;
        let read = |row: &sqlx::any::AnyRow| Ok(read_member(&read_row(row, MEMBER.columns)?)?);
        rows.iter().map(read).collect()
    }

    /// Every duty period of a programme, in order.
    pub async fn every_duty(&self, programme: &ProgrammeId) -> Result<Vec<DutyRow>, StoreError> {
        let sql = "SELECT programme_id, member_id, begins_at, ends_at, covers FROM duty \
                   WHERE programme_id = $1 ORDER BY member_id, begins_at";
        let rows = sqlx::query(sql).bind(programme.to_string()).fetch_all(&self.readers()).await?;
        let read = |row: &sqlx::any::AnyRow| Ok(read_duty(&read_row(row, DUTY_ROW)?)?);
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Every account of a programme, in order, locked until this transaction ends.
    pub async fn lock_members(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Vec<Member>, StoreError> {
        let lock = self.lock_clause(" FOR UPDATE");
        let sql = sqlx::AssertSqlSafe(format!(
            "{MEMBERS} WHERE programme_id = $1 ORDER BY member_id{lock}"
        ));
        let rows = sqlx::query(sql).bind(programme.to_string()).fetch_all(self.connection());
        let read = |row: &sqlx::any::AnyRow| Ok(read_member(&read_row(row, MEMBER.columns)?)?);
        rows.await?.iter().map(read).collect()
    }

    /// The accounts that help a person, in order, whether or not they are still active.
    pub async fn helpers_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Member>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{MEMBERS} WHERE programme_id = $1 AND person_id = $2 ORDER BY member_id"
        ));
        let rows = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        let read = |row: &sqlx::any::AnyRow| Ok(read_member(&read_row(row, MEMBER.columns)?)?);
        rows.fetch_all(self.connection()).await?.iter().map(read).collect()
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
        let sql = sqlx::AssertSqlSafe(format!(
            "{MEMBERS} WHERE programme_id = $1 AND member_id = $2{lock}"
        ));
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(member.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let member = read_member(&read_row(&row, MEMBER.columns)?)?;
        let duties = self.duties(programme, &member.id, now).await?;
        let is_on_duty = duties.iter().any(|duty| duty.covers.is_none());
        let covers = duties.into_iter().filter_map(|duty| duty.covers).collect();
        Ok(Some(Actor { member, is_on_duty, covers }))
    }

    /// The lock clause `words` on PostgreSQL; empty on SQLite, where the whole file is locked.
    fn lock_clause(&self, words: &'static str) -> &'static str {
        if self.statements.dialect == Dialect::Postgres { words } else { "" }
    }

    async fn duties(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Vec<DutyRow>, StoreError> {
        let sql = "SELECT programme_id, member_id, begins_at, ends_at, covers FROM duty \
                   WHERE programme_id = $1 AND member_id = $2 AND begins_at <= $3 AND ends_at > $3 \
                   ORDER BY begins_at";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(member.to_string())
            .bind(now.as_microsecond())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(|row| Ok(read_duty(&read_row(row, DUTY_ROW)?)?)).collect()
    }

    /// The person who owns a budget and their worker; `None` if there is no such person.
    pub async fn subject(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<AccessTarget>, StoreError> {
        let sql = "SELECT person_id, worker_id FROM person \
                   WHERE programme_id = $1 AND person_id = $2";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, SUBJECT.columns)?;
        let mut reader = RowReader::new(&SUBJECT, &row);
        Ok(Some(AccessTarget { person: reader.parsed()?, worker: reader.parsed()? }))
    }

    /// Adds or updates accounts.
    pub async fn put_members(
        &mut self,
        programme: &ProgrammeId,
        members: &[Member],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = members.iter().map(|member| member_row(programme, member)).collect();
        self.put(&MEMBER, &rows, OnConflict::Replace).await?;
        Ok(())
    }

    /// Deletes every duty period of a programme.
    pub async fn clear_duties(&mut self, programme: &ProgrammeId) -> Result<(), StoreError> {
        let sql = "DELETE FROM duty WHERE programme_id = $1";
        sqlx::query(sql).bind(programme.to_string()).execute(self.connection()).await?;
        Ok(())
    }

    /// Adds duty periods.
    pub async fn put_duties(
        &mut self,
        programme: &ProgrammeId,
        duties: &[DutyRow],
    ) -> Result<(), StoreError> {
        let row = |duty: &DutyRow| {
            vec![
                text_value(programme),
                text_value(&duty.member),
                duty.begins_at.into(),
                duty.ends_at.into(),
                duty.covers.as_ref().map(ToString::to_string).into(),
            ]
        };
        let rows: Vec<_> = duties.iter().map(row).collect();
        let add = BatchStatement::insert(self.statements.dialect, &DUTY);
        add.execute(self.connection(), &rows).await?;
        Ok(())
    }
}

fn member_row(programme: &ProgrammeId, member: &Member) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(&member.id),
        text_value(&member.human),
        member.name.as_str().into(),
        member.role.word().into(),
        member.person.as_ref().map(ToString::to_string).into(),
        space_delimited(member.sees.iter().map(|tick| tick.word())).into(),
        member.worker.as_ref().map(ToString::to_string).into(),
        member.answer_limit_minor.into(),
        space_delimited(member.conflicts.iter().map(PersonId::as_str)).into(),
        member.state.word().into(),
    ]
}

fn space_delimited<'a, W: Iterator<Item = &'a str>>(words: W) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn read_member(row: &[Value]) -> Result<Member, CorruptRow> {
    let mut reader = RowReader::new(&MEMBER, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(Member {
        id: reader.parsed()?,
        human: reader.parsed()?,
        name: reader.text()?.to_owned(),
        role: reader.word(Role::from_word)?,
        person: reader.optional(RowReader::parsed)?,
        sees: reader.word(|words| words.split_whitespace().map(Delegation::from_word).collect())?,
        worker: reader.optional(RowReader::parsed)?,
        answer_limit_minor: reader.optional(RowReader::number)?,
        conflicts: reader
            .word(|words| words.split_whitespace().map(|id| id.parse().ok()).collect())?,
        state: reader.word(MemberState::from_word)?,
    })
}

fn read_duty(row: &[Value]) -> Result<DutyRow, CorruptRow> {
    let mut reader = RowReader::new(&DUTY, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(DutyRow {
        member: reader.parsed()?,
        begins_at: reader.instant()?,
        ends_at: reader.instant()?,
        covers: reader.optional(RowReader::parsed)?,
    })
}
