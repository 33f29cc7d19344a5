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
pub struct CommitterHealth {
    /// Whether the last commit of every lane went through, and none hangs.
    pub is_ready: bool,
    /// How long it has been so.
    pub unchanged_for: Duration,
    /// How many questions wait.
    pub queued: usize,
    /// Whether the database has lost what was committed, and nothing may be approved.
    pub has_lost_rows: bool,
}

/// The state of all lanes.
#[derive(Debug)]
pub(super) struct LaneHealth(Mutex<Vec<LaneSample>>);

#[derive(Debug, Clone, Copy)]
struct LaneSample {
    is_healthy: bool,
    since: Instant,
    /// When the transaction began that is in flight.
    busy_since: Option<Instant>,
    /// How long the last transaction took. No average: the first fast one shows that a slow spell
    /// is over.
    last_duration: Duration,
}

impl LaneSample {
    fn busy_for(&self) -> Option<Duration> {
        self.busy_since.map(|since| since.elapsed())
    }

    fn is_stuck(&self) -> bool {
        self.busy_for().is_some_and(|time| time > STUCK_AFTER)
    }
}

impl LaneHealth {
    pub(super) fn new(lanes: usize) -> Self {
        let since = Instant::now();
        let sample =
            LaneSample { is_healthy: true, since, busy_since: None, last_duration: Duration::ZERO };
        Self(Mutex::new(vec![sample; lanes]))
    }

    /// A lane begins a transaction.
    pub(super) fn begin(&self, lane: usize) {
        self.with(lane, |sample| sample.busy_since = Some(Instant::now()));
    }

    /// A lane has ended a transaction.
    pub(super) fn end(&self, lane: usize, is_healthy: bool) {
        self.with(lane, |sample| {
            sample.last_duration = sample.busy_for().unwrap_or_default();
            sample.busy_since = None;
            if sample.is_healthy != is_healthy {
                sample.since = Instant::now();
                sample.is_healthy = is_healthy;
            }
        });
    }

    /// Whether the lane's last commit went through, and fast enough for questions.
    pub(super) fn is_healthy(&self, lane: usize) -> bool {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples
            .get(lane)
            .is_some_and(|sample| sample.is_healthy && sample.last_duration < SLOW_FROM)
    }

    /// How long a question that comes now waits for its answer, when `batches` are in front of it.
    /// Nothing for a lane that rests: somebody has to find out that the database is fast again.
    pub(super) fn estimated_wait(&self, lane: usize, batches: u32) -> Duration {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sample) = samples.get(lane) else { return Duration::ZERO };
        let busy = sample.busy_for();
        if busy.is_none() && batches == 0 {
            return Duration::ZERO;
        }
        let per_batch = sample.last_duration.max(busy.unwrap_or_default());
        let rest = busy.map_or(Duration::ZERO, |busy| per_batch.saturating_sub(busy));
        rest.saturating_add(per_batch.saturating_mul(batches.saturating_add(1)))
    }

    pub(super) fn health(
        &self,
        queued: usize,
        is_open: bool,
        has_lost_rows: bool,
    ) -> CommitterHealth {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ready =
            is_open && samples.iter().all(|sample| sample.is_healthy && !sample.is_stuck());
        let since = samples
            .iter()
            .filter(|sample| sample.is_healthy == is_ready)
            .map(|sample| sample.since);
        let unchanged_for = since.max().map_or(Duration::ZERO, |since| since.elapsed());
        CommitterHealth { is_ready, unchanged_for, queued, has_lost_rows }
    }

    fn with(&self, lane: usize, change: impl FnOnce(&mut LaneSample)) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = samples.get_mut(lane) {
            change(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_is_in_front_and_a_lane_that_rests_has_none() {
        let health = LaneHealth::new(1);
        health.with(0, |sample| sample.last_duration = Duration::from_secs(2));
        assert_eq!(health.estimated_wait(0, 0), Duration::ZERO);
        assert_eq!(
            health.estimated_wait(0, 1),
            Duration::from_secs(4),
            "the batch in front, and its own"
        );
        health.begin(0);
        let wait = health.estimated_wait(0, 0);
        assert!(wait > Duration::from_secs(3) && wait <= Duration::from_secs(4), "{wait:?}");
    }
}
