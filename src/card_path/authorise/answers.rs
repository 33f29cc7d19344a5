//! Answers that are known: recorded earlier, or given a moment ago in the same transaction.

use std::collections::BTreeMap;

use super::Answered;
use crate::card_path::issuers::{Told, Verdict};
use crate::domain::decision::authorisation::{AuthorisationRequest, Decision};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{ConnectionId, DecisionId, IssuerReference, ProgrammeId};
use crate::domain::money::Money;
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::ledger::record::row::Digest;
use crate::store::{StoreError, Tx};

type Key = (ProgrammeId, ConnectionId, IssuerReference);

/// Answers by the key of their question, with the digest of what was asked.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<Key, (Digest, Told)>);

impl Answers {
    /// The recorded answers to the questions with `keys`. Read after their budgets are locked.
    pub(super) async fn recorded(tx: &mut Tx, keys: &[Key]) -> Result<Self, StoreError> {
        let decisions = tx.recorded_decisions(keys).await?;
        let keys: Vec<_> = decisions.iter().map(key_of).collect();
        let withdrawn = tx.withdrawn(&keys).await?;
        let mut answers = Self::default();
        for decision in decisions {
            let (programme, connection, reference) = key_of(&decision);
            let place = (programme, connection, reference.to_string());
            let told = if withdrawn.contains(&place) {
                taken_back(&decision)
            } else {
                recorded(&decision)
            };
            answers.0.insert(key_of(&decision), (decision.content, told));
        }
        Ok(answers)
    }

    /// The answer to `request` of this `content`, if it is known. The same reference with other content is a
    /// conflict: it is not paid, and the recorded answer stays as it is.
    pub(super) fn find(&self, request: &AuthorisationRequest, content: Digest) -> Option<Answered> {
        let (known, told) = self.0.get(&key(request))?;
        if *known == content {
            return Some(Answered { told: *told, is_conflict: false });
        }
        let verdict = Verdict::NotPaid { reason: ReasonCode::Conflict };
        Some(Answered { told: Told { decision: None, verdict }, is_conflict: true })
    }

    /// Remembers an answer for repeats in the same transaction.
    pub(super) fn remember(&mut self, request: &AuthorisationRequest, content: Digest, told: Told) {
        self.0.insert(key(request), (content, told));
    }
}

pub(super) fn key(request: &AuthorisationRequest) -> Key {
    (request.programme.clone(), request.connection.clone(), request.reference.clone())
}

pub(super) fn key_of(decision: &RecordedDecision) -> Key {
    (decision.programme.clone(), decision.connection.clone(), decision.reference.clone())
}

fn recorded(decision: &RecordedDecision) -> Told {
    let verdict = match &decision.outcome {
        Outcome::Approved(amount) => Verdict::Approved { amount: *amount, asked: decision.asked },
        Outcome::Declined(codes) => {
            Verdict::NotPaid { reason: codes.first().copied().unwrap_or(ReasonCode::OurFault) }
        }
    };
    Told { decision: Some(decision.id), verdict }
}

fn taken_back(decision: &RecordedDecision) -> Told {
    Told { decision: Some(decision.id), verdict: Verdict::NotPaid { reason: ReasonCode::OurFault } }
}

/// What the issuer is told of `decision` on a question for `asked`.
pub(super) fn told(id: DecisionId, decision: &Decision, asked: Money) -> Told {
    let verdict = match decision {
        Decision::Approve(approval) => Verdict::Approved { amount: approval.amount, asked },
        Decision::Decline(reasons) => Verdict::NotPaid { reason: reasons.first.code() },
    };
    Told { decision: Some(id), verdict }
}

/// What the issuer is told when nothing could be recorded in time. It is no decision.
pub const fn our_fault() -> Told {
    Told { decision: None, verdict: Verdict::NotPaid { reason: ReasonCode::OurFault } }
}
