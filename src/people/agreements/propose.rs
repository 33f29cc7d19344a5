//! Proposing a list, and answering a proposal with another one. The proposer consents by proposing.
//!
//! A change that only the person must consent to starts at once, or after the cooling time that
//! they chose: stricter terms, terms that they alone decide on, the order of their pots. After the
//! cooling time the person must confirm within [`PROPOSAL_LIFETIME`]; otherwise the proposal
//! expires, and a new one begins a new cooling time.

use jiff::{SignedDuration, Timestamp};

use super::{ProposalProgress, ProposalStage, checked_session, required_words};
use crate::domain::agreement::change::{List, TermChange};
use crate::domain::agreement::proposal::{
    ConsentGranularity, ConsentSession, ConsentSide, PROPOSAL_LIFETIME, Proposal, ProposalKind,
    ProposalState,
};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::role::Capability;
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::programme::proposal_conflicts::{self, ProposalConflict};
use crate::store::Tx;

/// A list to propose, with the reason and the proposer's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalRequest {
    pub list: List,
    /// The reason, in words that the person reads.
    pub words: String,
    /// Whether the other side may consent to single parts.
    pub parts: ConsentGranularity,
    /// How and where the proposer consented.
    pub session: ConsentSession,
}

/// Proposes a list. A change that only the person must consent to starts at once or begins to cool.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] for an invalid list or one without changes; [`UseCaseError::Conflict`]
/// when another proposal is open, or the same change was refused recently.
pub async fn propose(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    request: ProposalRequest,
) -> Result<ProposalProgress, UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Propose).await?;
    admitted.create_proposal(tx, request, None).await
}

/// Answers an open proposal with another one. The first ends as [`ProposalState::Countered`].
pub async fn counter_propose(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: ProposalId,
    request: ProposalRequest,
) -> Result<ProposalProgress, UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Propose).await?;
    let (mut first, consents) = admitted.proposal(tx, id).await?;
    let side = admitted.side()?;
    let human = &admitted.access.actor.member.human;
    first.may_answer(&consents, side, human, principal.at)?;
    if first.kind != ProposalKind::Together {
        return Err(UseCaseError::NotAllowed("answer this with another proposal"));
    }
    first.state = ProposalState::Countered;
    first.ended_at = Some(principal.at);
    admitted.save_proposal(tx, &first, ProposalState::Open).await?;
    admitted.create_proposal(tx, request, Some(id)).await
}

impl AdmittedBudget<'_> {
    /// Creates a proposal of this account's side from `request`, with that side's consent.
    pub(super) async fn create_proposal(
        &mut self,
        tx: &mut Tx,
        request: ProposalRequest,
        answers: Option<ProposalId>,
    ) -> Result<ProposalProgress, UseCaseError> {
        let side = self.side()?;
        let words = required_words("words", &request.words)?;
        let session = checked_session(&request.session)?;
        let changes = self.check_list(&request.list)?;
        let requirements = self.requirements(tx, &request.list).await?;
        let mut others = requirements.required_sides(ProposalKind::Together);
        others.remove(&side);
        let kind = if side == ConsentSide::Person && others.is_empty() {
            ProposalKind::Own
        } else {
            ProposalKind::Together
        };
        let at = self.access.at;
        let not_before = at.checked_add(requirements.cooling()).unwrap_or(Timestamp::MAX);
        self.check_no_other_waits(tx, kind, requirements.cooling()).await?;
        if !others.is_empty() {
            self.check_not_refused_recently(tx, &changes).await?;
        }
        let proposal = Proposal {
            id: ProposalId::new(self.context.ids.next(at)),
            budget: self.access.budget.clone(),
            kind,
            base_version: self.agreement()?.version,
            list: request.list,
            words,
            answers,
            parts: request.parts,
            state: ProposalState::Open,
            proposed_by: self.access.actor.member.id.clone(),
            proposed_at: at,
            not_before,
            open_until: not_before.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX),
            ended_at: None,
            version: None,
        };
        self.insert_proposal(tx, proposal, side, session).await
    }

    async fn insert_proposal(
        &mut self,
        tx: &mut Tx,
        mut proposal: Proposal,
        side: ConsentSide,
        session: ConsentSession,
    ) -> Result<ProposalProgress, UseCaseError> {
        let consent = self.consent(side, session, None);
        let programme = self.access.programme.clone();
        tx.add_proposal(&programme, &proposal).await?;
        tx.add_consent(&programme, &proposal, &consent).await?;
        let next =
            self.advance_proposal(tx, &mut proposal, &[consent], ProposalState::Open).await?;
        if let ProposalStage::AwaitingConsent(sides) = &next {
            let is_counter = proposal.answers.is_some();
            self.notify_required_sides(&proposal, sides, is_counter);
        }
        let kind = match next {
            ProposalStage::Started(_) => "list_started",
            ProposalStage::AwaitingConsent(_)
            | ProposalStage::CoolingOff(_)
            | ProposalStage::Ended(_) => "list_proposed",
        };
        let words = act_words(&proposal, &proposal.words);
        self.close(tx, kind, &proposal.id.to_string(), &words).await?;
        Ok(ProposalProgress { proposal: proposal.id, next })
    }

    /// Allows one open joint proposal, and one cooling proposal of the person, at a time: the older
    /// one must end first. Otherwise the person could keep a second change ready whose cooling time
    /// has already passed. A change that starts at once is always allowed.
    async fn check_no_other_waits(
        &self,
        tx: &mut Tx,
        kind: ProposalKind,
        cooling: SignedDuration,
    ) -> Result<(), UseCaseError> {
        if kind == ProposalKind::Own && cooling.is_zero() {
            return Ok(());
        }
        let in_force = self.agreement()?.version;
        conflict_if(self.proposal_slot().open_conflict(tx, kind, in_force).await?)
    }

    async fn check_not_refused_recently(
        &self,
        tx: &mut Tx,
        proposed: &[TermChange],
    ) -> Result<(), UseCaseError> {
        conflict_if(self.proposal_slot().recent_refusal(tx, proposed).await?)
    }

    fn proposal_slot(&self) -> proposal_conflicts::ProposalSlot<'_> {
        proposal_conflicts::ProposalSlot {
            programme: &self.access.programme,
            budget: &self.access.budget,
            currency: self.programme.settings.currency,
            rules: &self.programme.rules,
            at: self.access.at,
        }
    }
}

fn conflict_if(conflict: Option<ProposalConflict>) -> Result<(), UseCaseError> {
    conflict.map_or(Ok(()), |why| Err(UseCaseError::Conflict(why.to_string())))
}

/// The words of an act about `proposal`. None for what the person decides alone, because others
/// read the acts too.
pub(super) fn act_words(proposal: &Proposal, words: &str) -> String {
    match proposal.kind {
        ProposalKind::Own => String::new(),
        ProposalKind::Together | ProposalKind::Law => words.to_owned(),
    }
}
