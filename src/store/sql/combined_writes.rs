//! Writes to several tables in one statement on PostgreSQL, as the parts of one `WITH`. SQLite runs
//! one statement per table, because its `WITH` cannot contain writes.

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

/// The rows for one table, with the statement that writes them.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct TableWrite<'a> {
    pub(in crate::store) batch: &'a BatchStatement,
    pub(in crate::store) rows: &'a [Row<'a>],
    pub(in crate::store) table: &'static str,
}

/// Cached texts of combined statements, by a bitmask of the tables that have rows to write.
#[derive(Debug, Default)]
pub(in crate::store) struct CombinedWrites(Mutex<BTreeMap<u64, Arc<str>>>);

impl CombinedWrites {
    /// The cached statement for those of `writes` that have rows. The bitmask is unambiguous only
    /// because [`Tx::write_all`] always gets the same tables in the same order.
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
    /// Writes the rows of all of `writes`, which must be the same tables in the same order at every
    /// call. They must not touch each other's rows, because on PostgreSQL none of them sees the
    /// effects of the others.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a row to insert exists or a row to update does not.
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

    /// Writes one table after the other. The rows of the next table are encoded while SQLite's
    /// thread writes the current one, because otherwise each thread would idle while the other
    /// works.
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
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a row to insert exists or a row to update does not.
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

/// Fails with [`StoreError::Contended`] unless every row was written.
fn check_row_count<N>(written: N, rows: usize, table: &'static str) -> Result<(), StoreError>
where
    usize: TryFrom<N>,
{
    let is_all = usize::try_from(written).is_ok_and(|written| written == rows);
    if is_all { Ok(()) } else { Err(StoreError::Contended(table)) }
}

/// Maps a unique violation to [`StoreError::Contended`], because a concurrent transaction has
/// inserted the row first.
fn map_unique_violation(error: sqlx::Error) -> StoreError {
    let is_there = error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
    if is_there { StoreError::Contended("a row of the same key") } else { error.into() }
}
