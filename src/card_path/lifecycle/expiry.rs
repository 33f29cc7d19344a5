//! Expiry by our own clock: releases holds that no event has touched for too long.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::change::{ChangeCause, PurchaseChange};
use super::context::LifecycleContext;
use super::exceptions::{CAPTURE_NEVER_CAME, NEVER_CONFIRMED};
use crate::card_path::error::CardPathError;
use crate::domain::id::PostingId;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::finding::about;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::time::period::Moment;
use crate::ledger::book::{PostingCause, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::hold_transfers;
use crate::ledger::record::row::Digest;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{BookRequest, OpenPurchase, PendingWrites, Tx};

/// Releases the holds of those `due` purchases that have expired at `now`. Returns how many
/// expired.
///
/// The expiry is checked again under the budget's lock, so that a capture that came meanwhile wins,
/// and so that repeated or concurrent runs release nothing twice.
///
/// # Errors
///
/// Errors of the database and the ledger.
pub async fn expire(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    now: Timestamp,
    due: &[OpenPurchase],
) -> Result<usize, CardPathError> {
    let mut books = tx.open_books(&wanted(due), directory.agreements()).await?;
    let programmes = directory.settings_of(&books).await?;
    let mut expired = Vec::new();
    let mut counters = Vec::new();
    for open in due {
        let OpenPurchase { programme_id, budget_id, .. } = open;
        let Some(book) = books.get(programme_id, budget_id).map(|opened| &opened.book) else {
            continue;
        };
        let Some(purchase) = book.purchases.get(&open.key()).filter(|p| p.is_expired(now)) else {
            continue;
        };
        expired.push(open);
        if let Some(agreement) = book.agreement() {
            let touched = purchase.counted.counters(agreement).into_iter();
            counters.extend(touched.map(|c| (programme_id.clone(), budget_id.clone(), c)));
        }
    }
    tx.load_counters(&counters, &mut books).await?;
    let mut pending_writes = PendingWrites::default();
    for open in &expired {
        let Some(opened) = books.get_mut(&open.programme_id, &open.budget_id) else { continue };
        let Some(programme) = programmes.of(opened) else { continue };
        let mut context = LifecycleContext { book: &mut opened.book, programme, ids };
        context.expire(&open.key(), now, &mut pending_writes)?;
    }
    tx.close_books(&books.all(), &pending_writes).await?;
    Ok(expired.len())
}

impl LifecycleContext<'_> {
    fn expire(
        &mut self,
        key: &PurchaseKey,
        now: Timestamp,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let Some(before) = self.book.purchases.get(key).cloned() else { return Ok(()) };
        let subject = about(&before);
        let cause = PostingCause {
            posting: PostingId::new(self.ids.next(now)),
            kind: PostingKind::Expiry,
            // No event causes an expiry, so the record is the digest of the subject itself.
            record: Digest::of_text(&subject),
            subject,
            moment: Moment::new(now, self.programme.zone()),
        };
        self.book.change(key, cause, |purchase, pots| {
            purchase.expire();
            hold_transfers(purchase, pots, &[])
        })?;
        let Some(after) = self.book.purchases.get(key) else { return Ok(()) };
        let (before, cause) = (&before, ChangeCause::Expiry);
        let change = PurchaseChange { before, after, cause, at: now };
        if let Some((kind, detail)) = expiry_finding(before) {
            pending_writes.add_exception(self.note(&change, kind, about(after), detail));
        }
        self.note_findings(&change, pending_writes)?;
        self.notify(&change, &[], pending_writes)?;
        Ok(())
    }
}

/// The exception to note when a purchase expires; `None` if nothing is unusual.
fn expiry_finding(purchase: &Purchase) -> Option<(&'static str, String)> {
    if purchase.is_unconfirmed() {
        // We approved, and the issuer never reported the outcome.
        let detail = "its time ran out, and what it held was given back";
        return Some((NEVER_CONFIRMED, detail.to_owned()));
    }
    let status = purchase.snapshot.as_ref().map(|last| last.status);
    if let Some(AuthorisationStatus::Closed { claimed }) = status {
        let captured = purchase.captured;
        let detail = format!("closed with captures of {claimed}, of which {captured} came");
        return Some((CAPTURE_NEVER_CAME, detail));
    }
    None
}

fn wanted(due: &[OpenPurchase]) -> Vec<BookRequest> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for open in due {
        let book_key = (open.programme_id.clone(), open.budget_id.clone());
        wanted.entry(book_key).or_default().insert(open.key());
    }
    let book = |((programme, budget), purchases)| BookRequest { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}
