//! Messages of the outbox, and their threads: a message is dropped if its thread already has a
//! recent one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MessageId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::column::Added;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::{Record, record};
use crate::store::{PendingWrites, StoreError, Tx};

record! {
    /// A message of the outbox.
    pub struct MessageRow in "message" key(programme_id, message_id) {
        pub programme_id: ProgrammeId,
        pub message_id: MessageId,
        pub budget_id: BudgetId,
        pub kind: String,
        /// The identifier of the subject, such as a decision or an ask.
        pub subject: String,
        pub body: String,
        pub created_at: Timestamp,
        pub recipient: Recipient,
        /// The data that the text was rendered from, as JSON.
        pub facts: String,
        /// The digest of the thread, if any.
        pub matter: Added<Digest>,
        /// When the subject, such as a request for an answer, expires.
        pub due_at: Option<Timestamp>,
    }
}

record! {
    /// The key of a message thread.
    #[derive(PartialOrd, Ord)]
    struct MessageThreadKey in "message" key(programme_id, budget_id, matter) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        matter: Digest,
    }
}

record! {
    /// A message thread to look up, and the instant after which its messages are recent.
    pub(in crate::store) struct MessageThreadQuery in "message"
        key(programme_id, budget_id, matter) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        matter: Digest,
        since: Timestamp,
    }
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
    pub thread: Option<MessageThread>,
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

impl MessageRow {
    /// The row of a new message.
    pub(in crate::store) fn new(message: &NewMessage) -> Self {
        let NewMessage {
            id,
            programme,
            budget,
            kind,
            subject,
            body,
            created_at,
            recipient,
            facts,
            thread,
            due_at,
        } = message;
        Self {
            programme_id: programme.clone(),
            message_id: *id,
            budget_id: budget.clone(),
            kind: (*kind).to_owned(),
            subject: subject.clone(),
            body: body.clone(),
            created_at: *created_at,
            recipient: *recipient,
            facts: facts.clone(),
            matter: Added(thread.as_ref().map(|thread| thread.digest)),
            due_at: *due_at,
        }
    }
}

impl NewMessage {
    fn thread_query(&self) -> Option<MessageThreadQuery> {
        let thread = self.thread.as_ref()?;
        Some(MessageThreadQuery {
            programme_id: self.programme.clone(),
            budget_id: self.budget.clone(),
            matter: thread.digest,
            since: thread.since,
        })
    }

    fn thread_key(&self) -> Option<MessageThreadKey> {
        let MessageThreadQuery { programme_id, budget_id, matter, .. } = self.thread_query()?;
        Some(MessageThreadKey { programme_id, budget_id, matter })
    }
}

impl Tx {
    /// Removes new messages whose thread has a message created after [`MessageThread::since`], or
    /// an earlier message among the new ones. The budgets must be locked, so that concurrent
    /// transactions cannot both add one.
    pub async fn suppress_repeated_messages(
        &mut self,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), StoreError> {
        let messages = pending_writes.messages.iter();
        let queries: Vec<_> =
            messages.filter_map(NewMessage::thread_query).map(Record::into_row).collect();
        if queries.is_empty() {
            return Ok(());
        }
        let statements = Arc::clone(&self.statements);
        let found = statements.message_threads.fetch_records(self.connection(), &queries).await?;
        let mut known_threads: BTreeSet<MessageThreadKey> = found.into_iter().collect();
        pending_writes
            .messages
            .retain(|message| message.thread_key().is_none_or(|key| known_threads.insert(key)));
        Ok(())
    }
}
