//! Answering a proposal: yes or no, in whole or in parts, in one's own words or written down for
//! somebody who then confirms it; taking it back; letting it run out.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::telling::recipient;
use super::{Desk, Next, Outcome, Table, checked_session, lock, written};
use crate::domain::agreement::change::{Key, changes};
use crate::domain::agreement::proposal;
use crate::domain::agreement::proposal::{
    Consent, How, MoveError, Proposal, Said, Session, Side, Standard, State,
};
use crate::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::messages::words::ListNews;
use crate::people::members::{ActError, Acting, StandingAnswer};
use crate::programme::directory::Programme;
use crate::store::{Books, Tx};

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

/// Answers a proposal for one's own side. The last yes that it takes starts the next version. The same
/// answer sent twice is one answer; another one than the answer that stands is told so.
///
/// # Errors
///
/// [`ActError::Answered`] with the answer of this side that stands.
pub async fn answer(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: ProposalId,
    answering: Answering,
) -> Result<Outcome, ActError> {
    let mut table = Table::open(tx, desk, acting, person, act_of).await?;
    let (mut proposal, consents) = table.proposal(tx, id).await?;
    let side = table.side()?;
    let answer = table.answer_of(side, answering)?;
    if let Some(next) = table.repeated(tx, &proposal, &consents, &answer).await? {
        return Ok(Outcome { proposal: id, next });
    }
    table.freshen(tx, &mut proposal).await?;
    let next = match answer.said {
        Said::No => table.say_no(tx, &mut proposal, consents, answer).await?,
        Said::Yes => table.say_yes(tx, &mut proposal, consents, answer).await?,
    };
    Ok(Outcome { proposal: id, next })
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
    proposal.may_say_yes(&consents, Side::Person, &human, in_force, acting.at)?;
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
    proposal.may_say_yes(&consents, Side::Person, &human, in_force, acting.at)?;
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
        let standard = table.standard(tx, &proposal.list).await?;
        let mut others = standard.heard(proposal.kind);
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
    /// What this account says, checked.
    fn answer_of(&self, side: Side, answering: Answering) -> Result<Consent, ActError> {
        let Answering { said, parts, session, words } = answering;
        if said == Said::No && parts.is_some() {
            return Err(MoveError::NoInParts.into());
        }
        let words = match words.trim() {
            "" => String::new(),
            words => written("words", words)?,
        };
        Ok(Consent { said, words, ..self.consent(side, checked_session(&session)?, parts) })
    }

    /// What came of the same answer when it was sent before; none when it was not.
    async fn repeated(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
        answer: &Consent,
    ) -> Result<Option<Next>, ActError> {
        let Some(known) = consents.iter().find(|known| known.side == answer.side) else {
            return Ok(None);
        };
        let is_same = known.says_the_same_as(answer);
        // Whoever proposed said yes by that, and has not answered.
        let has_answered = known.said == Said::No || known.member != proposal.proposed_by;
        let is_repeat = is_same && has_answered;
        match (proposal.state, proposal.version) {
            (State::Agreed, Some(version)) if is_repeat => Ok(Some(Next::Started(version))),
            (state @ (State::Refused | State::Withdrawn), _) if is_repeat => {
                Ok(Some(Next::Ended(state)))
            }
            (State::Agreed | State::Refused, _) => Err(self.stands(tx, known).await?),
            (State::Open, _) if is_same && known.is_yes() => {
                let again = proposal.cooling_yes(consents, answer.side, &answer.human);
                if is_repeat || again.is_some() {
                    self.waits(tx, proposal, consents, again).await
                } else {
                    Ok(None)
                }
            }
            (_, _) => Ok(None),
        }
    }

    /// What a proposal still waits for; none when a yes that is said again now, after the cooling
    /// time of the `first` one, counts.
    async fn waits(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
        first: Option<&Consent>,
    ) -> Result<Option<Next>, ActError> {
        let at = self.admitted.at;
        if proposal.is_open(at).is_err() || proposal.base_version != self.in_force()?.version {
            return Ok(None);
        }
        let standard = self.agreed_standard(tx, proposal, consents).await?;
        if first.is_some_and(|first| standard.counts_again(first, at)) {
            return Ok(None);
        }
        Ok(match proposal::outcome(proposal, consents, &standard, at) {
            Ok(proposal::Outcome::Waits(sides)) => Some(Next::Waits(sides)),
            Err(MoveError::Cooling(from)) => Some(Next::Cools(from)),
            Ok(proposal::Outcome::Starts) | Err(_) => None,
        })
    }

    /// What the list comes to that everybody who has said yes so far has said yes to.
    async fn agreed_standard(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
    ) -> Result<Standard, ActError> {
        let base = self.in_force()?.list();
        let every = changes(&base, &proposal.list, &self.programme.rules);
        let next = proposal::agreed_list(&base, proposal, consents, &every);
        self.standard(tx, &next).await
    }

    /// The answer of a side that stands, for whoever answers otherwise.
    async fn stands(&self, tx: &mut Tx, known: &Consent) -> Result<ActError, ActError> {
        let Consent { side: _, member, human: _, said, parts, words, said_at, .. } = known;
        let parts = parts.as_ref().map(|parts| parts.iter().map(ToString::to_string).collect());
        let answer = StandingAnswer {
            words: Some(words.clone()).filter(|words| !words.is_empty()),
            parts,
            ..StandingAnswer::new(said.word(), *said_at)
        };
        self.admitted.stands(tx, Some(member), answer).await
    }

    /// A no, which can take the place of a yes until it starts: nothing changes.
    async fn say_no(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        mut consents: Vec<Consent>,
        no: Consent,
    ) -> Result<Next, ActError> {
        proposal.may_answer(&consents, no.side, &no.human, self.admitted.at)?;
        let mut heard = self.standard(tx, &proposal.list).await?.heard(proposal.kind);
        if consents.iter().all(|known| known.side != no.side) {
            self.is_asked(tx, proposal, no.side).await?;
        }
        heard.extend(consents.iter().map(|known| known.side));
        heard.remove(&no.side);
        let is_own = proposal.side_of_proposer(&consents) == Some(no.side);
        let words = no.words.clone();
        self.put_consent(tx, proposal, &mut consents, no).await?;
        let next = self.refuse(tx, proposal, &heard, is_own).await?;
        self.close(tx, "list_refused", &proposal.id.to_string(), &words).await?;
        Ok(next)
    }

    /// A yes; or a yes that is said again to what cools, to no more than the first time.
    async fn say_yes(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        mut consents: Vec<Consent>,
        yes: Consent,
    ) -> Result<Next, ActError> {
        let (at, in_force) = (self.admitted.at, self.in_force()?);
        let again = proposal.cooling_yes(&consents, yes.side, &yes.human).cloned();
        match proposal.may_say_yes(&consents, yes.side, &yes.human, in_force.version, at) {
            Err(MoveError::Answered) => {
                let standard = self.agreed_standard(tx, proposal, &consents).await?;
                let counts = |first: &Consent| standard.counts_again(first, at);
                if !again.as_ref().is_some_and(counts) {
                    let known = consents.iter().find(|known| known.side == yes.side);
                    return Err(self.stands(tx, known.ok_or(MoveError::Answered)?).await?);
                }
            }
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        self.is_asked(tx, proposal, yes.side).await?;
        let every = changes(&in_force.list(), &proposal.list, &self.programme.rules);
        proposal.may_part(yes.parts.as_ref(), &every)?;
        let yes = match &again {
            Some(first) => first.said_again(&yes)?,
            None => yes,
        };
        let words = yes.words.clone();
        self.put_consent(tx, proposal, &mut consents, yes).await?;
        let next = self.settle(tx, proposal, &consents, State::Open).await?;
        let kind = if matches!(next, Next::Started(_)) { "list_started" } else { "list_agreed" };
        self.close(tx, kind, &proposal.id.to_string(), &words).await?;
        Ok(next)
    }

    /// A side whose yes it does not take is not asked.
    async fn is_asked(&self, tx: &mut Tx, proposal: &Proposal, side: Side) -> Result<(), ActError> {
        let standard = self.standard(tx, &proposal.list).await?;
        if standard.sides(proposal.kind).contains(&side) {
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
        if consents.iter().any(|known| known.side == consent.side) {
            tx.replace_consent(programme, proposal, &consent).await?;
        } else {
            tx.add_consent(programme, proposal, &consent).await?;
        }
        consents.retain(|known| known.side != consent.side);
        consents.push(consent);
        Ok(())
    }

    async fn refuse(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        heard: &BTreeSet<Side>,
        is_own: bool,
    ) -> Result<Next, ActError> {
        // What one's own side does not want any more is no no to somebody: it can be proposed again.
        let (state, person, staff) = if is_own {
            (State::Withdrawn, ListNews::ListTakenBack, ListNews::WorkerListTakenBack)
        } else {
            (State::Refused, ListNews::ListRefused, ListNews::WorkerListRefused)
        };
        proposal.state = state;
        proposal.ended_at = Some(self.admitted.at);
        self.change(tx, proposal, State::Open).await?;
        for other in heard {
            self.tell_end(proposal, recipient(*other), person, staff);
        }
        Ok(Next::Ended(state))
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
    let manager_above = settings.settings.manager_above;
    let standard = Standard::of(&now, &agreed, &proposal.list, &settings.rules, manager_above);
    Ok(standard.heard(proposal.kind))
}
