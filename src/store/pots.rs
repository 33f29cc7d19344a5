//! Pots as rows of their balances.

use super::StoreError;
use super::statements::POT;
use crate::domain::id::{BudgetId, PotId, ProgrammeId};
use crate::domain::money::Currency;
use crate::ledger::book::PotBalance;
use crate::record::row::{Reader, Value, shown};

/// Reads a pot's row.
pub(super) fn read_pot(
    row: &[Value],
) -> Result<((ProgrammeId, BudgetId), PotId, PotBalance), StoreError> {
    let mut reader = Reader::new(&POT, row);
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
    };
    Ok((key, pot, balance))
}

/// The row of a pot's balances.
pub(super) fn pot_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    pot: &PotId,
    balance: &PotBalance,
) -> Vec<Value> {
    vec![
        shown(programme),
        shown(budget),
        shown(pot),
        shown(&balance.stream),
        balance.allocated.currency().code().into(),
        balance.allocated.into(),
        balance.loaded.into(),
        balance.held.into(),
        balance.spent.into(),
        balance.left.into(),
    ]
}
