//! An appeal: somebody else looks at a no.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::ask::By;
use super::id::{AppealId, AskId, BudgetId, HumanId, PauseId, PermissionId, ProposalId};
use super::role::words;

words!(
    /// How far it has come.
    AppealState {
        Open => "open",
        /// We were wrong.
        Changed => "changed",
        /// It stays as it was, and there is a next step outside of the programme.
        Kept => "kept",
        TakenBack => "taken_back",
    }
);

words!(
    /// What holds until it is answered.
    Interim {
        AsItWas => "as_it_was",
        /// Essentials do not wait: a small permission, at once.
        YesForNow => "yes_for_now",
    }
);

/// What an appeal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Ask(AskId),
    Pause(PauseId),
    /// What a law forced: the proposal that became a version.
    Version(ProposalId),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(id) => write!(f, "ask:{id}"),
            Self::Pause(id) => write!(f, "pause:{id}"),
            Self::Version(id) => write!(f, "version:{id}"),
        }
    }
}

/// Text that names nothing that can be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not something to look at again, such as \"ask:ask_…\"")]
pub struct ParseAboutError;

impl FromStr for About {
    type Err = ParseAboutError;

    fn from_str(text: &str) -> Result<Self, ParseAboutError> {
        let about = match text.split_once(':') {
            Some(("ask", id)) => id.parse().ok().map(Self::Ask),
            Some(("pause", id)) => id.parse().ok().map(Self::Pause),
            Some(("version", id)) => id.parse().ok().map(Self::Version),
            Some(_) | None => None,
        };
        about.ok_or(ParseAboutError)
    }
}

/// One appeal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appeal {
    pub id: AppealId,
    pub budget: BudgetId,
    pub about: About,
    /// The human beings who decided: none of them is the one who looks.
    pub decided_by: BTreeSet<HumanId>,
    pub words: Option<String>,
    pub opened: By,
    pub opened_at: Timestamp,
    pub interim: Interim,
    /// The permission that holds until it is answered.
    pub permission: Option<PermissionId>,
    pub answer_by: Timestamp,
    pub state: AppealState,
    pub outcome: Option<Outcome>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub by: By,
    pub at: Timestamp,
    /// Why, in words that the person reads.
    pub words: String,
    /// Where to go next, outside of the programme.
    pub next_step: Option<String>,
    /// The permission that a changed no becomes.
    pub permission: Option<PermissionId>,
}

/// Why an outcome is none, or cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppealError {
    #[error("whoever decided does not look at it again")]
    OwnDecision,
    #[error("nobody answers their own question")]
    OwnAppeal,
    #[error("this has been answered")]
    Decided,
    #[error("say why, in words that the person reads")]
    NoWords,
    #[error("say where the person can go next, outside of the programme")]
    NoNextStep,
}

/// What somebody found who looked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<'a> {
    Changed,
    Kept { next_step: &'a str },
}

impl Appeal {
    /// Whether it is still looked at.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, AppealState::Open)
    }

    /// The appeal after somebody has looked at it.
    pub fn answered(
        &self,
        by: &By,
        finding: Finding<'_>,
        words: &str,
        at: Timestamp,
        permission: Option<PermissionId>,
    ) -> Result<Self, AppealError> {
        if self.decided_by.contains(&by.human) {
            return Err(AppealError::OwnDecision);
        }
        if by.human == self.opened.human {
            return Err(AppealError::OwnAppeal);
        }
        if !self.is_open() {
            return Err(AppealError::Decided);
        }
        if words.trim().is_empty() {
            return Err(AppealError::NoWords);
        }
        let (state, next_step) = match finding {
            Finding::Changed => (AppealState::Changed, None),
            Finding::Kept { next_step } if next_step.trim().is_empty() => {
                return Err(AppealError::NoNextStep);
            }
            Finding::Kept { next_step } => (AppealState::Kept, Some(next_step.to_owned())),
        };
        let permission = permission.filter(|_| state == AppealState::Changed);
        let words = words.to_owned();
        let outcome = Outcome { by: by.clone(), at, words, next_step, permission };
        Ok(Self { state, outcome: Some(outcome), ..self.clone() })
    }

    /// Whoever opened it does not want it looked at any more; none if it has been answered.
    pub fn taken_back(&self) -> Option<Self> {
        self.is_open().then(|| Self { state: AppealState::TakenBack, ..self.clone() })
    }

    /// Whether `by` has answered it so already: sent twice, it counts once.
    pub fn was_answered_so(&self, by: &By, state: AppealState) -> bool {
        self.state == state && self.outcome.as_ref().is_some_and(|outcome| outcome.by == *by)
    }
}
