//! Programme files being applied, so that an interrupted application can be resumed and only one
//! runs per programme.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::record::row::{RowReader, Table, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::read_row;
use crate::store::{Dialect, Store, StoreError, Tx};

/// A file that is being applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRow {
    pub programme: ProgrammeId,
    /// The identifier of this application. Another application of the same file has another one.
    pub id: String,
    /// The version of the settings that the file puts in force.
    pub version: u32,
    /// The complete file without its secrets.
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
    /// The unfinished applications, at most one per programme, by programme.
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
    /// Records the start of an application. Returns false and writes nothing while another file of
    /// the programme is being applied.
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

    /// Whether the application `id` is still running. A share lock keeps it from ending before this
    /// transaction does.
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

    /// Removes a finished application; returns whether it was still recorded.
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

    /// Sets the settings version of `budget`. Decisions use this version or the programme's,
    /// whichever is greater.
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
