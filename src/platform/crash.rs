//! Named places at which a test kills the process, as a power cut would: nothing is tidied up.
//!
//! They exist in debug builds only. A release does not even read the variable.

/// The variable that names the place: `PLACE`, or `PLACE:N` for the Nth time that it is reached.
pub const VARIABLE: &str = "SAYSO_CRASH_AT";

/// Ends the process here if a test asked for that.
#[cfg(debug_assertions)]
pub fn reach(place: &str) {
    armed::reach(place);
}

/// Does nothing in a release.
#[cfg(not(debug_assertions))]
pub const fn reach(_place: &str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The place, and how often it is still to be reached.
    static ARMED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting: a release does not have it")]
        let value = std::env::var(super::VARIABLE).ok()?;
        let (place, times) = value.split_once(':').unwrap_or((&value, "1"));
        Some((place.to_owned(), AtomicU32::new(times.parse().ok()?)))
    });

    pub(super) fn reach(place: &str) {
        let Some((armed, times)) = &*ARMED else { return };
        if armed == place && times.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}
