//! One attempt to run a transaction. A compare-and-set decides whether its task commits it or its
//! lane gives it up.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::card_path::error::CardPathError;
use crate::store::{StoreError, Tx};

const RUNNING: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The state of one transaction, shared by its task and its lane.
#[derive(Debug, Default)]
pub(super) struct TransactionAttempt(AtomicU8);

impl TransactionAttempt {
    /// Commits `tx`. If the lane has given up, `tx` is rolled back instead, because nobody would
    /// handle its outcome.
    ///
    /// # Errors
    ///
    /// [`StoreError::TimedOut`] after a give-up; otherwise the errors of [`Tx::commit`].
    pub(super) async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        if !self.transition(COMMITTING) {
            return Err(StoreError::TimedOut { is_in_doubt: false });
        }
        tx.commit().await
    }

    /// Stops waiting for the transaction. Returns whether it may be committed nevertheless, because
    /// its commit has begun.
    pub(super) fn give_up(&self) -> bool {
        !self.transition(GIVEN_UP)
    }

    fn transition(&self, to: u8) -> bool {
        self.0.compare_exchange(RUNNING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransactionFailure {
    #[error(transparent)]
    CardPath(#[from] CardPathError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task panicked, for example on a row that it cannot handle.
    #[error("something broke while it was worked on")]
    Panicked { is_in_doubt: bool },
}

impl TransactionFailure {
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::CardPath(error) => error.store(),
            Self::Store(error) => Some(error),
            Self::Panicked { .. } => None,
        }
    }

    /// Whether a retry may succeed, as after a lost lock conflict or a lost connection.
    pub(super) fn is_transient(&self) -> bool {
        self.store().is_some_and(StoreError::is_transient)
    }

    /// Whether the whole database is at fault and not a single row.
    pub(super) fn is_outage(&self) -> bool {
        self.store().is_some_and(StoreError::is_outage)
    }

    /// Whether no transaction could be begun.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self.store(), Some(StoreError::Unavailable(_)))
    }

    /// Whether the transaction may have been committed although it was reported as failed.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Panicked { is_in_doubt: true })
            || self.store().is_some_and(StoreError::is_in_doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_never_committed() {
        let given_up = TransactionAttempt::default();
        assert!(!given_up.give_up(), "nothing is written");
        assert!(!given_up.transition(COMMITTING));

        let committing = TransactionAttempt::default();
        assert!(committing.transition(COMMITTING));
        assert!(committing.give_up(), "it may go through");
    }
}
