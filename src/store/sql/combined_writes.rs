//! Several tables written in one statement, where the database can: on PostgreSQL, as the parts of
//! one `WITH`. SQLite runs them one after the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::any::AnyArguments;
use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use crate::ledger::record::row::Value;
use crate::platform::crash;
use crate::store::sql::batch::{BatchStatement, Row, arguments, bind};
use crate::store::{Dialect, StoreError, Tx};

/// What is written into one table.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct TableWrite<'a> {
    pub(in crate::store) batch: &'a BatchStatement,
    pub(in crate::store) rows: &'a [Row<'a>],
    pub(in crate::store) table: &'static str,
}

/// Texts of combined statements, by the places of the tables that have something to be written.
#[derive(Debug, Default)]
pub(in crate::store) struct CombinedWrites(Mutex<BTreeMap<u64, Arc<str>>>);

impl CombinedWrites {
    /// The statement that runs those of `writes` that have rows.
    fn combined(&self, writes: &[TableWrite<'_>]) -> Arc<str> {
        let bit = |write: &TableWrite<'_>| u64::from(!write.rows.is_empty());
        let bitmask = writes.iter().fold(0_u64, |bitmask, write| (bitmask << 1) | bit(write));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(bitmask).or_insert_with(|| combine(writes).into()))
    }
}

fn combine(writes: &[TableWrite<'_>]) -> String {
    let mut parts = Vec::new();
    let mut counts = Vec::new();
    let mut before = 0_usize;
    for (number, write) in writes.iter().filter(|write| !write.rows.is_empty()).enumerate() {
        let sql = write.batch.sql_after(before);
        before = before.saturating_add(arguments(Dialect::Postgres, write.batch.columns()));
        parts.push(format!("w{number} AS ({sql} RETURNING 1)"));
        counts.push(format!("(SELECT COUNT(*) FROM w{number})"));
    }
    format!("WITH {} SELECT {}", parts.join(", "), counts.join(", "))
}

impl Tx {
    /// Writes all of `writes`, the same ones in the same order every time. They must not touch each
    /// other's rows: none of them sees what the others do.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a row is there that must not be, or is missing that must be.
    pub(in crate::store) async fn write_all(
        &mut self,
        writes: &[TableWrite<'_>],
    ) -> Result<(), StoreError> {
        if self.statements.dialect == Dialect::Sqlite {
            return self.write_sequentially(writes).await;
        }
        let sql = self.statements.combined_writes.combined(writes);
        let writes = writes.iter().filter(|write| !write.rows.is_empty());
        let mut query = sqlx::query(AssertSqlSafe(sql));
        let mut expected = Vec::new();
        for write in writes {
            query = bind(query, Dialect::Postgres, write.batch.columns(), write.rows);
            expected.push(write);
        }
        if expected.is_empty() {
            return Ok(());
        }
        let counts = query.fetch_one(self.connection()).await.map_err(map_unique_violation)?;
        for (index, write) in expected.into_iter().enumerate() {
            check_row_count(counts.try_get::<i64, _>(index)?, write.rows.len(), write.table)?;
            crash::failpoint(write.table);
        }
        Ok(())
    }

    /// Writes one table after the other. While SQLite's thread writes one, the rows of the next are
    /// spelled here: one commit at a time, either would only wait for the other.
    async fn write_sequentially(&mut self, writes: &[TableWrite<'_>]) -> Result<(), StoreError> {
        let mut waiting: VecDeque<_> =
            writes.iter().copied().filter(|write| !write.rows.is_empty()).collect();
        let mut prepared = waiting.front().map(prepare);
        while let Some((write, query)) = waiting.pop_front().zip(prepared) {
            let next = async { waiting.front().map(prepare) };
            let written = query.execute(self.connection());
            let (written, next) = tokio::join!(biased; written, next);
            prepared = next;
            let written = written.map_err(map_unique_violation)?.rows_affected();
            check_row_count(written, write.rows.len(), write.table)?;
            crash::failpoint(write.table);
        }
        Ok(())
    }

    /// Writes `rows` with one statement.
    pub(in crate::store) async fn write(
        &mut self,
        batch: &BatchStatement,
        rows: &[impl AsRef<[Value]>],
        table: &'static str,
    ) -> Result<(), StoreError> {
        let written = match batch.execute(self.connection(), rows).await {
            Err(StoreError::Database(error)) => return Err(map_unique_violation(error)),
            written => written?,
        };
        check_row_count(written, rows.len(), table)?;
        if !rows.is_empty() {
            crash::failpoint(table);
        }
        Ok(())
    }
}

fn prepare(write: &TableWrite<'_>) -> Query<'static, Any, AnyArguments> {
    write.batch.query(write.rows)
}

/// Every row must have been written.
fn check_row_count<N>(written: N, rows: usize, table: &'static str) -> Result<(), StoreError>
where
    usize: TryFrom<N>,
{
    let is_all = usize::try_from(written).is_ok_and(|written| written == rows);
    if is_all { Ok(()) } else { Err(StoreError::Contended(table)) }
}

/// A row that is there already was written by somebody who was first.
fn map_unique_violation(error: sqlx::Error) -> StoreError {
    let is_there = error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
    if is_there { StoreError::Contended("a row of the same key") } else { error.into() }
}
