//! Questions on their way to a commit, and what becomes of those that nobody waits for any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::lane::halves;
use super::reply_claim::ReplyClaim;
use super::withdrawals::WithdrawalQueue;
use crate::card_path::authorise::{AuthorisationOutcome, ReceivedAuthorisation, our_fault};
use crate::card_path::issuers::{AuthorisationResponse, Verdict};
use crate::domain::id::{ConnectionId, IssuerReference, ProgrammeId};

/// A question on its way to a commit.
#[derive(Debug)]
pub(super) struct PendingAuthorisation {
    pub(super) received: ReceivedAuthorisation,
    pub(super) claim: Arc<ReplyClaim>,
    pub(super) reply: oneshot::Sender<AuthorisationResponse>,
}

/// Questions that are committed together.
#[derive(Debug)]
pub(super) struct AuthorisationBatch {
    pending: Vec<PendingAuthorisation>,
    /// How often it was tried again.
    pub(super) retries: u32,
    /// Whether a commit of it may have gone through without our knowing.
    pub(super) is_in_doubt: bool,
}

impl AuthorisationBatch {
    /// Takes the questions that somebody still waits for.
    pub(super) fn claim(pending: Vec<PendingAuthorisation>) -> Self {
        let pending = pending.into_iter().filter(|pending| pending.claim.take()).collect();
        Self { pending, retries: 0, is_in_doubt: false }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn authorisations(&self) -> Vec<ReceivedAuthorisation> {
        self.pending.iter().map(|pending| pending.received.clone()).collect()
    }

    /// Forgets the questions whose time has run out: nothing of them is written, so the lane is
    /// free for those that can still be answered. What may be written already must be withdrawn.
    pub(super) fn discard_given_up(&mut self, withdrawals: &mut WithdrawalQueue) {
        let (given_up, waiting) =
            std::mem::take(&mut self.pending).into_iter().partition(|a| a.claim.is_given_up());
        self.pending = waiting;
        if self.is_in_doubt {
            withdrawals.add(authorisations(given_up));
        }
    }

    pub(super) fn halves(self) -> [Self; 2] {
        let Self { pending, retries: _, is_in_doubt } = self;
        halves(pending).map(|pending| Self { pending, retries: 0, is_in_doubt })
    }

    /// Sends the answers of a commit. Approvals that nobody heard must be withdrawn; what somebody
    /// has heard now must not be any more.
    pub(super) fn deliver(
        self,
        outcomes: &[AuthorisationOutcome],
        withdrawals: &mut WithdrawalQueue,
    ) {
        let mut delivered = BTreeSet::new();
        let mut undelivered = Vec::new();
        for (pending, outcome) in self.pending.into_iter().zip(outcomes) {
            if outcome.is_conflict {
                metrics::counter!("sayso_conflicts_total").increment(1);
            }
            let is_approved = matches!(outcome.response.verdict, Verdict::Approved { .. });
            let PendingAuthorisation { received, claim, reply } = pending;
            // A handler that is dropped in this very moment can give up no more, nor hear it.
            let is_delivered = claim.answer() && reply.send(outcome.response).is_ok();
            if is_approved && is_delivered {
                delivered.insert(authorisation_key(&received));
            } else if is_approved {
                undelivered.push(received);
            }
        }
        // A repeat in the same batch may have heard what the first was too late for.
        undelivered.retain(|received| !delivered.contains(&authorisation_key(received)));
        let withdrawn = u64::try_from(undelivered.len()).unwrap_or(u64::MAX);
        metrics::counter!("sayso_withdrawals_total").increment(withdrawn);
        withdrawals.cancel(&delivered);
        withdrawals.add(undelivered);
    }

    /// Answers that nothing could be recorded. What may be written all the same must be withdrawn.
    pub(super) fn decline(self, withdrawals: &mut WithdrawalQueue) {
        if self.is_in_doubt {
            withdrawals.add(self.authorisations());
        }
        for pending in self.pending {
            pending.decline();
        }
    }
}

impl PendingAuthorisation {
    fn decline(self) {
        // Whoever gave up was told and counted already.
        if self.claim.answer() {
            metrics::counter!("sayso_our_fault_total", "why" => "not_recorded").increment(1);
            // Nothing is promised, so it does not matter whether it is heard.
            let _ = self.reply.send(our_fault());
        }
    }
}

/// What names a question.
pub(super) type AuthorisationKey = (ProgrammeId, ConnectionId, IssuerReference);

pub(super) fn authorisation_key(received: &ReceivedAuthorisation) -> AuthorisationKey {
    let request = &received.request;
    (request.programme.clone(), request.connection.clone(), request.reference.clone())
}

fn authorisations(pending: Vec<PendingAuthorisation>) -> Vec<ReceivedAuthorisation> {
    pending.into_iter().map(|pending| pending.received).collect()
}
