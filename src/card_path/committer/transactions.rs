//! The transactions of a lane. Each runs in its own task, which is never cancelled.

use super::attempt::{TransactionAttempt, TransactionFailure};
use crate::card_path::authorise::{
    AuthorisationOutcome, ReceivedAuthorisation, authorise, withdraw,
};
use crate::card_path::lifecycle;
use crate::ledger::record::event::ReceivedEvent;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

/// What every transaction depends on. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LaneTransactions {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) ids: NewIds,
}

impl LaneTransactions {
    pub(super) async fn decide(
        &self,
        attempt: &TransactionAttempt,
        authorisations: &[ReceivedAuthorisation],
    ) -> Result<Vec<AuthorisationOutcome>, TransactionFailure> {
        let mut tx = self.store.begin().await?;
        let outcomes = authorise(&mut tx, &self.directory, &self.ids, authorisations).await?;
        attempt.commit(tx).await?;
        Ok(outcomes)
    }

    pub(super) async fn withdraw(
        &self,
        attempt: &TransactionAttempt,
        undelivered: &[ReceivedAuthorisation],
    ) -> Result<(), TransactionFailure> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        withdraw(&mut tx, &self.directory, &self.ids, now, undelivered).await?;
        Ok(attempt.commit(tx).await?)
    }

    pub(super) async fn book(
        &self,
        attempt: &TransactionAttempt,
        events: &[ReceivedEvent],
    ) -> Result<(), TransactionFailure> {
        let mut tx = self.store.begin().await?;
        lifecycle::book(&mut tx, &self.directory, &self.ids, events).await?;
        Ok(attempt.commit(tx).await?)
    }

    /// Stores an event that cannot be booked, with the reason.
    pub(super) async fn store_unbooked(
        &self,
        attempt: &TransactionAttempt,
        event: &ReceivedEvent,
        why: &str,
    ) -> Result<(), TransactionFailure> {
        let mut tx = self.store.begin().await?;
        lifecycle::store_unbooked(&mut tx, &self.ids, event, why).await?;
        Ok(attempt.commit(tx).await?)
    }

    /// Checks that the database can be written to.
    pub(super) async fn probe(&self) -> Result<(), TransactionFailure> {
        Ok(self.store.ping().await?)
    }
}
