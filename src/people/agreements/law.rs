//! What a law forces: stricter terms that the person is not asked about. One of the staff records it
//! and another human being, a manager, confirms it; the person is told why, and how to have it
//! looked at. It can loosen nothing.

use super::{Desk, Next, Outcome, Proposing, Table, checked_session, written};
use crate::domain::agreement::change::Direction;
use crate::domain::agreement::proposal::{Kind, OPEN_FOR, Parts, Proposal, Side, State};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::messages::words::{ListNews, Words};
use crate::people::members::{ActError, Acting};
use crate::store::Tx;

/// Records what a law forces. It starts when somebody else of the staff has confirmed it.
pub async fn force(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    forcing: Proposing,
) -> Result<Outcome, ActError> {
    let act = |role: Role| match role {
        Role::Manager => Act::AgreeAsManager,
        Role::Person
        | Role::Helper
        | Role::Advocate
        | Role::Planner
        | Role::Worker
        | Role::Duty
        | Role::Finance
        | Role::Operator
        | Role::Auditor => Act::AgreeAsWorker,
    };
    let mut table = Table::open(tx, desk, acting, person, act).await?;
    let side = table.side()?;
    let words = written("words", &forcing.words)?;
    if !Words::is_short_enough(&words) {
        return Err(ActError::invalid("words", "say which law it is in at most 50 characters"));
    }
    let session = checked_session(&forcing.session)?;
    let changes = table.check_list(&forcing.list)?;
    if changes.iter().any(|change| change.direction != Direction::Tighter) {
        return Err(ActError::invalid("list", "a law can only make a list stricter"));
    }
    let proposal = Proposal {
        id: ProposalId::new(desk.ids.next(acting.at)),
        budget: table.admitted.budget.clone(),
        kind: Kind::Law,
        base_version: table.in_force()?.version,
        list: forcing.list,
        words: words.clone(),
        answers: None,
        parts: Parts::Whole,
        state: State::Open,
        proposed_by: acting.member.clone(),
        proposed_at: acting.at,
        not_before: acting.at,
        open_until: acting.at.checked_add(OPEN_FOR).unwrap_or(acting.at),
        ended_at: None,
        version: None,
    };
    let consent = table.consent(side, session, None);
    let programme = table.admitted.programme.clone();
    tx.add_proposal(&programme, &proposal).await?;
    tx.add_consent(&programme, &proposal, &consent).await?;
    let (other, recipient) = match side {
        Side::Manager => (Side::Worker, Recipient::Worker),
        Side::Person | Side::Worker => (Side::Manager, Recipient::Manager),
    };
    let (subject, until) = (proposal.id.to_string(), Some(proposal.open_until));
    table.tell(recipient, ListNews::WorkerListProposed, &subject, until, "");
    table.close(tx, "law_recorded", &subject, &words).await?;
    Ok(Outcome { proposal: proposal.id, next: Next::Waits([other].into()) })
}
