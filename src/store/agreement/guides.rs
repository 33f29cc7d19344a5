//! Published versions of the spending guide. They are never changed.

use jiff::Timestamp;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::ledger::record::row::CorruptRow;
use crate::ledger::record::table::record;
use crate::merchant_rules::{Guide, published_guide};
use crate::store::{StoreError, Tx};

record! {
    /// A published version of the spending guide.
    pub struct GuideRow in "guide" key(programme_id) {
        pub programme_id: ProgrammeId,
        pub version: u32,
        /// In the form of `guide.toml`.
        pub content: String,
        /// The authors who have a budget, one per line.
        pub written_with: String,
        pub published_at: Timestamp,
        pub published_by: MemberId,
    }
}

impl GuideRow {
    /// Parses the content.
    ///
    /// # Errors
    /// [`CorruptRow`] when the content cannot be parsed, although it could be when it was
    /// published.
    pub fn guide(&self) -> Result<Guide, CorruptRow> {
        published_guide(&self.content).map_err(|error| CorruptRow {
            table: "guide",
            column: "content",
            found: error.to_string(),
            key: self.version.to_string(),
        })
    }
}

impl Tx {
    /// One version of a programme's guide; the latest for `None`.
    pub async fn guide(
        &mut self,
        programme: &ProgrammeId,
        version: Option<u32>,
    ) -> Result<Option<GuideRow>, StoreError> {
        let sql = "WHERE programme_id = $1 AND version = COALESCE($2, \
                   (SELECT MAX(version) FROM guide WHERE programme_id = $1))";
        self.fetch_optional(sql, &[programme, &version]).await
    }

    /// Adds a version of a programme's guide.
    pub async fn add_guide(&mut self, guide: GuideRow) -> Result<(), StoreError> {
        self.insert(&[guide]).await
    }
}
