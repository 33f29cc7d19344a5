//! What a programme's file writes about one budget: agreements, pots, loads and permissions.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::ask::permission::Permission;
use crate::domain::id::{BudgetId, LoadId, PotId, ProgrammeId};
use crate::domain::money::Currency;
use crate::ledger::book::PotBalance;
use crate::ledger::record::agreement::{AgreementRow, TermRow};
use crate::ledger::record::row::text_value;
use crate::ledger::record::table::record;
use crate::store::pot::permissions::PermissionRow;
use crate::store::pot::pots::PotRow;
use crate::store::sql::record::OnConflict;
use crate::store::{StoreError, Tx};

record! {
    /// A load: money from a stream into a pot. Each load is posted only once.
    pub struct LoadRow in "load" key(programme_id, budget_id, pot_id, load_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub pot_id: PotId,
        pub load_id: LoadId,
        pub currency: Currency,
        pub amount_minor: i64,
        pub loaded_at: Timestamp,
    }
}

impl Tx {
    /// Adds a version of an agreement with its terms, and puts it in force.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when that version exists.
    pub async fn start_agreement(
        &mut self,
        agreement: &AgreementRow,
        terms: &[TermRow],
    ) -> Result<(), StoreError> {
        let written = self.put(slice::from_ref(agreement), OnConflict::Keep).await?;
        if written != 1 {
            return Err(StoreError::Contended("agreement"));
        }
        self.put(terms, OnConflict::Keep).await?;
        let sql = "UPDATE budget SET agreement_version = $3 \
                   WHERE programme_id = $1 AND budget_id = $2";
        let AgreementRow { programme_id, budget_id, version, .. } = agreement;
        self.execute(sql, &[programme_id, budget_id, version]).await?;
        Ok(())
    }

    /// Adds an empty pot, or updates the allocated amount of an existing one.
    pub async fn put_pot(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        empty: &PotBalance,
    ) -> Result<(), StoreError> {
        self.put(&[PotRow::new(programme, budget, pot, empty)], OnConflict::Keep).await?;
        let sql = "UPDATE pot SET allocated_minor = $4 \
                   WHERE programme_id = $1 AND budget_id = $2 AND pot_id = $3";
        self.execute(sql, &[programme, budget, pot, &empty.allocated.minor()]).await?;
        Ok(())
    }

    /// Adds a load.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the load exists.
    pub async fn add_load(&mut self, load: LoadRow) -> Result<(), StoreError> {
        let written = self.put(&[load], OnConflict::Keep).await?;
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("load")) }
    }

    /// The amount of a load in minor units, if it has been posted.
    pub async fn load_amount(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        load: &LoadId,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT amount_minor FROM load WHERE programme_id = $1 AND budget_id = $2 \
                   AND pot_id = $3 AND load_id = $4";
        self.fetch_scalar(sql, &[programme, budget, pot, load]).await
    }

    /// Adds a permission; an existing one is left unchanged.
    pub async fn add_permission(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        permission: &Permission,
    ) -> Result<(), StoreError> {
        self.put(&[PermissionRow::new(programme, budget, permission)], OnConflict::Keep).await?;
        Ok(())
    }

    /// Deletes the permissions of a locked budget that ended at `ended_at` or before, because every
    /// decision reads all permissions of its budget.
    pub async fn purge_permissions(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        ended_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM permission WHERE programme_id = $1 AND budget_id = $2 \
                   AND ends_at <= $3";
        self.execute(sql, &[programme, budget, &ended_at]).await?;
        Ok(())
    }

    /// The pots of a budget.
    pub async fn pots_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<BTreeMap<PotId, PotBalance>, StoreError> {
        let statements = Arc::clone(&self.statements);
        let key = vec![vec![text_value(programme), text_value(budget)]];
        let rows: Vec<PotRow> = statements.pots.fetch_records(self.connection(), &key).await?;
        rows.into_iter().map(|row| Ok((row.pot_id.clone(), row.balance()?))).collect()
    }
}
