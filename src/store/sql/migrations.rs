//! The migrations, compiled into the program.
//!
//! The build script lists them, and not sqlx's `migrate!`: its macro would build the drivers of
//! both databases a second time, for the compiler.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use crate::store::Dialect;

/// One migration, with its text for each database.
struct MigrationFile {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Sorted by version.
const FILES: &[MigrationFile] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The migrations of one kind of database, in order.
pub(in crate::store) fn migrator(dialect: Dialect) -> Migrator {
    let migration = |file: &MigrationFile| {
        let sql = match dialect {
            Dialect::Sqlite => file.sqlite,
            Dialect::Postgres => file.postgres,
        };
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(file.version, file.name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(FILES.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_one() {
        let versions: Vec<_> = FILES.iter().map(|file| file.version).collect();
        assert_eq!(versions, (1..).take(FILES.len()).collect::<Vec<_>>());
        assert_eq!((FILES[1].name, FILES[1].version), ("exchange margin", 2));
    }
}
