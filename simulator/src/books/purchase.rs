//! One purchase in the books: what was said about it, and what it drew.

use jiff::civil::Date;

use crate::shops::{Shop, Till};

/// One purchase, under the number that the plan gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// Index into the books' people.
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    /// Where the card was used, as far as the first message about it told.
    pub(crate) till: Till,
    /// The local day on which it counts towards limits, all of it.
    pub(crate) day: Date,
    pub(crate) promises: Vec<Promise>,
    /// The issuer's latest word.
    word: Option<Word>,
    pub(crate) captured_minor: i64,
    /// In the order in which the pots were drawn.
    pub(crate) draws: Vec<Draw>,
    /// Captured beyond all pots, and not given back.
    pub(super) over_minor: i64,
    /// Given back beyond what was captured.
    pub(super) waiting_minor: i64,
}

/// What was approved of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The number of the question: 0 for the first.
    pub(crate) question: usize,
    pub(crate) amount_minor: i64,
}

/// The issuer's snapshot of a purchase. Ordered by when the issuer made it, whenever it arrives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Unix seconds.
    pub(crate) at: i64,
    /// How many questions had been answered.
    pub(crate) answers: usize,
    pub(crate) is_over: bool,
    /// The event that told it.
    pub(crate) event: String,
    /// What the issuer holds, or was claimed, in total; none once it was undone.
    pub(crate) total_minor: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draw {
    /// Index into the person's `pots`.
    pub(crate) pot: usize,
    pub(crate) held_minor: i64,
    pub(crate) spent_minor: i64,
}

impl Purchase {
    pub(super) fn begin(person: usize, shop: &'static Shop, till: Till, day: Date) -> Self {
        Self {
            person,
            shop,
            till,
            day,
            promises: Vec::new(),
            word: None,
            captured_minor: 0,
            draws: Vec::new(),
            over_minor: 0,
            waiting_minor: 0,
        }
    }

    pub(super) fn hear(&mut self, word: Word) {
        if self.word.as_ref().is_none_or(|known| *known < word) {
            self.word = Some(word);
        }
    }

    pub(crate) fn held_minor(&self) -> i64 {
        self.draws.iter().map(|draw| draw.held_minor).sum()
    }

    /// What counts towards limits: what is kept aside and what was claimed. A refund gives nothing
    /// of it back.
    pub(crate) fn committed_minor(&self) -> i64 {
        self.held_minor() + self.captured_minor
    }

    /// What should be kept aside: what the issuer's word says, and what was approved of questions
    /// that the word does not know of, less what was claimed.
    pub(super) fn wanted_minor(&self) -> i64 {
        let known = self.word.as_ref().map_or(0, |word| word.answers);
        let newer = self.promises.iter().filter(|promise| promise.question >= known);
        let promised: i64 = newer.map(|promise| promise.amount_minor).sum();
        match self.word.as_ref().map(|word| word.total_minor) {
            Some(None) => promised,
            Some(Some(total)) => (total + promised - self.captured_minor).max(0),
            None => (promised - self.captured_minor).max(0),
        }
    }
}
