//! Whether decisions can be recorded now, and how long a transaction takes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A transaction in flight for longer than this makes the committer not ready.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// A lane whose last transaction took at least this long probes the database, so that the wait
/// estimate is fresh before requests are declined because of it.
const SLOW_FROM: Duration = Duration::from_millis(500);

/// The committer's part of `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitterHealth {
    /// Whether the breaker is closed, no lane's last transaction met an outage, and no transaction
    /// is stuck.
    pub is_ready: bool,
    /// How long some lane has been unable to commit; none if every lane can, although the circuit
    /// breaker may then still be half-open.
    pub trouble_for: Option<Duration>,
    /// Authorisation requests that wait, over all lanes.
    pub queued: usize,
    /// Whether committed rows are missing from the database, so that nothing may be approved.
    pub has_lost_rows: bool,
}

/// The health of all lanes.
#[derive(Debug)]
pub(super) struct LaneHealth(Mutex<Vec<LaneSample>>);

#[derive(Debug, Clone, Copy)]
struct LaneSample {
    is_healthy: bool,
    since: Instant,
    /// When the transaction in flight began; `None` for an idle lane.
    busy_since: Option<Instant>,
    /// Duration of the last transaction. Not an average, because the first fast transaction shows
    /// that a slow spell is over.
    last_duration: Duration,
}

impl LaneSample {
    fn busy_for(&self) -> Option<Duration> {
        self.busy_since.map(|since| since.elapsed())
    }

    /// How long the lane has been unable to commit; none if it can.
    fn trouble_for(&self) -> Option<Duration> {
        if self.is_healthy {
            self.busy_for().filter(|_| self.is_stuck())
        } else {
            Some(self.since.elapsed())
        }
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

    /// Records that a lane begins a transaction.
    pub(super) fn begin(&self, lane: usize) {
        self.with(lane, |sample| sample.busy_since = Some(Instant::now()));
    }

    /// Records that a lane has ended a transaction.
    pub(super) fn end(&self, lane: usize, is_healthy: bool) {
        self.with(lane, |sample| {
            sample.last_duration = sample.busy_for().unwrap_or_default();
            let began = sample.busy_since.take();
            if sample.is_healthy != is_healthy {
                // A transaction that hung until it failed was trouble from its beginning.
                sample.since = began.filter(|_| !is_healthy).unwrap_or_else(Instant::now);
                sample.is_healthy = is_healthy;
            }
        });
    }

    /// Whether the lane's last transaction met no outage and took less than [`SLOW_FROM`].
    pub(super) fn is_healthy(&self, lane: usize) -> bool {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples
            .get(lane)
            .is_some_and(|sample| sample.is_healthy && sample.last_duration < SLOW_FROM)
    }

    /// How long a request that arrives now waits for its response, with `batches` in front of it.
    /// Zero for an idle lane with nothing queued, because some request must find out whether the
    /// database is fast again.
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
        let trouble_for = samples.iter().filter_map(LaneSample::trouble_for).max();
        CommitterHealth { is_ready, trouble_for, queued, has_lost_rows }
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

    #[test]
    fn trouble_lasts_since_its_first_lane_and_while_a_commit_hangs() {
        let lanes = LaneHealth::new(3);
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        lanes.with(0, |sample| sample.since = ago(60));
        lanes.with(1, |sample| sample.since = ago(40));
        lanes.with(2, |sample| sample.since = ago(50));
        let seconds = || lanes.health(0, true, false).trouble_for.map(|time| time.as_secs());
        assert_eq!(seconds(), None);
        lanes.with(1, |sample| sample.is_healthy = false);
        lanes.with(2, |sample| sample.is_healthy = false);
        assert_eq!(seconds(), Some(50), "the first of two that fail");
        lanes.with(1, |sample| sample.is_healthy = true);
        lanes.with(2, |sample| sample.is_healthy = true);
        lanes.with(0, |sample| sample.busy_since = Some(ago(7)));
        assert_eq!(seconds(), Some(7), "a commit that hangs");
        lanes.end(0, false);
        assert_eq!(seconds(), Some(7), "it failed after it hung");
        lanes.end(0, true);
        assert_eq!(seconds(), None);
    }
}
