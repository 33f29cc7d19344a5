//! One committer: takes what has queued, commits it, answers, and takes what has queued meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::NotStored;
use super::asked::{Asked, Group};
use super::health::Pulse;
use crate::authorise::{Answered, AuthoriseError, Question, authorise, withdraw};
use crate::clock::Clock;
use crate::ids::NewIds;
use crate::lifecycle::{self, LifecycleError};
use crate::programme::directory::Directory;
use crate::record::event::ReceivedEvent;
use crate::store::{Store, StoreError};

/// How often a transaction is run again that somebody else was in the way of.
const RETRIES: u32 = 2;
/// How often a lane that is not well looks whether the database is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// The most later messages of one commit: questions must not wait for a long one.
const EVENTS_MOST: usize = 64;

/// A later message on its way to a commit.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) event: ReceivedEvent,
    pub(super) reply: oneshot::Sender<Result<(), NotStored>>,
}

/// One committer and what it needs.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) ids: NewIds,
    pub(super) pulse: Arc<Pulse>,
    pub(super) number: usize,
    pub(super) batch_most: usize,
}

impl Lane {
    /// Works until both queues are closed and empty. Never cancelled: a database future that is
    /// dropped half-way can poison its connection.
    pub(super) async fn run(
        self,
        mut questions: mpsc::Receiver<Asked>,
        mut events: mpsc::Receiver<Reported>,
    ) {
        let mut late = Vec::new();
        let mut asked = Vec::new();
        let mut reported = Vec::new();
        loop {
            let is_well = self.pulse.is_well(self.number);
            tokio::select! {
                biased;
                count = questions.recv_many(&mut asked, self.batch_most), if !questions.is_closed() || !questions.is_empty() => {
                    if count > 0 {
                        self.decide(std::mem::take(&mut asked), &mut late).await;
                    }
                }
                count = events.recv_many(&mut reported, EVENTS_MOST), if !events.is_closed() || !events.is_empty() => {
                    if count > 0 {
                        self.book(std::mem::take(&mut reported)).await;
                    }
                }
                () = tokio::time::sleep(PROBE_EVERY), if !is_well || !late.is_empty() => {
                    self.probe().await;
                }
                else => break,
            }
            self.take_back(&mut late).await;
        }
    }

    /// Decides and answers. What must be withdrawn is added to `late`.
    async fn decide(&self, asked: Vec<Asked>, late: &mut Vec<Question>) {
        let mut open = vec![Group::claim(asked, late)];
        while let Some(mut group) = open.pop() {
            group.leave_out_given_up(late);
            if group.is_empty() {
                continue;
            }
            match self.decided(group.questions()).await {
                Ok(answers) => group.deliver(&answers, late),
                Err(error) => open.extend(after_failure(group, &error, late)),
            }
        }
    }

    async fn decided(&self, questions: &[Question]) -> Result<Vec<Answered>, AuthoriseError> {
        self.pulse.begin(self.number);
        let result = self.commit_decisions(questions).await;
        self.end(result.as_ref().err().and_then(AuthoriseError::store));
        result
    }

    async fn commit_decisions(
        &self,
        questions: &[Question],
    ) -> Result<Vec<Answered>, AuthoriseError> {
        let mut tx = self.store.begin().await?;
        let answers = authorise(&mut tx, &self.directory, &self.ids, questions).await?;
        tx.commit().await?;
        Ok(answers)
    }

    async fn book(&self, reported: Vec<Reported>) {
        let mut open = vec![reported];
        while let Some(batch) = open.pop() {
            if batch.is_empty() {
                continue;
            }
            let events: Vec<_> = batch.iter().map(|reported| reported.event.clone()).collect();
            match (self.booked(&events).await, events.as_slice()) {
                (Ok(()), _) => acknowledge(batch, Ok(())),
                // The issuer sends all of them again; questions must not wait for that.
                (Err(error), _) if is_transient(error.store()) => {
                    tracing::error!(error = cause(&error), "events not stored");
                    acknowledge(batch, Err(NotStored));
                }
                (Err(error), [event]) => acknowledge(batch, self.kept(event, error).await),
                (Err(_), _) => open.extend(halves(batch)),
            }
        }
    }

    async fn booked(&self, events: &[ReceivedEvent]) -> Result<(), LifecycleError> {
        let mut again = 0;
        loop {
            self.pulse.begin(self.number);
            let result = self.commit_events(events).await;
            let failed = result.as_ref().err().and_then(LifecycleError::store);
            self.end(failed);
            // While the database is away, questions must not wait for messages.
            let is_away = matches!(failed, Some(StoreError::Unavailable(_)));
            if again == RETRIES || !is_transient(failed) || is_away {
                return result;
            }
            again = again.saturating_add(1);
            metrics::counter!("sayso_retries_total").increment(1);
        }
    }

    async fn commit_events(&self, events: &[ReceivedEvent]) -> Result<(), LifecycleError> {
        let mut tx = self.store.begin().await?;
        lifecycle::book(&mut tx, &self.directory, &self.ids, events).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A message that the books cannot take, for another reason than that the database is away, is
    /// stored for a person to look at.
    async fn kept(&self, event: &ReceivedEvent, why: LifecycleError) -> Result<(), NotStored> {
        tracing::error!(error = cause(&why), "event not booked");
        let result = self.commit_kept(event, &why).await;
        self.end(result.as_ref().err().and_then(LifecycleError::store));
        result.map_err(|error| {
            tracing::error!(error = cause(&error), "event not stored");
            NotStored
        })
    }

    async fn commit_kept(
        &self,
        event: &ReceivedEvent,
        why: &LifecycleError,
    ) -> Result<(), LifecycleError> {
        let mut tx = self.store.begin().await?;
        lifecycle::keep(&mut tx, &self.ids, event, why).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Withdraws what was approved too late. What fails stays for the next round.
    async fn take_back(&self, late: &mut Vec<Question>) {
        if late.is_empty() {
            return;
        }
        match self.commit_withdrawals(late).await {
            Ok(()) => late.clear(),
            Err(error) => {
                tracing::error!(error = cause(&error), "not withdrawn yet");
            }
        }
    }

    async fn commit_withdrawals(&self, late: &[Question]) -> Result<(), AuthoriseError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        withdraw(&mut tx, &self.directory, &self.ids, now, late).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Looks whether the database is back, so that readiness does not wait for a purchase.
    async fn probe(&self) {
        self.end(self.store.ping().await.err().as_ref());
    }

    /// A row that somebody else has locked does not make the database unwell.
    fn end(&self, failed: Option<&StoreError>) {
        self.pulse.end(self.number, !is_outage(failed));
    }
}

/// What is tried next after a group could not be committed; nothing once its questions are refused.
fn after_failure(mut group: Group, error: &AuthoriseError, late: &mut Vec<Question>) -> Vec<Group> {
    group.is_in_doubt |= matches!(error.store(), Some(StoreError::InDoubt(_)));
    let is_shared = is_outage(error.store());
    if group.len() > 1 && !is_shared {
        // One bad row fails its whole batch: in halves, only the culprit fails.
        return group.halves().into();
    }
    if group.tries < RETRIES && is_transient(error.store()) {
        group.tries = group.tries.saturating_add(1);
        metrics::counter!("sayso_retries_total").increment(1);
        return vec![group];
    }
    tracing::error!(error = cause(error), questions = group.len(), "not recorded");
    group.refuse(late);
    Vec::new()
}

fn acknowledge(batch: Vec<Reported>, result: Result<(), NotStored>) {
    for reported in batch {
        // Whoever sent the message may have gone; it is stored all the same.
        let _ = reported.reply.send(result);
    }
}

pub(super) fn halves<T>(mut batch: Vec<T>) -> [Vec<T>; 2] {
    let second = batch.split_off(batch.len().div_ceil(2));
    [second, batch]
}

/// An error with its causes, for the log.
fn cause<E: std::error::Error + 'static>(error: &E) -> &(dyn std::error::Error + 'static) {
    error
}

/// Whether the same work may succeed a moment later: somebody else held a lock or was first.
fn is_transient(error: Option<&StoreError>) -> bool {
    error.is_some_and(StoreError::is_transient)
}

fn is_outage(error: Option<&StoreError>) -> bool {
    error.is_some_and(StoreError::is_outage)
}
