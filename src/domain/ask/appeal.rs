//! An appeal: another human being reviews a refusal or a restriction.

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
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// The state of an appeal.
    AppealState {
        Open => "open",
        /// The decision was wrong.
        Changed => "changed",
        /// The decision stands, and the person is told a next step outside the programme.
        Kept => "kept",
        TakenBack => "taken_back",
    }
);

stored_enum!(
    /// What applies until the appeal is answered.
    InterimMeasure {
        AsItWas => "as_it_was",
        /// A small permission at once, because essentials must not wait.
        YesForNow => "yes_for_now",
    }
);

/// How many appeals of one person may be open at the same time.
pub const OPEN_APPEALS_MAX: usize = 10;
/// For how long a refused ask or a declined purchase can be appealed; after that it has been bought
/// or is no longer wanted.
pub const APPEAL_WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);

/// For how long a used interim permission counts against [`InterimLimits::all`].
pub const INTERIM_LIMIT_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An interim permission that an earlier appeal gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterimGrant {
    /// Whether that appeal waits for an answer.
    pub is_waiting: bool,
    /// None when it ended long ago and was purged.
    pub permission: Option<Permission>,
    pub given_at: Timestamp,
}

/// The limits of interim permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterimLimits {
    /// The highest amount of one interim permission.
    pub each: Money,
    /// The total of one person's interim permissions that are live, or were used and given within
    /// [`INTERIM_LIMIT_WINDOW`].
    pub all: Money,
}

impl InterimGrant {
    /// Whether the permission can still be used, or the answer to its appeal may still grant one.
    fn is_open(&self, at: Timestamp) -> bool {
        self.is_waiting || self.permission.as_ref().is_some_and(|known| known.is_live(at))
    }

    /// The amount that counts against [`InterimLimits::all`]: the cap of a permission that is live,
    /// or that was used and was given within [`INTERIM_LIMIT_WINDOW`]; otherwise none.
    fn counts(&self, at: Timestamp) -> Option<Money> {
        let permission = self.permission.as_ref()?;
        let is_recent = at.duration_since(self.given_at) < INTERIM_LIMIT_WINDOW;
        let was_used = permission.uses_left < 1;
        let does_count = permission.is_live(at) || (was_used && is_recent);
        does_count.then_some(permission.cap)
    }
}

/// The cap of a new interim permission for `scope`, given the earlier ones `before`. None while one
/// for the same scope or shop is open, or when the limits leave nothing.
///
/// # Errors
///
/// [`MoneyError`] for another currency or an overflow.
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

stored_enum!(
    /// The kind of an [`AppealSubject`].
    AppealSubjectKind {
        Ask => "ask",
        Pause => "pause",
        Version => "version",
        /// The word is the API's, and stored.
        Decline => "refusal",
        Card => "card",
    }
);

/// The decision that an appeal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppealSubject {
    Ask(AskId),
    Pause(PauseId),
    /// A version of the list that a law forced: its proposal.
    Version(ProposalId),
    /// A purchase that was declined because of the list, without an ask.
    Decline(DecisionId),
    /// A card that staff froze without an end.
    Card(CardToken),
}

impl AppealSubject {
    /// When a decision made at `decided_at` can no longer be appealed; none if it can be appealed
    /// for as long as it is in force.
    pub fn until(&self, decided_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Ask(_) | Self::Decline(_) => {
                Some(decided_at.checked_add(APPEAL_WINDOW).unwrap_or(Timestamp::MAX))
            }
            Self::Pause(_) | Self::Version(_) | Self::Card(_) => None,
        }
    }

    /// The kind, whose word the stored form begins with.
    pub const fn kind(&self) -> AppealSubjectKind {
        match self {
            Self::Ask(_) => AppealSubjectKind::Ask,
            Self::Pause(_) => AppealSubjectKind::Pause,
            Self::Version(_) => AppealSubjectKind::Version,
            Self::Decline(_) => AppealSubjectKind::Decline,
            Self::Card(_) => AppealSubjectKind::Card,
        }
    }
}

impl fmt::Display for AppealSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().word();
        match self {
            Self::Ask(id) => write!(f, "{kind}:{id}"),
            Self::Pause(id) => write!(f, "{kind}:{id}"),
            Self::Version(id) => write!(f, "{kind}:{id}"),
            Self::Decline(id) => write!(f, "{kind}:{id}"),
            Self::Card(token) => write!(f, "{kind}:{token}"),
        }
    }
}

/// The text is not the stored form of an appeal's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not something to look at again, such as \"ask:ask_…\"")]
pub struct ParseAppealSubjectError;

impl FromStr for AppealSubject {
    type Err = ParseAppealSubjectError;

    fn from_str(text: &str) -> Result<Self, ParseAppealSubjectError> {
        let (kind, id) = text.split_once(':').ok_or(ParseAppealSubjectError)?;
        let about = match AppealSubjectKind::from_word(kind).ok_or(ParseAppealSubjectError)? {
            AppealSubjectKind::Ask => id.parse().ok().map(Self::Ask),
            AppealSubjectKind::Pause => id.parse().ok().map(Self::Pause),
            AppealSubjectKind::Version => id.parse().ok().map(Self::Version),
            AppealSubjectKind::Decline => id.parse().ok().map(Self::Decline),
            AppealSubjectKind::Card => id.parse().ok().map(Self::Card),
        };
        about.ok_or(ParseAppealSubjectError)
    }
}

/// A decision that can be appealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appealable {
    pub about: AppealSubject,
    pub decided_at: Timestamp,
    /// When it can no longer be appealed; none for as long as it is in force.
    pub until: Option<Timestamp>,
    /// Why it was decided: a reason code, or the words of the human being who decided.
    pub reason: Option<String>,
    /// The shop and the amount: only the person sees these without a recorded view.
    pub place: Option<String>,
    pub amount: Option<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appeal {
    pub id: AppealId,
    pub budget: BudgetId,
    pub about: AppealSubject,
    /// The human beings who made the decision; none of them may answer the appeal.
    pub decided_by: BTreeSet<HumanId>,
    pub words: Option<String>,
    pub opened: ActorIdentity,
    pub opened_at: Timestamp,
    pub interim: InterimMeasure,
    /// The interim permission, if one was given.
    pub permission: Option<PermissionId>,
    pub answer_by: Timestamp,
    pub state: AppealState,
    pub outcome: Option<AppealOutcome>,
}

/// The answer to an appeal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealOutcome {
    pub by: ActorIdentity,
    pub at: Timestamp,
    /// Why, in words that the person reads.
    pub words: String,
    /// The next step outside the programme; none if the decision was changed.
    pub next_step: Option<String>,
    /// The permission created if a refusal was changed.
    pub permission: Option<PermissionId>,
}

/// Why an answer is invalid or cannot be given.
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

/// The finding of the human being who reviewed the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppealFinding<'a> {
    Changed,
    Kept { next_step: &'a str },
}

impl AppealFinding<'_> {
    /// The state of an appeal with this finding.
    pub const fn state(self) -> AppealState {
        match self {
            Self::Changed => AppealState::Changed,
            Self::Kept { .. } => AppealState::Kept,
        }
    }
}

impl Appeal {
    /// Whether a new appeal about the same subject repeats this one. It does not if this one was
    /// withdrawn, or unfroze a card that has been frozen again.
    pub fn is_repeat(&self) -> bool {
        match (self.state, &self.about) {
            (AppealState::TakenBack, _) | (AppealState::Changed, AppealSubject::Card(_)) => false,
            (AppealState::Open | AppealState::Changed | AppealState::Kept, _) => true,
        }
    }

    /// Whether it waits for an answer.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, AppealState::Open)
    }

    /// The appeal after an answer. `permission` is kept only if the decision was changed.
    ///
    /// # Errors
    ///
    /// [`AppealError`]: the answer is invalid, the appeal is not open, or the human being decided
    /// or opened it.
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

    /// The appeal after its opener has withdrawn it; none if it is not open.
    pub fn taken_back(&self) -> Option<Self> {
        self.is_open().then(|| Self { state: AppealState::TakenBack, ..self.clone() })
    }

    /// Whether `by` has already given exactly this answer, so that a retry is idempotent.
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
