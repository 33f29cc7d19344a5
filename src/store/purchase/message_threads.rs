//! Message threads: suppresses a message if its thread already has a recent one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::record::row::{Digest, RowReader, text_value};
use crate::store::sql::statements::MATTER;
use crate::store::{NewMessage, PendingWrites, StoreError, Tx};

/// The key of a message thread: programme, budget, digest of the matter.
pub type MessageThreadKey = (ProgrammeId, BudgetId, Digest);

impl Tx {
    /// Removes new messages whose thread has a message created after
    /// [`crate::store::MessageThread::since`], or an earlier message among the new ones. The
    /// budgets must be locked, so that concurrent transactions cannot both add one.
    pub async fn suppress_repeated_messages(
        &mut self,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), StoreError> {
        let key = |message: &NewMessage| {
            let matter = message.matter.as_ref()?;
            Some((message.programme.clone(), message.budget.clone(), matter.digest))
        };
        let row = |message: &NewMessage| {
            let matter = message.matter.as_ref()?;
            Some(vec![
                text_value(&message.programme),
                text_value(&message.budget),
                text_value(matter.digest),
                matter.since.into(),
            ])
        };
        let keys: Vec<_> = pending_writes.messages.iter().filter_map(row).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let statements = Arc::clone(&self.statements);
        let rows = statements.matters.fetch(self.connection(), &keys, MATTER.columns).await?;
        let mut known_threads: BTreeSet<MessageThreadKey> = BTreeSet::new();
        for row in &rows {
            let mut reader = RowReader::new(&MATTER, row);
            known_threads.insert((reader.parsed()?, reader.parsed()?, reader.parsed()?));
        }
        pending_writes
            .messages
            .retain(|message| key(message).is_none_or(|key| known_threads.insert(key)));
        Ok(())
    }
}
