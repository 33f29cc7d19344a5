//! Batched statements: one SQL text for many rows, on both databases.
//!
//! `{rows}` in a template stands for the rows that are passed: on PostgreSQL `UNNEST` over array
//! literals bound as text, on SQLite one JSON array through `jsonb_each`. JSON is not used on
//! PostgreSQL, because its planner misestimates the number of rows and joins whole tables. One
//! statement per row is not used, because the overhead of a statement is most of the cost of a
//! decision.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};
use sqlx::{Column as _, Row as _};

use crate::ledger::record::row::{Column, ColumnKind, Table, Value};
use crate::ledger::record::table::Record;
use crate::store::{Dialect, StoreError};

/// Rows returned by a statement, one value per column.
pub(in crate::store) type Rows = Vec<Vec<Value>>;

/// A row passed to a statement: owned, or borrowed from where it was built.
pub(in crate::store) type Row<'a> = Cow<'a, [Value]>;

/// A statement over a batch of rows, rendered for one database.
#[derive(Debug)]
pub(in crate::store) struct BatchStatement {
    /// Still contains `{rows}`, because the number of its first placeholder may depend on the
    /// statement that embeds it (see [`BatchStatement::sql_after`]).
    template: String,
    sql: Arc<str>,
    columns: &'static [Column],
    dialect: Dialect,
}

impl BatchStatement {
    /// Renders `template` for `dialect`; `columns` are those of the rows that are passed.
    ///
    /// `{rows}` becomes the rows under the alias `r`. `{lock}` locks the rows of the table with
    /// alias `b` for update; it is empty on SQLite, where a write transaction has locked the whole
    /// file. `{find TABLE ALIAS: CONDITION}` joins the rows of a table that match each `r`.
    /// `{from TABLE: CONDITION}` is the `FROM` clause of an `UPDATE` of that table.
    pub(in crate::store) fn new(
        dialect: Dialect,
        columns: &'static [Column],
        template: &str,
    ) -> Self {
        let template = render(dialect, template);
        let sql = template.replace("{rows}", &render_rows(dialect, columns, 1)).into();
        Self { template, sql, columns, dialect }
    }

    /// `INSERT` of whole rows of `table`. An existing key fails the statement.
    pub(in crate::store) fn insert(dialect: Dialect, table: &'static Table) -> Self {
        let template = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {{rows}}",
            table.name,
            names(table.columns, ""),
            names(table.columns, "r.")
        );
        Self::new(dialect, table.columns, &template)
    }

    /// `UPDATE` of all other columns of rows of `table`, found by their key columns.
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

    /// `INSERT` of whole rows of `table`; a row with an existing key is left unchanged.
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

    /// `INSERT` of whole rows of `table`; a row with an existing key is overwritten.
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

    /// Runs the statement over `rows` and returns the number of rows changed. Runs nothing if there
    /// are no rows.
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

    /// As [`BatchStatement::fetch`], for the columns of `R`.
    pub(in crate::store) async fn fetch_records<R: Record>(
        &self,
        connection: &mut AnyConnection,
        rows: &[impl AsRef<[Value]>],
    ) -> Result<Vec<R>, StoreError> {
        let found = self.fetch(connection, rows, R::TABLE.columns).await?;
        found.iter().map(|row| Ok(R::from_row(row)?)).collect()
    }

    /// The query with `rows` bound as its arguments.
    pub(in crate::store) fn query<'q>(
        &self,
        rows: &[impl AsRef<[Value]>],
    ) -> Query<'q, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        bind(query, self.dialect, self.columns, rows)
    }

    /// The SQL text with placeholders numbered after `arguments` earlier ones, for use inside a
    /// larger statement.
    pub(in crate::store) fn sql_after(&self, arguments: usize) -> String {
        let first = arguments.saturating_add(1);
        self.template.replace("{rows}", &render_rows(self.dialect, self.columns, first))
    }

    /// The columns of the rows that are passed.
    pub(in crate::store) const fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// The SQL text, with placeholders numbered from 1.
    pub(in crate::store) fn sql(&self) -> &str {
        &self.sql
    }
}

/// Binds `rows` to `query`: one array literal per column on PostgreSQL, one JSON array on SQLite.
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

/// The number of arguments that [`bind`] adds for rows of `columns`.
pub(in crate::store) const fn arguments(dialect: Dialect, columns: &[Column]) -> usize {
    match dialect {
        Dialect::Postgres => columns.len(),
        Dialect::Sqlite => 1,
    }
}

/// Renders every placeholder of `template` except `{rows}`.
pub(in crate::store) fn render(dialect: Dialect, template: &str) -> String {
    let (lock, find, from): (_, RenderPlaceholder, RenderPlaceholder) = match dialect {
        Dialect::Postgres => (" FOR UPDATE OF b", join_lateral, update_lateral),
        Dialect::Sqlite => ("", join, update_from),
    };
    let found = render_placeholders(template, "{find ", find);
    render_placeholders(&found, "{from ", from).replace("{lock}", lock)
}

/// Renders the rows as a table expression with alias `r`; its first argument has number `first`.
pub(in crate::store) fn render_rows(dialect: Dialect, columns: &[Column], first: usize) -> String {
    match dialect {
        Dialect::Postgres => unnest(columns, first),
        Dialect::Sqlite => json_each(columns, first),
    }
}

/// Reads one row of a result, by position. Debug builds check that the result names its columns in
/// the order of `columns`, because two swapped texts would be read without an error.
pub(in crate::store) fn read_row(
    row: &AnyRow,
    columns: &[Column],
) -> Result<Vec<Value>, StoreError> {
    let value = |(index, column): (usize, &Column)| match column.kind {
        _ if cfg!(debug_assertions) && row.try_column(index)?.name() != column.name => {
            Err(StoreError::ColumnOrder(column.name))
        }
        ColumnKind::Number => Ok(row.try_get::<Option<i64>, _>(index)?.into()),
        ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
            Ok(row.try_get::<Option<String>, _>(index)?.into())
        }
    };
    columns.iter().enumerate().map(value).collect()
}

/// The comma-separated names of `columns`, each with `prefix`.
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
    // `jsonb_each`, because `json_each` would render every row as text and each `json_extract`
    // would parse it again.
    format!("(SELECT {} FROM jsonb_each(${number})) AS r", values.join(", "))
}

/// Renders one `{find TABLE ALIAS: CONDITION}` or `{from TABLE: CONDITION}` from the part before
/// the colon and the part after it.
type RenderPlaceholder = fn(&str, &str) -> String;

fn join(table: &str, condition: &str) -> String {
    format!("JOIN {table} ON {condition}")
}

/// Looks the table up once per passed row, whatever PostgreSQL's planner estimates: a plan that was
/// cached while the table was empty would read all of it. `OFFSET 0` keeps the planner from
/// flattening the subquery.
fn join_lateral(table: &str, condition: &str) -> String {
    let name = table.rsplit(' ').next().unwrap_or(table);
    format!("CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) AS {name}")
}

fn update_from(_table: &str, condition: &str) -> String {
    format!("FROM {{rows}} WHERE {condition}")
}

/// Looks up the `ctid` of each row first, for the reason given at [`join_lateral`].
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

/// Splits `text` at the first placeholder that begins with `opening`: the text before it, its
/// content, and the text after it.
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
        // Infallible: strings and numbers always serialise, and writing to a vector cannot fail.
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

/// Estimates the encoded length of a value in bytes, so that the buffer seldom has to grow.
const fn encoded_len(value: &Value) -> usize {
    match value {
        // Two quotes, a comma and two bytes for escapes.
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
