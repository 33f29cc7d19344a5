//! Files that are being applied: what is left to do when one broke off, and whose turn it is.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::record::row::{RowReader, Table, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::read_row;
use crate::store::{Dialect, Store, StoreError, Tx};

/// A file whose changes are being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRow {
    pub programme: ProgrammeId,
    /// Tells one application from the next, also of the same file.
    pub id: String,
    /// The version of the settings that it puts in force.
    pub version: u32,
    /// The whole file, without its secrets.
    pub file: String,
    pub begun_at: Timestamp,
}

static APPLICATION: Table = Table {
    name: "application",
    columns: columns![
        Key "programme_id", Text "application_id", Number "version", Text "file", Number "begun_at",
    ],
};

impl Store {
    /// The files whose changes have been begun and not ended, by programme.
    pub async fn applications(&self) -> Result<Vec<ApplicationRow>, StoreError> {
        let sql = "SELECT programme_id, application_id, version, file, begun_at FROM application \
                   ORDER BY programme_id";
        let read = |row: &sqlx::any::AnyRow| {
            let row = read_row(row, APPLICATION.columns)?;
            let mut reader = RowReader::new(&APPLICATION, &row);
            Ok(ApplicationRow {
                programme: reader.parsed()?,
                id: reader.text()?.to_owned(),
                version: reader.integer()?,
                file: reader.text()?.to_owned(),
                begun_at: reader.instant()?,
            })
        };
        sqlx::query(sql).fetch_all(&self.readers()).await?.iter().map(read).collect()
    }
}

impl Tx {
    /// Notes that the changes of a file begin. Says no, and writes nothing, while another file of the
    /// programme is being applied.
    pub async fn begin_application(&mut self, row: &ApplicationRow) -> Result<bool, StoreError> {
        let row = vec![
            text_value(&row.programme),
            row.id.as_str().into(),
            row.version.into(),
            row.file.as_str().into(),
            row.begun_at.into(),
        ];
        Ok(self.put(&APPLICATION, &[row], OnConflict::Keep).await? == 1)
    }

    /// Whether `id` is still what is being applied. Nobody else can end it before this transaction
    /// ends.
    pub async fn lock_application(
        &mut self,
        programme: &ProgrammeId,
        id: &str,
    ) -> Result<bool, StoreError> {
        let lock = if self.statements.dialect == Dialect::Postgres { " FOR SHARE" } else { "" };
        let sql = format!(
            "SELECT version FROM application WHERE programme_id = $1 AND application_id = $2{lock}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(id)
            .fetch_optional(self.connection())
            .await?;
        Ok(row.is_some())
    }

    /// Notes that all of a file has been applied; says whether it still was being applied.
    pub async fn end_application(
        &mut self,
        programme: &ProgrammeId,
        id: &str,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM application WHERE programme_id = $1 AND application_id = $2";
        let ended = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(ended.rows_affected() == 1)
    }

    /// From now on `budget` is decided by `version` of the settings, or by a later one.
    pub async fn put_settings_version(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        version: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE budget SET settings_version = $3 \
                   WHERE programme_id = $1 AND budget_id = $2";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(i64::from(version))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
