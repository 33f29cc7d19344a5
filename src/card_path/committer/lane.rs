//! One committer: takes what has queued, commits it, answers, and takes what has queued meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::NotStored;
use super::asked::{Asked, Group};
use super::attempt::{Attempt, Failure};
use super::breaker::Breaker;
use super::desk::Desk;
use super::health::Pulse;
use super::inbox::{Inbox, Reported};
use super::late::Late;
use crate::ledger::record::event::ReceivedEvent;
use crate::store::StoreError;

/// How often a transaction is run again that somebody else was in the way of.
const RETRIES: u32 = 2;
/// How often a lane that is not well looks whether the database is back.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a lane waits for one transaction: far longer than any question, and than a slow disk
/// takes. A peer that vanished without a word would otherwise be waited for until the network gives
/// up, after a quarter of an hour.
const SILENT_AFTER: Duration = Duration::from_secs(15);

/// One committer and what it needs.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) desk: Desk,
    pub(super) pulse: Arc<Pulse>,
    pub(super) breaker: Arc<Breaker>,
    pub(super) number: usize,
    /// What must be withdrawn.
    pub(super) late: Late,
    /// When a lane that is not well looks next.
    pub(super) look_at: Instant,
}

impl Lane {
    /// Works until both queues are closed and empty, and nothing is left to be withdrawn.
    pub(super) async fn run(mut self, mut inbox: Inbox) {
        while let Some(round) = inbox.next(self.wake(inbox.has_ended())).await {
            let began = Instant::now();
            if !round.asked.is_empty() {
                self.decide(round.asked).await;
            }
            self.withdraw(began).await;
            if !round.reported.is_empty() {
                self.book(round.reported, &inbox).await;
            }
            if !self.is_well() && self.look_at <= Instant::now() {
                self.look().await;
            }
        }
    }

    /// When there is something to do although nobody asks.
    fn wake(&self, has_ended: bool) -> Option<Instant> {
        let look = (!has_ended && !self.is_well()).then_some(self.look_at);
        self.late.due().into_iter().chain(look).min()
    }

    fn is_well(&self) -> bool {
        self.pulse.is_well(self.number) && self.breaker.is_closed()
    }

    /// Decides and answers.
    async fn decide(&mut self, asked: Vec<Asked>) {
        // What failed goes behind what has not been tried: nobody waits for somebody else's lock.
        let mut open = VecDeque::from([Group::claim(asked)]);
        while let Some(mut group) = open.pop_front() {
            group.leave_out_given_up(&mut self.late);
            if group.is_empty() {
                continue;
            }
            let questions = group.questions();
            let decided = self
                .transact(|desk, attempt| async move { desk.decide(&attempt, &questions).await });
            match decided.await {
                Ok(answers) => group.deliver(&answers, &mut self.late),
                Err(failure) => open.extend(after_failure(group, &failure, &mut self.late)),
            }
        }
    }

    /// Withdraws what was due before this round: one transaction, so that nobody waits for many.
    async fn withdraw(&mut self, round: Instant) {
        let Some(withdrawal) = self.late.next(round) else { return };
        let questions = withdrawal.questions.clone();
        let withdrawn =
            self.transact(|desk, attempt| async move { desk.withdraw(&attempt, &questions).await });
        let Err(failure) = withdrawn.await else { return };
        if failure.is_outage() {
            tracing::error!(error = cause(&failure), "not withdrawn yet");
            self.late.put_back(withdrawal);
        } else if self.late.part(withdrawal) {
            metrics::counter!("sayso_withdrawals_failed_total").increment(1);
            tracing::error!(error = cause(&failure), "an approval cannot be withdrawn yet");
        }
    }

    async fn book(&mut self, reported: Vec<Reported>, inbox: &Inbox) {
        let mut open = vec![reported];
        while let Some(batch) = open.pop() {
            if batch.is_empty() {
                continue;
            }
            match (self.booked(&batch, inbox).await, batch.as_slice()) {
                (Ok(()), _) => acknowledge(batch, Ok(())),
                // The issuer sends all of them again; questions must not wait for that.
                (Err(failure), _) if failure.is_transient() || failure.is_outage() => {
                    tracing::error!(error = cause(&failure), "events not stored");
                    acknowledge(batch, Err(NotStored));
                }
                (Err(failure), [one]) => {
                    let event = one.event.clone();
                    acknowledge(batch, self.kept(event, &failure).await);
                }
                (Err(_), _) => open.extend(halves(batch)),
            }
        }
    }

    async fn booked(&mut self, batch: &[Reported], inbox: &Inbox) -> Result<(), Failure> {
        let mut again = 0;
        loop {
            let events: Vec<_> = batch.iter().map(|reported| reported.event.clone()).collect();
            let booked =
                self.transact(|desk, attempt| async move { desk.book(&attempt, &events).await });
            let result = booked.await;
            let Err(failure) = &result else { return result };
            // While the database is away or somebody asks, questions must not wait for messages.
            let is_no_time = failure.is_away() || !inbox.questions.is_empty();
            if again == RETRIES || !failure.is_transient() || is_no_time {
                return result;
            }
            again += 1;
            metrics::counter!("sayso_retries_total").increment(1);
        }
    }

    /// A message that the books cannot take, for another reason than that the database is away, is
    /// stored for a person to look at.
    async fn kept(&mut self, event: ReceivedEvent, why: &Failure) -> Result<(), NotStored> {
        tracing::error!(error = cause(why), "event not booked");
        let why = why.to_string();
        let kept =
            self.transact(|desk, attempt| async move { desk.keep(&attempt, &event, &why).await });
        kept.await.map_err(|failure| {
            tracing::error!(error = cause(&failure), "event not stored");
            NotStored
        })
    }

    /// Looks whether the database is back, so that readiness does not wait for a purchase.
    async fn look(&mut self) {
        // What is wrong has been logged where it happened.
        let _ = self.transact(|desk, _| async move { desk.look().await }).await;
    }

    /// Runs one transaction in a task of its own, and waits for it, but not for ever. The task is
    /// never cancelled: a database future that is dropped half-way can poison its connection.
    async fn transact<T, F>(
        &mut self,
        work: impl FnOnce(Desk, Arc<Attempt>) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let attempt = Arc::new(Attempt::default());
        self.pulse.begin(self.number);
        let task = tokio::spawn(work(self.desk.clone(), Arc::clone(&attempt)));
        let result = match timeout(SILENT_AFTER, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::Broken { is_in_doubt: attempt.give_up() }),
            Err(_) => {
                self.desk.store.renew_connections();
                Err(StoreError::Silent { is_in_doubt: attempt.give_up() }.into())
            }
        };
        // A row that somebody else has locked does not make the database unwell.
        let is_well = !result.as_ref().is_err_and(Failure::is_outage);
        self.pulse.end(self.number, is_well);
        self.breaker.ended(is_well);
        self.look_at = Instant::now() + LOOK_EVERY;
        result
    }
}

/// What is tried next after a group could not be committed; nothing once its questions are refused.
fn after_failure(mut group: Group, failure: &Failure, late: &mut Late) -> Vec<Group> {
    group.is_in_doubt |= failure.is_in_doubt();
    if group.len() > 1 && !failure.is_outage() {
        // One bad row fails its whole batch: in halves, only the culprit fails.
        let [second, first] = group.halves();
        return vec![first, second];
    }
    if group.tries < RETRIES && failure.is_transient() {
        group.tries += 1;
        metrics::counter!("sayso_retries_total").increment(1);
        return vec![group];
    }
    tracing::error!(error = cause(failure), questions = group.len(), "not recorded");
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

/// A failure with its causes, for the log.
fn cause(failure: &Failure) -> &(dyn std::error::Error + 'static) {
    failure
}
