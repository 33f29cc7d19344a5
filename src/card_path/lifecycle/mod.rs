//! The life of a purchase after the response: issuer events in any order and with repeats, and
//! expiry if none comes. Events are facts, so none is refused.

mod change;
mod context;
mod disputes;
mod duplicates;
mod exceptions;
mod expiry;
mod links;
mod notifications;
mod purchase_message;

use std::collections::{BTreeMap, BTreeSet};

use crate::card_path::error::CardPathError;
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, ExceptionId, IssuerReference, PostingId, ProgrammeId,
    PurchaseReference,
};
use crate::domain::purchase::presentment::{EventBody, PresentmentDirection};
use crate::ledger::book::PurchaseKey;
use crate::ledger::record::decision::DecisionOutcome;
use crate::ledger::record::event::{EventState, ReceivedEvent};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, SettingsInForce};
use crate::store::{
    BookRequest, Books, CardBudget, ExceptionRow, PendingWrites, ReferenceKey, StoreError, Tx,
    exception_id,
};

use context::LifecycleContext;
pub use disputes::book_parked;
use duplicates::{BookedPresentments, Repetition, compare};
pub use expiry::expire;
use links::{NamedPurchase, RelinkOptions, candidates, mismatch};
use notifications::find_own_declines;
use purchase_message::{MatchStatus, MismatchReason, PurchaseMessage};

/// Stores `events` whole and books them. An event that was stored before is skipped.
///
/// Each purchase is brought to the state that the *set* of its events describes, so order and
/// repetition do not matter. The events may be acknowledged only after `tx` was committed.
///
/// # Errors
///
/// Errors of the database and the ledger; [`CardPathError::BudgetNotFound`] if a budget cannot be
/// opened.
pub async fn book(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    events: &[ReceivedEvent],
) -> Result<(), CardPathError> {
    let mut pending_writes = PendingWrites::default();
    let stored = tx.stored_events(&references(events)).await?;
    let new_events = new_events(directory, &stored, events, &mut pending_writes);
    let messages = new_events.iter().filter_map(|event| PurchaseMessage::of(event, ids));
    let messages: Vec<_> = messages.map(|message| message.with_known_shop(directory)).collect();
    let mut tasks = tasks(tx, messages).await?;
    find_candidates(tx, &mut tasks).await?;
    let disputes = disputes::find(tx, &new_events, &tasks, ids).await?;
    tasks.extend(disputes.found);
    disputes::park(&disputes.unknown, ids, &mut pending_writes);
    store_without_booking(&new_events, ids, &mut pending_writes);
    book_tasks(tx, directory, ids, &mut tasks, pending_writes).await
}

/// The events that were not stored before, each once.
fn new_events<'a>(
    directory: &Directory,
    stored: &BTreeMap<ReferenceKey, Option<String>>,
    events: &'a [ReceivedEvent],
    pending_writes: &mut PendingWrites,
) -> Vec<&'a ReceivedEvent> {
    let mut first: BTreeMap<ReferenceKey, &ReceivedEvent> = BTreeMap::new();
    let mut new_events = Vec::new();
    for event in events {
        let reference_key = reference_key(event);
        let is_other = if let Some(text) = stored.get(&reference_key) {
            compare(directory, text.as_deref(), event) == Repetition::OtherContent
        } else if let Some(before) = first.get(&reference_key) {
            before.event != event.event
        } else {
            first.insert(reference_key, event);
            new_events.push(event);
            false
        };
        if is_other {
            pending_writes.add_exception(changed_content_note(event, &event.event.reference));
        }
    }
    new_events
}

/// The exception about an event or a presentment that was repeated with other content.
fn changed_content_note(event: &ReceivedEvent, reference: &IssuerReference) -> ExceptionRow {
    const KIND: &str = "same_identifier_other_content";

    let about = format!("{}/{reference}", event.connection);
    ExceptionRow {
        programme_id: event.programme.clone(),
        exception_id: exception_id(&event.programme, KIND, &about),
        budget_id: BudgetId::house(),
        kind: KIND.to_owned(),
        subject: format!("{}/{}", event.connection, event.event.reference),
        detail: "it came before with other content, which is what is booked".to_owned(),
        noted_at: event.received_at,
        about: Some(about),
    }
}

/// One event, and the budget in whose book it belongs.
#[derive(Debug)]
struct BookingTask<'a> {
    message: PurchaseMessage<'a>,
    /// The budget of the named purchase, or of the card if a presentment's card is another
    /// person's.
    budget: BudgetId,
    /// Where else a presentment may belong, if it does not fit the purchase that it names.
    relink_options: Option<RelinkOptions>,
}

impl<'a> BookingTask<'a> {
    const fn new(message: PurchaseMessage<'a>, budget: BudgetId) -> Self {
        Self { message, budget, relink_options: None }
    }

    /// The purchases that the booking may change, with their budgets.
    fn purchases(&self) -> Vec<(&BudgetId, PurchaseKey)> {
        let mut purchases = vec![(&self.budget, self.message.key())];
        if let Some(relink_options) = &self.relink_options {
            let connection = &self.message.event.connection;
            let here = relink_options.candidates.iter().chain([&relink_options.own]);
            purchases.extend(here.map(|p| (&self.budget, (connection.clone(), p.clone()))));
            purchases.push((&relink_options.named_budget, self.message.key()));
        }
        purchases
    }
}

/// Opens the books of `tasks`, books the tasks in order, and writes everything.
async fn book_tasks(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    tasks: &mut [BookingTask<'_>],
    mut pending_writes: PendingWrites,
) -> Result<(), CardPathError> {
    let stored = tx.stored_presentments(&presentments(tasks)).await?;
    let mut booked = BookedPresentments::new(stored);
    let mut books = tx.open_books(&wanted(tasks), directory.agreements()).await?;
    mark_declined(tx, tasks, &books).await?;
    find_own_declines(tx, tasks).await?;
    let programmes = directory.settings_of(&books).await?;
    let mut ledger = OpenLedger { books: &mut books, programmes: &programmes, ids };
    for BookingTask { message, budget, relink_options } in &*tasks {
        if relink_options.is_none() {
            ledger.context(&message.event.programme, budget)?.add_purchase(message);
        }
    }
    load_counters(tx, tasks, &mut ledger).await?;
    for task in &*tasks {
        let event = task.message.event;
        let presentment = task.message.presentment();
        let repeated = presentment.and_then(|new| booked.add(directory, event, new));
        if let Some((repetition, presentment)) = repeated.zip(presentment) {
            pending_writes.events.push(event.row(EventState::StoredOnly));
            if repetition == Repetition::OtherContent {
                pending_writes.add_exception(changed_content_note(event, &presentment.reference));
            }
            continue;
        }
        match &task.relink_options {
            None => {
                let mut context = ledger.context(&event.programme, &task.budget)?;
                context.book(&task.message, &mut pending_writes)?;
            }
            Some(relink_options) => {
                ledger.book_mismatched(task, relink_options, &mut pending_writes)?;
            }
        }
    }
    tx.suppress_repeated_messages(&mut pending_writes).await?;
    tx.close_books(&books.all(), &pending_writes).await?;
    Ok(())
}

/// The open books of one transaction.
struct OpenLedger<'a> {
    books: &'a mut Books,
    programmes: &'a SettingsInForce,
    ids: &'a NewIds,
}

impl OpenLedger<'_> {
    fn context(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<LifecycleContext<'_>, CardPathError> {
        let missing = || CardPathError::BudgetNotFound(programme.clone());
        let open = self.books.get_mut(programme, budget).ok_or_else(missing)?;
        let programme = self.programmes.of(open).ok_or_else(missing)?;
        Ok(LifecycleContext { book: &mut open.book, programme, ids: self.ids })
    }

    /// Books a presentment that does not fit the purchase that it names.
    fn book_mismatched(
        &mut self,
        task: &BookingTask<'_>,
        relink_options: &RelinkOptions,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let BookingTask { message, budget, .. } = task;
        let programme = &message.event.programme;
        let ids = self.ids;
        let mut context = self.context(programme, budget)?;
        if context.is_in_other_currency(message) {
            return context.book(message, pending_writes);
        }
        let relinked = context.relink(message, relink_options)?;
        context.add_purchase(&relinked);
        context.book(&relinked, pending_writes)?;
        let is_moved =
            matches!(relinked.match_status, MatchStatus::OwnPurchase | MatchStatus::Relinked);
        match message.presentment() {
            Some(capture) if is_moved && capture.direction == PresentmentDirection::Capture => {
                let mut named = message.clone();
                named.posting = PostingId::new(ids.next(message.event.received_at));
                let mut context = self.context(programme, &relink_options.named_budget)?;
                context.release_moved_capture(&named, capture.amount, pending_writes)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Stores events that book nothing. One that could not be read gets an exception too.
fn store_without_booking(
    new_events: &[&ReceivedEvent],
    ids: &NewIds,
    pending_writes: &mut PendingWrites,
) {
    for event in new_events {
        match &event.event.body {
            EventBody::Unclear { why } => {
                pending_writes.events.push(event.row(EventState::StoredOnly));
                pending_writes.new_exceptions.push(house_note(
                    event,
                    ids,
                    "not_understood",
                    why.clone(),
                ));
            }
            EventBody::Other => pending_writes.events.push(event.row(EventState::StoredOnly)),
            EventBody::Snapshot(_)
            | EventBody::HoldChange(_)
            | EventBody::Presentment(_)
            | EventBody::Dispute(_) => {}
        }
    }
}

/// An exception about an event that is in no person's book.
fn house_note(event: &ReceivedEvent, ids: &NewIds, kind: &str, detail: String) -> ExceptionRow {
    let about = format!("{}/{}", event.connection, event.event.reference);
    ExceptionRow {
        programme_id: event.programme.clone(),
        exception_id: ExceptionId::new(ids.next(event.received_at)),
        budget_id: BudgetId::house(),
        kind: kind.to_owned(),
        subject: about.clone(),
        detail,
        noted_at: event.received_at,
        about: Some(about),
    }
}

/// Stores an event that could not be booked, with an exception for a person to review, because
/// nothing that an issuer reports may be lost. Does nothing if the event is stored already.
///
/// # Errors
///
/// Errors of the database.
pub async fn store_unbooked(
    tx: &mut Tx,
    ids: &NewIds,
    event: &ReceivedEvent,
    why: &str,
) -> Result<(), CardPathError> {
    let known = tx.stored_events(&references(std::slice::from_ref(event))).await?;
    if known.contains_key(&reference_key(event)) {
        return Ok(());
    }
    let mut pending_writes = PendingWrites::default();
    pending_writes.events.push(event.row(EventState::StoredOnly));
    pending_writes.new_exceptions.push(house_note(event, ids, "not_booked", why.to_owned()));
    tx.close_books(&[], &pending_writes).await?;
    Ok(())
}

fn references(events: &[ReceivedEvent]) -> Vec<(ProgrammeId, ConnectionId, IssuerReference)> {
    let key = |event: &ReceivedEvent| {
        (event.programme.clone(), event.connection.clone(), event.event.reference.clone())
    };
    let keys: BTreeSet<_> = events.iter().map(key).collect();
    keys.into_iter().collect()
}

fn reference_key(event: &ReceivedEvent) -> ReferenceKey {
    (event.programme.clone(), event.connection.clone(), event.event.reference.to_string())
}

fn presentments(tasks: &[BookingTask<'_>]) -> Vec<(ProgrammeId, ConnectionId, IssuerReference)> {
    let key = |task: &BookingTask<'_>| {
        let presentment = task.message.presentment()?;
        let event = task.message.event;
        Some((event.programme.clone(), event.connection.clone(), presentment.reference.clone()))
    };
    let keys: BTreeSet<_> = tasks.iter().filter_map(key).collect();
    keys.into_iter().collect()
}

/// The budget of each message: that of its purchase if it is known, else that of the card in the
/// first message about it, else the house budget. A presentment that names another person's
/// purchase belongs to the budget of its card.
async fn tasks<'a>(
    tx: &mut Tx,
    messages: Vec<PurchaseMessage<'a>>,
) -> Result<Vec<BookingTask<'a>>, StoreError> {
    let purchase =
        |message: &PurchaseMessage<'_>| -> (ProgrammeId, ConnectionId, PurchaseReference) {
            let event = message.event;
            (event.programme.clone(), event.connection.clone(), message.purchase.clone())
        };
    let card = |message: &PurchaseMessage<'_>| -> Option<(ProgrammeId, ConnectionId, CardToken)> {
        let event = message.event;
        let card = message.about?.card.clone();
        Some((event.programme.clone(), event.connection.clone(), card))
    };
    let keys: BTreeSet<_> = messages.iter().map(purchase).collect();
    let known = tx.known_purchases(&keys.into_iter().collect::<Vec<_>>()).await?;
    let mut named: BTreeMap<_, _> =
        known.into_iter().map(|(key, purchase)| (key, NamedPurchase::of(&purchase))).collect();
    let keys: BTreeSet<_> = messages.iter().filter_map(card).collect();
    let cards = tx.card_budgets(&keys.into_iter().collect::<Vec<_>>()).await?;
    let cards: BTreeMap<_, _> = cards.into_iter().map(CardBudget::into_entry).collect();
    let mut tasks = Vec::new();
    for mut message in messages {
        let (programme, connection, reference) = purchase(&message);
        let owner = card(&message).and_then(|card| cards.get(&card));
        let named = named.entry((programme, connection, reference.to_string()));
        let named = named.or_insert_with(|| NamedPurchase::first(&message, owner));
        message.mismatch = mismatch(&message, named, owner);
        let (mismatch, named_budget) = (message.mismatch, named.budget.clone());
        let budget = match (mismatch, owner) {
            (Some(MismatchReason::Card), Some(owner)) => owner.clone(),
            (_, _) => named_budget.clone(),
        };
        let relink_options =
            mismatch.zip(message.presentment()).map(|(mismatch, presentment)| RelinkOptions {
                mismatch,
                named_budget,
                candidates: BTreeSet::new(),
                own: PurchaseReference::of_presentment(&presentment.reference),
            });
        tasks.push(BookingTask { message, budget, relink_options });
    }
    Ok(tasks)
}

/// Finds where presentments that do not fit may belong: in the store, and in the same batch.
async fn find_candidates(tx: &mut Tx, tasks: &mut [BookingTask<'_>]) -> Result<(), StoreError> {
    if tasks.iter().all(|task| task.relink_options.is_none()) {
        return Ok(());
    }
    let budget_key = |task: &BookingTask<'_>| {
        let event = task.message.event;
        (event.programme.clone(), event.connection.clone(), task.budget.clone())
    };
    let mut here: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.relink_options.is_none()) {
        here.entry(budget_key(task)).or_default().insert(task.message.purchase.clone());
    }
    for task in tasks {
        let with_it = here.get(&budget_key(task)).cloned().unwrap_or_default();
        let Some(relink_options) = &mut task.relink_options else { continue };
        let programme = &task.message.event.programme;
        relink_options.candidates = candidates(tx, programme, &task.budget, &task.message).await?;
        relink_options.candidates.extend(with_it);
        relink_options.candidates.remove(&task.message.purchase);
    }
    Ok(())
}

/// Marks captures whose request we declined. A declined request leaves no purchase behind, so only
/// captures of purchases without approvals and snapshots are looked up.
async fn mark_declined(
    tx: &mut Tx,
    tasks: &mut [BookingTask<'_>],
    books: &Books,
) -> Result<(), StoreError> {
    let first_request = |task: &BookingTask<'_>| {
        let PurchaseMessage { event, purchase, .. } = &task.message;
        let presentment = task.message.presentment()?;
        let is_capture = presentment.direction == PresentmentDirection::Capture
            && task.message.match_status == MatchStatus::Matched;
        let open = books.get(&event.programme, &task.budget)?;
        let known = open.book.purchases.get(&task.message.key());
        let is_unknown = known.is_none_or(|p| p.increments.is_empty() && p.snapshot.is_none());
        let reference = IssuerReference::of_authorisation(purchase, 0).ok()?;
        let key = (event.programme.clone(), event.connection.clone(), reference);
        (is_capture && is_unknown).then_some(key)
    };
    let keys: BTreeSet<_> = tasks.iter().filter_map(first_request).collect();
    let decisions = tx.recorded_decisions(&keys.into_iter().collect::<Vec<_>>()).await?;
    let declined: BTreeSet<_> = decisions
        .into_iter()
        .filter(|decision| matches!(decision.outcome, DecisionOutcome::Declined(_)))
        .map(|decision| (decision.programme, decision.connection, decision.reference))
        .collect();
    for task in tasks {
        task.message.is_declined = first_request(task).is_some_and(|key| declined.contains(&key));
    }
    Ok(())
}

fn wanted(tasks: &[BookingTask<'_>]) -> Vec<BookRequest> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for task in tasks {
        for (budget, purchase) in task.purchases() {
            let book_key = (task.message.event.programme.clone(), budget.clone());
            wanted.entry(book_key).or_default().insert(purchase);
        }
    }
    let book = |((programme, budget), purchases)| BookRequest { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}

async fn load_counters(
    tx: &mut Tx,
    tasks: &[BookingTask<'_>],
    ledger: &mut OpenLedger<'_>,
) -> Result<(), CardPathError> {
    let mut keys = Vec::new();
    for task in tasks {
        let programme = &task.message.event.programme;
        for (budget, purchase) in task.purchases() {
            let context = ledger.context(programme, budget)?;
            let Some(agreement) = context.book.agreement() else { continue };
            let known = context.book.purchases.get(&purchase).map(|known| known.counted.clone());
            // A presentment that may become a purchase of its own is not in the book yet.
            let own = || {
                let about = task.message.about.filter(|_| task.relink_options.is_some())?;
                Some(task.message.counted(about, context.book, context.programme))
            };
            let Some(counted) = known.or_else(own) else { continue };
            let counters = counted.counters(agreement).into_iter();
            keys.extend(counters.map(|key| (programme.clone(), budget.clone(), key)));
        }
    }
    Ok(tx.load_counters(&keys, ledger.books).await?)
}
