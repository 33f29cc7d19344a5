//! An appeal: somebody else looks at a no.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Scope;
use crate::domain::ask::ActorIdentity;
use crate::domain::ask::permission::Permission;
use crate::domain::id::{
    AppealId, AskId, BudgetId, CardToken, DecisionId, HumanId, PauseId, PermissionId, ProposalId,
};
use crate::domain::money::{Money, MoneyError};
use crate::domain::people::role::stored_enum;

stored_enum!(
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

stored_enum!(
    /// What holds until it is answered.
    InterimMeasure {
        AsItWas => "as_it_was",
        /// Essentials do not wait: a small permission, at once.
        YesForNow => "yes_for_now",
    }
);

/// How many appeals of one person may wait at the same time.
pub const MAX_OPEN_APPEALS: usize = 10;
/// For how long a no of somebody's, or of a till, can be appealed: what was wanted then is bought, or
/// not wanted any more.
pub const APPEAL_WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);

/// For how long a yes for now that was used counts against the next ones.
pub const INTERIM_LIMIT_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A yes for now that an appeal became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterimGrant {
    /// Whether its appeal waits for an answer.
    pub is_waiting: bool,
    /// None when it ended long ago and was forgotten.
    pub permission: Option<Permission>,
    pub given_at: Timestamp,
}

/// How much yeses for now may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterimLimits {
    /// One of them.
    pub each: Money,
    /// All of one person that are open, or were used within [`INTERIM_LIMIT_WINDOW`].
    pub all: Money,
}

impl InterimGrant {
    /// Whether something can still be bought with it, or an appeal may yet say yes to the same.
    fn is_open(&self, at: Timestamp) -> bool {
        self.is_waiting || self.permission.as_ref().is_some_and(|known| known.is_live(at))
    }

    /// What it counts. One that nobody used and nobody can use any more stepped over nothing.
    fn counts(&self, at: Timestamp) -> Option<Money> {
        let permission = self.permission.as_ref()?;
        let is_recent = at.duration_since(self.given_at) < INTERIM_LIMIT_WINDOW;
        let was_used = permission.uses_left < 1;
        let does_count = permission.is_live(at) || (was_used && is_recent);
        does_count.then_some(permission.cap)
    }
}

/// Up to how much a purchase in `scope` is a yes for now, beside those that were given `before`; none
/// when one for the same is open, or when they come to as much as they may.
pub fn interim_cap(
    scope: &Scope,
    wanted: Money,
    before: &[InterimGrant],
    limits: InterimLimits,
    at: Timestamp,
) -> Result<Option<Money>, MoneyError> {
    let is_same = |known: &Permission| {
        known.scope == *scope || scope.shops().any(|shop| known.scope.shops().any(|s| s == shop))
    };
    let is_taken = |yes: &&InterimGrant| yes.permission.as_ref().is_some_and(is_same);
    if before.iter().filter(is_taken).any(|yes| yes.is_open(at)) {
        return Ok(None);
    }
    let mut left = limits.all;
    for counted in before.iter().filter_map(|yes| yes.counts(at)) {
        left = left.checked_sub(counted)?;
    }
    let cap = wanted.least(limits.each)?.least(left)?;
    Ok(Some(cap).filter(|cap| cap.is_positive()))
}

/// What an appeal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppealSubject {
    Ask(AskId),
    Pause(PauseId),
    /// What a law forced: the proposal that became a version.
    Version(ProposalId),
    /// What a till refused by the list, and nobody was asked about.
    Refusal(DecisionId),
    /// A card that staff froze without a pause that ends by itself.
    Card(CardToken),
}

impl AppealSubject {
    /// Until when it can be appealed; none for as long as it holds.
    pub fn until(&self, decided_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Ask(_) | Self::Refusal(_) => {
                Some(decided_at.checked_add(APPEAL_WINDOW).unwrap_or(Timestamp::MAX))
            }
            Self::Pause(_) | Self::Version(_) | Self::Card(_) => None,
        }
    }

    /// The word of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ask(_) => "ask",
            Self::Pause(_) => "pause",
            Self::Version(_) => "version",
            Self::Refusal(_) => "refusal",
            Self::Card(_) => "card",
        }
    }
}

impl fmt::Display for AppealSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Ask(id) => write!(f, "{kind}:{id}"),
            Self::Pause(id) => write!(f, "{kind}:{id}"),
            Self::Version(id) => write!(f, "{kind}:{id}"),
            Self::Refusal(id) => write!(f, "{kind}:{id}"),
            Self::Card(token) => write!(f, "{kind}:{token}"),
        }
    }
}

/// Text that names nothing that can be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not something to look at again, such as \"ask:ask_…\"")]
pub struct ParseAppealSubjectError;

impl FromStr for AppealSubject {
    type Err = ParseAppealSubjectError;

    fn from_str(text: &str) -> Result<Self, ParseAppealSubjectError> {
        let about = match text.split_once(':') {
            Some(("ask", id)) => id.parse().ok().map(Self::Ask),
            Some(("pause", id)) => id.parse().ok().map(Self::Pause),
            Some(("version", id)) => id.parse().ok().map(Self::Version),
            Some(("refusal", id)) => id.parse().ok().map(Self::Refusal),
            Some(("card", token)) => token.parse().ok().map(Self::Card),
            Some(_) | None => None,
        };
        about.ok_or(ParseAppealSubjectError)
    }
}

/// Something that can be appealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appealable {
    pub about: AppealSubject,
    pub decided_at: Timestamp,
    /// None for as long as it holds.
    pub until: Option<Timestamp>,
    /// Why it was decided so: a code, or somebody's words.
    pub reason: Option<String>,
    /// Where and for how much it was; only the person reads that without a look that is kept.
    pub place: Option<String>,
    pub amount: Option<Money>,
}

/// One appeal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appeal {
    pub id: AppealId,
    pub budget: BudgetId,
    pub about: AppealSubject,
    /// The human beings who decided: none of them is the one who looks.
    pub decided_by: BTreeSet<HumanId>,
    pub words: Option<String>,
    pub opened: ActorIdentity,
    pub opened_at: Timestamp,
    pub interim: InterimMeasure,
    /// The permission that holds until it is answered.
    pub permission: Option<PermissionId>,
    pub answer_by: Timestamp,
    pub state: AppealState,
    pub outcome: Option<AppealOutcome>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealOutcome {
    pub by: ActorIdentity,
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
pub enum AppealFinding<'a> {
    Changed,
    Kept { next_step: &'a str },
}

impl AppealFinding<'_> {
    /// The state that an appeal has after it.
    pub const fn state(self) -> AppealState {
        match self {
            Self::Changed => AppealState::Changed,
            Self::Kept { .. } => AppealState::Kept,
        }
    }
}

impl Appeal {
    /// Whether asking again for the same is this one: not when it was taken back, and not when a card
    /// that it freed was frozen again.
    pub fn is_repeat(&self) -> bool {
        match (self.state, &self.about) {
            (AppealState::TakenBack, _) | (AppealState::Changed, AppealSubject::Card(_)) => false,
            (AppealState::Open | AppealState::Changed | AppealState::Kept, _) => true,
        }
    }

    /// Whether it is still looked at.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, AppealState::Open)
    }

    /// The appeal after somebody has looked at it.
    pub fn answered(
        &self,
        by: &ActorIdentity,
        finding: AppealFinding<'_>,
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
        let next_step = match finding {
            AppealFinding::Changed => None,
            AppealFinding::Kept { next_step } if next_step.trim().is_empty() => {
                return Err(AppealError::NoNextStep);
            }
            AppealFinding::Kept { next_step } => Some(next_step.to_owned()),
        };
        let state = finding.state();
        let permission = permission.filter(|_| state == AppealState::Changed);
        let words = words.to_owned();
        let outcome = AppealOutcome { by: by.clone(), at, words, next_step, permission };
        Ok(Self { state, outcome: Some(outcome), ..self.clone() })
    }

    /// Whoever opened it does not want it looked at any more; none if it has been answered.
    pub fn taken_back(&self) -> Option<Self> {
        self.is_open().then(|| Self { state: AppealState::TakenBack, ..self.clone() })
    }

    /// Whether `by` has answered it so already, to the last word: sent twice, it counts once.
    pub fn is_same_answer(
        &self,
        by: &ActorIdentity,
        finding: AppealFinding<'_>,
        words: &str,
    ) -> bool {
        let next_step = match finding {
            AppealFinding::Changed => None,
            AppealFinding::Kept { next_step } => Some(next_step),
        };
        self.state == finding.state()
            && self.outcome.as_ref().is_some_and(|outcome| {
                outcome.by == *by
                    && outcome.words == words
                    && outcome.next_step.as_deref() == next_step
            })
    }
}
