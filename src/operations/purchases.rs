//! The purchases of one person as a list: each is one line, whatever its messages, read from the end
//! of the chain backwards, a bounded number of links for each page.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::explain::ExplainError;
use crate::card_path::issuers::Issuer;
use crate::domain::id::{
    BudgetId, ConnectionId, IssuerReference, PostingId, ProgrammeId, PurchaseId,
};
use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::issuer_refusal::{IssuerRefusal, IssuerRefused};
use crate::domain::purchase::presentment::{EventBody, Standing};
use crate::domain::purchase::state::{OurAnswer, PurchaseState, state_of};
use crate::domain::purchase::{PromiseState, Purchase};
use crate::domain::shop::merchant::Category;
use crate::ledger::book::LedgerError;
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::programme::directory::Programme;
use crate::store::{ChainLink, PurchaseName, ReferenceKey, StoreError, Tx};

/// How many links are read at once.
const LINKS_AT_ONCE: u32 = 250;
/// The most links that are read for one page: one that finds less says where to go on.
const LINKS_MOST: u32 = 1_000;
/// A purchase counts on the day on which it was made. One that was undone and asked for again counts
/// anew, at most so many days after it began: longer than any hold lives.
const BEGUN_BEFORE_DAYS: i32 = 40;

/// Why the purchases of somebody cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Money(#[from] LedgerError),
    #[error(transparent)]
    Explain(#[from] Box<ExplainError>),
}

impl From<MoneyError> for ListError {
    fn from(error: MoneyError) -> Self {
        Self::Money(error.into())
    }
}

/// Everything that is known of one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseStory {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    /// When it was asked about first, or told of.
    pub at: Timestamp,
    /// The local day on which it counts.
    pub on: Date,
    pub state: PurchaseState,
    /// Our answers, the oldest first; none of a purchase that we were never asked about.
    pub answers: Vec<RecordedDecision>,
    /// Which of `answers` were taken back.
    pub withdrawn: BTreeSet<IssuerReference>,
    /// None while nothing was held and the issuer has told nothing.
    pub purchase: Option<Purchase>,
    /// What the issuer refused by itself, where that is how it stands.
    pub refused: Option<IssuerRefused>,
}

/// Which purchases are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// One of these.
    pub states: Option<Vec<PurchaseState>>,
    pub category: Option<Category>,
    /// The first and the last day.
    pub from: Option<Date>,
    pub to: Option<Date>,
}

/// One page of the list.
#[derive(Debug, Clone, Default)]
pub struct StoryPage {
    pub stories: Vec<PurchaseStory>,
    /// The link behind which the next page begins; none on the last one.
    pub next: Option<PostingId>,
}

/// Where a story begins in the chain.
#[derive(Debug, Clone)]
struct Seed {
    at: Timestamp,
    name: PurchaseName,
    purchase: Option<Purchase>,
}

/// Whose purchases they are.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub programme: &'a Programme,
    pub budget: &'a BudgetId,
}

/// The purchases that begin behind `before`, the newest first: at most `most`, fewer when the links
/// that one page reads do not begin more.
pub async fn page(
    tx: &mut Tx,
    whose: Whose<'_>,
    wanted: &Wanted,
    mut before: Option<PostingId>,
    most: usize,
) -> Result<StoryPage, ListError> {
    let (programme, budget) = (&whose.programme.settings.id, whose.budget);
    let oldest = wanted.from.and_then(|from| oldest_link(from, whose.programme));
    let mut stories: Vec<(PostingId, PurchaseStory)> = Vec::new();
    let mut read = 0_u32;
    loop {
        let links = tx.links_before(programme, budget, before, LINKS_AT_ONCE).await?;
        let is_end = links.len() < usize::try_from(LINKS_AT_ONCE).unwrap_or(usize::MAX)
            || oldest.is_some_and(|at| links.last().is_some_and(|link| link.posted_at < at));
        before = links.last().map(|link| link.posting).or(before);
        read = read.saturating_add(LINKS_AT_ONCE);
        stories.extend(begun_at(tx, whose, wanted, &links).await?);
        if stories.len() > most {
            stories.truncate(most);
            let next = stories.last().map(|(link, _)| *link);
            return Ok(StoryPage { stories: shown(stories), next });
        }
        if is_end {
            return Ok(StoryPage { stories: shown(stories), next: None });
        }
        if read >= LINKS_MOST {
            return Ok(StoryPage { stories: shown(stories), next: before });
        }
    }
}

fn shown(stories: Vec<(PostingId, PurchaseStory)>) -> Vec<PurchaseStory> {
    stories.into_iter().map(|(_, story)| story).collect()
}

/// Before this no link begins a purchase that counts on `from` or later.
fn oldest_link(from: Date, programme: &Programme) -> Option<Timestamp> {
    let day = from.checked_sub(jiff::Span::new().days(BEGUN_BEFORE_DAYS)).ok()?;
    Some(day.to_zoned(programme.zone().clone()).ok()?.timestamp())
}

/// The purchases that begin with one of `links`, as far as they are wanted.
async fn begun_at(
    tx: &mut Tx,
    whose: Whose<'_>,
    wanted: &Wanted,
    links: &[ChainLink],
) -> Result<Vec<(PostingId, PurchaseStory)>, ListError> {
    let seeds = seeds(tx, whose, links).await?;
    let (places, seeds): (Vec<_>, Vec<_>) = seeds.into_iter().unzip();
    let stories = load(tx, whose, seeds).await?;
    let is_wanted = |(_, story): &(PostingId, PurchaseStory)| wanted.is(story, whose.programme);
    Ok(places.into_iter().zip(stories).filter(is_wanted).collect())
}

/// Where purchases begin among `links`.
///
/// One that something was held for, or that the issuer has told of, begins with its own first link.
/// What was only ever refused by us has none, and begins with our first answer.
async fn seeds(
    tx: &mut Tx,
    whose: Whose<'_>,
    links: &[ChainLink],
) -> Result<Vec<(PostingId, Seed)>, ListError> {
    let id = &whose.programme.settings.id;
    let is_own = |link: &&ChainLink| link.purchase.is_some_and(|p| p.uuid() == link.posting.uuid());
    let others: Vec<_> = links.iter().filter(|l| l.purchase.is_some() && !is_own(l)).collect();
    let others: Vec<_> = others.iter().map(|link| link.posting).collect();
    let first = tx.first_links(id, &others).await?;
    let begins = |link: &&ChainLink| is_own(link) || first.contains(&link.posting);
    let ids: Vec<PurchaseId> =
        links.iter().filter(begins).filter_map(|link| link.purchase).collect();
    let purchases = tx.purchases_with(id, &ids).await?;
    let refusals = only_answered(tx, whose, links).await?;
    let mut seeds = Vec::new();
    for link in links {
        let purchase = link.purchase.filter(|_| begins(&link));
        let purchase = purchase.and_then(|id| purchases.iter().find(|known| known.id == id));
        let name = match purchase {
            Some(known) => (id.clone(), known.connection.clone(), known.reference.clone()),
            None => match refusals.get(&link.posting) {
                Some(name) => name.clone(),
                None => continue,
            },
        };
        let seed = Seed { at: link.posted_at, name, purchase: purchase.cloned() };
        seeds.push((link.posting, seed));
    }
    Ok(seeds)
}

/// The purchases of which nothing is known but our answers, by the link of the first answer.
async fn only_answered(
    tx: &mut Tx,
    whose: Whose<'_>,
    links: &[ChainLink],
) -> Result<BTreeMap<PostingId, PurchaseName>, ListError> {
    let id = &whose.programme.settings.id;
    let answered = links.iter().filter(|link| link.purchase.is_none());
    let answered: BTreeMap<_, _> =
        answered.filter_map(|link| Some((link.decision()?, link.posting))).collect();
    let ids: Vec<_> = answered.keys().copied().collect();
    let decisions = tx.decisions_with(id, &ids).await?;
    let names: BTreeSet<PurchaseName> = decisions.iter().map(name_of).collect();
    let names: Vec<_> = names.into_iter().collect();
    let known = tx.purchases_named(id, &names).await?;
    let known: BTreeSet<_> = known
        .iter()
        .filter(|purchase| purchase.budget == *whose.budget)
        .map(|purchase| (id.clone(), purchase.connection.clone(), purchase.reference.clone()))
        .collect();
    let names: Vec<_> = names.into_iter().filter(|name| !known.contains(name)).collect();
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // The oldest answer comes first.
    for answer in tx.answers_of(&names).await? {
        let name = name_of(&answer);
        if answer.budget == *whose.budget
            && seen.insert(name.clone())
            && let Some(posting) = answered.get(&answer.id)
        {
            found.insert(*posting, name);
        }
    }
    Ok(found)
}

fn name_of(decision: &RecordedDecision) -> PurchaseName {
    (decision.programme.clone(), decision.connection.clone(), decision.purchase.clone())
}

/// One purchase, with all that is known of it.
pub async fn story(
    tx: &mut Tx,
    whose: Whose<'_>,
    name: PurchaseName,
) -> Result<Option<PurchaseStory>, ListError> {
    let named = std::slice::from_ref(&name);
    let purchases = tx.purchases_named(&name.0, named).await?;
    let purchase = purchases.into_iter().find(|purchase| purchase.budget == *whose.budget);
    let answers = tx.answers_of(named).await?;
    let first = answers.iter().find(|answer| answer.budget == *whose.budget);
    if purchase.is_none() && first.is_none() {
        return Ok(None);
    }
    let made = purchase.as_ref().map(|purchase| made_at(purchase.id));
    let at = first.map(|answer| answer.decided_at).or(made).unwrap_or_default();
    Ok(load(tx, whose, vec![Seed { at, name, purchase }]).await?.pop())
}

/// When an identifier was made, to the millisecond: a `UUIDv7` begins with it.
fn made_at(id: PurchaseId) -> Timestamp {
    let milliseconds = i64::try_from(id.uuid().as_u128() >> 80).ok();
    let at = milliseconds.and_then(|made| Timestamp::from_millisecond(made).ok());
    at.unwrap_or_default()
}

async fn load(
    tx: &mut Tx,
    whose: Whose<'_>,
    seeds: Vec<Seed>,
) -> Result<Vec<PurchaseStory>, ListError> {
    let names: Vec<_> = seeds.iter().map(|seed| seed.name.clone()).collect();
    let answers = tx.answers_of(&names).await?;
    let key = |answer: &RecordedDecision| {
        (answer.programme.clone(), answer.connection.clone(), answer.reference.clone())
    };
    let withdrawn = tx.withdrawn(&answers.iter().map(key).collect::<Vec<_>>()).await?;
    let mut by_name: BTreeMap<PurchaseName, Vec<RecordedDecision>> = BTreeMap::new();
    for answer in answers.into_iter().filter(|answer| answer.budget == *whose.budget) {
        by_name.entry(name_of(&answer)).or_default().push(answer);
    }
    let mut stories = Vec::new();
    for Seed { at, name, purchase } in seeds {
        let answers = by_name.remove(&name).unwrap_or_default();
        stories.push(told(whose, at, answers, &withdrawn, purchase)?);
    }
    add_refusals(tx, whose, &mut stories).await?;
    Ok(stories)
}

fn told(
    whose: Whose<'_>,
    at: Timestamp,
    answers: Vec<RecordedDecision>,
    withdrawn: &BTreeSet<ReferenceKey>,
    purchase: Option<Purchase>,
) -> Result<PurchaseStory, ListError> {
    let is_withdrawn = |answer: &&RecordedDecision| {
        let reference = answer.reference.to_string();
        withdrawn.contains(&(answer.programme.clone(), answer.connection.clone(), reference))
    };
    let withdrawn: BTreeSet<_> =
        answers.iter().filter(is_withdrawn).map(|answer| answer.reference.clone()).collect();
    let ours: Vec<_> = answers.iter().map(|answer| our_answer(answer, &withdrawn)).collect();
    let state = state_of(&ours, purchase.as_ref())?;
    let at = answers.first().map_or(at, |answer| answer.decided_at.min(at));
    let zone = whose.programme.zone();
    let counts = purchase.as_ref().map(|purchase| purchase.counted.on);
    Ok(PurchaseStory {
        programme: whose.programme.settings.id.clone(),
        budget: whose.budget.clone(),
        at,
        on: counts.unwrap_or_else(|| zone.to_datetime(at).date()),
        state,
        answers,
        withdrawn,
        purchase,
        refused: None,
    })
}

fn our_answer(answer: &RecordedDecision, withdrawn: &BTreeSet<IssuerReference>) -> OurAnswer {
    match &answer.outcome {
        Outcome::Approved(amount) if amount.is_zero() => OurAnswer::Checked,
        Outcome::Approved(_) if withdrawn.contains(&answer.reference) => OurAnswer::Withdrawn,
        Outcome::Approved(_) => OurAnswer::Approved,
        Outcome::Declined(_) => OurAnswer::Declined,
    }
}

/// Adds why the issuer refused, from its own latest message.
async fn add_refusals(
    tx: &mut Tx,
    whose: Whose<'_>,
    stories: &mut [PurchaseStory],
) -> Result<(), ListError> {
    let id = &whose.programme.settings.id;
    let key = |story: &PurchaseStory| -> Option<(ProgrammeId, ConnectionId, IssuerReference)> {
        let purchase = story.refused_by_issuer()?;
        let word = purchase.word.as_ref()?;
        Some((id.clone(), purchase.connection.clone(), word.position.reference.clone()))
    };
    let keys: Vec<_> = stories.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let texts = tx.event_texts(&keys).await?;
    for story in stories {
        let Some((programme, connection, reference)) = key(story) else { continue };
        let Some(purchase) = story.refused_by_issuer() else { continue };
        let is_after_our_yes = purchase.promised()?.is_positive();
        let text = texts.get(&(programme, connection.clone(), reference.to_string()));
        let settings = &whose.programme.settings;
        let issuer = settings.connections.iter().find(|known| known.id == connection);
        let issuer = issuer.and_then(|known| known.issuer.parse::<Issuer>().ok());
        let told = text.zip(issuer).and_then(|(text, issuer)| last_refusal(issuer, text));
        let promised = purchase.promised()?;
        story.refused = Some(match told {
            Some((asked, why)) => IssuerRefused { asked, why, is_after_our_yes },
            None => {
                IssuerRefused { asked: promised, why: IssuerRefusal::Unknown, is_after_our_yes }
            }
        });
    }
    Ok(())
}

/// What a message says was refused last, and why.
fn last_refusal(issuer: Issuer, text: &str) -> Option<(Money, IssuerRefusal)> {
    let event = issuer.decode_event(text.as_bytes()).ok()?;
    match event.body {
        EventBody::Standing(report) => {
            let last = report.answers.iter().rev().find(|answer| !answer.is_approved)?;
            // A no of ours that we have no record of is one that we could not help.
            let why = issuer.refusal(last.reason.as_deref()).unwrap_or(IssuerRefusal::OurFault);
            Some((last.amount, why))
        }
        EventBody::HoldChange(_)
        | EventBody::Presentment(_)
        | EventBody::Dispute(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => None,
    }
}

impl Wanted {
    fn is(&self, story: &PurchaseStory, programme: &Programme) -> bool {
        let category = || story.category(programme);
        self.states.as_ref().is_none_or(|states| states.contains(&story.state))
            && self.category.as_ref().is_none_or(|wanted| category().as_ref() == Some(wanted))
            && self.from.is_none_or(|from| from <= story.on)
            && self.to.is_none_or(|to| story.on <= to)
    }
}

impl PurchaseStory {
    /// Its first question, or the purchase itself where nobody asked.
    pub fn id(&self) -> String {
        match (self.answers.first(), &self.purchase) {
            (Some(answer), _) => answer.id.to_string(),
            (None, Some(purchase)) => purchase.id.to_string(),
            (None, None) => String::new(),
        }
    }

    /// The shop as messages spelled it; empty when it was erased or never told.
    pub fn place(&self) -> String {
        let told = self.purchase.as_ref().and_then(|purchase| purchase.place.name.clone());
        let asked = || Some(self.answers.last()?.request()?.merchant.name().to_owned());
        told.or_else(asked).unwrap_or_default()
    }

    /// The kind of shop.
    pub fn category(&self, programme: &Programme) -> Option<Category> {
        if let Some(purchase) = &self.purchase {
            return Some(purchase.counted.category.clone());
        }
        let request = self.answers.first()?.request()?;
        Some(programme.rules.category_of(request.merchant.mcc()).clone())
    }

    /// What was asked for: all that was approved, or else what was refused last; of a purchase that
    /// nobody asked us about, the most that the issuer told of.
    pub fn asked(&self, programme: &Programme) -> Money {
        let nothing = Money::zero(programme.settings.currency);
        let approved = self.answers.iter().filter(|a| matches!(a.outcome, Outcome::Approved(_)));
        let sum = Money::sum(nothing.currency(), approved.map(|answer| answer.asked));
        let largest =
            |one: Money, other: Money| if one.minor() < other.minor() { other } else { one };
        match (sum, self.answers.last(), &self.purchase) {
            (Ok(sum), ..) if sum.is_positive() => sum,
            (_, Some(refused), _) => refused.asked,
            (_, None, Some(purchase)) => {
                let total = purchase.word.as_ref().and_then(|word| word.standing.total());
                let refused = self.refused.map(|refused| refused.asked);
                [total, refused, Some(purchase.raised), Some(purchase.captured)]
                    .into_iter()
                    .flatten()
                    .fold(nothing, largest)
            }
            (_, None, None) => nothing,
        }
    }

    /// Why it was not paid, the told one first.
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
            Some(Outcome::Declined(codes)) => codes.iter().map(|code| code.as_str()).collect(),
            Some(Outcome::Approved(_)) | None => vec!["refused_by_issuer"],
        }
    }

    /// The purchase, if it was not paid because the issuer refused it by itself.
    fn refused_by_issuer(&self) -> Option<&Purchase> {
        let purchase = self.purchase.as_ref()?;
        let standing = purchase.word.as_ref().map(|word| word.standing);
        let is_kept = purchase.promises.iter().any(|p| p.state == PromiseState::Kept);
        let is_theirs = standing == Some(Standing::Declined)
            && self.state == PurchaseState::NotPaid
            && (is_kept || self.answers.is_empty());
        is_theirs.then_some(purchase)
    }
}
