//! One lane: takes what has queued, commits it, responds, and takes what has queued meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::attempt::{TransactionAttempt, TransactionFailure};
use super::breaker::CircuitBreaker;
use super::health::LaneHealth;
use super::pending::{AuthorisationBatch, PendingAuthorisation};
use super::queues::{LaneQueues, PendingEvent};
use super::transactions::LaneTransactions;
use super::withdrawals::WithdrawalQueue;
use super::{NotStored, halves};
use crate::ledger::record::event::ReceivedEvent;
use crate::store::StoreError;

/// How many times a transaction is retried after a transient failure, such as a lock conflict.
const RETRIES: u32 = 2;
/// How often an unhealthy lane probes the database.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How long a lane waits for one transaction: far longer than an authorisation deadline and than a
/// slow disk needs. Without this limit, a lane whose database server vanished without closing its
/// connection would wait about 15 minutes, until TCP gives up.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// One lane of the committer.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) transactions: LaneTransactions,
    pub(super) health: Arc<LaneHealth>,
    pub(super) breaker: Arc<CircuitBreaker>,
    pub(super) number: usize,
    /// Approvals that are yet to be withdrawn.
    pub(super) withdrawals: WithdrawalQueue,
    /// When an unhealthy lane probes the database next.
    pub(super) next_probe_at: Instant,
}

impl Lane {
    /// Runs until both queues are closed and empty and no withdrawal is left.
    pub(super) async fn run(mut self, mut queues: LaneQueues) {
        while let Some(batch) = queues.next(self.wake(queues.has_ended())).await {
            let began = Instant::now();
            if !batch.authorisations.is_empty() {
                self.decide(batch.authorisations).await;
            }
            self.withdraw(began).await;
            if !batch.events.is_empty() {
                self.book(batch.events, &queues).await;
            }
            if !self.is_healthy() && self.next_probe_at <= Instant::now() {
                self.probe().await;
            }
        }
    }

    /// When the lane must wake up although no work arrives: for a withdrawal, or for a probe unless
    /// the queues have ended.
    fn wake(&self, has_ended: bool) -> Option<Instant> {
        let probe = (!has_ended && !self.is_healthy()).then_some(self.next_probe_at);
        self.withdrawals.next_due().into_iter().chain(probe).min()
    }

    fn is_healthy(&self) -> bool {
        self.health.is_healthy(self.number) && self.breaker.is_closed()
    }

    /// Decides `authorisations` and sends the responses.
    async fn decide(&mut self, authorisations: Vec<PendingAuthorisation>) {
        // A failed batch goes behind the untried ones, so that no request waits for another's lock.
        let mut remaining = VecDeque::from([AuthorisationBatch::claim(authorisations)]);
        while let Some(mut batch) = remaining.pop_front() {
            batch.discard_given_up(&mut self.withdrawals);
            if batch.is_empty() {
                continue;
            }
            let authorisations = batch.authorisations();
            let decided = self.transact(|transactions, attempt| async move {
                transactions.decide(&attempt, &authorisations).await
            });
            match decided.await {
                Ok(outcomes) => batch.deliver(&outcomes, &mut self.withdrawals),
                Err(failure) => {
                    remaining.extend(after_failure(batch, &failure, &mut self.withdrawals));
                }
            }
        }
    }

    /// Withdraws one batch that was due at `due_by`: only one, so that new requests do not wait
    /// long.
    async fn withdraw(&mut self, due_by: Instant) {
        let Some(withdrawal) = self.withdrawals.pop_due(due_by) else { return };
        let authorisations = withdrawal.authorisations.clone();
        let withdrawn = self.transact(|transactions, attempt| async move {
            transactions.withdraw(&attempt, &authorisations).await
        });
        let Err(failure) = withdrawn.await else { return };
        if failure.is_outage() {
            tracing::error!(error = cause(&failure), "not withdrawn yet");
            self.withdrawals.requeue(withdrawal);
        } else if self.withdrawals.split(withdrawal) {
            metrics::counter!("sayso_withdrawals_failed_total").increment(1);
            tracing::error!(error = cause(&failure), "an approval cannot be withdrawn yet");
        }
    }

    async fn book(&mut self, events: Vec<PendingEvent>, queues: &LaneQueues) {
        let mut remaining = vec![events];
        while let Some(batch) = remaining.pop() {
            if batch.is_empty() {
                continue;
            }
            match (self.try_book(&batch, queues).await, batch.as_slice()) {
                (Ok(()), _) => acknowledge(batch, Ok(())),
                // Not retried, because the issuer resends the events and authorisation requests
                // must not wait.
                (Err(failure), _) if failure.is_transient() || failure.is_outage() => {
                    tracing::error!(error = cause(&failure), "events not stored");
                    acknowledge(batch, Err(NotStored));
                }
                (Err(failure), [one]) => {
                    let event = one.event.clone();
                    acknowledge(batch, self.store_unbooked(event, &failure).await);
                }
                (Err(_), _) => remaining.extend(halves(batch)),
            }
        }
    }

    async fn try_book(
        &mut self,
        batch: &[PendingEvent],
        queues: &LaneQueues,
    ) -> Result<(), TransactionFailure> {
        let mut retries = 0;
        loop {
            let events: Vec<_> = batch.iter().map(|pending| pending.event.clone()).collect();
            let booked = self.transact(|transactions, attempt| async move {
                transactions.book(&attempt, &events).await
            });
            let result = booked.await;
            let Err(failure) = &result else { return result };
            // Authorisation requests come first: no retry while they wait or the database is down.
            let must_yield = failure.is_unavailable() || !queues.authorisations.is_empty();
            if retries == RETRIES || !failure.is_transient() || must_yield {
                return result;
            }
            retries += 1;
            metrics::counter!("sayso_retries_total").increment(1);
        }
    }

    /// Stores an event that cannot be booked although the database works, for a person to review.
    async fn store_unbooked(
        &mut self,
        event: ReceivedEvent,
        why: &TransactionFailure,
    ) -> Result<(), NotStored> {
        tracing::error!(error = cause(why), "event not booked");
        let why = why.to_string();
        let kept = self.transact(|transactions, attempt| async move {
            transactions.store_unbooked(&attempt, &event, &why).await
        });
        kept.await.map_err(|failure| {
            tracing::error!(error = cause(&failure), "event not stored");
            NotStored
        })
    }

    /// Probes the database, so that readiness recovers without a purchase.
    async fn probe(&mut self) {
        // Not logged here, because the transaction that made the lane unhealthy was logged.
        let _ = self.transact(|transactions, _| async move { transactions.probe().await }).await;
    }

    /// Runs one transaction in its own task and waits for it, at most [`TRANSACTION_TIMEOUT`]. The
    /// task is never cancelled, because dropping a database future half-way can poison its
    /// connection.
    async fn transact<T, F>(
        &mut self,
        work: impl FnOnce(LaneTransactions, Arc<TransactionAttempt>) -> F,
    ) -> Result<T, TransactionFailure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, TransactionFailure>> + Send + 'static,
    {
        let attempt = Arc::new(TransactionAttempt::default());
        self.health.begin(self.number);
        let task = tokio::spawn(work(self.transactions.clone(), Arc::clone(&attempt)));
        let result = match timeout(TRANSACTION_TIMEOUT, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(TransactionFailure::Panicked { is_in_doubt: attempt.give_up() }),
            Err(_) => {
                self.transactions.store.renew_connections();
                Err(StoreError::TimedOut { is_in_doubt: attempt.give_up() }.into())
            }
        };
        // Only an outage makes the lane unhealthy; a lock conflict does not.
        let is_healthy = !result.as_ref().is_err_and(TransactionFailure::is_outage);
        self.health.end(self.number, is_healthy);
        self.breaker.record(is_healthy);
        self.next_probe_at = Instant::now() + PROBE_EVERY;
        result
    }
}

/// The batches to try after `batch` failed; none once its requests are declined.
fn after_failure(
    mut batch: AuthorisationBatch,
    failure: &TransactionFailure,
    withdrawals: &mut WithdrawalQueue,
) -> Vec<AuthorisationBatch> {
    batch.is_in_doubt |= failure.is_in_doubt();
    if batch.len() > 1 && !failure.is_outage() {
        // One bad row fails its whole batch. Halving isolates it, so that only its request fails.
        let [second, first] = batch.halves();
        return vec![first, second];
    }
    if batch.retries < RETRIES && failure.is_transient() {
        batch.retries += 1;
        metrics::counter!("sayso_retries_total").increment(1);
        return vec![batch];
    }
    tracing::error!(error = cause(failure), questions = batch.len(), "not recorded");
    batch.decline(withdrawals);
    Vec::new()
}

fn acknowledge(batch: Vec<PendingEvent>, result: Result<(), NotStored>) {
    for pending in batch {
        // The handler may be gone; whether its event was stored does not depend on that.
        let _ = pending.reply.send(result);
    }
}

/// The failure as an error with its sources, for the log.
fn cause(failure: &TransactionFailure) -> &(dyn std::error::Error + 'static) {
    failure
}
