//! Authorisation requests on their way to a commit, and the withdrawal of undelivered approvals.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::halves;
use super::reply_claim::ReplyClaim;
use super::withdrawals::WithdrawalQueue;
use crate::card_path::authorise::{AuthorisationOutcome, ReceivedAuthorisation, our_fault};
use crate::issuers::{AuthorisationResponse, Verdict};

/// An authorisation request on its way to a commit.
#[derive(Debug)]
pub(super) struct PendingAuthorisation {
    pub(super) received: ReceivedAuthorisation,
    pub(super) claim: Arc<ReplyClaim>,
    pub(super) reply: oneshot::Sender<AuthorisationResponse>,
}

/// Authorisation requests that are committed together.
#[derive(Debug)]
pub(super) struct AuthorisationBatch {
    pending: Vec<PendingAuthorisation>,
    /// How many times the batch was retried.
    pub(super) retries: u32,
    /// Whether an attempt may have been committed although it was reported as failed.
    pub(super) is_in_doubt: bool,
}

impl AuthorisationBatch {
    /// Claims the requests whose handlers still wait, and drops the others.
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

    /// Drops the requests whose handlers have given up, so that the lane is free for those that can
    /// still be answered. If an attempt may have been committed, they are queued for withdrawal.
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

    /// Sends the responses after the commit. Undelivered approvals are queued for withdrawal; the
    /// withdrawal of an approval that was delivered now is cancelled.
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
            // `send` fails if the handler was dropped after the claim was answered.
            let is_delivered = claim.answer() && reply.send(outcome.response).is_ok();
            if is_approved && is_delivered {
                delivered.insert(received.key());
            } else if is_approved {
                undelivered.push(received);
            }
        }
        // A repeat in the same batch may have received the approval that the first missed.
        undelivered.retain(|received| !delivered.contains(&received.key()));
        let withdrawn = u64::try_from(undelivered.len()).unwrap_or(u64::MAX);
        metrics::counter!("sayso_withdrawals_total").increment(withdrawn);
        withdrawals.cancel(&delivered);
        withdrawals.add(undelivered);
    }

    /// Declines all requests as our fault, because nothing could be recorded. If an attempt may
    /// have been committed, they are queued for withdrawal.
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
        // A handler that has given up has already responded and counted the fault.
        if self.claim.answer() {
            metrics::counter!("sayso_our_fault_total", "why" => "not_recorded").increment(1);
            // An undelivered decline is harmless, because it holds nothing.
            let _ = self.reply.send(our_fault());
        }
    }
}

fn authorisations(pending: Vec<PendingAuthorisation>) -> Vec<ReceivedAuthorisation> {
    pending.into_iter().map(|pending| pending.received).collect()
}
