//! Whether this process should be sent work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How old the connections in memory may get: a secret that was revoked counts no longer than that.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// What the parts of the process know about its readiness. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Debug, Default)]
struct ReadinessState {
    is_stopping: AtomicBool,
    refreshed_at: Mutex<Option<Instant>>,
}

impl Readiness {
    /// The connections and their secrets have just been read.
    pub fn mark_refreshed(&self) {
        let mut at = self.0.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some(Instant::now());
    }

    /// From now on nothing new should be sent here.
    pub fn mark_stopping(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Why nothing should be sent here, in words for an operator; empty if something should.
    pub fn problems(&self) -> Vec<&'static str> {
        let at = *self.0.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stale = at.is_none_or(|at| at.elapsed() > STALE_AFTER);
        let is_stopping = self.0.is_stopping.load(Ordering::SeqCst);
        let stopping = is_stopping.then_some("it is stopping");
        let stale = is_stale.then_some("the connections could not be read for 10 seconds");
        stopping.into_iter().chain(stale).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_fresh_and_not_stopping() {
        let readiness = Readiness::default();
        assert_eq!(readiness.problems().len(), 1, "nothing was read yet");
        readiness.mark_refreshed();
        assert_eq!(readiness.problems(), Vec::<&str>::new());
        readiness.mark_stopping();
        assert_eq!(readiness.problems(), ["it is stopping"]);
    }
}
