//! Databases that are deliberately locked, slow, frozen or gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{DatabaseKind, TestDatabase};

/// A lock that blocks every gateway until it is released: a budget's row on PostgreSQL, the whole
/// file on SQLite.
pub(super) struct BudgetLock(AnyConnection);

impl BudgetLock {
    pub(super) async fn take(database: &TestDatabase, person: &str) -> Self {
        let mut connection = database.connect().await;
        match database.kind {
            DatabaseKind::Sqlite => {
                connection.execute("PRAGMA busy_timeout = 5000").await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
            }
            DatabaseKind::Postgres => {
                connection.execute("BEGIN").await.unwrap();
                let sql = format!("SELECT 1 FROM budget WHERE budget_id = '{person}' FOR UPDATE");
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
            }
        }
        Self(connection)
    }

    pub(super) async fn release(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Makes the insert of a decision about `purchase` take at least `time`; `%` is a wildcard.
pub(super) async fn slow_down(database: &TestDatabase, purchase: &str, time: Duration) {
    let mut connection = database.connect().await;
    let statements = match database.kind {
        DatabaseKind::Postgres => vec![
            format!(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 PERFORM pg_sleep({}); RETURN NEW; END $$",
                time.as_secs_f64()
            ),
            format!(
                "CREATE TRIGGER slow BEFORE INSERT ON decision FOR EACH ROW \
                 WHEN (NEW.purchase_reference LIKE '{purchase}') EXECUTE FUNCTION slow()"
            ),
        ],
        // SQLite has no sleep function, so the trigger counts rows.
        DatabaseKind::Sqlite => {
            connection.execute("CREATE TABLE burn (n INTEGER)").await.unwrap();
            let numbers = "INSERT INTO burn SELECT value FROM json_each(?)";
            let list = serde_json::to_string(&(0..1000).collect::<Vec<_>>()).unwrap();
            sqlx::query(numbers).bind(list).execute(&mut connection).await.unwrap();
            let work = |times: u128| {
                format!(
                    "SELECT COUNT(*) FROM burn a, burn b, burn c \
                     WHERE c.n < {times} AND a.n + b.n + c.n < 0"
                )
            };
            let begun = Instant::now();
            connection.execute(AssertSqlSafe(work(4))).await.unwrap();
            let times = 4 * time.as_micros() / begun.elapsed().as_micros() + 1;
            vec![format!(
                "CREATE TRIGGER slow BEFORE INSERT ON decision \
                 WHEN NEW.purchase_reference LIKE '{purchase}' BEGIN {}; END",
                work(times)
            )]
        }
    };
    for statement in statements {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

/// Reverts [`slow_down`].
pub(super) async fn speed_up(database: &TestDatabase) {
    let mut connection = database.connect().await;
    let statement = match database.kind {
        DatabaseKind::Sqlite => "DROP TRIGGER slow",
        DatabaseKind::Postgres => "DROP TRIGGER slow ON decision",
    };
    connection.execute(statement).await.unwrap();
}

/// A proxy between a gateway and PostgreSQL that injects faults.
pub(super) struct FaultyProxy {
    /// The database's address through the proxy.
    pub(super) url: String,
    faults: Arc<ProxyFaults>,
}

struct ProxyFaults {
    is_cut: watch::Sender<bool>,
    is_silent: watch::Sender<bool>,
    /// Delay of each statement. Unit: milliseconds.
    delay_ms: AtomicU64,
    /// How many statements pass before the connection of the next one breaks.
    passes: AtomicI64,
    /// Whether the proxy falls silent instead.
    falls_silent: AtomicBool,
    loses_next_commit: AtomicBool,
    cuts_after_commit: AtomicBool,
}

impl FaultyProxy {
    pub(super) async fn to(database: &TestDatabase) -> Self {
        let (front, rest) = database.url.split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let name = name.split('?').next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here: SocketAddr = listener.local_addr().unwrap();
        let url = format!("{front}@{here}/{name}?sslmode=disable");
        let faults = Arc::new(ProxyFaults {
            is_cut: watch::Sender::new(false),
            is_silent: watch::Sender::new(false),
            delay_ms: AtomicU64::new(0),
            passes: AtomicI64::new(i64::MAX),
            falls_silent: AtomicBool::new(false),
            loses_next_commit: AtomicBool::new(false),
            cuts_after_commit: AtomicBool::new(false),
        });
        tokio::spawn(relay_all(listener, server.to_owned(), Arc::clone(&faults)));
        Self { url, faults }
    }

    /// Breaks every connection, and refuses new ones.
    pub(super) fn cut(&self) {
        self.faults.is_cut.send_replace(true);
    }

    pub(super) fn mend(&self) {
        self.faults.is_cut.send_replace(false);
    }

    /// Keeps every connection open and forwards nothing, as if the server had vanished. Connections
    /// used meanwhile stay silent afterwards too.
    pub(super) fn fall_silent(&self) {
        self.faults.is_silent.send_replace(true);
    }

    pub(super) fn speak_again(&self) {
        self.faults.is_silent.send_replace(false);
    }

    /// Delays each statement by `time`.
    pub(super) fn delay(&self, time: Duration) {
        self.faults.delay_ms.store(time.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Breaks one connection after `passes` more statements.
    pub(super) fn break_after(&self, passes: i64) {
        self.faults.passes.store(passes, Ordering::SeqCst);
    }

    /// Falls silent after `passes` more statements: within a transaction.
    pub(super) fn fall_silent_after(&self, passes: i64) {
        self.faults.falls_silent.store(true, Ordering::SeqCst);
        self.break_after(passes);
    }

    /// Whether [`Self::break_after`] has taken effect. Disarms it.
    pub(super) fn has_broken(&self) -> bool {
        self.faults.passes.swap(i64::MAX, Ordering::SeqCst) < 0
    }

    /// The next commit reaches the database and succeeds, but its confirmation is lost.
    pub(super) fn lose_next_commit(&self) {
        self.faults.loses_next_commit.store(true, Ordering::SeqCst);
    }

    /// Like [`Self::lose_next_commit`], followed by [`Self::cut`].
    pub(super) fn lose_next_commit_and_cut(&self) {
        self.faults.cuts_after_commit.store(true, Ordering::SeqCst);
        self.lose_next_commit();
    }
}

impl ProxyFaults {
    async fn hold_up(&self) {
        let delay = self.delay_ms.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        if *self.is_silent.borrow() {
            // Keeps the connection open without forwarding anything.
            std::future::pending::<()>().await;
        }
    }
}

async fn relay_all(listener: TcpListener, server: String, faults: Arc<ProxyFaults>) {
    loop {
        let (gateway, _) = listener.accept().await.unwrap();
        if *faults.is_cut.borrow() {
            continue;
        }
        let database = TcpStream::connect(&server).await.unwrap();
        let faults = Arc::clone(&faults);
        tokio::spawn(async move {
            let mut is_cut = faults.is_cut.subscribe();
            tokio::select! {
                _ = relay(gateway, database, &faults) => {}
                _ = is_cut.wait_for(|is_cut| *is_cut) => {}
            }
        });
    }
}

async fn relay(
    mut gateway: TcpStream,
    mut database: TcpStream,
    faults: &ProxyFaults,
) -> std::io::Result<()> {
    let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            count = gateway.read(&mut question) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                if faults.passes.fetch_sub(1, Ordering::SeqCst) == 0 {
                    if !faults.falls_silent.swap(false, Ordering::SeqCst) {
                        return Ok(());
                    }
                    faults.is_silent.send_replace(true);
                }
                faults.hold_up().await;
                database.write_all(&question[..count]).await?;
                let is_commit = question[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                if is_commit && faults.loses_next_commit.swap(false, Ordering::SeqCst) {
                    // The commit has succeeded once the database responds.
                    let _ = database.read(&mut answer).await?;
                    if faults.cuts_after_commit.swap(false, Ordering::SeqCst) {
                        faults.is_cut.send_replace(true);
                    }
                    return Ok(());
                }
            }
            count = database.read(&mut answer) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                gateway.write_all(&answer[..count]).await?;
            }
        }
    }
}
