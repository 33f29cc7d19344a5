//! Programme files being applied, so that an interrupted application can be resumed and only one
//! runs per programme.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::record::table::record;
use crate::store::sql::record::OnConflict;
use crate::store::{Store, StoreError, Tx};

record! {
    /// A file that is being applied.
    pub struct ApplicationRow in "application" key(programme_id) {
        pub programme_id: ProgrammeId,
        /// The identifier of this application. Another application of the same file has another
        /// one.
        pub application_id: String,
        /// The version of the settings that the file puts in force.
        pub version: u32,
        /// The complete file without its secrets.
        pub file: String,
        pub begun_at: Timestamp,
    }
}

impl Store {
    /// The unfinished applications, at most one per programme, by programme.
    pub async fn applications(&self) -> Result<Vec<ApplicationRow>, StoreError> {
        self.fetch_all("ORDER BY programme_id", &[]).await
    }
}

impl Tx {
    /// Records the start of an application. Returns false and writes nothing while another file of
    /// the programme is being applied.
    pub async fn begin_application(&mut self, row: &ApplicationRow) -> Result<bool, StoreError> {
        Ok(self.put(std::slice::from_ref(row), OnConflict::Keep).await? == 1)
    }

    /// Whether the application `id` is still running. A share lock keeps it from ending before this
    /// transaction does.
    pub async fn lock_application(
        &mut self,
        programme: &ProgrammeId,
        id: &str,
    ) -> Result<bool, StoreError> {
        let lock = self.lock_clause(" FOR SHARE");
        let sql = format!(
            "SELECT version FROM application WHERE programme_id = $1 AND application_id = $2{lock}"
        );
        let version: Option<u32> = self.fetch_scalar(sql, &[programme, &id]).await?;
        Ok(version.is_some())
    }

    /// Removes a finished application; returns whether it was still recorded.
    pub async fn end_application(
        &mut self,
        programme: &ProgrammeId,
        id: &str,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM application WHERE programme_id = $1 AND application_id = $2";
        Ok(self.execute(sql, &[programme, &id]).await? == 1)
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
        self.execute(sql, &[programme, budget, &version]).await?;
        Ok(())
    }
}
