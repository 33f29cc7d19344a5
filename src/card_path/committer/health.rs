//! Whether decisions can be recorded at the moment, and how long that takes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long one commit may take before we say that we are not ready.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// From when on a transaction is so slow that a lane looks whether the next would be, before
/// questions are turned away for it.
const SLOW_FROM: Duration = Duration::from_millis(500);

/// What `/readyz` says about decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the last commit of every lane went through, and none hangs.
    pub is_ready: bool,
    /// How long it has been so.
    pub for_time: Duration,
    /// How many questions wait.
    pub queued: usize,
    /// Whether the database has lost what was committed, and nothing may be approved.
    pub has_lost: bool,
}

/// The state of all lanes.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Vec<Beat>>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    is_well: bool,
    since: Instant,
    /// When the transaction began that is in flight.
    busy_since: Option<Instant>,
    /// How long the last transaction took. No average: the first fast one shows that a slow spell
    /// is over.
    takes: Duration,
}

impl Beat {
    fn busy_for(&self) -> Option<Duration> {
        self.busy_since.map(|since| since.elapsed())
    }

    fn is_stuck(&self) -> bool {
        self.busy_for().is_some_and(|time| time > STUCK_AFTER)
    }
}

impl Pulse {
    pub(super) fn new(lanes: usize) -> Self {
        let since = Instant::now();
        let beat = Beat { is_well: true, since, busy_since: None, takes: Duration::ZERO };
        Self(Mutex::new(vec![beat; lanes]))
    }

    /// A lane begins a transaction.
    pub(super) fn begin(&self, lane: usize) {
        self.with(lane, |beat| beat.busy_since = Some(Instant::now()));
    }

    /// A lane has ended a transaction.
    pub(super) fn end(&self, lane: usize, is_well: bool) {
        self.with(lane, |beat| {
            beat.takes = beat.busy_for().unwrap_or_default();
            beat.busy_since = None;
            if beat.is_well != is_well {
                beat.since = Instant::now();
                beat.is_well = is_well;
            }
        });
    }

    /// Whether the lane's last commit went through, and fast enough for questions.
    pub(super) fn is_well(&self, lane: usize) -> bool {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.get(lane).is_some_and(|beat| beat.is_well && beat.takes < SLOW_FROM)
    }

    /// How long a question that comes now waits for its answer, when `batches` are in front of it.
    /// Nothing for a lane that rests: somebody has to find out that the database is fast again.
    pub(super) fn wait(&self, lane: usize, batches: u32) -> Duration {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(beat) = beats.get(lane) else { return Duration::ZERO };
        let busy = beat.busy_for();
        if busy.is_none() && batches == 0 {
            return Duration::ZERO;
        }
        let takes = beat.takes.max(busy.unwrap_or_default());
        let rest = busy.map_or(Duration::ZERO, |busy| takes.saturating_sub(busy));
        rest.saturating_add(takes.saturating_mul(batches.saturating_add(1)))
    }

    pub(super) fn health(&self, queued: usize, is_open: bool, has_lost: bool) -> Health {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ready = is_open && beats.iter().all(|beat| beat.is_well && !beat.is_stuck());
        let since = beats.iter().filter(|beat| beat.is_well == is_ready).map(|beat| beat.since);
        let for_time = since.max().map_or(Duration::ZERO, |since| since.elapsed());
        Health { is_ready, for_time, queued, has_lost }
    }

    fn with(&self, lane: usize, change: impl FnOnce(&mut Beat)) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(beat) = beats.get_mut(lane) {
            change(beat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_is_in_front_and_a_lane_that_rests_has_none() {
        let pulse = Pulse::new(1);
        pulse.with(0, |beat| beat.takes = Duration::from_secs(2));
        assert_eq!(pulse.wait(0, 0), Duration::ZERO);
        assert_eq!(pulse.wait(0, 1), Duration::from_secs(4), "the batch in front, and its own");
        pulse.begin(0);
        let wait = pulse.wait(0, 0);
        assert!(wait > Duration::from_secs(3) && wait <= Duration::from_secs(4), "{wait:?}");
    }
}
