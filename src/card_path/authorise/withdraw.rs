//! Withdrawal of approvals that the issuer did not receive in time and so treated as declined.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::responses::{authorisation_key, decision_key};
use super::{ReceivedAuthorisation, budgets, reference_text, wanted};
use crate::card_path::error::CardPathError;
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{MessageId, PostingId};
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::finding::decided_without_us;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::{IncrementState, Purchase};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, PostingCause};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::hold_transfers;
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::messages::words::{PurchaseContext, Words};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{NewMessage, PendingWrites, ResolvedException, Tx, WithdrawalRow, exception_id};

/// Releases what the approvals of `undelivered` hold, and records the withdrawals beside the
/// unchanged decisions. Repeats of the requests are then declined as our fault.
///
/// Requests that were declined, never recorded or withdrawn before are skipped. The budgets are
/// locked before the decisions are read, because an in-doubt commit has ended once its lock is
/// free.
///
/// # Errors
///
/// Errors of the database and the ledger.
pub async fn withdraw(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    now: Timestamp,
    undelivered: &[ReceivedAuthorisation],
) -> Result<(), CardPathError> {
    let keys: BTreeSet<_> =
        undelivered.iter().map(|received| authorisation_key(&received.request)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let budgets = budgets(tx, directory, undelivered).await?;
    let mut books = tx.open_books(&wanted(undelivered, &budgets), directory.agreements()).await?;
    let decisions = tx.recorded_decisions(&keys).await?;
    let withdrawn = tx.withdrawn(&keys).await?;
    let programmes = directory.settings_of(&books).await?;
    let mut counters = Vec::new();
    for decision in &decisions {
        let Some(open) = books.get_mut(&decision.programme, &decision.budget) else { continue };
        let key = (decision.connection.clone(), decision.purchase.clone());
        let purchase = open.book.purchases.get(&key);
        let Some((purchase, owner)) = purchase.zip(open.book.owner.as_ref()) else { continue };
        for counter in purchase.counted.counters(&owner.agreement) {
            counters.push((decision.programme.clone(), decision.budget.clone(), counter));
        }
    }
    tx.load_counters(&counters, &mut books).await?;
    let mut pending_writes = PendingWrites::default();
    for decision in &decisions {
        let reference_key = (
            decision.programme.clone(),
            decision.connection.clone(),
            decision.reference.to_string(),
        );
        // An undelivered repeat must not withdraw the approval that its first delivery received.
        let is_its_own = undelivered.iter().any(|received| {
            authorisation_key(&received.request) == decision_key(decision)
                && received.arrived_at == decision.decided_at
        });
        if withdrawn.contains(&reference_key) || !is_hold(&decision.outcome) || !is_its_own {
            continue;
        }
        let Some(open) = books.get_mut(&decision.programme, &decision.budget) else { continue };
        let Some(programme) = programmes.of(open) else { continue };
        let moment = Moment::new(now, programme.zone());
        let row = WithdrawalRow {
            programme_id: decision.programme.clone(),
            connection_id: decision.connection.clone(),
            reference: decision.reference.clone(),
            budget_id: decision.budget.clone(),
            withdrawn_at: now,
        };
        let row = row.into_row();
        let cause = PostingCause {
            posting: PostingId::new(ids.next(now)),
            kind: PostingKind::Withdrawal,
            subject: reference_text(&decision.connection, &decision.reference),
            record: Digest::of_row(WithdrawalRow::TABLE, &row),
            moment,
        };
        let sequence = decision.request().map(|request| request.sequence);
        let key = (decision.connection.clone(), decision.purchase.clone());
        // No message if a snapshot reported the outcome: the person was told then, or it was paid.
        let known = open.book.purchases.get(&key);
        let is_reported = known.is_some_and(|purchase| is_reported(purchase, sequence));
        if let (Some(purchase), Some(sequence)) = (known.filter(|p| is_declined(p)), sequence) {
            pending_writes
                .resolved_exceptions
                .push(settled_exception(decision, purchase, sequence, now));
        }
        open.book.change(&key, cause, |purchase, pots| {
            mark_withdrawn(purchase, sequence);
            hold_transfers(purchase, pots, &[])
        })?;
        if !is_reported && open.book.owner.is_some() {
            pending_writes.messages.push(withdrawal_message(
                &open.book,
                programme,
                decision,
                (ids, now),
            ));
        }
        pending_writes.withdrawals.push(row);
    }
    tx.close_books(&books.all(), &pending_writes).await?;
    Ok(())
}

/// Whether a snapshot has reported the outcome of the request with `sequence`.
fn is_reported(purchase: &Purchase, sequence: Option<u32>) -> bool {
    let knows = |answers: u32| sequence.is_some_and(|sequence| answers > sequence);
    let is_answered = purchase.snapshot.as_ref().is_some_and(|last| knows(last.position.answers));
    is_answered || is_declined(purchase)
}

fn is_declined(purchase: &Purchase) -> bool {
    purchase.snapshot.as_ref().is_some_and(|last| last.status == AuthorisationStatus::Declined)
}

/// Resolves the exception about an issuer outcome that differed from ours, because after the
/// withdrawal both are declines.
fn settled_exception(
    decision: &RecordedDecision,
    purchase: &Purchase,
    sequence: u32,
    at: Timestamp,
) -> ResolvedException {
    let (kind, about) = decided_without_us(purchase, sequence);
    ResolvedException {
        programme_id: decision.programme.clone(),
        exception_id: exception_id(&decision.programme, kind, &about),
        settled_at: at,
        settled_by: reference_text(&decision.connection, &decision.reference),
    }
}

/// The message to the person: the purchase was not paid, and that is our fault.
fn withdrawal_message(
    book: &Book,
    programme: &Programme,
    decision: &RecordedDecision,
    (ids, now): (&NewIds, Timestamp),
) -> NewMessage {
    let pot_names = BTreeMap::new();
    let purchase_context = PurchaseContext::bare(decision.asked, programme.zone(), &pot_names);
    NewMessage {
        id: MessageId::new(ids.next(now)),
        programme: book.programme.clone(),
        budget: book.budget.clone(),
        kind: "taken_back",
        subject: decision.id.to_string(),
        body: Words::english().text_message(&DeclineReason::OurFault, &purchase_context),
        created_at: now,
        recipient: Recipient::Person,
        facts: MessageParameters::default()
            .text("decision", decision.id.to_string())
            .money("amount", decision.asked)
            .reason(&DeclineReason::OurFault)
            .to_text(),
        thread: None,
        due_at: None,
    }
}

const fn is_hold(outcome: &DecisionOutcome) -> bool {
    matches!(outcome, DecisionOutcome::Approved(amount) if amount.is_positive())
}

fn mark_withdrawn(purchase: &mut Purchase, sequence: Option<u32>) {
    for increment in &mut purchase.increments {
        if Some(increment.sequence) == sequence {
            increment.state = IncrementState::Withdrawn;
        }
    }
}
