//! Verifies the ledger: recomputes everything that the database says about money from the chains.
//!
//! Each budget is verified on its own: its chain link by link, the records that the links cover (in
//! both directions), then its purchases, pots and counters from the journal alone. None of the code
//! that writes balances is used to check them. Seals are verified last.
//!
//! `book` and the files of its checks refer to each other: `book` walks a chain once and passes
//! each link to `records` and `balances`, and the totals of `balances` to `seals`; `records` and
//! `balances` read the rows and report their findings through the `BudgetVerifier` of `book`. The
//! chain is read once, and each kind of check has a file of its own.

mod balances;
mod book;
mod counters;
mod permissions;
mod records;
mod seals;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use self::book::BudgetVerifier;
use self::seals::SealVerifier;
use crate::domain::id::ProgrammeId;
use crate::ledger::posting::{PostingKind, PostingRow};
use crate::ledger::record::event::{IssuerEventRow, PresentmentRow};
use crate::ledger::record::row::{CorruptRow, Table, Value, key_of};
use crate::ledger::record::table::Record as _;
use crate::store::{LedgerRows, MarkStatus, Store, StoreError, Tx};

/// The number of verified rows, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerificationReport {
    pub counts: Counts,
    /// By budget, in the order of the chain, so that the first broken row comes first. At most
    /// [`VerificationReport::LISTED_MAX`].
    pub findings: Vec<RowFinding>,
    /// Number of findings beyond those.
    pub unlisted: u64,
}

/// Number of verified rows, by table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

/// A row that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFinding {
    pub table: &'static str,
    /// The row's primary key.
    pub key: String,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// Verifies the ledger of `programme`, or of every programme, each in one snapshot.
///
/// # Errors
///
/// [`StoreError`] if the database cannot be read. A wrong row is not an error but a [`RowFinding`].
pub async fn verify(
    store: &Store,
    programme: Option<&ProgrammeId>,
) -> Result<VerificationReport, StoreError> {
    let programmes = match programme {
        Some(programme) => vec![programme.to_string()],
        None => store.snapshot().await?.programmes_with_rows().await?,
    };
    let mut report = VerificationReport::default();
    for programme in &programmes {
        let mut snapshot = store.snapshot().await?;
        verify_programme(&mut snapshot, programme, &mut report).await?;
    }
    // Last, because the database must have every posting that the mark names by now.
    report.compare(&store.mark_status().await?, programme);
    Ok(report)
}

async fn verify_programme(
    tx: &mut Tx,
    programme: &str,
    report: &mut VerificationReport,
) -> Result<(), StoreError> {
    let mut scan = tx.scan_ledger(programme).await?;
    let currency = tx.most_used_currency(programme).await?.unwrap_or_default();
    let mut seals = SealVerifier::read(tx, programme, report).await?;
    while let Some(ledger_rows) = tx.next_ledger_rows(&mut scan).await? {
        let events = events_of(tx, programme, &ledger_rows).await?;
        let heads = seals.take_heads(&ledger_rows.budget);
        BudgetVerifier::new(&ledger_rows, &events, &currency, report).run(&heads, &mut seals);
    }
    seals.finish(programme, &currency, report);
    let (strays, events) = tx.events_without_posting(programme).await?;
    report.counts.add(IssuerEventRow::TABLE, u64::try_from(events).unwrap_or_default());
    for key in strays {
        let key = format!("{programme}/{key}");
        report.add_finding(
            IssuerEventRow::TABLE.name,
            key,
            "says it is in the books, but no posting books it",
        );
    }
    Ok(())
}

/// The issuer events that the postings of a budget name, by `connection/reference`.
type Events = BTreeMap<String, Vec<Value>>;

async fn events_of(
    tx: &mut Tx,
    programme: &str,
    ledger_rows: &LedgerRows,
) -> Result<Events, StoreError> {
    let messages = ledger_rows.of(PostingRow::TABLE).iter().filter_map(|row| {
        let kind = PostingKind::from_word(PostingRow::TABLE.text(row, "kind"));
        let is_message = matches!(kind, Some(PostingKind::StatusUpdate | PostingKind::Dispute));
        is_message.then(|| PostingRow::TABLE.text(row, "subject").split_once('/')).flatten()
    });
    let presentments = ledger_rows.of(PresentmentRow::TABLE).iter().map(|row| {
        (
            PresentmentRow::TABLE.text(row, "connection_id"),
            PresentmentRow::TABLE.text(row, "event_reference"),
        )
    });
    let mut keys: Vec<_> = messages.chain(presentments).collect();
    keys.sort_unstable();
    keys.dedup();
    let rows = tx.events_by_reference(programme, &keys).await?;
    Ok(rows.into_iter().map(|row| (reference_of(IssuerEventRow::TABLE, &row), row)).collect())
}

/// `connection/reference`, by which postings name issuer events.
fn reference_of(table: &Table, row: &[Value]) -> String {
    format!("{}/{}", table.text(row, "connection_id"), table.text(row, "reference"))
}

/// The primary key of a row: its texts, and the numbers of tables with lines or versions.
fn primary_key_text(table: &Table, row: &[Value]) -> String {
    let numbers: &[&str] = match table.name {
        "journal" => &["line"],
        "agreement" => &["version"],
        "term" => &["version", "position"],
        _ => &[],
    };
    let numbers = numbers.iter().map(|number| table.number(row, number).to_string());
    [key_of(table, row)].into_iter().chain(numbers).collect::<Vec<_>>().join("/")
}

impl VerificationReport {
    /// Maximum number of findings that are listed.
    pub const LISTED_MAX: usize = 100;

    /// Whether there are no findings.
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.unlisted == 0
    }

    /// The text for an operator: the counts, and that the ledger is proved or its first broken row.
    pub fn to_text(&self) -> String {
        let counts: Vec<_> =
            self.counts.0.iter().map(|(t, count)| format!("{count} {t}")).collect();
        let mut text = format!("rows looked at: {}\n", counts.join(", "));
        let Some(first) = self.findings.first() else {
            text.push_str("the ledger is proved\n");
            return text;
        };
        let listed = u64::try_from(self.findings.len()).unwrap_or(u64::MAX);
        let all = listed.saturating_add(self.unlisted);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "the ledger is NOT proved: {all} found; the first broken row:");
        let _ = writeln!(text, "{} {}: {}", first.table, first.key, first.what);
        text
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let json = serde_json::json!({
            "proved": self.is_clean(),
            "counts": self.counts.0,
            "findings": self.findings,
            "unlisted": self.unlisted,
        });
        json.to_string()
    }

    /// Compares the database with its mark, which names the newest committed posting, because
    /// correct rows may still be fewer than were committed.
    fn compare(&mut self, mark_status: &MarkStatus, programme: Option<&ProgrammeId>) {
        const MARK: &str = "mark";
        match mark_status {
            MarkStatus::Behind(marked) => {
                let is_asked_about = programme.is_none_or(|asked| *asked == marked.programme);
                let key = format!("{}/{}", marked.programme, marked.posting);
                if is_asked_about && !self.has_finding_for(&key) {
                    let what = "was committed as the mark beside the database knows, and is not \
                                here as it was: newer rows were lost, or an older copy was put \
                                back; see sayso doctor";
                    self.add_finding(MARK, key, what);
                }
            }
            MarkStatus::Unreadable(why) => {
                let what = format!("cannot be read, so newer rows may be missing: {why}");
                self.add_finding(MARK, "beside the database".to_owned(), what);
            }
            MarkStatus::NotKept | MarkStatus::Empty | MarkStatus::InSync(_) => {}
        }
    }

    /// Whether there is a finding about the row with this key.
    fn has_finding_for(&self, key: &str) -> bool {
        self.findings.iter().any(|finding| finding.key == key)
    }

    fn add_finding(&mut self, table: &'static str, key: String, what: impl Into<String>) {
        if self.findings.len() < Self::LISTED_MAX {
            self.findings.push(RowFinding { table, key, what: what.into() });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }

    fn add_row_finding(&mut self, table: &'static Table, row: &[Value], what: impl Into<String>) {
        self.add_finding(table.name, primary_key_text(table, row), what);
    }

    fn add_corrupt_row(&mut self, corrupt: &CorruptRow) {
        let CorruptRow { table, column, found, key } = corrupt;
        self.add_finding(table, key.clone(), format!("its {column} cannot be read: {found:?}"));
    }
}

impl Counts {
    /// Number of verified rows of `table`.
    pub fn of(&self, table: &str) -> u64 {
        self.0.get(table).copied().unwrap_or_default()
    }

    fn add(&mut self, table: &Table, rows: u64) {
        let count = self.0.entry(table.name).or_default();
        *count = count.saturating_add(rows);
    }
}
