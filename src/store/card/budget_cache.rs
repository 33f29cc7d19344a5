//! A cache of the budget of each card. It needs no invalidation, because a card never moves to
//! another budget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::ledger::record::table::record;
use crate::store::purchase::books::reference_keys;
use crate::store::{StoreError, Tx};

/// The key of a card: programme, connection and the issuer's token.
pub type CardKey = (ProgrammeId, ConnectionId, CardToken);

record! {
    /// A card with its budget.
    pub struct CardBudget in "card" key(programme_id, connection_id, token) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub token: CardToken,
        pub budget_id: BudgetId,
    }
}

impl CardBudget {
    /// The key of the card, and its budget.
    pub fn into_entry(self) -> (CardKey, BudgetId) {
        ((self.programme_id, self.connection_id, self.token), self.budget_id)
    }
}

/// Cards and their budgets. Unknown cards are not cached, so no entry ever goes stale. The cache is
/// cleared when it is full.
#[derive(Debug, Default)]
pub struct CardOwnerCache(Mutex<BTreeMap<CardKey, BudgetId>>);

impl CardOwnerCache {
    const CAPACITY: usize = 50_000;

    /// The budgets of the cached ones of `cards`, and the cards that are not cached.
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
    /// The budgets of `cards`; unknown cards are left out. Takes no lock, because a card never
    /// moves to another budget.
    pub async fn card_budgets(
        &mut self,
        cards: &[(ProgrammeId, ConnectionId, CardToken)],
    ) -> Result<Vec<CardBudget>, StoreError> {
        let keys = reference_keys(cards);
        let statements = Arc::clone(&self.statements);
        statements.card_budgets.fetch_records(self.connection(), &keys).await
    }

    /// As [`Tx::card_budgets`], through the cache `owners`. Must not be called in a transaction
    /// that has inserted cards, because a rollback would leave them in the cache.
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
        let found: Vec<_> = found.into_iter().map(CardBudget::into_entry).collect();
        owners.insert(&found);
        known.extend(found);
        Ok(known)
    }
}
