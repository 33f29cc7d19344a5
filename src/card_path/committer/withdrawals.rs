//! Approvals that nobody heard, on their way to being withdrawn.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::lane::halves;
use super::pending::{AuthorisationKey, authorisation_key};
use crate::card_path::authorise::ReceivedAuthorisation;

/// How long one that cannot be written is left alone: twice as long each time, up to a minute.
const MIN_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// Everything that a lane has yet to withdraw.
#[derive(Debug, Default)]
pub(super) struct WithdrawalQueue(VecDeque<WithdrawalBatch>);

/// Approvals that are withdrawn in one transaction.
#[derive(Debug)]
pub(super) struct WithdrawalBatch {
    pub(super) authorisations: Vec<ReceivedAuthorisation>,
    due: Instant,
    /// How long it waits if it fails by itself.
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

    /// When the next is due; none if there is none.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|withdrawal| withdrawal.due).min()
    }

    /// Leaves out what somebody has heard after all: the repeat of a question that was given up.
    pub(super) fn cancel(&mut self, delivered: &BTreeSet<AuthorisationKey>) {
        if delivered.is_empty() || self.0.is_empty() {
            return;
        }
        for withdrawal in &mut self.0 {
            withdrawal
                .authorisations
                .retain(|received| !delivered.contains(&authorisation_key(received)));
        }
        self.0.retain(|withdrawal| !withdrawal.authorisations.is_empty());
    }

    /// The next that was due `by` then. Those of the round that has just been decided wait for one
    /// more: a repeat that has queued meanwhile can still hear the approval.
    pub(super) fn pop_due(&mut self, by: Instant) -> Option<WithdrawalBatch> {
        let index = self.0.iter().position(|withdrawal| withdrawal.due <= by)?;
        self.0.remove(index)
    }

    /// Keeps what could not be written while the database was away.
    pub(super) fn requeue(&mut self, withdrawal: WithdrawalBatch) {
        let due = Instant::now() + MIN_BACKOFF;
        self.0.push_back(WithdrawalBatch { due, ..withdrawal });
    }

    /// Keeps what could not be written because of one of its own: in halves, so that only the
    /// culprit stays. Says whether it is a single one.
    pub(super) fn split(&mut self, withdrawal: WithdrawalBatch) -> bool {
        let WithdrawalBatch { authorisations, backoff, .. } = withdrawal;
        if authorisations.len() > 1 {
            for half in halves(authorisations) {
                self.add(half);
            }
            return false;
        }
        let due = Instant::now() + backoff;
        let backoff = backoff.saturating_mul(2).min(MAX_BACKOFF);
        self.0.push_back(WithdrawalBatch { authorisations, due, backoff });
        true
    }
}
