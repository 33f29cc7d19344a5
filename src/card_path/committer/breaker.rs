//! Spares a database that is away the questions, and the questions the waiting.
//!
//! Three failures in a row open it. While it is open, questions are answered at once, and the lanes
//! look in the background whether the database is back. Then it lets through 1, 2, 4 … until it is
//! closed.

use std::sync::{Mutex, PoisonError};

use metrics::gauge;

/// How many transactions in a row fail before questions are spared the waiting.
const FAILURE_THRESHOLD: u32 = 3;
/// How many questions are let through at most before all are.
const WIDTH_MOST: u32 = 16;

const STATE: &str = "sayso_breaker_state";

/// The breaker of one database.
#[derive(Debug)]
pub(super) struct CircuitBreaker(Mutex<BreakerState>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open,
    HalfOpen {
        /// How many it lets through until the next success.
        width: u32,
        /// How many of them have not come yet.
        left: u32,
    },
}

impl BreakerState {
    const fn half_open(width: u32) -> Self {
        if width > WIDTH_MOST {
            return Self::Closed { failures: 0 };
        }
        Self::HalfOpen { width, left: width }
    }

    const fn after(self, is_healthy: bool) -> Self {
        match (self, is_healthy) {
            (Self::Closed { .. }, true) => Self::Closed { failures: 0 },
            (Self::Closed { failures }, false) if failures + 1 < FAILURE_THRESHOLD => {
                Self::Closed { failures: failures + 1 }
            }
            (Self::Closed { .. } | Self::HalfOpen { .. } | Self::Open, false) => Self::Open,
            (Self::Open, true) => Self::half_open(1),
            (Self::HalfOpen { width, .. }, true) => Self::half_open(width * 2),
        }
    }

    /// What `/metrics` shows.
    const fn gauge_value(self) -> f64 {
        match self {
            Self::Closed { .. } => 0.0,
            Self::HalfOpen { .. } => 1.0,
            Self::Open => 2.0,
        }
    }
}

impl CircuitBreaker {
    pub(super) fn new() -> Self {
        gauge!(STATE).set(0.0);
        Self(Mutex::new(BreakerState::Closed { failures: 0 }))
    }

    /// Whether a question may try. In a half-open one it takes a place.
    pub(super) fn try_acquire(&self) -> bool {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            BreakerState::Closed { .. } => true,
            BreakerState::Open | BreakerState::HalfOpen { left: 0, .. } => false,
            BreakerState::HalfOpen { left, .. } => {
                *left -= 1;
                true
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(
            *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            BreakerState::Closed { .. }
        )
    }

    /// A transaction has ended. One that failed for a reason of its own leaves the database well.
    pub(super) fn record(&self, is_healthy: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.after(is_healthy);
        if state.gauge_value().to_bits() != next.gauge_value().to_bits() {
            tracing::warn!(from = ?*state, to = ?next, "the breaker moved");
            gauge!(STATE).set(next.gauge_value());
        }
        *state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(breaker: &CircuitBreaker) -> usize {
        (0..100).filter(|_| breaker.try_acquire()).count()
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_successes_widen_it() {
        let breaker = CircuitBreaker::new();
        for is_healthy in [false, false, true, false, false] {
            breaker.record(is_healthy);
            assert!(breaker.is_closed());
        }
        breaker.record(false);
        assert_eq!(admitted(&breaker), 0, "open");
        for width in [1, 2, 4, 8, 16] {
            breaker.record(true);
            assert_eq!(admitted(&breaker), width);
        }
        breaker.record(true);
        assert!(breaker.is_closed());
        assert_eq!(admitted(&breaker), 100);
    }

    #[test]
    fn one_failure_opens_a_half_open_one() {
        let breaker = CircuitBreaker::new();
        for is_healthy in [false, false, false, true, true, false] {
            breaker.record(is_healthy);
        }
        assert_eq!(admitted(&breaker), 0);
        assert!(!breaker.is_closed());
    }
}
