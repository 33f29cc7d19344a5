//! Rows of pots: the balances, which postings change, and the settings that the person makes.

use crate::domain::id::{BudgetId, PotId, ProgrammeId, StreamId};
use crate::domain::money::{Currency, Money};
use crate::domain::pot::personal::PersonalPotSettings;
use crate::ledger::book::PotBalance;
use crate::ledger::record::column::Added;
use crate::ledger::record::own_pot::{own_pot_text, read_own_pot};
use crate::ledger::record::row::{CorruptRow, Digest};
use crate::ledger::record::table::{Record as _, record};
use crate::store::{StoreError, Tx};

record! {
    /// A pot: its plan and its balances.
    pub struct PotRow in "pot" key(programme_id, budget_id, pot_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub pot_id: PotId,
        pub stream_id: StreamId,
        pub currency: Currency,
        pub allocated_minor: i64,
        pub loaded_minor: i64,
        pub held_minor: i64,
        pub spent_minor: i64,
        pub left_minor: i64,
        pub moved_minor: i64,
        /// The person's own settings, as JSON.
        pub own: Added<String>,
    }
}

record! {
    /// The balances of a pot that postings change.
    pub(in crate::store) struct PotBalancesRow in "pot" key(programme_id, budget_id, pot_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pot_id: PotId,
        loaded_minor: i64,
        held_minor: i64,
        spent_minor: i64,
        left_minor: i64,
        moved_minor: i64,
    }
}

record! {
    /// The plan of a pot: its columns without the balances.
    struct PotPlanRow in "pot" key(programme_id, budget_id, pot_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pot_id: PotId,
        stream_id: StreamId,
        currency: Currency,
        allocated_minor: i64,
        own: Added<String>,
    }
}

record! {
    /// The person's own settings of a pot.
    struct OwnPotRow in "pot" key(programme_id, budget_id, pot_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pot_id: PotId,
        own: Added<String>,
    }
}

impl PotRow {
    /// The row of `pot`.
    pub fn new(
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        balance: &PotBalance,
    ) -> Self {
        let PotBalance { stream, allocated, loaded, held, spent, left, moved, own } = balance;
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            pot_id: pot.clone(),
            stream_id: stream.clone(),
            currency: allocated.currency(),
            allocated_minor: allocated.minor(),
            loaded_minor: loaded.minor(),
            held_minor: held.minor(),
            spent_minor: spent.minor(),
            left_minor: left.minor(),
            moved_minor: moved.minor(),
            own: Added(own_pot_text(own)),
        }
    }

    /// The figures of the pot, and the person's own settings.
    pub(in crate::store) fn balance(&self) -> Result<PotBalance, CorruptRow> {
        let money = |minor| Money::from_minor(minor, self.currency);
        let own = self
            .own
            .0
            .as_deref()
            .map(|text| read_own_pot(text, self.currency).ok_or_else(|| self.corrupt("own")));
        Ok(PotBalance {
            stream: self.stream_id.clone(),
            allocated: money(self.allocated_minor),
            loaded: money(self.loaded_minor),
            held: money(self.held_minor),
            spent: money(self.spent_minor),
            left: money(self.left_minor),
            moved: money(self.moved_minor),
            own: own.transpose()?.unwrap_or_default(),
        })
    }

    /// The digest of the plan and the person's own settings, without the balances.
    pub fn plan_digest(self) -> Digest {
        let plan = PotPlanRow {
            programme_id: self.programme_id,
            budget_id: self.budget_id,
            pot_id: self.pot_id,
            stream_id: self.stream_id,
            currency: self.currency,
            allocated_minor: self.allocated_minor,
            own: self.own,
        };
        Digest::of_row(PotPlanRow::TABLE, &plan.into_row())
    }
}

impl PotBalancesRow {
    /// The balances of `pot`.
    pub(in crate::store) fn new(
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        balance: &PotBalance,
    ) -> Self {
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            pot_id: pot.clone(),
            loaded_minor: balance.loaded.minor(),
            held_minor: balance.held.minor(),
            spent_minor: balance.spent.minor(),
            left_minor: balance.left.minor(),
            moved_minor: balance.moved.minor(),
        }
    }
}

impl Tx {
    /// Stores the person's own settings of a pot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when there is no such pot.
    pub async fn put_own_pot(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pot: &PotId,
        own: &PersonalPotSettings,
    ) -> Result<(), StoreError> {
        let row = OwnPotRow {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            pot_id: pot.clone(),
            own: Added(own_pot_text(own)),
        };
        self.update(&row, &[]).await
    }
}
