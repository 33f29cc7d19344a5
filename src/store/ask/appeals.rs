//! Rows of appeals against refusals, and their outcomes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::ask::ActorIdentity;
use crate::domain::ask::appeal::{Appeal, AppealOutcome, AppealState, InterimMeasure};
use crate::domain::id::{AppealId, BudgetId, HumanId, MemberId, PauseId, ProgrammeId, WorkerId};
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::sql::batch::{BatchStatement, names, read_row};
use crate::store::{Store, StoreError, Tx};

pub(in crate::store) static APPEAL: Table = Table {
    name: "appeal",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "appeal_id", Text "about", Text "decided_by",
        Text "words", Text "opened_by", Text "opened_human", Number "opened_at", Text "interim",
        Text "permission_id", Number "answer_by", Text "state", Text "answered_by",
        Text "answered_human", Number "answered_at", Text "answer_words", Text "next_step",
        Text "changed_permission_id",
    ],
};
static WAITING: Table = Table {
    name: "appeal",
    columns: columns![Key "budget_id", Key "appeal_id", Number "answer_by"],
};
static ABOUT: Table = Table { name: "appeal", columns: columns![Text "about"] };
static HUMAN: Table = Table { name: "consent", columns: columns![Text "human_id"] };
static DECIDER: Table =
    Table { name: "pause", columns: columns![Text "human_id", Number "ends_at"] };

/// An open appeal and its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAppeal {
    pub budget: BudgetId,
    pub id: AppealId,
    pub answer_by: Timestamp,
}

impl Tx {
    /// Adds an appeal.
    pub async fn add_appeal(
        &mut self,
        programme: &ProgrammeId,
        appeal: &Appeal,
    ) -> Result<(), StoreError> {
        let rows = [appeal_row(programme, appeal)];
        BatchStatement::insert(self.statements.dialect, &APPEAL)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// Replaces the state and outcome of an appeal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when its state or deadline is no longer that of `before`.
    pub async fn update_appeal(
        &mut self,
        programme: &ProgrammeId,
        before: &Appeal,
        after: &Appeal,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE appeal SET state = $4, answer_by = $5, answered_by = $6, \
                   answered_human = $7, answered_at = $8, answer_words = $9, next_step = $10, \
                   changed_permission_id = $11 \
                   WHERE programme_id = $1 AND budget_id = $2 AND appeal_id = $3 \
                   AND state = $12 AND answer_by = $13";
        let outcome = after.outcome.as_ref();
        let updated = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(before.budget.to_string())
            .bind(before.id.to_string())
            .bind(after.state.word())
            .bind(after.answer_by.as_microsecond())
            .bind(outcome.map(|outcome| outcome.by.member.to_string()))
            .bind(outcome.map(|outcome| outcome.by.human.to_string()))
            .bind(outcome.map(|outcome| outcome.at.as_microsecond()))
            .bind(outcome.map(|outcome| outcome.words.clone()))
            .bind(outcome.and_then(|outcome| outcome.next_step.clone()))
            .bind(outcome.and_then(|outcome| outcome.permission).map(|id| id.to_string()))
            .bind(before.state.word())
            .bind(before.answer_by.as_microsecond())
            .execute(self.connection())
            .await?;
        if updated.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Contended("appeal")) }
    }

    /// One appeal of a budget.
    pub async fn appeal(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: AppealId,
    ) -> Result<Option<Appeal>, StoreError> {
        let sql = format!(
            "SELECT {} FROM appeal WHERE programme_id = $1 AND budget_id = $2 AND appeal_id = $3",
            names(APPEAL.columns, "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(appeal_of).transpose()
    }

    /// The appeals of a budget about the subject `about`, the oldest first.
    pub async fn appeals_about(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        about: &str,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = format!(
            "SELECT {} FROM appeal WHERE programme_id = $1 AND budget_id = $2 AND about = $3 \
             ORDER BY appeal_id",
            names(APPEAL.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(about.to_owned())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(appeal_of).collect()
    }

    /// The appeals of a budget with an interim grant that are open or were opened after `since`,
    /// the oldest first.
    pub async fn interim_appeals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = format!(
            "SELECT {} FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
             AND interim = 'yes_for_now' AND (state = 'open' OR opened_at > $3) ORDER BY appeal_id",
            names(APPEAL.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(since.as_microsecond())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(appeal_of).collect()
    }

    /// The number of open appeals of a budget.
    pub async fn open_appeals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<usize, StoreError> {
        let sql = "SELECT appeal_id FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
                   AND state = 'open'";
        let rows = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        Ok(rows.fetch_all(self.connection()).await?.len())
    }

    /// The subjects of a budget that cannot be appealed again: those of its appeals, except
    /// withdrawn appeals and changed decisions about cards.
    pub async fn appealed_subjects(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<BTreeSet<String>, StoreError> {
        let sql = "SELECT about FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
                   AND state <> 'taken_back' AND NOT (state = 'changed' AND about LIKE 'card:%')";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_all(self.connection())
            .await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, ABOUT.columns)?;
            Ok(RowReader::new(&ABOUT, &row).text()?.to_owned())
        };
        rows.iter().map(read).collect()
    }

    /// The humans on the staff side who consented to the newest agreed proposal with a version up
    /// to `version`. Versions without consent of the staff side are skipped.
    pub async fn staff_who_agreed(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        version: u32,
    ) -> Result<BTreeSet<HumanId>, StoreError> {
        let yes = "FROM proposal p JOIN consent c ON c.programme_id = p.programme_id \
                   AND c.budget_id = p.budget_id AND c.proposal_id = p.proposal_id \
                   AND c.side <> 'person' AND c.answer = 'yes' \
                   WHERE p.programme_id = $1 AND p.budget_id = $2 AND p.state = 'agreed'";
        let sql = format!(
            "SELECT DISTINCT c.human_id {yes} \
             AND p.version = (SELECT MAX(p.version) {yes} AND p.version <= $3)"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(i64::from(version))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(human_of).collect()
    }

    /// The humans with an account of the role `worker` that belongs to `worker` of the programme's
    /// file.
    pub async fn humans_of_worker(
        &mut self,
        programme: &ProgrammeId,
        worker: &WorkerId,
    ) -> Result<BTreeSet<HumanId>, StoreError> {
        let sql = "SELECT DISTINCT human_id FROM member WHERE programme_id = $1 \
                   AND worker_id = $2 AND role = 'worker'";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(worker.to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(human_of).collect()
    }

    /// The human who decided a pause; `None` if the pause does not exist, was lifted, or has ended
    /// at `now`.
    pub async fn pause_decider(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: PauseId,
        now: Timestamp,
    ) -> Result<Option<HumanId>, StoreError> {
        let sql = "SELECT human_id, ends_at FROM pause WHERE programme_id = $1 \
                   AND budget_id = $2 AND pause_id = $3 AND lifted_at IS NULL AND ends_at > $4";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(pause.to_string())
            .bind(now.as_microsecond())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, DECIDER.columns)?;
        Ok(Some(RowReader::new(&DECIDER, &row).parsed()?))
    }
}

impl Store {
    /// Up to `most` appeals of a budget with an identifier below `before`, the newest first.
    pub async fn appeals_of(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<AppealId>,
        most: u32,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = format!(
            "SELECT {} FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
             AND appeal_id < COALESCE($3, 'look_g') ORDER BY appeal_id DESC LIMIT $4",
            names(APPEAL.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        rows.iter().map(appeal_of).collect()
    }

    /// Up to `most` open appeals of a programme with a deadline at `until` or before, in order of
    /// deadline, after the cursor `after`.
    pub async fn due_appeals(
        &self,
        programme: &ProgrammeId,
        until: Timestamp,
        after: Option<&DueAppeal>,
        most: u32,
    ) -> Result<Vec<DueAppeal>, StoreError> {
        let sql = "SELECT budget_id, appeal_id, answer_by FROM appeal \
                   WHERE programme_id = $1 AND answer_by <= $2 AND state = 'open' \
                   AND (answer_by, appeal_id) > ($3, $4) ORDER BY answer_by, appeal_id LIMIT $5";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(until.as_microsecond())
            .bind(after.map_or(i64::MIN, |appeal| appeal.answer_by.as_microsecond()))
            .bind(after.map(|appeal| appeal.id.to_string()).unwrap_or_default())
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, WAITING.columns)?;
            let mut reader = RowReader::new(&WAITING, &row);
            let (budget, id) = (reader.parsed()?, reader.parsed()?);
            Ok(DueAppeal { budget, id, answer_by: reader.instant()? })
        };
        rows.iter().map(read).collect()
    }
}

fn appeal_row(programme: &ProgrammeId, appeal: &Appeal) -> Vec<Value> {
    let outcome = appeal.outcome.as_ref();
    vec![
        text_value(programme),
        text_value(&appeal.budget),
        text_value(appeal.id),
        text_value(&appeal.about),
        appeal.decided_by.iter().map(HumanId::as_str).collect::<Vec<_>>().join(" ").into(),
        appeal.words.clone().into(),
        text_value(&appeal.opened.member),
        text_value(&appeal.opened.human),
        appeal.opened_at.into(),
        appeal.interim.word().into(),
        appeal.permission.map(|id| id.to_string()).into(),
        appeal.answer_by.into(),
        appeal.state.word().into(),
        outcome.map(|outcome| outcome.by.member.to_string()).into(),
        outcome.map(|outcome| outcome.by.human.to_string()).into(),
        outcome.map(|outcome| outcome.at).into(),
        outcome.map(|outcome| outcome.words.clone()).into(),
        outcome.and_then(|outcome| outcome.next_step.clone()).into(),
        outcome.and_then(|outcome| outcome.permission).map(|id| id.to_string()).into(),
    ]
}

fn human_of(row: &AnyRow) -> Result<HumanId, StoreError> {
    let row = read_row(row, HUMAN.columns)?;
    Ok(RowReader::new(&HUMAN, &row).parsed()?)
}

fn appeal_of(row: &AnyRow) -> Result<Appeal, StoreError> {
    Ok(read_appeal(&read_row(row, APPEAL.columns)?)?)
}

fn humans(text: &str) -> Option<BTreeSet<HumanId>> {
    text.split_ascii_whitespace().map(|human| human.parse().ok()).collect()
}

pub(in crate::store) fn read_appeal(row: &[Value]) -> Result<Appeal, CorruptRow> {
    let mut reader = RowReader::new(&APPEAL, row);
    reader.skip(); // the programme, which the query fixes
    let budget = reader.parsed()?;
    let mut appeal = Appeal {
        id: reader.parsed()?,
        budget,
        about: reader.parsed()?,
        decided_by: reader.word(humans)?,
        words: reader.optional(RowReader::text)?.map(str::to_owned),
        opened: ActorIdentity { member: reader.parsed()?, human: reader.parsed()? },
        opened_at: reader.instant()?,
        interim: reader.word(InterimMeasure::from_word)?,
        permission: reader.optional(RowReader::parsed)?,
        answer_by: reader.instant()?,
        state: reader.word(AppealState::from_word)?,
        outcome: None,
    };
    let member: Option<MemberId> = reader.optional(RowReader::parsed)?;
    let human: Option<HumanId> = reader.optional(RowReader::parsed)?;
    let at = reader.optional(RowReader::instant)?;
    let words = reader.optional(RowReader::text)?.map(str::to_owned);
    let next_step = reader.optional(RowReader::text)?.map(str::to_owned);
    let permission = reader.optional(RowReader::parsed)?;
    if let (Some(member), Some(human), Some(at), Some(words)) = (member, human, at, words) {
        let by = ActorIdentity { member, human };
        appeal.outcome = Some(AppealOutcome { by, at, words, next_step, permission });
    }
    Ok(appeal)
}
