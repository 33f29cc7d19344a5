//! Reads all rows that prove the ledger of a programme, budget by budget, in one snapshot.
//!
//! The hot tables deliberately have no index by budget. Each table is therefore sorted once by
//! budget, and all tables are merged in that order, so that memory holds the rows of only one
//! budget, whatever the size of the programme. PostgreSQL sorts behind a cursor; SQLite, which has
//! no SQL cursors, sorts into a temporary table that ends with the transaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::id::ProgrammeId;
use crate::ledger::posting::{JOURNAL, POSTING};
use crate::ledger::record::agreement::{AGREEMENT, TERM};
use crate::ledger::record::decision::DECISION;
use crate::ledger::record::event::{ISSUER_EVENT, PRESENTMENT};
use crate::ledger::record::purchase::{HOLD, PURCHASE};
use crate::ledger::record::row::{RowReader, Table, Value, columns};
use crate::ledger::seal::{SEAL, Seal};
use crate::store::programme::programmes::{BUDGET, LOAD};
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::{COUNTER, PERMISSION_USES, POT, WITHDRAWAL};
use crate::store::{Dialect, StoreError, Tx};

/// The number of rows in a page.
const PAGE_SIZE: usize = 2_000;

/// Every table that is read by budget, and the order of its rows within one budget.
static PROVED_TABLES: [(&Table, &str); 14] = [
    (&BUDGET, "programme_id"),
    (&POSTING, "seq, posting_id"),
    (&JOURNAL, "posting_id, line"),
    (&POT, "pot_id"),
    (&COUNTER, "scope, period, first_day"),
    (&PURCHASE, "connection_id, reference"),
    (&HOLD, "purchase_id, position, pot_id"),
    (&DECISION, "connection_id, reference"),
    (&WITHDRAWAL, "connection_id, reference"),
    (&PRESENTMENT, "connection_id, reference"),
    (&LOAD, "pot_id, load_id"),
    (&AGREEMENT, "version"),
    (&TERM, "version, position"),
    (&PERMISSION_USES, "permission_id"),
];

/// All rows of one budget in the proved tables.
#[derive(Debug, Default)]
pub struct LedgerRows {
    /// The identifier as stored. It may be invalid or have no row in `budget`.
    pub budget: String,
    rows: BTreeMap<&'static str, Vec<Vec<Value>>>,
}

impl LedgerRows {
    /// The rows of `table`, in the order given in `PROVED_TABLES`.
    pub fn of(&self, table: &Table) -> &[Vec<Value>] {
        self.rows.get(table.name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every proved table with its rows, which may be none.
    pub fn tables(&self) -> impl Iterator<Item = (&'static Table, &[Vec<Value>])> {
        PROVED_TABLES.iter().map(|(table, _)| (*table, self.of(table)))
    }
}

/// A merge of all proved tables of a programme, in the order of their budgets.
#[derive(Debug)]
pub struct LedgerScan {
    cursors: Vec<TableCursor>,
}

/// One table, sorted by budget.
#[derive(Debug)]
struct TableCursor {
    table: &'static Table,
    /// The number of rows read so far.
    read: i64,
    buffered: VecDeque<Vec<Value>>,
    has_more: bool,
}

impl TableCursor {
    fn next_budget(&self) -> Option<&str> {
        self.buffered.front().map(|row| self.table.text(row, "budget_id"))
    }
}

/// The SQL that sorts a table and reads a page of the result.
struct CursorSql {
    /// A proof reads everything, which takes longer than PostgreSQL's `statement_timeout` allows.
    disable_statement_timeout: Option<&'static str>,
    sort: &'static str,
    page: &'static str,
}

impl CursorSql {
    const fn of(dialect: Dialect) -> Self {
        match dialect {
            // Compares by bytes, like SQLite and Rust, so that the merge agrees on the next budget.
            Dialect::Postgres => Self {
                disable_statement_timeout: Some("SET LOCAL statement_timeout = 0"),
                sort: "DECLARE proof_{table} NO SCROLL CURSOR FOR SELECT {columns} FROM {table} \
                       WHERE programme_id = $1 ORDER BY budget_id COLLATE \"C\", {order}",
                page: "FETCH {most} FROM proof_{table}",
            },
            Dialect::Sqlite => Self {
                disable_statement_timeout: None,
                sort: "CREATE TEMP TABLE proof_{table} AS SELECT {columns} FROM {table} \
                       WHERE programme_id = $1 ORDER BY budget_id, {order}",
                page: "SELECT {columns} FROM proof_{table} WHERE rowid > {read} \
                       ORDER BY rowid LIMIT {most}",
            },
        }
    }
}

/// Fills in the placeholders `{columns}` and `{table}`, which both texts of a [`CursorSql`] use.
fn fill_template(text: &str, table: &Table) -> String {
    text.replace("{columns}", &names(table.columns, "")).replace("{table}", table.name)
}

impl Tx {
    /// The identifier of every programme that has any proved row, issuer event or seal, in order,
    /// whether or not the programme exists.
    pub async fn programmes_with_rows(&mut self) -> Result<Vec<String>, StoreError> {
        self.disable_statement_timeout().await?;
        let tables = PROVED_TABLES.iter().map(|(table, _)| table.name);
        let tables = tables.chain([ISSUER_EVENT.name, SEAL.name]);
        let others: String = tables
            .map(|table| format!(" UNION SELECT programme_id FROM {table}"))
            .collect::<Vec<_>>()
            .concat();
        let sql = format!("SELECT programme_id FROM programme{others} ORDER BY 1");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(self.connection()).await?;
        let columns = columns![Key "programme_id"];
        let mut programmes = Vec::new();
        for row in &rows {
            let row = read_row(row, columns)?;
            programmes.push(RowReader::new(&BUDGET, &row).text()?.to_owned());
        }
        Ok(programmes)
    }

    /// Sorts every proved table of `programme` by budget, in this snapshot.
    pub async fn scan_ledger(&mut self, programme: &str) -> Result<LedgerScan, StoreError> {
        self.disable_statement_timeout().await?;
        let cursor_sql = CursorSql::of(self.statements.dialect);
        let mut cursors = Vec::new();
        for (table, order) in &PROVED_TABLES {
            let sql = fill_template(cursor_sql.sort, table).replace("{order}", order);
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(programme);
            query.execute(self.connection()).await?;
            cursors.push(TableCursor { table, read: 0, buffered: VecDeque::new(), has_more: true });
        }
        Ok(LedgerScan { cursors })
    }

    /// The rows of the next budget; `None` after the last one.
    pub async fn next_ledger_rows(
        &mut self,
        scan: &mut LedgerScan,
    ) -> Result<Option<LedgerRows>, StoreError> {
        for cursor in &mut scan.cursors {
            self.read_page(cursor).await?;
        }
        let Some(budget) = scan.cursors.iter().filter_map(TableCursor::next_budget).min() else {
            return Ok(None);
        };
        let mut ledger_rows = LedgerRows { budget: budget.to_owned(), rows: BTreeMap::new() };
        for cursor in &mut scan.cursors {
            let rows = ledger_rows.rows.entry(cursor.table.name).or_default();
            while cursor.next_budget() == Some(&ledger_rows.budget) {
                rows.extend(cursor.buffered.pop_front());
                self.read_page(cursor).await?;
            }
        }
        Ok(Some(ledger_rows))
    }

    async fn read_page(&mut self, cursor: &mut TableCursor) -> Result<(), StoreError> {
        if !cursor.buffered.is_empty() || !cursor.has_more {
            return Ok(());
        }
        let page = CursorSql::of(self.statements.dialect).page;
        let sql = fill_template(page, cursor.table)
            .replace("{read}", &cursor.read.to_string())
            .replace("{most}", &PAGE_SIZE.to_string());
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let rows = query.fetch_all(self.connection()).await?;
        cursor.has_more = rows.len() == PAGE_SIZE;
        cursor.read = cursor.read.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        for row in &rows {
            cursor.buffered.push_back(read_row(row, cursor.table.columns)?);
        }
        Ok(())
    }

    /// Those issuer events of `keys` (connection, reference) that exist, as rows.
    pub async fn events_by_reference(
        &mut self,
        programme: &str,
        keys: &[(&str, &str)],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let statements = Arc::clone(&self.statements);
        let mut events = Vec::new();
        for page in keys.chunks(PAGE_SIZE) {
            let keys: Vec<_> = page
                .iter()
                .map(|(connection, reference)| {
                    vec![programme.into(), (*connection).into(), (*reference).into()]
                })
                .collect();
            let columns = ISSUER_EVENT.columns;
            events.extend(statements.events.fetch(self.connection(), &keys, columns).await?);
        }
        Ok(events)
    }

    /// Issuer events in the state `booked` or `parked` that no posting, presentment or parked row
    /// refers to, as `connection/reference`, at most 100; and the number of all issuer events.
    pub async fn events_without_posting(
        &mut self,
        programme: &str,
    ) -> Result<(Vec<String>, i64), StoreError> {
        let sql = "SELECT connection_id || '/' || reference AS reference FROM issuer_event \
                   WHERE programme_id = $1 AND state IN ('booked', 'parked') \
                   EXCEPT SELECT connection_id || '/' || reference FROM parked \
                   WHERE programme_id = $1 \
                   EXCEPT SELECT connection_id || '/' || event_reference FROM presentment \
                   WHERE programme_id = $1 \
                   EXCEPT SELECT subject FROM posting \
                   WHERE programme_id = $1 AND kind IN ('standing', 'dispute') \
                   ORDER BY 1 LIMIT 100";
        let rows = sqlx::query(sql).bind(programme).fetch_all(self.connection()).await?;
        let mut found = Vec::new();
        for row in &rows {
            let row = read_row(row, columns![Key "reference"])?;
            found.push(RowReader::new(&ISSUER_EVENT, &row).text()?.to_owned());
        }
        let sql = "SELECT COUNT(*) AS count FROM issuer_event WHERE programme_id = $1";
        let row = sqlx::query(sql).bind(programme).fetch_one(self.connection()).await?;
        let row = read_row(&row, columns![Number "count"])?;
        Ok((found, RowReader::new(&ISSUER_EVENT, &row).number()?))
    }

    /// The currency of most budgets of a programme; `None` if it has none. An intact programme has
    /// only one currency.
    pub async fn most_used_currency(
        &mut self,
        programme: &str,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT currency FROM budget WHERE programme_id = $1 \
                   GROUP BY currency ORDER BY COUNT(*) DESC, currency LIMIT 1";
        let row = sqlx::query(sql).bind(programme).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, columns![Text "currency"])?;
        Ok(Some(RowReader::new(&BUDGET, &row).text()?.to_owned()))
    }

    /// Up to 100 seals of `programme` with a number above `number`, as rows, in order.
    pub async fn seals_after(
        &mut self,
        programme: &str,
        number: i64,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM seal WHERE programme_id = $1 AND number > $2 \
             ORDER BY number, seal_id LIMIT 100",
            names(SEAL.columns, "")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(programme).bind(number);
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(|row| read_row(row, SEAL.columns)).collect()
    }

    /// Up to a page of budgets of `programme` with an identifier above `budget`, as rows, in order.
    pub async fn budgets_after(
        &mut self,
        programme: &ProgrammeId,
        budget: &str,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM budget WHERE programme_id = $1 AND budget_id > $2 \
             ORDER BY budget_id LIMIT {PAGE_SIZE}",
            names(BUDGET.columns, "")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string()).bind(budget);
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(|row| read_row(row, BUDGET.columns)).collect()
    }

    /// The loaded, held, spent and left totals of all pots of `programme`, then the exposure,
    /// suspense and disputed totals of all its purchases, in minor units.
    pub async fn totals(&mut self, programme: &ProgrammeId) -> Result<[i64; 7], StoreError> {
        let sum = |column: &str| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT) AS {column}");
        let sql = format!(
            "SELECT {}, {}, {}, {} FROM pot WHERE programme_id = $1",
            sum("loaded_minor"),
            sum("held_minor"),
            sum("spent_minor"),
            sum("left_minor")
        );
        let four = columns![
            Number "loaded_minor", Number "held_minor", Number "spent_minor", Number "left_minor",
        ];
        let pots = self.sum_row(sql, programme, four).await?;
        let sql = format!(
            "SELECT {}, {}, {} FROM purchase WHERE programme_id = $1",
            sum("exposure_minor"),
            sum("suspense_minor"),
            sum("disputed_minor")
        );
        let three = columns![
            Number "exposure_minor", Number "suspense_minor", Number "disputed_minor",
        ];
        let purchases = self.sum_row(sql, programme, three).await?;
        let (mut pots, mut purchases) =
            (RowReader::new(&POT, &pots), RowReader::new(&PURCHASE, &purchases));
        Ok([
            pots.number()?,
            pots.number()?,
            pots.number()?,
            pots.number()?,
            purchases.number()?,
            purchases.number()?,
            purchases.number()?,
        ])
    }

    async fn sum_row(
        &mut self,
        sql: String,
        programme: &ProgrammeId,
        columns: &[crate::ledger::record::row::Column],
    ) -> Result<Vec<Value>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string());
        read_row(&query.fetch_one(self.connection()).await?, columns)
    }

    /// When `programme` was last sealed, or else when its first settings were applied; `None` if
    /// neither happened.
    pub async fn last_sealed_at(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT COALESCE( \
                   (SELECT sealed_at FROM seal WHERE programme_id = $1 \
                    ORDER BY number DESC LIMIT 1), \
                   (SELECT applied_at FROM programme_version WHERE programme_id = $1 \
                    ORDER BY version LIMIT 1)) AS sealed_at";
        let row = sqlx::query(sql).bind(programme.to_string()).fetch_one(self.connection());
        let row = read_row(&row.await?, columns![Number "sealed_at"])?;
        Ok(RowReader::new(&SEAL, &row).optional(RowReader::instant)?)
    }

    /// Adds a seal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a seal of that number exists.
    pub async fn add_seal(&mut self, seal: &Seal) -> Result<(), StoreError> {
        let sql = "INSERT INTO seal \
                   (programme_id, seal_id, number, sealed_at, heads, totals, root) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let mut query = sqlx::query(sql);
        for value in seal.row() {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
                Value::Null => query.bind(None::<String>),
            };
        }
        let written = query.execute(self.connection()).await?.rows_affected();
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("seal")) }
    }

    /// Disables the statement timeout for this transaction.
    pub async fn disable_statement_timeout(&mut self) -> Result<(), StoreError> {
        if let Some(sql) = CursorSql::of(self.statements.dialect).disable_statement_timeout {
            sqlx::query(sql).execute(self.connection()).await?;
        }
        Ok(())
    }
}
