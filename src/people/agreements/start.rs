//! What comes of a proposal: it waits, it cools, or it starts as the next version of the list.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Table;
use crate::domain::agreement::Agreement;
use crate::domain::agreement::change::{Change, Key, List, changes};
use crate::domain::agreement::proposal;
use crate::domain::agreement::proposal::{
    Consent, Kind, MoveError, OPEN_FOR, Proposal, Side, Standard, State,
};
use crate::domain::id::ProposalId;
use crate::domain::people::recipient::Recipient;
use crate::messages::words::{ListNews, Words};
use crate::people::members::ActError;
use crate::programme::version::start_version;
use crate::store::Tx;

/// What came of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub proposal: ProposalId,
    pub next: Next,
}

/// What has to happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These sides have not said yes.
    Waits(BTreeSet<Side>),
    /// Everybody has said yes; the person says it again when their own time to wait has passed.
    Cools(Timestamp),
    /// This version of the list is in force.
    Started(u32),
    /// It ended. Nothing changed.
    Ended(State),
}

impl Table<'_> {
    /// Starts what everybody has agreed to, or tells who is asked next. Writes the proposal, which
    /// was in the state `before`.
    pub(super) async fn settle(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        consents: &[Consent],
        before: State,
    ) -> Result<Next, ActError> {
        let base = self.in_force()?.list();
        let every = changes(&base, &proposal.list, &self.programme.rules);
        let next = proposal::agreed_list(&base, proposal, consents, &every);
        let standard = self.standard(tx, &next).await?;
        let outcome = proposal::outcome(proposal, consents, &standard, self.admitted.at);
        match outcome {
            Ok(proposal::Outcome::Waits(sides)) => {
                if proposal.kind == Kind::Own {
                    self.make_it_of_two(proposal, &sides);
                }
                self.change(tx, proposal, before).await?;
                Ok(Next::Waits(sides))
            }
            Err(MoveError::Cooling(from)) => {
                proposal.cool_until(from);
                self.change(tx, proposal, before).await?;
                self.tell_cooling(proposal, from);
                Ok(Next::Cools(from))
            }
            Ok(proposal::Outcome::Starts) => {
                let version = self.start(tx, proposal, consents, next, before).await?;
                self.end_others(tx, proposal, &standard).await?;
                Ok(Next::Started(version))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the person wanted for themselves takes the other side's yes by now, because the list has
    /// changed since: that side is asked, with as much time as anybody.
    fn make_it_of_two(&mut self, proposal: &mut Proposal, sides: &BTreeSet<Side>) {
        proposal.kind = Kind::Together;
        proposal.open_until = self.admitted.at.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX);
        self.ask_sides(proposal, sides, false);
    }

    /// Writes what has become of a proposal.
    pub(super) async fn change(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        before: State,
    ) -> Result<(), ActError> {
        Ok(tx.change_proposal(&self.admitted.programme, proposal, before).await?)
    }

    async fn start(
        &mut self,
        tx: &mut Tx,
        proposal: &mut Proposal,
        consents: &[Consent],
        next: List,
        before: State,
    ) -> Result<u32, ActError> {
        let now = self.in_force()?;
        let (agreed_by, how) = self.who_and_how(tx, consents).await?;
        let agreement = Agreement {
            budget: self.admitted.budget.clone(),
            version: now.version.saturating_add(1),
            agreed_on: self.moment.date,
            agreed_by,
            how,
            partial: next.partial,
            terms: next.terms,
            pots: next.pots,
        };
        let (ids, moment, kind) = (self.desk.ids, self.moment, Some(proposal.kind));
        let rules = &self.programme.rules;
        let open = self.books.get_mut(&self.admitted.programme, &self.admitted.budget);
        let open = open.ok_or(ActError::NotThere("person"))?;
        start_version(tx, &mut open.book, &agreement, kind, rules, ids, moment).await?;
        proposal.state = State::Agreed;
        proposal.ended_at = Some(self.admitted.at);
        proposal.version = Some(agreement.version);
        self.change(tx, proposal, before).await?;
        let subject = proposal.id.to_string();
        match proposal.kind {
            Kind::Together | Kind::Own => {
                self.tell(Recipient::Person, ListNews::ListStarted, &subject, None, "");
                self.tell(Recipient::Worker, ListNews::WorkerListStarted, &subject, None, "");
            }
            Kind::Law => {
                let words = proposal.words.clone();
                self.tell(Recipient::Person, ListNews::ListForced, &subject, None, &words);
                self.tell(Recipient::Worker, ListNews::WorkerListForced, &subject, None, "");
            }
        }
        Ok(agreement.version)
    }

    /// Who said yes, by name, and how each of them did.
    async fn who_and_how(
        &self,
        tx: &mut Tx,
        consents: &[Consent],
    ) -> Result<(Vec<String>, String), ActError> {
        let mut yes: Vec<_> = consents.iter().filter(|consent| consent.is_yes()).collect();
        yes.sort_by_key(|consent| consent.side);
        let (mut names, mut hows) = (Vec::new(), Vec::new());
        for consent in yes {
            let member = &consent.member;
            let actor = tx.actor(&self.admitted.programme, member, self.admitted.at).await?;
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
    async fn going_on(
        &self,
        tx: &mut Tx,
        other: &Proposal,
        list: &List,
    ) -> Result<Option<List>, ActError> {
        let (programme, budget) = (&self.admitted.programme, &self.admitted.budget);
        let (rules, currency) = (&self.programme.rules, self.programme.settings.currency);
        let base = tx.read_agreement(programme, budget, other.base_version, currency).await?.list();
        let theirs = keys(&changes(&base, &other.list, rules));
        let rebased = list.with(&other.list, &theirs);
        let goes_on = match other.kind {
            Kind::Own => theirs.is_disjoint(&keys(&changes(&base, list, rules))),
            Kind::Law => only_tightens(&changes(list, &rebased, rules)),
            Kind::Together => false,
        };
        Ok(goes_on.then_some(rebased))
    }

    /// A version that nobody proposed has started meanwhile, as from the programme's file: what was
    /// about something else goes on.
    pub(super) async fn freshen(
        &self,
        tx: &mut Tx,
        proposal: &mut Proposal,
    ) -> Result<(), ActError> {
        let now = self.in_force()?;
        if proposal.base_version != now.version
            && let Some(rebased) = self.going_on(tx, proposal, &now.list()).await?
        {
            proposal.list = rebased;
            proposal.base_version = now.version;
        }
        Ok(())
    }

    /// What else waited was about the version before. What the person wants for themselves goes on
    /// if it is about something else, and what a law forces if it still only makes the list stricter;
    /// everything else ends, and whoever was asked is told.
    async fn end_others(
        &mut self,
        tx: &mut Tx,
        started: &Proposal,
        standard: &Standard,
    ) -> Result<(), ActError> {
        let (programme, budget) = (self.admitted.programme.clone(), self.admitted.budget.clone());
        let currency = self.programme.settings.currency;
        let version = started.version.unwrap_or(started.base_version);
        let now = self.in_force()?.list();
        let list = now.with(&started.list, &keys(&standard.changes));
        for mut other in tx.open_proposals(&programme, &budget, currency).await? {
            if other.id == started.id {
                continue;
            }
            if let Some(rebased) = self.going_on(tx, &other, &list).await? {
                other.list = rebased;
                other.base_version = version;
            } else {
                let standard = self.standard(tx, &other.list).await?;
                let sides = standard.heard(other.kind);
                other.state = State::RunOut;
                other.ended_at = Some(self.admitted.at);
                self.tell_run_out(&other, &sides);
            }
            self.change(tx, &other, State::Open).await?;
        }
        Ok(())
    }
}

fn keys(changes: &[Change]) -> BTreeSet<Key> {
    changes.iter().map(|change| change.key.clone()).collect()
}

fn only_tightens(changes: &[Change]) -> bool {
    !changes.is_empty() && changes.iter().all(|change| !change.direction.loosens())
}
