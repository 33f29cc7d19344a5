//! The connections of a store: those that write, and those that only read.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, Row as _};

use super::{Connections, Dialect, StoreError};

/// How long a connection may take to be had.
const HAD_WITHIN: Duration = Duration::from_secs(2);

/// The pools of one database, to be replaced when their connections do not answer any more.
#[derive(Debug)]
pub(super) struct Pools {
    writers: Maker,
    readers: Maker,
    open: RwLock<Open>,
}

#[derive(Debug, Clone)]
struct Open {
    /// Decisions and events only. One connection on SQLite, which has one writer.
    writers: AnyPool,
    /// Everything that only reads.
    readers: AnyPool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
enum Role {
    Writer,
    Reader,
    /// Writing files anew, so that nothing is left of what was changed in them.
    Rewriter,
}

/// Where a database is; may hold a password.
#[derive(Clone)]
pub(super) struct Address(pub(super) AnyConnectOptions);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([REDACTED])")
    }
}

/// What a pool is made from.
#[derive(Debug)]
struct Maker {
    dialect: Dialect,
    role: Role,
    size: u32,
    address: Address,
}

impl Pools {
    pub(super) async fn open(
        dialect: Dialect,
        connections: Connections,
        address: &Address,
    ) -> Result<Self, StoreError> {
        let maker = |role, size| Maker { dialect, role, size, address: address.clone() };
        let writers = maker(Role::Writer, connections.writers);
        let readers = maker(Role::Reader, connections.readers);
        let open = Open {
            writers: writers.options().connect_with(address.0.clone()).await?,
            readers: readers.options().connect_with(address.0.clone()).await?,
        };
        Ok(Self { writers, readers, open: RwLock::new(open) })
    }

    pub(super) fn writers(&self) -> AnyPool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).writers.clone()
    }

    pub(super) fn readers(&self) -> AnyPool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).readers.clone()
    }

    /// Replaces every connection. What works on an old one keeps it to its end.
    pub(super) fn renew(&self) {
        let fresh = Open { writers: self.writers.lazy(), readers: self.readers.lazy() };
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Open { writers, readers } = std::mem::replace(&mut *open, fresh);
        drop(open);
        // Closing waits for what is still at work, perhaps for as long as the network does.
        tokio::spawn(async move { writers.close().await });
        tokio::spawn(async move { readers.close().await });
    }

    /// Writes the files that hold secrets anew. On a connection of its own: what it waits for may take
    /// longer than others wait.
    pub(super) async fn rewrite(&self) -> Result<(), StoreError> {
        let Maker { dialect, address, .. } = &self.writers;
        let mut connection = AnyConnection::connect_with(&address.0).await?;
        let mut said = Vec::new();
        for statement in settings(*dialect, Role::Rewriter) {
            said = connection.fetch_all(*statement).await?;
        }
        connection.close().await?;
        for row in &said {
            if row.try_get::<i32, _>(0)? != 0 {
                return Err(StoreError::Contended("the write-ahead log"));
            }
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.writers().close().await;
        self.readers().close().await;
    }
}

impl Maker {
    fn options(&self) -> AnyPoolOptions {
        let (dialect, role) = (self.dialect, self.role);
        AnyPoolOptions::new()
            .max_connections(self.size)
            .acquire_timeout(HAD_WITHIN)
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
                Box::pin(async move { is_clean(dialect, connection).await })
            })
    }

    /// A pool that connects when it is first needed.
    fn lazy(&self) -> AnyPool {
        self.options().connect_lazy_with(self.address.0.clone())
    }
}

/// Whether a connection may be used again. SQLite ends a transaction by itself when the disk is full
/// or fails; sqlx goes on counting it, and could begin no other one on that connection.
async fn is_clean(dialect: Dialect, connection: &mut AnyConnection) -> sqlx::Result<bool> {
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
const fn settings(dialect: Dialect, role: Role) -> &'static [&'static str] {
    match (dialect, role) {
        (Dialect::Sqlite, Role::Writer) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA wal_autocheckpoint = 16000",
            "PRAGMA cache_size = -48000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        // What they read, they read once: the writer needs the memory more.
        (Dialect::Sqlite, Role::Reader) => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA cache_size = -4000",
            "PRAGMA foreign_keys = ON",
            "PRAGMA busy_timeout = 250",
        ],
        // The last says whether somebody kept the log from being emptied.
        (Dialect::Sqlite, Role::Rewriter) => &["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"],
        (Dialect::Postgres, Role::Rewriter) => {
            &["SET lock_timeout = '5s'", "VACUUM FULL connection_secret", "VACUUM FULL token_key"]
        }
        (Dialect::Postgres, Role::Reader) => &[
            "SET lock_timeout = '250ms'",
            "SET statement_timeout = '10s'",
            "SET idle_in_transaction_session_timeout = '10min'",
            "SET jit = off",
        ],
        (Dialect::Postgres, Role::Writer) => &[
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
    use sqlx::Executor as _;

    use crate::store::{Connections, Store};

    /// What happens when the disk is full in the middle of a transaction, without filling a disk.
    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_itself_does_not_stop_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sayso.db").display());
        let store = Store::open(&url, Connections::default()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.connection().execute("ROLLBACK").await.unwrap();
        assert!(tx.commit().await.is_err());
        for _ in 0..3 {
            store.begin().await.unwrap().commit().await.unwrap();
        }
    }
}
