//! Statements over [records](Record): their select lists, values and conditions.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::row::{ColumnKind, RowReader, Table, Value};
use crate::ledger::record::table::Record;
use crate::store::sql::batch::{BatchStatement, names, read_row};
use crate::store::{Store, StoreError, Tx};

/// What happens to a row with an existing key.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum OnConflict {
    /// The existing row is left unchanged.
    Keep,
    /// The existing row is overwritten.
    Replace,
}

/// An argument of a statement.
pub(in crate::store) trait Argument: Sync {
    /// The kind of the column that it is compared with.
    fn kind(&self) -> ColumnKind;

    /// The value to bind.
    fn value(&self) -> Value;
}

impl<T: ColumnValue + Sync> Argument for T {
    fn kind(&self) -> ColumnKind {
        T::KIND
    }

    fn value(&self) -> Value {
        ColumnValue::value(self)
    }
}

impl Argument for &str {
    fn kind(&self) -> ColumnKind {
        ColumnKind::Text
    }

    fn value(&self) -> Value {
        (*self).into()
    }
}

impl Tx {
    /// Runs a statement and returns the number of rows changed.
    pub(in crate::store) async fn execute(
        &mut self,
        sql: impl Into<String>,
        arguments: &[&dyn Argument],
    ) -> Result<u64, StoreError> {
        let query = query(sql.into(), arguments);
        Ok(query.execute(self.connection()).await?.rows_affected())
    }

    /// Runs a query whose `{columns}` stands for the columns of `R`; see [`select`].
    pub(in crate::store) async fn fetch_all<R: Record>(
        &mut self,
        sql: impl AsRef<str>,
        arguments: &[&dyn Argument],
    ) -> Result<Vec<R>, StoreError> {
        let query = select::<R>(sql.as_ref(), arguments);
        query.fetch_all(self.connection()).await?.iter().map(read).collect()
    }

    /// As [`Tx::fetch_all`], for at most one row.
    pub(in crate::store) async fn fetch_optional<R: Record>(
        &mut self,
        sql: impl AsRef<str>,
        arguments: &[&dyn Argument],
    ) -> Result<Option<R>, StoreError> {
        let query = select::<R>(sql.as_ref(), arguments);
        query.fetch_optional(self.connection()).await?.as_ref().map(read).transpose()
    }

    /// Runs a query that selects a record of each of two tables; see [`joined_sql`].
    pub(in crate::store) async fn fetch_joined<A: Record, B: Record>(
        &mut self,
        sql: impl AsRef<str>,
        arguments: &[&dyn Argument],
    ) -> Result<Vec<(A, B)>, StoreError> {
        let query = query(joined_sql::<A, B>(sql.as_ref()), arguments);
        query.fetch_all(self.connection()).await?.iter().map(read_joined).collect()
    }

    /// Runs a query that selects one column, for at most one row.
    pub(in crate::store) async fn fetch_scalar<T: ColumnValue>(
        &mut self,
        sql: impl Into<String>,
        arguments: &[&dyn Argument],
    ) -> Result<Option<T>, StoreError> {
        let row = query(sql.into(), arguments).fetch_optional(self.connection()).await?;
        row.as_ref().map(read_scalar).transpose()
    }

    /// As [`Tx::fetch_scalar`], for any number of rows.
    pub(in crate::store) async fn fetch_scalars<T: ColumnValue>(
        &mut self,
        sql: impl Into<String>,
        arguments: &[&dyn Argument],
    ) -> Result<Vec<T>, StoreError> {
        let rows = query(sql.into(), arguments).fetch_all(self.connection()).await?;
        rows.iter().map(read_scalar).collect()
    }

    /// Inserts `records`. An existing key fails the statement.
    pub(in crate::store) async fn insert<R: Record>(
        &mut self,
        records: &[R],
    ) -> Result<(), StoreError> {
        let insert = BatchStatement::insert(self.statements.dialect, R::TABLE);
        insert.execute(self.connection(), &rows(records)).await?;
        Ok(())
    }

    /// Inserts `records`, and returns how many were inserted or overwritten.
    pub(in crate::store) async fn put<R: Record>(
        &mut self,
        records: &[R],
        on_conflict: OnConflict,
    ) -> Result<u64, StoreError> {
        let dialect = self.statements.dialect;
        let statement = match on_conflict {
            OnConflict::Keep => BatchStatement::insert_missing(dialect, R::TABLE),
            OnConflict::Replace => BatchStatement::upsert(dialect, R::TABLE),
        };
        statement.execute(self.connection(), &rows(records)).await
    }

    /// Updates the row with the key of `record`, if each column of `expected` has the value there.
    /// [`Record::KEY`] must be the whole primary key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when there is no such row: another transaction has changed it.
    pub(in crate::store) async fn update<R: Record>(
        &mut self,
        record: &R,
        expected: &[(&'static str, &dyn Argument)],
    ) -> Result<(), StoreError> {
        let table = R::TABLE;
        let sql = update_sql(table, expected);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (column, value) in table.columns.iter().zip(record.row()) {
            query = bind_value(query, column.kind, value);
        }
        for (_, argument) in expected {
            query = bind_value(query, argument.kind(), argument.value());
        }
        let changed = query.execute(self.connection()).await?.rows_affected();
        if changed == 1 { Ok(()) } else { Err(StoreError::Contended(table.name)) }
    }
}

impl Store {
    /// Runs a query outside any transaction; `{columns}` stands for the columns of `R`.
    pub(in crate::store) async fn fetch_all<R: Record>(
        &self,
        sql: impl AsRef<str>,
        arguments: &[&dyn Argument],
    ) -> Result<Vec<R>, StoreError> {
        let query = select::<R>(sql.as_ref(), arguments);
        query.fetch_all(&self.readers()).await?.iter().map(read).collect()
    }

    /// As [`Store::fetch_all`], for at most one row.
    pub(in crate::store) async fn fetch_optional<R: Record>(
        &self,
        sql: impl AsRef<str>,
        arguments: &[&dyn Argument],
    ) -> Result<Option<R>, StoreError> {
        let query = select::<R>(sql.as_ref(), arguments);
        query.fetch_optional(&self.readers()).await?.as_ref().map(read).transpose()
    }

    /// Runs a query that selects one column, outside any transaction.
    pub(in crate::store) async fn fetch_scalars<T: ColumnValue>(
        &self,
        sql: impl Into<String>,
        arguments: &[&dyn Argument],
    ) -> Result<Vec<T>, StoreError> {
        let rows = query(sql.into(), arguments).fetch_all(&self.readers()).await?;
        rows.iter().map(read_scalar).collect()
    }
}

/// A query whose `{columns}` stands for the columns of `R`. `{columns ALIAS}` puts an alias of the
/// table before each. Text without a placeholder follows `SELECT columns FROM table`.
fn select<R: Record>(sql: &str, arguments: &[&dyn Argument]) -> Query<'static, Any, AnyArguments> {
    query(select_sql(R::TABLE, sql), arguments)
}

/// The text of the query that [`Tx::fetch_all`] runs for `sql` over `table`.
pub(in crate::store) fn select_sql(table: &Table, sql: &str) -> String {
    let Some((before, rest)) = sql.split_once("{columns") else {
        return format!("SELECT {} FROM {} {sql}", names(table.columns, ""), table.name);
    };
    let (alias, after) = rest.split_once('}').unwrap_or(("", rest));
    let prefix = match alias.trim() {
        "" => String::new(),
        alias => format!("{alias}."),
    };
    format!("{before}{}{after}", names(table.columns, &prefix))
}

/// The text of a query whose first `{columns ALIAS}` stands for the columns of `A`, and its second
/// for those of `B`.
pub(in crate::store) fn joined_sql<A: Record, B: Record>(sql: &str) -> String {
    select_sql(B::TABLE, &select_sql(A::TABLE, sql))
}

fn update_sql(table: &Table, expected: &[(&'static str, &dyn Argument)]) -> String {
    let (mut sets, mut conditions) = (Vec::new(), Vec::new());
    for (number, column) in (1_usize..).zip(table.columns) {
        let equation = format!("{} = ${number}", column.name);
        let is_key = column.kind == ColumnKind::Key;
        if is_key { &mut conditions } else { &mut sets }.push(equation);
    }
    let first = table.columns.len().saturating_add(1);
    conditions.extend(
        (first..)
            .zip(expected)
            .map(|(number, (column, _))| format!("{column} IS NOT DISTINCT FROM ${number}")),
    );
    format!("UPDATE {} SET {} WHERE {}", table.name, sets.join(", "), conditions.join(" AND "))
}

fn query(sql: String, arguments: &[&dyn Argument]) -> Query<'static, Any, AnyArguments> {
    arguments.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, argument| {
        bind_value(query, argument.kind(), argument.value())
    })
}

/// Binds `value`. A null is bound with the type of its column, because PostgreSQL compares no
/// number with a text.
fn bind_value(
    query: Query<'_, Any, AnyArguments>,
    kind: ColumnKind,
    value: Value,
) -> Query<'_, Any, AnyArguments> {
    match (value, kind) {
        (Value::Text(text), _) => query.bind(text),
        (Value::Number(number), _) => query.bind(number),
        (Value::Null, ColumnKind::Number) => query.bind(None::<i64>),
        (
            Value::Null,
            ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added,
        ) => query.bind(None::<String>),
    }
}

fn rows<R: Record>(records: &[R]) -> Vec<Vec<Value>> {
    records.iter().map(R::row).collect()
}

fn read<R: Record>(row: &AnyRow) -> Result<R, StoreError> {
    Ok(R::from_row(&read_row(row, R::TABLE.columns)?)?)
}

/// Reads the columns of `A`, then those of `B`.
fn read_joined<A: Record, B: Record>(row: &AnyRow) -> Result<(A, B), StoreError> {
    let (first, second) = (A::TABLE.columns, B::TABLE.columns);
    let row = read_row(row, &[first, second].concat())?;
    let (one, other) = row.split_at(first.len().min(row.len()));
    Ok((A::from_row(one)?, B::from_row(other)?))
}

/// Reads the only column of `row`.
fn read_scalar<T: ColumnValue>(row: &AnyRow) -> Result<T, StoreError> {
    const TABLE: &Table = &Table { name: "a query", columns: &[] };

    let value = match T::KIND {
        ColumnKind::Number => row.try_get::<Option<i64>, _>(0)?.into(),
        ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
            row.try_get::<Option<String>, _>(0)?.into()
        }
    };
    Ok(T::read(&mut RowReader::new(TABLE, &[value]))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::table::example::Note;

    #[test]
    fn statements_name_the_columns_in_their_order() {
        assert_eq!(
            select_sql(Note::TABLE, "WHERE pages = $1"),
            "SELECT person_id, words, pages FROM note WHERE pages = $1"
        );
        assert_eq!(
            select_sql(Note::TABLE, "SELECT {columns n} FROM note n"),
            "SELECT n.person_id, n.words, n.pages FROM note n"
        );
        assert_eq!(
            joined_sql::<Note, Note>("SELECT {columns n}, {columns m} FROM note n, note m"),
            "SELECT n.person_id, n.words, n.pages, m.person_id, m.words, m.pages \
             FROM note n, note m"
        );
        assert_eq!(
            update_sql(Note::TABLE, &[("pages", &7_i64)]),
            "UPDATE note SET words = $2, pages = $3 \
             WHERE person_id = $1 AND pages IS NOT DISTINCT FROM $4"
        );
    }
}
