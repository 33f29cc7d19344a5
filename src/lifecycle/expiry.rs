//! What is held and nobody speaks of any more: our own clock gives it back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::LifecycleError;
use super::tell::tell;
use crate::domain::id::{ExceptionId, PostingId};
use crate::domain::period::Moment;
use crate::domain::purchase::Purchase;
use crate::ids::NewIds;
use crate::ledger::book::Cause;
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::settled;
use crate::programme::directory::Directory;
use crate::record::row::Digest;
use crate::store::{Additions, BookWanted, Note, OpenPurchase, Tx};

/// Gives back what `due` purchases hold, as far as their time has run out at `now`; returns how
/// many there were.
///
/// Whether it has is looked at again under the budget's lock: a capture that came meanwhile wins,
/// and running it twice, or in two places at once, gives nothing back twice.
pub async fn expire(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    now: Timestamp,
    due: &[OpenPurchase],
) -> Result<usize, LifecycleError> {
    let mut books = tx.open_books(&wanted(due), directory.agreements()).await?;
    let programmes = directory.versions(&books.versions).await?;
    let mut expired = Vec::new();
    let mut counters = Vec::new();
    for open in due {
        let Some(book) = books.get_mut(&open.programme, &open.budget).map(|open| &open.book) else {
            continue;
        };
        let Some(purchase) = book.purchases.get(&open.key).filter(|p| p.is_expired(now)) else {
            continue;
        };
        expired.push(open);
        if let Some(agreement) = book.agreement() {
            let touched = purchase.counted.counters(agreement).into_iter();
            counters.extend(touched.map(|c| (open.programme.clone(), open.budget.clone(), c)));
        }
    }
    tx.load_counters(&counters, &mut books).await?;
    let mut additions = Additions::default();
    for open in &expired {
        let Some(programme) = programmes.get(&open.programme) else { continue };
        let Some(opened) = books.get_mut(&open.programme, &open.budget) else { continue };
        let subject = format!("{}/{}", open.key.0, open.key.1);
        let purchase = opened.book.purchases.get(&open.key);
        if purchase.is_some_and(Purchase::is_unconfirmed) {
            additions.notes.push(never_confirmed(open, &subject, ids, now));
        }
        let cause = Cause {
            posting: PostingId::new(ids.next(now)),
            kind: PostingKind::Expiry,
            // No message says it: the posting vouches for its own words.
            record: Digest::of_text(&subject),
            subject,
            moment: Moment::new(now, programme.zone()),
        };
        let before = opened.book.purchases.get(&open.key).cloned();
        opened.book.change(&open.key, cause, |purchase, pots| {
            purchase.expire();
            settled(purchase, pots, &[])
        })?;
        let after = opened.book.purchases.get(&open.key);
        if let Some((before, after)) = before.as_ref().zip(after) {
            tell(&opened.book, programme, ids, (before, after), (now, &[]), &mut additions)?;
        }
    }
    tx.close_books(&books.all(), &additions).await?;
    Ok(expired.len())
}

/// We said yes, and the issuer never said what became of it.
fn never_confirmed(open: &OpenPurchase, subject: &str, ids: &NewIds, now: Timestamp) -> Note {
    Note {
        id: ExceptionId::new(ids.next(now)),
        programme: open.programme.clone(),
        budget: open.budget.clone(),
        kind: "never_confirmed",
        subject: subject.to_owned(),
        detail: "its time ran out, and what it held was given back".to_owned(),
        noted_at: now,
    }
}

fn wanted(due: &[OpenPurchase]) -> Vec<BookWanted> {
    let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for open in due {
        let place = (open.programme.clone(), open.budget.clone());
        wanted.entry(place).or_default().insert(open.key.clone());
    }
    let book = |((programme, budget), purchases)| BookWanted { programme, budget, purchases };
    wanted.into_iter().map(book).collect()
}
