//! Makes identifiers: `UUIDv7`, ordered by time, so that new rows are adjacent.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::{ContextV7, Timestamp, Uuid};

use jiff::Timestamp as Instant;

/// Makes identifiers that only increase, even if the clock goes back. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NewIds(Arc<Mutex<IdState>>);

#[derive(Debug)]
struct IdState {
    context: ContextV7,
    latest: Instant,
}

impl Default for NewIds {
    fn default() -> Self {
        let source = IdState { context: ContextV7::new(), latest: Instant::UNIX_EPOCH };
        Self(Arc::new(Mutex::new(source)))
    }
}

impl NewIds {
    /// A new identifier, made at `now`.
    pub fn next(&self, now: Instant) -> Uuid {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.latest = source.latest.max(now);
        let seconds = u64::try_from(source.latest.as_second()).unwrap_or_default();
        let nanos = u32::try_from(source.latest.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(&source.context, seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_go_forward_when_the_clock_goes_back() {
        let ids = NewIds::default();
        let later: Instant = "2026-11-23T10:00:00Z".parse().unwrap();
        let earlier: Instant = "2026-11-23T09:00:00Z".parse().unwrap();
        let made: Vec<_> = [later, earlier, earlier, later].map(|now| ids.next(now)).into();
        assert!(made.is_sorted() && made.windows(2).all(|pair| pair[0] != pair[1]), "{made:?}");
    }
}
