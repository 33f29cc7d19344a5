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
    /// How many hundredths are kept aside besides, because the exchange rate may change.
    margin_percent: i64,
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
    /// The number of the OK without which it would not have been.
    pub(crate) allowed: Option<usize>,
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
    pub(super) fn begin(
        (person, shop): (usize, &'static Shop),
        till: Till,
        day: Date,
        margin_percent: i64,
    ) -> Self {
        Self {
            person,
            shop,
            till,
            day,
            margin_percent,
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

    /// Whether any of it was approved by the OK of that number.
    pub(super) fn uses(&self, allowed: usize) -> bool {
        self.promises.iter().any(|promise| promise.allowed == Some(allowed))
    }

    /// It begins anew: what was approved before, and given back, has used nothing.
    pub(super) fn forget_allowed(&mut self) {
        for promise in &mut self.promises {
            promise.allowed = None;
        }
    }

    pub(crate) fn held_minor(&self) -> i64 {
        self.draws.iter().map(|draw| draw.held_minor).sum()
    }

    /// What counts towards limits: what is kept aside of what was asked, and what was claimed. A
    /// refund gives nothing of it back.
    pub(crate) fn committed_minor(&self) -> i64 {
        self.held_minor() - self.margin_held_minor() + self.captured_minor
    }

    /// What should be kept aside: what is asked, and its margin.
    pub(super) fn wanted_minor(&self) -> i64 {
        self.asked_minor() + self.margin_minor()
    }

    /// What should be kept aside because the rate may change: hundredths of all that is asked, up to
    /// a whole penny, until nothing is asked any more or the shop has told its last claim.
    pub(super) fn margin_minor(&self) -> i64 {
        let estimate_minor = match &self.word {
            Some(word) if word.is_over => self.promised_minor(),
            Some(word) => word.total_minor.unwrap_or(0) + self.promised_minor(),
            None => self.promised_minor(),
        };
        if self.asked_minor() > 0 { (estimate_minor * self.margin_percent + 99) / 100 } else { 0 }
    }

    /// What is kept aside beyond what is asked. More of the same purchase may use it.
    pub(crate) fn margin_held_minor(&self) -> i64 {
        (self.held_minor() - self.asked_minor()).max(0)
    }

    /// What was approved of questions that the issuer's word does not know of.
    fn promised_minor(&self) -> i64 {
        let known = self.word.as_ref().map_or(0, |word| word.answers);
        let newer = self.promises.iter().filter(|promise| promise.question >= known);
        newer.map(|promise| promise.amount_minor).sum()
    }

    /// What is asked to be kept aside: what the issuer's word says, and what was approved of questions
    /// that the word does not know of, less what was claimed.
    fn asked_minor(&self) -> i64 {
        let promised = self.promised_minor();
        match self.word.as_ref().map(|word| word.total_minor) {
            Some(None) => promised,
            Some(Some(total)) => (total + promised - self.captured_minor).max(0),
            None => (promised - self.captured_minor).max(0),
        }
    }
}
