//! What comes of a proposal: it waits, it cools, or it starts as the next version of the list.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::AdmittedBudget;
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
use crate::people::members::UseCaseError;
use crate::programme::version::start_version;
use crate::store::Tx;

/// What came of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalProgress {
    pub proposal: ProposalId,
    pub next: ProposalStage,
}

/// What has to happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalStage {
    /// These sides have not said yes.
    AwaitingConsent(BTreeSet<ConsentSide>),
    /// Everybody has said yes; the person says it again when their own time to wait has passed.
    CoolingOff(Timestamp),
    /// This version of the list is in force.
    Started(u32),
    /// It ended. Nothing changed.
    Ended(ProposalState),
}

impl AdmittedBudget<'_> {
    /// Starts what everybody has agreed to, or tells who is asked next. Writes the proposal, which
    /// was in the state `before`.
    pub(super) async fn advance_proposal(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        consents: &[Consent],
        before: ProposalState,
    ) -> Result<ProposalStage, UseCaseError> {
        let base = self.in_force()?.list();
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

    /// What the person wanted for themselves takes the other side's yes by now, because the list has
    /// changed since: that side is asked, with as much time as anybody.
    fn require_other_side(&mut self, proposal: &mut Proposal, sides: &BTreeSet<ConsentSide>) {
        proposal.kind = ProposalKind::Together;
        proposal.open_until =
            self.access.at.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX);
        self.notify_required_sides(proposal, sides, false);
    }

    /// Writes what has become of a proposal.
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
        let now = self.in_force()?;
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

    /// Who said yes, by name, and how each of them did.
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

    /// What a proposal wants, on top of `list` instead of the version that it was written for; none
    /// when it does not go on.
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

    /// A version that nobody proposed has started meanwhile, as from the programme's file: what was
    /// about something else goes on.
    pub(super) async fn rebase_if_stale(
        &self,
        tx: &mut Tx,
        proposal: &mut Proposal,
    ) -> Result<(), UseCaseError> {
        let now = self.in_force()?;
        if proposal.base_version != now.version
            && let Some(rebased) = self.rebase_onto(tx, proposal, &now.list()).await?
        {
            proposal.list = rebased;
            proposal.base_version = now.version;
        }
        Ok(())
    }

    /// What else waited was about the version before. What the person wants for themselves goes on
    /// if it is about something else, and what a law forces if it still only makes the list stricter;
    /// everything else ends, and whoever was asked is told.
    async fn end_competing_proposals(
        &mut self,
        tx: &mut Tx,
        started: &Proposal,
        requirements: &ConsentRequirements,
    ) -> Result<(), UseCaseError> {
        let (programme, budget) = (self.access.programme.clone(), self.access.budget.clone());
        let currency = self.programme.settings.currency;
        let version = started.version.unwrap_or(started.base_version);
        let now = self.in_force()?.list();
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
