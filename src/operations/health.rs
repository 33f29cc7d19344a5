//! The readiness of this process for new requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Maximum age of the connections in memory, because a revoked secret is valid until the next
/// refresh.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// The readiness of the process, shared by its parts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Debug, Default)]
struct ReadinessState {
    is_stopping: AtomicBool,
    refreshed_at: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Records that the connections and their secrets were read just now.
    pub fn mark_refreshed(&self) {
        let mut at = self.0.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some(Instant::now());
    }

    /// Records that the process is stopping and must get no new requests.
    pub fn mark_stopping(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Why no request should be sent here, in words for an operator; empty if the process is ready.
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
