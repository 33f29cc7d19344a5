//! A payment card, known by its issuer's token; we never see its number.
pub mod pause;
pub mod safety;

use jiff::Timestamp;

/// What the card may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Whether the words about a card that cannot pay in this state name a card by its last four
    /// digits: its own, or that which takes its place.
    pub const fn is_identified_by_last_four(self) -> bool {
        match self {
            Self::Lost | Self::Replaced | Self::Expired => true,
            Self::Active | Self::NotStarted | Self::FrozenByPerson | Self::FrozenByStaff => false,
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether it was in use and nobody may pay with it any more.
    pub const fn is_stopped(self) -> bool {
        match self {
            Self::FrozenByPerson
            | Self::FrozenByStaff
            | Self::Lost
            | Self::Replaced
            | Self::Expired => true,
            Self::Active | Self::NotStarted => false,
        }
    }
}

/// What a card may do over time: a pause by staff ends by itself, to the second, whether or not
/// anybody is there to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardStatus {
    pub state: CardState,
    /// When another state comes by itself, and which.
    pub then: Option<(Timestamp, CardState)>,
}

impl CardStatus {
    /// A state that lasts until somebody changes it.
    pub const fn lasting(state: CardState) -> Self {
        Self { state, then: None }
    }

    /// The state at a moment.
    pub fn at(self, at: Timestamp) -> CardState {
        match self.then {
            Some((until, state)) if at >= until => state,
            Some(_) | None => self.state,
        }
    }

    /// The state that stays when every pause is over.
    pub const fn lasting_state(self) -> CardState {
        match self.then {
            Some((_, state)) => state,
            None => self.state,
        }
    }

    /// Paused by staff until `until`. A card that nobody could use anyway stays as it is.
    #[must_use]
    pub fn paused(self, at: Timestamp, until: Timestamp) -> Self {
        let now = self.at(at);
        match now {
            CardState::Active | CardState::NotStarted | CardState::FrozenByPerson => {
                Self { state: CardState::FrozenByStaff, then: Some((until, now)) }
            }
            CardState::FrozenByStaff
            | CardState::Lost
            | CardState::Replaced
            | CardState::Expired => self,
        }
    }

    /// As whoever adds or changes a card leaves it during a pause that ends `until`: the pause is
    /// about the person's money, not about one piece of plastic.
    #[must_use]
    pub fn under(self, until: Option<Timestamp>, at: Timestamp) -> Self {
        match until {
            Some(until) if until > at => self.paused(at, until),
            Some(_) | None => self,
        }
    }

    /// Without a pause that is over by `at`.
    #[must_use]
    pub fn settled(self, at: Timestamp) -> Self {
        match self.then {
            Some((until, state)) if at >= until => Self::lasting(state),
            Some(_) | None => self,
        }
    }

    /// Made into another lasting state by the person. A pause by staff goes on, and this is what
    /// comes after it; a lost card is lost at once.
    #[must_use]
    pub const fn made(self, state: CardState) -> Self {
        match (self.then, state) {
            (_, CardState::Lost) | (None, _) => Self::lasting(state),
            (Some((until, _)), _) => Self { state: self.state, then: Some((until, state)) },
        }
    }

    /// As it was before staff paused it, and as the person has made it since.
    #[must_use]
    pub const fn lifted(self) -> Self {
        match self.then {
            Some((_, state)) => Self::lasting(state),
            None => self,
        }
    }
}
