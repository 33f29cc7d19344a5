//! Acting: an account does something about a person's budget, in a transaction that has locked it.
//!
//! Who may do what is read where the act is written, never from a token that was made before: an
//! account that has ended meanwhile, or a worker who is no longer the person's, is refused.

use std::fmt;

use jiff::Timestamp;

use crate::domain::id::{ActId, BudgetId, MemberId, PersonId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::people::role::{AccessDenied, AccessTarget, Actor, Capability};
use crate::ledger::book::LedgerError;
use crate::platform::ids::NewIds;
use crate::programme::directory::DirectoryError;
use crate::programme::version::StartError;
use crate::store::{ActRow, StoreError, Tx};

/// Why somebody who may do such things must leave this one to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeparationOfDuties {
    #[error("it is over your own limit: pass it on, and the manager answers in the same time")]
    OverYourLimit,
    #[error("a link between you and this person is marked: somebody else must decide")]
    ConflictOfInterest,
    #[error("nobody answers their own question: somebody else does")]
    OwnQuestion,
    #[error("whoever decided does not look at it again: somebody else does")]
    OwnDecision,
}

/// An answer that stands, for whoever answers otherwise than it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingAnswer {
    /// Whose it is; none when a clock of the programme answered.
    pub by: Option<MemberId>,
    /// What they are called; none for one's own answer.
    pub name: Option<String>,
    pub at: Timestamp,
    /// `yes`, `not_this_time`, `kept`.
    pub said: &'static str,
    pub reason: Option<&'static str>,
    pub words: Option<String>,
    pub up_to: Option<Money>,
    /// What it is for.
    pub scope: Option<String>,
    pub ends_at: Option<Timestamp>,
    /// What of a list was agreed, if not all of it.
    pub parts: Option<Vec<String>>,
    pub next_step: Option<String>,
}

impl ExistingAnswer {
    /// An answer that says `said` and nothing more.
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

/// Why something was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// What it is about is not there, or not to be known by this account.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// The account sees it, and may not do this to it.
    #[error("this account may not do that: {0}")]
    NotAllowed(&'static str),
    /// The account may do such things, and must leave this one to somebody else.
    #[error("{0}")]
    SeparationOfDuties(#[from] SeparationOfDuties),
    /// What was sent cannot be done: the field, and what to do.
    #[error("{field}: {what}")]
    Invalid { field: &'static str, what: String },
    /// It has changed since, or is not in a state for this.
    #[error("{0}")]
    Conflict(String),
    /// It was answered otherwise: with the answer that stands.
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
    /// An error about one field of what was sent.
    pub fn invalid(field: &'static str, what: impl Into<String>) -> Self {
        Self::Invalid { field, what: what.into() }
    }
}

impl From<StartError> for UseCaseError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => Self::Store(error),
            StartError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// Who acts, when.
#[derive(Debug, Clone)]
pub struct Principal {
    pub programme: ProgrammeId,
    pub member: MemberId,
    pub at: Timestamp,
}

/// An account before a locked budget that it may do something about.
#[derive(Debug, Clone)]
pub struct GrantedAccess {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub actor: Actor,
    pub subject: AccessTarget,
    pub at: Timestamp,
}

impl Principal {
    /// Admits the account to `act` about the budget of `person`. The budget must be locked by now:
    /// otherwise what is read here may be old when it is written.
    pub async fn admit(
        &self,
        tx: &mut Tx,
        act: Capability,
        person: &PersonId,
    ) -> Result<GrantedAccess, UseCaseError> {
        let actor = tx.actor(&self.programme, &self.member, self.at).await?;
        self.grant_access(tx, actor, act, person).await
    }

    /// Admits the account to see something of `person`, in a transaction that only reads.
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
    /// Whoever has a marked link to the person decides nothing about them: no yes and no no, no pause
    /// and no end of one.
    pub fn check_no_conflict(&self) -> Result<(), UseCaseError> {
        if self.actor.has_conflict(&self.subject.person) {
            Err(SeparationOfDuties::ConflictOfInterest.into())
        } else {
            Ok(())
        }
    }

    /// Tells whoever acts of the answer of `by` that stands.
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

    /// The row that tells of what was done.
    pub fn act_row(&self, ids: &NewIds, kind: &str, subject: &str, detail: &str) -> ActRow {
        ActRow {
            budget: self.budget.clone(),
            id: ActId::new(ids.next(self.at)),
            member: self.actor.member.id.clone(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            acted_at: self.at,
        }
    }
}
