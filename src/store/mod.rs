//! The only module that knows SQL: SQLite and PostgreSQL behind one set of methods.
//!
//! A database future must run to its end, because sqlx 0.9 can leave a pooled connection inside a
//! half-begun transaction when one is dropped. The caller therefore runs each [`Tx`] in a task of
//! its own, which no timeout cancels.

mod agreement;
mod ask;
mod card;
mod people;
mod pot;
mod programme;
mod purchase;
mod report;
mod secret;
mod sql;

use std::any::Any as Anything;
use std::fs::File;
use std::io::Read as _;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::any::AnyConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use tokio::sync::OwnedSemaphorePermit;

pub use self::agreement::agreements::{AgreementCache, TermInForce};
pub use self::agreement::guides::GuideRow;
pub use self::agreement::proposals::{DueProposal, VersionRow};
pub use self::ask::appeals::DueAppeal;
pub use self::ask::asks::DueAsk;
pub use self::card::budget_cache::{CardBudget, CardKey, CardOwnerCache};
pub use self::card::cards::CardRow;
pub use self::people::acts::{ActAudience, ActRow, LookRow};
pub use self::people::idempotency::{IdempotencyClaim, IdempotencyKey};
pub use self::people::inbox::{InboxCursor, InboxQuery, InboxRow};
pub use self::people::members::DutyRow;
pub use self::people::persons::{BudgetRow, PersonRow, PersonSummary};
pub use self::people::queues::{QueueCursor, QueueItem};
pub use self::people::tokens::TokenKeyRow;
pub use self::pot::counters::CounterRow;
pub use self::pot::permissions::PermissionUsesRow;
pub use self::pot::pots::PotRow;
pub use self::programme::applications::ApplicationRow;
pub use self::programme::budgets::LoadRow;
pub use self::programme::connections::{SecretName, SecretRow};
pub use self::programme::programmes::ProgrammeRow;
pub use self::purchase::books::{
    BookRequest, Books, OpenBook, PrefetchKeys, ReferenceKey, StoredPresentment,
};
pub use self::purchase::close::{
    ExceptionRow, ParkedEvent, PendingWrites, ResolvedException, exception_id,
};
pub use self::purchase::history::{ChainLink, PurchaseReferenceKey};
pub use self::purchase::messages::{MessageRow, MessageThread, NewMessage};
pub use self::purchase::upkeep::OpenPurchase;
pub use self::purchase::withdrawals::WithdrawalRow;
pub use self::report::proof::{HeadRow, LedgerRows, LedgerScan};
pub use self::report::reports::{DECISIONS_FOUND_MAX, ProgrammeSums};
pub use self::secret::files::{ExposedPath, create_private_folder, database_files, exposed_paths};
pub use self::secret::key_file::KeyError;
use self::secret::mark::Mark;
pub use self::secret::mark::{MarkStatus, MarkedPosting};
pub use self::secret::sealing::SealingKeyStatus;
use self::secret::sealing::SealingState;
use self::sql::migrations::migrator;
use self::sql::pools::{Address, Pools, Workload};
pub use self::sql::query_plans::QueryPlan;
use self::sql::statements::Statements;
use crate::ledger::record::row::CorruptRow;
use crate::platform::config::database_file;
use crate::platform::crash;

/// The kind of database behind a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The database whose URLs have the scheme `scheme`; `None` for an unknown scheme.
    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }
}

/// Why a store operation failed. The transaction is rolled back, unless
/// [`StoreError::is_in_doubt`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement does not select the columns that its reader expects. Debug builds only.
    #[error("a statement selects another column where {0} is read")]
    ColumnOrder(&'static str),
    #[error("the database refused or could not be reached")]
    Database(#[from] sqlx::Error),
    /// No transaction could be begun.
    #[error("the database cannot be written to")]
    Unavailable(#[source] sqlx::Error),
    /// The connection was lost during the commit: the caller must check whether the rows are there.
    #[error("the commit was not confirmed; it may have gone through")]
    InDoubt(#[source] sqlx::Error),
    /// The database did not answer before the caller's deadline. `is_in_doubt` if a commit had been
    /// sent.
    #[error("the database does not answer")]
    TimedOut { is_in_doubt: bool },
    #[error("the migrations could not be applied")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the mark of {0} cannot be used")]
    Mark(String, #[source] std::io::Error),
    #[error("the database's file {0} cannot be made")]
    File(String, #[source] std::io::Error),
    /// The secrets cannot be read or written. No other operation needs the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Corrupt(#[from] CorruptRow),
    /// A concurrent transaction changed the row first: the caller must retry the whole transaction.
    #[error("another transaction was first at {0}")]
    Contended(&'static str),
    #[error("{0:?} is no database address: use sqlite:FILE or postgres://…")]
    UnknownScheme(String),
    /// The URL names a file that is not a SQLite database. The file is left unchanged.
    #[error("{0} is a file, but not a SQLite database: check the address of the database")]
    NotSqlite(String),
}

impl StoreError {
    /// Whether a retry of the same transaction may succeed: after a lock conflict, a deadlock, a
    /// serialisation failure, a lost connection, or a lost race for a row.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => is_lost(error) || is_conflict(error),
            Self::Unavailable(_) | Self::InDoubt(_) | Self::Contended(_) => true,
            // Not retried, because the caller's deadline has passed.
            Self::TimedOut { .. }
            | Self::Migration(_)
            | Self::Mark(..)
            | Self::File(..)
            | Self::Key(_)
            | Self::Corrupt(_)
            | Self::ColumnOrder(_)
            | Self::UnknownScheme(_)
            | Self::NotSqlite(_) => false,
        }
    }

    /// Whether the database as a whole fails, as opposed to single rows of the transaction.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_lost(error) || is_exhausted(error),
            Self::Unavailable(_) | Self::InDoubt(_) | Self::TimedOut { .. } => true,
            Self::Migration(_)
            | Self::Mark(..)
            | Self::File(..)
            | Self::Key(_)
            | Self::Corrupt(_)
            | Self::ColumnOrder(_)
            | Self::Contended(_)
            | Self::UnknownScheme(_)
            | Self::NotSqlite(_) => false,
        }
    }

    /// Whether another transaction held a lock for longer than `lock_timeout`.
    pub(super) fn is_lock_timeout(&self) -> bool {
        // SQLSTATE `lock_not_available`. SQLite has none: a write transaction locks the whole file
        // when it begins.
        matches!(self, Self::Database(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code == "55P03"))
    }

    /// Whether the transaction may be committed although the caller got no confirmation.
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_) | Self::TimedOut { is_in_doubt: true })
    }
}

/// Whether the connection was lost or its server is not available for writing.
fn is_lost(error: &sqlx::Error) -> bool {
    // SQLSTATE classes 08 (connection exception) and 57 (operator intervention), except 57014,
    // which our own `statement_timeout` raises; and 25006, which a demoted primary returns for
    // writes.
    let is_code = |code: &str| {
        code.starts_with("08") || (code.starts_with("57") && code != "57014") || code == "25006"
    };
    if let sqlx::Error::Database(error) = error {
        return error.code().is_some_and(|code| is_code(&code));
    }
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
}

/// Whether no transaction can be written: the disk is full or broken, or memory is exhausted.
fn is_exhausted(error: &sqlx::Error) -> bool {
    // Primary result codes of SQLite: NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
    const SQLITE_CODES: [i32; 7] = [7, 8, 10, 11, 13, 14, 26];

    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().unwrap_or_default();
    match code.parse::<i32>() {
        // A five-character code is a SQLSTATE, even if all of it is digits.
        Ok(number) if code.len() < 5 => SQLITE_CODES.contains(&(number & 0xff)),
        Ok(_) | Err(_) => code.starts_with("53") || code.starts_with("58"),
    }
}

/// Whether the statement lost a lock conflict, a deadlock or a serialisation check.
fn is_conflict(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    // SQLSTATEs of PostgreSQL; result codes of SQLite: BUSY and LOCKED with two extended BUSY
    // codes.
    let code = error.code().unwrap_or_default();
    matches!(&*code, "40001" | "40P01" | "55P03" | "5" | "6" | "261" | "517")
}

/// A database with its connection pools. Cheap to clone, because clones share the pools.
#[derive(Debug, Clone)]
pub struct Store {
    dialect: Dialect,
    pools: Arc<Pools>,
    workload: Workload,
    mark: Option<Arc<Mark>>,
    statements: Arc<Statements>,
    sealing: Arc<SealingState>,
}

/// One database transaction. Dropping it without [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    mark: Option<Arc<Mark>>,
    /// The newest posting written by this transaction; the mark names it after the commit.
    newest: Option<MarkedPosting>,
    /// Values to drop while the database commits.
    deferred_drops: Vec<Box<dyn Anything + Send>>,
    statements: Arc<Statements>,
    sealing: Arc<SealingState>,
    // Declared last, so that it is released after the transaction has ended.
    _write_permit: Option<OwnedSemaphorePermit>,
}

/// How many connections a store opens.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    /// Ignored on SQLite, which has one writer.
    pub writers: u32,
    pub readers: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { writers: 4, readers: 4 }
    }
}

/// How many API transactions write at the same time on PostgreSQL.
const API_WRITERS: u32 = 4;

impl Store {
    /// Connects to `url` and applies the missing migrations. Reading or writing secrets needs
    /// [`Store::use_key`] too.
    pub async fn open(url: &str, connections: PoolSizes) -> Result<Self, StoreError> {
        let store = Self::connect(url, connections).await?;
        store.migrate().await?;
        store.compare_mark().await?;
        Ok(store)
    }

    /// Connects to `url`: `sqlite:FILE` or `postgres://…`.
    pub async fn connect(url: &str, connections: PoolSizes) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let scheme = url.split(':').next().unwrap_or_default();
        let dialect = Dialect::of_scheme(scheme)
            .ok_or_else(|| StoreError::UnknownScheme(url.chars().take(12).collect()))?;
        if let Some(file) = sqlite_file(url).filter(|file| is_not_sqlite(file)) {
            return Err(StoreError::NotSqlite(file.to_owned()));
        }
        let (address, writers, api_writers, mark) = match dialect {
            Dialect::Sqlite => (sqlite_address(url), 1, 0, open_mark(url)?),
            // PostgreSQL keeps no mark, because it checksums its log and has standbys.
            Dialect::Postgres => (url.to_owned(), connections.writers, API_WRITERS, None),
        };
        let connections = PoolSizes { writers, ..connections };
        let options = AnyConnectOptions::from_str(&address)?;
        if address.contains("mode=rwc") {
            create_database_file(url)?;
        }
        // Opens a single connection first, because its error names the cause; a pool only reports a
        // timeout.
        AnyConnection::connect_with(&options).await?.close().await?;
        let address = Address(options);
        Ok(Self {
            dialect,
            mark,
            pools: Arc::new(Pools::open(dialect, connections, api_writers, &address).await?),
            workload: Workload::Gateway,
            statements: Arc::new(Statements::new(dialect)),
            sealing: Arc::default(),
        })
    }

    /// The same database for API calls: they take no connection, and no place in the writer's
    /// queue, that an authorisation needs.
    #[must_use]
    pub fn for_api(&self) -> Self {
        Self { workload: Workload::Api, ..self.clone() }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pools.writers(self.workload).acquire().await?;
        migrator(self.dialect).run(&mut *connection).await?;
        Ok(())
    }

    /// The kind of database behind this store.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a write transaction. On SQLite it locks the file at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when no connection, no write permit or no lock is free in time.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let permit = self
            .pools
            .acquire_write_permit(self.workload)
            .await
            .map_err(StoreError::Unavailable)?;
        let writers = self.pools.writers(self.workload);
        let inner = match self.dialect {
            Dialect::Sqlite => writers.begin_with("BEGIN IMMEDIATE").await,
            // Set explicitly, whatever the server's default is: a statement that follows a lock
            // must see the rows committed before the lock was granted.
            Dialect::Postgres => writers.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await,
        };
        let inner = inner.map_err(StoreError::Unavailable)?;
        crash::failpoint("begun");
        Ok(Tx { _write_permit: permit, ..self.tx(inner) })
    }

    /// Begins a read-only transaction on a consistent snapshot.
    pub async fn snapshot(&self) -> Result<Tx, StoreError> {
        let inner = match self.dialect {
            Dialect::Sqlite => self.readers().begin().await?,
            Dialect::Postgres => {
                self.readers().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
        };
        Ok(self.tx(inner))
    }

    fn tx(&self, inner: Transaction<'static, Any>) -> Tx {
        let (statements, sealing) = (Arc::clone(&self.statements), Arc::clone(&self.sealing));
        let (mark, deferred_drops) = (self.mark.clone(), Vec::new());
        Tx { inner, mark, newest: None, deferred_drops, statements, sealing, _write_permit: None }
    }

    /// Whether committed rows are missing, by the last [`Store::compare_mark`] or
    /// [`Store::accept_loss`]. Nothing may be approved then.
    pub fn has_lost_rows(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.has_lost_rows())
    }

    /// Compares the database with its mark and sets [`Store::has_lost_rows`] accordingly.
    pub async fn compare_mark(&self) -> Result<MarkStatus, StoreError> {
        let status = self.mark_status().await?;
        if let Some(mark) = &self.mark {
            mark.set_lost_rows(status.has_lost_rows());
        }
        Ok(status)
    }

    /// Compares the database with its mark, without an effect on [`Store::has_lost_rows`].
    pub async fn mark_status(&self) -> Result<MarkStatus, StoreError> {
        let Some(mark) = &self.mark else { return Ok(MarkStatus::NotKept) };
        Ok(match mark.read().map_err(|error| mark_error(mark, error))? {
            Ok(None) => MarkStatus::Empty,
            Ok(Some(marked)) if self.link_hash(&marked).await? == Some(marked.hash) => {
                MarkStatus::InSync(marked)
            }
            Ok(Some(marked)) => MarkStatus::Behind(marked),
            Err(why) => MarkStatus::Unreadable(why),
        })
    }

    /// Accepts the loss of rows: rewrites the mark to name the newest posting that the database
    /// has.
    pub async fn accept_loss(&self) -> Result<(), StoreError> {
        let Some(mark) = &self.mark else { return Ok(()) };
        let newest = self.newest_link().await?;
        mark.replace(newest.as_ref()).map_err(|error| mark_error(mark, error))
    }

    /// Flushes the mark to the disk.
    pub async fn sync_mark(&self) {
        if let Some(mark) = self.mark.clone() {
            // The panic hook has already reported a panic of that task.
            tokio::task::spawn_blocking(move || mark.sync()).await.ok();
        }
    }

    /// Checks that a write transaction can begin and run a statement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it cannot begin: another process may hold the lock on the
    /// SQLite file.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.connection().execute("SELECT 1").await?;
        Ok(tx.inner.rollback().await?)
    }

    /// Opens fresh connections for all later work, because the current ones do not answer. Work in
    /// progress keeps its connection.
    pub fn renew_connections(&self) {
        self.pools.renew();
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.sync_mark().await;
        self.pools.close().await;
    }

    fn readers(&self) -> AnyPool {
        self.pools.readers(self.workload)
    }
}

impl Tx {
    /// Commits, and returns when the rows are durable. No response may be sent before.
    ///
    /// # Errors
    ///
    /// [`StoreError::InDoubt`] when the commit was not confirmed, unless the database reported a
    /// conflict.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Self {
            inner,
            mark,
            newest,
            deferred_drops,
            statements: _,
            sealing: _,
            _write_permit: permit,
        } = self;
        crash::failpoint("committing");
        // `biased` polls the commit first, so it has been sent to the database before the values
        // are dropped.
        let (committed, ()) = tokio::join!(biased; inner.commit(), async { drop(deferred_drops) });
        committed.map_err(|error| {
            if is_conflict(&error) { error.into() } else { StoreError::InDoubt(error) }
        })?;
        drop(permit);
        crash::failpoint("committed");
        if let Some((mark, newest)) = mark.zip(newest) {
            mark.write(newest);
        }
        Ok(())
    }

    /// Takes a value that is no longer needed, to be dropped while the database commits. A batch
    /// leaves thousands of small allocations behind, and freeing them would delay the responses.
    pub fn defer_drop(&mut self, value: impl Send + 'static) {
        self.deferred_drops.push(Box::new(value));
    }

    fn connection(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// Creates an empty, private database file, because SQLite would create it readable by others.
fn create_database_file(url: &str) -> Result<(), StoreError> {
    let Some(file) = database_file(url) else { return Ok(()) };
    let made = secret::files::open_private(&file);
    made.map(drop).map_err(|error| StoreError::File(file.display().to_string(), error))
}

fn open_mark(url: &str) -> Result<Option<Arc<Mark>>, StoreError> {
    let mark = Mark::open(url).map_err(|error| StoreError::Mark(url.to_owned(), error))?;
    Ok(mark.map(Arc::new))
}

fn mark_error(mark: &Mark, error: std::io::Error) -> StoreError {
    StoreError::Mark(mark.path().display().to_string(), error)
}

/// The file named by a `sqlite:` URL, without its parameters; `None` for any other URL.
fn sqlite_file(url: &str) -> Option<&str> {
    let file = url.strip_prefix("sqlite:")?;
    file.split('?').next().map(|file| file.strip_prefix("//").unwrap_or(file))
}

/// Whether `file` exists and does not begin like a SQLite database. An empty file is a new
/// database.
fn is_not_sqlite(file: &str) -> bool {
    const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

    let mut first = Vec::new();
    let read = File::open(file).and_then(|file| file.take(16).read_to_end(&mut first));
    read.is_ok() && !first.is_empty() && first != SQLITE_MAGIC
}

/// Adds `mode=rwc`, which makes SQLite create a missing file, unless the URL has parameters of its
/// own.
fn sqlite_address(url: &str) -> String {
    if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") }
}
