//! Whose card it is, in memory: a card never changes hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::store::purchase::books::{CardBudget, read_card_budget, reference_keys};
use crate::store::sql::statements::CARD_BUDGET;
use crate::store::{StoreError, Tx};

/// A card: programme, connection, the issuer's token.
pub type CardKey = (ProgrammeId, ConnectionId, CardToken);

/// Cards and their budgets. Only cards that somebody has are kept, so nothing here is ever stale;
/// they all go when there are too many.
#[derive(Debug, Default)]
pub struct CardOwnerCache(Mutex<BTreeMap<CardKey, BudgetId>>);

impl CardOwnerCache {
    const CAPACITY: usize = 50_000;

    /// The budgets of `cards` as far as they are known, and the cards that are not.
    pub(in crate::store) fn get(
        &self,
        cards: &BTreeSet<CardKey>,
    ) -> (BTreeMap<CardKey, BudgetId>, Vec<CardKey>) {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = BTreeMap::new();
        let mut missing = Vec::new();
        for card in cards {
            match owners.get(card) {
                Some(budget) => drop(known.insert(card.clone(), budget.clone())),
                None => missing.push(card.clone()),
            }
        }
        (known, missing)
    }

    pub(in crate::store) fn insert(&self, found: &[(CardKey, BudgetId)]) {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len().saturating_add(found.len()) > Self::CAPACITY {
            owners.clear();
        }
        owners.extend(found.iter().cloned());
    }
}

impl Tx {
    /// Whose cards these are. Takes no lock: a card never changes hands.
    pub async fn card_budgets(
        &mut self,
        cards: &[(ProgrammeId, ConnectionId, CardToken)],
    ) -> Result<Vec<CardBudget>, StoreError> {
        let keys = reference_keys(cards);
        let statements = Arc::clone(&self.statements);
        let rows = statements.card_budgets.fetch(self.connection(), &keys, CARD_BUDGET).await?;
        rows.iter().map(|row| read_card_budget(row)).collect()
    }

    /// Whose cards these are. The answers are kept in `owners`, so this must not be asked in a
    /// transaction that has handed out cards itself.
    pub async fn owners(
        &mut self,
        cards: &BTreeSet<CardKey>,
        owners: &CardOwnerCache,
    ) -> Result<BTreeMap<CardKey, BudgetId>, StoreError> {
        let (mut known, missing) = owners.get(cards);
        if missing.is_empty() {
            return Ok(known);
        }
        let found = self.card_budgets(&missing).await?;
        let found: Vec<_> =
            found.into_iter().map(|c| ((c.programme, c.connection, c.token), c.budget)).collect();
        owners.insert(&found);
        known.extend(found);
        Ok(known)
    }
}
