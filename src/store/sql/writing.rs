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
use crate::store::sql::batch::{Batch, Row, arguments, bind};
use crate::store::{Dialect, StoreError, Tx};

/// What is written into one table.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Write<'a> {
    pub(in crate::store) batch: &'a Batch,
    pub(in crate::store) rows: &'a [Row<'a>],
    pub(in crate::store) table: &'static str,
}

/// Texts of combined statements, by the places of the tables that have something to be written.
#[derive(Debug, Default)]
pub(in crate::store) struct Writings(Mutex<BTreeMap<u64, Arc<str>>>);

impl Writings {
    /// The statement that runs those of `writes` that have rows.
    fn combined(&self, writes: &[Write<'_>]) -> Arc<str> {
        let bit = |write: &Write<'_>| u64::from(!write.rows.is_empty());
        let places = writes.iter().fold(0_u64, |places, write| (places << 1) | bit(write));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(places).or_insert_with(|| combine(writes).into()))
    }
}

fn combine(writes: &[Write<'_>]) -> String {
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
        writes: &[Write<'_>],
    ) -> Result<(), StoreError> {
        if self.statements.dialect == Dialect::Sqlite {
            return self.write_in_turn(writes).await;
        }
        let sql = self.statements.writings.combined(writes);
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
        let counts = query.fetch_one(self.connection()).await.map_err(was_first)?;
        for (index, write) in expected.into_iter().enumerate() {
            check(counts.try_get::<i64, _>(index)?, write.rows.len(), write.table)?;
            crash::reach(write.table);
        }
        Ok(())
    }

    /// Writes one table after the other. While SQLite's thread writes one, the rows of the next are
    /// spelled here: one commit at a time, either would only wait for the other.
    async fn write_in_turn(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let mut waiting: VecDeque<_> =
            writes.iter().copied().filter(|write| !write.rows.is_empty()).collect();
        let mut spelled = waiting.front().map(spell);
        while let Some((write, query)) = waiting.pop_front().zip(spelled) {
            let next = async { waiting.front().map(spell) };
            let written = query.execute(self.connection());
            let (written, next) = tokio::join!(biased; written, next);
            spelled = next;
            let written = written.map_err(was_first)?.rows_affected();
            check(written, write.rows.len(), write.table)?;
            crash::reach(write.table);
        }
        Ok(())
    }

    /// Writes `rows` with one statement.
    pub(in crate::store) async fn write(
        &mut self,
        batch: &Batch,
        rows: &[impl AsRef<[Value]>],
        table: &'static str,
    ) -> Result<(), StoreError> {
        let written = match batch.execute(self.connection(), rows).await {
            Err(StoreError::Database(error)) => return Err(was_first(error)),
            written => written?,
        };
        check(written, rows.len(), table)?;
        if !rows.is_empty() {
            crash::reach(table);
        }
        Ok(())
    }
}

fn spell(write: &Write<'_>) -> Query<'static, Any, AnyArguments> {
    write.batch.query(write.rows)
}

/// Every row must have been written.
fn check<N>(written: N, rows: usize, table: &'static str) -> Result<(), StoreError>
where
    usize: TryFrom<N>,
{
    let is_all = usize::try_from(written).is_ok_and(|written| written == rows);
    if is_all { Ok(()) } else { Err(StoreError::Contended(table)) }
}

/// A row that is there already was written by somebody who was first.
fn was_first(error: sqlx::Error) -> StoreError {
    let is_there = error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
    if is_there { StoreError::Contended("a row of the same key") } else { error.into() }
}
