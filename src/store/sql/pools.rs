//! The connections of a store: those that write, and those that only read.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::store::{Dialect, PoolSizes, StoreError};

/// How long a connection may take to be had.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pools of one database, to be replaced when their connections do not answer any more.
#[derive(Debug)]
pub(in crate::store) struct Pools {
    writers: PoolFactory,
    readers: PoolFactory,
    api_writer_pool: PoolFactory,
    open: RwLock<OpenPools>,
    /// On SQLite the writer has a queue: people have one place in it at a time, so that a till waits
    /// for one of their transactions at most.
    api_write_semaphore: Option<Arc<Semaphore>>,
}

/// Who uses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Workload {
    /// Decisions and events, and what keeps them going.
    Gateway,
    /// Whoever calls the API. On PostgreSQL they have connections of their own: a connection that is
    /// taken, or whose answer nobody fetches in time, is never one that a decision needs.
    Api,
}

#[derive(Debug, Clone)]
struct OpenPools {
    gateway: PoolPair,
    /// The same as the gateway's on SQLite, which has one writer, and readers with threads of their own.
    people: PoolPair,
}

#[derive(Debug, Clone)]
struct PoolPair {
    /// One connection on SQLite, which has one writer.
    writers: AnyPool,
    /// Everything that only reads.
    readers: AnyPool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
enum ConnectionRole {
    Writer,
    Reader,
    /// Writing files anew, so that nothing is left of what was changed in them.
    Vacuum,
}

/// Where a database is; may hold a password.
#[derive(Clone)]
pub(in crate::store) struct Address(pub(in crate::store) AnyConnectOptions);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([REDACTED])")
    }
}

/// What a pool is made from.
#[derive(Debug)]
struct PoolFactory {
    dialect: Dialect,
    role: ConnectionRole,
    size: u32,
    address: Address,
}

impl Pools {
    /// `api_writers` is how many transactions of theirs may write at once: none where they share the one
    /// writer that there is.
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
        let (people, api_write_semaphore) = if api_writer_pool.size == 0 {
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
        let open = RwLock::new(OpenPools { gateway, people });
        Ok(Self { writers, readers, api_writer_pool, open, api_write_semaphore })
    }

    pub(in crate::store) fn writers(&self, workload: Workload) -> AnyPool {
        self.pools_of(workload).writers
    }

    pub(in crate::store) fn readers(&self, workload: Workload) -> AnyPool {
        self.pools_of(workload).readers
    }

    /// Waits for its turn to write, where there are turns; no longer than for a connection.
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
            Workload::Api => open.people.clone(),
        }
    }

    /// Replaces every connection. What works on an old one keeps it to its end.
    pub(in crate::store) fn renew(&self) {
        let gateway =
            PoolPair { writers: self.writers.connect_lazy(), readers: self.readers.connect_lazy() };
        let people = if self.api_write_semaphore.is_some() {
            gateway.clone()
        } else {
            PoolPair {
                writers: self.api_writer_pool.connect_lazy(),
                readers: self.readers.connect_lazy(),
            }
        };
        let fresh = OpenPools { gateway, people };
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let OpenPools { gateway, people } = std::mem::replace(&mut *open, fresh);
        drop(open);
        // Closing waits for what is still at work, perhaps for as long as the network does.
        for pool in [gateway.writers, gateway.readers, people.writers, people.readers] {
            tokio::spawn(async move { pool.close().await });
        }
    }

    /// Writes the files that hold secrets anew. On a connection of its own: what it waits for may take
    /// longer than others wait.
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

/// Whether a connection may be used again. SQLite ends a transaction by itself when the disk is full
/// or fails; sqlx goes on counting it, and could begin no other one on that connection.
async fn is_reusable(dialect: Dialect, connection: &mut AnyConnection) -> sqlx::Result<bool> {
    if dialect == Dialect::Postgres {
        return Ok(true);
    }
    // After the rollback that may still be on its way to it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// What each connection is set to. `FULL` makes every commit durable; most of the rest bounds
/// waiting.
///
/// Writers look rows up by their keys, few at a time. PostgreSQL keeps the plan of a statement, and
/// one that was made while a table was small would read the whole table, however much it has grown:
/// so everything but looking up is switched off.
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
        // What they read, they read once: the writer needs the memory more.
        (Dialect::Sqlite, ConnectionRole::Reader) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA cache_size = -4000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        // The last says whether somebody kept the log from being emptied.
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
            // A gateway whose machine vanished must not keep budgets locked.
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
            // A commit that returns before the disk has it would be a promise we cannot keep.
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

    /// What happens when the disk is full in the middle of a transaction, without filling a disk.
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
