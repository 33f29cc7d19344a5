//! Whether decisions can be recorded at the moment.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long one commit may take before we say that we are not ready.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// What `/readyz` says about decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the last commit of every lane went through, and none hangs.
    pub is_ready: bool,
    /// How long it has been so.
    pub for_time: Duration,
    /// How many questions wait.
    pub queued: usize,
}

/// The state of all lanes.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Vec<Beat>>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    is_well: bool,
    since: Instant,
    /// When the commit began that is in flight.
    busy_since: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(lanes: usize) -> Self {
        let beat = Beat { is_well: true, since: Instant::now(), busy_since: None };
        Self(Mutex::new(vec![beat; lanes]))
    }

    /// A lane begins a commit.
    pub(super) fn begin(&self, lane: usize) {
        self.with(lane, |beat| beat.busy_since = Some(Instant::now()));
    }

    /// A lane has ended a commit.
    pub(super) fn end(&self, lane: usize, is_well: bool) {
        self.with(lane, |beat| {
            beat.busy_since = None;
            if beat.is_well != is_well {
                beat.since = Instant::now();
                beat.is_well = is_well;
            }
        });
    }

    /// Whether the lane's last commit went through.
    pub(super) fn is_well(&self, lane: usize) -> bool {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.get(lane).is_some_and(|beat| beat.is_well)
    }

    pub(super) fn health(&self, queued: usize) -> Health {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stuck = |beat: &Beat| beat.busy_since.is_some_and(|t| t.elapsed() > STUCK_AFTER);
        let is_ready = beats.iter().all(|beat| beat.is_well && !is_stuck(beat));
        let since = beats.iter().filter(|beat| beat.is_well == is_ready).map(|beat| beat.since);
        let for_time = since.max().map_or(Duration::ZERO, |since| since.elapsed());
        Health { is_ready, for_time, queued }
    }

    fn with(&self, lane: usize, change: impl FnOnce(&mut Beat)) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(beat) = beats.get_mut(lane) {
            change(beat);
        }
    }
}
