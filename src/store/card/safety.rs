//! Rows of card custody, safety talks and quiet words.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::card::safety::{CardCustodian, Custody, Talk};
use crate::domain::id::{BudgetId, ProgrammeId, TalkId};
use crate::ledger::record::row::{Digest, RowReader, Table, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::{BatchStatement, names, read_row};
use crate::store::{StoreError, Tx};

static CUSTODY: Table = Table {
    name: "custody",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "custody_id", Text "holder", Text "name",
        Number "since", Text "review_on",
    ],
};
static TALK: Table = Table {
    name: "talk",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "talk_id", Text "member_id", Text "concern",
        Text "wants", Text "consent", Text "options", Text "next_step", Number "talked_at",
    ],
};
static QUIET_WORD: Table = Table {
    name: "quiet_word",
    columns: columns![Key "programme_id", Key "budget_id", Text "digest"],
};

impl Tx {
    /// Adds a record of who holds the card.
    pub async fn add_custody(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        custody: &Custody,
    ) -> Result<(), StoreError> {
        let rows = [vec![
            text_value(programme),
            text_value(budget),
            text_value(custody.id),
            custody.holder.word().into(),
            custody.name.as_str().into(),
            custody.since.into(),
            custody.review_on.map(|date| date.to_string()).into(),
        ]];
        BatchStatement::insert(self.statements.dialect, &CUSTODY)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// Adds a talk.
    pub async fn add_talk(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        talk: &Talk,
    ) -> Result<(), StoreError> {
        let rows = [vec![
            text_value(programme),
            text_value(budget),
            text_value(talk.id),
            text_value(&talk.by),
            talk.concern.as_str().into(),
            talk.wants.as_str().into(),
            talk.consent.as_str().into(),
            talk.options.as_str().into(),
            talk.next_step.as_str().into(),
            talk.at.into(),
        ]];
        BatchStatement::insert(self.statements.dialect, &TALK)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// One talk of a budget.
    pub async fn talk(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: TalkId,
    ) -> Result<Option<Talk>, StoreError> {
        let sql = format!(
            "SELECT {} FROM talk WHERE programme_id = $1 AND budget_id = $2 AND talk_id = $3",
            names(TALK.columns, "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(talk_of).transpose()
    }

    /// Up to `most` talks of a budget with an identifier below `before`, the newest first.
    pub async fn talks_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<TalkId>,
        most: u32,
    ) -> Result<Vec<Talk>, StoreError> {
        let sql = format!(
            "SELECT {} FROM talk WHERE programme_id = $1 AND budget_id = $2 \
             AND talk_id < COALESCE($3, 'talk_g') ORDER BY talk_id DESC LIMIT $4",
            names(TALK.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(talk_of).collect()
    }

    /// Sets or replaces the digest of the person's quiet word.
    pub async fn put_quiet_word(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        digest: Digest,
    ) -> Result<(), StoreError> {
        let rows = [vec![text_value(programme), text_value(budget), digest.into()]];
        self.put(&QUIET_WORD, &rows, OnConflict::Replace).await?;
        Ok(())
    }

    /// The digest of the person's quiet word, if they have chosen one.
    pub async fn quiet_word(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT programme_id, budget_id, digest FROM quiet_word \
                   WHERE programme_id = $1 AND budget_id = $2";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, QUIET_WORD.columns)?;
        let mut reader = RowReader::new(&QUIET_WORD, &row);
        reader.skip(); // the programme, which the query fixes
        reader.skip(); // the budget, likewise
        Ok(Some(reader.parsed()?))
    }

    /// The newest record of who holds the card, if there is one.
    pub async fn custody(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<Custody>, StoreError> {
        let sql = format!(
            "SELECT {} FROM custody WHERE programme_id = $1 AND budget_id = $2 \
             ORDER BY custody_id DESC LIMIT 1",
            names(CUSTODY.columns, "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, CUSTODY.columns)?;
        let mut reader = RowReader::new(&CUSTODY, &row);
        reader.skip(); // the programme, which the query fixes
        reader.skip(); // the budget, likewise
        Ok(Some(Custody {
            id: reader.parsed()?,
            holder: reader.word(CardCustodian::from_word)?,
            name: reader.text()?.to_owned(),
            since: reader.instant()?,
            review_on: reader.optional(RowReader::date)?,
        }))
    }
}

fn talk_of(row: &AnyRow) -> Result<Talk, StoreError> {
    let row = read_row(row, TALK.columns)?;
    let mut reader = RowReader::new(&TALK, &row);
    reader.skip(); // the programme, which the query fixes
    reader.skip(); // the budget, likewise
    Ok(Talk {
        id: reader.parsed()?,
        by: reader.parsed()?,
        concern: reader.text()?.to_owned(),
        wants: reader.text()?.to_owned(),
        consent: reader.text()?.to_owned(),
        options: reader.text()?.to_owned(),
        next_step: reader.text()?.to_owned(),
        at: reader.instant()?,
    })
}
