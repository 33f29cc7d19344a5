//! Which side settles an authorisation request: the committer that records it, or the handler whose
//! deadline has passed. A compare-and-set decides.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const ANSWERED: u8 = 2;
const GIVEN_UP: u8 = 3;

/// The state of one request, shared by its handler and the committer.
#[derive(Debug, Default)]
pub(super) struct ReplyClaim(AtomicU8);

impl ReplyClaim {
    /// The committer takes the request. `false` if the handler has given up: nothing may be
    /// written.
    pub(super) fn take(&self) -> bool {
        self.transition(WAITING, CLAIMED)
    }

    /// The committer responds, after its commit. `false` if the handler has given up meanwhile: an
    /// approval must be withdrawn.
    pub(super) fn answer(&self) -> bool {
        self.transition(CLAIMED, ANSWERED)
    }

    /// The handler's deadline has passed. `false` if the response is on its way: it is binding.
    pub(super) fn give_up(&self) -> bool {
        self.transition(WAITING, GIVEN_UP) || self.transition(CLAIMED, GIVEN_UP)
    }

    /// Gives up if the handler is dropped without a response: the client has closed its connection.
    pub(super) const fn client_guard(&self) -> ClientGuard<'_> {
        ClientGuard(self)
    }

    /// Whether the handler has given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == GIVEN_UP
    }

    fn transition(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The handler's side of a [`ReplyClaim`]: gives up when it is dropped.
pub(super) struct ClientGuard<'a>(&'a ReplyClaim);

impl Drop for ClientGuard<'_> {
    fn drop(&mut self) {
        if self.0.give_up() {
            metrics::counter!("sayso_our_fault_total", "why" => "client_gone").increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_side_has_the_last_word() {
        let given_up_first = ReplyClaim::default();
        assert!(given_up_first.give_up());
        assert!(!given_up_first.take(), "never written");

        let too_late = ReplyClaim::default();
        assert!(too_late.take() && too_late.give_up());
        assert!(!too_late.answer(), "written, but not heard: withdrawn");

        let in_time = ReplyClaim::default();
        assert!(in_time.take() && in_time.answer());
        assert!(!in_time.give_up(), "the answer is on its way");

        let gone = ReplyClaim::default();
        drop(gone.client_guard());
        assert!(!gone.take(), "the client has hung up, so it is never written");
    }
}
