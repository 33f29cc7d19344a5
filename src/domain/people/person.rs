//! The person whose money it is, as far as a decision depends on them.

/// Whether the person's budget may be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonState {
    Active,
    /// The budget has ended: nothing new is paid, later messages are still booked.
    Ended,
}

impl PersonState {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Ended].into_iter().find(|state| state.word() == word)
    }
}
