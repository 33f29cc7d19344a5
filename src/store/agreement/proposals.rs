//! Proposals, consents, and the versions of an agreement that they led to.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::agreement::Agreement;
use crate::domain::agreement::change::List;
use crate::domain::agreement::proposal::{Consent, Proposal, ProposalState};
use crate::domain::id::{BudgetId, HumanId, MemberId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;
use crate::ledger::record::agreement::{AgreementRow, TermRow};
use crate::ledger::record::proposal::{ConsentRow, ProposalRow, list_from_text, list_text};
use crate::ledger::record::table::{Record as _, record};
use crate::store::sql::batch::names;
use crate::store::sql::record::{Argument, OnConflict};
use crate::store::{Store, StoreError, Tx};

/// One version of an agreement, and when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub agreement: Agreement,
    pub started_at: Timestamp,
}

record! {
    /// A proposal or draft whose time limit has passed.
    pub struct DueProposal in "proposal" key(budget_id, proposal_id) {
        pub budget_id: BudgetId,
        pub proposal_id: ProposalId,
        pub open_until: Timestamp,
    }
}

record! {
    /// The list agreed with the worker.
    struct AgreedListRow in "agreed_list" key(programme_id, budget_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        list: String,
    }
}

record! {
    /// A person's own account.
    struct OwnAccountRow in "member" key(member_id) {
        member_id: MemberId,
        human_id: HumanId,
    }
}

impl Tx {
    /// Adds a proposal.
    pub async fn add_proposal(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
    ) -> Result<(), StoreError> {
        self.insert(&[ProposalRow::new(programme, proposal)]).await
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
        self.update(&ProposalRow::new(programme, proposal), &[("state", &before)]).await
    }

    /// Adds the consent (yes or no) of one side.
    pub async fn add_consent(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        consent: &Consent,
    ) -> Result<(), StoreError> {
        self.insert(&[ConsentRow::new(programme, proposal, consent)]).await
    }

    /// Replaces the consent of one side. The previous one is moved to `replaced_consent`.
    pub async fn replace_consent(
        &mut self,
        programme: &ProgrammeId,
        proposal: &Proposal,
        consent: &Consent,
    ) -> Result<(), StoreError> {
        let columns = names(ConsentRow::TABLE.columns, "");
        let of_side =
            "WHERE programme_id = $1 AND budget_id = $2 AND proposal_id = $3 AND side = $4";
        let keep = format!(
            "INSERT INTO replaced_consent ({columns}, place_in_line) SELECT {columns}, \
             (SELECT COUNT(*) FROM replaced_consent {of_side}) FROM consent {of_side}"
        );
        let drop = format!("DELETE FROM consent {of_side}");
        for sql in [keep, drop] {
            self.execute(sql, &[programme, &proposal.budget, &proposal.id, &consent.side]).await?;
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
        let sql = "SELECT {columns} FROM replaced_consent WHERE programme_id = $1 \
                   AND budget_id = $2 AND proposal_id = $3 ORDER BY side, place_in_line";
        let rows: Vec<ConsentRow> = self.fetch_all(sql, &[programme, budget, &id]).await?;
        Ok(rows.into_iter().map(Consent::from).collect())
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
        let found = self.proposals_where(programme, budget, condition, &[&id], currency).await?;
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
        let open = ProposalState::Open;
        self.proposals_where(programme, budget, condition, &[&open], currency).await
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
        let agreed = ProposalState::Agreed;
        self.proposals_where(programme, budget, condition, &[&agreed], currency).await
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
        let condition = "AND state = $3 AND ended_at > $4 ORDER BY proposal_id";
        let refused = ProposalState::Refused;
        self.proposals_where(programme, budget, condition, &[&refused, &since], currency).await
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
        let drafts: Vec<ProposalId> =
            self.fetch_scalars(sql, &[programme, budget, member, &at]).await?;
        Ok(drafts.len())
    }

    /// Up to `most` proposals of a budget with an identifier below `before` and their consents, the
    /// newest first. With `drafts_by`, drafts (which nobody has consented to) of that account only.
    pub async fn proposals_before(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<ProposalId>,
        drafts_by: Option<&MemberId>,
        most: u32,
        currency: Currency,
    ) -> Result<Vec<(Proposal, Vec<Consent>)>, StoreError> {
        let condition = "AND proposal_id < $3 \
                         AND (proposed_by = COALESCE($4, proposed_by) OR EXISTS ( \
                           SELECT 1 FROM consent c WHERE c.programme_id = $1 \
                           AND c.budget_id = $2 AND c.proposal_id = proposal.proposal_id)) \
                         ORDER BY proposal_id DESC LIMIT $5";
        // Sorts after every identifier, because `g` follows the hexadecimal digits.
        let before = before.map_or_else(|| "prop_g".to_owned(), |id| id.to_string());
        let drafts_by = drafts_by.cloned();
        let arguments: [&dyn Argument; 3] = [&before, &drafts_by, &most];
        let found =
            self.proposals_where(programme, budget, condition, &arguments, currency).await?;
        self.with_consents(programme, budget, found).await
    }

    /// The proposals of a budget that meet `condition`, whose `arguments` are numbered from 3.
    async fn proposals_where(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        condition: &str,
        arguments: &[&dyn Argument],
        currency: Currency,
    ) -> Result<Vec<Proposal>, StoreError> {
        let sql = format!("WHERE programme_id = $1 AND budget_id = $2 {condition}");
        let of_budget: [&dyn Argument; 2] = [programme, budget];
        let arguments = [&of_budget, arguments].concat();
        let rows: Vec<ProposalRow> = self.fetch_all(sql, &arguments).await?;
        rows.into_iter().map(|row| Ok(row.proposal(currency)?)).collect()
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
        let sql = "WHERE programme_id = $1 AND budget_id = $2 \
                   AND proposal_id BETWEEN $3 AND $4 ORDER BY proposal_id, side";
        let rows: Vec<ConsentRow> =
            self.fetch_all(sql, &[programme, budget, &first, &last]).await?;
        let mut consents: BTreeMap<ProposalId, Vec<Consent>> = BTreeMap::new();
        for row in rows {
            consents.entry(row.proposal_id).or_default().push(row.into());
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
        let of_budget: [&dyn Argument; 2] = [programme, budget];
        let sql = "WHERE programme_id = $1 AND budget_id = $2 ORDER BY version, position";
        let mut terms: BTreeMap<u32, Vec<TermRow>> = BTreeMap::new();
        for term in self.fetch_all::<TermRow>(sql, &of_budget).await? {
            terms.entry(term.version).or_default().push(term);
        }
        let sql = "WHERE programme_id = $1 AND budget_id = $2 ORDER BY version";
        let rows: Vec<AgreementRow> = self.fetch_all(sql, &of_budget).await?;
        let version = |row: AgreementRow| {
            let terms = terms.remove(&row.version).unwrap_or_default();
            let started_at = row.started_at;
            Ok(VersionRow { agreement: row.agreement(terms, currency)?, started_at })
        };
        rows.into_iter().map(version).collect()
    }

    /// The list agreed with the worker. It is stored only once the list in force may differ from
    /// it.
    pub async fn agreed_list(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Option<List>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2";
        let row: Option<AgreedListRow> = self.fetch_optional(sql, &[programme, budget]).await?;
        let Some(row) = row else { return Ok(None) };
        let list = list_from_text(&row.list, currency).ok_or_else(|| row.corrupt("list"))?;
        Ok(Some(list))
    }

    /// Stores the list agreed with the worker, apart from the list in force.
    pub async fn put_agreed_list(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        list: &List,
    ) -> Result<(), StoreError> {
        let row = AgreedListRow {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            list: list_text(list),
        };
        self.put(&[row], OnConflict::Replace).await?;
        Ok(())
    }

    /// The active account of the person who owns `budget`: its member and its human.
    pub async fn own_account(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<(MemberId, HumanId)>, StoreError> {
        let sql = "WHERE programme_id = $1 AND person_id = $2 AND role = 'person' \
                   AND state = 'active' ORDER BY member_id LIMIT 1";
        let row: Option<OwnAccountRow> = self.fetch_optional(sql, &[programme, budget]).await?;
        Ok(row.map(|row| (row.member_id, row.human_id)))
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
        let sql = "WHERE programme_id = $1 AND open_until <= $2 AND state IN ('draft', 'open') \
                   AND (open_until, proposal_id) > ($3, $4) \
                   ORDER BY open_until, proposal_id LIMIT $5";
        let after_limit = after.map_or(i64::MIN, |due| due.open_until.as_microsecond());
        let after_id = after.map(|due| due.proposal_id.to_string()).unwrap_or_default();
        self.fetch_all(sql, &[programme, &now, &after_limit, &after_id, &most]).await
    }
}
