//! Writing books back: one statement per table and batch, every row count checked.

use std::sync::Arc;

use jiff::Timestamp;

use super::batch::Batch;
use super::books::pot_row;
use super::{Marked, StoreError, Tx};
use crate::crash;
use crate::domain::id::{
    BudgetId, ConnectionId, ExceptionId, IssuerReference, MessageId, ProgrammeId,
};
use crate::domain::limit::{Committed, CounterKey};
use crate::domain::permission::Permission;
use crate::ledger::book::Book;
use crate::record::purchase::{hold_rows, purchase_row};
use crate::record::row::{Value, shown};

/// Rows of what happened, written beside the books that they changed.
#[derive(Debug, Default)]
pub struct Additions {
    pub decisions: Vec<Vec<Value>>,
    pub withdrawals: Vec<Vec<Value>>,
    pub events: Vec<Vec<Value>>,
    pub presentments: Vec<Vec<Value>>,
    pub messages: Vec<NewMessage>,
    pub notes: Vec<Note>,
    pub parked: Vec<Parked>,
    /// Parked before, and booked now.
    pub unparked: Vec<Parked>,
}

/// A message that waits for the claim that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub event: IssuerReference,
    /// The note that says that it waits.
    pub exception: ExceptionId,
}

/// Something that must be told to the person of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub id: MessageId,
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    /// What kind of message it is: `not_paid`.
    pub kind: &'static str,
    /// What it is about: a decision.
    pub subject: String,
    pub body: String,
    pub created_at: Timestamp,
}

/// Something that somebody has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub id: ExceptionId,
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub kind: &'static str,
    pub subject: String,
    pub detail: String,
    pub noted_at: Timestamp,
}

impl Tx {
    /// Writes everything that changed in `books`, and the rows of `additions`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when a row is there that must not be, or is missing that must be:
    /// somebody else was first, and the whole transaction must be run again.
    pub async fn close_books(
        &mut self,
        books: &[&Book],
        additions: &Additions,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        let s = &*statements;
        let changes = Changed::of(books);
        let messages: Vec<_> = additions.messages.iter().map(message_row).collect();
        let notes: Vec<_> = additions.notes.iter().map(note_row).collect();
        self.newest = changes.newest.clone().or(self.newest.take());
        crash::reach("decided");
        self.write(&s.insert_decisions, &additions.decisions, "decision").await?;
        self.write(&s.insert_withdrawals, &additions.withdrawals, "withdrawal").await?;
        self.write(&s.insert_events, &additions.events, "issuer_event").await?;
        self.write(&s.insert_presentments, &additions.presentments, "presentment").await?;
        self.write(&s.move_heads, &changes.heads, "budget").await?;
        self.write(&s.insert_postings, &changes.postings, "posting").await?;
        self.write(&s.insert_journal, &changes.journal, "journal").await?;
        self.write(&s.upsert_purchases, &changes.purchases, "purchase").await?;
        self.write(&s.upsert_holds, &changes.holds, "hold").await?;
        self.write(&s.update_pots, &changes.pots, "pot").await?;
        self.write(&s.upsert_counters, &changes.counters, "counter").await?;
        self.write(&s.update_permissions, &changes.permissions, "permission").await?;
        self.write(&s.insert_messages, &messages, "message").await?;
        self.write(&s.insert_exceptions, &notes, "exception").await?;
        let parked: Vec<_> = additions.parked.iter().map(parked_row).collect();
        self.write(&s.insert_parked, &parked, "parked").await?;
        let unparked: Vec<_> = additions.unparked.iter().map(parked_row).collect();
        self.write(&s.delete_parked, &unparked, "parked").await?;
        let settled: Vec<_> = additions.unparked.iter().map(noted_key).collect();
        self.write(&s.delete_exceptions, &settled, "exception").await
    }

    async fn write(
        &mut self,
        batch: &Batch,
        rows: &[Vec<Value>],
        table: &'static str,
    ) -> Result<(), StoreError> {
        let written = batch.execute(self.connection(), rows).await?;
        if usize::try_from(written) == Ok(rows.len()) {
            if !rows.is_empty() {
                crash::reach(table);
            }
            Ok(())
        } else {
            Err(StoreError::Contended(table))
        }
    }
}

/// The rows of all changes of all books.
#[derive(Debug, Default)]
struct Changed {
    heads: Vec<Vec<Value>>,
    postings: Vec<Vec<Value>>,
    journal: Vec<Vec<Value>>,
    purchases: Vec<Vec<Value>>,
    holds: Vec<Vec<Value>>,
    pots: Vec<Vec<Value>>,
    counters: Vec<Vec<Value>>,
    permissions: Vec<Vec<Value>>,
    newest: Option<Marked>,
}

impl Changed {
    fn of(books: &[&Book]) -> Self {
        let mut changed = Self::default();
        for book in books {
            changed.add(book);
        }
        changed
    }

    fn add(&mut self, book: &Book) {
        let (programme, budget, changes) = (&book.programme, &book.budget, book.changes());
        if changes.postings.is_empty() {
            return;
        }
        let head = book.head();
        self.newest = head.posting.map(|posting| {
            let programme = programme.clone();
            Marked { programme, posting, hash: head.hash }
        });
        self.heads.push(vec![
            shown(programme),
            shown(budget),
            book.stored_head().seq.into(),
            head.seq.into(),
            head.posting.map(|id| id.to_string()).into(),
            head.hash.into(),
        ]);
        for posting in &changes.postings {
            self.postings.push(posting.row());
            self.journal.extend(posting.journal_rows());
        }
        for purchase in changes.purchases.iter().filter_map(|key| book.purchases.get(key)) {
            self.purchases.push(purchase_row(programme, purchase));
            self.holds.extend(hold_rows(programme, purchase));
        }
        for pot in &changes.pots {
            if let Some(balance) = book.pots.0.get(pot) {
                self.pots.push(pot_row(programme, budget, pot, balance));
            }
        }
        for key in &changes.counters {
            if let Some(used) = book.counters.get(key) {
                self.counters.push(counter_row(programme, budget, key, used));
            }
        }
        for permission in book.permissions.iter().filter(|p| changes.permissions.contains(&p.id)) {
            self.permissions.push(permission_row(programme, budget, permission));
        }
    }
}

/// The row of a counter.
pub(super) fn counter_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    key: &CounterKey,
    used: &Committed,
) -> Vec<Value> {
    vec![
        shown(programme),
        shown(budget),
        shown(&key.scope),
        key.period.word().into(),
        shown(key.first_day),
        used.amount.into(),
        used.purchases.into(),
    ]
}

/// The row of a permission.
pub(super) fn permission_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    permission: &Permission,
) -> Vec<Value> {
    vec![
        shown(programme),
        shown(budget),
        shown(permission.id),
        shown(&permission.scope),
        permission.cap.currency().code().into(),
        permission.cap.into(),
        permission.uses_left.into(),
        permission.given_at.into(),
        permission.ends_at.into(),
    ]
}

fn message_row(message: &NewMessage) -> Vec<Value> {
    vec![
        shown(&message.programme),
        shown(message.id),
        shown(&message.budget),
        message.kind.into(),
        message.subject.as_str().into(),
        message.body.as_str().into(),
        message.created_at.into(),
    ]
}

fn parked_row(parked: &Parked) -> Vec<Value> {
    vec![
        shown(&parked.programme),
        shown(&parked.connection),
        shown(&parked.event),
        shown(parked.exception),
    ]
}

fn noted_key(parked: &Parked) -> Vec<Value> {
    vec![shown(&parked.programme), shown(parked.exception)]
}

fn note_row(note: &Note) -> Vec<Value> {
    vec![
        shown(&note.programme),
        shown(note.id),
        shown(&note.budget),
        note.kind.into(),
        note.subject.as_str().into(),
        note.detail.as_str().into(),
        note.noted_at.into(),
    ]
}
