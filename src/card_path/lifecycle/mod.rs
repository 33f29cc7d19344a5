//! What happens to a purchase after the answer: the issuer's later messages, in any order and any
//! number of times. They are facts; none is refused. And what happens when no message comes.

mod change;
mod context;
mod disputes;
mod duplicates;
mod exceptions;
mod expiry;
mod links;
mod shape;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, ExceptionId, IssuerReference, PostingId, ProgrammeId,
    PurchaseReference,
};
use crate::domain::money::MoneyError;
use crate::domain::purchase::presentment::{Direction, EventBody};
use crate::ledger::book::{LedgerError, PurchaseKey};
use crate::ledger::record::decision::Outcome;
use crate::ledger::record::event::{EventState, ReceivedEvent};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, DirectoryError, SettingsInForce};
use crate::store::{
    Additions, BookWanted, Books, Note, ReferenceKey, StoreError, Tx, exception_id,
};

use context::LifecycleContext;
pub use disputes::book_parked;
use duplicates::{BookedPresentments, Repetition, compare};
pub use expiry::expire;
use links::{Elsewhere, Link, Misfit, Named, candidates, misfit};
use shape::Shape;
use tell::find_our_refusals;

/// Why messages could not be booked. Nothing of them has been written.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("programme {0} has no house budget")]
    NoHouse(ProgrammeId),
}

impl LifecycleError {
    /// What the database had to do with it, if anything.
    pub const fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Directory(DirectoryError::Store(error)) => Some(error),
            Self::Directory(_) | Self::Ledger(_) | Self::NoHouse(_) => None,
        }
    }
}

impl From<MoneyError> for LifecycleError {
    fn from(error: MoneyError) -> Self {
        Self::Ledger(error.into())
    }
}

/// Stores `events` whole and books what they say. A message that was stored before is passed over.
///
/// Each purchase is brought to what the *set* of messages about it says, so order and repetition
/// do not matter. The messages may be acknowledged only after `tx` was committed.
pub async fn book(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    events: &[ReceivedEvent],
) -> Result<(), LifecycleError> {
    let mut additions = Additions::default();
    let stored = tx.stored_events(&references(events)).await?;
    let fresh = fresh(directory, &stored, events, &mut additions);
    let shapes = fresh.iter().filter_map(|event| Shape::of(event, ids));
    let shapes: Vec<_> = shapes.map(|shape| shape.known_in(directory)).collect();
    let mut tasks = tasks(tx, shapes).await?;
    find_candidates(tx, &mut tasks).await?;
    let disputes = disputes::find(tx, &fresh, &tasks, ids).await?;
    tasks.extend(disputes.found);
    disputes::park(&disputes.unknown, ids, &mut additions);
    keep_the_rest(&fresh, ids, &mut additions);
    work(tx, directory, ids, &mut tasks, additions).await
}

/// The messages that were not stored before, each once.
fn fresh<'a>(
    directory: &Directory,
    stored: &BTreeMap<ReferenceKey, Option<String>>,
    events: &'a [ReceivedEvent],
    additions: &mut Additions,
) -> Vec<&'a ReceivedEvent> {
    let mut first: BTreeMap<ReferenceKey, &ReceivedEvent> = BTreeMap::new();
    let mut fresh = Vec::new();
    for event in events {
        let place = place(event);
        let is_other = if let Some(text) = stored.get(&place) {
            compare(directory, text.as_deref(), event) == Repetition::OtherContent
        } else if let Some(before) = first.get(&place) {
            before.event != event.event
        } else {
            first.insert(place, event);
            fresh.push(event);
            false
        };
        if is_other {
            additions.note(other_content(event, &event.event.reference));
        }
    }
    fresh
}

/// A message or a claim came again under its identifier, and says something else.
fn other_content(event: &ReceivedEvent, reference: &IssuerReference) -> Note {
    const KIND: &str = "same_identifier_other_content";

    let about = format!("{}/{reference}", event.connection);
    Note {
        id: exception_id(&event.programme, KIND, &about),
        programme: event.programme.clone(),
        budget: BudgetId::house(),
        kind: KIND,
        about,
        subject: format!("{}/{}", event.connection, event.event.reference),
        detail: "it came before with other content, which is what is booked".to_owned(),
        noted_at: event.received_at,
    }
}

/// One message, and the budget in whose book it belongs.
#[derive(Debug)]
struct Task<'a> {
    shape: Shape<'a>,
    /// Of a claim that does not fit the purchase that it names: that of its card.
    budget: BudgetId,
    /// Where else it may belong, if it does not fit.
    elsewhere: Option<Elsewhere>,
}

impl<'a> Task<'a> {
    const fn new(shape: Shape<'a>, budget: BudgetId) -> Self {
        Self { shape, budget, elsewhere: None }
    }

    /// The purchases that may be changed, by budget.
    fn purchases(&self) -> Vec<(&BudgetId, PurchaseKey)> {
        let mut purchases = vec![(&self.budget, self.shape.key())];
        if let Some(elsewhere) = &self.elsewhere {
            let connection = &self.shape.event.connection;
            let own = self.shape.on_its_own().map(|shape| shape.purchase);
            let here = elsewhere.candidates.iter().cloned().chain(own);
            purchases.extend(here.map(|p| (&self.budget, (connection.clone(), p))));
            purchases.push((&elsewhere.named_budget, self.shape.key()));
        }
        purchases
    }
}

/// Opens the books that `tasks` are about, books them in order, and writes all of it.
async fn work(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    tasks: &mut [Task<'_>],
    mut additions: Additions,
) -> Result<(), LifecycleError> {
    let stored = tx.stored_presentments(&presentments(tasks)).await?;
    let mut booked = BookedPresentments::new(stored);
    let mut books = tx.open_books(&wanted(tasks), directory.agreements()).await?;
    tell_declined(tx, tasks, &books).await?;
    find_our_refusals(tx, tasks).await?;
    let programmes = directory.settings_of(&books).await?;
    let mut ledger = Ledger { books: &mut books, programmes: &programmes, ids };
    for Task { shape, budget, elsewhere } in &*tasks {
        if elsewhere.is_none() {
            ledger.context(&shape.event.programme, budget)?.add_purchase(shape);
        }
    }
    load_counters(tx, tasks, &mut ledger).await?;
    for task in &*tasks {
        let event = task.shape.event;
        let presentment = task.shape.presentment();
        let repeated = presentment.and_then(|told| booked.add(directory, event, told));
        if let Some((repetition, presentment)) = repeated.zip(presentment) {
            additions.events.push(event.row(EventState::Kept));
            if repetition == Repetition::OtherContent {
                additions.note(other_content(event, &presentment.reference));
            }
            continue;
        }
        match &task.elsewhere {
            None => {
                let mut context = ledger.context(&event.programme, &task.budget)?;
                context.book(&task.shape, &mut additions)?;
            }
            Some(elsewhere) => ledger.book_elsewhere(task, elsewhere, &mut additions)?,
        }
    }
    tx.group_messages(&mut additions).await?;
    tx.close_books(&books.all(), &additions).await?;
    Ok(())
}

/// The open books of one transaction.
struct Ledger<'a> {
    books: &'a mut Books,
    programmes: &'a SettingsInForce,
    ids: &'a NewIds,
}

impl Ledger<'_> {
    fn context(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<LifecycleContext<'_>, LifecycleError> {
        let missing = || LifecycleError::NoHouse(programme.clone());
        let open = self.books.get_mut(programme, budget).ok_or_else(missing)?;
        let programme = self.programmes.of(open).ok_or_else(missing)?;
        Ok(LifecycleContext { book: &mut open.book, programme, ids: self.ids })
    }

    /// Books a claim that does not fit the purchase that it names.
    fn book_elsewhere(
        &mut self,
        task: &Task<'_>,
        elsewhere: &Elsewhere,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let Task { shape, budget, .. } = task;
        let programme = &shape.event.programme;
        let ids = self.ids;
        let mut context = self.context(programme, budget)?;
        if context.is_in_other_currency(shape) {
            return context.book(shape, additions);
        }
        let Some(relinked) = context.relink(shape, elsewhere)? else {
            additions.events.push(shape.event.row(EventState::Kept));
            let why = "its identifier cannot be that of a purchase".to_owned();
            additions.note(house_note(shape.event, ids, "not_understood", why));
            return Ok(());
        };
        context.add_purchase(&relinked);
        context.book(&relinked, additions)?;
        let is_lost = matches!(relinked.link, Link::Misfit | Link::MisfitMoved);
        match shape.presentment() {
            Some(claim) if is_lost && claim.direction == Direction::Capture => {
                let mut named = shape.clone();
                named.posting = PostingId::new(ids.next(shape.event.received_at));
                let mut context = self.context(programme, &elsewhere.named_budget)?;
                context.lose_capture(&named, claim.amount, additions)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Messages that move nothing are stored whole; those that nobody understood, for a person too.
fn keep_the_rest(fresh: &[&ReceivedEvent], ids: &NewIds, additions: &mut Additions) {
    for event in fresh {
        match &event.event.body {
            EventBody::Unclear { why } => {
                additions.events.push(event.row(EventState::Kept));
                additions.notes.push(house_note(event, ids, "not_understood", why.clone()));
            }
            EventBody::Other => additions.events.push(event.row(EventState::Kept)),
            // One that names no purchase at all cannot be booked either.
            EventBody::Presentment(_) if Shape::of(event, ids).is_none() => {
                let why = "its identifier cannot be that of a purchase".to_owned();
                additions.events.push(event.row(EventState::Kept));
                additions.notes.push(house_note(event, ids, "not_understood", why));
            }
            EventBody::Standing(_)
            | EventBody::HoldChange(_)
            | EventBody::Presentment(_)
            | EventBody::Dispute(_) => {}
        }
    }
}

/// A note about a message that is in nobody's book.
fn house_note(event: &ReceivedEvent, ids: &NewIds, kind: &'static str, detail: String) -> Note {
    Note {
        id: ExceptionId::new(ids.next(event.received_at)),
        programme: event.programme.clone(),
        budget: BudgetId::house(),
        kind,
        about: format!("{}/{}", event.connection, event.event.reference),
        subject: format!("{}/{}", event.connection, event.event.reference),
        detail,
        noted_at: event.received_at,
    }
}

/// Stores a message whole that could not be booked, and writes down that somebody has to look at
/// it: nothing that an issuer tells us is lost.
pub async fn keep(
    tx: &mut Tx,
    ids: &NewIds,
    event: &ReceivedEvent,
    why: &str,
) -> Result<(), LifecycleError> {
    let known = tx.stored_events(&references(std::slice::from_ref(event))).await?;
    if known.contains_key(&place(event)) {
        return Ok(());
    }
    let mut additions = Additions::default();
    additions.events.push(event.row(EventState::Kept));
    additions.notes.push(house_note(event, ids, "not_booked", why.to_owned()));
    tx.close_books(&[], &additions).await?;
    Ok(())
}

fn references(events: &[ReceivedEvent]) -> Vec<(ProgrammeId, ConnectionId, IssuerReference)> {
    let key = |event: &ReceivedEvent| {
        (event.programme.clone(), event.connection.clone(), event.event.reference.clone())
    };
    let keys: BTreeSet<_> = events.iter().map(key).collect();
    keys.into_iter().collect()
}

fn place(event: &ReceivedEvent) -> ReferenceKey {
    (event.programme.clone(), event.connection.clone(), event.event.reference.to_string())
}

fn presentments(tasks: &[Task<'_>]) -> Vec<(ProgrammeId, ConnectionId, IssuerReference)> {
    let key = |task: &Task<'_>| {
        let presentment = task.shape.presentment()?;
        let event = task.shape.event;
        Some((event.programme.clone(), event.connection.clone(), presentment.reference.clone()))
    };
    let keys: BTreeSet<_> = tasks.iter().filter_map(key).collect();
    keys.into_iter().collect()
}

/// Whose purchase each message is about: as known, else as the first message here says, by its card,
/// else the house. A claim that does not fit the purchase that it names belongs to its card.
async fn tasks<'a>(tx: &mut Tx, shapes: Vec<Shape<'a>>) -> Result<Vec<Task<'a>>, StoreError> {
    let purchase = |shape: &Shape<'_>| -> (ProgrammeId, ConnectionId, PurchaseReference) {
        let event = shape.event;
        (event.programme.clone(), event.connection.clone(), shape.purchase.clone())
    };
    let card = |shape: &Shape<'_>| -> Option<(ProgrammeId, ConnectionId, CardToken)> {
        let event = shape.event;
        let card = shape.about?.card.clone();
        Some((event.programme.clone(), event.connection.clone(), card))
    };
    let keys: BTreeSet<_> = shapes.iter().map(purchase).collect();
    let known = tx.known_purchases(&keys.into_iter().collect::<Vec<_>>()).await?;
    let mut named: BTreeMap<_, _> =
        known.into_iter().map(|(key, purchase)| (key, Named::of(&purchase))).collect();
    let keys: BTreeSet<_> = shapes.iter().filter_map(card).collect();
    let cards = tx.card_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let cards: BTreeMap<_, _> =
        cards.into_iter().map(|c| ((c.programme, c.connection, c.token), c.budget)).collect();
    let mut tasks = Vec::new();
    for mut shape in shapes {
        let (programme, connection, reference) = purchase(&shape);
        let owner = card(&shape).and_then(|card| cards.get(&card));
        let named = named.entry((programme, connection, reference.to_string()));
        let named = named.or_insert_with(|| Named::first(&shape, owner));
        shape.misfit = misfit(&shape, named, owner);
        let (misfit, named_budget) = (shape.misfit, named.budget.clone());
        let budget = match (misfit, owner) {
            (Some(Misfit::Card), Some(owner)) => owner.clone(),
            (_, _) => named_budget.clone(),
        };
        let elsewhere =
            misfit.map(|misfit| Elsewhere { misfit, named_budget, candidates: BTreeSet::new() });
        tasks.push(Task { shape, budget, elsewhere });
    }
    Ok(tasks)
}

/// Finds where claims may belong that do not fit: among what is booked, and what comes with them.
async fn find_candidates(tx: &mut Tx, tasks: &mut [Task<'_>]) -> Result<(), StoreError> {
    if tasks.iter().all(|task| task.elsewhere.is_none()) {
        return Ok(());
    }
    let place = |task: &Task<'_>| {
        let event = task.shape.event;
        (event.programme.clone(), event.connection.clone(), task.budget.clone())
    };
    let mut here: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.elsewhere.is_none()) {
        here.entry(place(task)).or_default().insert(task.shape.purchase.clone());
    }
    for task in tasks {
        let with_it = here.get(&place(task)).cloned().unwrap_or_default();
        let Some(elsewhere) = &mut task.elsewhere else { continue };
        let programme = &task.shape.event.programme;
        elsewhere.candidates = candidates(tx, programme, &task.budget, &task.shape).await?;
        elsewhere.candidates.extend(with_it);
        elsewhere.candidates.remove(&task.shape.purchase);
    }
    Ok(())
}

/// Tells captures of purchases that nobody has spoken of whether we declined them: a question that
/// was declined leaves no purchase behind.
async fn tell_declined(
    tx: &mut Tx,
    tasks: &mut [Task<'_>],
    books: &Books,
) -> Result<(), StoreError> {
    let question = |task: &Task<'_>| {
        let Shape { event, purchase, .. } = &task.shape;
        let claim = task.shape.presentment()?;
        let is_capture = claim.direction == Direction::Capture && task.shape.link == Link::Fits;
        let open = books.get(&event.programme, &task.budget)?;
        let known = open.book.purchases.get(&task.shape.key());
        let is_unheard_of = known.is_none_or(|p| p.promises.is_empty() && p.word.is_none());
        let reference = IssuerReference::of_question(purchase, 0).ok()?;
        let key = (event.programme.clone(), event.connection.clone(), reference);
        (is_capture && is_unheard_of).then_some(key)
    };
    let keys: BTreeSet<_> = tasks.iter().filter_map(question).collect();
    let decisions = tx.recorded_decisions(&keys.into_iter().collect::<Vec<_>>()).await?;
    let declined: BTreeSet<_> = decisions
        .into_iter()
        .filter(|decision| matches!(decision.outcome, Outcome::Declined(_)))
        .map(|decision| (decision.programme, decision.connection, decision.reference))
        .collect();
    for task in tasks {
        task.shape.is_declined = question(task).is_some_and(|key| declined.contains(&key));
    }
    Ok(())
}

fn wanted(tasks: &[Task<'_>]) -> Vec<BookWanted> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for task in tasks {
        for (budget, purchase) in task.purchases() {
            let place = (task.shape.event.programme.clone(), budget.clone());
            wanted.entry(place).or_default().insert(purchase);
        }
    }
    let book = |((programme, budget), purchases)| BookWanted { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

async fn load_counters(
    tx: &mut Tx,
    tasks: &[Task<'_>],
    ledger: &mut Ledger<'_>,
) -> Result<(), LifecycleError> {
    let mut keys = Vec::new();
    for task in tasks {
        let programme = &task.shape.event.programme;
        for (budget, purchase) in task.purchases() {
            let context = ledger.context(programme, budget)?;
            let Some(agreement) = context.book.agreement() else { continue };
            let known = context.book.purchases.get(&purchase).map(|known| known.counted.clone());
            // What a claim of its own would count as is not known yet.
            let own = || {
                let about = task.shape.about.filter(|_| task.elsewhere.is_some())?;
                Some(task.shape.counted(about, context.book, context.programme))
            };
            let Some(counted) = known.or_else(own) else { continue };
            let counters = counted.counters(agreement).into_iter();
            keys.extend(counters.map(|key| (programme.clone(), budget.clone(), key)));
        }
    }
    Ok(tx.load_counters(&keys, ledger.books).await?)
}
