//! Drafts: a list that an account with [`Capability::Draft`] writes, such as a helper or a planner.
//! Nobody is asked to consent, and nothing changes until an account that may propose adopts the
//! draft.

use super::{ProposalProgress, ProposalRequest, required_words};
use crate::domain::agreement::change::{List, changes};
use crate::domain::agreement::proposal::{
    ConsentGranularity, ConsentSession, DRAFT_LIFETIME, DRAFTS_MAX, Proposal, ProposalError,
    ProposalKind, ProposalState,
};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::role::Capability;
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::store::Tx;

/// A list to store as a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRequest {
    pub list: List,
    /// The reason, in words that the person reads.
    pub words: String,
}

/// Stores a draft for [`DRAFT_LIFETIME`].
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when the account has [`DRAFTS_MAX`] drafts for this person.
pub async fn draft(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    draft: DraftRequest,
) -> Result<ProposalId, UseCaseError> {
    let admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Draft).await?;
    let (programme, budget) = (&admitted.access.programme, &admitted.access.budget);
    if tx.drafts_kept(programme, budget, &principal.member, principal.at).await? >= DRAFTS_MAX {
        let what =
            format!("you keep {DRAFTS_MAX} drafts for this person already; take one back first");
        return Err(UseCaseError::Conflict(what));
    }
    let words = required_words("words", &draft.words)?;
    admitted.check_list(&draft.list)?;
    let kept_until = principal.at.checked_add(DRAFT_LIFETIME).unwrap_or(principal.at);
    let proposal = Proposal {
        id: ProposalId::new(context.ids.next(principal.at)),
        budget: admitted.access.budget.clone(),
        kind: ProposalKind::Together,
        base_version: admitted.agreement()?.version,
        list: draft.list,
        words,
        answers: None,
        parts: ConsentGranularity::Whole,
        state: ProposalState::Draft,
        proposed_by: principal.member.clone(),
        proposed_at: principal.at,
        not_before: principal.at,
        open_until: kept_until,
        ended_at: None,
        version: None,
    };
    tx.add_proposal(&admitted.access.programme, &proposal).await?;
    admitted.close(tx, "list_drafted", &proposal.id.to_string(), "").await?;
    Ok(proposal.id)
}

/// Turns a draft into a proposal of this account. If another version has started since the draft
/// was written, the draft's changes are applied to that version.
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when the draft and the other version change the same part, or when
/// the draft has ended.
pub async fn adopt_draft(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: ProposalId,
    parts: ConsentGranularity,
    session: ConsentSession,
) -> Result<ProposalProgress, UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Propose).await?;
    admitted.side()?;
    let (mut draft, _) = admitted.proposal(tx, id).await?;
    let state = draft.state_at(principal.at);
    if state != ProposalState::Draft {
        return Err(ProposalError::NotOpen(state).into());
    }
    let list = admitted.rebased(tx, &draft).await?;
    draft.state = ProposalState::TakenUp;
    draft.ended_at = Some(principal.at);
    admitted.save_proposal(tx, &draft, ProposalState::Draft).await?;
    let request = ProposalRequest { list, words: draft.words, parts, session };
    admitted.create_proposal(tx, request, Some(id)).await
}

impl AdmittedBudget<'_> {
    async fn rebased(&self, tx: &mut Tx, draft: &Proposal) -> Result<List, UseCaseError> {
        let now = self.agreement()?;
        if draft.base_version == now.version {
            return Ok(draft.list.clone());
        }
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let currency = self.programme.settings.currency;
        let base = tx.read_agreement(programme, budget, draft.base_version, currency).await?.list();
        let rules = &self.programme.rules;
        let keys = |list: &List| -> std::collections::BTreeSet<_> {
            changes(&base, list, rules).into_iter().map(|change| change.key).collect()
        };
        let (proposed_keys, since) = (keys(&draft.list), keys(&now.list()));
        if proposed_keys.is_disjoint(&since) {
            Ok(now.list().with(&draft.list, &proposed_keys))
        } else {
            Err(ProposalError::Stale.into())
        }
    }
}
