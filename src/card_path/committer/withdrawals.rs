//! Approvals that the issuer did not receive and that are yet to be withdrawn.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::halves;
use crate::card_path::authorise::{AuthorisationKey, ReceivedAuthorisation};

/// How long a failed withdrawal waits: twice as long after each failure, up to [`BACKOFF_MAX`].
const MIN_BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// The withdrawals of a lane that are yet to be committed.
#[derive(Debug, Default)]
pub(super) struct WithdrawalQueue(VecDeque<WithdrawalBatch>);

/// Approvals that are withdrawn in one transaction.
#[derive(Debug)]
pub(super) struct WithdrawalBatch {
    pub(super) authorisations: Vec<ReceivedAuthorisation>,
    due: Instant,
    /// How long the batch waits after its next failure that is no outage.
    backoff: Duration,
}

impl WithdrawalQueue {
    pub(super) fn add(&mut self, authorisations: Vec<ReceivedAuthorisation>) {
        if !authorisations.is_empty() {
            self.0.push_back(WithdrawalBatch {
                authorisations,
                due: Instant::now(),
                backoff: MIN_BACKOFF,
            });
        }
    }

    /// When the next withdrawal is due; `None` if the queue is empty.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|withdrawal| withdrawal.due).min()
    }

    /// Removes the approvals that a repeat of their request has received after all.
    pub(super) fn cancel(&mut self, delivered: &BTreeSet<AuthorisationKey>) {
        if delivered.is_empty() || self.0.is_empty() {
            return;
        }
        for withdrawal in &mut self.0 {
            withdrawal.authorisations.retain(|received| !delivered.contains(&received.key()));
        }
        self.0.retain(|withdrawal| !withdrawal.authorisations.is_empty());
    }

    /// Takes a batch that was due at `by`, the start of the lane's turn. Approvals that were
    /// decided in this turn wait for the next one, because a repeat that has queued meanwhile can
    /// still receive them.
    pub(super) fn pop_due(&mut self, by: Instant) -> Option<WithdrawalBatch> {
        let index = self.0.iter().position(|withdrawal| withdrawal.due <= by)?;
        self.0.remove(index)
    }

    /// Keeps a batch that failed because of an outage, due again after [`MIN_BACKOFF`].
    pub(super) fn requeue(&mut self, withdrawal: WithdrawalBatch) {
        let due = Instant::now() + MIN_BACKOFF;
        self.0.push_back(WithdrawalBatch { due, ..withdrawal });
    }

    /// Keeps a batch that failed because of one of its approvals: in halves, so that only that one
    /// stays. Returns whether the batch was a single approval.
    pub(super) fn split(&mut self, withdrawal: WithdrawalBatch) -> bool {
        let WithdrawalBatch { authorisations, backoff, .. } = withdrawal;
        if authorisations.len() > 1 {
            for half in halves(authorisations) {
                self.add(half);
            }
            return false;
        }
        let due = Instant::now() + backoff;
        let backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
        self.0.push_back(WithdrawalBatch { authorisations, due, backoff });
        true
    }
}
