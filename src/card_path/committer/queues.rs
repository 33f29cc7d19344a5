//! The queues of a lane.

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::NotStored;
use super::pending::PendingAuthorisation;
use crate::ledger::record::event::ReceivedEvent;

/// The most issuer events in one commit: few, because authorisation requests wait for it.
const EVENTS_MAX: usize = 64;

/// An issuer event on its way to a commit.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) event: ReceivedEvent,
    pub(super) reply: oneshot::Sender<Result<(), NotStored>>,
}

/// The receiving side of a lane's two queues.
#[derive(Debug)]
pub(super) struct LaneQueues {
    pub(super) authorisations: mpsc::Receiver<PendingAuthorisation>,
    pub(super) events: mpsc::Receiver<PendingEvent>,
    /// The most authorisation requests in one batch.
    pub(super) batch_max: usize,
}

/// The work of one turn of a lane: a batch of each kind, so that neither kind waits for more than
/// one batch of the other.
#[derive(Debug, Default)]
pub(super) struct LaneBatch {
    pub(super) authorisations: Vec<PendingAuthorisation>,
    pub(super) events: Vec<PendingEvent>,
}

impl LaneQueues {
    /// Waits for work, at most until `wake`; the batch may then be empty. `None` once both queues
    /// are closed and empty and there is no `wake`.
    pub(super) async fn next(&mut self, wake: Option<Instant>) -> Option<LaneBatch> {
        let Self { authorisations, events, batch_max } = self;
        let mut batch = LaneBatch::default();
        tokio::select! {
            biased;
            _ = authorisations.recv_many(&mut batch.authorisations, *batch_max),
                if is_open(authorisations) => {}
            _ = events.recv_many(&mut batch.events, EVENTS_MAX), if is_open(events) => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            else => return None,
        }
        fill(authorisations, &mut batch.authorisations, *batch_max);
        fill(events, &mut batch.events, EVENTS_MAX);
        Some(batch)
    }

    /// Whether both queues are closed and empty.
    pub(super) fn has_ended(&self) -> bool {
        !is_open(&self.authorisations) && !is_open(&self.events)
    }
}

fn is_open<T>(queue: &mpsc::Receiver<T>) -> bool {
    !queue.is_closed() || !queue.is_empty()
}

/// Adds what is queued already, until `batch` has `most` entries.
fn fill<T>(queue: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) {
    while batch.len() < most
        && let Ok(next) = queue.try_recv()
    {
        batch.push(next);
    }
}
