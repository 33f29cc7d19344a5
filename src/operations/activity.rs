//! Movements of a person's money other than purchases, newest first: loads, pot transfers, money
//! held back and taken back, and released stages.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;

use super::purchases::{BudgetRef, PurchaseListError};
use crate::domain::id::{PostingId, PotId};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::pot::PotPlan;
use crate::domain::stored_enum::stored_enum;
use crate::ledger::account::Account;
use crate::ledger::posting::{PostingKind, Transfer};
use crate::ledger::record::message_parameters::{money_of, text_of};
use crate::store::{LoadRow, StoreError, Tx};

/// Maximum number of chain links per query, and per page.
const LINKS_PER_READ: u32 = 250;
const LINKS_PER_PAGE_MAX: u32 = 1_000;
/// Maximum number of messages that are read for one page.
const MESSAGES_PER_PAGE_MAX: u32 = 500;
/// Kinds of the messages about money that the person holds back, and takes back.
const HELD_BACK: [&str; 2] = ["held-back", "held-back-until"];
const TOOK_BACK: [&str; 2] = ["held-back-free", "held-back-cools"];
/// Maximum number of days that are searched for released stages: more than ten years.
const DAYS_SEARCHED_MAX: usize = 4_000;

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub kind: ActivityKind,
    pub at: Timestamp,
    pub amount: Money,
    /// The pot that it is about; for a pot transfer, the target.
    pub pot: PotId,
    /// For a pot transfer, the source.
    pub from: Option<PotId>,
}

stored_enum!(
    /// What kind of movement it is.
    ActivityKind {
        Added => "added",
        Moved => "moved",
        HeldBack => "held_back",
        TookBack => "took_back",
        LetOut => "let_out",
    }
);

/// Where a page begins: after a link and before an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityCursor {
    pub link: Option<PostingId>,
    pub before: Timestamp,
}

impl fmt::Display for ActivityCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link.map(|link| link.to_string()).unwrap_or_default();
        write!(f, "{link}/{}", self.before.as_microsecond())
    }
}

impl FromStr for ActivityCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (link, before) = text.split_once('/').ok_or(())?;
        let link = if link.is_empty() { None } else { Some(link.parse().map_err(|_| ())?) };
        let before = before.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok());
        Ok(Self { link, before: before.ok_or(())? })
    }
}

#[derive(Debug, Clone)]
pub struct ActivityPage {
    pub activities: Vec<Activity>,
    pub next: Option<ActivityCursor>,
}

/// What a page shows, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct ActivityView<'a> {
    pub budget_ref: BudgetRef<'a>,
    /// The pots of the agreement in force.
    pub plans: &'a [PotPlan],
    /// Whether the person reads it. Nobody else sees what they hold back.
    pub is_own_view: bool,
}

/// The page that begins at `cursor`: `most` movements, and more only if several share the last
/// instant. A page can be short before the end, because the number of links per page is limited.
pub async fn page(
    tx: &mut Tx,
    view: ActivityView<'_>,
    cursor: ActivityCursor,
    most: usize,
) -> Result<ActivityPage, PurchaseListError> {
    let (mut found, last, is_end) = links(tx, view.budget_ref, cursor, most).await?;
    let from = if is_end { Timestamp::MIN } else { last.before };
    let span = (from, cursor.before);
    found.extend(
        released_stages(tx, view, span).await?.into_iter().map(|activity| (None, activity)),
    );
    if view.is_own_view {
        let held = held_back(tx, view.budget_ref, span).await?;
        found.extend(held.into_iter().map(|activity| (None, activity)));
    }
    found.sort_by_key(|(_, activity)| (std::cmp::Reverse(activity.at), activity.kind));
    let cut = found.get(most.saturating_sub(1)).map(|(_, activity)| activity.at);
    let is_cut = cut.is_some_and(|cut| found.iter().any(|(_, activity)| activity.at < cut));
    if let Some(cut) = cut.filter(|_| is_cut) {
        found.retain(|(_, activity)| activity.at >= cut);
        let link = found.iter().rev().find_map(|(link, _)| *link).or(cursor.link);
        let next = Some(ActivityCursor { link, before: cut });
        return Ok(ActivityPage { activities: without_links(found), next });
    }
    let next = Some(last).filter(|_| !is_end);
    Ok(ActivityPage { activities: without_links(found), next })
}

fn without_links(found: Vec<(Option<PostingId>, Activity)>) -> Vec<Activity> {
    found.into_iter().map(|(_, activity)| activity).collect()
}

type LinkActivities = (Vec<(Option<PostingId>, Activity)>, ActivityCursor, bool);

/// Reads loads and pot transfers from the budget's chain, newest first. Returns them with the
/// cursor at which reading stopped, and whether that is the beginning of the chain.
async fn links(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    cursor: ActivityCursor,
    most: usize,
) -> Result<LinkActivities, StoreError> {
    let id = &budget_ref.programme.settings.id;
    let (mut found, mut last, mut read) = (Vec::new(), cursor, 0_u32);
    loop {
        let links = tx.links_before(id, budget_ref.budget, last.link, LINKS_PER_READ).await?;
        let is_end = links.len() < usize::try_from(LINKS_PER_READ).unwrap_or(usize::MAX);
        let is_activity = |kind| matches!(kind, PostingKind::Load | PostingKind::PotTransfer);
        let money_links: Vec<_> = links.iter().filter(|link| is_activity(link.kind)).collect();
        let ids: Vec<_> = money_links.iter().map(|link| link.posting_id).collect();
        let transfers = tx.transfers_of(id, &ids).await?;
        for link in &links {
            // The chain defines the order, because the clocks of gateways differ.
            last.before = last.before.min(link.posted_at);
            last.link = Some(link.posting_id);
            let moved = transfers.get(&link.posting_id).map_or(&[][..], Vec::as_slice);
            let activities = moved.iter().filter_map(|transfer| activity_of(transfer, last.before));
            found.extend(activities.map(|activity| (Some(link.posting_id), activity)));
        }
        read = read.saturating_add(LINKS_PER_READ);
        if is_end || found.len() > most || read >= LINKS_PER_PAGE_MAX {
            return Ok((found, last, is_end));
        }
    }
}

fn activity_of(transfer: &Transfer, at: Timestamp) -> Option<Activity> {
    let Account::PotLeft(pot) = transfer.to() else { return None };
    let (kind, from) = match transfer.from() {
        Account::StreamFunds(_) => (ActivityKind::Added, None),
        Account::PotLeft(from) => (ActivityKind::Moved, Some(from.clone())),
        Account::PotHeld(_)
        | Account::Clearing(_)
        | Account::Exposure
        | Account::Suspense
        | Account::Disputed
        | Account::Exchange => return None,
    };
    Some(Activity { kind, at, amount: transfer.amount(), pot: pot.clone(), from })
}

/// The scheduled releases between two instants, computed from the plans in force.
async fn released_stages(
    tx: &mut Tx,
    view: ActivityView<'_>,
    (from, before): (Timestamp, Timestamp),
) -> Result<Vec<Activity>, PurchaseListError> {
    let budget_ref = view.budget_ref;
    let settings = &budget_ref.programme.settings;
    if view.plans.iter().all(|plan| plan.release.is_none()) {
        return Ok(Vec::new());
    }
    let loads = tx.loads_of(&settings.id, budget_ref.budget).await?;
    let zone = budget_ref.programme.zone();
    let mut found = Vec::new();
    for plan in view.plans {
        let Some(release) = &plan.release else { continue };
        let mut day = zone.to_datetime(before).date();
        for _ in 0..DAYS_SEARCHED_MAX {
            let Ok(midnight) = day.to_zoned(zone.clone()) else { break };
            if day < release.from() || midnight.timestamp() < from {
                break;
            }
            let loaded_before = loaded_before(&loads, &plan.id, day, view, settings.currency)?;
            let earlier = day.yesterday().unwrap_or(day);
            let unreleased = |on| release.unreleased(loaded_before, on);
            let amount = unreleased(earlier)?.saturating_sub(unreleased(day)?)?;
            if amount.is_positive() && midnight.timestamp() < before {
                let (kind, at) = (ActivityKind::LetOut, midnight.timestamp());
                found.push(Activity { kind, at, amount, pot: plan.id.clone(), from: None });
            }
            day = earlier;
        }
    }
    Ok(found)
}

/// The sum that was loaded into a pot before `day`.
fn loaded_before(
    loads: &[LoadRow],
    pot: &PotId,
    day: Date,
    view: ActivityView<'_>,
    currency: Currency,
) -> Result<Money, MoneyError> {
    let zone = view.budget_ref.programme.zone();
    let is_in =
        |load: &&LoadRow| load.pot_id == *pot && zone.to_datetime(load.loaded_at).date() < day;
    let amount = |load: &LoadRow| Money::from_minor(load.amount_minor, currency);
    Money::sum(currency, loads.iter().filter(is_in).map(amount))
}

/// What the person held back and took back between two instants, from the messages about it.
async fn held_back(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    span: (Timestamp, Timestamp),
) -> Result<Vec<Activity>, PurchaseListError> {
    let settings = &budget_ref.programme.settings;
    let id = &settings.id;
    let kinds = [HELD_BACK, TOOK_BACK].concat();
    let messages =
        tx.messages_between(id, budget_ref.budget, span, &kinds, MESSAGES_PER_PAGE_MAX).await?;
    let mut found = Vec::new();
    for message in messages {
        let is_held_back = HELD_BACK.contains(&message.kind.as_str());
        let kind = if is_held_back { ActivityKind::HeldBack } else { ActivityKind::TookBack };
        let amount = money_of(&message.facts, "amount", settings.currency);
        let pot = text_of(&message.facts, "pot").or(Some(message.subject));
        let pot = pot.and_then(|pot| pot.parse().ok());
        let is_in = (span.0..span.1).contains(&message.created_at);
        if let Some((amount, pot)) = amount.zip(pot).filter(|_| is_in) {
            found.push(Activity { kind, at: message.created_at, amount, pot, from: None });
        }
    }
    Ok(found)
}
