//! The life of an agreement: drafted, proposed, answered, started; tightened by the person alone;
//! paused for safety; forced by a law.
//!
//! Each use case runs in the caller's transaction. It locks the budget first, admits the account, lets
//! the domain say what comes of the move, and writes the rows, what was done and what is told
//! together. The caller commits.

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
use std::sync::Arc;

pub use self::answer::{
    ProposalAnswerRequest, answer, confirm, expire, record_in_person_answer, withdraw,
};
pub use self::draft::{DraftRequest, adopt_draft, draft};
pub use self::guide::{GuidePublication, publish_guide};
pub use self::help::{HelpLevel, choose_help};
pub use self::law::record_law;
pub use self::pause::{PauseRequest, lift, pause};
pub use self::propose::{ProposalRequest, counter_propose, propose};
pub use self::report::{AgreementDiff, SpendingControls, controls, difference, proposed};
pub use self::start::{ProposalProgress, ProposalStage};
use crate::domain::agreement::Agreement;
use crate::domain::agreement::change::{List, TermChange, TermKey, changes};
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentRequirements, ConsentSession, ConsentSide, Proposal,
    ProposalError,
};
use crate::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId};
use crate::domain::people::role::{Capability, Role};
use crate::domain::time::period::Moment;
use crate::people::members::{GrantedAccess, Principal, UseCaseError};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{BookRequest, Books, OpenBook, PendingWrites, StoreError, Tx};

/// The most characters of what somebody writes.
const WORDS_CHARS_MAX: usize = 500;
/// The longest talk that somebody has: a day.
const SESSION_MINUTES_MAX: u32 = 1_440;

/// What every use case works with.
#[derive(Debug, Clone, Copy)]
pub struct UseCaseContext<'a> {
    pub directory: &'a Directory,
    pub ids: &'a NewIds,
}

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

/// A locked budget with whoever acts on it.
struct AdmittedBudget<'d> {
    context: UseCaseContext<'d>,
    access: GrantedAccess,
    books: Books,
    programme: Arc<Programme>,
    moment: Moment,
    /// What is told when it is written.
    pending_writes: PendingWrites,
}

impl<'d> AdmittedBudget<'d> {
    /// Locks the budget of `person` and admits the account to what `act` says of its role.
    async fn open(
        tx: &mut Tx,
        context: UseCaseContext<'d>,
        principal: &Principal,
        person: &PersonId,
        act: impl FnOnce(Role) -> Capability + Send,
    ) -> Result<Self, UseCaseError> {
        let books = lock_budget(tx, context, &principal.programme, &BudgetId::of(person)).await?;
        let actor = tx.actor(&principal.programme, &principal.member, principal.at).await?;
        let role = actor.ok_or(UseCaseError::NotFound("person"))?.member.role;
        let access = principal.admit(tx, act(role), person).await?;
        let version = books.settings_version(&access.programme, &access.budget);
        let version = version.ok_or(UseCaseError::NotFound("person"))?;
        let programme = context.directory.version(&access.programme, version).await?;
        let moment = Moment::new(principal.at, programme.zone());
        Ok(Self {
            context,
            access,
            books,
            programme,
            moment,
            pending_writes: PendingWrites::default(),
        })
    }

    fn open_book(&self) -> Result<&OpenBook, UseCaseError> {
        let open = self.books.get(&self.access.programme, &self.access.budget);
        open.ok_or(UseCaseError::NotFound("person"))
    }

    /// The version of the list in force.
    fn in_force(&self) -> Result<Arc<Agreement>, UseCaseError> {
        let owner = self.open_book()?.book.owner.as_ref();
        Ok(Arc::clone(&owner.ok_or(UseCaseError::NotFound("list"))?.agreement))
    }

    /// For whom the account answers. A helper, an advocate and a planner answer for nobody.
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

    /// The proposal called `id`, with its answers.
    async fn proposal(
        &self,
        tx: &mut Tx,
        id: ProposalId,
    ) -> Result<(Proposal, Vec<Consent>), UseCaseError> {
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let found = tx.proposal(programme, budget, id, self.programme.settings.currency).await?;
        found.ok_or(UseCaseError::NotFound("proposal"))
    }

    /// What is agreed with the worker: what the person made stricter alone is not in it.
    async fn agreed_list(&self, tx: &mut Tx) -> Result<List, UseCaseError> {
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let agreed = tx.agreed_list(programme, budget, self.programme.settings.currency).await?;
        agreed.map_or_else(|| Ok(self.in_force()?.list()), Ok)
    }

    /// Says no to a list that cannot be, or that is the same as now.
    fn check_list(&self, list: &List) -> Result<Vec<TermChange>, UseCaseError> {
        let now = self.in_force()?.list();
        let currency = self.programme.settings.currency;
        list.check(&now, currency)
            .map_err(|error| UseCaseError::invalid("list", error.to_string()))?;
        let changes = changes(&now, list, &self.programme.rules);
        if changes.is_empty() {
            return Err(UseCaseError::invalid("list", "this is the same as now"));
        }
        Ok(changes)
    }

    /// Whose yes it takes to get from the list in force to `next`.
    async fn requirements(
        &self,
        tx: &mut Tx,
        next: &List,
    ) -> Result<ConsentRequirements, UseCaseError> {
        let (now, agreed) = (self.in_force()?.list(), self.agreed_list(tx).await?);
        let manager_above = self.programme.settings.manager_above;
        Ok(ConsentRequirements::of(&now, &agreed, next, &self.programme.rules, manager_above))
    }

    /// This account's answer, in its own words: nobody has to confirm it.
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

    /// Writes what was done, and everything that is told.
    async fn close(
        &self,
        tx: &mut Tx,
        kind: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), UseCaseError> {
        let act = self.access.act_row(self.context.ids, kind, subject, detail);
        tx.add_acts(&self.access.programme, &[act]).await?;
        tx.close_books(&self.books.all(), &self.pending_writes).await?;
        Ok(())
    }
}

async fn lock_budget(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    budget: &BudgetId,
) -> Result<Books, StoreError> {
    let wanted = BookRequest {
        programme: programme.clone(),
        budget: budget.clone(),
        purchases: BTreeSet::new(),
    };
    tx.open_books(&[wanted], context.directory.agreements()).await
}

/// Words that somebody has to write: not empty, and not a book.
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

/// How something was agreed: without it, nothing is.
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
