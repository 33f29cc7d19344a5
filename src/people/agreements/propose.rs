//! Proposing a next list, and answering a proposal with another one. Whoever proposes says yes to it.
//!
//! What the person can decide alone starts here, at once or after their own time to wait: stricter
//! terms, what they alone decide about, the order of their pots. What has cooled starts when they say
//! so again; a wish that nobody says again within a week runs out, and the time begins anew.

use jiff::{SignedDuration, Timestamp};

use super::{Desk, Next, Outcome, Table, checked_session, written};
use crate::domain::agreement::change::{Change, List};
use crate::domain::agreement::proposal::{Kind, OPEN_FOR, Parts, Proposal, Session, Side, State};
use crate::domain::id::{PersonId, ProposalId};
use crate::domain::people::role::Act;
use crate::people::members::{ActError, Acting};
use crate::programme::proposing::{self, NotNow};
use crate::store::Tx;

/// A next list, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposing {
    pub list: List,
    /// Why, in words that the person reads.
    pub words: String,
    /// Whether the other side may agree a part of it.
    pub parts: Parts,
    /// How the proposer's own yes was said.
    pub session: Session,
}

/// Proposes a next list. What the person decides alone starts at once, or cools.
pub async fn propose(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    proposing: Proposing,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Propose).await?;
    table.put_forward(tx, proposing, None).await
}

/// Answers a proposal with another one: the first one ends.
pub async fn counter(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
    proposing: Proposing,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Propose).await?;
    let (mut first, consents) = table.proposal(tx, id).await?;
    let side = table.side()?;
    let human = &table.admitted.actor.member.human;
    first.may_answer(&consents, side, human, acting.at)?;
    if first.kind != Kind::Together {
        return Err(ActError::NotAllowed("answer this with another proposal"));
    }
    first.state = State::Countered;
    first.ended_at = Some(acting.at);
    table.change(tx, &first, State::Open).await?;
    table.put_forward(tx, proposing, Some(id)).await
}

impl Table<'_> {
    /// Makes `proposing` a proposal of this account's side, and its yes with it.
    pub(super) async fn put_forward(
        &mut self,
        tx: &mut Tx,
        proposing: Proposing,
        answers: Option<ProposalId>,
    ) -> Result<Outcome, ActError> {
        let side = self.side()?;
        let words = written("words", &proposing.words)?;
        let session = checked_session(&proposing.session)?;
        let changes = self.check_list(&proposing.list)?;
        let standard = self.standard(tx, &proposing.list).await?;
        let mut others = standard.sides(Kind::Together);
        others.remove(&side);
        let kind =
            if side == Side::Person && others.is_empty() { Kind::Own } else { Kind::Together };
        let at = self.admitted.at;
        let not_before = at.checked_add(standard.cooling()).unwrap_or(Timestamp::MAX);
        self.refuse_second(tx, kind, standard.cooling()).await?;
        if !others.is_empty() {
            self.refuse_again(tx, &changes).await?;
        }
        let proposal = Proposal {
            id: ProposalId::new(self.desk.ids.next(at)),
            budget: self.admitted.budget.clone(),
            kind,
            base_version: self.in_force()?.version,
            list: proposing.list,
            words,
            answers,
            parts: proposing.parts,
            state: State::Open,
            proposed_by: self.admitted.actor.member.id.clone(),
            proposed_at: at,
            not_before,
            open_until: not_before.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX),
            ended_at: None,
            version: None,
        };
        self.open_proposal(tx, proposal, side, session).await
    }

    async fn open_proposal(
        &mut self,
        tx: &mut Tx,
        mut proposal: Proposal,
        side: Side,
        session: Session,
    ) -> Result<Outcome, ActError> {
        let consent = self.consent(side, session, None);
        let programme = self.admitted.programme.clone();
        tx.add_proposal(&programme, &proposal).await?;
        tx.add_consent(&programme, &proposal, &consent).await?;
        let next = self.settle(tx, &mut proposal, &[consent], State::Open).await?;
        if let Next::Waits(sides) = &next {
            let is_counter = proposal.answers.is_some();
            self.ask_sides(&proposal, sides, is_counter);
        }
        let kind = match next {
            Next::Started(_) => "list_started",
            Next::Waits(_) | Next::Cools(_) | Next::Ended(_) => "list_proposed",
        };
        let words = proposal.words.clone();
        self.close(tx, kind, &proposal.id.to_string(), &words).await?;
        Ok(Outcome { proposal: proposal.id, next })
    }

    /// One change at a time waits for the two, and one wish at a time cools for the person alone: else
    /// they could keep one that has cooled already, for whenever they feel like it. The older must
    /// end first. What starts at once is never in the way.
    async fn refuse_second(
        &self,
        tx: &mut Tx,
        kind: Kind,
        cooling: SignedDuration,
    ) -> Result<(), ActError> {
        if kind == Kind::Own && cooling.is_zero() {
            return Ok(());
        }
        let in_force = self.in_force()?.version;
        possible(self.proposing().waiting(tx, kind, in_force).await?)
    }

    async fn refuse_again(&self, tx: &mut Tx, proposed: &[Change]) -> Result<(), ActError> {
        possible(self.proposing().refused_lately(tx, proposed).await?)
    }

    fn proposing(&self) -> proposing::Proposing<'_> {
        proposing::Proposing {
            programme: &self.admitted.programme,
            budget: &self.admitted.budget,
            currency: self.programme.settings.currency,
            rules: &self.programme.rules,
            at: self.admitted.at,
        }
    }
}

fn possible(not_now: Option<NotNow>) -> Result<(), ActError> {
    not_now.map_or(Ok(()), |why| Err(ActError::Conflict(why.to_string())))
}
