//! Starts a version of an agreement. Every kind of change uses [`start_version`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::domain::agreement::history::agreed_after;
use crate::domain::agreement::proposal::ProposalKind;
use crate::domain::agreement::{Agreement, Scope};
use crate::domain::id::PostingId;
use crate::domain::money::MoneyError;
use crate::domain::money::limit::{CounterKey, Limit, LimitUsage};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::hold;
use crate::domain::shop::merchant::MerchantRules;
use crate::domain::time::period::{Moment, Period, earliest_day};
use crate::ledger::book::{Book, LedgerError, PostingCause};
use crate::ledger::posting::PostingKind;
use crate::ledger::record::agreement::agreement_rows;
use crate::platform::ids::NewIds;
use crate::store::{StoreError, Tx};

/// Why a version did not start. The caller must roll back its transaction.
#[derive(Debug, thiserror::Error)]
pub enum StartVersionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<MoneyError> for StartVersionError {
    fn from(error: MoneyError) -> Self {
        Self::Ledger(error.into())
    }
}

/// Starts `agreement` at `moment`, as the next version of the locked `book`. Writes its rows, the
/// posting that covers them, the list agreed with the worker, and the counters that it keeps. The
/// caller writes the book itself. `kind` is `None` for a change by the programme's file.
pub async fn start_version(
    tx: &mut Tx,
    book: &mut Book,
    agreement: &Agreement,
    kind: Option<ProposalKind>,
    rules: &MerchantRules,
    ids: &NewIds,
    moment: Moment,
) -> Result<(), StartVersionError> {
    let programme = book.programme.clone();
    let (row, terms) = agreement_rows(&programme, agreement, moment.at);
    tx.start_agreement(&row, &terms).await?;
    let cause = PostingCause {
        posting: PostingId::new(ids.next(moment.at)),
        kind: PostingKind::Agreement,
        subject: agreement.version.to_string(),
        record: row.digest(&terms),
        moment,
    };
    book.post(cause, Vec::new())?;
    keep_agreed(tx, book, agreement, kind, rules).await?;
    let counters = counters(tx, book, agreement, moment.date).await?;
    tx.replace_counters(&programme, &book.budget, &counters).await?;
    Ok(())
}

/// Keeps the list agreed with the worker in a row of its own, once the person starts a version
/// alone, because otherwise every change would have to read all versions.
async fn keep_agreed(
    tx: &mut Tx,
    book: &Book,
    agreement: &Agreement,
    kind: Option<ProposalKind>,
    rules: &MerchantRules,
) -> Result<(), StoreError> {
    let Some(before) = book.agreement().map(Agreement::list) else { return Ok(()) };
    let known = tx.agreed_list(&book.programme, &book.budget, book.currency).await?;
    if known.is_none() && kind != Some(ProposalKind::Own) {
        return Ok(());
    }
    let agreed = known.unwrap_or_else(|| before.clone());
    let agreed = agreed_after(agreed, &before, &agreement.list(), kind, rules);
    tx.put_agreed_list(&book.programme, &book.budget, &agreed).await
}

/// The counters that `agreement` keeps. A counter that the version in force keeps too continues; a
/// new one is computed from the purchases since its period began.
///
/// Includes every day on which a purchase may still count, and the counters of every open purchase,
/// because its later increments are checked against them however long ago it began.
async fn counters(
    tx: &mut Tx,
    book: &Book,
    agreement: &Agreement,
    today: Date,
) -> Result<BTreeMap<CounterKey, LimitUsage>, StartVersionError> {
    let earliest = earliest_day(today);
    let recent = purchases_since(tx, book, oldest_open_activity(today)).await?;
    let open = recent.iter().filter(|purchase| purchase.expires_at.is_some());
    let touched: BTreeSet<_> =
        open.flat_map(|purchase| purchase.counted.counters(agreement)).collect();
    let is_wanted =
        |key: &CounterKey| key.first_day >= key.period.first_day(earliest) || touched.contains(key);
    let (kept, known) = (kept_by(agreement), book.agreement().map(kept_by).unwrap_or_default());
    let goes_on = |key: &CounterKey| {
        let kind = (key.scope.clone(), key.period);
        kept.contains(&kind) && known.contains(&kind) && is_wanted(key)
    };
    let mut counters = tx.counters_of(&book.programme, &book.budget, book.currency).await?;
    counters.retain(|key, _| goes_on(key));
    let new: BTreeSet<_> = kept.difference(&known).cloned().collect();
    let missing: BTreeSet<_> =
        touched.iter().filter(|key| !counters.contains_key(key)).cloned().collect();
    let first_days = new.iter().map(|(_, period)| period.first_day(earliest));
    let first_day = first_days.chain(missing.iter().map(|key| key.first_day)).min();
    let Some(first_day) = first_day else { return Ok(counters) };
    let is_new = |key: &CounterKey| {
        missing.contains(key) || (new.contains(&(key.scope.clone(), key.period)) && is_wanted(key))
    };
    let purchases = if first_day < oldest_open_activity(today) {
        purchases_since(tx, book, first_day).await?
    } else {
        recent
    };
    for purchase in &purchases {
        count(purchase, agreement, is_new, &mut counters)?;
    }
    Ok(counters)
}

/// The purchases made on `day` or later, or with activity since then.
async fn purchases_since(tx: &mut Tx, book: &Book, day: Date) -> Result<Vec<Purchase>, StoreError> {
    tx.purchases_since(&book.programme, &book.budget, surely_before(day)).await
}

/// The earliest day on which a purchase open on `today` can have had its last activity.
fn oldest_open_activity(today: Date) -> Date {
    let longest =
        hold::HOLD_LIFETIMES.iter().map(SignedDuration::as_hours).max().unwrap_or_default();
    today.checked_sub(SignedDuration::from_hours(longest)).unwrap_or(Date::MIN)
}

/// The scopes and periods for which an agreement keeps counters.
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
    counters: &mut BTreeMap<CounterKey, LimitUsage>,
) -> Result<(), MoneyError> {
    if !purchase.committed()?.is_positive() {
        return Ok(());
    }
    let amount = purchase.counted_amount()?;
    for key in purchase.counted.counters(agreement).into_iter().filter(is_wanted) {
        let part = purchase.counted.amount_counted_in(&key.scope, amount)?;
        let used = counters.entry(key).or_insert(LimitUsage::nothing(amount));
        used.amount = used.amount.checked_add(part)?;
        used.purchases = used.purchases.saturating_add(1);
    }
    Ok(())
}

/// An instant before `day` began in any time zone, with a margin for different clocks.
fn surely_before(day: Date) -> Timestamp {
    let day = day.checked_sub(2.days()).unwrap_or(Date::MIN);
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
}
