//! Queries of the background jobs: expired purchases, approvals that the issuer never confirmed,
//! and parked events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::purchase::Purchase;
use crate::ledger::book::PurchaseKey;
use crate::ledger::record::event::ISSUER_EVENT;
use crate::ledger::record::purchase::{PURCHASE, read_purchase};
use crate::ledger::record::row::{RowReader, Table, Value, columns, key_of, text_value};
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::PARKED;
use crate::store::{ParkedEvent, Store, StoreError, Tx};

/// A purchase that holds money, and its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPurchase {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub key: PurchaseKey,
    pub expires_at: Timestamp,
}

static OPEN: Table = Table {
    name: "purchase",
    columns: columns![
        Key "budget_id", Key "connection_id", Key "reference", Number "expires_at",
    ],
};

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
        let sql = "SELECT budget_id, connection_id, reference, expires_at FROM purchase \
                   WHERE programme_id = $1 AND expires_at <= $2 \
                   AND (expires_at, connection_id, reference) > ($3, $4, $5) \
                   ORDER BY expires_at, connection_id, reference LIMIT $6";
        let from = |key: fn(&OpenPurchase) -> String| after.map(key).unwrap_or_default();
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(now.as_microsecond())
            .bind(after.map_or(i64::MIN, |open| open.expires_at.as_microsecond()))
            .bind(from(|open| open.key.0.to_string()))
            .bind(from(|open| open.key.1.to_string()))
            .bind(i64::from(most));
        let read = |row: &AnyRow| {
            let row = read_row(row, OPEN.columns)?;
            let mut reader = RowReader::new(&OPEN, &row);
            let budget = reader.parsed()?;
            let key = (reader.parsed()?, reader.parsed()?);
            let expires_at = reader.instant()?;
            Ok(OpenPurchase { programme: programme.clone(), budget, key, expires_at })
        };
        rows.fetch_all(&self.readers()).await?.iter().map(read).collect()
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
        let sql = format!(
            "SELECT {} FROM purchase WHERE programme_id = $1 AND expires_at > $2 \
             AND expires_at <= $3 AND (word_at IS NULL OR promises LIKE '% %') \
             ORDER BY expires_at LIMIT $4",
            names(PURCHASE.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(from.as_microsecond())
            .bind(to.as_microsecond())
            .bind(i64::from(most));
        let read = |row: &AnyRow| Ok(read_purchase(&read_row(row, PURCHASE.columns)?)?);
        rows.fetch_all(&self.readers()).await?.iter().map(read).collect()
    }

    /// Up to `most` parked events whose presentment has been booked, in the order in which they
    /// were parked, after the cursor `after`.
    pub async fn ready_parked_events(
        &self,
        after: Option<&ParkedEvent>,
        most: u32,
    ) -> Result<Vec<ParkedEvent>, StoreError> {
        let sql = format!(
            "SELECT {} FROM parked p JOIN presentment c ON c.programme_id = p.programme_id \
             AND c.connection_id = p.connection_id AND c.reference = p.claim \
             WHERE p.exception_id > $1 ORDER BY p.exception_id LIMIT $2",
            names(PARKED.columns, "p.")
        );
        let after = after.map(|parked| parked.exception.to_string()).unwrap_or_default();
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(most));
        let read = |row: &AnyRow| read_parked(&read_row(row, PARKED.columns)?);
        rows.fetch_all(&self.readers()).await?.iter().map(read).collect()
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
        let keys: Vec<_> = parked
            .iter()
            .map(|waiting| {
                let ParkedEvent { programme, connection, event, .. } = waiting;
                vec![text_value(programme), text_value(connection), text_value(event)]
            })
            .collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.parked.fetch(self.connection(), &keys, PARKED.columns).await?;
        let mut waiting = BTreeMap::new();
        for row in &rows {
            waiting.insert(key_of(&PARKED, row), read_parked(row)?);
        }
        let rows = statements.events.fetch(self.connection(), &keys, ISSUER_EVENT.columns).await?;
        let mut texts = Vec::new();
        for row in &rows {
            let Some(parked) = waiting.remove(&key_of(&ISSUER_EVENT, row)) else { continue };
            let Some(Value::Text(text)) = ISSUER_EVENT.value(row, "body") else { continue };
            let at = Timestamp::from_microsecond(ISSUER_EVENT.number(row, "received_at"));
            texts.push((parked, text.clone(), at.unwrap_or_default()));
        }
        Ok(texts)
    }
}

fn read_parked(row: &[Value]) -> Result<ParkedEvent, StoreError> {
    let mut reader = RowReader::new(&PARKED, row);
    Ok(ParkedEvent {
        programme: reader.parsed()?,
        connection: reader.parsed()?,
        event: reader.parsed()?,
        claim: reader.parsed()?,
        exception: reader.parsed()?,
    })
}
