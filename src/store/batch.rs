//! One SQL text for many rows, on two databases.
//!
//! `{rows}` in a text stands for the rows that are passed: on PostgreSQL `UNNEST` over array
//! literals bound as text, on SQLite one JSON array through `jsonb_each`. Why not JSON on both:
//! PostgreSQL estimates its rows badly and joins whole tables. Why not one statement per row: the
//! cost of a statement is most of the cost of a decision.

use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{Dialect, StoreError};
use crate::record::row::{Column, Kind, Table, Value};

/// A statement over rows, spelled for one database.
#[derive(Debug)]
pub(super) struct Batch {
    sql: Arc<str>,
    columns: &'static [Column],
    dialect: Dialect,
}

impl Batch {
    /// Spells `template` for `dialect`; `columns` are those of the rows that are passed.
    ///
    /// `{rows}` becomes the rows under the name `r`, `{lock}` locks what is read where the
    /// database locks rows at all (SQLite has locked the whole file by then), and
    /// `{find TABLE NAME: CONDITION}` finds the rows of a table for each `r`.
    pub(super) fn new(dialect: Dialect, columns: &'static [Column], template: &str) -> Self {
        let (rows, lock, find): (_, _, Find) = match dialect {
            Dialect::Postgres => (unnest(columns), " FOR UPDATE OF b", ask_for_each),
            Dialect::Sqlite => (json_each(columns), "", join),
        };
        let sql = spell_finds(template, find).replace("{rows}", &rows).replace("{lock}", lock);
        Self { sql: Arc::from(sql), columns, dialect }
    }

    /// `INSERT` of whole rows of `table`; a row whose key exists already is left as it is.
    pub(super) fn insert(dialect: Dialect, table: &'static Table) -> Self {
        let names = names(table.columns, "");
        let values = names_of(table.columns, "r.");
        let template = format!(
            "INSERT INTO {} ({names}) SELECT {values} FROM {{rows}} WHERE true \
             ON CONFLICT DO NOTHING",
            table.name
        );
        Self::new(dialect, table.columns, &template)
    }

    /// `INSERT` of whole rows of `table`; a row whose key exists already takes the new values.
    pub(super) fn upsert(dialect: Dialect, table: &'static Table) -> Self {
        let is_key = |column: &&Column| column.kind == Kind::Key;
        let keys: Vec<_> = table.columns.iter().filter(is_key).map(|c| c.name).collect();
        let sets: Vec<_> = table
            .columns
            .iter()
            .filter(|column| !is_key(column))
            .map(|column| format!("{0} = excluded.{0}", column.name))
            .collect();
        let template = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {{rows}} WHERE true \
             ON CONFLICT ({}) DO UPDATE SET {}",
            table.name,
            names(table.columns, ""),
            names_of(table.columns, "r."),
            keys.join(", "),
            sets.join(", ")
        );
        Self::new(dialect, table.columns, &template)
    }

    /// The same statement, but a known row is left as it is unless it has the same `column`.
    pub(super) fn only_if_same(mut self, table: &Table, column: &str) -> Self {
        let name = table.name;
        self.sql = format!("{} WHERE {name}.{column} = excluded.{column}", self.sql).into();
        self
    }

    /// Runs the statement over `rows`; says how many rows it changed.
    pub(super) async fn execute(
        &self,
        connection: &mut AnyConnection,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        for argument in self.arguments(rows) {
            query = query.bind(argument);
        }
        Ok(query.execute(connection).await?.rows_affected())
    }

    /// Runs the statement over `rows` and reads its result as rows of `columns`.
    pub(super) async fn fetch(
        &self,
        connection: &mut AnyConnection,
        rows: &[Vec<Value>],
        columns: &[Column],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        for argument in self.arguments(rows) {
            query = query.bind(argument);
        }
        let found = query.fetch_all(connection).await?;
        found.iter().map(|row| read_row(row, columns)).collect()
    }

    /// The steps in which SQLite would run the statement.
    #[cfg(test)]
    pub(super) async fn plan(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", self.sql)));
        let steps = query.bind("[]").fetch_all(connection).await?;
        steps.iter().map(|step| Ok(step.try_get("detail")?)).collect()
    }

    fn arguments(&self, rows: &[Vec<Value>]) -> Vec<String> {
        match self.dialect {
            Dialect::Postgres => {
                (0..self.columns.len()).map(|column| array_literal(rows, column)).collect()
            }
            // An array of arrays of texts and numbers always serialises.
            Dialect::Sqlite => vec![serde_json::to_string(rows).unwrap_or_default()],
        }
    }
}

/// Reads one row of a result.
pub(super) fn read_row(row: &AnyRow, columns: &[Column]) -> Result<Vec<Value>, StoreError> {
    let value = |(index, column): (usize, &Column)| match column.kind {
        Kind::Number => Ok(row.try_get::<Option<i64>, _>(index)?.into()),
        Kind::Key | Kind::Text | Kind::Erasable => {
            Ok(row.try_get::<Option<String>, _>(index)?.into())
        }
    };
    columns.iter().enumerate().map(value).collect()
}

/// The column names of a table, for a statement that reads them all.
pub(super) fn names(columns: &[Column], prefix: &str) -> String {
    names_of(columns, prefix)
}

fn names_of(columns: &[Column], prefix: &str) -> String {
    columns.iter().map(|c| format!("{prefix}{}", c.name)).collect::<Vec<_>>().join(", ")
}

fn unnest(columns: &[Column]) -> String {
    let arrays: Vec<_> = (1..)
        .zip(columns)
        .map(|(number, column)| match column.kind {
            Kind::Number => format!("${number}::bigint[]"),
            Kind::Key | Kind::Text | Kind::Erasable => format!("${number}::text[]"),
        })
        .collect();
    format!("UNNEST({}) AS r({})", arrays.join(", "), names_of(columns, ""))
}

fn json_each(columns: &[Column]) -> String {
    let values: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("json_extract(value, '$[{index}]') AS {}", column.name))
        .collect();
    // `json_each` would spell every row as text again, to be read anew for each of its values.
    format!("(SELECT {} FROM jsonb_each($1)) AS r", values.join(", "))
}

/// Spells one `{find TABLE NAME: CONDITION}` from its two halves.
type Find = fn(&str, &str) -> String;

fn join(table: &str, condition: &str) -> String {
    format!("JOIN {table} ON {condition}")
}

/// Asks the table once for each row that is passed, whatever PostgreSQL's planner thinks: of a
/// table that was empty when it last counted, it would keep a plan that reads all of it.
fn ask_for_each(table: &str, condition: &str) -> String {
    let name = table.rsplit(' ').next().unwrap_or(table);
    format!("CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) AS {name}")
}

fn spell_finds(template: &str, find: Find) -> String {
    let mut sql = String::new();
    let mut rest = template;
    while let Some((before, (inside, after))) = split_find(rest) {
        let (table, condition) = inside.split_once(": ").unwrap_or((inside, "true"));
        sql.push_str(before);
        sql.push_str(&find(table, condition));
        rest = after;
    }
    sql.push_str(rest);
    sql
}

/// What stands before the first `{find …}`, inside of it, and after it.
fn split_find(text: &str) -> Option<(&str, (&str, &str))> {
    let (before, rest) = text.split_once("{find ")?;
    Some((before, rest.split_once('}')?))
}

/// One column of `rows` as a PostgreSQL array literal.
fn array_literal(rows: &[Vec<Value>], column: usize) -> String {
    let mut literal = String::with_capacity(rows.len().saturating_mul(24));
    literal.push('{');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        match row.get(column) {
            Some(Value::Text(text)) => quote(text, &mut literal),
            Some(Value::Number(number)) => literal.push_str(&number.to_string()),
            Some(Value::Null) | None => literal.push_str("NULL"),
        }
    }
    literal.push('}');
    literal
}

fn quote(text: &str, literal: &mut String) {
    literal.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_find_becomes_a_join() {
        let template =
            "SELECT 1 FROM r {find card c: c.a = r.a} {find pot p: p.b = r.b} ORDER BY 1";
        assert_eq!(
            spell_finds(template, join),
            "SELECT 1 FROM r JOIN card c ON c.a = r.a JOIN pot p ON p.b = r.b ORDER BY 1"
        );
    }

    #[test]
    fn array_literals_quote_what_would_end_them() {
        let rows = vec![
            vec![Value::from("a\"b\\c,{}"), Value::from(-7_i64)],
            vec![Value::from("NULL"), Value::Null],
        ];
        assert_eq!(array_literal(&rows, 0), r#"{"a\"b\\c,{}","NULL"}"#);
        assert_eq!(array_literal(&rows, 1), "{-7,NULL}");
    }
}
