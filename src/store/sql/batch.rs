//! One SQL text for many rows, on two databases.
//!
//! `{rows}` in a text stands for the rows that are passed: on PostgreSQL `UNNEST` over array
//! literals bound as text, on SQLite one JSON array through `jsonb_each`. Why not JSON on both:
//! PostgreSQL estimates its rows badly and joins whole tables. Why not one statement per row: the
//! cost of a statement is most of the cost of a decision.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use crate::ledger::record::row::{Column, ColumnKind, Table, Value};
use crate::store::{Dialect, StoreError};

/// Rows as they come from a statement.
pub(in crate::store) type Rows = Vec<Vec<Value>>;

/// A row as it is passed to a statement: made for it, or known from elsewhere.
pub(in crate::store) type Row<'a> = Cow<'a, [Value]>;

/// A statement over rows, spelled for one database.
#[derive(Debug)]
pub(in crate::store) struct BatchStatement {
    /// With `{rows}` in it: where its arguments begin is not known before it is run.
    template: String,
    sql: Arc<str>,
    columns: &'static [Column],
    dialect: Dialect,
}

impl BatchStatement {
    /// Spells `template` for `dialect`; `columns` are those of the rows that are passed.
    ///
    /// `{rows}` becomes the rows under the name `r`, `{lock}` locks what is read where the
    /// database locks rows at all (SQLite has locked the whole file by then), `{share}` keeps others
    /// from changing it,
    /// `{find TABLE NAME: CONDITION}` finds the rows of a table for each `r`, and
    /// `{from TABLE: CONDITION}` the rows of a table that is updated.
    pub(in crate::store) fn new(
        dialect: Dialect,
        columns: &'static [Column],
        template: &str,
    ) -> Self {
        let template = render(dialect, template);
        let sql = template.replace("{rows}", &render_rows(dialect, columns, 1)).into();
        Self { template, sql, columns, dialect }
    }

    /// `INSERT` of whole rows of `table`. A row whose key exists already fails the statement.
    pub(in crate::store) fn insert(dialect: Dialect, table: &'static Table) -> Self {
        let template = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {{rows}}",
            table.name,
            names(table.columns, ""),
            names(table.columns, "r.")
        );
        Self::new(dialect, table.columns, &template)
    }

    /// `UPDATE` of rows of `table`, found by their keys.
    pub(in crate::store) fn update(dialect: Dialect, table: &'static Table) -> Self {
        let (keys, others): (Vec<&Column>, Vec<&Column>) =
            table.columns.iter().partition(|column| column.kind == ColumnKind::Key);
        let sets: Vec<_> =
            others.iter().map(|column| format!("{0} = r.{0}", column.name)).collect();
        let keys: Vec<_> =
            keys.iter().map(|column| format!("{}.{1} = r.{1}", table.name, column.name)).collect();
        let template = format!(
            "UPDATE {0} SET {1} {{from {0}: {2}}}",
            table.name,
            sets.join(", "),
            keys.join(" AND ")
        );
        Self::new(dialect, table.columns, &template)
    }

    /// `INSERT` of whole rows of `table`; a row whose key exists already is left as it is.
    pub(in crate::store) fn insert_missing(dialect: Dialect, table: &'static Table) -> Self {
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
    pub(in crate::store) fn upsert(dialect: Dialect, table: &'static Table) -> Self {
        let is_key = |column: &&Column| column.kind == ColumnKind::Key;
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

    /// Runs the statement over `rows`; says how many rows it changed.
    pub(in crate::store) async fn execute(
        &self,
        connection: &mut AnyConnection,
        rows: &[impl AsRef<[Value]>],
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        Ok(self.query(rows).execute(connection).await?.rows_affected())
    }

    /// Runs the statement over `rows` and reads its result as rows of `columns`.
    pub(in crate::store) async fn fetch(
        &self,
        connection: &mut AnyConnection,
        rows: &[impl AsRef<[Value]>],
        columns: &[Column],
    ) -> Result<Rows, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.query(rows).fetch_all(connection).await?;
        found.iter().map(|row| read_row(row, columns)).collect()
    }

    /// The statement with `rows` as its arguments.
    pub(in crate::store) fn query<'q>(
        &self,
        rows: &[impl AsRef<[Value]>],
    ) -> Query<'q, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        bind(query, self.dialect, self.columns, rows)
    }

    /// The statement's text, for a statement that has arguments before those of this one.
    pub(in crate::store) fn sql_after(&self, arguments: usize) -> String {
        let first = arguments.saturating_add(1);
        self.template.replace("{rows}", &render_rows(self.dialect, self.columns, first))
    }

    /// The columns of the rows that are passed.
    pub(in crate::store) const fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// The statement's text.
    pub(in crate::store) fn sql(&self) -> &str {
        &self.sql
    }
}

/// Adds the arguments that stand for `rows` to `query`.
pub(in crate::store) fn bind<'q>(
    mut query: Query<'q, Any, AnyArguments>,
    dialect: Dialect,
    columns: &[Column],
    rows: &[impl AsRef<[Value]>],
) -> Query<'q, Any, AnyArguments> {
    match dialect {
        Dialect::Postgres => {
            for column in 0..columns.len() {
                query = query.bind(array_literal(rows, column));
            }
            query
        }
        Dialect::Sqlite => query.bind(json_array(rows)),
    }
}

/// How many arguments stand for rows of `columns`.
pub(in crate::store) const fn arguments(dialect: Dialect, columns: &[Column]) -> usize {
    match dialect {
        Dialect::Postgres => columns.len(),
        Dialect::Sqlite => 1,
    }
}

/// Spells everything in `template` but `{rows}`.
pub(in crate::store) fn render(dialect: Dialect, template: &str) -> String {
    let (lock, share, find, from): (_, _, RenderPlaceholder, RenderPlaceholder) = match dialect {
        Dialect::Postgres => (" FOR UPDATE OF b", " FOR SHARE OF b", join_lateral, update_lateral),
        Dialect::Sqlite => ("", "", join, update_from),
    };
    let found = render_placeholders(template, "{find ", find);
    render_placeholders(&found, "{from ", from).replace("{lock}", lock).replace("{share}", share)
}

/// Spells rows of `columns` under the name `r`, of which the first argument has number `first`.
pub(in crate::store) fn render_rows(dialect: Dialect, columns: &[Column], first: usize) -> String {
    match dialect {
        Dialect::Postgres => unnest(columns, first),
        Dialect::Sqlite => json_each(columns, first),
    }
}

/// Reads one row of a result.
pub(in crate::store) fn read_row(
    row: &AnyRow,
    columns: &[Column],
) -> Result<Vec<Value>, StoreError> {
    let value = |(index, column): (usize, &Column)| match column.kind {
        ColumnKind::Number => Ok(row.try_get::<Option<i64>, _>(index)?.into()),
        ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
            Ok(row.try_get::<Option<String>, _>(index)?.into())
        }
    };
    columns.iter().enumerate().map(value).collect()
}

/// The column names of a table, for a statement that reads them all.
pub(in crate::store) fn names(columns: &[Column], prefix: &str) -> String {
    names_of(columns, prefix)
}

fn names_of(columns: &[Column], prefix: &str) -> String {
    columns.iter().map(|c| format!("{prefix}{}", c.name)).collect::<Vec<_>>().join(", ")
}

fn unnest(columns: &[Column], first: usize) -> String {
    let arrays: Vec<_> = (first..)
        .zip(columns)
        .map(|(number, column)| match column.kind {
            ColumnKind::Number => format!("${number}::bigint[]"),
            ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
                format!("${number}::text[]")
            }
        })
        .collect();
    format!("UNNEST({}) AS r({})", arrays.join(", "), names_of(columns, ""))
}

fn json_each(columns: &[Column], number: usize) -> String {
    let values: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("json_extract(value, '$[{index}]') AS {}", column.name))
        .collect();
    // `json_each` would spell every row as text again, to be read anew for each of its values.
    format!("(SELECT {} FROM jsonb_each(${number})) AS r", values.join(", "))
}

/// Spells one `{find TABLE NAME: CONDITION}` or `{from …}` from its two halves.
type RenderPlaceholder = fn(&str, &str) -> String;

fn join(table: &str, condition: &str) -> String {
    format!("JOIN {table} ON {condition}")
}

/// Asks the table once for each row that is passed, whatever PostgreSQL's planner thinks: of a
/// table that was empty when it last counted, it would keep a plan that reads all of it.
fn join_lateral(table: &str, condition: &str) -> String {
    let name = table.rsplit(' ').next().unwrap_or(table);
    format!("CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) AS {name}")
}

fn update_from(_table: &str, condition: &str) -> String {
    format!("FROM {{rows}} WHERE {condition}")
}

/// Finds the place of each row first, for the reason that [`join_lateral`] has.
fn update_lateral(table: &str, condition: &str) -> String {
    format!(
        "FROM (SELECT found.ctid AS found_at, r.* FROM {{rows}} CROSS JOIN LATERAL \
         (SELECT {table}.ctid FROM {table} WHERE {condition} OFFSET 0) AS found) AS r \
         WHERE {table}.ctid = r.found_at"
    )
}

fn render_placeholders(template: &str, opening: &str, find: RenderPlaceholder) -> String {
    let mut sql = String::new();
    let mut rest = template;
    while let Some((before, (inside, after))) = split_placeholder(rest, opening) {
        let (table, condition) = inside.split_once(": ").unwrap_or((inside, "true"));
        sql.push_str(before);
        sql.push_str(&find(table, condition));
        rest = after;
    }
    sql.push_str(rest);
    sql
}

/// What stands before the first `{find …}` or `{from …}`, inside of it, and after it.
fn split_placeholder<'t>(text: &'t str, opening: &str) -> Option<(&'t str, (&'t str, &'t str))> {
    let (before, rest) = text.split_once(opening)?;
    Some((before, rest.split_once('}')?))
}

/// `rows` as a JSON array of arrays.
fn json_array(rows: &[impl AsRef<[Value]>]) -> String {
    let values = rows.iter().flat_map(AsRef::as_ref);
    let mut json = Vec::with_capacity(values.map(encoded_len).sum::<usize>().saturating_add(2));
    json.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        // Texts and numbers always serialise, and a vector takes everything.
        let _ = serde_json::to_writer(&mut json, row.as_ref());
    }
    json.push(b']');
    String::from_utf8(json).unwrap_or_default()
}

/// One column of `rows` as a PostgreSQL array literal.
fn array_literal(rows: &[impl AsRef<[Value]>], column: usize) -> String {
    let values = rows.iter().map(|row| row.as_ref().get(column));
    let most = values.clone().flatten().map(encoded_len).sum::<usize>().saturating_add(2);
    let mut literal = String::with_capacity(most);
    literal.push('{');
    for (index, value) in values.enumerate() {
        if index > 0 {
            literal.push(',');
        }
        match value {
            Some(Value::Text(text)) => quote(text, &mut literal),
            Some(Value::Number(number)) => {
                let _ = write!(literal, "{number}");
            }
            Some(Value::Null) | None => literal.push_str("NULL"),
        }
    }
    literal.push('}');
    literal
}

/// How many bytes a value takes, mostly: a text that grows while it is written is copied again and
/// again.
const fn encoded_len(value: &Value) -> usize {
    match value {
        // Quotes, a comma, and something to be escaped now and then.
        Value::Text(text) => text.len().saturating_add(5),
        Value::Number(_) | Value::Null => 8,
    }
}

fn quote(text: &str, literal: &mut String) {
    literal.push('"');
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
        for character in text.chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
    } else {
        literal.push_str(text);
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
            render_placeholders(template, "{find ", join),
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
