//! One try of one transaction, and who has the last word on it: the task that runs it, or the lane
//! that will not wait for it any longer. One compare-and-set decides.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::card_path::authorise::AuthoriseError;
use crate::card_path::lifecycle::LifecycleError;
use crate::store::{StoreError, Tx};

const RUNNING: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The state of one transaction between its task and its lane.
#[derive(Debug, Default)]
pub(super) struct TransactionAttempt(AtomicU8);

impl TransactionAttempt {
    /// Commits, unless the lane has given up: then nobody knows any more that this is under way,
    /// and it is rolled back.
    pub(super) async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        if !self.transition(COMMITTING) {
            return Err(StoreError::TimedOut { is_in_doubt: false });
        }
        tx.commit().await
    }

    /// The lane waits no longer. Says whether the transaction may be committed all the same.
    pub(super) fn give_up(&self) -> bool {
        !self.transition(GIVEN_UP)
    }

    fn transition(&self, to: u8) -> bool {
        self.0.compare_exchange(RUNNING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Why a transaction did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransactionFailure {
    #[error(transparent)]
    Authorise(#[from] AuthoriseError),
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work panicked: one of its rows is more than we can take.
    #[error("something broke while it was worked on")]
    Panicked { is_in_doubt: bool },
}

impl TransactionFailure {
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Authorise(error) => error.store(),
            Self::Lifecycle(error) => error.store(),
            Self::Store(error) => Some(error),
            Self::Panicked { .. } => None,
        }
    }

    /// Whether the same work may succeed a moment later: somebody else held a lock or was first.
    pub(super) fn is_transient(&self) -> bool {
        self.store().is_some_and(StoreError::is_transient)
    }

    /// Whether the database as a whole is to blame, and no single row.
    pub(super) fn is_outage(&self) -> bool {
        self.store().is_some_and(StoreError::is_outage)
    }

    /// Whether no transaction could even be begun.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self.store(), Some(StoreError::Unavailable(_)))
    }

    /// Whether it may have been committed without our knowing.
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
