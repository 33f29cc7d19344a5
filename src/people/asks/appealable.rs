//! Lists what can be appealed: recent declines and refused asks, pauses and staff freezes in force,
//! and changes that a law forced. Read-only, for accounts with [`Capability::Appeal`].

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::ask::appeal::{APPEAL_WINDOW, AppealSubject, Appealable};
use crate::domain::ask::{Ask, AskAnswer, AskRefusalReason, askable};
use crate::domain::card::CardState;
use crate::domain::id::PersonId;
use crate::domain::people::role::{Capability, Role};
use crate::ledger::book::Card;
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::store::{ChainLink, Tx};

/// The most links of a chain that are read.
const CHAIN_LINKS_MAX: u32 = 500;
/// The most refused asks that are listed.
const DECLINED_ASKS_MAX: u32 = 100;

/// What the person can appeal and has not appealed yet, newest first. Place and amount are for the
/// person only.
pub async fn appealable(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
) -> Result<Vec<Appealable>, UseCaseError> {
    let access = principal.admit_to_read(tx, Capability::Appeal, person).await?;
    let since = principal.at.checked_sub(APPEAL_WINDOW).unwrap_or(Timestamp::MIN);
    let mut found = appealable_declines(tx, &access, since).await?;
    let (programme, budget) = (&access.programme, &access.budget);
    let noes = tx.refused_asks_since(programme, budget, since, DECLINED_ASKS_MAX).await?;
    found.extend(noes.into_iter().filter_map(appealable_no));
    found.extend(appealable_restrictions(tx, context, &access).await?);
    let known = tx.appealed_subjects(programme, budget).await?;
    found.retain(|item| !known.contains(&item.about.to_string()));
    if access.actor.member.role != Role::Person {
        for item in &mut found {
            item.place = None;
            item.amount = None;
        }
    }
    found.sort_by_key(|item| std::cmp::Reverse(item.decided_at));
    Ok(found)
}

/// Declines after `since` that the list caused and that no ask is about.
async fn appealable_declines(
    tx: &mut Tx,
    access: &GrantedAccess,
    since: Timestamp,
) -> Result<Vec<Appealable>, UseCaseError> {
    let (programme, budget) = (&access.programme, &access.budget);
    let links = tx.links_since(programme, budget, since, CHAIN_LINKS_MAX).await?;
    let ids: Vec<_> = links.iter().filter_map(ChainLink::decision).collect();
    let asked = tx.decisions_with_asks(programme, budget, since).await?;
    let decisions = tx.decisions_by_id(programme, &ids).await?;
    let is_open_to_appeal =
        |decision: &&RecordedDecision| decision.decided_at > since && !asked.contains(&decision.id);
    Ok(decisions.iter().filter(is_open_to_appeal).filter_map(appealable_decline).collect())
}

fn appealable_decline(decision: &RecordedDecision) -> Option<Appealable> {
    let DecisionOutcome::Declined(codes) = &decision.outcome else { return None };
    let lifted = askable(codes).ok()?;
    let request = decision.request()?;
    let about = AppealSubject::Decline(decision.id);
    Some(Appealable {
        until: about.until(decision.decided_at),
        about,
        decided_at: decision.decided_at,
        reason: Some(lifted.as_str().to_owned()),
        place: Some(request.merchant.name().to_owned()).filter(|name| !name.is_empty()),
        amount: Some(request.amount),
    })
}

fn appealable_no(ask: Ask) -> Option<Appealable> {
    let AskAnswer { at, by, reason, .. } = ask.answer?;
    by?;
    let about = AppealSubject::Ask(ask.id);
    Some(Appealable {
        until: about.until(at),
        about,
        decided_at: at,
        reason: reason.map(AskRefusalReason::word).map(str::to_owned),
        place: ask.place,
        amount: Some(ask.amount),
    })
}

/// Restrictions in force: pauses, cards frozen by staff, and changes that a law forced.
async fn appealable_restrictions(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
) -> Result<Vec<Appealable>, UseCaseError> {
    let (programme, budget, at) = (&access.programme, &access.budget, access.at);
    let item = |about, decided_at, until, reason| Appealable {
        about,
        decided_at,
        until,
        reason,
        place: None,
        amount: None,
    };
    let pauses = tx.pauses_of(programme, budget).await?;
    let pauses = pauses.into_iter().filter(|pause| pause.over_at() > at);
    let mut found: Vec<_> = pauses
        .map(|p| item(AppealSubject::Pause(p.id), p.begins_at, Some(p.over_at()), Some(p.reason)))
        .collect();
    let cards = tx.cards_of(programme, budget).await?;
    let tokens: BTreeSet<_> = cards.into_iter().filter(is_frozen).map(|card| card.token).collect();
    found.extend(tokens.into_iter().map(|token| item(AppealSubject::Card(token), at, None, None)));
    let currency = context.directory.latest_or_load(programme).await?.settings.currency;
    for forced in tx.forced_proposals(programme, budget, currency).await? {
        let at = forced.ended_at.unwrap_or(forced.proposed_at);
        found.push(item(AppealSubject::Version(forced.id), at, None, Some(forced.words)));
    }
    Ok(found)
}

/// Whether staff froze the card other than by a pause, which ends by itself.
pub(super) fn is_frozen(card: &Card) -> bool {
    card.status.lasting_state() == CardState::FrozenByStaff
}
