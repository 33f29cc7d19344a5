//! Writes books back: one statement per table and batch, every row count checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::ask::permission::Permission;
use crate::domain::id::{
    BudgetId, ConnectionId, ExceptionId, IssuerReference, MessageId, ProgrammeId,
};
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::row::{CanonicalHasher, Digest, Value, text_value};
use crate::ledger::record::uses::open_at_text;
use crate::platform::crash;
use crate::store::pot::counters::counter_row;
use crate::store::pot::pots::pot_update_row;
use crate::store::purchase::books::OpenBook;
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
    pub new_exceptions: Vec<NewException>,
    /// Exceptions that later issuer events resolve.
    pub resolved_exceptions: Vec<ResolvedException>,
    pub parked: Vec<ParkedEvent>,
    /// Events that were parked and are now booked.
    pub unparked: Vec<ParkedEvent>,
}

/// An issuer event that arrived before the presentment that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub event: IssuerReference,
    /// The reference of the presentment that it waits for.
    pub claim: IssuerReference,
    /// The exception that reports it as waiting.
    pub exception: ExceptionId,
}

/// A message to add to the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub id: MessageId,
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    /// The kind of message, such as `not_paid` or `ask_yes`.
    pub kind: &'static str,
    /// The identifier of the subject, such as a decision or an ask.
    pub subject: String,
    /// The rendered text, in English.
    pub body: String,
    pub created_at: Timestamp,
    pub recipient: Recipient,
    /// The data that the text was rendered from, as JSON.
    pub facts: String,
    /// The thread. A message is dropped if its thread already has a recent one.
    pub matter: Option<MessageThread>,
    /// When the subject, such as a request for an answer, expires.
    pub due_at: Option<Timestamp>,
}

/// The key of repeated messages about one matter, and for how long an earlier one suppresses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageThread {
    /// A one-way digest, so that it does not reveal the matter.
    pub digest: Digest,
    /// A message of the same thread created after this instant suppresses a new one.
    pub since: Timestamp,
}

/// An exception to report, which needs a member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewException {
    pub id: ExceptionId,
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub kind: &'static str,
    /// The purchase or the issuer event concerned: `connection/reference`.
    pub about: String,
    /// The issuer event that revealed it.
    pub subject: String,
    pub detail: String,
    pub noted_at: Timestamp,
}

/// A resolution of an exception. It has no effect if the exception does not exist or is resolved
/// already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedException {
    pub id: ExceptionId,
    pub programme: ProgrammeId,
    /// The issuer event that explains it.
    pub by: String,
    pub at: Timestamp,
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
    pub fn add_exception(&mut self, note: NewException) {
        self.resolved_exceptions.retain(|settled| settled.id != note.id);
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
        let messages: Vec<_> = pending_writes.messages.iter().map(message_row).collect();
        // Keeps the last one per identifier, because one statement cannot write a row twice.
        let notes: BTreeMap<_, _> =
            pending_writes.new_exceptions.iter().map(|n| (n.id, exception_row(n))).collect();
        let notes: Vec<_> = notes.into_values().collect();
        let settled: BTreeMap<_, _> =
            pending_writes.resolved_exceptions.iter().map(|s| (s.id, resolution_row(s))).collect();
        let settled: Vec<_> = settled.into_values().collect();
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
        let parked: Vec<_> = pending_writes.parked.iter().map(parked_row).collect();
        self.write(&s.insert_parked, &parked, "parked").await?;
        let unparked: Vec<_> = pending_writes.unparked.iter().map(parked_row).collect();
        self.write(&s.delete_parked, &unparked, "parked").await?;
        let settled: Vec<_> = pending_writes.unparked.iter().map(exception_key).collect();
        // The row count is not checked, because the exception may be deleted already.
        s.delete_exceptions.execute(self.connection(), &settled).await?;
        Ok(())
    }
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
        self.heads.push(Row::Owned(vec![
            text_value(programme),
            text_value(budget),
            book.stored_head().seq.into(),
            head.seq.into(),
            head.posting.map(|id| id.to_string()).into(),
            head.hash.into(),
        ]));
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
                self.pots.push(pot_update_row(programme, budget, pot, balance).into());
            }
        }
        for key in &changes.counters {
            if let Some(used) = book.counters.get(key) {
                let row = counter_row(programme, budget, key, used);
                self.counters.push(existing.counters.contains(key), row);
            }
        }
        for permission in book.permissions.iter().filter(|p| changes.permissions.contains(&p.id)) {
            self.permissions.push(permission_row(programme, budget, permission).into());
        }
    }
}

/// Builds the row of a permission.
pub(in crate::store) fn permission_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    permission: &Permission,
) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(budget),
        text_value(permission.id),
        text_value(&permission.scope),
        permission.cap.currency().code().into(),
        permission.cap.into(),
        permission.uses_left.into(),
        permission.given_at.into(),
        permission.ends_at.into(),
        permission.giver.word().into(),
        permission.uses.as_ref().map(|uses| uses.open).into(),
        permission.uses.as_ref().map(|uses| uses.captured).into(),
        permission.uses.as_ref().map(|uses| open_at_text(&uses.open_at)).into(),
    ]
}

pub(in crate::store) fn message_row(message: &NewMessage) -> Vec<Value> {
    vec![
        text_value(&message.programme),
        text_value(message.id),
        text_value(&message.budget),
        message.kind.into(),
        message.subject.as_str().into(),
        message.body.as_str().into(),
        message.created_at.into(),
        message.recipient.word().into(),
        message.facts.as_str().into(),
        message.matter.as_ref().map(|matter| matter.digest.to_string()).into(),
        message.due_at.into(),
    ]
}

fn parked_row(parked: &ParkedEvent) -> Vec<Value> {
    vec![
        text_value(&parked.programme),
        text_value(&parked.connection),
        text_value(&parked.event),
        text_value(&parked.claim),
        text_value(parked.exception),
    ]
}

fn exception_key(parked: &ParkedEvent) -> Vec<Value> {
    vec![text_value(&parked.programme), text_value(parked.exception)]
}

fn exception_row(note: &NewException) -> Vec<Value> {
    vec![
        text_value(&note.programme),
        text_value(note.id),
        text_value(&note.budget),
        note.kind.into(),
        note.subject.as_str().into(),
        note.detail.as_str().into(),
        note.noted_at.into(),
        note.about.as_str().into(),
        Value::Null,
        Value::Null,
    ]
}

fn resolution_row(settled: &ResolvedException) -> Vec<Value> {
    vec![
        text_value(&settled.programme),
        text_value(settled.id),
        settled.at.into(),
        settled.by.as_str().into(),
    ]
}
