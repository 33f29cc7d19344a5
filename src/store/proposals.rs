//! Proposals, answers, and the versions that came of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::batch::{Batch, names, read_row};
use super::{Store, StoreError, Tx};
use crate::domain::id::{BudgetId, MemberId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;
use crate::domain::proposal::{Consent, Kind, Proposal, Side, State};
use crate::record::agreement::{AGREEMENT, TERM, read_agreement};
use crate::record::proposal::{
    CONSENT, PROPOSAL, consent_row, proposal_row, read_consent, read_proposal,
};
use crate::record::row::{Reader, Table, Value, columns};

/// One version of an agreement, when it started, and what it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub agreement: crate::domain::agreement::Agreement,
    pub started_at: Timestamp,
    /// None when it was applied from the programme's file.
    pub kind: Option<Kind>,
}

static ORIGIN: Table = Table { name: "proposal", columns: columns![Number "version", Text "kind"] };

/// Proposals that wait and whose time has run out.
static DUE: Table =
    Table { name: "proposal", columns: columns![Key "budget_id", Key "proposal_id"] };

impl Tx {
    /// Adds a proposal.
    pub async fn add_proposal(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
    ) -> Result<(), StoreError> {
        let row = proposal_row(programme, proposal);
        let insert = Batch::insert(self.statements.dialect, &PROPOSAL);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }

    /// Writes what has become of a proposal that was in the state `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when it is not in that state any more.
    pub async fn change_proposal(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        before: State,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE proposal SET state = $5, proposed_at = $6, not_before = $7, \
                   open_until = $8, ended_at = $9, version = $10, base_version = $11, list = $12 \
                   WHERE programme_id = $1 AND budget_id = $2 AND proposal_id = $3 AND state = $4";
        let written = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(proposal.budget.to_string())
            .bind(proposal.id.to_string())
            .bind(before.word())
            .bind(proposal.state.word())
            .bind(proposal.proposed_at.as_microsecond())
            .bind(proposal.not_before.as_microsecond())
            .bind(proposal.open_until.as_microsecond())
            .bind(proposal.ended_at.map(Timestamp::as_microsecond))
            .bind(proposal.version.map(i64::from))
            .bind(i64::from(proposal.base_version))
            .bind(crate::record::proposal::list_text(&proposal.list))
            .execute(self.connection())
            .await?
            .rows_affected();
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("proposal")) }
    }

    /// Adds one side's answer.
    pub async fn add_consent(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        consent: &Consent,
    ) -> Result<(), StoreError> {
        let row = consent_row(programme, proposal, consent);
        let insert = Batch::insert(self.statements.dialect, &CONSENT);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }

    /// Takes away an answer that was written down for somebody and that they have not confirmed.
    pub async fn drop_unconfirmed(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        side: Side,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM consent WHERE programme_id = $1 AND budget_id = $2 \
                   AND proposal_id = $3 AND side = $4 AND confirmed_at IS NULL";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(proposal.budget.to_string())
            .bind(proposal.id.to_string())
            .bind(side.word())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The proposal called `id`, with its answers.
    pub async fn proposal(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: ProposalId,
        currency: Currency,
    ) -> Result<Option<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = "AND proposal_id = $3 ORDER BY proposal_id";
        let id = id.to_string();
        let mut found = self.proposals_where(programme, budget, condition, &id, currency).await?;
        Ok(found.pop())
    }

    /// The proposals of a budget that wait for somebody: drafts and open ones. The oldest first.
    pub async fn waiting_proposals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = "AND state IN ('draft', $3) ORDER BY proposal_id";
        self.proposals_where(programme, budget, condition, State::Open.word(), currency).await
    }

    /// The proposals of a budget that somebody said no to. The oldest first.
    pub async fn refused_proposals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = "AND state = $3 ORDER BY proposal_id";
        self.proposals_where(programme, budget, condition, State::Refused.word(), currency).await
    }

    /// The proposals of a budget, the newest first; those before `before`, if it is named.
    pub async fn proposals_before(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<ProposalId>,
        most: u32,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = format!("AND proposal_id < $3 ORDER BY proposal_id DESC LIMIT {most}");
        // After every identifier that there can be.
        let before = before.map_or_else(|| "prop_g".to_owned(), |id| id.to_string());
        self.proposals_where(programme, budget, &condition, &before, currency).await
    }

    async fn proposals_where(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        condition: &str,
        value: &str,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let sql = format!(
            "SELECT {} FROM proposal WHERE programme_id = $1 AND budget_id = $2 {condition}",
            names(PROPOSAL.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(value.to_owned())
            .fetch_all(self.connection())
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let proposal = read_proposal(&read_row(row, PROPOSAL.columns)?, currency)?;
            let consents = self.consents_of(programme, &proposal).await?;
            found.push((proposal, consents));
        }
        Ok(found)
    }

    async fn consents_of(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
    ) -> Result<Vec<Consent>, StoreError> {
        let sql = format!(
            "SELECT {} FROM consent WHERE programme_id = $1 AND budget_id = $2 \
             AND proposal_id = $3 ORDER BY side",
            names(CONSENT.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(proposal.budget.to_string())
            .bind(proposal.id.to_string())
            .fetch_all(self.connection())
            .await?;
        let read = |row| Ok(read_consent(&read_row(row, CONSENT.columns)?)?.1);
        rows.iter().map(read).collect()
    }

    /// Every version of a budget's agreement, from the first.
    pub async fn versions_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let mut terms: BTreeMap<i64, Vec<Vec<Value>>> = BTreeMap::new();
        for row in self.rows_of_versions(&TERM, programme, budget, "version, position").await? {
            terms.entry(TERM.number(&row, "version")).or_default().push(row);
        }
        let kinds = self.kinds_of_versions(programme, budget).await?;
        let mut versions = Vec::new();
        for row in self.rows_of_versions(&AGREEMENT, programme, budget, "version").await? {
            let number = AGREEMENT.number(&row, "version");
            let terms = terms.remove(&number).unwrap_or_default();
            let started_at = AGREEMENT.number(&row, "started_at");
            versions.push(VersionRow {
                agreement: read_agreement(&row, &terms, currency)?,
                started_at: Timestamp::from_microsecond(started_at).unwrap_or_default(),
                kind: kinds.get(&number).copied(),
            });
        }
        Ok(versions)
    }

    async fn rows_of_versions(
        &mut self,
        table: &Table,
        programme: &ProgrammeId,
        budget: &BudgetId,
        order: &str,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM {} WHERE programme_id = $1 AND budget_id = $2 ORDER BY {order}",
            names(table.columns, ""),
            table.name
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(|row| read_row(row, table.columns)).collect()
    }

    async fn kinds_of_versions(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<BTreeMap<i64, Kind>, StoreError> {
        let sql = "SELECT version, kind FROM proposal WHERE programme_id = $1 AND budget_id = $2 \
                   AND version IS NOT NULL";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_all(self.connection())
            .await?;
        let read = |row| {
            let row = read_row(row, ORIGIN.columns)?;
            let mut reader = Reader::new(&ORIGIN, &row);
            Ok((reader.number()?, reader.word(Kind::from_word)?))
        };
        rows.iter().map(read).collect()
    }
}

impl Store {
    /// Proposals and drafts of `programme` whose time ran out at `now` or before, the oldest first.
    pub async fn proposals_due(
        &self,
        programme: &ProgrammeId,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<(BudgetId, ProposalId)>, StoreError> {
        let sql = "SELECT budget_id, proposal_id FROM proposal WHERE programme_id = $1 \
                   AND open_until <= $2 AND state IN ('draft', 'open') \
                   ORDER BY open_until, proposal_id LIMIT $3";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(now.as_microsecond())
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        let read = |row| {
            let row = read_row(row, DUE.columns)?;
            let mut reader = Reader::new(&DUE, &row);
            Ok((reader.parsed()?, reader.parsed()?))
        };
        rows.iter().map(read).collect()
    }
}

/// The account of a person, for what is written down for them.
static OWN: Table = Table { name: "member", columns: columns![Key "member_id", Text "human_id"] };

impl Tx {
    /// The person's own account, if they have one.
    pub async fn own_account(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<(MemberId, crate::domain::id::HumanId)>, StoreError> {
        let sql = "SELECT member_id, human_id FROM member WHERE programme_id = $1 \
                   AND person_id = $2 AND role = 'person' AND state = 'active' \
                   ORDER BY member_id LIMIT 1";
        let row = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        let Some(row) = row.fetch_optional(self.connection()).await? else { return Ok(None) };
        let row = read_row(&row, OWN.columns)?;
        let mut reader = Reader::new(&OWN, &row);
        Ok(Some((reader.parsed()?, reader.parsed()?)))
    }
}
