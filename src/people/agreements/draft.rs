//! Drafts: a helper, a planner or whoever may draft writes a next list that nobody is asked about. It
//! does nothing until the person or the worker takes it up as a proposal of their own.

use super::{Desk, Outcome, Proposing, Table, written};
use crate::domain::agreement::change::{List, changes};
use crate::domain::agreement::proposal::{
    DRAFT_KEPT, DRAFTS_MOST, Kind, MoveError, Parts, Proposal, Session, State,
};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::role::Act;
use crate::people::members::{ActError, Acting};
use crate::store::Tx;

/// A next list, before anybody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub list: List,
    /// Why, in words that the person reads.
    pub words: String,
}

/// Keeps a draft for a while.
pub async fn draft(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    draft: Draft,
) -> Result<ProposalId, ActError> {
    let table = Table::open(tx, desk, acting, person, |_| Act::Draft).await?;
    let (programme, budget) = (&table.admitted.programme, &table.admitted.budget);
    if tx.drafts_kept(programme, budget, &acting.member, acting.at).await? >= DRAFTS_MOST {
        let what =
            format!("you keep {DRAFTS_MOST} drafts for this person already; take one back first");
        return Err(ActError::Conflict(what));
    }
    let words = written("words", &draft.words)?;
    table.check_list(&draft.list)?;
    let kept_until = acting.at.checked_add(DRAFT_KEPT).unwrap_or(acting.at);
    let proposal = Proposal {
        id: ProposalId::new(desk.ids.next(acting.at)),
        budget: table.admitted.budget.clone(),
        kind: Kind::Together,
        base_version: table.in_force()?.version,
        list: draft.list,
        words,
        answers: None,
        parts: Parts::Whole,
        state: State::Draft,
        proposed_by: acting.member.clone(),
        proposed_at: acting.at,
        not_before: acting.at,
        open_until: kept_until,
        ended_at: None,
        version: None,
    };
    tx.add_proposal(&table.admitted.programme, &proposal).await?;
    let words = proposal.words.clone();
    table.close(tx, "list_drafted", &proposal.id.to_string(), &words).await?;
    Ok(proposal.id)
}

/// Makes a draft a proposal of one's own. If another version has started since it was written, what
/// the draft changes is changed in that one; if both change the same, it has to be written anew.
pub async fn take_up(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
    parts: Parts,
    session: Session,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Propose).await?;
    table.side()?;
    let (mut draft, _) = table.proposal(tx, id).await?;
    let state = draft.state_at(acting.at);
    if state != State::Draft {
        return Err(MoveError::NotOpen(state).into());
    }
    let list = table.rebased(tx, &draft).await?;
    draft.state = State::TakenUp;
    draft.ended_at = Some(acting.at);
    table.change(tx, &draft, State::Draft).await?;
    let proposing = Proposing { list, words: draft.words, parts, session };
    table.put_forward(tx, proposing, Some(id)).await
}

impl Table<'_> {
    async fn rebased(&self, tx: &mut Tx, draft: &Proposal) -> Result<List, ActError> {
        let now = self.in_force()?;
        if draft.base_version == now.version {
            return Ok(draft.list.clone());
        }
        let (programme, budget) = (&self.admitted.programme, &self.admitted.budget);
        let currency = self.programme.settings.currency;
        let base = tx.read_agreement(programme, budget, draft.base_version, currency).await?.list();
        let rules = &self.programme.rules;
        let keys = |list: &List| -> std::collections::BTreeSet<_> {
            changes(&base, list, rules).into_iter().map(|change| change.key).collect()
        };
        let (theirs, since) = (keys(&draft.list), keys(&now.list()));
        if theirs.is_disjoint(&since) {
            Ok(now.list().with(&draft.list, &theirs))
        } else {
            Err(MoveError::Stale.into())
        }
    }
}
