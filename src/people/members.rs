//! Access checks of use cases: an account acts on a person's budget, in a transaction that has
//! locked the budget.
//!
//! Access is read in the transaction that writes the act, never from a token, because since the
//! token was issued the account may have ended, or the person may have got another worker.

use std::fmt;

use jiff::Timestamp;

use crate::domain::id::{ActId, BudgetId, MemberId, PersonId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::people::role::{AccessDenied, AccessTarget, Actor, Capability};
use crate::ledger::book::LedgerError;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, DirectoryError};
use crate::programme::version::StartVersionError;
use crate::store::{ActRow, StoreError, Tx};

/// What every use case needs besides its transaction.
#[derive(Debug, Clone, Copy)]
pub struct UseCaseContext<'a> {
    pub directory: &'a Directory,
    pub ids: &'a NewIds,
}

/// Why an account that has the capability must leave this case to another human being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeparationOfDuties {
    #[error("it is over your own limit: pass it on, and the manager answers in the same time")]
    OverYourLimit,
    #[error("a link between you and this person is marked: somebody else must decide")]
    ConflictOfInterest,
    #[error("nobody answers their own question: somebody else does")]
    OwnAsk,
    #[error("whoever decided does not look at it again: somebody else does")]
    OwnDecision,
}

/// The recorded answer, for an account that sends a different one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingAnswer {
    /// Who answered; none when no account did, as after a timeout.
    pub by: Option<MemberId>,
    /// The display name of who answered; none for the caller's own answer.
    pub name: Option<String>,
    pub at: Timestamp,
    /// The stored word of the answer, such as `yes`, `not_this_time` or `kept`.
    pub said: &'static str,
    pub reason: Option<&'static str>,
    pub words: Option<String>,
    pub up_to: Option<Money>,
    /// The scope of a yes.
    pub scope: Option<String>,
    pub ends_at: Option<Timestamp>,
    /// The agreed parts of a proposal; none for all of it.
    pub parts: Option<Vec<String>>,
    pub next_step: Option<String>,
}

impl ExistingAnswer {
    /// An answer with only its word and its time.
    pub const fn new(said: &'static str, at: Timestamp) -> Self {
        Self {
            by: None,
            name: None,
            at,
            said,
            reason: None,
            words: None,
            up_to: None,
            scope: None,
            ends_at: None,
            parts: None,
            next_step: None,
        }
    }
}

impl fmt::Display for ExistingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.said;
        match (&self.name, &self.by) {
            (Some(name), _) => write!(f, "{name} was first: {said}"),
            (None, Some(_)) => write!(f, "you have answered this, and that stands: {said}"),
            (None, None) => write!(f, "it is over: {said}"),
        }
    }
}

/// Why a use case did not act. Its caller does not commit, so nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// The subject does not exist, or this account must not learn that it does.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// The account may see the subject but lacks the capability.
    #[error("this account may not do that: {0}")]
    NotAllowed(&'static str),
    /// The account has the capability, but another human being must act.
    #[error("{0}")]
    SeparationOfDuties(#[from] SeparationOfDuties),
    /// A field of the request is invalid: its name, and what to do about it.
    #[error("{field}: {what}")]
    Invalid { field: &'static str, what: String },
    /// The subject has changed since, or its state does not allow the act.
    #[error("{0}")]
    Conflict(String),
    /// A different answer was recorded before; it does not change.
    #[error("{0}")]
    AlreadyAnswered(Box<ExistingAnswer>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl UseCaseError {
    /// [`UseCaseError::Invalid`] for one field of the request.
    pub fn invalid(field: &'static str, what: impl Into<String>) -> Self {
        Self::Invalid { field, what: what.into() }
    }
}

impl From<StartVersionError> for UseCaseError {
    fn from(error: StartVersionError) -> Self {
        match error {
            StartVersionError::Store(error) => Self::Store(error),
            StartVersionError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// The authenticated account that acts, and the time of the act.
#[derive(Debug, Clone)]
pub struct Principal {
    pub programme: ProgrammeId,
    pub member: MemberId,
    pub at: Timestamp,
}

/// The access of an account to one budget, after the capability check.
#[derive(Debug, Clone)]
pub struct GrantedAccess {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub actor: Actor,
    pub subject: AccessTarget,
    pub at: Timestamp,
}

impl Principal {
    /// Checks that the account has the capability `act` for the budget of `person`. The caller must
    /// hold the lock of the budget, because otherwise the data read here may be stale when the act
    /// is written.
    ///
    /// # Errors
    ///
    /// [`UseCaseError::NotFound`] when the account may not see the person at all;
    /// [`UseCaseError::NotAllowed`] when it only lacks this capability.
    pub async fn admit(
        &self,
        tx: &mut Tx,
        act: Capability,
        person: &PersonId,
    ) -> Result<GrantedAccess, UseCaseError> {
        let actor = tx.actor(&self.programme, &self.member, self.at).await?;
        self.grant_access(tx, actor, act, person).await
    }

    /// As [`Principal::admit`], for a read-only transaction: it locks nothing.
    pub async fn admit_to_read(
        &self,
        tx: &mut Tx,
        act: Capability,
        person: &PersonId,
    ) -> Result<GrantedAccess, UseCaseError> {
        let actor = tx.actor_without_lock(&self.programme, &self.member, self.at).await?;
        self.grant_access(tx, actor, act, person).await
    }

    async fn grant_access(
        &self,
        tx: &mut Tx,
        actor: Option<Actor>,
        act: Capability,
        person: &PersonId,
    ) -> Result<GrantedAccess, UseCaseError> {
        let budget = BudgetId::of(person);
        let actor = actor.ok_or(UseCaseError::NotFound("person"))?;
        let subject = tx.subject(&self.programme, &budget).await?;
        let subject = subject.ok_or(UseCaseError::NotFound("person"))?;
        actor.may(act, &subject).map_err(|refusal| match refusal {
            AccessDenied::NotThere => UseCaseError::NotFound("person"),
            AccessDenied::NotAllowed => UseCaseError::NotAllowed(act.word()),
        })?;
        let programme = self.programme.clone();
        Ok(GrantedAccess { programme, budget, actor, subject, at: self.at })
    }
}

impl GrantedAccess {
    /// Whether the account has the capability `act` too.
    pub fn may(&self, act: Capability) -> bool {
        self.actor.may(act, &self.subject).is_ok()
    }

    /// Refuses an account that has a conflict of interest with the person: it may neither consent
    /// nor refuse, and neither begin nor lift a pause.
    ///
    /// # Errors
    ///
    /// [`SeparationOfDuties::ConflictOfInterest`].
    pub fn check_no_conflict(&self) -> Result<(), UseCaseError> {
        if self.actor.has_conflict(&self.subject.person) {
            Err(SeparationOfDuties::ConflictOfInterest.into())
        } else {
            Ok(())
        }
    }

    /// Builds the error for an account whose answer differs from the recorded `answer` of `by`, and
    /// looks up the name of `by`.
    pub async fn already_answered(
        &self,
        tx: &mut Tx,
        by: Option<&MemberId>,
        answer: ExistingAnswer,
    ) -> Result<UseCaseError, UseCaseError> {
        let is_own = by == Some(&self.actor.member.id);
        let name = match by {
            Some(by) if !is_own => {
                let actor = tx.actor(&self.programme, by, self.at).await?;
                Some(actor.map_or_else(|| by.to_string(), |actor| actor.member.name))
            }
            Some(_) | None => None,
        };
        Ok(UseCaseError::AlreadyAnswered(Box::new(ExistingAnswer {
            by: by.cloned(),
            name,
            ..answer
        })))
    }

    /// The audit row of an act of this account.
    pub fn act_row(&self, ids: &NewIds, kind: &str, subject: &str, detail: &str) -> ActRow {
        ActRow {
            programme_id: self.programme.clone(),
            budget_id: self.budget.clone(),
            act_id: ActId::new(ids.next(self.at)),
            member_id: self.actor.member.id.clone(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            acted_at: self.at,
        }
    }
}
