//! Counters of spending limits, by scope and period.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::limit::{CounterKey, LimitUsage};
use crate::domain::money::{Currency, Money};
use crate::domain::time::period::Period;
use crate::ledger::record::row::{RowReader, Value, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::COUNTER;
use crate::store::{StoreError, Tx};

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
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .execute(self.connection())
            .await?;
        let row = |(key, used)| counter_row(programme, budget, key, used);
        let rows: Vec<_> = counters.iter().map(row).collect();
        self.put(&COUNTER, &rows, OnConflict::Keep).await?;
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
        let sql = format!(
            "SELECT {} FROM counter WHERE programme_id = $1 AND budget_id = $2",
            names(COUNTER.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_all(self.connection())
            .await?;
        let read = |row| {
            let counter = read_counter(&read_row(row, COUNTER.columns)?)?;
            let used = counter.used(currency);
            Ok((counter.key, used))
        };
        rows.iter().map(read).collect()
    }
}

/// Builds the row of a counter.
pub(in crate::store) fn counter_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    key: &CounterKey,
    used: &LimitUsage,
) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(budget),
        text_value(&key.scope),
        key.period.word().into(),
        text_value(key.first_day),
        used.amount.into(),
        used.purchases.into(),
    ]
}

/// A row of `counter`, whose currency is that of its budget.
pub(in crate::store) struct CounterRow {
    pub(in crate::store) budget: (ProgrammeId, BudgetId),
    pub(in crate::store) key: CounterKey,
    minor: i64,
    purchases: u32,
}

impl CounterRow {
    pub(in crate::store) const fn used(&self, currency: Currency) -> LimitUsage {
        LimitUsage { amount: Money::from_minor(self.minor, currency), purchases: self.purchases }
    }
}

pub(in crate::store) fn read_counter(row: &[Value]) -> Result<CounterRow, StoreError> {
    let mut reader = RowReader::new(&COUNTER, row);
    Ok(CounterRow {
        budget: (reader.parsed()?, reader.parsed()?),
        key: CounterKey {
            scope: reader.parsed()?,
            period: reader.word(Period::from_word)?,
            first_day: reader.date()?,
        },
        minor: reader.number()?,
        purchases: reader.integer()?,
    })
}
