//! How a version of an agreement starts: one way, whoever agreed it.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::agreement::Agreement;
use crate::domain::id::PostingId;
use crate::domain::limit::{Committed, CounterKey};
use crate::domain::money::MoneyError;
use crate::domain::period::Moment;
use crate::domain::purchase::Purchase;
use crate::ids::NewIds;
use crate::ledger::book::{Book, Cause, LedgerError};
use crate::ledger::posting::PostingKind;
use crate::record::agreement::{agreement_digest, agreement_rows};
use crate::store::{StoreError, Tx};

/// Why a version did not start. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<MoneyError> for StartError {
    fn from(error: MoneyError) -> Self {
        Self::Ledger(error.into())
    }
}

/// Starts `agreement` at `moment`, as the next version of the locked `book`: its rows, the posting
/// that vouches for them, and the counters that it keeps. The book itself is written by the caller.
pub async fn start_version(
    tx: &mut Tx,
    book: &mut Book,
    agreement: &Agreement,
    ids: &NewIds,
    moment: Moment,
) -> Result<(), StartError> {
    let programme = book.programme.clone();
    tx.start_agreement(&programme, agreement, moment.at).await?;
    let (row, terms) = agreement_rows(&programme, agreement, moment.at);
    let cause = Cause {
        posting: PostingId::new(ids.next(moment.at)),
        kind: PostingKind::Agreement,
        subject: agreement.version.to_string(),
        record: agreement_digest(&row, &terms),
        moment,
    };
    book.post(cause, Vec::new())?;
    let purchases = tx.purchases_of(&programme, &book.budget).await?;
    let counters = counters(agreement, &purchases, moment.date)?;
    tx.replace_counters(&programme, &book.budget, &counters).await?;
    Ok(())
}

/// The counters that `agreement` keeps, filled from what was bought before it started.
fn counters(
    agreement: &Agreement,
    purchases: &[Purchase],
    today: Date,
) -> Result<BTreeMap<CounterKey, Committed>, MoneyError> {
    let mut counters: BTreeMap<CounterKey, Committed> = BTreeMap::new();
    for purchase in purchases {
        let amount = purchase.committed()?;
        if !amount.is_positive() {
            continue;
        }
        for key in purchase.counted.counters(agreement) {
            // A question that came just before midnight may still be on its way.
            let yesterday = today.yesterday().unwrap_or(today);
            if key.first_day < key.period.first_day(yesterday) {
                continue;
            }
            let part = purchase.counted.amount_in(&key.scope, amount)?;
            let used = counters.entry(key).or_insert(Committed::nothing(amount));
            used.amount = used.amount.checked_add(part)?;
            used.purchases = used.purchases.saturating_add(1);
        }
    }
    Ok(counters)
}
