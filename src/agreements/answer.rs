//! Answering a proposal: yes or no, in whole or in parts, in one's own words or written down for
//! somebody who then confirms it; taking it back; letting it run out.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::telling::recipient;
use super::{Desk, Next, Outcome, Table, Weighing, checked_session, lock, written};
use crate::domain::change::{Key, changes};
use crate::domain::id::{BudgetId, HumanId, PersonId, ProgrammeId, ProposalId};
use crate::domain::proposal::{Consent, How, MoveError, Proposal, Said, Session, Side, State};
use crate::domain::recipient::Recipient;
use crate::domain::role::{Act, Role};
use crate::members::{ActError, Acting};
use crate::programme::directory::Programme;
use crate::store::{Books, Tx};
use crate::words::ListNews;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    pub said: Said,
    /// What of it is agreed; none for all of it.
    pub parts: Option<BTreeSet<Key>>,
    pub session: Session,
    /// What somebody wants to say; nobody has to.
    pub words: String,
}

/// Which act an answer is, for each role: the table of roles says who may do it.
const fn act_of(role: Role) -> Act {
    match role {
        Role::Person => Act::AgreeAsPerson,
        Role::Manager => Act::AgreeAsManager,
        Role::Worker
        | Role::Duty
        | Role::Helper
        | Role::Advocate
        | Role::Planner
        | Role::Finance
        | Role::Operator
        | Role::Auditor => Act::AgreeAsWorker,
    }
}

/// Answers a proposal for one's own side. The last yes that it takes starts the next version.
pub async fn answer(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
    answering: Answering,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, act_of).await?;
    let (mut proposal, mut consents) = table.proposal(tx, id).await?;
    table.freshen(tx, &mut proposal).await?;
    let side = table.side()?;
    let human = table.admitted.actor.member.human.clone();
    let again = says_again(&proposal, &mut consents, side, &human, &answering, acting.at);
    if again {
        proposal.is_open(acting.at)?;
    } else {
        let in_force = table.in_force()?.version;
        proposal.may_answer(&consents, side, &human, in_force, acting.at)?;
    }
    if proposal.base_version != table.in_force()?.version {
        return Err(MoveError::Stale.into());
    }
    table.is_asked(tx, &proposal, side).await?;
    let base = table.in_force()?.list();
    let every = changes(&base, &proposal.list, &table.programme.rules);
    proposal.may_part(answering.parts.as_ref(), &every)?;
    let session = checked_session(&answering.session)?;
    let words = if answering.words.trim().is_empty() {
        String::new()
    } else {
        written("words", &answering.words)?
    };
    let subject = id.to_string();
    if answering.said == Said::No {
        let consent = Consent { said: Said::No, ..table.consent(side, session, None) };
        table.put_consent(tx, &proposal, &mut consents, consent).await?;
        let next = table.refuse(tx, &mut proposal, side, &consents).await?;
        table.close(tx, "list_refused", &subject, &words).await?;
        return Ok(Outcome { proposal: id, next });
    }
    if again {
        tx.confirm_again(&table.admitted.programme, &proposal, side, acting.at).await?;
    } else {
        let consent = table.consent(side, session, answering.parts);
        table.put_consent(tx, &proposal, &mut consents, consent).await?;
    }
    let next = table.settle(tx, &mut proposal, &consents, State::Open).await?;
    let kind = if matches!(next, Next::Started(_)) { "list_started" } else { "list_agreed" };
    table.close(tx, kind, &subject, &words).await?;
    Ok(Outcome { proposal: id, next })
}

/// Whether the person says yes again to what cools: nothing starts by silence. Notes when.
fn says_again(
    proposal: &Proposal,
    consents: &mut [Consent],
    side: Side,
    human: &HumanId,
    answering: &Answering,
    at: Timestamp,
) -> bool {
    let cools = proposal.not_before > proposal.proposed_at;
    if side != Side::Person || answering.said != Said::Yes || !cools {
        return false;
    }
    let own = consents.iter_mut().find(|c| c.side == side && c.is_yes() && c.human == *human);
    own.is_some_and(|own| {
        own.confirmed_at = Some(at);
        true
    })
}

/// Writes down what the person said when they were together, for the person to confirm. Until then
/// it counts for nothing.
pub async fn write_down(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
    parts: Option<BTreeSet<Key>>,
    session: Session,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::AgreeAsWorker).await?;
    let (proposal, mut consents) = table.proposal(tx, id).await?;
    table.side()?;
    let (programme, budget) = (table.admitted.programme.clone(), table.admitted.budget.clone());
    let own = tx.own_account(&programme, &budget).await?;
    let (member, human) = own.ok_or(ActError::NotThere("account of the person"))?;
    let in_force = table.in_force()?.version;
    proposal.may_answer(&consents, Side::Person, &human, in_force, acting.at)?;
    if human == table.admitted.actor.member.human {
        return Err(MoveError::SameHuman.into());
    }
    let every = changes(&table.in_force()?.list(), &proposal.list, &table.programme.rules);
    proposal.may_part(parts.as_ref(), &every)?;
    let session = Session { how: How::InPerson, ..checked_session(&session)? };
    let consent = Consent {
        member,
        human,
        confirmed_at: None,
        ..table.consent(Side::Person, session, parts)
    };
    table.put_consent(tx, &proposal, &mut consents, consent).await?;
    let subject = id.to_string();
    table.tell(Recipient::Person, ListNews::ListWrittenDown, &subject, None, "");
    table.close(tx, "list_written_down", &subject, "").await?;
    Ok(Outcome { proposal: id, next: Next::Waits(BTreeSet::from([Side::Person])) })
}

/// The person confirms what was written down for them: from now on it is their own word.
pub async fn confirm(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::AgreeAsPerson).await?;
    let (mut proposal, mut consents) = table.proposal(tx, id).await?;
    let in_force = table.in_force()?.version;
    let human = table.admitted.actor.member.human.clone();
    proposal.may_answer(&consents, Side::Person, &human, in_force, acting.at)?;
    let waits = consents.iter().find(|c| c.side == Side::Person && c.confirmed_at.is_none());
    let waits = waits.filter(|c| c.human == human).cloned().ok_or(MoveError::NothingToConfirm)?;
    let member = table.admitted.actor.member.id.clone();
    let consent = Consent { member, confirmed_at: Some(acting.at), said_at: acting.at, ..waits };
    table.put_consent(tx, &proposal, &mut consents, consent).await?;
    let next = table.settle(tx, &mut proposal, &consents, State::Open).await?;
    table.close(tx, "list_confirmed", &id.to_string(), "").await?;
    Ok(Outcome { proposal: id, next })
}

/// Takes back what one's own side proposed, or a draft of one's own. Nothing has changed.
pub async fn withdraw(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Draft).await?;
    let (mut proposal, consents) = table.proposal(tx, id).await?;
    let before = proposal.state;
    if before == State::Draft {
        if proposal.proposed_by != acting.member {
            return Err(ActError::NotThere("proposal"));
        }
    } else {
        let side = table.side()?;
        proposal.may_withdraw(&consents, side, acting.at)?;
        let weighing = table.weigh(tx, &proposal.list).await?;
        let mut others = weighing.standard().heard(proposal.kind);
        others.remove(&side);
        for other in others {
            let (person, staff) = (ListNews::ListTakenBack, ListNews::WorkerListTakenBack);
            table.tell_end(&proposal, recipient(other), person, staff);
        }
    }
    proposal.state = State::Withdrawn;
    proposal.ended_at = Some(acting.at);
    table.change(tx, &proposal, before).await?;
    table.close(tx, "list_taken_back", &id.to_string(), "").await?;
    Ok(Outcome { proposal: id, next: Next::Ended(State::Withdrawn) })
}

impl Table<'_> {
    /// A side whose yes it does not take is not asked.
    async fn is_asked(&self, tx: &mut Tx, proposal: &Proposal, side: Side) -> Result<(), ActError> {
        let weighing = self.weigh(tx, &proposal.list).await?;
        if weighing.standard().sides(proposal.kind).contains(&side) {
            Ok(())
        } else {
            Err(ActError::NotAllowed("answer this: it does not take this side's yes"))
        }
    }

    async fn put_consent(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &mut Vec<Consent>,
        consent: Consent,
    ) -> Result<(), ActError> {
        let programme = &self.admitted.programme;
        tx.drop_unconfirmed(programme, proposal, consent.side).await?;
        tx.add_consent(programme, proposal, &consent).await?;
        consents.retain(|known| known.side != consent.side);
        consents.push(consent);
        Ok(())
    }

    async fn refuse(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        side: Side,
        consents: &[Consent],
    ) -> Result<Next, ActError> {
        proposal.state = State::Refused;
        proposal.ended_at = Some(self.admitted.at);
        self.change(tx, proposal, State::Open).await?;
        for other in consents.iter().map(|consent| consent.side).filter(|other| *other != side) {
            let (person, staff) = (ListNews::ListRefused, ListNews::WorkerListRefused);
            self.tell_end(proposal, recipient(other), person, staff);
        }
        Ok(Next::Ended(State::Refused))
    }
}

/// Ends a proposal or a draft that nobody answered in time. Nothing has changed. Called by upkeep;
/// says whether it ended now.
pub async fn run_out(
    tx: &mut Tx,
    desk: Desk<'_>,
    programme: &ProgrammeId,
    budget: &BudgetId,
    id: ProposalId,
    at: Timestamp,
) -> Result<bool, ActError> {
    let books = lock(tx, desk, programme, budget).await?;
    let Some(version) = books.settings_version(programme, budget) else { return Ok(false) };
    let settings = desk.directory.version(programme, version).await?;
    let found = tx.proposal(programme, budget, id, settings.settings.currency).await?;
    let Some((mut proposal, consents)) = found else { return Ok(false) };
    let before = proposal.state;
    if proposal.state_at(at) != State::RunOut || before == State::RunOut {
        return Ok(false);
    }
    proposal.state = State::RunOut;
    proposal.ended_at = Some(at);
    tx.change_proposal(programme, &proposal, before).await?;
    if before == State::Open {
        let mut sides = heard(tx, &books, &settings, programme, &proposal).await?;
        sides.extend(consents.iter().map(|consent| consent.side));
        let messages = super::telling::run_out_messages(desk.ids, programme, &proposal, &sides, at);
        let additions = crate::store::Additions { messages, ..Default::default() };
        tx.close_books(&books.all(), &additions).await?;
    }
    Ok(true)
}

/// Who has heard of a proposal.
async fn heard(
    tx: &mut Tx,
    books: &Books,
    settings: &Programme,
    programme: &ProgrammeId,
    proposal: &Proposal,
) -> Result<BTreeSet<Side>, ActError> {
    let open = books.get(programme, &proposal.budget);
    let now = open.and_then(|open| open.book.agreement()).ok_or(ActError::NotThere("list"))?;
    let (now, currency) = (now.list(), settings.settings.currency);
    let agreed = tx.agreed_list(programme, &proposal.budget, currency).await?;
    let agreed = agreed.unwrap_or_else(|| now.clone());
    let weighing = Weighing::of(&now, &agreed, &proposal.list, settings);
    Ok(weighing.standard().heard(proposal.kind))
}
