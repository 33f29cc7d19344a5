//! Changes that a law forces: stricter terms without the person's consent. A worker and a manager,
//! two different human beings, must consent: one records the change, the other confirms it. The
//! person is notified of the reason and can appeal. Such a change can only tighten the list.

use super::{ProposalProgress, ProposalStage, checked_session, required_words};
use crate::domain::agreement::change::{ChangeDirection, List};
use crate::domain::agreement::proposal::{
    ConsentGranularity, ConsentSession, ConsentSide, PROPOSAL_LIFETIME, Proposal, ProposalKind,
    ProposalState,
};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::messages::words::{ListNotification, Words};
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::store::Tx;

/// A list that a law forces, with the consent of the account that records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LawRequest {
    pub list: List,
    /// Which law it is, in words that the person reads.
    pub words: String,
    pub session: ConsentSession,
}

/// Records a change that a law forces. It starts when the other of the two, worker or manager,
/// consents.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] when a change does not tighten the list, or when the words, which name
/// the law, do not fit into a text message.
pub async fn record_law(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    request: LawRequest,
) -> Result<ProposalProgress, UseCaseError> {
    let act = |role: Role| match role {
        Role::Manager => Capability::AgreeAsManager,
        Role::Person
        | Role::Helper
        | Role::Advocate
        | Role::Planner
        | Role::Worker
        | Role::Duty
        | Role::Finance
        | Role::Operator
        | Role::Auditor => Capability::AgreeAsWorker,
    };
    let mut admitted = AdmittedBudget::open(tx, context, principal, person, act).await?;
    let side = admitted.side()?;
    let words = required_words("words", &request.words)?;
    if !Words::is_short_enough(&words) {
        return Err(UseCaseError::invalid("words", "say which law it is in at most 50 characters"));
    }
    let session = checked_session(&request.session)?;
    let changes = admitted.check_list(&request.list)?;
    if changes.iter().any(|change| change.direction != ChangeDirection::Tighter) {
        return Err(UseCaseError::invalid("list", "a law can only make a list stricter"));
    }
    let proposal = Proposal {
        id: ProposalId::new(context.ids.next(principal.at)),
        budget: admitted.access.budget.clone(),
        kind: ProposalKind::Law,
        base_version: admitted.agreement()?.version,
        list: request.list,
        words: words.clone(),
        answers: None,
        parts: ConsentGranularity::Whole,
        state: ProposalState::Open,
        proposed_by: principal.member.clone(),
        proposed_at: principal.at,
        not_before: principal.at,
        open_until: principal.at.checked_add(PROPOSAL_LIFETIME).unwrap_or(principal.at),
        ended_at: None,
        version: None,
    };
    let consent = admitted.consent(side, session, None);
    let programme = admitted.access.programme.clone();
    tx.add_proposal(&programme, &proposal).await?;
    tx.add_consent(&programme, &proposal, &consent).await?;
    let (other, recipient) = match side {
        ConsentSide::Manager => (ConsentSide::Worker, Recipient::Worker),
        ConsentSide::Person | ConsentSide::Worker => (ConsentSide::Manager, Recipient::Manager),
    };
    let (subject, until) = (proposal.id.to_string(), Some(proposal.open_until));
    admitted.notify(recipient, ListNotification::WorkerListProposed, &subject, until, "");
    admitted.close(tx, "law_recorded", &subject, &words).await?;
    Ok(ProposalProgress {
        proposal: proposal.id,
        next: ProposalStage::AwaitingConsent([other].into()),
    })
}
