//! Advances a proposal: it waits for consent, cools off, or starts as the next version of the list.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::agreement::Agreement;
use crate::domain::agreement::change::{List, TermChange, TermKey, changes};
use crate::domain::agreement::proposal;
use crate::domain::agreement::proposal::{
    Consent, ConsentRequirements, ConsentSide, PROPOSAL_LIFETIME, Proposal, ProposalError,
    ProposalKind, ProposalState,
};
use crate::domain::id::ProposalId;
use crate::domain::people::recipient::Recipient;
use crate::messages::words::{ListNotification, Words};
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::UseCaseError;
use crate::programme::version::start_version;
use crate::store::Tx;

/// A proposal, and its stage after a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalProgress {
    pub proposal: ProposalId,
    pub next: ProposalStage,
}

/// What a proposal waits for, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalStage {
    /// These sides have not consented yet.
    AwaitingConsent(BTreeSet<ConsentSide>),
    /// Every required side has consented. The person must confirm from this time on.
    CoolingOff(Timestamp),
    /// This version of the list is in force.
    Started(u32),
    /// It ended without a change of the list.
    Ended(ProposalState),
}

impl AdmittedBudget<'_> {
    /// Starts the proposed version if every required side has consented; otherwise returns what is
    /// missing. Saves the proposal, whose stored state must still be `before`.
    pub(super) async fn advance_proposal(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        consents: &[Consent],
        before: ProposalState,
    ) -> Result<ProposalStage, UseCaseError> {
        let base = self.agreement()?.list();
        let all_changes = changes(&base, &proposal.list, &self.programme.rules);
        let next = proposal::agreed_list(&base, proposal, consents, &all_changes);
        let requirements = self.requirements(tx, &next).await?;
        let outcome = proposal::outcome(proposal, consents, &requirements, self.access.at);
        match outcome {
            Ok(proposal::ProposalOutcome::Waits(sides)) => {
                if proposal.kind == ProposalKind::Own {
                    self.require_other_side(proposal, &sides);
                }
                self.save_proposal(tx, proposal, before).await?;
                Ok(ProposalStage::AwaitingConsent(sides))
            }
            Err(ProposalError::Cooling(from)) => {
                proposal.cool_until(from);
                self.save_proposal(tx, proposal, before).await?;
                self.notify_cooling_off(proposal, from);
                Ok(ProposalStage::CoolingOff(from))
            }
            Ok(proposal::ProposalOutcome::Starts) => {
                let version = self.start(tx, proposal, consents, next, before).await?;
                self.end_competing_proposals(tx, proposal, &requirements).await?;
                Ok(ProposalStage::Started(version))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Turns a proposal of the person alone into a joint one, because the list has changed since
    /// and `sides` must consent now. They get the full [`PROPOSAL_LIFETIME`] to answer.
    fn require_other_side(&mut self, proposal: &mut Proposal, sides: &BTreeSet<ConsentSide>) {
        proposal.kind = ProposalKind::Together;
        proposal.open_until =
            self.access.at.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX);
        self.notify_required_sides(proposal, sides, false);
    }

    /// Saves a proposal, whose stored state must still be `before`.
    pub(super) async fn save_proposal(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        before: ProposalState,
    ) -> Result<(), UseCaseError> {
        Ok(tx.change_proposal(&self.access.programme, proposal, before).await?)
    }

    async fn start(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        consents: &[Consent],
        next: List,
        before: ProposalState,
    ) -> Result<u32, UseCaseError> {
        let now = self.agreement()?;
        let (agreed_by, how) = self.consent_summary(tx, consents).await?;
        let agreement = Agreement {
            budget: self.access.budget.clone(),
            version: now.version.saturating_add(1),
            agreed_on: self.moment.date,
            agreed_by,
            how,
            partial: next.partial,
            terms: next.terms,
            pots: next.pots,
        };
        let (ids, moment, kind) = (self.context.ids, self.moment, Some(proposal.kind));
        let rules = &self.programme.rules;
        let open = self.books.get_mut(&self.access.programme, &self.access.budget);
        let open = open.ok_or(UseCaseError::NotFound("person"))?;
        start_version(tx, &mut open.book, &agreement, kind, rules, ids, moment).await?;
        proposal.state = ProposalState::Agreed;
        proposal.ended_at = Some(self.access.at);
        proposal.version = Some(agreement.version);
        self.save_proposal(tx, proposal, before).await?;
        let subject = proposal.id.to_string();
        match proposal.kind {
            ProposalKind::Together | ProposalKind::Own => {
                self.notify(Recipient::Person, ListNotification::ListStarted, &subject, None, "");
                self.notify(
                    Recipient::Worker,
                    ListNotification::WorkerListStarted,
                    &subject,
                    None,
                    "",
                );
            }
            ProposalKind::Law => {
                let words = proposal.words.clone();
                self.notify(
                    Recipient::Person,
                    ListNotification::ListForced,
                    &subject,
                    None,
                    &words,
                );
                self.notify(
                    Recipient::Worker,
                    ListNotification::WorkerListForced,
                    &subject,
                    None,
                    "",
                );
            }
        }
        Ok(agreement.version)
    }

    /// The names of those who consented, and a text about how each of them did.
    async fn consent_summary(
        &self,
        tx: &mut Tx,
        consents: &[Consent],
    ) -> Result<(Vec<String>, String), UseCaseError> {
        let mut yes: Vec<_> = consents.iter().filter(|consent| consent.is_yes()).collect();
        yes.sort_by_key(|consent| consent.side);
        let (mut names, mut hows) = (Vec::new(), Vec::new());
        for consent in yes {
            let member = &consent.member;
            let actor = tx.actor(&self.access.programme, member, self.access.at).await?;
            let name = actor.map_or_else(|| member.to_string(), |actor| actor.member.name);
            let session = &consent.session;
            let (place, with) = (&session.place, &session.present);
            let words = Words::english();
            hows.push(words.how_agreed(&name, session.how, place, session.minutes, with));
            names.push(name);
        }
        Ok((names, hows.join(" ")))
    }

    /// The list that `other` proposes, rebased from its base version onto `list`; none when the
    /// proposal cannot continue there.
    async fn rebase_onto(
        &self,
        tx: &mut Tx,
        other: &Proposal,
        list: &List,
    ) -> Result<Option<List>, UseCaseError> {
        let (programme, budget) = (&self.access.programme, &self.access.budget);
        let (rules, currency) = (&self.programme.rules, self.programme.settings.currency);
        let base = tx.read_agreement(programme, budget, other.base_version, currency).await?.list();
        let proposed_keys = keys(&changes(&base, &other.list, rules));
        let rebased = list.with(&other.list, &proposed_keys);
        let goes_on = match other.kind {
            ProposalKind::Own => proposed_keys.is_disjoint(&keys(&changes(&base, list, rules))),
            ProposalKind::Law => only_tightens(&changes(list, &rebased, rules)),
            ProposalKind::Together => false,
        };
        Ok(goes_on.then_some(rebased))
    }

    /// Rebases a proposal if another version has started without a proposal, as from the
    /// programme's file. A proposal that cannot continue on that version is left unchanged.
    pub(super) async fn rebase_if_stale(
        &self,
        tx: &mut Tx,
        proposal: &mut Proposal,
    ) -> Result<(), UseCaseError> {
        let now = self.agreement()?;
        if proposal.base_version != now.version
            && let Some(rebased) = self.rebase_onto(tx, proposal, &now.list()).await?
        {
            proposal.list = rebased;
            proposal.base_version = now.version;
        }
        Ok(())
    }

    /// Rebases or ends all other open proposals, because they are based on the previous version. A
    /// proposal of the person alone continues if it changes other parts; one that a law forces
    /// continues if it still only tightens the list. All others end, and the informed sides are
    /// notified.
    async fn end_competing_proposals(
        &mut self,
        tx: &mut Tx,
        started: &Proposal,
        requirements: &ConsentRequirements,
    ) -> Result<(), UseCaseError> {
        let (programme, budget) = (self.access.programme.clone(), self.access.budget.clone());
        let currency = self.programme.settings.currency;
        let version = started.version.unwrap_or(started.base_version);
        let now = self.agreement()?.list();
        let list = now.with(&started.list, &keys(&requirements.changes));
        for mut other in tx.open_proposals(&programme, &budget, currency).await? {
            if other.id == started.id {
                continue;
            }
            if let Some(rebased) = self.rebase_onto(tx, &other, &list).await? {
                other.list = rebased;
                other.base_version = version;
            } else {
                let requirements = self.requirements(tx, &other.list).await?;
                let sides = requirements.informed_sides(other.kind);
                other.state = ProposalState::RunOut;
                other.ended_at = Some(self.access.at);
                self.notify_expired(&other, &sides);
            }
            self.save_proposal(tx, &other, ProposalState::Open).await?;
        }
        Ok(())
    }
}

fn keys(changes: &[TermChange]) -> BTreeSet<TermKey> {
    changes.iter().map(|change| change.key.clone()).collect()
}

fn only_tightens(changes: &[TermChange]) -> bool {
    !changes.is_empty() && changes.iter().all(|change| !change.direction.loosens())
}
