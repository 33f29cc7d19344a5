//! What is held and nobody speaks of any more: our own clock gives it back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::LifecycleError;
use crate::domain::id::PostingId;
use crate::domain::period::Moment;
use crate::ids::NewIds;
use crate::ledger::book::Cause;
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::settled;
use crate::programme::directory::Directory;
use crate::record::row::Digest;
use crate::store::{Additions, BookWanted, OpenPurchase, Tx};

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
    let programmes = directory.versions(books.versions()).await?;
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
    for open in &expired {
        let Some(programme) = programmes.get(&open.programme) else { continue };
        let Some(opened) = books.get_mut(&open.programme, &open.budget) else { continue };
        let subject = format!("{}/{}", open.key.0, open.key.1);
        let cause = Cause {
            posting: PostingId::new(ids.next(now)),
            kind: PostingKind::Expiry,
            // No message says it: the posting vouches for its own words.
            record: Digest::of_text(&subject),
            subject,
            moment: Moment::new(now, programme.zone()),
        };
        opened.book.change(&open.key, cause, |purchase, pots| {
            purchase.expire(now);
            settled(purchase, pots, &[])
        })?;
    }
    tx.close_books(&books.all(), &Additions::default()).await?;
    Ok(expired.len())
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
