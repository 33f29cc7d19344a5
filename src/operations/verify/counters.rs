//! Counters, recomputed from the purchases that count in them.

use std::collections::{BTreeMap, BTreeSet};

use super::balances::StoredPurchase;
use super::book::{BudgetVerifier, ParsedLink};
use crate::domain::agreement::{Agreement, Scope, Term};
use crate::domain::money::MoneyError;
use crate::domain::money::limit::{CounterKey, Limit};
use crate::domain::time::period::Period;
use crate::ledger::account::Account;
use crate::ledger::posting::{PostingKind, Transfer};
use crate::ledger::record::agreement::{AgreementRow, TermRow, read_agreement};
use crate::ledger::record::purchase::PurchaseRow;
use crate::ledger::record::row::{CorruptRow, RowReader, Value};
use crate::ledger::record::table::Record as _;
use crate::store::{BudgetRow, CounterRow};

/// An amount in minor units, and a number of purchases.
type CounterTotals = (i128, i128);

impl<'a> BudgetVerifier<'a> {
    /// Compares every counter with the purchases that count in it, and reports missing counters.
    pub(super) fn check_counters(
        &mut self,
        links: &[ParsedLink<'a>],
        purchases: &[StoredPurchase<'a>],
    ) {
        let Some(budget) = self.ledger_rows.of(BudgetRow::TABLE).first() else { return };
        let agreement = match self.agreement_in_force(budget) {
            Ok(agreement) => agreement,
            Err(corrupt) => return self.report.add_corrupt_row(&corrupt),
        };
        let kept = agreement.as_ref().map(kept_by).unwrap_or_default();
        let mut sums = self.sums(&kept, purchases);
        for row in self.ledger_rows.of(CounterRow::TABLE) {
            let key = match read_key(row) {
                Ok(key) => key,
                Err(corrupt) => {
                    self.report.add_corrupt_row(&corrupt);
                    continue;
                }
            };
            let is_first = key.period.first_day(key.first_day) == key.first_day;
            if !is_first || !kept.contains(&(key.scope.clone(), key.period)) {
                self.add_row_finding(CounterRow::TABLE, row, "no term in force counts in it");
                continue;
            }
            let (amount, count) = sums.remove(&key).unwrap_or_default();
            let stored = (
                CounterRow::TABLE.number(row, "amount_minor"),
                CounterRow::TABLE.number(row, "purchases"),
            );
            if (i128::from(stored.0), i128::from(stored.1)) != (amount, count) {
                let what = format!("says {stored:?}, and purchases come to ({amount}, {count})");
                self.add_row_finding(CounterRow::TABLE, row, what);
            }
        }
        let begun = begun_since_the_agreement(links, purchases, &kept);
        for (key, used) in sums {
            if used != (0, 0) && begun.contains(&key) {
                let CounterKey { scope, period, first_day } = key;
                let budget = &self.ledger_rows.budget;
                let key = format!("{budget}/{scope}/{}/{first_day}", period.word());
                self.report.add_finding(
                    CounterRow::TABLE.name,
                    key,
                    format!("must be {used:?} and is not there"),
                );
            }
        }
    }

    fn agreement_in_force(&self, budget: &[Value]) -> Result<Option<Agreement>, CorruptRow> {
        let version = BudgetRow::TABLE.number(budget, "agreement_version");
        let is_it = |row: &&Vec<Value>| AgreementRow::TABLE.number(row, "version") == version;
        let (Some(row), Ok(currency)) =
            (self.ledger_rows.of(AgreementRow::TABLE).iter().find(is_it), self.currency.parse())
        else {
            return Ok(None);
        };
        let terms = self.ledger_rows.of(TermRow::TABLE).iter();
        let terms: Vec<_> = terms
            .filter(|term| TermRow::TABLE.number(term, "version") == version)
            .cloned()
            .collect();
        read_agreement(row, &terms, currency).map(Some)
    }

    fn sums(
        &mut self,
        kept: &BTreeSet<(Scope, Period)>,
        purchases: &[StoredPurchase<'_>],
    ) -> BTreeMap<CounterKey, CounterTotals> {
        let mut sums = BTreeMap::new();
        for read in purchases {
            if let Err(error) = count(read, kept, &mut sums) {
                self.add_row_finding(
                    PurchaseRow::TABLE,
                    read.row,
                    format!("cannot be counted: {error}"),
                );
            }
        }
        sums
    }
}

fn count(
    read: &StoredPurchase<'_>,
    kept: &BTreeSet<(Scope, Period)>,
    sums: &mut BTreeMap<CounterKey, CounterTotals>,
) -> Result<(), MoneyError> {
    let (purchase, counted) = (&read.purchase, &read.purchase.counted);
    if !purchase.committed()?.is_positive() {
        return Ok(());
    }
    let counted_amount = purchase.counted_amount()?;
    for (scope, period) in kept.iter().filter(|(scope, _)| counted.is_within(scope)) {
        let amount = counted.amount_counted_in(scope, counted_amount)?;
        let (sum, purchases) = sums.entry(counted.counter(scope, *period)).or_default();
        *sum = sum.saturating_add(i128::from(amount.minor()));
        *purchases = purchases.saturating_add(1);
    }
    Ok(())
}

/// The scopes and periods for which `agreement` keeps counters.
fn kept_by(agreement: &Agreement) -> BTreeSet<(Scope, Period)> {
    let of_term = |term: &Term| {
        let periods: Vec<_> = term.limits().iter().filter_map(Limit::period).collect();
        periods.into_iter().map(|period| (term.scope().clone(), period)).collect::<Vec<_>>()
    };
    agreement.terms.iter().flat_map(of_term).collect()
}

/// The counters that must exist: those of purchases that were first seen under the agreement in
/// force, and committed money at once.
///
/// Others may be missing, because a counter of an earlier period is not added afterwards.
fn begun_since_the_agreement(
    links: &[ParsedLink<'_>],
    purchases: &[StoredPurchase<'_>],
    kept: &BTreeSet<(Scope, Period)>,
) -> BTreeSet<CounterKey> {
    let started = links.iter().rposition(|link| link.kind == Some(PostingKind::Agreement));
    let before = started.map_or(0, |index| index.saturating_add(1));
    let mut seen: BTreeSet<&str> =
        links.iter().take(before).map(|link| link.text("purchase_id")).collect();
    let mut committed_at_once = BTreeSet::new();
    for link in links.iter().skip(before) {
        let purchase = link.text("purchase_id");
        if seen.insert(purchase) && link.transfers.iter().any(commits) {
            committed_at_once.insert(purchase);
        }
    }
    let mut keys = BTreeSet::new();
    for read in purchases {
        if !committed_at_once.contains(PurchaseRow::TABLE.text(read.row, "purchase_id")) {
            continue;
        }
        let counted = &read.purchase.counted;
        let within = kept.iter().filter(|(scope, _)| counted.is_within(scope));
        keys.extend(within.map(|(scope, period)| counted.counter(scope, *period)));
    }
    keys
}

/// Whether a transfer holds or captures money. A refund counts in no counter.
const fn commits(transfer: &Transfer) -> bool {
    matches!(transfer.to(), Account::PotHeld(_) | Account::Clearing(_))
}

/// Reads a counter's key. The stored text must equal what the key prints as.
fn read_key(row: &[Value]) -> Result<CounterKey, CorruptRow> {
    let mut reader = RowReader::new(CounterRow::TABLE, row);
    reader.skip();
    reader.skip();
    let scope = reader.word(|text| text.parse().ok().filter(|s: &Scope| s.to_string() == text))?;
    let period = reader.word(Period::from_word)?;
    let first_day = reader
        .word(|text| text.parse().ok().filter(|day: &jiff::civil::Date| day.to_string() == text))?;
    Ok(CounterKey { scope, period, first_day })
}
