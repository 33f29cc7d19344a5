//! Failpoints: named places at which a test aborts the process. Data that was already handed to the
//! operating system survives the abort.
//!
//! They exist in debug builds only. A release build does not even read the variable.

/// Names the failpoint: `PLACE`, or `PLACE:N` for the Nth time that it is reached.
pub const CRASH_AT_VARIABLE: &str = "SAYSO_CRASH_AT";

/// Aborts the process if a test has armed the failpoint `place`.
#[cfg(debug_assertions)]
pub fn failpoint(place: &str) {
    armed::failpoint(place);
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub const fn failpoint(_place: &str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The armed failpoint, and how many more times it must be reached before it aborts.
    static ARMED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting: a release does not have it")]
        let value = std::env::var(super::CRASH_AT_VARIABLE).ok()?;
        let (place, times) = value.split_once(':').unwrap_or((&value, "1"));
        Some((place.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });

    pub(super) fn failpoint(place: &str) {
        let Some((armed, times)) = &*ARMED else { return };
        if armed == place && times.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}
