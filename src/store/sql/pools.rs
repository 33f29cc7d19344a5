//! Connection pools: writers and readers, separate for authorisations and for the API.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::store::{Dialect, PoolSizes, StoreError};

/// The longest wait for a free connection or for a write permit.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pools of one database. [`Pools::renew`] replaces them when their connections stop answering.
#[derive(Debug)]
pub(in crate::store) struct Pools {
    writers: PoolFactory,
    readers: PoolFactory,
    api_writer_pool: PoolFactory,
    open: RwLock<OpenPools>,
    /// On SQLite, which has one writer, API transactions take turns: at most one of them is ahead
    /// of an authorisation in the writer's queue. `None` on PostgreSQL.
    api_write_semaphore: Option<Arc<Semaphore>>,
}

/// Who uses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Workload {
    /// Authorisations, issuer events and background jobs.
    Gateway,
    /// API calls. On PostgreSQL they have connections of their own, so that slow or abandoned calls
    /// never occupy a connection that an authorisation needs.
    Api,
}

#[derive(Debug, Clone)]
struct OpenPools {
    gateway: PoolPair,
    /// The same as `gateway` on SQLite: it has only one writer, and its readers do not block each
    /// other, because each has a thread of its own.
    api: PoolPair,
}

#[derive(Debug, Clone)]
struct PoolPair {
    /// One connection on SQLite, which has one writer.
    writers: AnyPool,
    /// For read-only transactions.
    readers: AnyPool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
enum ConnectionRole {
    Writer,
    Reader,
    /// Rewriting the files of tables with secrets, so that no overwritten plaintext remains in
    /// them.
    Vacuum,
}

/// The connection options of a database. `Debug` redacts them, because they may hold a password.
#[derive(Clone)]
pub(in crate::store) struct Address(pub(in crate::store) AnyConnectOptions);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([REDACTED])")
    }
}

/// Everything needed to open a pool again.
#[derive(Debug)]
struct PoolFactory {
    dialect: Dialect,
    role: ConnectionRole,
    size: u32,
    address: Address,
}

impl Pools {
    /// Connects the gateway's pools; the API's pools connect when they are first used.
    /// `api_writers` is the number of API write connections; 0 makes the API share the gateway's
    /// single writer.
    pub(in crate::store) async fn open(
        dialect: Dialect,
        connections: PoolSizes,
        api_writers: u32,
        address: &Address,
    ) -> Result<Self, StoreError> {
        let factory = |role, size| PoolFactory { dialect, role, size, address: address.clone() };
        let writers = factory(ConnectionRole::Writer, connections.writers);
        let readers = factory(ConnectionRole::Reader, connections.readers);
        let api_writer_pool = factory(ConnectionRole::Writer, api_writers);
        let gateway = PoolPair {
            writers: writers.options().connect_with(address.0.clone()).await?,
            readers: readers.options().connect_with(address.0.clone()).await?,
        };
        let (api, api_write_semaphore) = if api_writer_pool.size == 0 {
            (gateway.clone(), Some(Arc::new(Semaphore::new(1))))
        } else {
            (
                PoolPair {
                    writers: api_writer_pool.connect_lazy(),
                    readers: readers.connect_lazy(),
                },
                None,
            )
        };
        let open = RwLock::new(OpenPools { gateway, api });
        Ok(Self { writers, readers, api_writer_pool, open, api_write_semaphore })
    }

    pub(in crate::store) fn writers(&self, workload: Workload) -> AnyPool {
        self.pools_of(workload).writers
    }

    pub(in crate::store) fn readers(&self, workload: Workload) -> AnyPool {
        self.pools_of(workload).readers
    }

    /// Waits for the API's turn to write, for at most [`ACQUIRE_TIMEOUT`]; `None` where no turn is
    /// needed.
    pub(in crate::store) async fn acquire_write_permit(
        &self,
        workload: Workload,
    ) -> sqlx::Result<Option<OwnedSemaphorePermit>> {
        let permit = self.api_write_semaphore.clone().filter(|_| workload == Workload::Api);
        let Some(permit) = permit else { return Ok(None) };
        match timeout(ACQUIRE_TIMEOUT, permit.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    fn pools_of(&self, workload: Workload) -> PoolPair {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        match workload {
            Workload::Gateway => open.gateway.clone(),
            Workload::Api => open.api.clone(),
        }
    }

    /// Replaces all pools. Work in progress keeps its old connection to the end.
    pub(in crate::store) fn renew(&self) {
        let gateway =
            PoolPair { writers: self.writers.connect_lazy(), readers: self.readers.connect_lazy() };
        let api = if self.api_write_semaphore.is_some() {
            gateway.clone()
        } else {
            PoolPair {
                writers: self.api_writer_pool.connect_lazy(),
                readers: self.readers.connect_lazy(),
            }
        };
        let fresh = OpenPools { gateway, api };
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let OpenPools { gateway, api } = std::mem::replace(&mut *open, fresh);
        drop(open);
        // In tasks of their own, because closing waits for work in progress, perhaps until the
        // network times out.
        for pool in [gateway.writers, gateway.readers, api.writers, api.readers] {
            tokio::spawn(async move { pool.close().await });
        }
    }

    /// Rewrites the files that hold secrets. Uses a connection of its own, because the timeouts of
    /// the pooled ones are too short for it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a reader keeps the write-ahead log from being truncated.
    pub(in crate::store) async fn vacuum(&self) -> Result<(), StoreError> {
        let PoolFactory { dialect, address, .. } = &self.writers;
        let mut connection = AnyConnection::connect_with(&address.0).await?;
        let mut result_rows = Vec::new();
        for statement in settings(*dialect, ConnectionRole::Vacuum) {
            result_rows = connection.fetch_all(*statement).await?;
        }
        connection.close().await?;
        for row in &result_rows {
            if row.try_get::<i32, _>(0)? != 0 {
                return Err(StoreError::Contended("the write-ahead log"));
            }
        }
        Ok(())
    }

    pub(in crate::store) async fn close(&self) {
        for workload in [Workload::Api, Workload::Gateway] {
            self.writers(workload).close().await;
            self.readers(workload).close().await;
        }
    }
}

impl PoolFactory {
    fn options(&self) -> AnyPoolOptions {
        let (dialect, role) = (self.dialect, self.role);
        AnyPoolOptions::new()
            .max_connections(self.size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(dialect == Dialect::Postgres)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in settings(dialect, role) {
                        connection.execute(*setting).await?;
                    }
                    Ok(())
                })
            })
            .after_release(move |connection, _| {
                Box::pin(async move { is_reusable(dialect, connection).await })
            })
    }

    /// A pool that connects when it is first needed.
    fn connect_lazy(&self) -> AnyPool {
        self.options().connect_lazy_with(self.address.0.clone())
    }
}

/// Whether a connection may return to its pool. SQLite ends a transaction by itself when the disk
/// is full or fails; sqlx still counts it as open and could begin no other one on that connection.
async fn is_reusable(dialect: Dialect, connection: &mut AnyConnection) -> sqlx::Result<bool> {
    if dialect == Dialect::Postgres {
        return Ok(true);
    }
    // Waits for a rollback that may still be queued on the connection's thread.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// The settings of each connection. `FULL` makes every commit durable; most others bound waiting
/// times.
///
/// An authorisation is tried three times, so a `busy_timeout` of 250 ms uses up to 750 ms of the
/// 1,300 that an answer usually has. A longer one would help less than the next try does: SQLite
/// attempts the lock a dozen times in the first 250 ms and then only every 100 ms, and each try
/// begins anew.
///
/// PostgreSQL writers may only look rows up by index, so every other plan node is switched off: a
/// generic plan that was cached while a table was small would scan it however much it has grown.
const fn settings(dialect: Dialect, role: ConnectionRole) -> &'static [&'static str] {
    match (dialect, role) {
        (Dialect::Sqlite, ConnectionRole::Writer) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA wal_autocheckpoint = 16000",
            "PRAGMA cache_size = -48000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        // A small page cache, because reports read each page once and the writer needs the memory
        // more.
        (Dialect::Sqlite, ConnectionRole::Reader) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA cache_size = -4000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        // The first column of the checkpoint's result is not 0 when a reader kept the log from
        // being truncated.
        (Dialect::Sqlite, ConnectionRole::Vacuum) => &["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"],
        (Dialect::Postgres, ConnectionRole::Vacuum) => {
            &["SET lock_timeout = '5s'", "VACUUM FULL connection_secret", "VACUUM FULL token_key"]
        }
        (Dialect::Postgres, ConnectionRole::Reader) => &[
            "SET lock_timeout = '250ms'",
            "SET statement_timeout = '10s'",
            "SET idle_in_transaction_session_timeout = '10min'",
            "SET jit = off",
        ],
        (Dialect::Postgres, ConnectionRole::Writer) => &[
            "SET lock_timeout = '250ms'",
            "SET statement_timeout = '10s'",
            // Frees the locks on budgets when the machine of another gateway has vanished.
            "SET idle_in_transaction_session_timeout = '5s'",
            "SET tcp_keepalives_idle = 10",
            "SET tcp_keepalives_interval = 5",
            "SET tcp_keepalives_count = 3",
            "SET jit = off",
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET enable_material = off",
            "SET plan_cache_mode = force_generic_plan",
            // With `off`, a commit would return before it is durable, and an approval already sent
            // could be lost.
            "SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off'",
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use sqlx::Executor as _;
    use tokio::time::sleep;

    use crate::store::{PoolSizes, Store};

    #[tokio::test]
    async fn a_decision_waits_for_one_transaction_of_people_and_not_for_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sayso.db").display());
        let store = Store::open(&url, PoolSizes::default()).await.unwrap();
        let people = store.for_api();
        let first = people.begin().await.unwrap();
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let people = people.clone();
                tokio::spawn(async move {
                    let tx = people.begin().await.unwrap();
                    sleep(Duration::from_millis(40)).await;
                    tx.commit().await.unwrap();
                })
            })
            .collect();
        sleep(Duration::from_millis(20)).await;
        let decision = tokio::spawn(async move { store.begin().await.unwrap().commit().await });
        sleep(Duration::from_millis(20)).await;
        let freed = Instant::now();
        first.commit().await.unwrap();
        decision.await.unwrap().unwrap();
        assert!(freed.elapsed() < Duration::from_millis(250), "{:?}", freed.elapsed());
        for one in crowd {
            one.await.unwrap();
        }
    }

    /// Reproduces SQLite's own rollback, as on a full disk, without filling one.
    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_itself_does_not_stop_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sayso.db").display());
        let store = Store::open(&url, PoolSizes::default()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.connection().execute("ROLLBACK").await.unwrap();
        assert!(tx.commit().await.is_err());
        for _ in 0..3 {
            store.begin().await.unwrap().commit().await.unwrap();
        }
    }
}
