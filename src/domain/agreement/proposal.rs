//! A next version of a list, from the first draft to the moment at which it starts.
//!
//! What can become of a proposal is decided here and nowhere else. Nothing happens by silence: a
//! proposal that nobody answers runs out, and nothing has changed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Decider;
use crate::domain::agreement::change::{ChangeDirection, List, TermChange, TermKey, changes};
use crate::domain::id::{BudgetId, HumanId, MemberId, ProposalId};
use crate::domain::money::Money;
use crate::domain::people::role::stored_enum;
use crate::domain::shop::merchant::MerchantRules;

/// How long a draft is kept.
pub const DRAFT_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How many drafts for one person an account may keep.
pub const MAX_DRAFTS: usize = 10;
/// How long the other side has to answer.
pub const PROPOSAL_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long the same change cannot be proposed again after a no.
pub const REFUSAL_COOLDOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

stored_enum!(
    /// Whose agreement it takes.
    ProposalKind {
        /// Of two people.
        Together => "together",
        /// Of the person alone: stricter at once, or back to what was agreed after their own time.
        Own => "own",
        /// A law forces it: two humans of the staff say so, and the person is told.
        Law => "law",
    }
);

stored_enum!(
    /// How far it has come.
    ProposalState {
        /// Somebody is writing it. Nobody is asked.
        Draft => "draft",
        Open => "open",
        Agreed => "agreed",
        Refused => "refused",
        /// Answered with another proposal.
        Countered => "countered",
        Withdrawn => "withdrawn",
        /// Nobody answered in time, or another version started meanwhile.
        RunOut => "run_out",
        /// A draft that somebody else has made their own.
        TakenUp => "taken_up",
    }
);

stored_enum!(
    /// Who answers.
    ConsentSide {
        Person => "person",
        Worker => "worker",
        /// Joins above a sum that the programme sets; never instead of the person.
        Manager => "manager",
    }
);

stored_enum!(
    /// What a side said.
    ConsentAnswer {
        Yes => "yes",
        No => "no",
    }
);

stored_enum!(
    /// Where a side said it.
    ConsentChannel {
        OwnPhone => "own_phone",
        OwnPage => "own_page",
        InPerson => "in_person",
    }
);

stored_enum!(
    /// Whether it is agreed as a whole, or may be agreed in parts.
    ConsentGranularity {
        Whole => "whole",
        Parts => "parts",
    }
);

/// A next version of a list.
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
    /// The proposal that this one answers, or the draft that it took up.
    pub answers: Option<ProposalId>,
    pub parts: ConsentGranularity,
    pub state: ProposalState,
    pub proposed_by: MemberId,
    pub proposed_at: Timestamp,
    /// Until then it cannot start: somebody's own cooling time runs.
    pub not_before: Timestamp,
    pub open_until: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The version that it became.
    pub version: Option<u32>,
}

/// How, where, how long and with whom somebody agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentSession {
    pub how: ConsentChannel,
    pub place: String,
    pub minutes: u32,
    /// Who else was there; empty for nobody.
    pub present: String,
}

/// One side's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub side: ConsentSide,
    pub member: MemberId,
    pub human: HumanId,
    pub said: ConsentAnswer,
    /// What of it is agreed; none for all of it.
    pub parts: Option<BTreeSet<TermKey>>,
    pub session: ConsentSession,
    /// What they wanted to say with it; empty for nothing.
    pub words: String,
    /// When it was last confirmed that it is this human's own word. What somebody else wrote down
    /// for them counts for nothing before, and what cools counts when it is said again.
    pub confirmed_at: Option<Timestamp>,
    /// When it was said; of what was written down, when it was first confirmed.
    pub said_at: Timestamp,
}

impl Consent {
    /// Whether it is a yes that counts.
    pub fn is_yes(&self) -> bool {
        self.said == ConsentAnswer::Yes && self.confirmed_at.is_some()
    }

    /// Whether `answer` says the same of the same account: sent twice, it counts once.
    pub fn says_the_same_as(&self, answer: &Self) -> bool {
        self.member == answer.member
            && self.said == answer.said
            && self.parts == answer.parts
            && self.session == answer.session
            && self.words == answer.words
    }

    /// This yes, said again with `answer`: the parts that were agreed both times. The cooling time
    /// still runs from the first one.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotSaidThen`] when a part is named that was left out the first time: agreeing to
    /// more begins a cooling time of its own, and so takes a proposal of its own.
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

/// Why a move is not possible.
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
    /// The state at a moment: what nobody answered in time has run out, whether or not anybody has
    /// written that down.
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

    /// Whether a human being can answer it for one side: yes if nobody has for that side, no and
    /// something else until it starts.
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

    /// Whether a human being can say yes to it for one side: it is about the list in force, and
    /// nobody has said so for that side.
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

    /// The yes that the person can say again, because their own cooling time runs: nothing starts by
    /// silence.
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

    /// Whether `side` can take it back: the side that proposed it.
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

    /// The side for which it was proposed, while the proposer's own answer stands.
    pub fn side_of_proposer(&self, consents: &[Consent]) -> Option<ConsentSide> {
        consents.iter().find(|c| c.member == self.proposed_by).map(|c| c.side)
    }

    /// Waits until a moment at which the person can say yes again, and as long after it as for any
    /// answer.
    pub fn cool_until(&mut self, from: Timestamp) {
        self.not_before = self.not_before.max(from);
        let until = from.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX);
        self.open_until = self.open_until.max(until);
    }

    /// The human beings who forced it, if it became a version because a law says so.
    pub fn forced_by(&self, consents: &[Consent]) -> Option<BTreeSet<HumanId>> {
        let is_forced = self.kind == ProposalKind::Law && self.state == ProposalState::Agreed;
        let yes = consents.iter().filter(|consent| consent.is_yes());
        is_forced.then(|| yes.map(|consent| consent.human.clone()).collect())
    }

    /// Whether it waits for answers.
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

    /// Whether the parts that somebody names can be agreed apart from the rest.
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

/// The list that everybody who has said yes so far has said yes to.
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

/// What decides whose yes a change takes.
#[derive(Debug, Clone)]
pub struct ConsentRequirements {
    /// What differs between the list in force and the next one.
    pub changes: Vec<TermChange>,
    /// What differs between the list that was last agreed with the worker and the next one: what
    /// the person made stricter alone is not in it.
    since_agreed: Vec<TermChange>,
    /// What differs already between the list that was last agreed with the worker and the one in
    /// force.
    own_so_far: Vec<TermChange>,
    /// Above this a manager joins; none if the programme has not set a sum.
    manager_above: Option<Money>,
}

impl ConsentRequirements {
    /// For the way from the list in force, `now`, to `next`; `agreed` is what was last agreed with the
    /// worker.
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

    /// Whose yes it takes. The person's, always: nobody loosens or tightens without them, but for
    /// what a law forces.
    pub fn required_sides(&self, kind: ProposalKind) -> BTreeSet<ConsentSide> {
        if kind == ProposalKind::Law {
            return BTreeSet::from([ConsentSide::Worker, ConsentSide::Manager]);
        }
        let mut sides = BTreeSet::from([ConsentSide::Person]);
        let together: Vec<_> =
            self.changes.iter().filter(|change| self.needs_worker(change)).collect();
        if !together.is_empty() || self.loosens_indirectly() {
            sides.insert(ConsentSide::Worker);
        }
        let is_above = |change: &&&TermChange| {
            self.manager_above.is_some_and(|sum| change.frees_more_than(sum))
        };
        if together.iter().any(|change| is_above(&change)) {
            sides.insert(ConsentSide::Manager);
        }
        sides
    }

    /// Who has heard of it: those whose yes it takes, and the worker of what two agree on.
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

    /// Whether the person alone cannot make this change.
    fn needs_worker(&self, change: &TermChange) -> bool {
        if changes_decider(change) {
            return true;
        }
        if change.direction == ChangeDirection::Tighter {
            return false;
        }
        let agreed = self.since_agreed.iter().find(|agreed| agreed.key == change.key);
        match agreed {
            // It is what was agreed together: the person takes their own tightening back.
            None => false,
            Some(agreed) if agreed.decided == Decider::Person => changes_decider(agreed),
            // The person loosens their own tightening, and not further than what was agreed.
            Some(agreed) => {
                let is_within = match agreed.direction {
                    ChangeDirection::Tighter => true,
                    // A term of the person's own that says no more than what covered it.
                    ChangeDirection::Same => agreed.before.is_none(),
                    ChangeDirection::Looser | ChangeDirection::Mixed => false,
                };
                !is_within || changes_decider(agreed)
            }
        }
    }

    /// Whether something that is not touched itself is freed all the same, beyond what was agreed: a
    /// term that the person took out because another one held as much, when that one goes too.
    fn loosens_indirectly(&self) -> bool {
        let is_freed =
            |agreed: &&TermChange| agreed.direction.loosens() && agreed.decided != Decider::Person;
        let is_known =
            |changes: &[TermChange], key: &TermKey| changes.iter().any(|c| c.key == *key);
        let was_freed: Vec<_> = self.own_so_far.iter().filter(is_freed).cloned().collect();
        self.since_agreed
            .iter()
            .filter(is_freed)
            .any(|freed| !is_known(&self.changes, &freed.key) && !is_known(&was_freed, &freed.key))
    }

    /// How long the person wanted to wait before what they chose for themselves is loosened.
    pub fn cooling(&self) -> SignedDuration {
        let loosening = self.changes.iter().filter(|change| change.direction.loosens());
        let days = loosening.map(|change| change.cooling_days).max().unwrap_or(0);
        SignedDuration::from_hours(i64::from(days).saturating_mul(24))
    }

    /// When the cooling time is over that runs from the first yes of the person.
    pub fn cools_until(&self, first: &Consent) -> Timestamp {
        first.said_at.checked_add(self.cooling()).unwrap_or(Timestamp::MAX)
    }

    /// Whether saying the `first` yes again counts now: the cooling time is over, and it has not been
    /// said since.
    pub fn counts_again(&self, first: &Consent, at: Timestamp) -> bool {
        let from = self.cools_until(first);
        let was_said_since = first.confirmed_at.is_some_and(|said| said >= from);
        at >= from && (self.cooling().is_zero() || !was_said_since)
    }
}

/// Whether another one would decide than before. On a term that the person adds for themselves, they
/// may decide alone: it takes nothing from what was agreed.
fn changes_decider(change: &TermChange) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => before.decides() != after.decides(),
        (None, Some(after)) => {
            after.decides() != change.decided && after.decides() != Decider::Person
        }
        (_, None) => false,
    }
}

/// What comes of the answers so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// These sides have not said yes.
    Waits(BTreeSet<ConsentSide>),
    Starts,
}

/// Whether everybody whose yes it takes has said yes, each of them another human being.
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
    // The time runs from the person's own wish, and they say it again when it has passed: what
    // others say meanwhile or after it lifts nothing.
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

/// Whether everything that somebody said no to is proposed again, in the same words of the list.
pub fn is_same_again(refused: &[TermChange], proposed: &[TermChange]) -> bool {
    let is_there = |change: &TermChange| {
        proposed.iter().any(|new| new.key == change.key && new.after == change.after)
    };
    !refused.is_empty() && refused.iter().all(is_there)
}
