//! A proposed next version of a list, from the first draft to its start.
//!
//! All state transitions of a proposal are here. Silence changes nothing: a proposal that nobody
//! answers runs out.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Decider;
use crate::domain::agreement::change::{ChangeDirection, List, TermChange, TermKey, changes};
use crate::domain::id::{BudgetId, HumanId, MemberId, ProposalId};
use crate::domain::money::Money;
use crate::domain::shop::merchant::MerchantRules;
use crate::domain::stored_enum::stored_enum;

/// How long a draft is kept.
pub const DRAFT_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How many drafts for one person an account may have.
pub const DRAFTS_MAX: usize = 10;
/// How long the other side has to answer.
pub const PROPOSAL_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a refused change cannot be proposed again.
pub const REFUSAL_COOLDOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

stored_enum!(
    /// Whose consent a proposal requires.
    ProposalKind {
        /// That of the person and, where they cannot decide alone, of the worker and the manager.
        Together => "together",
        /// That of the person alone: tighter at once, or back to what was agreed after their own
        /// cooling time.
        Own => "own",
        /// A law forces it: two human beings of the staff consent, and the person is told.
        Law => "law",
    }
);

stored_enum!(
    /// The state of a proposal.
    ProposalState {
        /// It is being written. Nobody is asked for consent.
        Draft => "draft",
        Open => "open",
        Agreed => "agreed",
        Refused => "refused",
        /// Answered with another proposal.
        Countered => "countered",
        Withdrawn => "withdrawn",
        /// Nobody answered in time, or another version started first.
        RunOut => "run_out",
        /// A draft that somebody else has proposed as their own.
        TakenUp => "taken_up",
    }
);

stored_enum!(
    /// The side for which a consent is given.
    ConsentSide {
        Person => "person",
        Worker => "worker",
        /// Required as well above a sum that the programme sets, and for what a law forces.
        Manager => "manager",
    }
);

stored_enum!(
    /// What a side answered.
    ConsentAnswer {
        Yes => "yes",
        No => "no",
    }
);

stored_enum!(
    /// Where a side answered.
    ConsentChannel {
        OwnPhone => "own_phone",
        OwnPage => "own_page",
        InPerson => "in_person",
    }
);

stored_enum!(
    /// Whether a proposal is agreed as a whole, or may be agreed in parts.
    ConsentGranularity {
        Whole => "whole",
        Parts => "parts",
    }
);

/// A proposed next version of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub id: ProposalId,
    pub budget: BudgetId,
    pub kind: ProposalKind,
    /// The version that it changes.
    pub base_version: u32,
    pub list: List,
    /// Why, in words that the person reads.
    pub words: String,
    /// The proposal that this one counters, or the draft that it took up.
    pub answers: Option<ProposalId>,
    pub parts: ConsentGranularity,
    pub state: ProposalState,
    pub proposed_by: MemberId,
    pub proposed_at: Timestamp,
    /// When it can start at the earliest, because the person's own cooling time runs until then.
    pub not_before: Timestamp,
    pub open_until: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The version of the agreement that it became.
    pub version: Option<u32>,
}

/// How, where, for how long and in whose presence a side answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentSession {
    pub how: ConsentChannel,
    pub place: String,
    pub minutes: u32,
    /// Who else was present; empty for nobody.
    pub present: String,
}

/// One side's answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub side: ConsentSide,
    pub member: MemberId,
    pub human: HumanId,
    pub said: ConsentAnswer,
    /// The parts that are agreed; none for all.
    pub parts: Option<BTreeSet<TermKey>>,
    pub session: ConsentSession,
    /// Optional words; empty for none.
    pub words: String,
    /// When this human being last confirmed the answer as their own. An answer that somebody else
    /// wrote down for them does not count before that, and with a cooling time a yes counts only
    /// when it is repeated afterwards.
    pub confirmed_at: Option<Timestamp>,
    /// When it was first said or, if somebody else wrote it down, first confirmed.
    pub said_at: Timestamp,
}

impl Consent {
    /// Whether it is a confirmed yes.
    pub fn is_yes(&self) -> bool {
        self.said == ConsentAnswer::Yes && self.confirmed_at.is_some()
    }

    /// Whether `answer` is the same answer by the same account, so that a retry is idempotent.
    pub fn has_same_content(&self, answer: &Self) -> bool {
        self.member == answer.member
            && self.said == answer.said
            && self.parts == answer.parts
            && self.session == answer.session
            && self.words == answer.words
    }

    /// This yes, repeated with `answer`: it keeps the parts that were agreed both times. The
    /// cooling time still runs from the first yes.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotSaidThen`] when `answer` names a part that the first yes left out:
    /// agreeing to more needs a cooling time and a proposal of its own.
    pub fn said_again(&self, answer: &Self) -> Result<Self, ProposalError> {
        let parts = match (&self.parts, &answer.parts) {
            (Some(then), Some(now)) => {
                if let Some(more) = now.difference(then).next() {
                    return Err(ProposalError::NotSaidThen(more.clone()));
                }
                Some(now.clone())
            }
            (Some(parts), None) | (None, Some(parts)) => Some(parts.clone()),
            (None, None) => None,
        };
        Ok(Self { parts, said_at: self.said_at, ..answer.clone() })
    }
}

/// Why a transition of a proposal is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    #[error("it is {} already", .0.word())]
    NotOpen(ProposalState),
    #[error("its time ran out; nothing changed")]
    TimeIsUp,
    #[error("another version of the list is in force now; propose it anew")]
    Stale,
    #[error("this side has answered already")]
    Answered,
    #[error("the same human being cannot answer for two sides")]
    SameHuman,
    #[error("only the side that proposed it can take it back")]
    NotYours,
    #[error("it is agreed as a whole, or not at all")]
    Whole,
    #[error("nothing of it is left to agree")]
    NothingLeft,
    #[error("this part is not in it: {0}")]
    NoSuchPart(TermKey),
    #[error("this part was not said yes to the first time: {0}; propose it anew")]
    NotSaidThen(TermKey),
    #[error("a no is to all of it: leave the parts out")]
    NoInParts,
    #[error("nobody has written down a yes that waits to be confirmed")]
    NothingToConfirm,
    #[error("the cooling time that the person chose has not passed; it can start from {0}")]
    Cooling(Timestamp),
}

impl Proposal {
    /// The state at `at`: an unanswered proposal has run out after its time, whether or not that is
    /// stored yet.
    pub fn state_at(&self, at: Timestamp) -> ProposalState {
        match self.state {
            ProposalState::Draft | ProposalState::Open if at >= self.open_until => {
                ProposalState::RunOut
            }
            ProposalState::Draft
            | ProposalState::Open
            | ProposalState::Agreed
            | ProposalState::Refused
            | ProposalState::Countered
            | ProposalState::Withdrawn
            | ProposalState::RunOut
            | ProposalState::TakenUp => self.state,
        }
    }

    /// Checks that `human` can answer for `side`. A no or another proposal is possible until this
    /// one starts; for a yes see [`Self::may_say_yes`].
    ///
    /// # Errors
    ///
    /// [`ProposalError::SameHuman`] when they have answered for another side, and those of
    /// [`Self::is_open`].
    pub fn may_answer(
        &self,
        consents: &[Consent],
        side: ConsentSide,
        human: &HumanId,
        at: Timestamp,
    ) -> Result<(), ProposalError> {
        self.is_open(at)?;
        if consents.iter().any(|c| c.side != side && c.human == *human) {
            return Err(ProposalError::SameHuman);
        }
        Ok(())
    }

    /// Checks that `human` can say yes for `side`.
    ///
    /// # Errors
    ///
    /// [`ProposalError::Stale`] when another version than `base_version` is in force,
    /// [`ProposalError::Answered`] when the side has a confirmed answer, and those of
    /// [`Self::may_answer`].
    pub fn may_say_yes(
        &self,
        consents: &[Consent],
        side: ConsentSide,
        human: &HumanId,
        in_force: u32,
        at: Timestamp,
    ) -> Result<(), ProposalError> {
        self.may_answer(consents, side, human, at)?;
        if self.base_version != in_force {
            return Err(ProposalError::Stale);
        }
        if consents.iter().any(|c| c.side == side && c.confirmed_at.is_some()) {
            return Err(ProposalError::Answered);
        }
        Ok(())
    }

    /// The person's yes that they can repeat after their own cooling time, because nothing starts
    /// by silence; none without such a time.
    pub fn cooling_consent<'c>(
        &self,
        consents: &'c [Consent],
        side: ConsentSide,
        human: &HumanId,
    ) -> Option<&'c Consent> {
        let is_cooling = side == ConsentSide::Person && self.not_before > self.proposed_at;
        let own = |c: &&Consent| c.side == side && c.is_yes() && c.human == *human;
        consents.iter().find(own).filter(|_| is_cooling)
    }

    /// Checks that `side` can withdraw the proposal.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotYours`] unless it is the proposer's side, and those of
    /// [`Self::is_open`].
    pub fn may_withdraw(
        &self,
        consents: &[Consent],
        side: ConsentSide,
        at: Timestamp,
    ) -> Result<(), ProposalError> {
        self.is_open(at)?;
        if self.side_of_proposer(consents) == Some(side) {
            Ok(())
        } else {
            Err(ProposalError::NotYours)
        }
    }

    /// The side for which it was proposed; none if the proposer has no answer on it.
    pub fn side_of_proposer(&self, consents: &[Consent]) -> Option<ConsentSide> {
        consents.iter().find(|c| c.member == self.proposed_by).map(|c| c.side)
    }

    /// Delays the start until `from`, when the person can repeat their yes, and keeps the proposal
    /// open for [`PROPOSAL_LIFETIME`] after that.
    pub fn cool_until(&mut self, from: Timestamp) {
        self.not_before = self.not_before.max(from);
        let until = from.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX);
        self.open_until = self.open_until.max(until);
    }

    /// The human beings who consented, if it became a version because a law forces it.
    pub fn forced_by(&self, consents: &[Consent]) -> Option<BTreeSet<HumanId>> {
        let is_forced = self.kind == ProposalKind::Law && self.state == ProposalState::Agreed;
        let yes = consents.iter().filter(|consent| consent.is_yes());
        is_forced.then(|| yes.map(|consent| consent.human.clone()).collect())
    }

    /// Checks that it waits for answers at `at`.
    ///
    /// # Errors
    ///
    /// [`ProposalError::TimeIsUp`] or [`ProposalError::NotOpen`].
    pub fn is_open(&self, at: Timestamp) -> Result<(), ProposalError> {
        match self.state_at(at) {
            ProposalState::Open => Ok(()),
            ProposalState::RunOut if self.state == ProposalState::Open => {
                Err(ProposalError::TimeIsUp)
            }
            state @ (ProposalState::Draft
            | ProposalState::Agreed
            | ProposalState::Refused
            | ProposalState::Countered
            | ProposalState::Withdrawn
            | ProposalState::RunOut
            | ProposalState::TakenUp) => Err(ProposalError::NotOpen(state)),
        }
    }

    /// Checks that `parts` of `changes` can be agreed without the rest.
    ///
    /// # Errors
    ///
    /// [`ProposalError::Whole`], [`ProposalError::NoSuchPart`] or [`ProposalError::NothingLeft`].
    pub fn check_parts(
        &self,
        parts: Option<&BTreeSet<TermKey>>,
        changes: &[TermChange],
    ) -> Result<(), ProposalError> {
        let Some(parts) = parts else { return Ok(()) };
        if self.parts == ConsentGranularity::Whole {
            return Err(ProposalError::Whole);
        }
        let unknown = parts.iter().find(|part| changes.iter().all(|change| change.key != **part));
        match unknown {
            Some(part) => Err(ProposalError::NoSuchPart(part.clone())),
            None if parts.is_empty() => Err(ProposalError::NothingLeft),
            None => Ok(()),
        }
    }
}

/// `base` with the changes of `proposal` that every confirmed yes includes.
pub fn agreed_list(
    base: &List,
    proposal: &Proposal,
    consents: &[Consent],
    changes: &[TermChange],
) -> List {
    let mut keys: BTreeSet<_> = changes.iter().map(|change| change.key.clone()).collect();
    for parts in consents.iter().filter(|c| c.is_yes()).filter_map(|c| c.parts.as_ref()) {
        keys.retain(|key| parts.contains(key));
    }
    base.with(&proposal.list, &keys)
}

/// What decides which sides must consent to a change.
#[derive(Debug, Clone)]
pub struct ConsentRequirements {
    /// The changes from the list in force to the next one.
    pub changes: Vec<TermChange>,
    /// The changes from the list that was last agreed with the worker, which leaves out what the
    /// person made stricter alone, to the next one.
    since_agreed: Vec<TermChange>,
    /// The changes from the list that was last agreed with the worker to the one in force.
    own_so_far: Vec<TermChange>,
    /// The sum above which a manager must consent too; none if the programme has not set one.
    manager_above: Option<Money>,
}

impl ConsentRequirements {
    /// The requirements of the change from `now`, the list in force, to `next`. `agreed` is the
    /// list that was last agreed with the worker.
    pub fn of(
        now: &List,
        agreed: &List,
        next: &List,
        rules: &MerchantRules,
        manager_above: Option<Money>,
    ) -> Self {
        Self {
            changes: changes(now, next, rules),
            since_agreed: changes(agreed, next, rules),
            own_so_far: changes(agreed, now, rules),
            manager_above,
        }
    }

    /// The sides that must consent: always the person, except for what a law forces.
    pub fn required_sides(&self, kind: ProposalKind) -> BTreeSet<ConsentSide> {
        if kind == ProposalKind::Law {
            return BTreeSet::from([ConsentSide::Worker, ConsentSide::Manager]);
        }
        let mut sides = BTreeSet::from([ConsentSide::Person]);
        let together: Vec<_> =
            self.changes.iter().filter(|change| self.needs_worker(change)).collect();
        let indirect = self.loosened_indirectly();
        if !together.is_empty() || !indirect.is_empty() {
            sides.insert(ConsentSide::Worker);
        }
        let is_above = |change: &&TermChange| {
            self.manager_above.is_some_and(|sum| change.frees_more_than(sum))
        };
        if together.into_iter().chain(indirect).any(|change| is_above(&change)) {
            sides.insert(ConsentSide::Manager);
        }
        sides
    }

    /// The sides that know of the proposal: only the person for one that they make alone, otherwise
    /// those that must consent and the worker.
    pub fn informed_sides(&self, kind: ProposalKind) -> BTreeSet<ConsentSide> {
        let mut sides = match kind {
            ProposalKind::Own => BTreeSet::from([ConsentSide::Person]),
            ProposalKind::Together | ProposalKind::Law => self.required_sides(kind),
        };
        if kind == ProposalKind::Together {
            sides.insert(ConsentSide::Worker);
        }
        sides
    }

    /// Whether the worker must consent to `change`.
    fn needs_worker(&self, change: &TermChange) -> bool {
        if changes_decider(change) {
            return true;
        }
        if change.direction == ChangeDirection::Tighter {
            return false;
        }
        let agreed = self.since_agreed.iter().find(|agreed| agreed.key == change.key);
        match agreed {
            // It restores what was agreed together: the person undoes their own tightening.
            None => false,
            Some(agreed) if agreed.decided == Decider::Person => changes_decider(agreed),
            // The person loosens their own tightening, but not beyond what was agreed.
            Some(agreed) => {
                let is_within = match agreed.direction {
                    ChangeDirection::Tighter => true,
                    // A term that the person added and that says no more than the terms that
                    // covered it.
                    ChangeDirection::Same => agreed.before.is_none(),
                    ChangeDirection::Looser | ChangeDirection::Mixed => false,
                };
                !is_within || changes_decider(agreed)
            }
        }
    }

    /// What the change loosens, beyond what was agreed, without touching it: a term that the person
    /// removed because another term restricted as much, when that other term is removed too.
    fn loosened_indirectly(&self) -> Vec<&TermChange> {
        let is_freed =
            |agreed: &&TermChange| agreed.direction.loosens() && agreed.decided != Decider::Person;
        let is_known =
            |changes: &[TermChange], key: &TermKey| changes.iter().any(|c| c.key == *key);
        let was_freed: Vec<_> = self.own_so_far.iter().filter(is_freed).cloned().collect();
        self.since_agreed
            .iter()
            .filter(is_freed)
            .filter(|freed| {
                !is_known(&self.changes, &freed.key) && !is_known(&was_freed, &freed.key)
            })
            .collect()
    }

    /// How long the person chose to wait before their own restrictions are loosened.
    pub fn cooling(&self) -> SignedDuration {
        let loosening = self.changes.iter().filter(|change| change.direction.loosens());
        let days = loosening.map(|change| change.cooling_days).max().unwrap_or(0);
        SignedDuration::from_hours(i64::from(days).saturating_mul(24))
    }

    /// When the cooling time ends, which runs from the person's `first` yes.
    pub fn cools_until(&self, first: &Consent) -> Timestamp {
        first.said_at.checked_add(self.cooling()).unwrap_or(Timestamp::MAX)
    }

    /// Whether the `first` yes counts if it is repeated at `at`: the cooling time is over, and it
    /// has not been repeated since.
    pub fn counts_again(&self, first: &Consent, at: Timestamp) -> bool {
        let from = self.cools_until(first);
        let was_said_since = first.confirmed_at.is_some_and(|said| said >= from);
        at >= from && (self.cooling().is_zero() || !was_said_since)
    }
}

/// Whether the decider changes. A term that the person adds for themselves may name the person,
/// because it takes nothing from what was agreed.
fn changes_decider(change: &TermChange) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => before.decides() != after.decides(),
        (None, Some(after)) => {
            after.decides() != change.decided && after.decides() != Decider::Person
        }
        (_, None) => false,
    }
}

/// What follows from the answers so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// These sides have not consented yet.
    Waits(BTreeSet<ConsentSide>),
    Starts,
}

/// Whether every required side has consented, each by a different human being.
///
/// # Errors
///
/// [`ProposalError::NothingLeft`], [`ProposalError::SameHuman`], or [`ProposalError::Cooling`]
/// while the person has not repeated their yes after the cooling time.
pub fn outcome(
    proposal: &Proposal,
    consents: &[Consent],
    requirements: &ConsentRequirements,
    at: Timestamp,
) -> Result<ProposalOutcome, ProposalError> {
    if requirements.changes.is_empty() {
        return Err(ProposalError::NothingLeft);
    }
    let yes: Vec<_> = consents.iter().filter(|consent| consent.is_yes()).collect();
    let humans: BTreeSet<_> = yes.iter().map(|consent| &consent.human).collect();
    if humans.len() < yes.len() {
        return Err(ProposalError::SameHuman);
    }
    let mut missing = requirements.required_sides(proposal.kind);
    missing.retain(|side| yes.iter().all(|consent| consent.side != *side));
    if !missing.is_empty() {
        return Ok(ProposalOutcome::Waits(missing));
    }
    // The cooling time runs from the person's first yes, and they must repeat it afterwards.
    // Answers of other sides do not shorten that time.
    let Some(person) = yes.iter().find(|consent| consent.side == ConsentSide::Person) else {
        return Ok(ProposalOutcome::Starts);
    };
    if requirements.cooling().is_zero() {
        return Ok(ProposalOutcome::Starts);
    }
    let from = requirements.cools_until(person);
    if at < from || person.confirmed_at.is_none_or(|again| again < from) {
        Err(ProposalError::Cooling(from))
    } else {
        Ok(ProposalOutcome::Starts)
    }
}

/// Whether `proposed` contains every change that was `refused`, with the same terms.
pub fn repeats_refusal(refused: &[TermChange], proposed: &[TermChange]) -> bool {
    let is_there = |change: &TermChange| {
        proposed.iter().any(|new| new.key == change.key && new.after == change.after)
    };
    !refused.is_empty() && refused.iter().all(is_there)
}
