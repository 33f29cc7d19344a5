//! What may be appealed: what tills and people refused a while ago, pauses and frozen cards that hold,
//! and what a law forced. Only read, for the person and those who speak for them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Desk;
use crate::domain::ask::appeal::{APPEALED_WITHIN, About, Appealable};
use crate::domain::ask::{Answer, Ask, NoReason, askable};
use crate::domain::card::CardState;
use crate::domain::id::PersonId;
use crate::domain::people::role::{Act, Role};
use crate::ledger::book::Card;
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::people::members::{ActError, Acting, Admitted};
use crate::store::{ChainLink, Tx};

/// The most links of a chain that are read, and the most noes that are listed.
const LINKS_MOST: u32 = 500;
const NOES_MOST: u32 = 100;

/// What may be appealed about a person and is not yet, the newest first.
pub async fn appealable(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
) -> Result<Vec<Appealable>, ActError> {
    let admitted = acting.see(tx, Act::Appeal, person).await?;
    let since = acting.at.checked_sub(APPEALED_WITHIN).unwrap_or(Timestamp::MIN);
    let mut found = refusals(tx, &admitted, since).await?;
    let (programme, budget) = (&admitted.programme, &admitted.budget);
    let noes = tx.noes_since(programme, budget, since, NOES_MOST).await?;
    found.extend(noes.into_iter().filter_map(no));
    found.extend(holding(tx, desk, &admitted).await?);
    let known = tx.appealed(programme, budget).await?;
    found.retain(|item| !known.contains(&item.about.to_string()));
    if admitted.actor.member.role != Role::Person {
        for item in &mut found {
            item.place = None;
            item.amount = None;
        }
    }
    found.sort_by_key(|item| std::cmp::Reverse(item.decided_at));
    Ok(found)
}

/// What tills refused by the list since `since`, and nobody was asked about.
async fn refusals(
    tx: &mut Tx,
    admitted: &Admitted,
    since: Timestamp,
) -> Result<Vec<Appealable>, ActError> {
    let (programme, budget) = (&admitted.programme, &admitted.budget);
    let links = tx.links_since(programme, budget, since, LINKS_MOST).await?;
    let ids: Vec<_> = links.iter().filter_map(ChainLink::decision).collect();
    let asked = tx.asked_about(programme, budget, since).await?;
    let decisions = tx.decisions_with(programme, &ids).await?;
    let is_left =
        |decision: &&RecordedDecision| decision.decided_at > since && !asked.contains(&decision.id);
    Ok(decisions.iter().filter(is_left).filter_map(refusal).collect())
}

fn refusal(decision: &RecordedDecision) -> Option<Appealable> {
    let Outcome::Declined(codes) = &decision.outcome else { return None };
    let lifted = askable(codes).ok()?;
    let request = decision.request()?;
    let about = About::Refusal(decision.id);
    Some(Appealable {
        until: about.until(decision.decided_at),
        about,
        decided_at: decision.decided_at,
        reason: Some(lifted.as_str().to_owned()),
        place: Some(request.merchant.name().to_owned()).filter(|name| !name.is_empty()),
        amount: Some(request.amount),
    })
}

fn no(ask: Ask) -> Option<Appealable> {
    let Answer { at, by, reason, .. } = ask.answer?;
    by?;
    let about = About::Ask(ask.id);
    Some(Appealable {
        until: about.until(at),
        about,
        decided_at: at,
        reason: reason.map(NoReason::word).map(str::to_owned),
        place: ask.place,
        amount: Some(ask.amount),
    })
}

/// What holds now: a pause, a card that staff froze, and what a law forced.
async fn holding(
    tx: &mut Tx,
    desk: Desk<'_>,
    admitted: &Admitted,
) -> Result<Vec<Appealable>, ActError> {
    let (programme, budget, at) = (&admitted.programme, &admitted.budget, admitted.at);
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
        .map(|p| item(About::Pause(p.id), p.begins_at, Some(p.over_at()), Some(p.reason)))
        .collect();
    let cards = tx.cards_of(programme, budget).await?;
    let tokens: BTreeSet<_> = cards.into_iter().filter(is_frozen).map(|card| card.token).collect();
    found.extend(tokens.into_iter().map(|token| item(About::Card(token), at, None, None)));
    let currency = desk.directory.at_hand(programme).await?.settings.currency;
    for forced in tx.forced_proposals(programme, budget, currency).await? {
        let at = forced.ended_at.unwrap_or(forced.proposed_at);
        found.push(item(About::Version(forced.id), at, None, Some(forced.words)));
    }
    Ok(found)
}

/// Whether staff froze a card without a pause that ends by itself.
pub(super) fn is_frozen(card: &Card) -> bool {
    card.standing.lasting_state() == CardState::FrozenByStaff
}
