//! Where work for a lane waits.

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::NotStored;
use super::asked::Asked;
use crate::ledger::record::event::ReceivedEvent;

/// The most later messages of one commit: questions must not wait for a long one.
const EVENTS_MOST: usize = 64;

/// A later message on its way to a commit.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) event: ReceivedEvent,
    pub(super) reply: oneshot::Sender<Result<(), NotStored>>,
}

/// The two queues of a lane.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) questions: mpsc::Receiver<Asked>,
    pub(super) events: mpsc::Receiver<Reported>,
    pub(super) batch_most: usize,
}

/// What is done in one round: a batch of each kind, so that neither kind can keep the other waiting
/// for more than one batch.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) asked: Vec<Asked>,
    pub(super) reported: Vec<Reported>,
}

impl Inbox {
    /// Waits for work, at most until `wake`. None once no more can come.
    pub(super) async fn next(&mut self, wake: Option<Instant>) -> Option<Round> {
        let Self { questions, events, batch_most } = self;
        let mut round = Round::default();
        tokio::select! {
            biased;
            _ = questions.recv_many(&mut round.asked, *batch_most), if is_open(questions) => {}
            _ = events.recv_many(&mut round.reported, EVENTS_MOST), if is_open(events) => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            else => return None,
        }
        fill(questions, &mut round.asked, *batch_most);
        fill(events, &mut round.reported, EVENTS_MOST);
        Some(round)
    }

    /// Whether no more can come.
    pub(super) fn has_ended(&self) -> bool {
        !is_open(&self.questions) && !is_open(&self.events)
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
