//! The migrations, compiled into the program.
//!
//! A list, and not sqlx's `migrate!`: its macro would build the drivers of both databases a second
//! time, for the compiler.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use crate::store::Dialect;

/// The versions, names and texts of both databases.
struct MigrationFile {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration_files {
    ($($version:literal $file:literal $name:literal,)+) => {
        &[$(MigrationFile {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../../../migrations/postgres/", $file)),
        }),+]
    };
}

const FILES: &[MigrationFile] = migration_files![
    1 "0001_spine.sql" "spine",
    2 "0002_exchange_margin.sql" "exchange margin",
    3 "0003_two_people.sql" "two people",
    4 "0004_whole_story.sql" "whole story",
    5 "0005_no_way_round.sql" "no way round",
];

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
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folders_is_in_the_list() {
        let listed: BTreeSet<_> = FILES
            .iter()
            .map(|file| format!("{:04}_{}.sql", file.version, file.name.replace(' ', "_")))
            .collect();
        for dialect in ["sqlite", "postgres"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
            let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
            let files: BTreeSet<_> = files.map(|name| name.into_string().unwrap()).collect();
            assert_eq!(files, listed, "{dialect}");
        }
        assert!(FILES.windows(2).all(|pair| pair[0].version < pair[1].version));
    }
}
