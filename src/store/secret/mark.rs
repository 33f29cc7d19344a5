//! The mark: a small file beside an SQLite database that remembers the last posting committed.
//!
//! A write-ahead log that was damaged, or a backup that was put back, leaves a database that is
//! whole and lacks its newest rows, without any error. The posting that the mark names is missing
//! then. What comes before it in the file is there when it is there, so one posting is enough.
//!
//! It is written after each commit, and brought to the disk once a second: so it may be older than
//! the database, which does no harm, but never newer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use sqlx::any::AnyRow;

use crate::domain::id::{PostingId, ProgrammeId};
use crate::ledger::record::row::{Digest, RowReader, Table, columns};
use crate::store::secret::files::open_private;
use crate::store::sql::batch::read_row;
use crate::store::{Store, StoreError};

/// Its first line.
const TITLE: &str = "sayso mark 1";
/// Written at once, and shorter than what a disk writes at once: never half new. Unit: bytes.
const SIZE: usize = 512;

/// The last posting of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedPosting {
    pub programme: ProgrammeId,
    pub posting: PostingId,
    pub hash: Digest,
}

/// What the mark says about the database beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkStatus {
    /// PostgreSQL, and a database in memory, have none.
    NotKept,
    /// Nothing was committed since it is kept.
    Empty,
    /// The posting is there.
    InSync(MarkedPosting),
    /// The posting is missing, or is another one.
    Behind(MarkedPosting),
    /// It says nothing that could be understood.
    Unreadable(String),
}

impl MarkStatus {
    /// Whether nothing may be approved.
    pub const fn has_lost_rows(&self) -> bool {
        match self {
            Self::Behind(_) | Self::Unreadable(_) => true,
            Self::NotKept | Self::Empty | Self::InSync(_) => false,
        }
    }
}

/// The file of one database.
#[derive(Debug)]
pub(in crate::store) struct Mark {
    path: PathBuf,
    file: File,
    /// From now on it is only read: what it remembers must not be forgotten.
    has_lost_rows: AtomicBool,
    /// What is yet to be written, and whether somebody is about to.
    pending: Mutex<Option<MarkedPosting>>,
    is_synced: AtomicBool,
}

impl Mark {
    /// The mark of the database at `url`; none for one in memory.
    pub(in crate::store) fn open(url: &str) -> io::Result<Option<Self>> {
        let file = url.strip_prefix("sqlite:").unwrap_or(url);
        let file = file.strip_prefix("//").unwrap_or(file);
        let file = file.split('?').next().unwrap_or_default();
        if file.is_empty() || file == ":memory:" {
            return Ok(None);
        }
        let path = PathBuf::from(format!("{file}.mark"));
        let file = open_private(&path)?;
        let (has_lost_rows, is_synced) = (AtomicBool::new(false), AtomicBool::new(true));
        let pending = Mutex::new(None);
        Ok(Some(Self { path, file, has_lost_rows, pending, is_synced }))
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered; none if nothing was ever written.
    pub(in crate::store) fn read(&self) -> io::Result<Result<Option<MarkedPosting>, String>> {
        // Opened anew: whoever tidies up may have put another file there. Damage may be no text.
        let bytes = std::fs::read(&self.path)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(if text.is_empty() { Ok(None) } else { parse(&text).map(Some) })
    }

    pub(in crate::store) fn has_lost_rows(&self) -> bool {
        self.has_lost_rows.load(Ordering::SeqCst)
    }

    pub(in crate::store) fn set_lost_rows(&self, has_lost_rows: bool) {
        self.has_lost_rows.store(has_lost_rows, Ordering::SeqCst);
    }

    /// Remembers `marked`, which has been committed: at once, but in the background, because a busy
    /// disk may take its time and nobody at a till should wait for it.
    pub(in crate::store) fn write(self: &Arc<Self>, marked: MarkedPosting) {
        if self.has_lost_rows() {
            return;
        }
        let before = self.pending().replace(marked);
        if before.is_none() {
            let mark = Arc::clone(self);
            tokio::task::spawn_blocking(move || mark.flush());
        }
    }

    fn pending(&self) -> MutexGuard<'_, Option<MarkedPosting>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) {
        // Commits that come meanwhile make another flush.
        let Some(marked) = self.pending().take() else { return };
        if let Err(error) = self.file.write_all_at(&bytes(&marked), 0) {
            metrics::counter!("sayso_mark_failures_total").increment(1);
            tracing::error!(%error, "the mark of the database cannot be written");
        }
        self.is_synced.store(false, Ordering::SeqCst);
    }

    /// Replaces what is remembered, whatever it was.
    pub(in crate::store) fn replace(&self, marked: Option<&MarkedPosting>) -> io::Result<()> {
        match marked {
            Some(marked) => self.file.write_all_at(&bytes(marked), 0)?,
            None => self.file.set_len(0)?,
        }
        self.file.sync_all()?;
        self.set_lost_rows(false);
        Ok(())
    }

    /// Brings it to the disk, if it has changed. Blocks for as long as the disk takes.
    pub(in crate::store) fn sync(&self) {
        self.flush();
        if !self.is_synced.swap(true, Ordering::SeqCst)
            && let Err(error) = self.file.sync_data()
        {
            tracing::error!(%error, "the mark of the database is not on the disk");
        }
    }
}

/// What a link of a chain is looked up with.
static LINK: Table =
    Table { name: "posting", columns: columns![Key "programme_id", Key "posting_id", Text "hash"] };

impl Store {
    /// The hash of the posting that `marked` names, if it is there.
    pub(in crate::store) async fn link_hash(
        &self,
        marked: &MarkedPosting,
    ) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT programme_id, posting_id, hash FROM posting \
                   WHERE programme_id = $1 AND posting_id = $2";
        let row = sqlx::query(sql)
            .bind(marked.programme.to_string())
            .bind(marked.posting.to_string())
            .fetch_optional(&self.readers())
            .await?;
        Ok(row.map(|row| read_link(&row)).transpose()?.map(|link| link.hash))
    }

    /// The newest link of all chains, by the order of identifiers.
    pub(in crate::store) async fn newest_link(&self) -> Result<Option<MarkedPosting>, StoreError> {
        let sql = "SELECT programme_id, head_posting, head_hash FROM budget \
                   WHERE head_posting IS NOT NULL ORDER BY head_posting DESC LIMIT 1";
        let row = sqlx::query(sql).fetch_optional(&self.readers()).await?;
        row.map(|row| read_link(&row)).transpose()
    }
}

fn read_link(row: &AnyRow) -> Result<MarkedPosting, StoreError> {
    let row = read_row(row, LINK.columns)?;
    let mut reader = RowReader::new(&LINK, &row);
    Ok(MarkedPosting {
        programme: reader.parsed()?,
        posting: reader.parsed()?,
        hash: reader.parsed::<Digest>()?,
    })
}

impl fmt::Display for MarkedPosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programme, posting, hash } = self;
        write!(f, "{TITLE}\nprogramme {programme}\nposting {posting}\nhash {hash}\n")
    }
}

fn bytes(marked: &MarkedPosting) -> Vec<u8> {
    let text = marked.to_string();
    let check = Digest::of_text(&text);
    let mut bytes = format!("{text}check {check}\n").into_bytes();
    bytes.resize(SIZE.saturating_sub(1), b' ');
    bytes.push(b'\n');
    bytes
}

fn parse(text: &str) -> Result<MarkedPosting, String> {
    let broken = || "its content is damaged".to_owned();
    let (content, check) = text.split_once("check ").ok_or_else(broken)?;
    if check.trim() != Digest::of_text(content).to_string() {
        return Err(broken());
    }
    let mut lines = content.lines();
    if lines.next() != Some(TITLE) {
        return Err("it was written by another version".to_owned());
    }
    let mut next = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let marked = (|| {
        Some(MarkedPosting {
            programme: next("programme")?.parse().ok()?,
            posting: next("posting")?.parse().ok()?,
            hash: next("hash")?.parse().ok()?,
        })
    })();
    marked.ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked() -> MarkedPosting {
        MarkedPosting {
            programme: "riverside".parse().unwrap(),
            posting: PostingId::new(uuid::Uuid::from_u128(7)),
            hash: Digest::of_text("a link"),
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_noticed() {
        let bytes = bytes(&marked());
        assert_eq!(bytes.len(), SIZE);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(parse(&text), Ok(marked()));
        let end = text.trim_end().len();
        for place in 0..end {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(parse(&String::from_utf8(damaged).unwrap()).is_err(), "at {place}");
            assert!(parse(&text[..place]).is_err(), "cut at {place}");
        }
    }
}
