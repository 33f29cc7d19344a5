//! Group commit: everything that has queued while the previous commit was in flight is decided
//! together and committed once. No delay is added, and no decision is sent before its commit has
//! returned.

mod attempt;
mod breaker;
mod health;
mod lane;
mod pending;
mod queues;
mod reply_claim;
mod transactions;
mod withdrawals;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::card_path::authorise::{ReceivedAuthorisation, our_fault};
use crate::domain::decision::authorisation::AuthorisationRequest;
use crate::domain::id::{CardToken, ConnectionId};
use crate::domain::purchase::presentment::EventBody;
use crate::issuers::AuthorisationResponse;
use crate::ledger::record::event::ReceivedEvent;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{Dialect, Store};

use breaker::CircuitBreaker;
pub use health::CommitterHealth;
use health::LaneHealth;
use lane::Lane;
use pending::PendingAuthorisation;
use queues::{LaneQueues, PendingEvent};
use reply_claim::ReplyClaim;
use transactions::LaneTransactions;
use withdrawals::WithdrawalQueue;

/// How long the queued work may take when the process stops. It would never end without a database.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Settings of the [`Committer`].
#[derive(Debug, Clone, Copy)]
pub struct CommitterSettings {
    /// Number of lanes, that is of concurrent commits: at least 1, and always 1 on SQLite. More
    /// lanes than processors only make the batches smaller, and the fixed cost of a batch is close
    /// to the cost of all its requests.
    pub committers: usize,
    /// The most authorisation requests in one commit; at least 1.
    pub batch_max: usize,
    /// The most authorisation requests, and the most events, that wait in each lane; at least 1. A
    /// request beyond it is declined at once as our fault; an event beyond it is [`NotStored`].
    pub queue_max: usize,
}

impl Default for CommitterSettings {
    fn default() -> Self {
        Self { committers: 2, batch_max: 256, queue_max: 4096 }
    }
}

/// How long an event waits to be stored. Limited because its HTTP connection is needed for
/// authorisation requests.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer event could not be stored. The issuer sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be stored; send it again")]
pub struct NotStored;

/// Decides and commits in background tasks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Committer {
    lanes: Arc<Vec<LaneHandle>>,
    store: Store,
    health: Arc<LaneHealth>,
    breaker: Arc<CircuitBreaker>,
    tasks: Arc<std::sync::Mutex<Vec<JoinHandle<()>>>>,
}

/// The sending side of one lane's queues.
#[derive(Debug)]
struct LaneHandle {
    number: usize,
    batch_max: usize,
    authorisations: mpsc::Sender<PendingAuthorisation>,
    events: mpsc::Sender<PendingEvent>,
}

impl Committer {
    /// Starts the lanes. Work on one card always goes to the same lane.
    pub fn start(
        store: &Store,
        directory: &Directory,
        clock: &Clock,
        ids: &NewIds,
        settings: CommitterSettings,
    ) -> Self {
        let count = match store.dialect() {
            Dialect::Sqlite => 1,
            Dialect::Postgres => settings.committers.max(1),
        };
        let transactions = LaneTransactions {
            store: store.clone(),
            directory: directory.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let (health, breaker) = (Arc::new(LaneHealth::new(count)), Arc::new(CircuitBreaker::new()));
        let batch_max = settings.batch_max.max(1);
        let mut handles = Vec::with_capacity(count);
        let mut tasks = Vec::with_capacity(count);
        for number in 0..count {
            let (authorisations, pending_authorisations) = mpsc::channel(settings.queue_max.max(1));
            let (events, pending_events) = mpsc::channel(settings.queue_max.max(1));
            let lane = Lane {
                transactions: transactions.clone(),
                health: Arc::clone(&health),
                breaker: Arc::clone(&breaker),
                number,
                withdrawals: WithdrawalQueue::default(),
                next_probe_at: Instant::now(),
            };
            let queues = LaneQueues {
                authorisations: pending_authorisations,
                events: pending_events,
                batch_max,
            };
            tasks.push(tokio::spawn(lane.run(queues)));
            handles.push(LaneHandle { number, batch_max, authorisations, events });
        }
        let tasks = Arc::new(std::sync::Mutex::new(tasks));
        Self { lanes: Arc::new(handles), store: store.clone(), health, breaker, tasks }
    }

    /// Decides `request` and responds by `deadline` in any case: as our fault if nothing could be
    /// recorded in time. An approval is withdrawn if it is committed too late, or if the caller
    /// drops this future, because the issuer then has not received it.
    pub async fn authorise(
        &self,
        request: AuthorisationRequest,
        arrived_at: Timestamp,
        deadline: Instant,
    ) -> AuthorisationResponse {
        let Some(lane) = self.lane(&request.connection, &request.card) else { return our_fault() };
        if let Err(why) = self.admit(lane, deadline) {
            return Self::decline_our_fault(why);
        }
        let claim = Arc::new(ReplyClaim::default());
        let (reply, mut answer) = oneshot::channel();
        let received = ReceivedAuthorisation { request: Arc::new(request), arrived_at };
        let pending = PendingAuthorisation { received, claim: Arc::clone(&claim), reply };
        if lane.authorisations.try_send(pending).is_err() {
            return Self::decline_our_fault("queue_full");
        }
        let _guard = claim.client_guard();
        let response = match tokio::time::timeout_at(deadline, &mut answer).await {
            Ok(response) => response,
            Err(_) if claim.give_up() => return Self::decline_our_fault("too_late"),
            // The lane has claimed the reply: the response is on its way and is binding.
            Err(_) => answer.await,
        };
        response.unwrap_or_else(|_| Self::decline_our_fault("not_recorded"))
    }

    /// Admits a request to the queue, and uses up one admission of a half-open breaker.
    ///
    /// # Errors
    ///
    /// The metrics label of why the request is declined at once as our fault. An early response
    /// leaves the issuer time to decide by itself, and the queued requests the chance to be in
    /// time.
    fn admit(&self, lane: &LaneHandle, deadline: Instant) -> Result<(), &'static str> {
        if self.store.has_lost_rows() {
            return Err("database_behind");
        }
        // Full batches in front of the one that the request would join.
        let batches = lane.queued().checked_div(lane.batch_max).unwrap_or_default();
        let wait =
            self.health.estimated_wait(lane.number, u32::try_from(batches).unwrap_or(u32::MAX));
        if wait > deadline.saturating_duration_since(Instant::now()) {
            return Err("no_time");
        }
        if self.breaker.try_acquire() { Ok(()) } else { Err("breaker_open") }
    }

    fn decline_our_fault(why: &'static str) -> AuthorisationResponse {
        metrics::counter!("sayso_our_fault_total", "why" => why).increment(1);
        our_fault()
    }

    /// Stores `event` whole and books it. Returns once that is durable.
    ///
    /// # Errors
    ///
    /// [`NotStored`] if that failed or took more than 5 seconds: the issuer must send it again.
    pub async fn book(&self, event: ReceivedEvent) -> Result<(), NotStored> {
        let card = card_of(&event.event.body);
        let lane = match card {
            Some(card) => self.lane(&event.connection, card),
            None => self.lanes.first(),
        };
        if !self.breaker.is_closed() {
            return Err(NotStored);
        }
        let (reply, stored) = oneshot::channel();
        let pending = PendingEvent { event, reply };
        lane.ok_or(NotStored)?.events.try_send(pending).map_err(|_| NotStored)?;
        // The event may still be stored after the timeout; the issuer's repeat then changes
        // nothing.
        let stored = tokio::time::timeout(STORE_TIMEOUT, stored).await;
        stored.map_or(Err(NotStored), |stored| stored.unwrap_or(Err(NotStored)))
    }

    /// The health of the lanes and the breaker.
    pub fn health(&self) -> CommitterHealth {
        let queued = self.lanes.iter().map(LaneHandle::queued).sum();
        self.health.health(queued, self.breaker.is_closed(), self.store.has_lost_rows())
    }

    /// Drains the queues and stops. Logs an error if that takes longer than 3 seconds: the issuer's
    /// own events then settle the approvals that were not withdrawn.
    pub async fn stop(self) {
        let Self { lanes, tasks, .. } = self;
        drop(lanes);
        let tasks =
            std::mem::take(&mut *tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let finish = async {
            for task in tasks {
                // A lane that panicked has nothing left to finish.
                drop(task.await);
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, finish).await.is_err() {
            tracing::error!("the database is away: some late approvals may not be withdrawn");
        }
    }

    /// The lane of a card: always the same one, so that work on one budget rarely waits for a lock.
    fn lane(&self, connection: &ConnectionId, card: &CardToken) -> Option<&LaneHandle> {
        let mut hasher = DefaultHasher::new();
        (connection, card).hash(&mut hasher);
        let count = u64::try_from(self.lanes.len()).ok()?;
        let number = hasher.finish().checked_rem(count)?;
        self.lanes.get(usize::try_from(number).ok()?)
    }
}

impl LaneHandle {
    /// Authorisation requests that wait.
    fn queued(&self) -> usize {
        self.authorisations.max_capacity().saturating_sub(self.authorisations.capacity())
    }
}

fn card_of(body: &EventBody) -> Option<&CardToken> {
    match body {
        EventBody::Snapshot(report) => Some(&report.about.card),
        EventBody::HoldChange(report) => Some(&report.about.card),
        EventBody::Presentment(presentment) => Some(&presentment.about.card),
        EventBody::Dispute(_) | EventBody::Unclear { .. } | EventBody::Other => None,
    }
}

/// Splits `batch` in two: the second half, then the first half, which has the odd one.
fn halves<T>(mut batch: Vec<T>) -> [Vec<T>; 2] {
    let second = batch.split_off(batch.len().div_ceil(2));
    [second, batch]
}
