//! Rows of withdrawn approvals.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ConnectionId, IssuerReference, ProgrammeId};
use crate::ledger::record::decision::RecordedDecision;
use crate::ledger::record::table::record;
use crate::store::purchase::books::{ReferenceKey, reference_keys};
use crate::store::{StoreError, Tx};

record! {
    /// An approval withdrawn because the issuer did not receive it.
    pub struct WithdrawalRow in "withdrawal" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub reference: IssuerReference,
        pub budget_id: BudgetId,
        pub withdrawn_at: Timestamp,
    }
}

impl Tx {
    /// Those of `keys` whose approval was withdrawn.
    pub async fn withdrawn(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        let statements = Arc::clone(&self.statements);
        let keys = reference_keys(keys);
        let rows: Vec<WithdrawalRow> =
            statements.withdrawals.fetch_records(self.connection(), &keys).await?;
        let key =
            |row: WithdrawalRow| (row.programme_id, row.connection_id, row.reference.to_string());
        Ok(rows.into_iter().map(key).collect())
    }

    /// When the approval was withdrawn, if it was.
    pub async fn withdrawn_at(
        &mut self,
        decision: &RecordedDecision,
    ) -> Result<Option<Timestamp>, StoreError> {
        let RecordedDecision { programme, connection, reference, .. } = decision;
        let sql = "SELECT withdrawn_at FROM withdrawal \
                   WHERE programme_id = $1 AND connection_id = $2 AND reference = $3";
        self.fetch_scalar(sql, &[programme, connection, reference]).await
    }
}
