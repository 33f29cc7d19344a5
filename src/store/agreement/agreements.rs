//! Agreements, read by version and cached, because a version never changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::agreement::{Agreement, Decider, Scope, TermAnswer};
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::Currency;
use crate::ledger::record::agreement::{AgreementRow, TermRow};
use crate::ledger::record::row::{CorruptRow, Value, text_value};
use crate::ledger::record::table::{Record as _, record};
use crate::store::sql::batch::Rows;
use crate::store::{StoreError, Tx};

record! {
    /// A term of an agreement in force.
    pub struct TermInForce in "term" key(budget_id) {
        pub budget_id: BudgetId,
        pub scope: Scope,
        pub answer: TermAnswer,
        pub decides: Decider,
        pub cooling_days: Option<u32>,
    }
}

impl Tx {
    /// The terms of every agreement in force of a programme.
    pub async fn terms_in_force(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Vec<TermInForce>, StoreError> {
        let sql = "SELECT {columns t} FROM budget b JOIN term t \
                   ON t.programme_id = b.programme_id AND t.budget_id = b.budget_id \
                   AND t.version = b.agreement_version WHERE b.programme_id = $1";
        self.fetch_all(sql, &[programme]).await
    }
}

/// The key of one version of a budget's agreement.
pub(in crate::store) type AgreementKey = (ProgrammeId, BudgetId, u32);

/// A cache of agreements. Entries never go stale, because a version never changes. The cache is
/// cleared when it is full.
#[derive(Debug, Default)]
pub struct AgreementCache(Mutex<BTreeMap<AgreementKey, Arc<Agreement>>>);

impl AgreementCache {
    const CAPACITY: usize = 50_000;

    pub(in crate::store) fn get(&self, key: &AgreementKey) -> Option<Arc<Agreement>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).map(Arc::clone)
    }

    /// The newest cached version of a budget's agreement: probably the one in force, but only the
    /// budget's row is authoritative.
    pub fn latest(&self, programme: &ProgrammeId, budget: &BudgetId) -> Option<Arc<Agreement>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |version| (programme.clone(), budget.clone(), version);
        known.range(of(0)..=of(u32::MAX)).next_back().map(|(_, agreement)| Arc::clone(agreement))
    }

    pub(in crate::store) fn insert(&self, key: AgreementKey, agreement: Arc<Agreement>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::CAPACITY {
            known.clear();
        }
        known.insert(key, agreement);
    }
}

impl Tx {
    /// One version of an agreement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when that version does not exist.
    pub async fn read_agreement(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        version: u32,
        currency: Currency,
    ) -> Result<Arc<Agreement>, StoreError> {
        let key = (programme.clone(), budget.clone(), version);
        let mut found = self.read_agreements(&BTreeMap::from([(key.clone(), currency)])).await?;
        found.remove(&key).ok_or(StoreError::Contended("agreement"))
    }

    /// The version of a budget's agreement in force; `None` before the first one starts.
    pub async fn version_in_force(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<u32>, StoreError> {
        let sql = "SELECT agreement_version FROM budget WHERE programme_id = $1 AND budget_id = $2";
        let version: Option<Option<u32>> = self.fetch_scalar(sql, &[programme, budget]).await?;
        Ok(version.flatten())
    }

    /// The agreement in force; `None` before the first version starts.
    pub async fn agreement_in_force(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Option<Arc<Agreement>>, StoreError> {
        match self.version_in_force(programme, budget).await? {
            Some(version) => {
                self.read_agreement(programme, budget, version, currency).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Those of the `wanted` agreements that exist. The value of each key is the currency of its
    /// budget.
    pub(in crate::store) async fn read_agreements(
        &mut self,
        wanted: &BTreeMap<AgreementKey, Currency>,
    ) -> Result<BTreeMap<AgreementKey, Arc<Agreement>>, StoreError> {
        let row = |(programme, budget, version): &AgreementKey| {
            vec![text_value(programme), text_value(budget), (*version).into()]
        };
        let keys: Vec<_> = wanted.keys().map(row).collect();
        let statements = Arc::clone(&self.statements);
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = statements.agreements.fetch(self.connection(), &[&keys]).await?;
        let [rows, terms] =
            <[Rows; 2]>::try_from(found).map_err(|_| StoreError::Contended("agreement"))?;
        let mut terms = terms_by_agreement(&terms)?;
        let mut agreements = BTreeMap::new();
        for row in &rows {
            let row = AgreementRow::from_row(row)?;
            let key = (row.programme_id.clone(), row.budget_id.clone(), row.version);
            let Some(currency) = wanted.get(&key) else { continue };
            let terms = terms.remove(&key).unwrap_or_default();
            agreements.insert(key, Arc::new(row.agreement(terms, *currency)?));
        }
        Ok(agreements)
    }
}

/// The terms of each agreement, in order.
fn terms_by_agreement(
    rows: &[Vec<Value>],
) -> Result<BTreeMap<AgreementKey, Vec<TermRow>>, CorruptRow> {
    let mut terms: BTreeMap<AgreementKey, Vec<TermRow>> = BTreeMap::new();
    for row in rows {
        let term = TermRow::from_row(row)?;
        let key = (term.programme_id.clone(), term.budget_id.clone(), term.version);
        terms.entry(key).or_default().push(term);
    }
    for terms in terms.values_mut() {
        terms.sort_by_key(|term| term.position);
    }
    Ok(terms)
}
