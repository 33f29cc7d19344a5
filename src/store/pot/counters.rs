//! Counters of spending limits, by scope and period.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::agreement::Scope;
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::limit::{CounterKey, LimitUsage};
use crate::domain::money::{Currency, Money};
use crate::domain::time::period::Period;
use crate::ledger::record::table::record;
use crate::store::sql::record::OnConflict;
use crate::store::{StoreError, Tx};

record! {
    /// The usage of one scope in one period, in the currency of the budget.
    pub struct CounterRow in "counter" key(programme_id, budget_id, scope, period, first_day) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub scope: Scope,
        pub period: Period,
        pub first_day: Date,
        pub amount_minor: i64,
        pub purchases: u32,
    }
}

impl CounterRow {
    pub(in crate::store) fn new(
        programme: &ProgrammeId,
        budget: &BudgetId,
        key: &CounterKey,
        used: &LimitUsage,
    ) -> Self {
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            scope: key.scope.clone(),
            period: key.period,
            first_day: key.first_day,
            amount_minor: used.amount.minor(),
            purchases: used.purchases,
        }
    }

    /// The key, and the usage in the currency of the budget.
    pub(in crate::store) fn counter(self, currency: Currency) -> (CounterKey, LimitUsage) {
        let Self { scope, period, first_day, amount_minor, purchases, .. } = self;
        let amount = Money::from_minor(amount_minor, currency);
        (CounterKey { scope, period, first_day }, LimitUsage { amount, purchases })
    }
}

impl Tx {
    /// Replaces all counters of a budget. Counters of terms that are no longer in force are
    /// deleted.
    pub async fn replace_counters(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        counters: &BTreeMap<CounterKey, LimitUsage>,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM counter WHERE programme_id = $1 AND budget_id = $2";
        self.execute(sql, &[programme, budget]).await?;
        let row = |(key, used)| CounterRow::new(programme, budget, key, used);
        let rows: Vec<_> = counters.iter().map(row).collect();
        self.put(&rows, OnConflict::Keep).await?;
        Ok(())
    }

    /// All counters of a budget, including those of ended periods: they are deleted only when a new
    /// version of the agreement starts.
    pub async fn counters_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<BTreeMap<CounterKey, LimitUsage>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2";
        let rows: Vec<CounterRow> = self.fetch_all(sql, &[programme, budget]).await?;
        Ok(rows.into_iter().map(|row| row.counter(currency)).collect())
    }
}
