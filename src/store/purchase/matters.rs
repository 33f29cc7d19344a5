//! Messages of one matter: what was told a while ago is not told again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::record::row::{Digest, Reader, shown};
use crate::store::sql::statements::MATTER;
use crate::store::{Additions, NewMessage, StoreError, Tx};

/// A matter of somebody.
pub type MatterKey = (ProgrammeId, BudgetId, Digest);

impl Tx {
    /// Leaves those of the new messages out that are about a matter that was told of a while ago, or
    /// a moment ago. Under the lock of their budgets, so that none is told twice.
    pub async fn group_messages(&mut self, additions: &mut Additions) -> Result<(), StoreError> {
        let key = |message: &NewMessage| {
            let matter = message.matter.as_ref()?;
            Some((message.programme.clone(), message.budget.clone(), matter.digest))
        };
        let row = |message: &NewMessage| {
            let matter = message.matter.as_ref()?;
            Some(vec![
                shown(&message.programme),
                shown(&message.budget),
                shown(matter.digest),
                matter.since.into(),
            ])
        };
        let keys: Vec<_> = additions.messages.iter().filter_map(row).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let statements = Arc::clone(&self.statements);
        let rows = statements.matters.fetch(self.connection(), &keys, MATTER.columns).await?;
        let mut told: BTreeSet<MatterKey> = BTreeSet::new();
        for row in &rows {
            let mut reader = Reader::new(&MATTER, row);
            told.insert((reader.parsed()?, reader.parsed()?, reader.parsed()?));
        }
        additions.messages.retain(|message| key(message).is_none_or(|key| told.insert(key)));
        Ok(())
    }
}
