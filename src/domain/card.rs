//! A payment card, known by its issuer's token; we never see its number.

/// What the card may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardState {
    Active,
    /// Not switched on yet.
    NotStarted,
    /// Stopped by the person; they alone start it again.
    FrozenByPerson,
    /// Paused for safety by staff, with a reason and an end that the person is told.
    FrozenByStaff,
    Lost,
    /// An old card whose place another card has taken.
    Replaced,
    /// Its printed end date has passed.
    Expired,
}

impl CardState {
    /// Every state, for reading stored words.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::NotStarted,
        Self::FrozenByPerson,
        Self::FrozenByStaff,
        Self::Lost,
        Self::Replaced,
        Self::Expired,
    ];

    /// The word that is stored and written in programme files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NotStarted => "not_started",
            Self::FrozenByPerson => "frozen_by_person",
            Self::FrozenByStaff => "frozen_by_staff",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}
