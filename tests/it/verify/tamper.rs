//! Changes rows without the gateway, with all triggers and constraints of the database disabled.

use sayso::ledger::posting::{JournalRow, PostingRow};
use sayso::ledger::record::agreement::{AgreementRow, TermRow};
use sayso::ledger::record::decision::DecisionRow;
use sayso::ledger::record::event::{IssuerEventRow, PresentmentRow};
use sayso::ledger::record::purchase::{HoldRow, PurchaseRow};
use sayso::ledger::record::row::{Column, ColumnKind, Table, Value};
use sayso::ledger::record::table::Record as _;
use sayso::ledger::seal::Seal;
use sayso::store::{BudgetRow, CounterRow, LoadRow, PotRow, WithdrawalRow};
use sqlx::error::DatabaseError;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};

use crate::support::{DatabaseKind, TestDatabase};

static TABLES: [&Table; 15] = [
    BudgetRow::TABLE,
    PotRow::TABLE,
    CounterRow::TABLE,
    PurchaseRow::TABLE,
    HoldRow::TABLE,
    DecisionRow::TABLE,
    WithdrawalRow::TABLE,
    IssuerEventRow::TABLE,
    PresentmentRow::TABLE,
    LoadRow::TABLE,
    PostingRow::TABLE,
    JournalRow::TABLE,
    AgreementRow::TABLE,
    TermRow::TABLE,
    Seal::TABLE,
];

/// A seeded random number generator.
pub(super) struct SeededRandom(pub(super) u64);

impl SeededRandom {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).unwrap()).unwrap()
    }
}

#[derive(Debug, Clone)]
pub(super) struct StoredRow {
    pub(super) table: &'static Table,
    values: Vec<Value>,
    is_last: bool,
}

impl StoredRow {
    /// Whether a finding in `table` detects a change of this row: in its own table, or in one that
    /// refers to it.
    pub(super) fn is_named_by(&self, table: &str) -> bool {
        let vouchers: &[&str] = match self.table.name {
            "hold" => &["purchase"],
            "term" => &["agreement"],
            "issuer_event" => &["presentment"],
            // A missing last posting is detected by the budget, and by its own transfers.
            "posting" => &["budget", "journal"],
            _ => &[],
        };
        table == self.table.name || table == "posting" || vouchers.contains(&table)
    }

    pub(super) fn is_last_seal(&self) -> bool {
        self.table.name == "seal" && self.is_last
    }

    pub(super) fn is_of(&self, programme: &str) -> bool {
        self.table.text(&self.values, "programme_id") == programme
    }

    /// The same row under another key of the same budget.
    pub(super) fn with_another_key(&self) -> Self {
        let mut extra = self.clone();
        let is_free = |column: &Column| !matches!(column.name, "programme_id" | "connection_id");
        let columns = self.table.columns;
        let number = columns.iter().position(|c| matches!(c.name, "version" | "line" | "number"));
        let text = columns.iter().rposition(|c| c.kind == ColumnKind::Key && is_free(c));
        for at in [number, text].into_iter().flatten() {
            match &mut extra.values[at] {
                Value::Number(number) => *number += 70,
                Value::Text(_) if self.table.name == "term" || self.table.name == "agreement" => {}
                Value::Text(text) => {
                    let last = text.pop().unwrap();
                    text.push(if last == 'e' { 'f' } else { 'e' });
                }
                Value::Null => {}
            }
        }
        extra
    }
}

/// A change of one value.
#[derive(Debug)]
pub(super) struct ValueChange {
    #[expect(dead_code, reason = "shown when the change is not found")]
    column: &'static str,
    pub(super) old: StoredRow,
    pub(super) new: StoredRow,
}

impl ValueChange {
    pub(super) fn is_named_by(&self, table: &str) -> bool {
        self.old.is_named_by(table)
    }
}

/// All verified rows, and a connection without triggers and constraints.
pub(super) struct Database {
    connection: AnyConnection,
    kind: DatabaseKind,
    rows: Vec<StoredRow>,
}

impl Database {
    pub(super) async fn open(database: &TestDatabase) -> Self {
        let mut connection = AnyConnection::connect(&database.url).await.unwrap();
        let guards: &[&str] = match database.kind {
            DatabaseKind::Sqlite => &[
                "PRAGMA ignore_check_constraints = ON",
                "PRAGMA foreign_keys = OFF",
                "PRAGMA busy_timeout = 2000",
                "DROP TRIGGER posting_is_never_updated",
                "DROP TRIGGER posting_is_never_deleted",
                "DROP TRIGGER journal_is_never_updated",
                "DROP TRIGGER journal_is_never_deleted",
            ],
            DatabaseKind::Postgres => &["SET session_replication_role = replica"],
        };
        for guard in guards {
            connection.execute(*guard).await.unwrap();
        }
        let mut rows = Vec::new();
        for table in TABLES {
            rows.extend(read(&mut connection, table).await);
        }
        Self { connection, kind: database.kind, rows }
    }

    /// Every row that is verified. Events in state `kept` are not booked, so they are excluded.
    pub(super) fn rows(&self) -> Vec<StoredRow> {
        let is_kept = |row: &&StoredRow| row.table.text(&row.values, "state") == "kept";
        self.rows.iter().filter(|row| !is_kept(row)).cloned().collect()
    }

    /// An endless sequence of changes of one value, over every column of every table in turn.
    pub(super) fn changes(
        &self,
        mut random: SeededRandom,
    ) -> impl Iterator<Item = ValueChange> + use<> {
        let rows = self.rows();
        let columns =
            TABLES.iter().flat_map(|table| (0..table.columns.len()).map(|at| (*table, at)));
        columns.collect::<Vec<_>>().into_iter().cycle().filter_map(move |(table, at)| {
            let is_said = |row: &&StoredRow| match &row.values[at] {
                Value::Text(text) => !text.is_empty(),
                Value::Number(_) => true,
                Value::Null => false,
            };
            let of_table = rows.iter().filter(|row| row.table.name == table.name);
            let said: Vec<_> = of_table.filter(is_said).collect();
            let old = said.get(random.below(said.len().max(1))).copied()?.clone();
            let mut new = old.clone();
            match &mut new.values[at] {
                Value::Text(text) => *text = with_one_change(text, &mut random),
                Value::Number(number) => match random.below(3) {
                    0 => *number += 1,
                    1 => *number -= 1,
                    _ => *number ^= 1 << random.below(40),
                },
                Value::Null => return None,
            }
            Some(ValueChange { column: table.columns[at].name, old, new })
        })
    }

    /// Replaces `old` by `new`; false if the database rejected it.
    pub(super) async fn replace(&mut self, old: &StoredRow, new: &StoredRow) -> bool {
        let kind = self.kind;
        let mut tx = self.connection.begin().await.unwrap();
        assert_eq!(delete(&mut tx, old).await, 1, "{old:?}");
        if let Err(error) = insert(&mut tx, new).await {
            // SQLite checks no constraints here, except for unique keys.
            let is_unique =
                error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
            assert!(is_unique || kind == DatabaseKind::Postgres, "{error}");
            tx.rollback().await.unwrap();
            return false;
        }
        tx.commit().await.unwrap();
        true
    }

    pub(super) async fn delete(&mut self, row: &StoredRow) {
        assert_eq!(delete(&mut self.connection, row).await, 1, "{row:?}");
    }

    pub(super) async fn insert(&mut self, row: &StoredRow) {
        insert(&mut self.connection, row).await.unwrap();
    }
}

fn with_one_change(text: &str, random: &mut SeededRandom) -> String {
    let mut characters: Vec<_> = text.chars().collect();
    let at = random.below(characters.len());
    let old = characters[at];
    characters[at] = match random.below(3) {
        // Another letter of the same kind, where there is one.
        0 if old.is_ascii_lowercase() => old.to_ascii_uppercase(),
        1 if old.is_ascii_digit() => {
            char::from_digit((old.to_digit(10).unwrap() + 1) % 10, 10).unwrap()
        }
        _ if old == 'x' => 'y',
        _ => 'x',
    };
    characters.into_iter().collect()
}

async fn read(connection: &mut AnyConnection, table: &'static Table) -> Vec<StoredRow> {
    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
    let sql = format!("SELECT {} FROM {}", names.join(", "), table.name);
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    let value = |row: &sqlx::any::AnyRow, at: usize| match table.columns[at].kind {
        ColumnKind::Number => Value::from(row.get::<Option<i64>, _>(at)),
        ColumnKind::Key | ColumnKind::Text | ColumnKind::Erasable | ColumnKind::Added => {
            Value::from(row.get::<Option<String>, _>(at))
        }
    };
    let values = |row| (0..table.columns.len()).map(|at| value(row, at)).collect();
    let mut rows: Vec<_> =
        found.iter().map(|row| StoredRow { table, values: values(row), is_last: false }).collect();
    rows.sort_by_key(|row| table.number(&row.values, "number"));
    if let Some(last) = rows.last_mut() {
        last.is_last = true;
    }
    rows
}

async fn delete(connection: &mut AnyConnection, row: &StoredRow) -> u64 {
    let mut conditions = Vec::new();
    let mut bound = Vec::new();
    for (column, value) in row.table.columns.iter().zip(&row.values) {
        if *value == Value::Null {
            conditions.push(format!("{} IS NULL", column.name));
        } else {
            bound.push((column.kind, value));
            conditions.push(format!("{} = ${}", column.name, bound.len()));
        }
    }
    let sql = format!("DELETE FROM {} WHERE {}", row.table.name, conditions.join(" AND "));
    bind(&sql, &bound).execute(connection).await.unwrap().rows_affected()
}

async fn insert(connection: &mut AnyConnection, row: &StoredRow) -> Result<(), sqlx::Error> {
    let names: Vec<_> = row.table.columns.iter().map(|column| column.name).collect();
    let places: Vec<_> = (1..=names.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        row.table.name,
        names.join(", "),
        places.join(", ")
    );
    let bound: Vec<_> = row.table.columns.iter().map(|c| c.kind).zip(&row.values).collect();
    bind(&sql, &bound).execute(connection).await.map(|_| ())
}

fn bind(
    sql: &str,
    values: &[(ColumnKind, &Value)],
) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for (kind, value) in values {
        query = match (value, kind) {
            (Value::Text(text), _) => query.bind(text.clone()),
            (Value::Number(number), _) => query.bind(*number),
            (Value::Null, ColumnKind::Number) => query.bind(None::<i64>),
            (Value::Null, _) => query.bind(None::<String>),
        };
    }
    query
}
