//! Approvals that nobody heard, on their way to being withdrawn.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::asked::{Key, key};
use super::lane::halves;
use crate::card_path::authorise::Question;

/// How long one that cannot be written is left alone: twice as long each time, up to a minute.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
const AGAIN_AFTER_MOST: Duration = Duration::from_mins(1);

/// Everything that a lane has yet to withdraw.
#[derive(Debug, Default)]
pub(super) struct Late(VecDeque<Withdrawal>);

/// Approvals that are withdrawn in one transaction.
#[derive(Debug)]
pub(super) struct Withdrawal {
    pub(super) questions: Vec<Question>,
    due: Instant,
    /// How long it waits if it fails by itself.
    waits: Duration,
}

impl Late {
    pub(super) fn add(&mut self, questions: Vec<Question>) {
        if !questions.is_empty() {
            self.0.push_back(Withdrawal { questions, due: Instant::now(), waits: AGAIN_AFTER });
        }
    }

    /// When the next is due; none if there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|withdrawal| withdrawal.due).min()
    }

    /// Leaves out what somebody has heard after all: the repeat of a question that was given up.
    pub(super) fn spare(&mut self, heard: &BTreeSet<Key>) {
        if heard.is_empty() || self.0.is_empty() {
            return;
        }
        for withdrawal in &mut self.0 {
            withdrawal.questions.retain(|question| !heard.contains(&key(question)));
        }
        self.0.retain(|withdrawal| !withdrawal.questions.is_empty());
    }

    /// The next that was due `by` then. Those of the round that has just been decided wait for one
    /// more: a repeat that has queued meanwhile can still hear the approval.
    pub(super) fn next(&mut self, by: Instant) -> Option<Withdrawal> {
        let place = self.0.iter().position(|withdrawal| withdrawal.due <= by)?;
        self.0.remove(place)
    }

    /// Keeps what could not be written while the database was away.
    pub(super) fn put_back(&mut self, withdrawal: Withdrawal) {
        let due = Instant::now() + AGAIN_AFTER;
        self.0.push_back(Withdrawal { due, ..withdrawal });
    }

    /// Keeps what could not be written because of one of its own: in halves, so that only the
    /// culprit stays. Says whether it is a single one.
    pub(super) fn part(&mut self, withdrawal: Withdrawal) -> bool {
        let Withdrawal { questions, waits, .. } = withdrawal;
        if questions.len() > 1 {
            for half in halves(questions) {
                self.add(half);
            }
            return false;
        }
        let due = Instant::now() + waits;
        let waits = waits.saturating_mul(2).min(AGAIN_AFTER_MOST);
        self.0.push_back(Withdrawal { questions, due, waits });
        true
    }
}
