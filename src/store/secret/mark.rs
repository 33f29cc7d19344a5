//! The mark: a small file beside a SQLite database that names the last posting committed.
//!
//! A damaged write-ahead log or a restored backup leaves a valid database that lacks its newest
//! rows, without any error. The posting named by the mark is missing then. Checking one posting is
//! enough, because the log is applied in order: if this posting exists, so does everything
//! committed before it.
//!
//! It is written after each commit and flushed to the disk once a second. It may therefore be older
//! than the database, which is harmless, but never newer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use crate::domain::id::{PostingId, ProgrammeId};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::record;
use crate::store::secret::files::open_private;
use crate::store::{Store, StoreError};

/// The first line of the file: its format version.
const TITLE: &str = "sayso mark 1";
/// The size of the file in bytes: one disk sector, so that a write replaces it as a whole or not at
/// all.
const SIZE: usize = 512;

/// The last posting of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedPosting {
    pub programme: ProgrammeId,
    pub posting: PostingId,
    pub hash: Digest,
}

/// The result of comparing a database with its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkStatus {
    /// The database has no mark: it is PostgreSQL or in memory.
    NotKept,
    /// The mark is empty, because no posting was committed since it was created.
    Empty,
    /// The database has the marked posting.
    InSync(MarkedPosting),
    /// The marked posting is missing or has another hash.
    Behind(MarkedPosting),
    /// The mark cannot be parsed; the text says why.
    Unreadable(String),
}

impl MarkStatus {
    /// Whether committed rows are or may be missing. Nothing may be approved then.
    pub const fn has_lost_rows(&self) -> bool {
        match self {
            Self::Behind(_) | Self::Unreadable(_) => true,
            Self::NotKept | Self::Empty | Self::InSync(_) => false,
        }
    }
}

/// The mark of one database.
#[derive(Debug)]
pub(in crate::store) struct Mark {
    path: PathBuf,
    file: File,
    /// Stops [`Mark::write`], because the mark must keep naming the lost posting.
    has_lost_rows: AtomicBool,
    /// The posting to be written next. `Some` means that a flush is already scheduled.
    pending: Mutex<Option<MarkedPosting>>,
    is_synced: AtomicBool,
}

impl Mark {
    /// Opens the mark of the SQLite database at `url`, and creates it if it is missing; `None` for
    /// a database in memory.
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

    /// Reads the mark: `Ok(Ok(None))` if it is empty, `Ok(Err(_))` with the reason if it cannot be
    /// parsed.
    pub(in crate::store) fn read(&self) -> io::Result<Result<Option<MarkedPosting>, String>> {
        // Read by path, because the file may have been replaced since it was opened. Lossy, because
        // a damaged file need not be UTF-8.
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

    /// Schedules a write of `marked`, which has been committed. It runs in the background, because
    /// no response may wait for a busy disk.
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
        // A commit after this point schedules another flush.
        let Some(marked) = self.pending().take() else { return };
        if let Err(error) = self.file.write_all_at(&bytes(&marked), 0) {
            metrics::counter!("sayso_mark_failures_total").increment(1);
            tracing::error!(%error, "the mark of the database cannot be written");
        }
        self.is_synced.store(false, Ordering::SeqCst);
    }

    /// Overwrites or empties the mark, flushes it to the disk, and allows writes again.
    pub(in crate::store) fn replace(&self, marked: Option<&MarkedPosting>) -> io::Result<()> {
        match marked {
            Some(marked) => self.file.write_all_at(&bytes(marked), 0)?,
            None => self.file.set_len(0)?,
        }
        self.file.sync_all()?;
        self.set_lost_rows(false);
        Ok(())
    }

    /// Writes the pending posting and flushes the mark to the disk if it has changed. Blocks on the
    /// disk.
    pub(in crate::store) fn sync(&self) {
        self.flush();
        if !self.is_synced.swap(true, Ordering::SeqCst)
            && let Err(error) = self.file.sync_data()
        {
            tracing::error!(%error, "the mark of the database is not on the disk");
        }
    }
}

record! {
    /// A posting with its hash.
    struct PostingHashRow in "posting" key(programme_id, posting_id) {
        programme_id: ProgrammeId,
        posting_id: PostingId,
        hash: Digest,
    }
}

record! {
    /// The head of a chain that has postings.
    struct NewestHeadRow in "budget" key(programme_id) {
        programme_id: ProgrammeId,
        head_posting: PostingId,
        head_hash: Digest,
    }
}

impl From<NewestHeadRow> for MarkedPosting {
    fn from(row: NewestHeadRow) -> Self {
        Self { programme: row.programme_id, posting: row.head_posting, hash: row.head_hash }
    }
}

impl Store {
    /// The hash of the posting that `marked` names; `None` if it is missing.
    pub(in crate::store) async fn link_hash(
        &self,
        marked: &MarkedPosting,
    ) -> Result<Option<Digest>, StoreError> {
        let sql = "WHERE programme_id = $1 AND posting_id = $2";
        let row: Option<PostingHashRow> =
            self.fetch_optional(sql, &[&marked.programme, &marked.posting]).await?;
        Ok(row.map(|row| row.hash))
    }

    /// The head with the greatest posting identifier over all chains; identifiers are time-ordered.
    pub(in crate::store) async fn newest_link(&self) -> Result<Option<MarkedPosting>, StoreError> {
        let sql = "WHERE head_posting IS NOT NULL ORDER BY head_posting DESC LIMIT 1";
        let row: Option<NewestHeadRow> = self.fetch_optional(sql, &[]).await?;
        Ok(row.map(MarkedPosting::from))
    }
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
