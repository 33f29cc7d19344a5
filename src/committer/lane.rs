//! One committer: takes what has queued, commits it, answers, and takes what has queued meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::NotStored;
use super::claim::Claim;
use super::health::Pulse;
use crate::authorise::{
    Answered, AuthoriseError, Question, TooLate, authorise, our_fault, withdraw,
};
use crate::clock::Clock;
use crate::ids::NewIds;
use crate::issuers::{Told, Verdict};
use crate::lifecycle::{self, LifecycleError};
use crate::programme::directory::Directory;
use crate::record::event::ReceivedEvent;
use crate::store::Store;

/// How often a question that failed alone is tried again.
const RETRIES: u32 = 2;
/// How often a lane that is not well looks whether the database is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// The most later messages of one commit: questions must not wait for a long one.
const EVENTS_MOST: usize = 64;

/// A question on its way to a commit.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) claim: Arc<Claim>,
    pub(super) reply: oneshot::Sender<Told>,
}

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
                        late.extend(self.decide(std::mem::take(&mut asked)).await);
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

    /// Decides and answers. Returns the approvals that were committed after their handler had
    /// given up.
    async fn decide(&self, mut asked: Vec<Asked>) -> Vec<TooLate> {
        asked.retain(|asked| asked.claim.take());
        let mut late = Vec::new();
        let mut open = vec![asked];
        while let Some(batch) = open.pop() {
            if batch.is_empty() {
                continue;
            }
            let questions: Vec<_> = batch.iter().map(|asked| asked.question.clone()).collect();
            match self.decided(&questions).await {
                Ok(answers) => late.extend(deliver(batch, &answers)),
                Err(error) if batch.len() == 1 => {
                    tracing::error!(error = cause(&error), "not recorded");
                    refuse(batch);
                }
                // One bad row fails its whole batch: in halves, only the culprit fails.
                Err(_) => open.extend(halves(batch)),
            }
        }
        late
    }

    async fn decided(&self, questions: &[Question]) -> Result<Vec<Answered>, AuthoriseError> {
        let tries = if questions.len() == 1 { RETRIES } else { 0 };
        let mut again = 0;
        loop {
            self.pulse.begin(self.number);
            let result = self.commit_decisions(questions).await;
            self.pulse.end(self.number, result.is_ok());
            match result {
                Err(error) if again < tries && is_worth_another_try(&error) => again += 1,
                result => return result,
            }
        }
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
            match self.booked(&events).await {
                Ok(()) => acknowledge(batch, Ok(())),
                Err(error) => match events.as_slice() {
                    [event] => acknowledge(batch, self.kept(event, error).await),
                    _ => open.extend(halves(batch)),
                },
            }
        }
    }

    async fn booked(&self, events: &[ReceivedEvent]) -> Result<(), LifecycleError> {
        self.pulse.begin(self.number);
        let result = self.commit_events(events).await;
        self.pulse.end(self.number, result.is_ok());
        result
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
        if matches!(why, LifecycleError::Store(_) | LifecycleError::Directory(_)) {
            return Err(NotStored);
        }
        let result = self.commit_kept(event, &why).await;
        self.pulse.end(self.number, result.is_ok());
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
    async fn take_back(&self, late: &mut Vec<TooLate>) {
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

    async fn commit_withdrawals(&self, late: &[TooLate]) -> Result<(), AuthoriseError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        withdraw(&mut tx, &self.directory, &self.ids, now, late).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Looks whether the database is back, so that readiness does not wait for a purchase.
    async fn probe(&self) {
        let is_back = self.store.ping().await.is_ok();
        self.pulse.end(self.number, is_back);
    }
}

/// Sends the answers of a commit; returns the approvals that nobody waits for any more.
fn deliver(batch: Vec<Asked>, answers: &[Answered]) -> Vec<TooLate> {
    let mut late = Vec::new();
    for (asked, answered) in batch.into_iter().zip(answers) {
        if answered.is_conflict {
            metrics::counter!("sayso_conflicts_total").increment(1);
        }
        if asked.claim.answer() {
            // The handler waits until its deadline, and after it when the claim is answered.
            let _ = asked.reply.send(answered.told);
        } else if matches!(answered.told.verdict, Verdict::Approved { .. }) {
            metrics::counter!("sayso_withdrawals_total").increment(1);
            let request = asked.question.request;
            late.push(TooLate {
                programme: request.programme,
                connection: request.connection,
                reference: request.reference,
            });
        }
    }
    late
}

fn refuse(batch: Vec<Asked>) {
    metrics::counter!("sayso_our_fault_total", "why" => "not_recorded").increment(1);
    for asked in batch {
        if asked.claim.answer() {
            let _ = asked.reply.send(our_fault());
        }
    }
}

fn acknowledge(batch: Vec<Reported>, result: Result<(), NotStored>) {
    for reported in batch {
        // Whoever sent the message may have gone; it is stored all the same.
        let _ = reported.reply.send(result);
    }
}

fn halves<T>(mut batch: Vec<T>) -> [Vec<T>; 2] {
    let second = batch.split_off(batch.len().div_ceil(2));
    [second, batch]
}

/// An error with its causes, for the log.
fn cause<E: std::error::Error + 'static>(error: &E) -> &(dyn std::error::Error + 'static) {
    error
}

/// Whether the same work may succeed a moment later: somebody else held a lock or was first.
fn is_worth_another_try(error: &AuthoriseError) -> bool {
    matches!(error, AuthoriseError::Store(error) if error.is_transient())
}
