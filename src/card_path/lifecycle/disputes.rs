//! Finds the purchases of disputes, because a dispute event names only a presentment. A dispute of
//! an unknown presentment is parked and retried.

use std::collections::{BTreeMap, BTreeSet};

use super::purchase_message::PurchaseMessage;
use super::{BookingTask, book_tasks, house_note, reference_key};
use jiff::Timestamp;

use crate::card_path::error::CardPathError;
use crate::domain::id::{BudgetId, ConnectionId, IssuerReference, ProgrammeId, PurchaseReference};
use crate::domain::purchase::dispute::DisputeReport;
use crate::domain::purchase::presentment::EventBody;
use crate::ledger::record::event::{EventState, ReceivedEvent};
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{ParkedEvent, PendingWrites, StoreError, Tx};

/// A presentment by the issuer's identifier.
type PresentmentKey = (ProgrammeId, ConnectionId, IssuerReference);

/// The disputes among some events.
#[derive(Debug)]
pub(super) struct Disputes<'a> {
    /// Disputes whose purchase is known.
    pub(super) found: Vec<BookingTask<'a>>,
    /// Disputes whose presentment is unknown so far.
    pub(super) unknown: Vec<&'a ReceivedEvent>,
}

/// Finds the purchases of the disputes among `events`: in the store, or among `tasks`, which are
/// booked in the same transaction.
pub(super) async fn find<'a>(
    tx: &mut Tx,
    events: &[&'a ReceivedEvent],
    tasks: &[BookingTask<'_>],
    ids: &NewIds,
) -> Result<Disputes<'a>, StoreError> {
    let mut disputes = Disputes { found: Vec::new(), unknown: Vec::new() };
    let presentments: BTreeSet<_> =
        events.iter().filter_map(|event| disputed_presentment(event)).collect();
    if presentments.is_empty() {
        return Ok(disputes);
    }
    let stored =
        tx.purchases_of_presentments(&presentments.into_iter().collect::<Vec<_>>()).await?;
    let mut purchases: BTreeMap<_, _> = tasks.iter().filter_map(presentment_in_batch).collect();
    purchases.extend(stored);
    for event in events {
        let Some(presentment) = disputed_presentment(event) else { continue };
        match purchases.get(&presentment) {
            Some((budget, purchase)) => {
                let message = PurchaseMessage::of_dispute(event, purchase.clone(), ids);
                disputes.found.push(BookingTask::new(message, budget.clone()));
            }
            None => disputes.unknown.push(event),
        }
    }
    Ok(disputes)
}

/// Stores disputes of unknown presentments as parked, each with an exception.
pub(super) fn park(events: &[&ReceivedEvent], ids: &NewIds, pending_writes: &mut PendingWrites) {
    for event in events {
        let Some(report) = report(event) else { continue };
        let detail = format!("dispute {} waits for claim {}", report.reference, report.presentment);
        let note = house_note(event, ids, "dispute_of_unknown_claim", detail);
        pending_writes.events.push(event.row(EventState::Parked));
        pending_writes.parked.push(ParkedEvent {
            programme_id: event.programme.clone(),
            connection_id: event.connection.clone(),
            reference: event.event.reference.clone(),
            claim: report.presentment.clone(),
            exception_id: note.exception_id,
        });
        pending_writes.new_exceptions.push(note);
    }
}

/// Books those of `parked` whose presentment has arrived meanwhile. Returns how many.
///
/// An event whose text was erased cannot be decoded again: it stays parked, for a person to review.
///
/// # Errors
///
/// Errors of the database and the ledger.
pub async fn book_parked(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    now: Timestamp,
    parked: &[ParkedEvent],
) -> Result<usize, CardPathError> {
    let texts = tx.parked_event_bodies(parked).await?;
    let mut waiting = Vec::new();
    for (parked, text, received_at) in texts {
        let Some(live) = directory.connection(&parked.connection_id) else { continue };
        let Ok(event) = live.issuer.decode_event(text.as_bytes()) else { continue };
        let event = ReceivedEvent {
            programme: parked.programme_id.clone(),
            connection: parked.connection_id.clone(),
            event,
            text,
            received_at,
        };
        waiting.push((parked, event));
    }
    let events: Vec<_> = waiting.iter().map(|(_, event)| event).collect();
    let mut found = find(tx, &events, &[], ids).await?.found;
    for task in &mut found {
        task.message.state = EventState::Parked;
        task.message.booked_at = now;
    }
    let done: BTreeSet<_> = found.iter().map(|task| reference_key(task.message.event)).collect();
    let is_done = |(_, event): &&(ParkedEvent, ReceivedEvent)| done.contains(&reference_key(event));
    let unparked: Vec<_> =
        waiting.iter().filter(is_done).map(|(parked, _)| parked.clone()).collect();
    let pending_writes = PendingWrites { unparked, ..PendingWrites::default() };
    book_tasks(tx, directory, ids, &mut found, pending_writes).await?;
    Ok(found.len())
}

fn report(event: &ReceivedEvent) -> Option<&DisputeReport> {
    match &event.event.body {
        EventBody::Dispute(report) => Some(report),
        EventBody::Snapshot(_)
        | EventBody::HoldChange(_)
        | EventBody::Presentment(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => None,
    }
}

fn disputed_presentment(event: &ReceivedEvent) -> Option<PresentmentKey> {
    let report = report(event)?;
    Some((event.programme.clone(), event.connection.clone(), report.presentment.clone()))
}

/// The presentment that a task books, with its budget and purchase. `None` if it does not fit the
/// purchase that it names, because where it will be booked is not known yet: its dispute is parked.
fn presentment_in_batch(
    task: &BookingTask<'_>,
) -> Option<(PresentmentKey, (BudgetId, PurchaseReference))> {
    if task.relink_options.is_some() {
        return None;
    }
    let event = task.message.event;
    let reference = task.message.presentment()?.reference.clone();
    let key = (event.programme.clone(), event.connection.clone(), reference);
    Some((key, (task.budget.clone(), task.message.purchase.clone())))
}
