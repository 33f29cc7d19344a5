//! Spares a database that is away the questions, and the questions the waiting.
//!
//! Three failures in a row open it. While it is open, questions are answered at once, and the lanes
//! look in the background whether the database is back. Then it lets through 1, 2, 4 … until it is
//! closed.

use std::sync::{Mutex, PoisonError};

use metrics::gauge;

/// How many transactions in a row fail before questions are spared the waiting.
const FAILURES: u32 = 3;
/// How many questions are let through at most before all are.
const WIDTH_MOST: u32 = 16;

const STATE: &str = "sayso_breaker_state";

/// The breaker of one database.
#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
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

impl State {
    const fn half_open(width: u32) -> Self {
        if width > WIDTH_MOST {
            return Self::Closed { failures: 0 };
        }
        Self::HalfOpen { width, left: width }
    }

    const fn after(self, is_well: bool) -> Self {
        match (self, is_well) {
            (Self::Closed { .. }, true) => Self::Closed { failures: 0 },
            (Self::Closed { failures }, false) if failures + 1 < FAILURES => {
                Self::Closed { failures: failures + 1 }
            }
            (Self::Closed { .. } | Self::HalfOpen { .. } | Self::Open, false) => Self::Open,
            (Self::Open, true) => Self::half_open(1),
            (Self::HalfOpen { width, .. }, true) => Self::half_open(width * 2),
        }
    }

    /// What `/metrics` shows.
    const fn figure(self) -> f64 {
        match self {
            Self::Closed { .. } => 0.0,
            Self::HalfOpen { .. } => 1.0,
            Self::Open => 2.0,
        }
    }
}

impl Breaker {
    pub(super) fn new() -> Self {
        gauge!(STATE).set(0.0);
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Whether a question may try. In a half-open one it takes a place.
    pub(super) fn admits(&self) -> bool {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Closed { .. } => true,
            State::Open | State::HalfOpen { left: 0, .. } => false,
            State::HalfOpen { left, .. } => {
                *left -= 1;
                true
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Closed { .. })
    }

    /// A transaction has ended. One that failed for a reason of its own leaves the database well.
    pub(super) fn ended(&self, is_well: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.after(is_well);
        if state.figure().to_bits() != next.figure().to_bits() {
            tracing::warn!(from = ?*state, to = ?next, "the breaker moved");
            gauge!(STATE).set(next.figure());
        }
        *state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(breaker: &Breaker) -> usize {
        (0..100).filter(|_| breaker.admits()).count()
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_successes_widen_it() {
        let breaker = Breaker::new();
        for is_well in [false, false, true, false, false] {
            breaker.ended(is_well);
            assert!(breaker.is_closed());
        }
        breaker.ended(false);
        assert_eq!(admitted(&breaker), 0, "open");
        for width in [1, 2, 4, 8, 16] {
            breaker.ended(true);
            assert_eq!(admitted(&breaker), width);
        }
        breaker.ended(true);
        assert!(breaker.is_closed());
        assert_eq!(admitted(&breaker), 100);
    }

    #[test]
    fn one_failure_opens_a_half_open_one() {
        let breaker = Breaker::new();
        for is_well in [false, false, false, true, true, false] {
            breaker.ended(is_well);
        }
        assert_eq!(admitted(&breaker), 0);
        assert!(!breaker.is_closed());
    }
}
