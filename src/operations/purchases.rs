//! The purchases of one person as a list, with one entry per purchase. The chain is read from its
//! end backwards, a limited number of links per page.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::explain::ExplainError;
use crate::domain::id::{
    BudgetId, ConnectionId, IssuerReference, PostingId, ProgrammeId, PurchaseId,
};
use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::issuer_decline::{IssuerDecline, IssuerDeclineReason};
use crate::domain::purchase::presentment::{AuthorisationStatus, EventBody};
use crate::domain::purchase::state::{PurchaseState, RecordedAnswer, state_of};
use crate::domain::purchase::{IncrementState, Purchase};
use crate::domain::shop::merchant::Category;
use crate::issuers::Issuer;
use crate::ledger::book::LedgerError;
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::programme::directory::Programme;
use crate::store::{ChainLink, PurchaseReferenceKey, ReferenceKey, StoreError, Tx};

/// How many links one query reads.
const LINKS_PER_READ: u32 = 250;
/// Maximum number of links that are read for one page. A page that finds too few purchases in them
/// says where to continue.
const LINKS_PER_PAGE_MAX: u32 = 1_000;
/// Maximum number of days from the beginning of a purchase to the day on which it counts, which is
/// later if it was reversed and requested again. Longer than any hold lives.
const LOOK_BACK_DAYS: i32 = 40;

/// Why the purchases of a person cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseListError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Money(#[from] LedgerError),
    #[error(transparent)]
    Explain(#[from] Box<ExplainError>),
}

impl From<MoneyError> for PurchaseListError {
    fn from(error: MoneyError) -> Self {
        Self::Money(error.into())
    }
}

impl From<PurchaseListError> for ExplainError {
    fn from(error: PurchaseListError) -> Self {
        match error {
            PurchaseListError::Store(error) => Self::Store(error),
            PurchaseListError::Explain(error) => *error,
            PurchaseListError::Money(error) => Self::Purchase(error),
        }
    }
}

/// Everything that is known about one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseSummary {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    /// The instant of the first authorisation request, or of the first issuer event.
    pub at: Timestamp,
    /// The local day on which it counts.
    pub on: Date,
    pub state: PurchaseState,
    /// Our decisions, oldest first; empty if there was no authorisation request.
    pub answers: Vec<RecordedDecision>,
    /// The references of those `answers` that were withdrawn.
    pub withdrawn: BTreeSet<IssuerReference>,
    /// `None` while nothing was held and no issuer event has arrived.
    pub purchase: Option<Purchase>,
    /// The issuer's own decline, if the purchase was not paid because of it.
    pub refused: Option<IssuerDecline>,
}

/// Which purchases to list.
#[derive(Debug, Clone, Default)]
pub struct PurchaseFilter {
    /// Any of these states.
    pub states: Option<Vec<PurchaseState>>,
    pub category: Option<Category>,
    /// The first and the last day, both inclusive.
    pub from: Option<Date>,
    pub to: Option<Date>,
}

#[derive(Debug, Clone, Default)]
pub struct PurchasePage {
    pub summaries: Vec<PurchaseSummary>,
    /// The link after which the next page begins; `None` on the last page.
    pub next: Option<PostingId>,
}

/// Where a purchase begins in the chain.
#[derive(Debug, Clone)]
struct PurchaseOrigin {
    at: Timestamp,
    name: PurchaseReferenceKey,
    purchase: Option<Purchase>,
}

/// The budget whose purchases are listed.
#[derive(Debug, Clone, Copy)]
pub struct BudgetRef<'a> {
    pub programme: &'a Programme,
    pub budget: &'a BudgetId,
}

/// The purchases that begin in links older than `before`, newest first: at most `most`. Fewer if
/// fewer purchases begin in the links that one page may read.
pub async fn page(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    filter: &PurchaseFilter,
    mut before: Option<PostingId>,
    most: usize,
) -> Result<PurchasePage, PurchaseListError> {
    let (programme, budget) = (&budget_ref.programme.settings.id, budget_ref.budget);
    let oldest = filter.from.and_then(|from| oldest_link(from, budget_ref.programme));
    let mut summaries: Vec<(PostingId, PurchaseSummary)> = Vec::new();
    let mut read = 0_u32;
    loop {
        let links = tx.links_before(programme, budget, before, LINKS_PER_READ).await?;
        let is_end = links.len() < usize::try_from(LINKS_PER_READ).unwrap_or(usize::MAX)
            || oldest.is_some_and(|at| links.last().is_some_and(|link| link.posted_at < at));
        before = links.last().map(|link| link.posting_id).or(before);
        read = read.saturating_add(LINKS_PER_READ);
        summaries.extend(purchases_beginning_at(tx, budget_ref, filter, &links).await?);
        if summaries.len() > most {
            summaries.truncate(most);
            let next = summaries.last().map(|(link, _)| *link);
            return Ok(PurchasePage { summaries: without_links(summaries), next });
        }
        if is_end {
            return Ok(PurchasePage { summaries: without_links(summaries), next: None });
        }
        if read >= LINKS_PER_PAGE_MAX {
            return Ok(PurchasePage { summaries: without_links(summaries), next: before });
        }
    }
}

fn without_links(summaries: Vec<(PostingId, PurchaseSummary)>) -> Vec<PurchaseSummary> {
    summaries.into_iter().map(|(_, summary)| summary).collect()
}

/// No link before this instant begins a purchase that counts on `from` or later.
fn oldest_link(from: Date, programme: &Programme) -> Option<Timestamp> {
    let day = from.checked_sub(jiff::Span::new().days(LOOK_BACK_DAYS)).ok()?;
    Some(day.to_zoned(programme.zone().clone()).ok()?.timestamp())
}

/// The purchases that begin with one of `links` and match `filter`.
async fn purchases_beginning_at(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    filter: &PurchaseFilter,
    links: &[ChainLink],
) -> Result<Vec<(PostingId, PurchaseSummary)>, PurchaseListError> {
    let origins = origins(tx, budget_ref, links).await?;
    let (postings, origins): (Vec<_>, Vec<_>) = origins.into_iter().unzip();
    let summaries = load_summaries(tx, budget_ref, origins).await?;
    let is_wanted =
        |(_, summary): &(PostingId, PurchaseSummary)| filter.matches(summary, budget_ref.programme);
    Ok(postings.into_iter().zip(summaries).filter(is_wanted).collect())
}

/// Where purchases begin among `links`.
///
/// A purchase with a hold or an issuer event begins with its own first link. One that we only
/// declined has no such link, and begins with our first decision.
async fn origins(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    links: &[ChainLink],
) -> Result<Vec<(PostingId, PurchaseOrigin)>, PurchaseListError> {
    let id = &budget_ref.programme.settings.id;
    let is_own =
        |link: &&ChainLink| link.purchase_id.is_some_and(|p| p.uuid() == link.posting_id.uuid());
    let others = links.iter().filter(|link| link.purchase_id.is_some() && !is_own(link));
    let others: Vec<_> = others.map(|link| link.posting_id).collect();
    let first = tx.first_links(id, &others).await?;
    let begins = |link: &&ChainLink| is_own(link) || first.contains(&link.posting_id);
    let ids: Vec<PurchaseId> =
        links.iter().filter(begins).filter_map(|link| link.purchase_id).collect();
    let purchases = tx.purchases_by_id(id, &ids).await?;
    let declined = only_answered(tx, budget_ref, links).await?;
    let mut origins = Vec::new();
    for link in links {
        let purchase = link.purchase_id.filter(|_| begins(&link));
        let purchase = purchase.and_then(|id| purchases.iter().find(|known| known.id == id));
        let name = match purchase {
            Some(known) => (id.clone(), known.connection.clone(), known.reference.clone()),
            None => match declined.get(&link.posting_id) {
                Some(name) => name.clone(),
                None => continue,
            },
        };
        let origin = PurchaseOrigin { at: link.posted_at, name, purchase: purchase.cloned() };
        origins.push((link.posting_id, origin));
    }
    Ok(origins)
}

/// The purchases of which only our decisions are known, by the link of the first decision.
async fn only_answered(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    links: &[ChainLink],
) -> Result<BTreeMap<PostingId, PurchaseReferenceKey>, PurchaseListError> {
    let id = &budget_ref.programme.settings.id;
    let answered = links.iter().filter(|link| link.purchase_id.is_none());
    let answered: BTreeMap<_, _> =
        answered.filter_map(|link| Some((link.decision()?, link.posting_id))).collect();
    let ids: Vec<_> = answered.keys().copied().collect();
    let decisions = tx.decisions_by_id(id, &ids).await?;
    let names: BTreeSet<PurchaseReferenceKey> = decisions.iter().map(name_of).collect();
    let names: Vec<_> = names.into_iter().collect();
    let known = tx.purchases_by_reference(id, &names).await?;
    let known: BTreeSet<_> = known
        .iter()
        .filter(|purchase| purchase.budget == *budget_ref.budget)
        .map(|purchase| (id.clone(), purchase.connection.clone(), purchase.reference.clone()))
        .collect();
    let names: Vec<_> = names.into_iter().filter(|name| !known.contains(name)).collect();
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // Sorted, the oldest decision first.
    for answer in tx.decisions_of_purchases(&names).await? {
        let name = name_of(&answer);
        if answer.budget == *budget_ref.budget
            && seen.insert(name.clone())
            && let Some(posting) = answered.get(&answer.id)
        {
            found.insert(*posting, name);
        }
    }
    Ok(found)
}

fn name_of(decision: &RecordedDecision) -> PurchaseReferenceKey {
    (decision.programme.clone(), decision.connection.clone(), decision.purchase.clone())
}

/// One purchase, with everything that is known about it; `None` if it is unknown.
pub async fn summary(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    name: PurchaseReferenceKey,
) -> Result<Option<PurchaseSummary>, PurchaseListError> {
    let named = std::slice::from_ref(&name);
    let purchases = tx.purchases_by_reference(&name.0, named).await?;
    let purchase = purchases.into_iter().find(|purchase| purchase.budget == *budget_ref.budget);
    let answers = tx.decisions_of_purchases(named).await?;
    let first = answers.iter().find(|answer| answer.budget == *budget_ref.budget);
    if purchase.is_none() && first.is_none() {
        return Ok(None);
    }
    let made = purchase.as_ref().map(|purchase| made_at(purchase.id));
    let at = first.map(|answer| answer.decided_at).or(made).unwrap_or_default();
    Ok(load_summaries(tx, budget_ref, vec![PurchaseOrigin { at, name, purchase }]).await?.pop())
}

/// When an identifier was made, to the millisecond: a `UUIDv7` begins with that time.
fn made_at(id: PurchaseId) -> Timestamp {
    let milliseconds = i64::try_from(id.uuid().as_u128() >> 80).ok();
    let at = milliseconds.and_then(|made| Timestamp::from_millisecond(made).ok());
    at.unwrap_or_default()
}

async fn load_summaries(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    origins: Vec<PurchaseOrigin>,
) -> Result<Vec<PurchaseSummary>, PurchaseListError> {
    let names: Vec<_> = origins.iter().map(|origin| origin.name.clone()).collect();
    let answers = tx.decisions_of_purchases(&names).await?;
    let key = |answer: &RecordedDecision| {
        (answer.programme.clone(), answer.connection.clone(), answer.reference.clone())
    };
    let withdrawn = tx.withdrawn(&answers.iter().map(key).collect::<Vec<_>>()).await?;
    let mut by_name: BTreeMap<PurchaseReferenceKey, Vec<RecordedDecision>> = BTreeMap::new();
    for answer in answers.into_iter().filter(|answer| answer.budget == *budget_ref.budget) {
        by_name.entry(name_of(&answer)).or_default().push(answer);
    }
    let mut summaries = Vec::new();
    for PurchaseOrigin { at, name, purchase } in origins {
        let answers = by_name.remove(&name).unwrap_or_default();
        summaries.push(summarise(budget_ref, at, answers, &withdrawn, purchase)?);
    }
    add_issuer_declines(tx, budget_ref, &mut summaries).await?;
    Ok(summaries)
}

fn summarise(
    budget_ref: BudgetRef<'_>,
    at: Timestamp,
    answers: Vec<RecordedDecision>,
    withdrawn: &BTreeSet<ReferenceKey>,
    purchase: Option<Purchase>,
) -> Result<PurchaseSummary, PurchaseListError> {
    let is_withdrawn = |answer: &&RecordedDecision| {
        let reference = answer.reference.to_string();
        withdrawn.contains(&(answer.programme.clone(), answer.connection.clone(), reference))
    };
    let withdrawn: BTreeSet<_> =
        answers.iter().filter(is_withdrawn).map(|answer| answer.reference.clone()).collect();
    let ours: Vec<_> = answers.iter().map(|answer| our_answer(answer, &withdrawn)).collect();
    let state = state_of(&ours, purchase.as_ref())?;
    let at = answers.first().map_or(at, |answer| answer.decided_at.min(at));
    let zone = budget_ref.programme.zone();
    let counts = purchase.as_ref().map(|purchase| purchase.counted.on);
    Ok(PurchaseSummary {
        programme: budget_ref.programme.settings.id.clone(),
        budget: budget_ref.budget.clone(),
        at,
        on: counts.unwrap_or_else(|| zone.to_datetime(at).date()),
        state,
        answers,
        withdrawn,
        purchase,
        refused: None,
    })
}

fn our_answer(answer: &RecordedDecision, withdrawn: &BTreeSet<IssuerReference>) -> RecordedAnswer {
    match &answer.outcome {
        DecisionOutcome::Approved(amount) if amount.is_zero() => RecordedAnswer::Checked,
        DecisionOutcome::Approved(_) if withdrawn.contains(&answer.reference) => {
            RecordedAnswer::Withdrawn
        }
        DecisionOutcome::Approved(_) => RecordedAnswer::Approved,
        DecisionOutcome::Declined(_) => RecordedAnswer::Declined,
    }
}

/// Adds the issuer's own declines, read from its latest messages.
async fn add_issuer_declines(
    tx: &mut Tx,
    budget_ref: BudgetRef<'_>,
    summaries: &mut [PurchaseSummary],
) -> Result<(), PurchaseListError> {
    let id = &budget_ref.programme.settings.id;
    let key = |summary: &PurchaseSummary| -> Option<(ProgrammeId, ConnectionId, IssuerReference)> {
        let purchase = summary.refused_by_issuer()?;
        let word = purchase.snapshot.as_ref()?;
        Some((id.clone(), purchase.connection.clone(), word.position.reference.clone()))
    };
    let keys: Vec<_> = summaries.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let texts = tx.event_texts(&keys).await?;
    for summary in summaries {
        let Some((programme, connection, reference)) = key(summary) else { continue };
        let Some(purchase) = summary.refused_by_issuer() else { continue };
        let was_approved_by_us = purchase.approved_total()?.is_positive();
        let text = texts.get(&(programme, connection.clone(), reference.to_string()));
        let settings = &budget_ref.programme.settings;
        let issuer = settings.connections.iter().find(|known| known.id == connection);
        let issuer = issuer.map(|known| known.issuer);
        let decline = text.zip(issuer).and_then(|(text, issuer)| last_decline(issuer, text));
        let approved_total = purchase.approved_total()?;
        summary.refused = Some(match decline {
            Some((asked, why)) => IssuerDecline { asked, why, was_approved_by_us },
            None => IssuerDecline {
                asked: approved_total,
                why: IssuerDeclineReason::Unknown,
                was_approved_by_us,
            },
        });
    }
    Ok(())
}

/// The amount that a message says was declined last, and why.
fn last_decline(issuer: Issuer, text: &str) -> Option<(Money, IssuerDeclineReason)> {
    let event = issuer.decode_event(text.as_bytes()).ok()?;
    match event.body {
        EventBody::Snapshot(report) => {
            let last = report.answers.iter().rev().find(|answer| !answer.is_approved)?;
            // `None` means that the decline was ours. It has no record, so we failed to decide.
            let why = issuer.decline_reason(last.reason.as_deref());
            Some((last.amount, why.unwrap_or(IssuerDeclineReason::OurFault)))
        }
        EventBody::HoldChange(_)
        | EventBody::Presentment(_)
        | EventBody::Dispute(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => None,
    }
}

impl PurchaseFilter {
    fn matches(&self, summary: &PurchaseSummary, programme: &Programme) -> bool {
        let category = || summary.category(programme);
        self.states.as_ref().is_none_or(|states| states.contains(&summary.state))
            && self
                .category
                .as_ref()
                .is_none_or(|category_wanted| category().as_ref() == Some(category_wanted))
            && self.from.is_none_or(|from| from <= summary.on)
            && self.to.is_none_or(|to| summary.on <= to)
    }
}

impl PurchaseSummary {
    /// The id of its first decision; of the purchase itself if there is none.
    pub fn id(&self) -> String {
        match (self.answers.first(), &self.purchase) {
            (Some(answer), _) => answer.id.to_string(),
            (None, Some(purchase)) => purchase.id.to_string(),
            (None, None) => String::new(),
        }
    }

    /// The shop's name as in the messages; empty if it was erased or absent.
    pub fn place(&self) -> String {
        let from_issuer = self.purchase.as_ref().and_then(|purchase| purchase.place.name.clone());
        let asked = || Some(self.answers.last()?.request()?.merchant.name().to_owned());
        from_issuer.or_else(asked).unwrap_or_default()
    }

    /// The category of the shop.
    pub fn category(&self, programme: &Programme) -> Option<Category> {
        if let Some(purchase) = &self.purchase {
            return Some(purchase.counted.category.clone());
        }
        let request = self.answers.first()?.request()?;
        Some(programme.rules.category_of(request.merchant.mcc()).clone())
    }

    /// The requested amount: the sum of all approved requests, else the last declined one. Without
    /// any request, the largest amount in the issuer's messages.
    pub fn asked(&self, programme: &Programme) -> Money {
        let nothing = Money::zero(programme.settings.currency);
        let approved =
            self.answers.iter().filter(|a| matches!(a.outcome, DecisionOutcome::Approved(_)));
        let sum = Money::sum(nothing.currency(), approved.map(|answer| answer.asked));
        let largest =
            |one: Money, other: Money| if one.minor() < other.minor() { other } else { one };
        match (sum, self.answers.last(), &self.purchase) {
            (Ok(sum), ..) if sum.is_positive() => sum,
            (_, Some(refused), _) => refused.asked,
            (_, None, Some(purchase)) => {
                let total = purchase.snapshot.as_ref().and_then(|word| word.status.total());
                let refused = self.refused.map(|refused| refused.asked);
                [total, refused, Some(purchase.raised), Some(purchase.captured)]
                    .into_iter()
                    .flatten()
                    .fold(nothing, largest)
            }
            (_, None, None) => nothing,
        }
    }

    /// Why it was not paid, the shown reason first.
    pub fn reasons(&self) -> Vec<&'static str> {
        if self.state == PurchaseState::TakenBack {
            return vec!["our_fault"];
        }
        if self.state != PurchaseState::NotPaid {
            return Vec::new();
        }
        if let Some(refused) = self.refused {
            return vec!["refused_by_issuer", refused.why.word()];
        }
        let last = self.answers.last().map(|answer| &answer.outcome);
        match last {
            Some(DecisionOutcome::Declined(codes)) => {
                codes.iter().map(|code| code.as_str()).collect()
            }
            Some(DecisionOutcome::Approved(_)) | None => vec!["refused_by_issuer"],
        }
    }

    /// The purchase, if it was not paid because the issuer itself declined it.
    fn refused_by_issuer(&self) -> Option<&Purchase> {
        let purchase = self.purchase.as_ref()?;
        let status = purchase.snapshot.as_ref().map(|word| word.status);
        let is_kept = purchase.increments.iter().any(|p| p.state == IncrementState::Kept);
        let is_theirs = status == Some(AuthorisationStatus::Declined)
            && self.state == PurchaseState::NotPaid
            && (is_kept || self.answers.is_empty());
        is_theirs.then_some(purchase)
    }
}
