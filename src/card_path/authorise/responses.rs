//! Responses that are known: recorded earlier, or given earlier in the same transaction.

use std::collections::BTreeMap;

use super::AuthorisationOutcome;
use crate::domain::decision::authorisation::{AuthorisationRequest, Decision};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{ConnectionId, DecisionId, IssuerReference, ProgrammeId};
use crate::domain::money::Money;
use crate::issuers::{AuthorisationResponse, Verdict};
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::ledger::record::row::Digest;
use crate::store::{StoreError, Tx};

/// Identifies an authorisation request and its repeats.
pub type AuthorisationKey = (ProgrammeId, ConnectionId, IssuerReference);

/// Responses by the key of their request, with the digest of the request's content.
#[derive(Debug, Default)]
pub(super) struct KnownResponses(BTreeMap<AuthorisationKey, (Digest, AuthorisationResponse)>);

impl KnownResponses {
    /// Reads the recorded responses to the requests with `keys`. Their budgets must be locked.
    pub(super) async fn recorded(
        tx: &mut Tx,
        keys: &[AuthorisationKey],
    ) -> Result<Self, StoreError> {
        let decisions = tx.recorded_decisions(keys).await?;
        let keys: Vec<_> = decisions.iter().map(decision_key).collect();
        let withdrawn = tx.withdrawn(&keys).await?;
        let mut responses = Self::default();
        for decision in decisions {
            let (programme, connection, reference) = decision_key(&decision);
            let reference_key = (programme, connection, reference.to_string());
            let response = if withdrawn.contains(&reference_key) {
                withdrawn_response(&decision)
            } else {
                recorded_response(&decision)
            };
            responses.0.insert(decision_key(&decision), (decision.content, response));
        }
        Ok(responses)
    }

    /// The known response to `request`, whose digest is `content`. The same reference with other
    /// content is a conflict: it is declined, and the recorded response stays unchanged.
    pub(super) fn find(
        &self,
        request: &AuthorisationRequest,
        content: Digest,
    ) -> Option<AuthorisationOutcome> {
        let (known, response) = self.0.get(&authorisation_key(request))?;
        if *known == content {
            return Some(AuthorisationOutcome { response: *response, is_conflict: false });
        }
        let verdict = Verdict::Declined { reason: ReasonCode::Conflict };
        Some(AuthorisationOutcome {
            response: AuthorisationResponse { decision: None, verdict },
            is_conflict: true,
        })
    }

    /// Remembers a response for repeats in the same transaction.
    pub(super) fn remember(
        &mut self,
        request: &AuthorisationRequest,
        content: Digest,
        response: AuthorisationResponse,
    ) {
        self.0.insert(authorisation_key(request), (content, response));
    }
}

pub(super) fn authorisation_key(request: &AuthorisationRequest) -> AuthorisationKey {
    (request.programme.clone(), request.connection.clone(), request.reference.clone())
}

pub(super) fn decision_key(decision: &RecordedDecision) -> AuthorisationKey {
    (decision.programme.clone(), decision.connection.clone(), decision.reference.clone())
}

fn recorded_response(decision: &RecordedDecision) -> AuthorisationResponse {
    let verdict = match &decision.outcome {
        DecisionOutcome::Approved(amount) => {
            Verdict::Approved { amount: *amount, asked: decision.asked }
        }
        DecisionOutcome::Declined(codes) => {
            Verdict::Declined { reason: codes.first().copied().unwrap_or(ReasonCode::OurFault) }
        }
    };
    AuthorisationResponse { decision: Some(decision.id), verdict }
}

fn withdrawn_response(decision: &RecordedDecision) -> AuthorisationResponse {
    AuthorisationResponse {
        decision: Some(decision.id),
        verdict: Verdict::Declined { reason: ReasonCode::OurFault },
    }
}

/// The response for `decision` on a request for `asked`.
pub(super) fn response_for(
    id: DecisionId,
    decision: &Decision,
    asked: Money,
) -> AuthorisationResponse {
    let verdict = match decision {
        Decision::Approve(approval) => Verdict::Approved { amount: approval.amount, asked },
        Decision::Decline(reasons) => Verdict::Declined { reason: reasons.first.code() },
    };
    AuthorisationResponse { decision: Some(id), verdict }
}

/// The response when nothing could be recorded in time: a decline without a decision.
pub const fn our_fault() -> AuthorisationResponse {
    AuthorisationResponse {
        decision: None,
        verdict: Verdict::Declined { reason: ReasonCode::OurFault },
    }
}
