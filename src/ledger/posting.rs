//! Postings: the immutable transfers of one event, appended to the hash chain of their budget.

use jiff::Timestamp;

use super::account::Account;
use crate::domain::id::{BudgetId, PostingId, ProgrammeId, PurchaseId};
use crate::domain::money::{Currency, Money};
use crate::domain::stored_enum::stored_enum;
use crate::ledger::record::column::word_columns;
use crate::ledger::record::row::{CanonicalHasher, CorruptRow, Digest, Value};
use crate::ledger::record::table::{Record as _, record};

record! {
    /// One row per posting.
    pub struct PostingRow in "posting" key(programme_id, posting_id) {
        pub programme_id: ProgrammeId,
        pub posting_id: PostingId,
        pub budget_id: BudgetId,
        pub seq: i64,
        pub kind: PostingKind,
        pub subject: String,
        pub record_digest: Digest,
        pub purchase_id: Option<PurchaseId>,
        pub purchase_digest: Option<Digest>,
        pub posted_at: Timestamp,
        pub previous_id: Option<PostingId>,
        pub hash: Digest,
    }
}

record! {
    /// One row per transfer.
    pub struct JournalRow in "journal" key(programme_id, posting_id) {
        pub programme_id: ProgrammeId,
        pub posting_id: PostingId,
        pub line: i64,
        pub budget_id: BudgetId,
        pub from_account: Account,
        pub to_account: Account,
        pub currency: Currency,
        pub amount_minor: i64,
    }
}

/// An amount above zero from one account to another. The type cannot represent an imbalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    from: Account,
    to: Account,
    amount: Money,
}

impl Transfer {
    /// `None` if `amount` is not positive or both accounts are the same.
    pub fn new(from: Account, to: Account, amount: Money) -> Option<Self> {
        (amount.is_positive() && from != to).then_some(Self { from, to, amount })
    }

    /// The account that the money leaves.
    pub const fn from(&self) -> &Account {
        &self.from
    }

    /// The account that the money enters.
    pub const fn to(&self) -> &Account {
        &self.to
    }

    /// Above zero.
    pub const fn amount(&self) -> Money {
        self.amount
    }
}

stored_enum!(
    /// The kind of event that a posting books.
    PostingKind {
        /// An agreement took effect. Moves no money.
        Agreement => "agreement",
        /// A pot was opened or its plan changed. Moves no money.
        Pot => "pot",
        Load => "load",
        /// The person moved money between their pots.
        PotTransfer => "move",
        /// We decided an authorisation request; an approval holds money.
        Decision => "decision",
        /// We withdrew an approval that the issuer did not receive in time.
        Withdrawal => "withdrawal",
        /// The issuer reported the status of an authorisation.
        StatusUpdate => "standing",
        Capture => "capture",
        Refund => "refund",
        /// The funds of a dispute moved.
        Dispute => "dispute",
        /// A hold expired by our own clock.
        Expiry => "expiry",
    }
);

word_columns!(PostingKind);

/// The content of a posting before it is appended to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingContent {
    pub id: PostingId,
    pub kind: PostingKind,
    /// The key of what it books: a decision, an event or a load.
    pub subject: String,
    /// The digest of the stored rows that it books.
    pub record: Digest,
    /// The purchase that it changes, and the digest of its rows after the change.
    pub purchase: Option<(PurchaseId, Digest)>,
    pub at: Timestamp,
    pub transfers: Vec<Transfer>,
}

/// The head of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The sequence number of the last posting: 0 for an empty chain.
    pub seq: i64,
    pub posting: Option<PostingId>,
    pub hash: Digest,
}

impl ChainHead {
    /// The head of an empty chain.
    pub const START: Self = Self { seq: 0, posting: None, hash: Digest::ZERO };
}

/// The stored rows of a posting and its transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingRows {
    pub posting: Vec<Value>,
    pub journal: Vec<Vec<Value>>,
}

/// A posting in the chain of one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub seq: i64,
    pub previous: Option<PostingId>,
    pub entry: PostingContent,
    pub hash: Digest,
}

impl Posting {
    /// Appends `entry` after `head`.
    pub fn link(
        programme: &ProgrammeId,
        budget: &BudgetId,
        head: ChainHead,
        entry: PostingContent,
    ) -> Self {
        Self::link_with_rows(programme, budget, head, entry).0
    }

    /// Appends `entry` after `head`, and returns the rows to store, which the hash covers.
    pub fn link_with_rows(
        programme: &ProgrammeId,
        budget: &BudgetId,
        head: ChainHead,
        entry: PostingContent,
    ) -> (Self, PostingRows) {
        let mut posting = Self {
            programme: programme.clone(),
            budget: budget.clone(),
            seq: head.seq.saturating_add(1),
            previous: head.posting,
            entry,
            hash: Digest::ZERO,
        };
        let (mut posting_row, journal) = (posting.row(), posting.journal_rows());
        let lines: Vec<_> = journal.iter().map(Vec::as_slice).collect();
        posting.hash = link_hash(head.hash, &posting_row, &lines);
        if let Some(hash) = posting_row.last_mut() {
            *hash = posting.hash.into();
        }
        (posting, PostingRows { posting: posting_row, journal })
    }

    /// The hash of this posting after a posting with hash `previous`.
    pub fn hash_after(&self, previous: Digest) -> Digest {
        let journal = self.journal_rows();
        let journal: Vec<_> = journal.iter().map(Vec::as_slice).collect();
        link_hash(previous, &self.row(), &journal)
    }

    /// The head of the chain that ends with this posting.
    pub const fn head(&self) -> ChainHead {
        ChainHead { seq: self.seq, posting: Some(self.entry.id), hash: self.hash }
    }

    /// The row to store.
    pub fn row(&self) -> Vec<Value> {
        let (purchase_id, purchase_digest) = self.entry.purchase.unzip();
        let row = PostingRow {
            programme_id: self.programme.clone(),
            posting_id: self.entry.id,
            budget_id: self.budget.clone(),
            seq: self.seq,
            kind: self.entry.kind,
            subject: self.entry.subject.clone(),
            record_digest: self.entry.record,
            purchase_id,
            purchase_digest,
            posted_at: self.entry.at,
            previous_id: self.previous,
            hash: self.hash,
        };
        row.into_row()
    }

    /// The rows of the transfers.
    pub fn journal_rows(&self) -> Vec<Vec<Value>> {
        let row = |(line, transfer): (i64, &Transfer)| {
            let row = JournalRow {
                programme_id: self.programme.clone(),
                posting_id: self.entry.id,
                line,
                budget_id: self.budget.clone(),
                from_account: transfer.from.clone(),
                to_account: transfer.to.clone(),
                currency: transfer.amount.currency(),
                amount_minor: transfer.amount.minor(),
            };
            row.into_row()
        };
        (1..).zip(&self.entry.transfers).map(row).collect()
    }
}

impl JournalRow {
    /// The transfer.
    ///
    /// # Errors
    ///
    /// [`CorruptRow`] when the amount is not positive, or both accounts are the same.
    pub fn transfer(&self) -> Result<Transfer, CorruptRow> {
        let amount = Money::from_minor(self.amount_minor, self.currency);
        Transfer::new(self.from_account.clone(), self.to_account.clone(), amount)
            .ok_or_else(|| self.corrupt("amount_minor"))
    }
}

/// The hash of a posting from its stored rows: it covers the hash of the `previous` posting, all
/// columns of the posting's row except the hash, and its transfers in order.
pub fn link_hash(previous: Digest, posting: &[Value], journal: &[&[Value]]) -> Digest {
    let mut canonical = CanonicalHasher::new("posting");
    canonical.digest(previous);
    let (_hash, content) = posting.split_last().unwrap_or((&Value::Null, &[]));
    canonical.row(PostingRow::TABLE, content);
    for transfer in journal {
        canonical.row(JournalRow::TABLE, transfer);
    }
    canonical.finish()
}
