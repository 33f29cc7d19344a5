//! What happened to somebody's money beside purchases, the newest first: what was added, moved and
//! held back, and what was let out in stages.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;

use super::purchases::{ListError, Whose};
use crate::domain::id::{PostingId, PotId};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::pot::PotPlan;
use crate::ledger::account::Account;
use crate::ledger::posting::{PostingKind, Transfer};
use crate::ledger::record::particulars::{money_of, text_of};
use crate::store::{LoadedRow, StoreError, Tx};

/// How many links are read at once, and for one page.
const LINKS_AT_ONCE: u32 = 250;
const LINKS_MOST: u32 = 1_000;
/// The most messages that are looked through for one page.
const MESSAGES_MOST: u32 = 500;
/// The kinds of messages that tell of money that the person holds back, and takes back.
const HELD_BACK: [&str; 2] = ["held-back", "held-back-until"];
const TOOK_BACK: [&str; 2] = ["held-back-free", "held-back-cools"];
/// The most days that are looked through for stages: more than ten years.
const DAYS_MOST: usize = 4_000;

/// Something that happened to money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub kind: ActivityKind,
    pub at: Timestamp,
    pub amount: Money,
    /// The pot that it is about, or that money went to.
    pub pot: PotId,
    /// Where it came from, if it came from another pot.
    pub from: Option<PotId>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActivityKind {
    Added,
    Moved,
    HeldBack,
    TookBack,
    LetOut,
}

impl ActivityKind {
    /// The word that is shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Moved => "moved",
            Self::HeldBack => "held_back",
            Self::TookBack => "took_back",
            Self::LetOut => "let_out",
        }
    }
}

/// Where a page begins: behind a link, and before an instant.
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

/// One page.
#[derive(Debug, Clone)]
pub struct ActivityPage {
    pub activities: Vec<Activity>,
    pub next: Option<ActivityCursor>,
}

/// What may be seen.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub whose: Whose<'a>,
    /// The pots of the agreement in force.
    pub plans: &'a [PotPlan],
    /// What the person holds back is nobody else's.
    pub is_persons: bool,
}

/// The page that begins at `cursor`: at least `most` if there are so many, and a few more where
/// several belong to one instant.
pub async fn page(
    tx: &mut Tx,
    seen: Seen<'_>,
    cursor: ActivityCursor,
    most: usize,
) -> Result<ActivityPage, ListError> {
    let (mut found, last, is_end) = links(tx, seen.whose, cursor, most).await?;
    let from = if is_end { Timestamp::MIN } else { last.before };
    let span = (from, cursor.before);
    found.extend(let_out(tx, seen, span).await?.into_iter().map(|activity| (None, activity)));
    if seen.is_persons {
        let held = held_back(tx, seen.whose, span).await?;
        found.extend(held.into_iter().map(|activity| (None, activity)));
    }
    found.sort_by_key(|(_, activity)| (std::cmp::Reverse(activity.at), activity.kind));
    let cut = found.get(most.saturating_sub(1)).map(|(_, activity)| activity.at);
    let is_cut = cut.is_some_and(|cut| found.iter().any(|(_, activity)| activity.at < cut));
    if let Some(cut) = cut.filter(|_| is_cut) {
        found.retain(|(_, activity)| activity.at >= cut);
        let link = found.iter().rev().find_map(|(link, _)| *link).or(cursor.link);
        let next = Some(ActivityCursor { link, before: cut });
        return Ok(ActivityPage { activities: shown(found), next });
    }
    let next = Some(last).filter(|_| !is_end);
    Ok(ActivityPage { activities: shown(found), next })
}

fn shown(found: Vec<(Option<PostingId>, Activity)>) -> Vec<Activity> {
    found.into_iter().map(|(_, activity)| activity).collect()
}

type Found = (Vec<(Option<PostingId>, Activity)>, ActivityCursor, bool);

/// What postings tell, where the reading stopped, and whether that is the end of the chain.
async fn links(
    tx: &mut Tx,
    whose: Whose<'_>,
    cursor: ActivityCursor,
    most: usize,
) -> Result<Found, StoreError> {
    let id = &whose.programme.settings.id;
    let (mut found, mut last, mut read) = (Vec::new(), cursor, 0_u32);
    loop {
        let links = tx.links_before(id, whose.budget, last.link, LINKS_AT_ONCE).await?;
        let is_end = links.len() < usize::try_from(LINKS_AT_ONCE).unwrap_or(usize::MAX);
        let is_told = |kind| matches!(kind, PostingKind::Load | PostingKind::Move);
        let told: Vec<_> = links.iter().filter(|link| is_told(link.kind)).collect();
        let ids: Vec<_> = told.iter().map(|link| link.posting).collect();
        let transfers = tx.transfers_of(id, &ids).await?;
        for link in &links {
            // Clocks differ; the chain is the order.
            last.before = last.before.min(link.posted_at);
            last.link = Some(link.posting);
            let moved = transfers.get(&link.posting).map_or(&[][..], Vec::as_slice);
            let told = moved.iter().filter_map(|transfer| told_by(transfer, last.before));
            found.extend(told.map(|activity| (Some(link.posting), activity)));
        }
        read = read.saturating_add(LINKS_AT_ONCE);
        if is_end || found.len() > most || read >= LINKS_MOST {
            return Ok((found, last, is_end));
        }
    }
}

fn told_by(transfer: &Transfer, at: Timestamp) -> Option<Activity> {
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

/// The stages that began between two instants, by the plan in force.
async fn let_out(
    tx: &mut Tx,
    seen: Seen<'_>,
    (from, before): (Timestamp, Timestamp),
) -> Result<Vec<Activity>, ListError> {
    let whose = seen.whose;
    let settings = &whose.programme.settings;
    if seen.plans.iter().all(|plan| plan.release.is_none()) {
        return Ok(Vec::new());
    }
    let loads = tx.loads_of(&settings.id, whose.budget, settings.currency).await?;
    let zone = whose.programme.zone();
    let mut found = Vec::new();
    for plan in seen.plans {
        let Some(release) = &plan.release else { continue };
        let mut day = zone.to_datetime(before).date();
        for _ in 0..DAYS_MOST {
            let Ok(midnight) = day.to_zoned(zone.clone()) else { break };
            if day < release.from() || midnight.timestamp() < from {
                break;
            }
            let put_in = put_in(&loads, &plan.id, day, seen, settings.currency)?;
            let earlier = day.yesterday().unwrap_or(day);
            let unreleased = |on| release.unreleased(put_in, on);
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

/// What had been put into a pot by the end of the day before.
fn put_in(
    loads: &[LoadedRow],
    pot: &PotId,
    day: Date,
    seen: Seen<'_>,
    currency: Currency,
) -> Result<Money, MoneyError> {
    let zone = seen.whose.programme.zone();
    let is_in = |load: &&LoadedRow| load.pot == *pot && zone.to_datetime(load.at).date() < day;
    Money::sum(currency, loads.iter().filter(is_in).map(|load| load.amount))
}

/// What the person held back and took back between two instants, by what they were told of it.
async fn held_back(
    tx: &mut Tx,
    whose: Whose<'_>,
    span: (Timestamp, Timestamp),
) -> Result<Vec<Activity>, ListError> {
    let settings = &whose.programme.settings;
    let id = &settings.id;
    let kinds = [HELD_BACK, TOOK_BACK].concat();
    let messages = tx.messages_between(id, whose.budget, span, &kinds, MESSAGES_MOST).await?;
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
