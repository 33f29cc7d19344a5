//! What happens to a purchase after the answer: the issuer's later messages, in any order and any
//! number of times. They are facts; none is refused. And what happens when no message comes.

mod desk;
mod disputes;
mod expiry;
mod shape;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, ExceptionId, IssuerReference, ProgrammeId, PurchaseReference,
};
use crate::domain::money::MoneyError;
use crate::domain::presentment::EventBody;
use crate::ids::NewIds;
use crate::ledger::book::LedgerError;
use crate::programme::directory::{Directory, DirectoryError};
use crate::record::event::{EventState, ReceivedEvent};
use crate::store::{Additions, BookWanted, Books, Note, ReferenceKey, StoreError, Tx};

use desk::Desk;
pub use disputes::book_parked;
pub use expiry::expire;
use shape::Shape;
use tell::{OurAnswers, tell};

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
    let mut known = tx.known_events(&references(events)).await?;
    let fresh: Vec<_> = events.iter().filter(|event| known.insert(place(event))).collect();
    let shapes: Vec<_> = fresh.iter().filter_map(|event| Shape::of(event)).collect();
    let budgets = budgets(tx, &shapes).await?;
    let mut tasks: Vec<_> =
        shapes.into_iter().zip(budgets).map(|(shape, budget)| Task { shape, budget }).collect();
    let disputes = disputes::find(tx, &fresh, &tasks).await?;
    tasks.extend(disputes.found);
    let mut additions = Additions::default();
    disputes::park(&disputes.unknown, ids, &mut additions);
    keep_the_rest(&fresh, ids, &mut additions);
    work(tx, directory, ids, &tasks, additions).await
}

/// One message, and the budget in whose book it belongs.
#[derive(Debug)]
struct Task<'a> {
    shape: Shape<'a>,
    budget: BudgetId,
}

/// Opens the books that `tasks` are about, books them in order, and writes all of it.
async fn work(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    tasks: &[Task<'_>],
    mut additions: Additions,
) -> Result<(), LifecycleError> {
    let mut booked = tx.known_presentments(&presentments(tasks)).await?;
    let mut books = tx.open_books(&wanted(tasks), directory.agreements()).await?;
    let programmes = directory.versions(&books.versions).await?;
    for Task { shape, budget } in tasks {
        let programme_id = &shape.event.programme;
        let open = books.get_mut(programme_id, budget);
        let open = open.ok_or_else(|| LifecycleError::NoHouse(programme_id.clone()))?;
        let Some(programme) = programmes.get(programme_id) else {
            return Err(LifecycleError::NoHouse(programme_id.clone()));
        };
        Desk { book: &mut open.book, programme, ids }.add_purchase(shape);
    }
    load_counters(tx, tasks, &mut books).await?;
    let ours = OurAnswers::read(tx, tasks).await?;
    for task in tasks {
        let Task { shape, budget } = task;
        let Some(open) = books.get_mut(&shape.event.programme, budget) else { continue };
        let Some(programme) = programmes.get(&shape.event.programme) else { continue };
        let before = open.book.purchases.get(&shape.key()).cloned();
        let mut desk = Desk { book: &mut open.book, programme, ids };
        desk.book(shape, &mut booked, &mut additions)?;
        let after = open.book.purchases.get(&shape.key());
        if let Some((before, after)) = before.as_ref().zip(after) {
            let refused = ours.refused(task, before, programme);
            let now = (shape.booked_at, refused.as_slice());
            tell(&open.book, programme, ids, (before, after), now, &mut additions)?;
        }
    }
    tx.group_messages(&mut additions).await?;
    tx.close_books(&books.all(), &additions).await?;
    Ok(())
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
            EventBody::Presentment(_) if Shape::of(event).is_none() => {
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
    let known = tx.known_events(&references(std::slice::from_ref(event))).await?;
    if known.contains(&place(event)) {
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

/// Whose purchase each message is about: as known, else by its card, else the house.
async fn budgets(tx: &mut Tx, shapes: &[Shape<'_>]) -> Result<Vec<BudgetId>, StoreError> {
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
    let known = tx.purchase_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let keys: BTreeSet<_> = shapes.iter().filter_map(card).collect();
    let cards = tx.card_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let cards: BTreeMap<_, _> =
        cards.into_iter().map(|c| ((c.programme, c.connection, c.token), c.budget)).collect();
    let budget = |shape: &Shape<'_>| {
        let (programme, connection, reference) = purchase(shape);
        let by_purchase = known.get(&(programme, connection, reference.to_string()));
        let by_card = || cards.get(&card(shape)?);
        by_purchase.or_else(by_card).cloned().unwrap_or_else(BudgetId::house)
    };
    Ok(shapes.iter().map(budget).collect())
}

fn wanted(tasks: &[Task<'_>]) -> Vec<BookWanted> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for Task { shape, budget } in tasks {
        let purchases = wanted.entry((shape.event.programme.clone(), budget.clone())).or_default();
        purchases.insert(shape.key());
    }
    let book = |((programme, budget), purchases)| BookWanted { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

async fn load_counters(
    tx: &mut Tx,
    tasks: &[Task<'_>],
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for Task { shape, budget } in tasks {
        let Some(open) = books.get_mut(&shape.event.programme, budget) else { continue };
        let purchase = open.book.purchases.get(&shape.key());
        let Some((purchase, owner)) = purchase.zip(open.book.owner.as_ref()) else { continue };
        let counters = purchase.counted.counters(&owner.agreement).into_iter();
        keys.extend(counters.map(|key| (shape.event.programme.clone(), budget.clone(), key)));
    }
    tx.load_counters(&keys, books).await
}
