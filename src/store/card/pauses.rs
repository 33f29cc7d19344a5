//! Rows of safety pauses, and the states of the cards that they stop.

use jiff::Timestamp;

use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, PauseId, ProgrammeId};
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{StoreError, Tx};

static PAUSE: Table = Table {
    name: "pause",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "pause_id", Text "member_id", Text "human_id",
        Text "reason", Text "talk_id", Number "begins_at", Number "ends_at", Number "lifted_at",
    ],
};

impl Tx {
    /// Adds a pause.
    pub async fn add_pause(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: &Pause,
    ) -> Result<(), StoreError> {
        let row = vec![
            text_value(programme),
            text_value(budget),
            text_value(pause.id),
            text_value(&pause.member),
            text_value(&pause.human),
            pause.reason.as_str().into(),
            text_value(pause.talk),
            pause.begins_at.into(),
            pause.ends_at.into(),
            pause.lifted_at.into(),
        ];
        let insert = BatchStatement::insert(self.statements.dialect, &PAUSE);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }

    /// Every pause of a budget, the oldest first.
    pub async fn pauses_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Pause>, StoreError> {
        let sql = "SELECT programme_id, budget_id, pause_id, member_id, human_id, reason, talk_id, \
                   begins_at, ends_at, lifted_at FROM pause \
                   WHERE programme_id = $1 AND budget_id = $2 ORDER BY begins_at, pause_id";
        let rows = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        let rows = rows.fetch_all(self.connection()).await?;
        rows.iter().map(|row| Ok(read_pause(&read_row(row, PAUSE.columns)?)?)).collect()
    }

    /// Lifts a pause at `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the pause does not exist or was lifted before.
    pub async fn lift_pause(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: PauseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE pause SET lifted_at = $4 WHERE programme_id = $1 AND budget_id = $2 \
                   AND pause_id = $3 AND lifted_at IS NULL";
        let written = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(pause.to_string())
            .bind(at.as_microsecond())
            .execute(self.connection())
            .await?
            .rows_affected();
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("pause")) }
    }
}

fn read_pause(row: &[Value]) -> Result<Pause, CorruptRow> {
    let mut reader = RowReader::new(&PAUSE, row);
    reader.skip(); // the programme
    reader.skip(); // the budget
    Ok(Pause {
        id: reader.parsed()?,
        member: reader.parsed()?,
        human: reader.parsed()?,
        reason: reader.text()?.to_owned(),
        talk: reader.parsed()?,
        begins_at: reader.instant()?,
        ends_at: reader.instant()?,
        lifted_at: reader.optional(RowReader::instant)?,
    })
}
