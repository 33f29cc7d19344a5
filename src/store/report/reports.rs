//! Read-only queries of reports, explanations and people's views. None of them writes or locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{
    BudgetId, ConnectionId, IssuerReference, PotId, ProgrammeId, PurchaseReference,
};
use crate::domain::money::{Currency, Money};
use crate::ledger::book::PotBalance;
use crate::ledger::record::agreement::AgreementRow;
use crate::ledger::record::decision::{DecisionRow, RecordedDecision};
use crate::ledger::record::table::{Record as _, record};
use crate::store::pot::pots::PotRow;
use crate::store::purchase::books::reference_keys;
use crate::store::report::activity::{first_id_at, id_timestamp, last_id_at};
use crate::store::sql::record::select_sql;
use crate::store::{ExceptionRow, MessageRow, PersonRow, Store, StoreError, Tx};

/// The maximum number of decisions that [`Tx::find_decisions`] returns.
pub const DECISIONS_FOUND_MAX: usize = 200;

/// The totals of a programme outside its pots, summed from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgrammeSums {
    /// The amount captured beyond what the pots held.
    pub exposure: Money,
    /// The amount refunded without a known purchase.
    pub suspense: Money,
    /// The amount returned by disputes that are still open.
    pub disputed: Money,
}

record! {
    /// [`ProgrammeSums`] in minor units.
    struct SumsRow in "journal" key() {
        exposure_minor: i64,
        suspense_minor: i64,
        disputed_minor: i64,
    }
}

record! {
    /// The key of a connection.
    struct ConnectionKey in "connection" key(programme_id, connection_id) {
        programme_id: ProgrammeId,
        connection_id: ConnectionId,
    }
}

impl Tx {
    /// The balances of all pots of a programme, by budget and pot.
    pub async fn balances_of(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<BTreeMap<BudgetId, BTreeMap<PotId, PotBalance>>, StoreError> {
        let sql = "WHERE programme_id = $1 ORDER BY budget_id, pot_id";
        let rows: Vec<PotRow> = self.fetch_all(sql, &[programme]).await?;
        let mut balances: BTreeMap<BudgetId, BTreeMap<PotId, PotBalance>> = BTreeMap::new();
        for row in rows {
            let balance = row.balance()?;
            balances.entry(row.budget_id).or_default().insert(row.pot_id, balance);
        }
        Ok(balances)
    }

    /// The pots of every agreement in force, in order of use.
    pub async fn pot_orders(
        &mut self,
        programme: &ProgrammeId,
        currency: Currency,
    ) -> Result<BTreeMap<BudgetId, Vec<PotId>>, StoreError> {
        let sql = "SELECT {columns a} FROM budget b \
                   JOIN agreement a ON a.programme_id = b.programme_id \
                   AND a.budget_id = b.budget_id AND a.version = b.agreement_version \
                   WHERE b.programme_id = $1 ORDER BY b.budget_id";
        let rows: Vec<AgreementRow> = self.fetch_all(sql, &[programme]).await?;
        let order = |row: AgreementRow| {
            let agreement = row.agreement(Vec::new(), currency)?;
            Ok((agreement.budget, agreement.pots.into_iter().map(|pot| pot.id).collect()))
        };
        rows.into_iter().map(order).collect()
    }

    /// The totals of a programme outside its pots, summed from the journal.
    pub async fn programme_sums(
        &mut self,
        programme: &ProgrammeId,
        currency: Currency,
    ) -> Result<ProgrammeSums, StoreError> {
        let sql = "SELECT {columns} FROM (SELECT \
            CAST(COALESCE(SUM(CASE WHEN from_account = 'exposure' THEN amount_minor \
                WHEN to_account = 'exposure' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS exposure_minor, \
            CAST(COALESCE(SUM(CASE WHEN to_account = 'suspense' THEN amount_minor \
                WHEN from_account = 'suspense' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS suspense_minor, \
            CAST(COALESCE(SUM(CASE WHEN to_account = 'disputed' THEN amount_minor \
                WHEN from_account = 'disputed' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS disputed_minor \
            FROM journal WHERE programme_id = $1) AS sums";
        let row: Option<SumsRow> = self.fetch_optional(sql, &[programme]).await?;
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        Ok(ProgrammeSums {
            exposure: Money::from_minor(row.exposure_minor, currency),
            suspense: Money::from_minor(row.suspense_minor, currency),
            disputed: Money::from_minor(row.disputed_minor, currency),
        })
    }

    /// The decisions found by `id`, the oldest first: by decision identifier, by the issuer's
    /// reference of the authorisation request, or by the issuer's reference of the purchase. Keeps
    /// the oldest [`DECISIONS_FOUND_MAX`].
    pub async fn find_decisions(&mut self, id: &str) -> Result<Vec<RecordedDecision>, StoreError> {
        let mut rows: Vec<DecisionRow> = self.fetch_all(DECISION_BY_ID, &[&id]).await?;
        let connections = self.connections().await?;
        if let Ok(reference) = id.parse::<IssuerReference>() {
            let key = |(programme, connection)| (programme, connection, &reference);
            let keys: Vec<_> = connections.iter().cloned().map(key).collect();
            let (statements, keys) = (Arc::clone(&self.statements), reference_keys(&keys));
            rows.extend(statements.decisions.fetch_records(self.connection(), &keys).await?);
        }
        let mut found = BTreeMap::new();
        for row in rows {
            found.insert(row.decision_id, row.decision()?);
        }
        if let Ok(purchase) = id.parse::<PurchaseReference>() {
            let name = |(programme, connection)| (programme, connection, purchase.clone());
            let names: Vec<_> = connections.into_iter().map(name).collect();
            let decisions = self.decisions_of_purchases(&names).await?;
            found.extend(decisions.into_iter().map(|decision| (decision.id, decision)));
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by_key(|decision| (decision.decided_at, decision.id));
        found.truncate(DECISIONS_FOUND_MAX);
        Ok(found)
    }

    /// Every connection, in order. There are few, so an issuer's reference is looked up in each of
    /// them.
    pub(in crate::store) async fn connections(
        &mut self,
    ) -> Result<Vec<(ProgrammeId, ConnectionId)>, StoreError> {
        let sql = "ORDER BY programme_id, connection_id";
        let rows: Vec<ConnectionKey> = self.fetch_all(sql, &[]).await?;
        Ok(rows.into_iter().map(|row| (row.programme_id, row.connection_id)).collect())
    }

    /// A person as described by the programme's file.
    pub async fn person(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<PersonRow>, StoreError> {
        let sql = "WHERE programme_id = $1 AND person_id = $2";
        self.fetch_optional(sql, &[programme, budget]).await
    }

    /// The messages about a decision, the oldest first, at most 100. Only messages of its budget
    /// created from the decision until one minute after the decision or its withdrawal are
    /// searched.
    pub async fn messages_about(
        &mut self,
        decision: &RecordedDecision,
        withdrawn_at: Option<Timestamp>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let from = decision.decided_at;
        let last = withdrawn_at.unwrap_or(from).max(id_timestamp(decision.id.uuid()));
        let last = last.saturating_add(MESSAGE_DELAY_MAX).unwrap_or(last);
        let (first, last) = (first_id_at(from), last_id_at(last));
        let RecordedDecision { programme, budget, id, .. } = decision;
        self.fetch_all(MESSAGES_ABOUT, &[programme, budget, &first, &last, id]).await
    }
}

/// The longest delay between a decision or its withdrawal and the creation of its messages, on the
/// slowest machine.
const MESSAGE_DELAY_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Looks a decision up by its identifier, in any programme.
const DECISION_BY_ID: &str = "WHERE decision_id = $1";

/// Looks the messages about a decision up by their budget and the instants of their creation.
const MESSAGES_ABOUT: &str = "WHERE programme_id = $1 AND budget_id = $2 AND message_id >= $3 \
                              AND message_id <= $4 AND subject = $5 ORDER BY message_id LIMIT 100";

pub(in crate::store) fn decision_by_id_sql() -> String {
    select_sql(DecisionRow::TABLE, DECISION_BY_ID)
}

pub(in crate::store) fn messages_about() -> String {
    select_sql(MessageRow::TABLE, MESSAGES_ABOUT)
}

impl Store {
    /// Up to `most` unresolved exceptions of all programmes, the oldest first.
    pub async fn exceptions(&self, most: u32) -> Result<Vec<ExceptionRow>, StoreError> {
        let sql = "WHERE settled_at IS NULL ORDER BY noted_at, programme_id, exception_id LIMIT $1";
        self.fetch_all(sql, &[&most]).await
    }
}
