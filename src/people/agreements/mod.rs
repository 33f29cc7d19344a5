//! Use cases of agreements: a list is drafted, proposed, answered and started; the person tightens
//! it alone; staff pause cards for safety; a law forces changes.
//!
//! Each use case runs in the caller's transaction. It locks the budget first, checks access, lets
//! the domain compute the next state, and writes rows, acts and messages together. The caller
//! commits.

mod answer;
mod draft;
mod guide;
mod help;
mod law;
mod notifications;
mod pause;
mod propose;
mod report;
mod start;

use std::collections::BTreeSet;

pub use self::answer::{ProposalAnswerRequest, ProposalChange, change_proposal, expire};
pub use self::draft::{DraftRequest, adopt_draft, draft};
pub use self::guide::{GuidePublication, publish_guide};
pub use self::help::{HelpLevel, choose_help};
pub use self::law::{LawRequest, record_law};
pub use self::pause::{PauseRequest, lift, pause};
pub use self::propose::{ProposalRequest, counter_propose, propose};
pub use self::report::{AgreementDiff, SpendingControls, controls, difference, proposed};
pub use self::start::{ProposalProgress, ProposalStage};
use crate::domain::agreement::change::{List, TermChange, TermKey, changes};
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentRequirements, ConsentSession, ConsentSide, Proposal,
    ProposalError,
};
use crate::domain::id::ProposalId;
use crate::domain::people::role::Role;
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::UseCaseError;
use crate::store::Tx;

/// The longest free text, in characters.
const WORDS_CHARS_MAX: usize = 500;
/// The longest consent session, in minutes: one day.
const SESSION_MINUTES_MAX: u32 = 1_440;

impl From<ProposalError> for UseCaseError {
    fn from(error: ProposalError) -> Self {
        match error {
            ProposalError::SameHuman => Self::NotAllowed("answer for two sides"),
            ProposalError::NotYours => Self::NotAllowed("take back what another side proposed"),
            ProposalError::Whole
            | ProposalError::NothingLeft
            | ProposalError::NoSuchPart(_)
            | ProposalError::NotSaidThen(_)
            | ProposalError::NoInParts => Self::invalid("parts", error.to_string()),
            ProposalError::NotOpen(_)
            | ProposalError::TimeIsUp
            | ProposalError::Stale
            | ProposalError::Answered
            | ProposalError::NothingToConfirm
            | ProposalError::Cooling(_) => Self::Conflict(error.to_string()),
        }
    }
}

impl AdmittedBudget<'_> {
    /// The side that the account answers for. Only a person, a worker or a manager has one, and
    /// only without a conflict of interest.
    fn side(&self) -> Result<ConsentSide, UseCaseError> {
        self.access.check_no_conflict()?;
        match self.access.actor.member.role {
            Role::Person => Ok(ConsentSide::Person),
            Role::Worker => Ok(ConsentSide::Worker),
            Role::Manager => Ok(ConsentSide::Manager),
            Role::Helper
            | Role::Advocate
            | Role::Planner
            | Role::Duty
            | Role::Finance
            | Role::Operator
            | Role::Auditor => Err(UseCaseError::NotAllowed("answer for a side")),
        }
    }

    /// The proposal `id`, with its consents.
    async fn proposal(
        &self,
        tx: &mut Tx,
        id: ProposalId,
    ) -> Result<(Proposal, Vec<Consent>), UseCaseError> {
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let found = tx.proposal(programme, budget, id, self.programme.settings.currency).await?;
        found.ok_or(UseCaseError::NotFound("proposal"))
    }

    /// The list last agreed with the worker, without what the person has tightened alone since.
    async fn agreed_list(&self, tx: &mut Tx) -> Result<List, UseCaseError> {
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let agreed = tx.agreed_list(programme, budget, self.programme.settings.currency).await?;
        agreed.map_or_else(|| Ok(self.agreement()?.list()), Ok)
    }

    /// The changes from the list in force to `list`. Refuses an invalid list and one without
    /// changes.
    fn check_list(&self, list: &List) -> Result<Vec<TermChange>, UseCaseError> {
        let now = self.agreement()?.list();
        let currency = self.programme.settings.currency;
        list.check(&now, currency)
            .map_err(|error| UseCaseError::invalid("list", error.to_string()))?;
        let changes = changes(&now, list, &self.programme.rules);
        if changes.is_empty() {
            return Err(UseCaseError::invalid("list", "this is the same as now"));
        }
        Ok(changes)
    }

    /// The consents that the change from the list in force to `next` requires.
    async fn requirements(
        &self,
        tx: &mut Tx,
        next: &List,
    ) -> Result<ConsentRequirements, UseCaseError> {
        let (now, agreed) = (self.agreement()?.list(), self.agreed_list(tx).await?);
        let manager_above = self.programme.settings.manager_above;
        Ok(ConsentRequirements::of(&now, &agreed, next, &self.programme.rules, manager_above))
    }

    /// A yes of this account for `side`. It needs no confirmation, because the account itself gives
    /// it.
    fn consent(
        &self,
        side: ConsentSide,
        session: ConsentSession,
        parts: Option<BTreeSet<TermKey>>,
    ) -> Consent {
        Consent {
            side,
            member: self.access.actor.member.id.clone(),
            human: self.access.actor.member.human.clone(),
            said: ConsentAnswer::Yes,
            parts,
            session,
            words: String::new(),
            confirmed_at: Some(self.access.at),
            said_at: self.access.at,
        }
    }
}

/// A mandatory text, trimmed: 1 to [`WORDS_CHARS_MAX`] characters, without NUL.
fn required_words(field: &'static str, words: &str) -> Result<String, UseCaseError> {
    let words = words.trim();
    if words.is_empty() {
        Err(UseCaseError::invalid(field, "write it in a few plain words"))
    } else if words.chars().count() > WORDS_CHARS_MAX {
        Err(UseCaseError::invalid(field, format!("use at most {WORDS_CHARS_MAX} characters")))
    } else if words.contains('\0') {
        Err(UseCaseError::invalid(field, "it has a character that no page can show"))
    } else {
        Ok(words.to_owned())
    }
}

/// Validates a consent session: the place is mandatory, because a consent counts only with its
/// circumstances; at most [`SESSION_MINUTES_MAX`] minutes.
fn checked_session(session: &ConsentSession) -> Result<ConsentSession, UseCaseError> {
    if session.minutes > SESSION_MINUTES_MAX {
        let what = format!("nobody talks for more than {SESSION_MINUTES_MAX} minutes");
        return Err(UseCaseError::invalid("minutes", what));
    }
    let present = session.present.trim();
    Ok(ConsentSession {
        how: session.how,
        place: required_words("place", &session.place)?,
        minutes: session.minutes,
        present: if present.is_empty() {
            String::new()
        } else {
            required_words("present", present)?
        },
    })
}
