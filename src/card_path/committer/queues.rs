//! Where work for a lane waits.

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::NotStored;
use super::pending::PendingAuthorisation;
use crate::ledger::record::event::ReceivedEvent;

/// The most later messages of one commit: questions must not wait for a long one.
const EVENTS_MOST: usize = 64;

/// A later message on its way to a commit.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) event: ReceivedEvent,
    pub(super) reply: oneshot::Sender<Result<(), NotStored>>,
}

/// The two queues of a lane.
#[derive(Debug)]
pub(super) struct LaneQueues {
    pub(super) authorisations: mpsc::Receiver<PendingAuthorisation>,
    pub(super) events: mpsc::Receiver<PendingEvent>,
    pub(super) batch_most: usize,
}

/// What is done in one round: a batch of each kind, so that neither kind can keep the other waiting
/// for more than one batch.
#[derive(Debug, Default)]
pub(super) struct LaneBatch {
    pub(super) authorisations: Vec<PendingAuthorisation>,
    pub(super) events: Vec<PendingEvent>,
}

impl LaneQueues {
    /// Waits for work, at most until `wake`. None once no more can come.
    pub(super) async fn next(&mut self, wake: Option<Instant>) -> Option<LaneBatch> {
        let Self { authorisations, events, batch_most } = self;
        let mut batch = LaneBatch::default();
        tokio::select! {
            biased;
            _ = authorisations.recv_many(&mut batch.authorisations, *batch_most), if is_open(authorisations) => {}
            _ = events.recv_many(&mut batch.events, EVENTS_MOST), if is_open(events) => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            else => return None,
        }
        fill(authorisations, &mut batch.authorisations, *batch_most);
        fill(events, &mut batch.events, EVENTS_MOST);
        Some(batch)
    }

    /// Whether no more can come.
    pub(super) fn has_ended(&self) -> bool {
        !is_open(&self.authorisations) && !is_open(&self.events)
    }
}

fn is_open<T>(queue: &mpsc::Receiver<T>) -> bool {
    !queue.is_closed() || !queue.is_empty()
}

/// Adds what waits already.
fn fill<T>(queue: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) {
    while batch.len() < most
        && let Ok(next) = queue.try_recv()
    {
        batch.push(next);
    }
}
