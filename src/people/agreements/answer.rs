//! Answering a proposal, in whole or in parts; recording an answer that the person confirms later;
//! withdrawing and expiring proposals.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::notifications::recipient;
use super::propose::act_words;
use super::{ProposalProgress, ProposalStage, checked_session, required_words};
use crate::domain::agreement::change::{TermKey, changes};
use crate::domain::agreement::proposal;
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentChannel, ConsentRequirements, ConsentSession, ConsentSide,
    Proposal, ProposalError, ProposalState,
};
use crate::domain::id::{BudgetId, PersonId, ProgrammeId, ProposalId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::messages::words::ListNotification;
use crate::people::admitted_budget::{AdmittedBudget, lock_budget};
use crate::people::members::{ExistingAnswer, Principal, UseCaseContext, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{Books, Tx};

/// An answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalAnswerRequest {
    pub said: ConsentAnswer,
    /// The accepted parts; none for the whole proposal.
    pub parts: Option<BTreeSet<TermKey>>,
    pub session: ConsentSession,
    /// An optional comment; empty for none.
    pub words: String,
}

/// A change of a proposal that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalChange {
    /// Answers it for the account's side. The last required yes starts the next version.
    Answer(ProposalAnswerRequest),
    /// Records a yes that the person gave in a meeting with staff. It does not count until the
    /// person confirms it with [`Self::Confirm`].
    RecordInPersonYes { parts: Option<BTreeSet<TermKey>>, session: ConsentSession },
    /// Confirms the yes that was recorded for the person. It counts as their own consent from now
    /// on.
    Confirm,
    /// Withdraws an open proposal of the account's side, or a draft of the account. The list does
    /// not change.
    Withdraw,
}

impl ProposalChange {
    /// The capability that the change requires of each role. The table of roles decides who has it.
    const fn required_act(&self, role: Role) -> Capability {
        match (self, role) {
            (Self::Answer(_), Role::Person) | (Self::Confirm, _) => Capability::AgreeAsPerson,
            (Self::Answer(_), Role::Manager) => Capability::AgreeAsManager,
            (
                Self::Answer(_),
                Role::Worker
                | Role::Duty
                | Role::Helper
                | Role::Advocate
                | Role::Planner
                | Role::Finance
                | Role::Operator
                | Role::Auditor,
            )
            | (Self::RecordInPersonYes { .. }, _) => Capability::AgreeAsWorker,
            (Self::Withdraw, _) => Capability::Draft,
        }
    }
}

/// Changes a proposal. A repeated answer is idempotent: it returns the current stage.
///
/// # Errors
///
/// [`UseCaseError::AlreadyAnswered`] with the recorded answer of this side, if it differs.
pub async fn change_proposal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: ProposalId,
    change: ProposalChange,
) -> Result<ProposalProgress, UseCaseError> {
    let act = |role| change.required_act(role);
    let mut admitted = AdmittedBudget::open(tx, context, principal, person, act).await?;
    let (proposal, consents) = admitted.proposal(tx, id).await?;
    let next = match change {
        ProposalChange::Answer(request) => admitted.answer(tx, proposal, consents, request).await?,
        ProposalChange::RecordInPersonYes { parts, session } => {
            admitted.record_in_person_yes(tx, &proposal, consents, parts, &session).await?
        }
        ProposalChange::Confirm => admitted.confirm(tx, proposal, consents).await?,
        ProposalChange::Withdraw => admitted.withdraw(tx, proposal, &consents).await?,
    };
    Ok(ProposalProgress { proposal: id, next })
}

impl AdmittedBudget<'_> {
    async fn answer(
        &mut self,
        tx: &mut Tx,
        mut proposal: Proposal,
        consents: Vec<Consent>,
        request: ProposalAnswerRequest,
    ) -> Result<ProposalStage, UseCaseError> {
        let side = self.side()?;
        let answer = self.checked_answer(side, request)?;
        if let Some(next) = self.repeated_answer(tx, &proposal, &consents, &answer).await? {
            return Ok(next);
        }
        self.rebase_if_stale(tx, &mut proposal).await?;
        match answer.said {
            ConsentAnswer::No => self.record_no(tx, &mut proposal, consents, answer).await,
            ConsentAnswer::Yes => self.record_yes(tx, &mut proposal, consents, answer).await,
        }
    }

    async fn record_in_person_yes(
        &mut self,
        tx: &mut Tx,
        proposal: &Proposal,
        mut consents: Vec<Consent>,
        parts: Option<BTreeSet<TermKey>>,
        session: &ConsentSession,
    ) -> Result<ProposalStage, UseCaseError> {
        self.side()?;
        let own = tx.own_account(&self.access.programme, &self.access.budget).await?;
        let (member, human) = own.ok_or(UseCaseError::NotFound("account of the person"))?;
        let in_force = self.agreement()?;
        let at = self.access.at;
        proposal.may_say_yes(&consents, ConsentSide::Person, &human, in_force.version, at)?;
        if human == self.access.actor.member.human {
            return Err(ProposalError::SameHuman.into());
        }
        let all_changes = changes(&in_force.list(), &proposal.list, &self.programme.rules);
        proposal.check_parts(parts.as_ref(), &all_changes)?;
        let session = ConsentSession { how: ConsentChannel::InPerson, ..checked_session(session)? };
        let consent = Consent {
            member,
            human,
            confirmed_at: None,
            ..self.consent(ConsentSide::Person, session, parts)
        };
        self.save_consent(tx, proposal, &mut consents, consent).await?;
        let subject = proposal.id.to_string();
        self.notify(Recipient::Person, ListNotification::ListWrittenDown, &subject, None, "");
        self.close(tx, "list_written_down", &subject, "").await?;
        Ok(ProposalStage::AwaitingConsent(BTreeSet::from([ConsentSide::Person])))
    }

    async fn confirm(
        &mut self,
        tx: &mut Tx,
        mut proposal: Proposal,
        mut consents: Vec<Consent>,
    ) -> Result<ProposalStage, UseCaseError> {
        let in_force = self.agreement()?.version;
        let (at, account) = (self.access.at, self.access.actor.member.clone());
        let human = &account.human;
        proposal.may_say_yes(&consents, ConsentSide::Person, human, in_force, at)?;
        let unconfirmed =
            consents.iter().find(|c| c.side == ConsentSide::Person && c.confirmed_at.is_none());
        let unconfirmed = unconfirmed.filter(|c| c.human == *human).cloned();
        let unconfirmed = unconfirmed.ok_or(ProposalError::NothingToConfirm)?;
        let consent =
            Consent { member: account.id, confirmed_at: Some(at), said_at: at, ..unconfirmed };
        self.save_consent(tx, &proposal, &mut consents, consent).await?;
        let next = self.advance_proposal(tx, &mut proposal, &consents, ProposalState::Open).await?;
        self.close(tx, "list_confirmed", &proposal.id.to_string(), "").await?;
        Ok(next)
    }

    async fn withdraw(
        &mut self,
        tx: &mut Tx,
        mut proposal: Proposal,
        consents: &[Consent],
    ) -> Result<ProposalStage, UseCaseError> {
        let before = proposal.state;
        if before == ProposalState::Draft {
            if proposal.proposed_by != self.access.actor.member.id {
                return Err(UseCaseError::NotFound("proposal"));
            }
        } else {
            let side = self.side()?;
            proposal.may_withdraw(consents, side, self.access.at)?;
            let requirements = self.requirements(tx, &proposal.list).await?;
            let mut others = requirements.informed_sides(proposal.kind);
            others.remove(&side);
            for other in others {
                let (person, staff) =
                    (ListNotification::ListTakenBack, ListNotification::WorkerListTakenBack);
                self.notify_ended(&proposal, recipient(other), person, staff);
            }
        }
        proposal.state = ProposalState::Withdrawn;
        proposal.ended_at = Some(self.access.at);
        self.save_proposal(tx, &proposal, before).await?;
        self.close(tx, "list_taken_back", &proposal.id.to_string(), "").await?;
        Ok(ProposalStage::Ended(ProposalState::Withdrawn))
    }

    /// Validates the request and builds the consent of this account.
    fn checked_answer(
        &self,
        side: ConsentSide,
        request: ProposalAnswerRequest,
    ) -> Result<Consent, UseCaseError> {
        let ProposalAnswerRequest { said, parts, session, words } = request;
        if said == ConsentAnswer::No && parts.is_some() {
            return Err(ProposalError::NoInParts.into());
        }
        let words = match words.trim() {
            "" => String::new(),
            words => required_words("words", words)?,
        };
        Ok(Consent { said, words, ..self.consent(side, checked_session(&session)?, parts) })
    }

    /// The stage, if this answer repeats one that was sent before; none for a new answer. Fails
    /// with the recorded answer if the proposal was decided and this answer differs.
    async fn repeated_answer(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
        answer: &Consent,
    ) -> Result<Option<ProposalStage>, UseCaseError> {
        let Some(known) = consents.iter().find(|known| known.side == answer.side) else {
            return Ok(None);
        };
        let is_same = known.has_same_content(answer);
        // The yes of the proposer was given by proposing, so it is not a sent answer.
        let has_answered = known.said == ConsentAnswer::No || known.member != proposal.proposed_by;
        let is_repeat = is_same && has_answered;
        match (proposal.state, proposal.version) {
            (ProposalState::Agreed, Some(version)) if is_repeat => {
                Ok(Some(ProposalStage::Started(version)))
            }
            (state @ (ProposalState::Refused | ProposalState::Withdrawn), _) if is_repeat => {
                Ok(Some(ProposalStage::Ended(state)))
            }
            (ProposalState::Agreed | ProposalState::Refused, _) => {
                Err(self.already_answered(tx, known).await?)
            }
            (ProposalState::Open, _) if is_same && known.is_yes() => {
                let again = proposal.cooling_consent(consents, answer.side, &answer.human);
                if is_repeat || again.is_some() {
                    self.pending_stage(tx, proposal, consents, again).await
                } else {
                    Ok(None)
                }
            }
            (_, _) => Ok(None),
        }
    }

    /// The stage of a proposal that still waits; none when the answer must be processed, because it
    /// confirms `first` after the cooling time or because the proposal is closed or stale.
    async fn pending_stage(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
        first: Option<&Consent>,
    ) -> Result<Option<ProposalStage>, UseCaseError> {
        let at = self.access.at;
        if proposal.is_open(at).is_err() || proposal.base_version != self.agreement()?.version {
            return Ok(None);
        }
        let requirements = self.agreed_standard(tx, proposal, consents).await?;
        if first.is_some_and(|first| requirements.counts_again(first, at)) {
            return Ok(None);
        }
        Ok(match proposal::outcome(proposal, consents, &requirements, at) {
            Ok(proposal::ProposalOutcome::Waits(sides)) => {
                Some(ProposalStage::AwaitingConsent(sides))
            }
            Err(ProposalError::Cooling(from)) => Some(ProposalStage::CoolingOff(from)),
            Ok(proposal::ProposalOutcome::Starts) | Err(_) => None,
        })
    }

    /// The consents required for the list as agreed so far: with the parts that every yes includes.
    async fn agreed_standard(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &[Consent],
    ) -> Result<ConsentRequirements, UseCaseError> {
        let base = self.agreement()?.list();
        let all_changes = changes(&base, &proposal.list, &self.programme.rules);
        let next = proposal::agreed_list(&base, proposal, consents, &all_changes);
        self.requirements(tx, &next).await
    }

    /// The error with the recorded answer `known` of a side.
    async fn already_answered(
        &self,
        tx: &mut Tx,
        known: &Consent,
    ) -> Result<UseCaseError, UseCaseError> {
        let Consent { side: _, member, human: _, said, parts, words, said_at, .. } = known;
        let parts = parts.as_ref().map(|parts| parts.iter().map(ToString::to_string).collect());
        let answer = ExistingAnswer {
            words: Some(words.clone()).filter(|words| !words.is_empty()),
            parts,
            ..ExistingAnswer::new(said.word(), *said_at)
        };
        self.access.already_answered(tx, Some(member), answer).await
    }

    /// Records a no and ends the proposal. Until the version starts, a no may replace the yes of
    /// its own side.
    async fn record_no(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        mut consents: Vec<Consent>,
        no: Consent,
    ) -> Result<ProposalStage, UseCaseError> {
        proposal.may_answer(&consents, no.side, &no.human, self.access.at)?;
        let mut informed =
            self.requirements(tx, &proposal.list).await?.informed_sides(proposal.kind);
        if consents.iter().all(|known| known.side != no.side) {
            self.check_side_is_required(tx, proposal, no.side).await?;
        }
        informed.extend(consents.iter().map(|known| known.side));
        informed.remove(&no.side);
        let is_own = proposal.side_of_proposer(&consents) == Some(no.side);
        let words = act_words(proposal, &no.words);
        self.save_consent(tx, proposal, &mut consents, no).await?;
        let next = self.refuse_proposal(tx, proposal, &informed, is_own).await?;
        self.close(tx, "list_refused", &proposal.id.to_string(), &words).await?;
        Ok(next)
    }

    /// Records a yes, or the confirmation of one after the cooling time. A confirmation cannot
    /// cover more than the first yes.
    async fn record_yes(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        mut consents: Vec<Consent>,
        yes: Consent,
    ) -> Result<ProposalStage, UseCaseError> {
        let (at, in_force) = (self.access.at, self.agreement()?);
        let again = proposal.cooling_consent(&consents, yes.side, &yes.human).cloned();
        match proposal.may_say_yes(&consents, yes.side, &yes.human, in_force.version, at) {
            Err(ProposalError::Answered) => {
                let requirements = self.agreed_standard(tx, proposal, &consents).await?;
                let counts = |first: &Consent| requirements.counts_again(first, at);
                if !again.as_ref().is_some_and(counts) {
                    let known = consents.iter().find(|known| known.side == yes.side);
                    return Err(self
                        .already_answered(tx, known.ok_or(ProposalError::Answered)?)
                        .await?);
                }
            }
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        self.check_side_is_required(tx, proposal, yes.side).await?;
        let all_changes = changes(&in_force.list(), &proposal.list, &self.programme.rules);
        proposal.check_parts(yes.parts.as_ref(), &all_changes)?;
        let yes = match &again {
            Some(first) => first.said_again(&yes)?,
            None => yes,
        };
        let words = act_words(proposal, &yes.words);
        self.save_consent(tx, proposal, &mut consents, yes).await?;
        let next = self.advance_proposal(tx, proposal, &consents, ProposalState::Open).await?;
        let kind =
            if matches!(next, ProposalStage::Started(_)) { "list_started" } else { "list_agreed" };
        self.close(tx, kind, &proposal.id.to_string(), &words).await?;
        Ok(next)
    }

    /// Refuses the answer of a side whose consent is not required.
    async fn check_side_is_required(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        side: ConsentSide,
    ) -> Result<(), UseCaseError> {
        let requirements = self.requirements(tx, &proposal.list).await?;
        if requirements.required_sides(proposal.kind).contains(&side) {
            Ok(())
        } else {
            Err(UseCaseError::NotAllowed("answer this: it does not take this side's yes"))
        }
    }

    async fn save_consent(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        consents: &mut Vec<Consent>,
        consent: Consent,
    ) -> Result<(), UseCaseError> {
        let programme = &self.access.programme;
        if consents.iter().any(|known| known.side == consent.side) {
            tx.replace_consent(programme, proposal, &consent).await?;
        } else {
            tx.add_consent(programme, proposal, &consent).await?;
        }
        consents.retain(|known| known.side != consent.side);
        consents.push(consent);
        Ok(())
    }

    async fn refuse_proposal(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        informed: &BTreeSet<ConsentSide>,
        is_own: bool,
    ) -> Result<ProposalStage, UseCaseError> {
        // A no of the proposing side is a withdrawal, so the same change can be proposed again.
        let (state, person, staff) = if is_own {
            (
                ProposalState::Withdrawn,
                ListNotification::ListTakenBack,
                ListNotification::WorkerListTakenBack,
            )
        } else {
            (
                ProposalState::Refused,
                ListNotification::ListRefused,
                ListNotification::WorkerListRefused,
            )
        };
        proposal.state = state;
        proposal.ended_at = Some(self.access.at);
        self.save_proposal(tx, proposal, ProposalState::Open).await?;
        for other in informed {
            self.notify_ended(proposal, recipient(*other), person, staff);
        }
        Ok(ProposalStage::Ended(state))
    }
}

/// Expires a proposal or a draft whose time limit has passed. The list does not change. Called by
/// upkeep; returns whether it expired now.
pub async fn expire(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    budget: &BudgetId,
    id: ProposalId,
    at: Timestamp,
) -> Result<bool, UseCaseError> {
    let books = lock_budget(tx, context, programme, budget).await?;
    let Some(version) = books.settings_version(programme, budget) else { return Ok(false) };
    let settings = context.directory.version(programme, version).await?;
    let found = tx.proposal(programme, budget, id, settings.settings.currency).await?;
    let Some((mut proposal, consents)) = found else { return Ok(false) };
    let before = proposal.state;
    if proposal.state_at(at) != ProposalState::RunOut || before == ProposalState::RunOut {
        return Ok(false);
    }
    proposal.state = ProposalState::RunOut;
    proposal.ended_at = Some(at);
    tx.change_proposal(programme, &proposal, before).await?;
    if before == ProposalState::Open {
        let mut sides = informed_sides(tx, &books, &settings, programme, &proposal).await?;
        sides.extend(consents.iter().map(|consent| consent.side));
        let messages =
            super::notifications::expiry_messages(context.ids, programme, &proposal, &sides, at);
        let pending_writes = crate::store::PendingWrites { messages, ..Default::default() };
        tx.close_books(&books.all(), &pending_writes).await?;
    }
    Ok(true)
}

/// The sides that were informed of a proposal.
async fn informed_sides(
    tx: &mut Tx,
    books: &Books,
    settings: &Programme,
    programme: &ProgrammeId,
    proposal: &Proposal,
) -> Result<BTreeSet<ConsentSide>, UseCaseError> {
    let open = books.get(programme, &proposal.budget);
    let now = open.and_then(|open| open.book.agreement()).ok_or(UseCaseError::NotFound("list"))?;
    let (now, currency) = (now.list(), settings.settings.currency);
    let agreed = tx.agreed_list(programme, &proposal.budget, currency).await?;
    let agreed = agreed.unwrap_or_else(|| now.clone());
    let manager_above = settings.settings.manager_above;
    let requirements =
        ConsentRequirements::of(&now, &agreed, &proposal.list, &settings.rules, manager_above);
    Ok(requirements.informed_sides(proposal.kind))
}
