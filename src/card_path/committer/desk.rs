//! The transactions of a lane. Each runs to its end in a task of its own.

use super::attempt::{Attempt, Failure};
use crate::card_path::authorise::{Answered, Question, authorise, withdraw};
use crate::card_path::lifecycle;
use crate::ledger::record::event::ReceivedEvent;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

/// What every transaction needs. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) ids: NewIds,
}

impl Desk {
    pub(super) async fn decide(
        &self,
        attempt: &Attempt,
        questions: &[Question],
    ) -> Result<Vec<Answered>, Failure> {
        let mut tx = self.store.begin().await?;
        let answers = authorise(&mut tx, &self.directory, &self.ids, questions).await?;
        attempt.commit(tx).await?;
        Ok(answers)
    }

    pub(super) async fn withdraw(
        &self,
        attempt: &Attempt,
        late: &[Question],
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        withdraw(&mut tx, &self.directory, &self.ids, now, late).await?;
        Ok(attempt.commit(tx).await?)
    }

    pub(super) async fn book(
        &self,
        attempt: &Attempt,
        events: &[ReceivedEvent],
    ) -> Result<(), Failure> {
        let mut tx = self.store.begin().await?;
        lifecycle::book(&mut tx, &self.directory, &self.ids, events).await?;
        Ok(attempt.commit(tx).await?)
    }

    /// Stores an event that the books cannot take, with why.
    pub(super) async fn keep(
        &self,
        attempt: &Attempt,
        event: &ReceivedEvent,
        why: &str,
    ) -> Result<(), Failure> {
        let mut tx = self.store.begin().await?;
        lifecycle::keep(&mut tx, &self.ids, event, why).await?;
        Ok(attempt.commit(tx).await?)
    }

    /// Looks whether the database can be written to.
    pub(super) async fn look(&self) -> Result<(), Failure> {
        Ok(self.store.ping().await?)
    }
}
