//! A safety pause: the only restriction that one member of staff can impose alone, for a limited
//! time.

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{HumanId, MemberId, PauseId, TalkId};

/// The longest that one pause may last.
pub const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// For how long after a pause the same human being cannot begin another one, because pause after
/// pause would be a rule that nobody agreed to.
pub const PAUSE_COOLDOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub id: PauseId,
    pub member: MemberId,
    pub human: HumanId,
    /// Why, in words that the person reads.
    pub reason: String,
    /// The safety talk that was recorded before the pause.
    pub talk: TalkId,
    pub begins_at: Timestamp,
    pub ends_at: Timestamp,
    pub lifted_at: Option<Timestamp>,
}

/// Why a pause cannot begin, or cannot be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    #[error("a pause ends after it begins")]
    EndsFirst,
    #[error("a pause is at most {} days long", PAUSE_MAX.as_hours().div_euclid(24))]
    TooLong,
    #[error("the card is paused already")]
    PausedAlready,
    #[error(
        "the pause before was by the same person; for {} days somebody else has to say that \
         another one is needed",
        PAUSE_COOLDOWN.as_hours().div_euclid(24)
    )]
    SamePersonAgain,
    #[error("this pause is over")]
    Over,
}

impl Pause {
    /// When the pause ends or ended: at its planned end, or earlier if it was lifted.
    pub fn over_at(&self) -> Timestamp {
        self.lifted_at.map_or(self.ends_at, |lifted| lifted.min(self.ends_at))
    }

    /// Checks that this pause can begin after the pauses `before`.
    ///
    /// # Errors
    ///
    /// [`PauseError`], except [`PauseError::Over`].
    pub fn check(&self, before: &[Self]) -> Result<(), PauseError> {
        if self.ends_at <= self.begins_at {
            return Err(PauseError::EndsFirst);
        }
        if self.ends_at.duration_since(self.begins_at) > PAUSE_MAX {
            return Err(PauseError::TooLong);
        }
        if before.iter().any(|pause| pause.over_at() > self.begins_at) {
            return Err(PauseError::PausedAlready);
        }
        let is_near =
            |pause: &&Self| self.begins_at.duration_since(pause.over_at()) < PAUSE_COOLDOWN;
        if before.iter().filter(is_near).any(|pause| pause.human == self.human) {
            return Err(PauseError::SamePersonAgain);
        }
        Ok(())
    }

    /// This pause, lifted at `at`.
    ///
    /// # Errors
    ///
    /// [`PauseError::Over`] when it has ended already.
    pub fn lifted(&self, at: Timestamp) -> Result<Self, PauseError> {
        if self.over_at() <= at {
            return Err(PauseError::Over);
        }
        Ok(Self { lifted_at: Some(at), ..self.clone() })
    }
}
