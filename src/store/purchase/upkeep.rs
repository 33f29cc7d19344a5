//! Queries of the background jobs: expired purchases, approvals that the issuer never confirmed,
//! and parked events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ConnectionId, ProgrammeId, PurchaseReference};
use crate::domain::purchase::Purchase;
use crate::ledger::book::PurchaseKey;
use crate::ledger::record::event::IssuerEventRow;
use crate::ledger::record::table::record;
use crate::store::purchase::books::reference_keys;
use crate::store::purchase::history::purchases_of;
use crate::store::{ParkedEvent, Store, StoreError, Tx};

record! {
    /// A purchase that holds money, and its expiry.
    pub struct OpenPurchase in "purchase" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub connection_id: ConnectionId,
        pub reference: PurchaseReference,
        pub expires_at: Timestamp,
    }
}

impl OpenPurchase {
    /// Its key in the book of its budget.
    pub fn key(&self) -> PurchaseKey {
        (self.connection_id.clone(), self.reference.clone())
    }
}

impl Store {
    /// Up to `most` purchases of `programme` that expired at `now` or before, in order of expiry,
    /// after the cursor `after`.
    pub async fn expired_purchases(
        &self,
        programme: &ProgrammeId,
        now: Timestamp,
        after: Option<&OpenPurchase>,
        most: u32,
    ) -> Result<Vec<OpenPurchase>, StoreError> {
        let sql = "WHERE programme_id = $1 AND expires_at <= $2 \
                   AND (expires_at, connection_id, reference) > ($3, $4, $5) \
                   ORDER BY expires_at, connection_id, reference LIMIT $6";
        let expires_at = after.map_or(Timestamp::MIN, |open| open.expires_at);
        let connection = after.map_or("", |open| open.connection_id.as_str());
        let reference = after.map_or("", |open| open.reference.as_str());
        self.fetch_all(sql, &[programme, &now, &expires_at, &connection, &reference, &most]).await
    }

    /// Up to `most` open purchases of `programme` that expire after `from` and at `to` or before,
    /// and of which an approval may be unconfirmed: the issuer sent no event about them, or they
    /// have more than one approval. Without their holds.
    pub async fn purchases_to_review(
        &self,
        programme: &ProgrammeId,
        from: Timestamp,
        to: Timestamp,
        most: u32,
    ) -> Result<Vec<Purchase>, StoreError> {
        let sql = "WHERE programme_id = $1 AND expires_at > $2 AND expires_at <= $3 \
                   AND (word_at IS NULL OR promises LIKE '% %') ORDER BY expires_at LIMIT $4";
        Ok(purchases_of(self.fetch_all(sql, &[programme, &from, &to, &most]).await?)?)
    }

    /// Up to `most` parked events whose presentment has been booked, in the order in which they
    /// were parked, after the cursor `after`.
    pub async fn ready_parked_events(
        &self,
        after: Option<&ParkedEvent>,
        most: u32,
    ) -> Result<Vec<ParkedEvent>, StoreError> {
        let sql = "SELECT {columns p} FROM parked p \
                   JOIN presentment c ON c.programme_id = p.programme_id \
                   AND c.connection_id = p.connection_id AND c.reference = p.claim \
                   WHERE p.exception_id > $1 ORDER BY p.exception_id LIMIT $2";
        let after = after.map(|parked| parked.exception_id.to_string()).unwrap_or_default();
        self.fetch_all(sql, &[&after, &most]).await
    }
}

impl Tx {
    /// Those of `parked` that still wait, with their texts and the instants of receipt; events with
    /// an erased text are left out. Locks the rows, so that concurrent transactions book each event
    /// only once.
    pub async fn parked_event_bodies(
        &mut self,
        parked: &[ParkedEvent],
    ) -> Result<Vec<(ParkedEvent, String, Timestamp)>, StoreError> {
        let key = |event: &ParkedEvent| {
            let ParkedEvent { programme_id, connection_id, reference, .. } = event.clone();
            (programme_id, connection_id, reference)
        };
        let keys = reference_keys(&parked.iter().map(key).collect::<Vec<_>>());
        let statements = Arc::clone(&self.statements);
        let parked: Vec<ParkedEvent> =
            statements.parked.fetch_records(self.connection(), &keys).await?;
        let mut waiting: BTreeMap<_, _> =
            parked.into_iter().map(|event| (key(&event), event)).collect();
        let events: Vec<IssuerEventRow> =
            statements.events.fetch_records(self.connection(), &keys).await?;
        let text = |event: IssuerEventRow| {
            let parked =
                waiting.remove(&(event.programme_id, event.connection_id, event.reference));
            Some((parked?, event.body.0?, event.received_at))
        };
        Ok(events.into_iter().filter_map(text).collect())
    }
}
