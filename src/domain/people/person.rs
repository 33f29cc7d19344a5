//! The state of a person, as far as a decision depends on it.

/// Whether the person's budget may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonState {
    Active,
    /// The budget has ended: new purchases are declined, but later messages are still booked.
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
