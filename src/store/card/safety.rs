//! Rows of card custody, safety talks and quiet words.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::card::safety::{CardCustodian, Custody, Talk};
use crate::domain::id::{BudgetId, CustodyId, MemberId, ProgrammeId, TalkId};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::record;
use crate::store::ask::page_of_budget;
use crate::store::sql::record::OnConflict;
use crate::store::{StoreError, Tx};

record! {
    /// A record of who holds the card.
    struct CustodyRow in "custody" key(programme_id, budget_id, custody_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        custody_id: CustodyId,
        holder: CardCustodian,
        name: String,
        since: Timestamp,
        review_on: Option<Date>,
    }
}

record! {
    /// A safety talk.
    struct TalkRow in "talk" key(programme_id, budget_id, talk_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        talk_id: TalkId,
        member_id: MemberId,
        concern: String,
        wants: String,
        consent: String,
        options: String,
        next_step: String,
        talked_at: Timestamp,
    }
}

record! {
    /// The digest of a person's quiet word.
    struct QuietWordRow in "quiet_word" key(programme_id, budget_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        digest: Digest,
    }
}

impl CustodyRow {
    fn new(programme: &ProgrammeId, budget: &BudgetId, custody: &Custody) -> Self {
        let Custody { id, holder, name, since, review_on } = custody.clone();
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            custody_id: id,
            holder,
            name,
            since,
            review_on,
        }
    }
}

impl From<CustodyRow> for Custody {
    fn from(row: CustodyRow) -> Self {
        Self {
            id: row.custody_id,
            holder: row.holder,
            name: row.name,
            since: row.since,
            review_on: row.review_on,
        }
    }
}

impl TalkRow {
    fn new(programme: &ProgrammeId, budget: &BudgetId, talk: &Talk) -> Self {
        let Talk { id, by, concern, wants, consent, options, next_step, at } = talk.clone();
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            talk_id: id,
            member_id: by,
            concern,
            wants,
            consent,
            options,
            next_step,
            talked_at: at,
        }
    }
}

impl From<TalkRow> for Talk {
    fn from(row: TalkRow) -> Self {
        Self {
            id: row.talk_id,
            by: row.member_id,
            concern: row.concern,
            wants: row.wants,
            consent: row.consent,
            options: row.options,
            next_step: row.next_step,
            at: row.talked_at,
        }
    }
}

impl Tx {
    /// Adds a record of who holds the card.
    pub async fn add_custody(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        custody: &Custody,
    ) -> Result<(), StoreError> {
        self.insert(&[CustodyRow::new(programme, budget, custody)]).await
    }

    /// Adds a talk.
    pub async fn add_talk(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        talk: &Talk,
    ) -> Result<(), StoreError> {
        self.insert(&[TalkRow::new(programme, budget, talk)]).await
    }

    /// One talk of a budget.
    pub async fn talk(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: TalkId,
    ) -> Result<Option<Talk>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND talk_id = $3";
        let row: Option<TalkRow> = self.fetch_optional(sql, &[programme, budget, &id]).await?;
        Ok(row.map(Talk::from))
    }

    /// Up to `most` talks of a budget with an identifier below `before`, the newest first.
    pub async fn talks_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<TalkId>,
        most: u32,
    ) -> Result<Vec<Talk>, StoreError> {
        let sql = format!("WHERE {}", page_of_budget("talk_id", "talk_g"));
        let rows: Vec<TalkRow> = self.fetch_all(sql, &[programme, budget, &before, &most]).await?;
        Ok(rows.into_iter().map(Talk::from).collect())
    }

    /// Sets or replaces the digest of the person's quiet word.
    pub async fn put_quiet_word(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        digest: Digest,
    ) -> Result<(), StoreError> {
        let row =
            QuietWordRow { programme_id: programme.clone(), budget_id: budget.clone(), digest };
        self.put(&[row], OnConflict::Replace).await?;
        Ok(())
    }

    /// The digest of the person's quiet word, if they have chosen one.
    pub async fn quiet_word(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<Digest>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2";
        let row: Option<QuietWordRow> = self.fetch_optional(sql, &[programme, budget]).await?;
        Ok(row.map(|row| row.digest))
    }

    /// The newest record of who holds the card, if there is one.
    pub async fn custody(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<Custody>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 ORDER BY custody_id DESC LIMIT 1";
        let row: Option<CustodyRow> = self.fetch_optional(sql, &[programme, budget]).await?;
        Ok(row.map(Custody::from))
    }
}
