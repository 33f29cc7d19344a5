//! Databases with the same population: a populated one of each kind, and fresh copies of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::machine;
use crate::pgbench::Pgbench;
use crate::population::{Population, populate};

/// The database behind a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// The populated databases.
#[derive(Debug)]
pub(crate) struct Databases {
    /// Distinguishes its databases from those of another population.
    name: &'static str,
    pub(crate) population: Population,
    folder: TempDir,
    server: String,
    /// Process id of the PostgreSQL server, if it is on this machine.
    pub(crate) postmaster: Option<u32>,
}

/// The populated database, or its working copy.
#[derive(Debug, Clone, Copy)]
enum DatabaseCopy {
    Populated,
    Copy,
}

impl DatabaseCopy {
    const fn label(self) -> &'static str {
        match self {
            Self::Populated => "populated",
            Self::Copy => "copy",
        }
    }
}

impl Databases {
    /// Populates one database of each kind. `server` is the PostgreSQL server's URL, and `name`
    /// distinguishes the databases from those of another population.
    pub(crate) async fn new(
        name: &'static str,
        server: &str,
        population: Population,
    ) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir()?;
        let mut connection = PgConnection::connect(server).await.context("no PostgreSQL server")?;
        let backend: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let postmaster = u32::try_from(backend).ok().and_then(machine::parent);
        let databases = Self { name, population, folder, server: server.to_owned(), postmaster };
        populate(&databases.sqlite(DatabaseCopy::Populated), population).await?;
        let populated = databases.database(DatabaseCopy::Populated);
        databases.replace(&mut connection, &populated, "template0").await?;
        populate(&with_database(server, &populated), population).await?;
        connection.close().await?;
        Ok(databases)
    }

    /// The URL of the populated database.
    pub(crate) fn populated(&self, kind: DatabaseKind) -> String {
        match kind {
            DatabaseKind::Sqlite => self.sqlite(DatabaseCopy::Populated),
            DatabaseKind::Postgres => {
                with_database(&self.server, &self.database(DatabaseCopy::Populated))
            }
        }
    }

    /// A temporary folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `pgbench` in a database of its own, which is dropped afterwards.
    pub(crate) async fn pgbench(&self, time: Duration) -> Result<Option<Pgbench>> {
        let mut connection = PgConnection::connect(&self.server).await?;
        let copy = self.database(DatabaseCopy::Copy);
        self.replace(&mut connection, &copy, "template0").await?;
        let url = with_database(&self.server, &copy);
        let pgbench = Pgbench::run(&url, time, self.folder()).await;
        drop_database(&mut connection, &copy).await?;
        connection.close().await?;
        pgbench
    }

    /// The URL of a fresh copy of the populated database. The previous copy is dropped.
    pub(crate) async fn fresh_copy(&self, kind: DatabaseKind) -> Result<String> {
        match kind {
            DatabaseKind::Sqlite => {
                for rest in [".db-wal", ".db-shm", ".db.mark"] {
                    let file = self.file(DatabaseCopy::Copy, rest);
                    if file.exists() {
                        fs::remove_file(file)?;
                    }
                }
                fs::copy(
                    self.file(DatabaseCopy::Populated, ".db"),
                    self.file(DatabaseCopy::Copy, ".db"),
                )?;
                Ok(self.sqlite(DatabaseCopy::Copy))
            }
            DatabaseKind::Postgres => {
                let mut connection = PgConnection::connect(&self.server).await?;
                let copy = self.database(DatabaseCopy::Copy);
                let populated = self.database(DatabaseCopy::Populated);
                self.replace(&mut connection, &copy, &populated).await?;
                // Otherwise the checkpoint that the copy causes would fall into the measurement.
                connection.execute("CHECKPOINT").await?;
                connection.close().await?;
                Ok(with_database(&self.server, &copy))
            }
        }
    }

    /// Drops what was created on the PostgreSQL server. Files are deleted with their folder.
    pub(crate) async fn remove(self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.server).await?;
        for which in [DatabaseCopy::Copy, DatabaseCopy::Populated] {
            drop_database(&mut connection, &self.database(which)).await?;
        }
        connection.close().await?;
        Ok(())
    }

    async fn replace(
        &self,
        connection: &mut PgConnection,
        name: &str,
        template: &str,
    ) -> Result<()> {
        drop_database(connection, name).await?;
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
        connection.execute(AssertSqlSafe(create)).await?;
        Ok(())
    }

    fn database(&self, which: DatabaseCopy) -> String {
        format!("{}_{}", self.name, which.label())
    }

    fn file(&self, which: DatabaseCopy, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{}{ending}", which.label()))
    }

    fn sqlite(&self, which: DatabaseCopy) -> String {
        format!("sqlite:{}", self.file(which, ".db").display())
    }
}

async fn drop_database(connection: &mut PgConnection, name: &str) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    connection.execute(AssertSqlSafe(sql)).await?;
    Ok(())
}

/// The URL of another database on the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{base}/{name}{mark}{options}")
}
