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

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::posting::{JournalRow, PostingRow};
use crate::ledger::record::agreement::{AgreementRow, TermRow};
use crate::ledger::record::decision::DecisionRow;
use crate::ledger::record::event::{IssuerEventRow, PresentmentRow};
use crate::ledger::record::purchase::{HoldRow, PurchaseRow};
use crate::ledger::record::row::{Digest, Table, Value};
use crate::ledger::record::table::{Record as _, record};
use crate::ledger::seal::Seal;
use crate::store::people::persons::BudgetRow;
use crate::store::pot::counters::CounterRow;
use crate::store::pot::permissions::PermissionUsesRow;
use crate::store::pot::pots::PotRow;
use crate::store::programme::budgets::LoadRow;
use crate::store::purchase::withdrawals::WithdrawalRow;
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::record::{OnConflict, select_sql};
use crate::store::{Dialect, StoreError, Tx};

/// The number of rows in a page.
const PAGE_SIZE: usize = 2_000;

/// Every table that is read by budget, and the order of its rows within one budget.
static PROVED_TABLES: [(&Table, &str); 14] = [
    (BudgetRow::TABLE, "programme_id"),
    (PostingRow::TABLE, "seq, posting_id"),
    (JournalRow::TABLE, "posting_id, line"),
    (PotRow::TABLE, "pot_id"),
    (CounterRow::TABLE, "scope, period, first_day"),
    (PurchaseRow::TABLE, "connection_id, reference"),
    (HoldRow::TABLE, "purchase_id, position, pot_id"),
    (DecisionRow::TABLE, "connection_id, reference"),
    (WithdrawalRow::TABLE, "connection_id, reference"),
    (PresentmentRow::TABLE, "connection_id, reference"),
    (LoadRow::TABLE, "pot_id, load_id"),
    (AgreementRow::TABLE, "version"),
    (TermRow::TABLE, "version, position"),
    (PermissionUsesRow::TABLE, "permission_id"),
];

record! {
    /// The head of the chain of a budget.
    pub struct HeadRow in "budget" key(programme_id, budget_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub head_seq: i64,
        pub head_hash: Digest,
    }
}

record! {
    /// The totals of all pots and of all purchases of a programme.
    struct TotalsRow in "pot" key() {
        loaded_minor: i64,
        held_minor: i64,
        spent_minor: i64,
        left_minor: i64,
        exposure_minor: i64,
        suspense_minor: i64,
        disputed_minor: i64,
    }
}

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
        let tables = tables.chain([IssuerEventRow::TABLE.name, Seal::TABLE.name]);
        let others: String = tables
            .map(|table| format!(" UNION SELECT programme_id FROM {table}"))
            .collect::<Vec<_>>()
            .concat();
        let sql = format!("SELECT programme_id FROM programme{others} ORDER BY 1");
        self.fetch_scalars(sql, &[]).await
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
            let columns = IssuerEventRow::TABLE.columns;
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
        let sql = "SELECT connection_id || '/' || reference FROM issuer_event \
                   WHERE programme_id = $1 AND state IN ('booked', 'parked') \
                   EXCEPT SELECT connection_id || '/' || reference FROM parked \
                   WHERE programme_id = $1 \
                   EXCEPT SELECT connection_id || '/' || event_reference FROM presentment \
                   WHERE programme_id = $1 \
                   EXCEPT SELECT subject FROM posting \
                   WHERE programme_id = $1 AND kind IN ('standing', 'dispute') \
                   ORDER BY 1 LIMIT 100";
        let found = self.fetch_scalars(sql, &[&programme]).await?;
        let sql = "SELECT COUNT(*) FROM issuer_event WHERE programme_id = $1";
        let count = self.fetch_scalar(sql, &[&programme]).await?;
        Ok((found, count.unwrap_or_default()))
    }

    /// The currency of most budgets of a programme; `None` if it has none. An intact programme has
    /// only one currency.
    pub async fn most_used_currency(
        &mut self,
        programme: &str,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT currency FROM budget WHERE programme_id = $1 \
                   GROUP BY currency ORDER BY COUNT(*) DESC, currency LIMIT 1";
        self.fetch_scalar(sql, &[&programme]).await
    }

    /// Up to 100 seals of `programme` with a number above `number`, as rows, in order.
    pub async fn seals_after(
        &mut self,
        programme: &str,
        number: i64,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = select_sql(
            Seal::TABLE,
            "WHERE programme_id = $1 AND number > $2 ORDER BY number, seal_id LIMIT 100",
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(programme).bind(number);
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(|row| read_row(row, Seal::TABLE.columns)).collect()
    }

    /// Up to a page of the heads of `programme` whose budget has an identifier above `budget`, in
    /// order.
    pub async fn heads_after(
        &mut self,
        programme: &ProgrammeId,
        budget: &str,
    ) -> Result<Vec<HeadRow>, StoreError> {
        let sql = format!(
            "WHERE programme_id = $1 AND budget_id > $2 ORDER BY budget_id LIMIT {PAGE_SIZE}"
        );
        self.fetch_all(sql, &[programme, &budget]).await
    }

    /// The loaded, held, spent and left totals of all pots of `programme`, then the exposure,
    /// suspense and disputed totals of all its purchases, in minor units.
    pub async fn totals(&mut self, programme: &ProgrammeId) -> Result<[i64; 7], StoreError> {
        let sums = |columns: &[&str]| {
            let sum = |column| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT) AS {column}");
            columns.iter().map(sum).collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "SELECT {{columns}} FROM (SELECT {} FROM pot WHERE programme_id = $1) AS pots, \
             (SELECT {} FROM purchase WHERE programme_id = $1) AS purchases",
            sums(&["loaded_minor", "held_minor", "spent_minor", "left_minor"]),
            sums(&["exposure_minor", "suspense_minor", "disputed_minor"])
        );
        let row: Option<TotalsRow> = self.fetch_optional(sql, &[programme]).await?;
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        Ok([
            row.loaded_minor,
            row.held_minor,
            row.spent_minor,
            row.left_minor,
            row.exposure_minor,
            row.suspense_minor,
            row.disputed_minor,
        ])
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
                    ORDER BY version LIMIT 1))";
        let sealed_at: Option<Option<Timestamp>> = self.fetch_scalar(sql, &[programme]).await?;
        Ok(sealed_at.flatten())
    }

    /// Adds a seal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a seal of that number exists.
    pub async fn add_seal(&mut self, seal: &Seal) -> Result<(), StoreError> {
        let written = self.put(std::slice::from_ref(seal), OnConflict::Keep).await?;
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("seal")) }
    }

    /// Disables the statement timeout for this transaction.
    pub async fn disable_statement_timeout(&mut self) -> Result<(), StoreError> {
        if let Some(sql) = CursorSql::of(self.statements.dialect).disable_statement_timeout {
            self.execute(sql, &[]).await?;
        }
        Ok(())
    }
}
