//! Published versions of the spending guide. They are never changed.

use jiff::Timestamp;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::ledger::record::row::{CorruptRow, RowReader, Table, columns, text_value};
use crate::programme::rules::{Guide, published_guide};
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{StoreError, Tx};

static GUIDE: Table = Table {
    name: "guide",
    columns: columns![
        Key "programme_id", Number "version", Text "content", Text "written_with",
        Number "published_at", Text "published_by",
    ],
};

/// A published version of the spending guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuideRow {
    pub version: u32,
    /// In the form of `guide.toml`.
    pub content: String,
    /// The authors who have a budget, one per line.
    pub written_with: String,
    pub published_at: Timestamp,
    pub published_by: MemberId,
}

impl GuideRow {
    /// Parses the content.
    ///
    /// # Errors
    /// [`CorruptRow`] when the content cannot be parsed, although it could be when it was
    /// published.
    pub fn guide(&self) -> Result<Guide, CorruptRow> {
        published_guide(&self.content).map_err(|error| CorruptRow {
            table: GUIDE.name,
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
        let sql = "SELECT programme_id, version, content, written_with, published_at, \
                   published_by FROM guide WHERE programme_id = $1 AND version = COALESCE($2, \
                   (SELECT MAX(version) FROM guide WHERE programme_id = $1))";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(version.map(i64::from))
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, GUIDE.columns)?;
        let mut reader = RowReader::new(&GUIDE, &row);
        reader.skip(); // the programme
        Ok(Some(GuideRow {
            version: reader.integer()?,
            content: reader.text()?.to_owned(),
            written_with: reader.text()?.to_owned(),
            published_at: reader.instant()?,
            published_by: reader.parsed()?,
        }))
    }

    /// Adds a version of a programme's guide.
    pub async fn add_guide(
        &mut self,
        programme: &ProgrammeId,
        guide: &GuideRow,
    ) -> Result<(), StoreError> {
        let row = vec![
            text_value(programme),
            guide.version.into(),
            guide.content.as_str().into(),
            guide.written_with.as_str().into(),
            guide.published_at.into(),
            text_value(&guide.published_by),
        ];
        let insert = BatchStatement::insert(self.statements.dialect, &GUIDE);
        insert.execute(self.connection(), &[row]).await?;
        Ok(())
    }
}
