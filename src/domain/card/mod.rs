//! A payment card, identified by its issuer's token; we never see its number (PAN).

pub mod pause;
pub mod safety;

use jiff::Timestamp;

use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// Whether a card can pay now, and why not.
    CardState {
        Active => "active",
        /// Not activated yet.
        NotStarted => "not_started",
        /// Frozen by the person; only they unfreeze it.
        FrozenByPerson => "frozen_by_person",
        /// Paused by staff for safety, with a reason and normally an end ([`CardStatus::then`]),
        /// both of which the person is told.
        FrozenByStaff => "frozen_by_staff",
        Lost => "lost",
        /// An old card that another card has replaced.
        Replaced => "replaced",
        /// Its printed expiry date has passed.
        Expired => "expired",
    }
);

impl CardState {
    /// Whether texts about a card in this state name a card by its last four digits: this card, or
    /// its replacement.
    pub const fn is_identified_by_last_four(self) -> bool {
        match self {
            Self::Lost | Self::Replaced | Self::Expired => true,
            Self::Active | Self::NotStarted | Self::FrozenByPerson | Self::FrozenByStaff => false,
        }
    }

    /// Whether the card has been in use and cannot pay now.
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

/// A card's state over time. A pause by staff ends by itself at the stored instant, so that it ends
/// even if nobody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardStatus {
    pub state: CardState,
    /// When the state changes by itself, and to which state.
    pub then: Option<(Timestamp, CardState)>,
}

impl CardStatus {
    /// A state that lasts until somebody changes it.
    pub const fn lasting(state: CardState) -> Self {
        Self { state, then: None }
    }

    /// The state at `at`.
    pub fn at(self, at: Timestamp) -> CardState {
        match self.then {
            Some((until, state)) if at >= until => state,
            Some(_) | None => self.state,
        }
    }

    /// The state that remains when every pause is over.
    pub const fn lasting_state(self) -> CardState {
        match self.then {
            Some((_, state)) => state,
            None => self.state,
        }
    }

    /// This status, paused by staff until `until`. A card that is lost, replaced, expired or frozen
    /// by staff keeps its status.
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

    /// The status of a card that is added or changed during a pause that ends at `until`. The pause
    /// covers every card, because it is about the person's money.
    #[must_use]
    pub fn under(self, until: Option<Timestamp>, at: Timestamp) -> Self {
        match until {
            Some(until) if until > at => self.paused(at, until),
            Some(_) | None => self,
        }
    }

    /// This status without a pause that has ended by `at`.
    #[must_use]
    pub fn settled(self, at: Timestamp) -> Self {
        match self.then {
            Some((until, state)) if at >= until => Self::lasting(state),
            Some(_) | None => self,
        }
    }

    /// This status with `state` as its lasting state. A running pause by staff continues and
    /// `state` follows it, except that a lost card is lost at once.
    #[must_use]
    pub const fn made(self, state: CardState) -> Self {
        match (self.then, state) {
            (_, CardState::Lost) | (None, _) => Self::lasting(state),
            (Some((until, _)), _) => Self { state: self.state, then: Some((until, state)) },
        }
    }

    /// This status without its pause by staff: the state from before the pause, or the one that the
    /// person has set since.
    #[must_use]
    pub const fn lifted(self) -> Self {
        match self.then {
            Some((_, state)) => Self::lasting(state),
            None => self,
        }
    }
}
