//! Whose card it is, in memory: a card never changes hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};

/// A card: programme, connection, the issuer's token.
pub type CardKey = (ProgrammeId, ConnectionId, CardToken);

/// Cards and their budgets. Only cards that somebody has are kept, so nothing here is ever stale;
/// they all go when there are too many.
#[derive(Debug, Default)]
pub struct CardOwners(Mutex<BTreeMap<CardKey, BudgetId>>);

impl CardOwners {
    const MOST: usize = 50_000;

    /// The budgets of `cards` as far as they are known, and the cards that are not.
    pub(super) fn get(
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

    pub(super) fn keep(&self, found: &[(CardKey, BudgetId)]) {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len().saturating_add(found.len()) > Self::MOST {
            owners.clear();
        }
        owners.extend(found.iter().cloned());
    }
}
