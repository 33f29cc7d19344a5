//! The only module that knows SQL: SQLite and PostgreSQL behind one set of methods.
//!
//! A database future is never dropped half-way: whoever starts a [`Tx`] runs it to its end in a
//! task of its own (sqlx 0.9 can leave a pooled connection inside a half-begun transaction).

mod agreements;
mod batch;
mod books;
mod close;
mod inquiry;
mod owners;
mod people;
mod plans;
mod programmes;
mod proof;
mod reports;
mod statements;
mod upkeep;
mod writing;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};

pub use self::agreements::Agreements;
pub use self::books::{BookWanted, Books, CardBudget, Expected, OpenBook, ReferenceKey};
pub use self::close::{Additions, NewMessage, Note, Parked};
pub use self::owners::{CardKey, CardOwners};
pub use self::people::PersonRow;
pub use self::plans::Plan;
pub use self::programmes::{BUDGET, LOAD, POT_PLAN, ProgrammeRow, SecretRow, pot_plan_digest};
pub use self::proof::{Evidence, EvidenceScan};
pub use self::reports::{DECISIONS_FOUND_MOST, ExceptionRow, MessageRow, ProgrammeSums};
use self::statements::Statements;
pub use self::statements::{COUNTER, POT, WITHDRAWAL};
pub use self::upkeep::OpenPurchase;
use crate::record::row::CorruptRow;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The database whose addresses begin with `scheme`.
    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }
}

/// Why the store could not do what was asked. Nothing of the transaction has been kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused or could not be reached")]
    Database(#[from] sqlx::Error),
    /// No transaction could be begun.
    #[error("the database cannot be written to")]
    Unavailable(#[source] sqlx::Error),
    /// The connection was lost while the database was committing: look whether it did.
    #[error("the commit was not confirmed; it may have gone through")]
    InDoubt(#[source] sqlx::Error),
    #[error("the migrations could not be applied")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Corrupt(#[from] CorruptRow),
    /// Somebody else changed the row first: run the whole transaction again.
    #[error("another transaction was first at {0}")]
    Contended(&'static str),
    #[error("{0:?} is no database address: use sqlite:FILE or postgres://…")]
    UnknownScheme(String),
}

impl StoreError {
    /// Whether the same transaction may succeed when it is run again: a lock that somebody held, a
    /// deadlock, a serialisation failure, a lost connection, or another transaction that was first.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => is_lost(error) || is_conflict(error),
            Self::Unavailable(_) | Self::InDoubt(_) | Self::Contended(_) => true,
            Self::Migration(_) | Self::Corrupt(_) | Self::UnknownScheme(_) => false,
        }
    }

    /// Whether the database as a whole is to blame, and no single row of the transaction.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_lost(error),
            Self::Unavailable(_) | Self::InDoubt(_) => true,
            Self::Migration(_) | Self::Corrupt(_) | Self::Contended(_) | Self::UnknownScheme(_) => {
                false
            }
        }
    }
}

/// Whether the connection broke or its server went away.
fn is_lost(error: &sqlx::Error) -> bool {
    // SQLSTATE classes of PostgreSQL: connection exception, operator intervention (57014 is our
    // own statement_timeout), and 25006, which a server says that is no primary any more.
    let is_code = |code: &str| {
        code.starts_with("08") || (code.starts_with("57") && code != "57014") || code == "25006"
    };
    if let sqlx::Error::Database(error) = error {
        return error.code().is_some_and(|code| is_code(&code));
    }
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
}

/// Whether another transaction was in the way.
fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    // SQLSTATE of PostgreSQL, primary result code of SQLite (busy, locked).
    let code = error.code().unwrap_or_default();
    matches!(&*code, "40001" | "40P01" | "55P03" | "5" | "6" | "261" | "517")
}

/// A database with its connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    dialect: Dialect,
    /// Decisions and events only. One connection on SQLite, which has one writer.
    writers: AnyPool,
    /// Everything that only reads.
    readers: AnyPool,
    statements: Arc<Statements>,
}

/// One database transaction. Dropping it without [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    statements: Arc<Statements>,
}

/// How many connections a store opens.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Ignored on SQLite, which has one writer.
    pub writers: u32,
    pub readers: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self { writers: 4, readers: 4 }
    }
}

impl Store {
    /// Connects to `url` and applies the migrations that are missing.
    pub async fn open(url: &str, connections: Connections) -> Result<Self, StoreError> {
        let store = Self::connect(url, connections).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Connects to `url`: `sqlite:FILE` or `postgres://…`.
    pub async fn connect(url: &str, connections: Connections) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let scheme = url.split(':').next().unwrap_or_default();
        let dialect = Dialect::of_scheme(scheme)
            .ok_or_else(|| StoreError::UnknownScheme(url.chars().take(12).collect()))?;
        let (address, writers) = match dialect {
            Dialect::Sqlite => (sqlite_address(url), 1),
            Dialect::Postgres => (url.to_owned(), connections.writers),
        };
        let options = AnyConnectOptions::from_str(&address)?;
        // One connection first: it says what is wrong, where a pool only says that it waited.
        AnyConnection::connect_with(&options).await?.close().await?;
        Ok(Self {
            dialect,
            writers: pool(dialect, Role::Writer, writers, &options).await?,
            readers: pool(dialect, Role::Reader, connections.readers, &options).await?,
            statements: Arc::new(Statements::new(dialect)),
        })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.writers.acquire().await?;
        let migrations = match self.dialect {
            Dialect::Sqlite => sqlx::migrate!("migrations/sqlite"),
            Dialect::Postgres => sqlx::migrate!("migrations/postgres"),
        };
        migrations.run(&mut *connection).await?;
        Ok(())
    }

    /// Which database it is.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a transaction that will write. On SQLite it locks the file at once.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match self.dialect {
            Dialect::Sqlite => self.writers.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => self.begin_on_a_live_one().await,
        };
        let inner = inner.map_err(StoreError::Unavailable)?;
        Ok(Tx { inner, statements: Arc::clone(&self.statements) })
    }

    /// Begins on the first connection that works. A server that was started again has left us all
    /// of them dead; asking each whether it lives, before each transaction, would be a round trip
    /// more on the path of every decision.
    async fn begin_on_a_live_one(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        for _ in 0..self.writers.options().get_max_connections() {
            match self.writers.begin().await {
                Err(error) if is_lost(&error) && !matches!(error, sqlx::Error::PoolTimedOut) => {}
                begun => return begun,
            }
        }
        self.writers.begin().await
    }

    /// Begins a transaction that only reads, and sees one moment.
    pub async fn snapshot(&self) -> Result<Tx, StoreError> {
        let inner = match self.dialect {
            Dialect::Sqlite => self.readers.begin().await?,
            Dialect::Postgres => {
                self.readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
        };
        Ok(Tx { inner, statements: Arc::clone(&self.statements) })
    }

    /// Whether the database can be written to: on SQLite somebody may have locked the file.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.connection().execute("SELECT 1").await?;
        Ok(tx.inner.rollback().await?)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }
}

impl Tx {
    /// Makes everything durable. Only after this may anybody be told.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.inner.commit().await.map_err(|error| {
            if is_conflict(&error) { error.into() } else { StoreError::InDoubt(error) }
        })
    }

    fn connection(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
enum Role {
    Writer,
    Reader,
}

async fn pool(
    dialect: Dialect,
    role: Role,
    size: u32,
    options: &AnyConnectOptions,
) -> Result<AnyPool, StoreError> {
    let options = AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(2))
        // A file does not go away, and writers find out for themselves.
        .test_before_acquire(matches!((dialect, role), (Dialect::Postgres, Role::Reader)))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for setting in settings(dialect, role) {
                    connection.execute(*setting).await?;
                }
                Ok(())
            })
        })
        .connect_with(options.clone());
    Ok(options.await?)
}

/// What each connection is set to. `FULL` makes every commit durable; most of the rest bounds
/// waiting.
///
/// Writers look rows up by their keys, few at a time. PostgreSQL keeps the plan of a statement, and
/// one that was made while a table was small would read the whole table, however much it has grown:
/// so everything but looking up is switched off.
const fn settings(dialect: Dialect, role: Role) -> &'static [&'static str] {
    match (dialect, role) {
        (Dialect::Sqlite, Role::Writer | Role::Reader) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA wal_autocheckpoint = 16000",
            "PRAGMA cache_size = -64000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        (Dialect::Postgres, Role::Reader) => {
            &["SET lock_timeout = '250ms'", "SET statement_timeout = '10s'", "SET jit = off"]
        }
        (Dialect::Postgres, Role::Writer) => &[
            "SET lock_timeout = '250ms'",
            "SET statement_timeout = '10s'",
            "SET jit = off",
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET enable_material = off",
            "SET plan_cache_mode = force_generic_plan",
            // A commit that returns before the disk has it would be a promise we cannot keep.
            "SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off'",
        ],
    }
}

/// Adds what makes SQLite create the file if it is not there.
fn sqlite_address(url: &str) -> String {
    if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") }
}
