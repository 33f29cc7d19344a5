//! Test support: a fresh database of each kind for every test.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process, thread};

use sayso::app::gateway::AppSettings;
use sayso::platform::clock::Clock;
use sayso::platform::config::{KeySource, default_key_source};
use sayso::store::{PoolSizes, Store};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tempfile::TempDir;

/// Declares each test once and runs it on a fresh database of each kind.
///
/// Each name is an `async fn(TestDatabase)` of the invoking module.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::support::TestDatabase::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::support::TestDatabase::postgres().await {
                    super::$test(database).await;
                }
            })+
        }
    };
}

/// A well-known key, for tests only.
const KEY: &str = "tests+tests+tests+tests+tests+tests+tests+0=";

/// What a programme file and purchases are stored in, in an order that satisfies foreign keys.
pub(crate) const TABLES: [&str; 28] = [
    "rules",
    "programme",
    "programme_version",
    "connection",
    "connection_secret",
    "budget",
    "person",
    "card",
    "agreement",
    "term",
    "permission",
    "pot",
    "counter",
    "purchase",
    "hold",
    "decision",
    "withdrawal",
    "issuer_event",
    "presentment",
    "load",
    "posting",
    "journal",
    "seal",
    "message",
    "exception",
    "member",
    "token_key",
    "duty",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// An empty database for one test, deleted on drop.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    pub(crate) kind: DatabaseKind,
    location: DatabaseLocation,
}

#[derive(Debug)]
enum DatabaseLocation {
    Folder(#[expect(dead_code, reason = "kept only for its drop")] TempDir),
    Server { url: String, name: String },
}

impl TestDatabase {
    /// A file, because `:memory:` has a single connection and so hides every race.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sayso.db");
        let mut new = fs::OpenOptions::new();
        new.write(true).create_new(true).mode(0o600).open(&file).unwrap();
        let url = format!("sqlite:{}", file.display());
        Self { url, kind: DatabaseKind::Sqlite, location: DatabaseLocation::Folder(folder) }
    }

    /// A new database on the server of `TEST_POSTGRES_URL`; `None` when it is not set.
    ///
    /// # Panics
    /// If it is not set and `REQUIRE_POSTGRES=1` requires it.
    pub(crate) async fn postgres() -> Option<Self> {
        static DATABASE_COUNT: AtomicU32 = AtomicU32::new(0);

        let Some(server) = environment("TEST_POSTGRES_URL") else {
            assert!(
                environment("REQUIRE_POSTGRES").is_none_or(|required| required != "1"),
                "REQUIRE_POSTGRES=1, but TEST_POSTGRES_URL is not set: run tests/postgres COMMAND"
            );
            note_that_postgres_is_left_out();
            return None;
        };
        let name =
            format!("test_{}_{}", process::id(), DATABASE_COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&server).await.unwrap();
        // An earlier process with this id may have been killed before it dropped its database.
        drop_database(&mut connection, &name).await.unwrap();
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0")))
            .await
            .unwrap();
        connection.close().await.unwrap();
        let url = with_database(&server, &name);
        let location = DatabaseLocation::Server { url: server, name };
        Some(Self { url, kind: DatabaseKind::Postgres, location })
    }

    /// The source of the key of its secrets: a file beside an SQLite database, the given key for a
    /// server.
    pub(crate) fn key(&self) -> KeySource {
        match self.kind {
            DatabaseKind::Sqlite => default_key_source(&self.url),
            DatabaseKind::Postgres => KeySource::Given(KEY.into()),
        }
    }

    /// Opens the database without the key of its secrets.
    pub(crate) async fn bare_store(&self) -> Store {
        Store::open(&self.url, PoolSizes::default()).await.unwrap()
    }

    /// Opens the database with the key of its secrets.
    pub(crate) async fn store(&self) -> Store {
        let store = self.bare_store().await;
        store.use_key(&self.key()).await.unwrap();
        store
    }

    /// A gateway's settings for this database.
    pub(crate) fn settings(&self, clock: &Clock) -> AppSettings {
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut settings = AppSettings::new(listen, self.url.as_str().into(), clock.clone());
        settings.key = self.key();
        settings
    }

    /// Passes the key to a process.
    pub(crate) fn give_key(&self, command: &mut Command) {
        match self.kind {
            DatabaseKind::Sqlite => {}
            DatabaseKind::Postgres => drop(command.env("SAYSO_KEY", KEY)),
        }
    }

    /// The rows of a query, for white-box checks. Every column must be a text; null is returned as
    /// empty.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let mut connection = self.connect().await;
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
        let text = |row: &AnyRow, n| row.get::<Option<String>, _>(n).unwrap_or_default();
        let texts = |row: &AnyRow| (0..row.len()).map(|n| text(row, n)).collect();
        let rows = rows.unwrap().iter().map(texts).collect();
        connection.close().await.unwrap();
        rows
    }

    /// A separate connection, for reading and changing rows without the gateway.
    pub(crate) async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await.unwrap()
    }
}

impl Drop for TestDatabase {
    /// Best effort: a leftover database does no harm, because the server is disposable too.
    fn drop(&mut self) {
        let DatabaseLocation::Server { url, name } = &self.location else { return };
        let (url, name) = (url.clone(), name.clone());
        // In a thread, because a runtime cannot start within the test's own.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await?;
                drop_database(&mut connection, &name).await?;
                connection.close().await
            })
        });
        dropped.join().ok();
    }
}

async fn drop_database(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// The address of another database on the same server: `postgres://user@host/OTHER?options`.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = address.split_once("://").unwrap();
    let host = rest.split('/').next().unwrap();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{name}{mark}{options}")
}

#[expect(clippy::disallowed_methods, reason = "tests learn here, and only here, where they run")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether this runs in CI, where no test may be skipped.
pub(crate) fn is_in_ci() -> bool {
    environment("CI").is_some()
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn note_that_postgres_is_left_out() {
    eprintln!("not run on PostgreSQL: TEST_POSTGRES_URL is not set; tests/postgres sets it");
}

/// The root of the checkout.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

mod databases {
    use super::{DatabaseKind, TestDatabase, with_database};
    use sqlx::Row as _;

    on_both_databases!(a_fresh_database_answers, two_databases_share_nothing);

    async fn a_fresh_database_answers(database: TestDatabase) {
        let mut connection = database.connect().await;
        let version = match database.kind {
            DatabaseKind::Sqlite => "SELECT sqlite_version()",
            DatabaseKind::Postgres => "SELECT version()",
        };
        let row = sqlx::query(version).fetch_one(&mut connection).await.unwrap();
        assert!(!row.get::<String, _>(0).is_empty());
    }

    async fn two_databases_share_nothing(database: TestDatabase) {
        let other = match database.kind {
            DatabaseKind::Sqlite => TestDatabase::sqlite(),
            DatabaseKind::Postgres => TestDatabase::postgres().await.unwrap(),
        };
        for one in [&database, &other] {
            let mut connection = one.connect().await;
            sqlx::query("CREATE TABLE only_here (id BIGINT)")
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    #[test]
    fn another_database_of_the_same_server() {
        let cases = [
            ("postgres://a:b@h:1/postgres", "postgres://a:b@h:1/new"),
            ("postgres://h", "postgres://h/new"),
            ("postgres:///old?host=/run/pg", "postgres:///new?host=/run/pg"),
        ];
        for (server, expected) in cases {
            assert_eq!(with_database(server, "new"), expected);
        }
    }
}
