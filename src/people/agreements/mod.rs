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
mod pause;
mod propose;
mod report;
mod start;
mod telling;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::answer::{Answering, answer, confirm, run_out, withdraw, write_down};
pub use self::draft::{Draft, draft, take_up};
pub use self::guide::{Publication, publish_guide};
pub use self::help::{Help, choose_help};
pub use self::law::force;
pub use self::pause::{Pausing, lift, pause};
pub use self::propose::{Proposing, counter, propose};
pub use self::report::{Controls, Difference, controls, difference, proposed};
pub use self::start::{Next, Outcome};
use crate::domain::agreement::Agreement;
use crate::domain::agreement::change::{Change, Key, List, changes};
use crate::domain::agreement::proposal::{
    Consent, MoveError, Proposal, Said, Session, Side, Standard,
};
use crate::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId};
use crate::domain::people::role::{Act, Role};
use crate::domain::time::period::Moment;
use crate::people::members::{ActError, Acting, Admitted};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Additions, BookWanted, Books, OpenBook, StoreError, Tx};

/// The most characters of what somebody writes.
const WORDS_MOST: usize = 500;
/// The longest talk that somebody has: a day.
const MINUTES_MOST: u32 = 1_440;

/// What every use case works with.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    pub directory: &'a Directory,
    pub ids: &'a NewIds,
}

impl From<MoveError> for ActError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::SameHuman => Self::NotAllowed("answer for two sides"),
            MoveError::NotYours => Self::NotAllowed("take back what another side proposed"),
            MoveError::Whole
            | MoveError::NothingLeft
            | MoveError::NoSuchPart(_)
            | MoveError::NotSaidThen(_)
            | MoveError::NoInParts => Self::invalid("parts", error.to_string()),
            MoveError::NotOpen(_)
            | MoveError::TimeIsUp
            | MoveError::Stale
            | MoveError::Answered
            | MoveError::NothingToConfirm
            | MoveError::Cooling(_) => Self::Conflict(error.to_string()),
        }
    }
}

/// A locked budget with whoever acts on it.
struct Table<'d> {
    desk: Desk<'d>,
    admitted: Admitted,
    books: Books,
    programme: Arc<Programme>,
    moment: Moment,
    /// What is told when it is written.
    additions: Additions,
}

impl<'d> Table<'d> {
    /// Locks the budget of `person` and admits the account to what `act` says of its role.
    async fn open(
        tx: &mut Tx,
        desk: Desk<'d>,
        acting: &Acting,
        person: &PersonId,
        act: impl FnOnce(Role) -> Act + Send,
    ) -> Result<Self, ActError> {
        let books = lock(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
        let actor = tx.actor(&acting.programme, &acting.member, acting.at).await?;
        let role = actor.ok_or(ActError::NotThere("person"))?.member.role;
        let admitted = acting.admit(tx, act(role), person).await?;
        let version = books.settings_version(&admitted.programme, &admitted.budget);
        let version = version.ok_or(ActError::NotThere("person"))?;
        let programme = desk.directory.version(&admitted.programme, version).await?;
        let moment = Moment::new(acting.at, programme.zone());
        Ok(Self { desk, admitted, books, programme, moment, additions: Additions::default() })
    }

    fn open_book(&self) -> Result<&OpenBook, ActError> {
        let open = self.books.get(&self.admitted.programme, &self.admitted.budget);
        open.ok_or(ActError::NotThere("person"))
    }

    /// The version of the list in force.
    fn in_force(&self) -> Result<Arc<Agreement>, ActError> {
        let owner = self.open_book()?.book.owner.as_ref();
        Ok(Arc::clone(&owner.ok_or(ActError::NotThere("list"))?.agreement))
    }

    /// For whom the account answers. A helper, an advocate and a planner answer for nobody.
    fn side(&self) -> Result<Side, ActError> {
        self.admitted.decides()?;
        match self.admitted.actor.member.role {
            Role::Person => Ok(Side::Person),
            Role::Worker => Ok(Side::Worker),
            Role::Manager => Ok(Side::Manager),
            Role::Helper
            | Role::Advocate
            | Role::Planner
            | Role::Duty
            | Role::Finance
            | Role::Operator
            | Role::Auditor => Err(ActError::NotAllowed("answer for a side")),
        }
    }

    /// The proposal called `id`, with its answers.
    async fn proposal(
        &self,
        tx: &mut Tx,
        id: ProposalId,
    ) -> Result<(Proposal, Vec<Consent>), ActError> {
        let (programme, budget) = (&self.admitted.programme, &self.admitted.budget);
        let found = tx.proposal(programme, budget, id, self.programme.settings.currency).await?;
        found.ok_or(ActError::NotThere("proposal"))
    }

    /// What is agreed with the worker: what the person made stricter alone is not in it.
    async fn agreed(&self, tx: &mut Tx) -> Result<List, ActError> {
        let (programme, budget) = (&self.admitted.programme, &self.admitted.budget);
        let agreed = tx.agreed_list(programme, budget, self.programme.settings.currency).await?;
        agreed.map_or_else(|| Ok(self.in_force()?.list()), Ok)
    }

    /// Says no to a list that cannot be, or that is the same as now.
    fn check_list(&self, list: &List) -> Result<Vec<Change>, ActError> {
        let now = self.in_force()?.list();
        let currency = self.programme.settings.currency;
        list.check(&now, currency).map_err(|error| ActError::invalid("list", error.to_string()))?;
        let changes = changes(&now, list, &self.programme.rules);
        if changes.is_empty() {
            return Err(ActError::invalid("list", "this is the same as now"));
        }
        Ok(changes)
    }

    /// Whose yes it takes to get from the list in force to `next`.
    async fn standard(&self, tx: &mut Tx, next: &List) -> Result<Standard, ActError> {
        let (now, agreed) = (self.in_force()?.list(), self.agreed(tx).await?);
        let manager_above = self.programme.settings.manager_above;
        Ok(Standard::of(&now, &agreed, next, &self.programme.rules, manager_above))
    }

    /// This account's answer, in its own words: nobody has to confirm it.
    fn consent(&self, side: Side, session: Session, parts: Option<BTreeSet<Key>>) -> Consent {
        Consent {
            side,
            member: self.admitted.actor.member.id.clone(),
            human: self.admitted.actor.member.human.clone(),
            said: Said::Yes,
            parts,
            session,
            words: String::new(),
            confirmed_at: Some(self.admitted.at),
            said_at: self.admitted.at,
        }
    }

    /// Writes what was done, and everything that is told.
    async fn close(
        &self,
        tx: &mut Tx,
        kind: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), ActError> {
        let act = self.admitted.act(self.desk.ids, kind, subject, detail);
        tx.add_acts(&self.admitted.programme, &[act]).await?;
        tx.close_books(&self.books.all(), &self.additions).await?;
        Ok(())
    }
}

async fn lock(
    tx: &mut Tx,
    desk: Desk<'_>,
    programme: &ProgrammeId,
    budget: &BudgetId,
) -> Result<Books, StoreError> {
    let wanted = BookWanted {
        programme: programme.clone(),
        budget: budget.clone(),
        purchases: BTreeSet::new(),
    };
    tx.open_books(&[wanted], desk.directory.agreements()).await
}

/// Words that somebody has to write: not empty, and not a book.
fn written(field: &'static str, words: &str) -> Result<String, ActError> {
    let words = words.trim();
    if words.is_empty() {
        Err(ActError::invalid(field, "write it in a few plain words"))
    } else if words.chars().count() > WORDS_MOST {
        Err(ActError::invalid(field, format!("use at most {WORDS_MOST} characters")))
    } else if words.contains('\0') {
        Err(ActError::invalid(field, "it has a character that no page can show"))
    } else {
        Ok(words.to_owned())
    }
}

/// How something was agreed: without it, nothing is.
fn checked_session(session: &Session) -> Result<Session, ActError> {
    if session.minutes > MINUTES_MOST {
        let what = format!("nobody talks for more than {MINUTES_MOST} minutes");
        return Err(ActError::invalid("minutes", what));
    }
    let present = session.present.trim();
    Ok(Session {
        how: session.how,
        place: written("place", &session.place)?,
        minutes: session.minutes,
        present: if present.is_empty() { String::new() } else { written("present", present)? },
    })
}
