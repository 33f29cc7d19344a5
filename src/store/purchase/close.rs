//! Writes books back: one statement per table and batch, every row count checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{
    BudgetId, ConnectionId, ExceptionId, IssuerReference, PostingId, ProgrammeId,
};
use crate::ledger::record::row::{CanonicalHasher, Digest, Value};
use crate::ledger::record::table::{Record, record};
use crate::platform::crash;
use crate::store::pot::counters::CounterRow;
use crate::store::pot::permissions::PermissionRow;
use crate::store::pot::pots::PotBalancesRow;
use crate::store::purchase::books::OpenBook;
use crate::store::purchase::messages::{MessageRow, NewMessage};
use crate::store::sql::batch::Row;
use crate::store::sql::combined_writes::TableWrite;
use crate::store::{MarkedPosting, StoreError, Tx};

/// Rows to write in the same transaction as the changed books.
#[derive(Debug, Default)]
pub struct PendingWrites {
    pub decisions: Vec<Vec<Value>>,
    pub withdrawals: Vec<Vec<Value>>,
    pub events: Vec<Vec<Value>>,
    pub presentments: Vec<Vec<Value>>,
    pub messages: Vec<NewMessage>,
    pub new_exceptions: Vec<ExceptionRow>,
    /// Exceptions that later issuer events resolve.
    pub resolved_exceptions: Vec<ResolvedException>,
    pub parked: Vec<ParkedEvent>,
    /// Events that were parked and are now booked.
    pub unparked: Vec<ParkedEvent>,
}

record! {
    /// An issuer event that arrived before the presentment that it refers to.
    pub struct ParkedEvent in "parked" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        /// The reference of the event.
        pub reference: IssuerReference,
        /// The reference of the presentment that it waits for.
        pub claim: IssuerReference,
        /// The exception that reports it as waiting.
        pub exception_id: ExceptionId,
    }
}

record! {
    /// An exception to report, which needs a member of staff.
    pub struct ExceptionRow in "exception" key(programme_id, exception_id) {
        pub programme_id: ProgrammeId,
        pub exception_id: ExceptionId,
        pub budget_id: BudgetId,
        pub kind: String,
        /// The issuer event that revealed it.
        pub subject: String,
        pub detail: String,
        pub noted_at: Timestamp,
        /// The purchase or the issuer event concerned: `connection/reference`. `None` if an early
        /// version reported it.
        pub about: Option<String>,
    }
}

record! {
    /// A resolution of an exception. It has no effect if the exception does not exist or is
    /// resolved already.
    pub struct ResolvedException in "exception" key(programme_id, exception_id) {
        pub programme_id: ProgrammeId,
        pub exception_id: ExceptionId,
        pub settled_at: Timestamp,
        /// The issuer event that explains it.
        pub settled_by: String,
    }
}

record! {
    /// The new head of a budget's chain, whose head in the store has the number `old_seq`.
    pub(in crate::store) struct HeadUpdate in "budget" key(programme_id, budget_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        old_seq: i64,
        head_seq: i64,
        head_posting: Option<PostingId>,
        head_hash: Digest,
    }
}

/// The identifier of the exception of `kind` about `about`. It is derived from them, so that
/// reporting the same exception again, in any transaction, changes nothing while it is open.
pub fn exception_id(programme: &ProgrammeId, kind: &str, about: &str) -> ExceptionId {
    let mut canonical = CanonicalHasher::new("exception");
    for text in [programme.as_str(), kind, about] {
        canonical.text(text);
    }
    ExceptionId::new(canonical.finish().uuid())
}

impl PendingWrites {
    /// Adds an exception, and removes a pending resolution of the same one, so that it stays open.
    pub fn add_exception(&mut self, note: ExceptionRow) {
        self.resolved_exceptions.retain(|settled| settled.exception_id != note.exception_id);
        self.new_exceptions.push(note);
    }
}

impl Tx {
    /// Writes all changes of `books`, and the rows of `pending_writes`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a row to insert exists or a row to update or delete does not:
    /// another transaction was first, and the whole transaction must be retried.
    pub async fn close_books(
        &mut self,
        books: &[&OpenBook],
        pending_writes: &PendingWrites,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        let s = &*statements;
        let changes = ChangedRows::of(books);
        let messages = pending_writes.messages.iter().map(MessageRow::new);
        let messages: Vec<_> = messages.map(Record::into_row).collect();
        let notes = unique_rows(&pending_writes.new_exceptions, |note| note.exception_id);
        let settled = unique_rows(&pending_writes.resolved_exceptions, |one| one.exception_id);
        self.newest = changes.newest.clone().or(self.newest.take());
        crash::failpoint("decided");
        let write = |batch, rows, table| TableWrite { batch, rows, table };
        self.write_all(&[
            write(&s.insert_decisions, &borrow_rows(&pending_writes.decisions), "decision"),
            write(&s.insert_events, &borrow_rows(&pending_writes.events), "issuer_event"),
            write(
                &s.insert_presentments,
                &borrow_rows(&pending_writes.presentments),
                "presentment",
            ),
            write(&s.update_heads, &changes.heads, "budget"),
            write(&s.insert_postings, &changes.postings, "posting"),
            write(&s.insert_journal, &changes.journal, "journal"),
            write(&s.insert_purchases, &changes.purchases.inserts, "purchase"),
            write(&s.update_purchases, &changes.purchases.updates, "purchase"),
            write(&s.insert_holds, &changes.holds.inserts, "hold"),
            write(&s.update_holds, &changes.holds.updates, "hold"),
            write(&s.update_pots, &changes.pots, "pot"),
            write(&s.insert_counters, &changes.counters.inserts, "counter"),
            write(&s.update_counters, &changes.counters.updates, "counter"),
        ])
        .await?;
        self.write(&s.insert_withdrawals, &pending_writes.withdrawals, "withdrawal").await?;
        self.write(&s.update_permissions, &changes.permissions, "permission").await?;
        self.write(&s.insert_messages, &messages, "message").await?;
        s.insert_exceptions.execute(self.connection(), &notes).await?;
        if !notes.is_empty() {
            crash::failpoint("exception");
        }
        s.resolve_exceptions.execute(self.connection(), &settled).await?;
        let parked: Vec<_> = pending_writes.parked.iter().map(Record::row).collect();
        self.write(&s.insert_parked, &parked, "parked").await?;
        let unparked: Vec<_> = pending_writes.unparked.iter().map(Record::row).collect();
        self.write(&s.delete_parked, &unparked, "parked").await?;
        // The row count is not checked, because the exception may be deleted already.
        s.delete_exceptions.execute(self.connection(), &unparked).await?;
        Ok(())
    }
}

/// The rows of `records`: the last one per identifier, because one statement cannot write a row
/// twice.
fn unique_rows<R: Record>(records: &[R], id: fn(&R) -> ExceptionId) -> Vec<Vec<Value>> {
    let rows: BTreeMap<_, _> = records.iter().map(|record| (id(record), record.row())).collect();
    rows.into_values().collect()
}

fn borrow_rows(rows: &[Vec<Value>]) -> Vec<Row<'_>> {
    rows.iter().map(|row| row.as_slice().into()).collect()
}

/// The changed rows of all books, by table.
#[derive(Debug, Default)]
struct ChangedRows<'a> {
    heads: Vec<Row<'a>>,
    postings: Vec<Row<'a>>,
    journal: Vec<Row<'a>>,
    purchases: InsertsAndUpdates<'a>,
    holds: InsertsAndUpdates<'a>,
    pots: Vec<Row<'a>>,
    counters: InsertsAndUpdates<'a>,
    permissions: Vec<Row<'a>>,
    newest: Option<MarkedPosting>,
}

/// The rows of one table: new ones, and ones that exist.
#[derive(Debug, Default)]
struct InsertsAndUpdates<'a> {
    inserts: Vec<Row<'a>>,
    updates: Vec<Row<'a>>,
}

impl<'a> InsertsAndUpdates<'a> {
    fn push(&mut self, is_known: bool, row: impl Into<Row<'a>>) {
        if is_known { self.updates.push(row.into()) } else { self.inserts.push(row.into()) }
    }
}

impl<'a> ChangedRows<'a> {
    fn of(books: &[&'a OpenBook]) -> Self {
        let mut changed = Self::default();
        for open in books {
            changed.add(open);
        }
        changed
    }

    fn add(&mut self, open: &'a OpenBook) {
        let (book, existing) = (&open.book, &open.existing);
        let (programme, budget, changes) = (&book.programme, &book.budget, book.changes());
        if changes.postings.is_empty() {
            return;
        }
        let head = book.head();
        self.newest = head.posting.map(|posting| {
            let programme = programme.clone();
            MarkedPosting { programme, posting, hash: head.hash }
        });
        let update = HeadUpdate {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            old_seq: book.stored_head().seq,
            head_seq: head.seq,
            head_posting: head.posting,
            head_hash: head.hash,
        };
        self.heads.push(update.into_row().into());
        for rows in &changes.posting_rows {
            self.postings.push(rows.posting.as_slice().into());
            self.journal.extend(borrow_rows(&rows.journal));
        }
        for (key, rows) in &changes.purchases {
            let holds = existing.purchases.get(key).copied();
            self.purchases.push(holds.is_some(), rows.purchase.as_slice());
            for (number, row) in rows.holds.iter().enumerate() {
                self.holds.push(number < holds.unwrap_or(0), row.as_slice());
            }
        }
        for pot in &changes.pots {
            if let Some(balance) = book.pots.0.get(pot) {
                let row = PotBalancesRow::new(programme, budget, pot, balance);
                self.pots.push(row.into_row().into());
            }
        }
        for key in &changes.counters {
            if let Some(used) = book.counters.get(key) {
                let row = CounterRow::new(programme, budget, key, used);
                self.counters.push(existing.counters.contains(key), row.into_row());
            }
        }
        for permission in book.permissions.iter().filter(|p| changes.permissions.contains(&p.id)) {
            let row = PermissionRow::new(programme, budget, permission);
            self.permissions.push(row.into_row().into());
        }
    }
}
