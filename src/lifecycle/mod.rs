//! What happens to a purchase after the answer: the issuer's later messages, in any order and any
//! number of times. They are facts; none is refused.

mod shape;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, ExceptionId, IssuerReference, PostingId, ProgrammeId,
    PurchaseReference,
};
use crate::domain::money::{Money, MoneyError};
use crate::domain::period::Moment;
use crate::domain::pot::{PotPart, Source, drain};
use crate::domain::presentment::{Change, Direction, EventBody};
use crate::domain::purchase::{IssuerWord, Purchase};
use crate::ids::NewIds;
use crate::ledger::book::{Book, Cause, LedgerError, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::{captured, refunded, settled};
use crate::programme::directory::{Directory, DirectoryError, Programme};
use crate::record::event::{EventState, ISSUER_EVENT, ReceivedEvent, presentment_digest};
use crate::record::row::Digest;
use crate::store::{Additions, BookWanted, Books, Note, ReferenceKey, StoreError, Tx};

use shape::Shape;

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
    let mut booked = tx.known_presentments(&presentments(&shapes)).await?;
    let mut books = tx.open_books(&wanted(&shapes, &budgets), directory.agreements()).await?;
    let programmes = directory.versions(books.versions()).await?;
    let mut additions = Additions::default();

    for (shape, budget) in shapes.iter().zip(&budgets) {
        let programme_id = &shape.event.programme;
        let open = books.get_mut(programme_id, budget);
        let open = open.ok_or_else(|| LifecycleError::NoHouse(programme_id.clone()))?;
        let Some(programme) = programmes.get(programme_id) else {
            return Err(LifecycleError::NoHouse(programme_id.clone()));
        };
        Desk { book: &mut open.book, programme, ids }.add_purchase(shape);
    }
    load_counters(tx, &shapes, &budgets, &mut books).await?;
    for (shape, budget) in shapes.iter().zip(&budgets) {
        let Some(open) = books.get_mut(&shape.event.programme, budget) else { continue };
        let Some(programme) = programmes.get(&shape.event.programme) else { continue };
        let mut desk = Desk { book: &mut open.book, programme, ids };
        desk.book(shape, &mut booked, &mut additions)?;
    }
    for event in fresh.iter().filter(|event| Shape::of(event).is_none()) {
        additions.events.push(event.row(EventState::Kept));
    }
    tx.close_books(&books.all(), &additions).await?;
    Ok(())
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
    additions.notes.push(Note {
        id: ExceptionId::new(ids.next(event.received_at)),
        programme: event.programme.clone(),
        budget: BudgetId::house(),
        kind: "not_booked",
        subject: format!("{}/{}", event.connection, event.event.reference),
        detail: why.to_owned(),
        noted_at: event.received_at,
    });
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

fn presentments(shapes: &[Shape<'_>]) -> Vec<(ProgrammeId, ConnectionId, IssuerReference)> {
    let key = |shape: &Shape<'_>| {
        let presentment = shape.presentment()?;
        let event = shape.event;
        Some((event.programme.clone(), event.connection.clone(), presentment.reference.clone()))
    };
    let keys: BTreeSet<_> = shapes.iter().filter_map(key).collect();
    keys.into_iter().collect()
}

/// Whose purchase each message is about: as known, else by its card, else the house.
async fn budgets(tx: &mut Tx, shapes: &[Shape<'_>]) -> Result<Vec<BudgetId>, StoreError> {
    let purchase = |shape: &Shape<'_>| -> (ProgrammeId, ConnectionId, PurchaseReference) {
        let event = shape.event;
        (event.programme.clone(), event.connection.clone(), shape.purchase.clone())
    };
    let card = |shape: &Shape<'_>| -> (ProgrammeId, ConnectionId, CardToken) {
        let event = shape.event;
        (event.programme.clone(), event.connection.clone(), shape.about.card.clone())
    };
    let keys: BTreeSet<_> = shapes.iter().map(purchase).collect();
    let known = tx.purchase_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let keys: BTreeSet<_> = shapes.iter().map(card).collect();
    let cards = tx.card_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let cards: BTreeMap<_, _> =
        cards.into_iter().map(|c| ((c.programme, c.connection, c.token), c.budget)).collect();
    let budget = |shape: &Shape<'_>| {
        let (programme, connection, reference) = purchase(shape);
        let by_purchase = known.get(&(programme, connection, reference.to_string()));
        by_purchase.or_else(|| cards.get(&card(shape))).cloned().unwrap_or_else(BudgetId::house)
    };
    Ok(shapes.iter().map(budget).collect())
}

fn wanted(shapes: &[Shape<'_>], budgets: &[BudgetId]) -> Vec<BookWanted> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (shape, budget) in shapes.iter().zip(budgets) {
        let purchases = wanted.entry((shape.event.programme.clone(), budget.clone())).or_default();
        purchases.insert(shape.key());
    }
    let book = |((programme, budget), purchases)| BookWanted { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

async fn load_counters(
    tx: &mut Tx,
    shapes: &[Shape<'_>],
    budgets: &[BudgetId],
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for (shape, budget) in shapes.iter().zip(budgets) {
        let Some(open) = books.get_mut(&shape.event.programme, budget) else { continue };
        let purchase = open.book.purchases.get(&shape.key());
        let Some((purchase, owner)) = purchase.zip(open.book.owner.as_ref()) else { continue };
        let counters = purchase.counted.counters(&owner.agreement).into_iter();
        keys.extend(counters.map(|key| (shape.event.programme.clone(), budget.clone(), key)));
    }
    tx.load_counters(&keys, books).await
}

/// One budget's book, and what booking in it needs.
struct Desk<'a> {
    book: &'a mut Book,
    programme: &'a Programme,
    ids: &'a NewIds,
}

impl Desk<'_> {
    /// A purchase that nobody told us of before begins with the message that names it.
    fn add_purchase(&mut self, shape: &Shape<'_>) {
        let key = shape.key();
        if !self.book.purchases.contains_key(&key) {
            let purchase = shape.new_purchase(self.book, self.programme, self.ids);
            self.book.purchases.insert(key, purchase);
        }
    }

    fn book(
        &mut self,
        shape: &Shape<'_>,
        booked: &mut BTreeSet<ReferenceKey>,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let event = shape.event;
        if let Some(presentment) = shape.presentment() {
            let reference = presentment.reference.to_string();
            let place = (event.programme.clone(), event.connection.clone(), reference);
            if !booked.insert(place) {
                additions.events.push(event.row(EventState::Kept));
                return Ok(());
            }
        }
        let key = shape.key();
        if shape.amount().is_some_and(|amount| amount.currency() != self.book.currency) {
            // The books of a budget have one currency; a message in another is kept for a person.
            additions.events.push(event.row(EventState::Kept));
            additions.notes.push(self.note(shape, "other_currency"));
            return Ok(());
        }
        let row = event.row(EventState::Booked);
        let digest = Digest::of_row(&ISSUER_EVENT, &row);
        additions.events.push(row);
        let before = self.exposure(&key);
        match &event.event.body {
            EventBody::Standing(report) => {
                let word =
                    IssuerWord { standing: report.standing, position: report.position.clone() };
                self.settle(shape, digest, |purchase| {
                    purchase.hear(word);
                    Ok(())
                })?;
                if self.is_uncovered(&key)? {
                    additions.notes.push(self.note(shape, "hold_above_money"));
                }
            }
            EventBody::HoldChange(report) => {
                let change = report.change;
                self.settle(shape, digest, |purchase| {
                    match change {
                        Change::Raised { by } => {
                            purchase.raised = purchase.raised.checked_add(by)?;
                        }
                        Change::Lowered { by } => {
                            purchase.lowered = purchase.lowered.checked_add(by)?;
                        }
                    }
                    Ok(())
                })?;
            }
            EventBody::Presentment(presentment) => {
                let Some(purchase) = self.book.purchases.get(&key) else { return Ok(()) };
                let row = event.presentment_row(presentment, &self.book.budget, purchase.id);
                let digest = presentment_digest(digest, &row);
                additions.presentments.push(row);
                self.present(shape, digest, presentment.direction, presentment.amount)?;
                self.note_presentment(shape, presentment.direction, before, additions);
            }
            EventBody::Other => {}
        }
        Ok(())
    }

    fn cause(&self, shape: &Shape<'_>, kind: PostingKind, record: Digest) -> Cause {
        let event = shape.event;
        let reference = shape.presentment().map_or(&event.event.reference, |p| &p.reference);
        Cause {
            posting: PostingId::new(self.ids.next(event.received_at)),
            kind,
            subject: format!("{}/{reference}", event.connection),
            record,
            moment: Moment::new(event.received_at, self.programme.zone()),
        }
    }

    /// Takes over what a message says about a hold, and holds what is then to be held.
    fn settle(
        &mut self,
        shape: &Shape<'_>,
        record: Digest,
        hear: impl FnOnce(&mut Purchase) -> Result<(), MoneyError>,
    ) -> Result<(), LifecycleError> {
        let cause = self.cause(shape, PostingKind::Standing, record);
        let sources = self.sources(shape, &cause);
        self.book.change(&shape.key(), cause, |purchase, pots| {
            hear(purchase)?;
            let parts = parts(purchase, &sources)?;
            settled(purchase, pots, &parts)
        })?;
        Ok(())
    }

    fn present(
        &mut self,
        shape: &Shape<'_>,
        record: Digest,
        direction: Direction,
        amount: Money,
    ) -> Result<(), LifecycleError> {
        let kind = match direction {
            Direction::Capture => PostingKind::Capture,
            Direction::Refund => PostingKind::Refund,
        };
        let cause = self.cause(shape, kind, record);
        let others: Vec<_> =
            self.sources(shape, &cause).into_iter().map(|source| source.pot).collect();
        self.book.change(&shape.key(), cause, |purchase, pots| match direction {
            Direction::Capture => captured(purchase, pots, amount, &others),
            Direction::Refund => refunded(purchase, pots, amount),
        })?;
        Ok(())
    }

    /// What the budget's pots have left for this purchase, in the order in which they drain.
    fn sources(&self, shape: &Shape<'_>, cause: &Cause) -> Vec<Source> {
        let Some(owner) = &self.book.owner else { return Vec::new() };
        let Some(purchase) = self.book.purchases.get(&shape.key()) else { return Vec::new() };
        let streams = &self.programme.settings.streams;
        let category = &purchase.counted.category;
        let order = owner.agreement.drain_order(streams, category, cause.moment.date);
        let left = |pot| self.book.pots.left(pot, self.book.currency);
        order.into_iter().map(|p| Source { pot: p.id.clone(), available: left(&p.id) }).collect()
    }

    fn exposure(&self, key: &PurchaseKey) -> Money {
        let purchase = self.book.purchases.get(key);
        purchase.map_or(Money::zero(self.book.currency), |purchase| purchase.exposure)
    }

    fn is_uncovered(&self, key: &PurchaseKey) -> Result<bool, MoneyError> {
        let Some(purchase) = self.book.purchases.get(key) else { return Ok(false) };
        let missing = purchase.wanted_hold()?.saturating_sub(purchase.held()?)?;
        Ok(missing.is_positive())
    }

    /// Writes down what somebody should look at after a presentment.
    fn note_presentment(
        &self,
        shape: &Shape<'_>,
        direction: Direction,
        exposure_before: Money,
        additions: &mut Additions,
    ) {
        let Some(purchase) = self.book.purchases.get(&shape.key()) else { return };
        if self.book.budget.is_house() {
            additions.notes.push(self.note(shape, "unknown_card"));
        }
        match direction {
            Direction::Capture => {
                if purchase.promises.is_empty() && purchase.word.is_none() {
                    additions.notes.push(self.note(shape, "capture_without_question"));
                }
                if purchase.exposure.minor() > exposure_before.minor() {
                    additions.notes.push(self.note(shape, "capture_above_money"));
                }
            }
            Direction::Refund => {
                if purchase.suspense.is_positive() {
                    additions.notes.push(self.note(shape, "refund_without_purchase"));
                }
            }
        }
    }

    fn note(&self, shape: &Shape<'_>, kind: &'static str) -> Note {
        let event = shape.event;
        Note {
            id: ExceptionId::new(self.ids.next(event.received_at)),
            programme: event.programme.clone(),
            budget: self.book.budget.clone(),
            kind,
            subject: format!("{}/{}", event.connection, event.event.reference),
            detail: format!("purchase {}", shape.purchase),
            noted_at: event.received_at,
        }
    }
}

/// What is missing from the hold, split over `sources`.
fn parts(purchase: &Purchase, sources: &[Source]) -> Result<Vec<PotPart>, MoneyError> {
    let missing = purchase.wanted_hold()?.saturating_sub(purchase.held()?)?;
    drain(missing, sources)
}
