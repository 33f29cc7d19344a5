//! How a version of an agreement starts: one way, whoever agreed it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::domain::agreement::{Agreement, Scope};
use crate::domain::history::agreed_after;
use crate::domain::id::PostingId;
use crate::domain::limit::{Committed, CounterKey, Limit};
use crate::domain::merchant::MerchantRules;
use crate::domain::money::MoneyError;
use crate::domain::period::{Moment, Period};
use crate::domain::proposal::Kind;
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
/// that vouches for them, what is agreed with the worker, and the counters that it keeps. The book
/// itself is written by the caller. `kind` is none when it comes from the programme's file.
pub async fn start_version(
    tx: &mut Tx,
    book: &mut Book,
    agreement: &Agreement,
    kind: Option<Kind>,
    rules: &MerchantRules,
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
    keep_agreed(tx, book, agreement, kind, rules).await?;
    let counters = counters(tx, book, agreement, moment.date).await?;
    tx.replace_counters(&programme, &book.budget, &counters).await?;
    Ok(())
}

/// What is agreed with the worker is kept apart from the first version that the person starts alone:
/// otherwise every change would have to read all of them.
async fn keep_agreed(
    tx: &mut Tx,
    book: &Book,
    agreement: &Agreement,
    kind: Option<Kind>,
    rules: &MerchantRules,
) -> Result<(), StoreError> {
    let Some(before) = book.agreement().map(Agreement::list) else { return Ok(()) };
    let known = tx.agreed_list(&book.programme, &book.budget, book.currency).await?;
    if known.is_none() && kind != Some(Kind::Own) {
        return Ok(());
    }
    let agreed = known.unwrap_or_else(|| before.clone());
    let agreed = agreed_after(agreed, &before, &agreement.list(), kind, rules);
    tx.put_agreed_list(&book.programme, &book.budget, &agreed).await
}

/// The counters that `agreement` keeps. Those that the version in force keeps too go on as they are;
/// new ones are filled from what was bought since their period began, and from nothing older.
async fn counters(
    tx: &mut Tx,
    book: &Book,
    agreement: &Agreement,
    today: Date,
) -> Result<BTreeMap<CounterKey, Committed>, StartError> {
    // A question that came just before midnight may still be on its way.
    let yesterday = today.yesterday().unwrap_or(today);
    let is_current = |key: &CounterKey| key.first_day >= key.period.first_day(yesterday);
    let (kept, known) = (kept_by(agreement), book.agreement().map(kept_by).unwrap_or_default());
    let goes_on = |key: &CounterKey| {
        let kind = (key.scope.clone(), key.period);
        kept.contains(&kind) && known.contains(&kind) && is_current(key)
    };
    let mut counters = tx.counters_of(&book.programme, &book.budget, book.currency).await?;
    counters.retain(|key, _| goes_on(key));
    let new: BTreeSet<_> = kept.difference(&known).cloned().collect();
    let first_day = new.iter().map(|(_, period)| period.first_day(yesterday)).min();
    let Some(first_day) = first_day else { return Ok(counters) };
    let since = surely_before(first_day);
    for purchase in tx.purchases_since(&book.programme, &book.budget, since).await? {
        let is_new = |key: &CounterKey| new.contains(&(key.scope.clone(), key.period));
        count(&purchase, agreement, |key| is_new(key) && is_current(key), &mut counters)?;
    }
    Ok(counters)
}

/// Which counters an agreement keeps, whatever the day.
fn kept_by(agreement: &Agreement) -> BTreeSet<(Scope, Period)> {
    let mut kept = BTreeSet::new();
    for term in &agreement.terms {
        let periods = term.limits().iter().filter_map(Limit::period);
        kept.extend(periods.map(|period| (term.scope().clone(), period)));
    }
    kept
}

fn count(
    purchase: &Purchase,
    agreement: &Agreement,
    is_wanted: impl Fn(&CounterKey) -> bool,
    counters: &mut BTreeMap<CounterKey, Committed>,
) -> Result<(), MoneyError> {
    if !purchase.committed()?.is_positive() {
        return Ok(());
    }
    let amount = purchase.counted_amount()?;
    for key in purchase.counted.counters(agreement).into_iter().filter(is_wanted) {
        let part = purchase.counted.amount_in(&key.scope, amount)?;
        let used = counters.entry(key).or_insert(Committed::nothing(amount));
        used.amount = used.amount.checked_add(part)?;
        used.purchases = used.purchases.saturating_add(1);
    }
    Ok(())
}

/// A moment before `day` began, wherever the programme is, and though two gateways' clocks differ.
fn surely_before(day: Date) -> Timestamp {
    let day = day.checked_sub(2.days()).unwrap_or(Date::MIN);
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
}
