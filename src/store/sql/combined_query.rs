//! Several `SELECT`s in one statement, because each statement costs a network round trip
//! (PostgreSQL) or two hand-overs between threads (SQLite), however little it reads.
//!
//! PostgreSQL returns all results as rows of one width. SQLite returns one JSON array per subquery,
//! because there a row costs far more than encoding and parsing its values.

use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::ledger::record::row::{Column, ColumnKind, Value};
use crate::store::sql::batch::{Rows, arguments, bind, render, render_rows};
use crate::store::{Dialect, StoreError};

/// One part of a [`CombinedQuery`]: the index of its key set, its result columns, and its template.
#[derive(Debug)]
pub(in crate::store) struct SubQuery {
    pub(in crate::store) key_set: usize,
    pub(in crate::store) columns: &'static [Column],
    /// A template of [`crate::store::sql::batch::BatchStatement::new`]. The order of its rows is
    /// not preserved.
    pub(in crate::store) template: String,
}

/// Several subqueries rendered as one statement.
#[derive(Debug)]
pub(in crate::store) struct CombinedQuery {
    sql: Arc<str>,
    key_sets: &'static [&'static [Column]],
    subqueries: Vec<SubQuery>,
    dialect: Dialect,
}

impl CombinedQuery {
    /// Renders `subqueries` for `dialect`; `key_sets` are the columns of each set of rows that
    /// [`Self::fetch`] is called with.
    pub(in crate::store) fn new(
        dialect: Dialect,
        key_sets: &'static [&'static [Column]],
        subqueries: Vec<SubQuery>,
    ) -> Self {
        let mut ctes = Vec::with_capacity(subqueries.len());
        let mut selects = Vec::with_capacity(subqueries.len());
        let layout = RowLayout::of(&subqueries);
        for (number, subquery) in subqueries.iter().enumerate() {
            let before = key_sets.iter().take(subquery.key_set).map(|set| arguments(dialect, set));
            let first = before.sum::<usize>().saturating_add(1);
            let key_columns = key_sets.get(subquery.key_set).copied().unwrap_or_default();
            let sql = render(dialect, &subquery.template)
                .replace("{rows}", &render_rows(dialect, key_columns, first));
            let names: Vec<_> =
                (0..subquery.columns.len()).map(|column| format!("c{column}")).collect();
            let names = names.join(", ");
            ctes.push(format!("q{number}({names}) AS ({sql})"));
            selects.push(match dialect {
                Dialect::Sqlite => {
                    format!("SELECT json_group_array(json_array({names})) FROM q{number}")
                }
                Dialect::Postgres => {
                    format!(
                        "SELECT {number}::bigint{} FROM q{number}",
                        layout.padded(subquery.columns)
                    )
                }
            });
        }
        let sql = format!("WITH {} {}", ctes.join(", "), selects.join(" UNION ALL ")).into();
        Self { sql, key_sets, subqueries, dialect }
    }

    /// Runs the statement over `key_sets`; returns one set of rows per subquery, in their order.
    pub(in crate::store) async fn fetch(
        &self,
        connection: &mut AnyConnection,
        key_sets: &[&[Vec<Value>]],
    ) -> Result<Vec<Rows>, StoreError> {
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        for (columns, rows) in self.key_sets.iter().zip(key_sets) {
            query = bind(query, self.dialect, columns, rows);
        }
        let found = query.fetch_all(connection).await?;
        match self.dialect {
            Dialect::Sqlite => found.iter().map(read_array).collect(),
            Dialect::Postgres => self.split_by_subquery(&found),
        }
    }

    /// Distributes rows of one width to the subqueries that returned them.
    fn split_by_subquery(&self, found: &[AnyRow]) -> Result<Vec<Rows>, StoreError> {
        let layout = RowLayout::of(&self.subqueries);
        let mut results = vec![Vec::new(); self.subqueries.len()];
        for row in found {
            let number = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            if let Some((result, subquery)) =
                results.get_mut(number).zip(self.subqueries.get(number))
            {
                result.push(layout.read(row, subquery.columns)?);
            }
        }
        Ok(results)
    }

    /// The columns of each set of rows that is passed.
    pub(in crate::store) const fn key_sets(&self) -> &'static [&'static [Column]] {
        self.key_sets
    }

    /// The SQL text.
    pub(in crate::store) fn sql(&self) -> &str {
        &self.sql
    }
}

fn read_array(row: &AnyRow) -> Result<Rows, StoreError> {
    let text: &str = row.try_get(0)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

/// The width of a common row: the maximum number of text and of number columns over all subqueries.
/// The text columns come first.
#[derive(Debug, Clone, Copy)]
struct RowLayout {
    texts: usize,
    numbers: usize,
}

impl RowLayout {
    fn of(subqueries: &[SubQuery]) -> Self {
        let most = |is_counted: fn(&&Column) -> bool| {
            let count = |subquery: &SubQuery| subquery.columns.iter().filter(is_counted).count();
            subqueries.iter().map(count).max().unwrap_or(0)
        };
        Self {
            texts: most(|column| column.kind != ColumnKind::Number),
            numbers: most(|column| column.kind == ColumnKind::Number),
        }
    }

    /// The columns of one subquery, padded with nulls to the common width, each after a comma.
    fn padded(self, columns: &[Column]) -> String {
        let of = |is_number: bool| {
            let chosen = columns.iter().enumerate();
            chosen.filter(move |(_, column)| (column.kind == ColumnKind::Number) == is_number)
        };
        let mut texts: Vec<_> = of(false).map(|(column, _)| format!(", c{column}")).collect();
        texts.resize(self.texts, ", NULL::text".to_owned());
        let mut numbers: Vec<_> = of(true).map(|(column, _)| format!(", c{column}")).collect();
        numbers.resize(self.numbers, ", NULL::bigint".to_owned());
        texts.concat() + &numbers.concat()
    }

    /// Reads the values of `columns` from a common row, whose first column is the subquery's
    /// number.
    fn read(self, row: &AnyRow, columns: &[Column]) -> Result<Vec<Value>, StoreError> {
        let mut text = 1..;
        let mut number = self.texts.saturating_add(1)..;
        let value = |column: &Column| match column.kind {
            ColumnKind::Number => {
                let index = number.next().unwrap_or_default();
                Ok(row.try_get::<Option<i64>, _>(index)?.into())
            }
            ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
                let index = text.next().unwrap_or_default();
                Ok(row.try_get::<Option<String>, _>(index)?.into())
            }
        };
        columns.iter().map(value).collect()
    }
}
