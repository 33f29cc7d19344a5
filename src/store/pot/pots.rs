//! Rows of pots: the balances, which postings change, and the settings that the person makes.

use crate::domain::id::{BudgetId, PotId, ProgrammeId};
use crate::domain::money::Currency;
use crate::domain::pot::personal::PersonalPotSettings;
use crate::ledger::book::PotBalance;
use crate::ledger::record::own_pot::{own_pot_text, read_own_pot};
use crate::ledger::record::row::{RowReader, Value, text_value};
use crate::store::sql::statements::POT;
use crate::store::{StoreError, Tx};

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
        let sql = "UPDATE pot SET own = $4 \
                   WHERE programme_id = $1 AND budget_id = $2 AND pot_id = $3";
        let query = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(pot.to_string())
            .bind(own_pot_text(own));
        let written = query.execute(self.connection()).await?.rows_affected();
        if written == 1 { Ok(()) } else { Err(StoreError::Contended("pot")) }
    }
}

pub(in crate::store) fn read_pot(
    row: &[Value],
) -> Result<((ProgrammeId, BudgetId), PotId, PotBalance), StoreError> {
    let mut reader = RowReader::new(&POT, row);
    let key = (reader.parsed()?, reader.parsed()?);
    let pot = reader.parsed()?;
    let stream = reader.parsed()?;
    let currency: Currency = reader.parsed()?;
    let balance = PotBalance {
        stream,
        allocated: reader.money(currency)?,
        loaded: reader.money(currency)?,
        held: reader.money(currency)?,
        spent: reader.money(currency)?,
        left: reader.money(currency)?,
        moved: reader.money(currency)?,
        own: reader
            .optional(|reader| reader.word(|text| read_own_pot(text, currency)))?
            .unwrap_or_default(),
    };
    Ok((key, pot, balance))
}

/// Builds the complete row of a pot.
pub(in crate::store) fn pot_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    pot: &PotId,
    balance: &PotBalance,
) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(budget),
        text_value(pot),
        text_value(&balance.stream),
        balance.allocated.currency().code().into(),
        balance.allocated.into(),
        balance.loaded.into(),
        balance.held.into(),
        balance.spent.into(),
        balance.left.into(),
        balance.moved.into(),
        own_pot_text(&balance.own).into(),
    ]
}

/// Builds the row of an update: the key and the balances that postings change.
pub(in crate::store) fn pot_update_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    pot: &PotId,
    balance: &PotBalance,
) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(budget),
        text_value(pot),
        balance.loaded.into(),
        balance.held.into(),
        balance.spent.into(),
        balance.left.into(),
        balance.moved.into(),
    ]
}
