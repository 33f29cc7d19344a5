//! Proposals, consents, and the versions of an agreement that they led to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::agreement::change::List;
use crate::domain::agreement::proposal::{Consent, Proposal, ProposalState};
use crate::domain::id::{BudgetId, MemberId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;
use crate::ledger::record::agreement::{AGREEMENT, TERM, read_agreement};
use crate::ledger::record::proposal::{
    CONSENT, PROPOSAL, consent_row, list_from_text, list_text, proposal_row, read_consent,
    read_proposal,
};
use crate::ledger::record::row::{RowReader, Table, Value, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::{BatchStatement, names, read_row};
use crate::store::{Store, StoreError, Tx};

/// One version of an agreement, and when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub agreement: crate::domain::agreement::Agreement,
    pub started_at: Timestamp,
}

/// A proposal or draft whose time limit has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueProposal {
    pub budget: BudgetId,
    pub id: ProposalId,
    pub open_until: Timestamp,
}

static AGREED: Table = Table {
    name: "agreed_list",
    columns: columns![Key "programme_id", Key "budget_id", Text "list"],
};

static DUE: Table = Table {
    name: "proposal",
    columns: columns![Key "budget_id", Key "proposal_id", Number "open_until"],
};

impl Tx {
    /// Adds a proposal.
    pub async fn add_proposal(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
    ) -> Result<(), StoreError> {
        let row = proposal_row(programme, proposal);
        let insert = BatchStatement::insert(self.statements.dialect, &PROPOSAL);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }

    /// Updates a proposal that was in the state `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the proposal has left that state.
    pub async fn change_proposal(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        before: ProposalState,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE proposal SET state = $5, proposed_at = $6, not_before = $7, \
                   open_until = $8, ended_at = $9, version = $10, base_version = $11, list = $12, \
                   kind = $13 \
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
            .bind(list_text(&proposal.list))
            .bind(proposal.kind.word())
            .execute(self.connection())
            .await?
            .rows_affected();
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("proposal")) }
    }

    /// Adds the consent (yes or no) of one side.
    pub async fn add_consent(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        consent: &Consent,
    ) -> Result<(), StoreError> {
        let row = consent_row(programme, proposal, consent);
        let insert = BatchStatement::insert(self.statements.dialect, &CONSENT);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }

    /// Replaces the consent of one side. The previous one is moved to `replaced_consent`.
    pub async fn replace_consent(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        consent: &Consent,
    ) -> Result<(), StoreError> {
        let columns = names(CONSENT.columns, "");
        let of_side =
            "WHERE programme_id = $1 AND budget_id = $2 AND proposal_id = $3 AND side = $4";
        let keep = format!(
            "INSERT INTO replaced_consent ({columns}, place_in_line) SELECT {columns}, \
             (SELECT COUNT(*) FROM replaced_consent {of_side}) FROM consent {of_side}"
        );
        let drop = format!("DELETE FROM consent {of_side}");
        for sql in [keep, drop] {
            sqlx::query(AssertSqlSafe(sql))
                .bind(programme.to_string())
                .bind(proposal.budget.to_string())
                .bind(proposal.id.to_string())
                .bind(consent.side.word())
                .execute(self.connection())
                .await?;
        }
        self.add_consent(programme, proposal, consent).await
    }

    /// The replaced consents of a proposal, by side and then the oldest first.
    pub async fn replaced_consents(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: ProposalId,
    ) -> Result<Vec<Consent>, StoreError> {
        let sql = format!(
            "SELECT {} FROM replaced_consent WHERE programme_id = $1 AND budget_id = $2 \
             AND proposal_id = $3 ORDER BY side, place_in_line",
            names(CONSENT.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(id.to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(|row| Ok(read_consent(&read_row(row, CONSENT.columns)?)?.1)).collect()
    }

    /// The proposal `id` with its consents.
    pub async fn proposal(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: ProposalId,
        currency: Currency,
    ) -> Result<Option<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = "AND proposal_id = $3 ORDER BY proposal_id";
        let id = id.to_string();
        let found = self.proposals_where(programme, budget, condition, &id, currency).await?;
        Ok(self.with_consents(programme, budget, found).await?.pop())
    }

    /// The open proposals of a budget without their consents, the oldest first.
    pub async fn open_proposals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<Proposal>, StoreError> {
        let condition = "AND state = $3 ORDER BY proposal_id";
        let open = ProposalState::Open.word();
        self.proposals_where(programme, budget, condition, open, currency).await
    }

    /// The agreed proposals of a budget that a law forced, without their consents, the oldest
    /// first.
    pub async fn forced_proposals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<Proposal>, StoreError> {
        let condition = "AND state = $3 AND kind = 'law' ORDER BY proposal_id";
        let agreed = ProposalState::Agreed.word();
        self.proposals_where(programme, budget, condition, agreed, currency).await
    }

    /// The proposals of a budget that were refused after `since`, without their consents, the
    /// oldest first.
    pub async fn refused_proposals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
        currency: Currency,
    ) -> Result<Vec<Proposal>, StoreError> {
        let since = since.as_microsecond();
        let condition = format!("AND state = $3 AND ended_at > {since} ORDER BY proposal_id");
        let refused = ProposalState::Refused.word();
        self.proposals_where(programme, budget, &condition, refused, currency).await
    }

    /// The number of drafts of a budget by `member` that have not expired at `at`.
    pub async fn drafts_kept(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        member: &MemberId,
        at: Timestamp,
    ) -> Result<usize, StoreError> {
        let sql = "SELECT proposal_id FROM proposal WHERE programme_id = $1 AND budget_id = $2 \
                   AND state = 'draft' AND proposed_by = $3 AND open_until > $4";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(member.to_string())
            .bind(at.as_microsecond())
            .fetch_all(self.connection())
            .await?;
        Ok(rows.len())
    }

    /// Up to `most` proposals of a budget with an identifier below `before` and their consents, the
    /// newest first; with `drafts_by`, no drafts but those of that account.
    pub async fn proposals_before(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<ProposalId>,
        drafts_by: Option<&MemberId>,
        most: u32,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let drafts = drafts_by
            .map(|author| format!("AND (state <> 'draft' OR proposed_by = '{author}') "))
            .unwrap_or_default();
        let condition =
            format!("AND proposal_id < $3 {drafts}ORDER BY proposal_id DESC LIMIT {most}");
        // Sorts after every identifier, because `g` follows the hexadecimal digits.
        let before = before.map_or_else(|| "prop_g".to_owned(), |id| id.to_string());
        let found = self.proposals_where(programme, budget, &condition, &before, currency).await?;
        self.with_consents(programme, budget, found).await
    }

    async fn proposals_where(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        condition: &str,
        value: &str,
        currency: Currency,
    ) -> Result<Vec<Proposal>, StoreError> {
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
        let read = |row| Ok(read_proposal(&read_row(row, PROPOSAL.columns)?, currency)?);
        rows.iter().map(read).collect()
    }

    /// Adds the consents to `proposals`, read as one range of identifiers.
    async fn with_consents(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let ids = || proposals.iter().map(|proposal| proposal.id);
        let Some((first, last)) = ids().min().zip(ids().max()) else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT {} FROM consent WHERE programme_id = $1 AND budget_id = $2 \
             AND proposal_id BETWEEN $3 AND $4 ORDER BY proposal_id, side",
            names(CONSENT.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(first.to_string())
            .bind(last.to_string())
            .fetch_all(self.connection())
            .await?;
        let mut consents: BTreeMap<ProposalId, Vec<Consent>> = BTreeMap::new();
        for row in &rows {
            let (proposal, consent) = read_consent(&read_row(row, CONSENT.columns)?)?;
            consents.entry(proposal).or_default().push(consent);
        }
        let with_consents = |proposal: Proposal| {
            let consents = consents.remove(&proposal.id).unwrap_or_default();
            (proposal, consents)
        };
        Ok(proposals.into_iter().map(with_consents).collect())
    }

    /// Every version of a budget's agreement, the first one first.
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
        let mut versions = Vec::new();
        for row in self.rows_of_versions(&AGREEMENT, programme, budget, "version").await? {
            let number = AGREEMENT.number(&row, "version");
            let terms = terms.remove(&number).unwrap_or_default();
            let started_at = AGREEMENT.number(&row, "started_at");
            versions.push(VersionRow {
                agreement: read_agreement(&row, &terms, currency)?,
                started_at: Timestamp::from_microsecond(started_at).unwrap_or_default(),
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

    /// The list agreed with the worker. It is stored only once the list in force may differ from
    /// it.
    pub async fn agreed_list(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Option<List>, StoreError> {
        let sql = "SELECT programme_id, budget_id, list FROM agreed_list \
                   WHERE programme_id = $1 AND budget_id = $2";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, AGREED.columns)?;
        let mut reader = RowReader::new(&AGREED, &row);
        reader.skip();
        reader.skip();
        Ok(Some(reader.word(|text| list_from_text(text, currency))?))
    }

    /// Stores the list agreed with the worker, apart from the list in force.
    pub async fn put_agreed_list(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        list: &List,
    ) -> Result<(), StoreError> {
        let row = vec![text_value(programme), text_value(budget), list_text(list).into()];
        self.put(&AGREED, &[row], OnConflict::Replace).await?;
        Ok(())
    }
}

impl Store {
    /// Up to `most` open proposals and drafts of `programme` whose time limit is `now` or before,
    /// in order of that limit, after the cursor `after`.
    pub async fn due_proposals(
        &self,
        programme: &ProgrammeId,
        now: Timestamp,
        after: Option<&DueProposal>,
        most: u32,
    ) -> Result<Vec<DueProposal>, StoreError> {
        let sql = "SELECT budget_id, proposal_id, open_until FROM proposal \
                   WHERE programme_id = $1 AND open_until <= $2 AND state IN ('draft', 'open') \
                   AND (open_until, proposal_id) > ($3, $4) \
                   ORDER BY open_until, proposal_id LIMIT $5";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(now.as_microsecond())
            .bind(after.map_or(i64::MIN, |due| due.open_until.as_microsecond()))
            .bind(after.map(|due| due.id.to_string()).unwrap_or_default())
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        let read = |row| {
            let row = read_row(row, DUE.columns)?;
            let mut reader = RowReader::new(&DUE, &row);
            Ok(DueProposal {
                budget: reader.parsed()?,
                id: reader.parsed()?,
                open_until: reader.instant()?,
            })
        };
        rows.iter().map(read).collect()
    }
}

/// The columns of a person's own account.
static OWN: Table = Table { name: "member", columns: columns![Key "member_id", Text "human_id"] };

impl Tx {
    /// The active account of the person who owns `budget`: its member and its human.
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
        let mut reader = RowReader::new(&OWN, &row);
        Ok(Some((reader.parsed()?, reader.parsed()?)))
    }
}
