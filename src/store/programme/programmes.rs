//! Rows of programmes: the versions of their settings, with the merchant rules and tables of shops.

use jiff::Timestamp;

use crate::domain::id::ProgrammeId;
use crate::ledger::record::column::Added;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::record;
use crate::store::purchase::books::SettingsVersionRow;
use crate::store::sql::record::OnConflict;
use crate::store::{Store, StoreError, Tx};

record! {
    /// One version of a programme's settings.
    pub struct ProgrammeRow in "programme_version" key() {
        pub version: u32,
        pub settings: String,
        /// The complete merchant rules.
        pub rules: String,
        /// The complete table of shops; `None` if the version was applied before such tables
        /// existed.
        pub shops: Option<String>,
    }
}

record! {
    /// A version as it is stored: its rules and shops are rows of [`RulesRow`].
    struct ProgrammeVersion in "programme_version" key(programme_id) {
        programme_id: ProgrammeId,
        version: u32,
        settings: String,
        rules_digest: Digest,
        applied_at: Timestamp,
        shops_digest: Added<Digest>,
    }
}

record! {
    /// Merchant rules or a table of shops, stored once for all versions that have it.
    struct RulesRow in "rules" key(digest) {
        digest: Digest,
        content: String,
    }
}

impl RulesRow {
    fn new(content: &str) -> Self {
        Self { digest: Digest::of_text(content), content: content.to_owned() }
    }
}

impl Store {
    /// The programmes of this deployment, in order, each with the version of its settings in force.
    pub async fn programmes(&self) -> Result<Vec<(ProgrammeId, u32)>, StoreError> {
        let rows: Vec<SettingsVersionRow> = self.fetch_all("ORDER BY programme_id", &[]).await?;
        Ok(rows.into_iter().map(|row| (row.programme_id, row.version)).collect())
    }

    /// One version of a programme's settings; the one in force for `None`.
    pub async fn programme(
        &self,
        programme: &ProgrammeId,
        version: Option<u32>,
    ) -> Result<Option<ProgrammeRow>, StoreError> {
        let sql = "SELECT {columns} FROM \
                   (SELECT v.version, v.settings, r.content AS rules, s.content AS shops \
                   FROM programme p \
                   JOIN programme_version v ON v.programme_id = p.programme_id \
                   AND v.version = COALESCE($2, p.version) \
                   JOIN rules r ON r.digest = v.rules_digest \
                   LEFT JOIN rules s ON s.digest = v.shops_digest \
                   WHERE p.programme_id = $1) AS found";
        self.fetch_optional(sql, &[programme, &version]).await
    }
}

impl Tx {
    /// Puts a version of a programme's settings in force for all its budgets, unless a newer one
    /// is.
    pub async fn activate_settings(
        &mut self,
        programme: &ProgrammeId,
        version: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE programme SET version = $2 WHERE programme_id = $1 AND version < $2";
        self.execute(sql, &[programme, &version]).await?;
        Ok(())
    }

    /// Adds a version of a programme's settings. The first version is in force at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when that version exists.
    pub async fn add_settings(
        &mut self,
        programme: &ProgrammeId,
        row: &ProgrammeRow,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let rules = RulesRow::new(&row.rules);
        let shops = row.shops.as_deref().map(RulesRow::new);
        let version = ProgrammeVersion {
            programme_id: programme.clone(),
            version: row.version,
            settings: row.settings.clone(),
            rules_digest: rules.digest,
            applied_at: at,
            shops_digest: Added(shops.as_ref().map(|shops| shops.digest)),
        };
        let texts: Vec<_> = [rules].into_iter().chain(shops).collect();
        self.put(&texts, OnConflict::Keep).await?;
        let head = SettingsVersionRow { programme_id: programme.clone(), version: row.version };
        self.put(&[head], OnConflict::Keep).await?;
        let written = self.put(&[version], OnConflict::Keep).await?;
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("programme_version")) }
    }
}
