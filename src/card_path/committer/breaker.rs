//! The circuit breaker of the database, so that authorisation requests do not wait while the
//! database is unavailable.
//!
//! Three failed transactions in a row open the breaker. While it is open, requests are declined at
//! once and the lanes probe the database in the background. The first success makes it half-open:
//! it admits one request. Each further success doubles that number; the success after 16 closes the
//! breaker.

use std::sync::{Mutex, PoisonError};

use metrics::gauge;

/// How many failed transactions in a row open the breaker.
const FAILURE_THRESHOLD: u32 = 3;
/// The most requests that a half-open breaker admits until the next success.
const WIDTH_MAX: u32 = 16;

const STATE: &str = "sayso_breaker_state";

/// The circuit breaker of one database.
#[derive(Debug)]
pub(super) struct CircuitBreaker(Mutex<BreakerState>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed {
        /// Failed transactions in a row.
        failures: u32,
    },
    Open,
    HalfOpen {
        /// How many requests are admitted until the next success.
        width: u32,
        /// How many of `width` are not used yet.
        left: u32,
    },
}

impl BreakerState {
    const fn half_open(width: u32) -> Self {
        if width > WIDTH_MAX {
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

    /// The value in `/metrics`: 0 is closed, 1 half-open, 2 open.
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

    /// Whether an authorisation request may try. Uses up one admission of a half-open breaker.
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

    /// Records the end of a transaction. Only an outage counts as unhealthy; a transaction that
    /// failed for a reason of its own shows that the database works.
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
