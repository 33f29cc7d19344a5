//! The acts on a budget, and who viewed its purchases. Both tables are append-only.

use jiff::Timestamp;

use crate::domain::id::{ActId, BudgetId, LookId, MemberId, ProgrammeId};
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{Store, StoreError, Tx};

static ACT: Table = Table {
    name: "act",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "act_id", Text "member_id", Text "kind",
        Text "subject", Text "detail", Number "acted_at",
    ],
};
static LOOK: Table = Table {
    name: "look",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "look_id", Text "member_id", Text "what",
        Text "reason", Number "looked_at",
    ],
};

/// An act of a member on a budget. The person can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    pub budget: BudgetId,
    pub id: ActId,
    pub member: MemberId,
    /// The kind of act, such as `proposed`, `agreed` or `asked`.
    pub kind: String,
    /// The identifier of its subject, such as a proposal, an ask or a card.
    pub subject: String,
    /// The reason or the details, as text.
    pub detail: String,
    pub acted_at: Timestamp,
}

/// A recorded view of a person's single purchases by a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookRow {
    pub budget: BudgetId,
    pub id: LookId,
    pub member: MemberId,
    pub what: String,
    pub reason: String,
    pub looked_at: Timestamp,
}

impl Tx {
    /// Adds acts.
    pub async fn add_acts(
        &mut self,
        programme: &ProgrammeId,
        acts: &[ActRow],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = acts.iter().map(|act| act_row(programme, act)).collect();
        BatchStatement::insert(self.statements.dialect, &ACT)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// Adds recorded views.
    pub async fn add_looks(
        &mut self,
        programme: &ProgrammeId,
        looks: &[LookRow],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = looks.iter().map(|look| look_row(programme, look)).collect();
        BatchStatement::insert(self.statements.dialect, &LOOK)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }
}

/// Who reads a list of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActAudience {
    Person,
    /// Sees no acts of the person on their own pots.
    OtherMember,
}

impl Store {
    /// Up to `most` acts on a budget with an identifier below `before`, the newest first.
    pub async fn acts(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        reader: ActAudience,
        before: Option<ActId>,
        most: u32,
    ) -> Result<Vec<ActRow>, StoreError> {
        let sql = "SELECT programme_id, budget_id, act_id, member_id, kind, subject, detail, \
                   acted_at FROM act WHERE programme_id = $1 AND budget_id = $2 \
                   AND act_id < COALESCE($3, 'act_g') \
                   AND ($5 = 'person' OR kind NOT IN ('held_back', 'took_back')) \
                   ORDER BY act_id DESC LIMIT $4";
        let reader = match reader {
            ActAudience::Person => "person",
            ActAudience::OtherMember => "",
        };
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .bind(reader)
            .fetch_all(&self.readers())
            .await?;
        rows.iter().map(|row| Ok(read_act(&read_row(row, ACT.columns)?)?)).collect()
    }

    /// Up to `most` recorded views of a budget's purchases with an identifier below `before`, the
    /// newest first.
    pub async fn looks(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<LookId>,
        most: u32,
    ) -> Result<Vec<LookRow>, StoreError> {
        let sql = "SELECT programme_id, budget_id, look_id, member_id, what, reason, looked_at \
                   FROM look WHERE programme_id = $1 AND budget_id = $2 \
                   AND look_id < COALESCE($3, 'seen_g') ORDER BY look_id DESC LIMIT $4";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        rows.iter().map(|row| Ok(read_look(&read_row(row, LOOK.columns)?)?)).collect()
    }
}

fn act_row(programme: &ProgrammeId, act: &ActRow) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(&act.budget),
        text_value(act.id),
        text_value(&act.member),
        act.kind.as_str().into(),
        act.subject.as_str().into(),
        act.detail.as_str().into(),
        act.acted_at.into(),
    ]
}

fn look_row(programme: &ProgrammeId, look: &LookRow) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(&look.budget),
        text_value(look.id),
        text_value(&look.member),
        look.what.as_str().into(),
        look.reason.as_str().into(),
        look.looked_at.into(),
    ]
}

fn read_act(row: &[Value]) -> Result<ActRow, CorruptRow> {
    let mut reader = RowReader::new(&ACT, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(ActRow {
        budget: reader.parsed()?,
        id: reader.parsed()?,
        member: reader.parsed()?,
        kind: reader.text()?.to_owned(),
        subject: reader.text()?.to_owned(),
        detail: reader.text()?.to_owned(),
        acted_at: reader.instant()?,
    })
}

fn read_look(row: &[Value]) -> Result<LookRow, CorruptRow> {
    let mut reader = RowReader::new(&LOOK, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(LookRow {
        budget: reader.parsed()?,
        id: reader.parsed()?,
        member: reader.parsed()?,
        what: reader.text()?.to_owned(),
        reason: reader.text()?.to_owned(),
        looked_at: reader.instant()?,
    })
}
