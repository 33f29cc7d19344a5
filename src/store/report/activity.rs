//! Activity of a budget other than purchases: loads, and messages by kind and time.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::id::{BudgetId, MessageId, PotId, ProgrammeId};
use crate::domain::money::{Currency, Money};
use crate::ledger::record::row::{RowReader, Table, columns};
use crate::store::report::reports::read_message;
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::MESSAGE;
use crate::store::{MessageRow, StoreError, Tx};

/// The maximum number of loads read for one budget.
const LOADS_MAX: i64 = 5_000;

static LOAD_VIEW: Table = Table {
    name: "load",
    columns: columns![Key "pot_id", Number "amount_minor", Number "loaded_at"],
};

/// A load: money put into a pot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRow {
    pub pot: PotId,
    pub amount: Money,
    pub at: Timestamp,
}

impl Tx {
    /// The loads of a budget's pots, the oldest first; at most 5,000.
    pub async fn loads_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<LoadRow>, StoreError> {
        let sql = "SELECT pot_id, amount_minor, loaded_at FROM load \
                   WHERE programme_id = $1 AND budget_id = $2 ORDER BY loaded_at, pot_id LIMIT $3";
        let query =
            sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string()).bind(LOADS_MAX);
        let mut loads = Vec::new();
        for row in query.fetch_all(self.connection()).await? {
            let row = read_row(&row, LOAD_VIEW.columns)?;
            let mut reader = RowReader::new(&LOAD_VIEW, &row);
            let (pot, amount, at) = (reader.parsed()?, reader.money(currency)?, reader.instant()?);
            loads.push(LoadRow { pot, amount, at });
        }
        Ok(loads)
    }

    /// Up to `most` messages of a budget of the given `kinds` that were created from the first
    /// instant to the second, both included, the newest first. `kinds` must be constants, because
    /// they become part of the SQL text.
    pub async fn messages_between(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        (from, before): (Timestamp, Timestamp),
        kinds: &[&'static str],
        most: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let kinds = kinds.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {} FROM message WHERE programme_id = $1 AND budget_id = $2 \
             AND message_id >= $3 AND message_id <= $4 AND kind IN ({kinds}) \
             ORDER BY message_id DESC LIMIT $5",
            names(MESSAGE.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(first_id_at(from).to_string())
            .bind(last_id_at(before).to_string())
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read_message).collect()
    }
}

/// The lowest message identifier of the millisecond of `at`, because a UUIDv7 begins with 48 bits
/// of milliseconds.
pub(in crate::store) fn first_id_at(at: Timestamp) -> MessageId {
    let milliseconds = u128::try_from(at.as_millisecond()).unwrap_or_default();
    MessageId::new(uuid::Uuid::from_u128(milliseconds << 80))
}

/// The instant at which a UUIDv7 was created, in milliseconds; the Unix epoch if it is out of
/// range.
pub(in crate::store) fn id_timestamp(id: uuid::Uuid) -> Timestamp {
    let milliseconds = i64::try_from(id.as_u128() >> 80).ok();
    let made = milliseconds.and_then(|made| Timestamp::from_millisecond(made).ok());
    made.unwrap_or_default()
}

/// The highest message identifier of the millisecond of `at`.
pub(in crate::store) fn last_id_at(at: Timestamp) -> MessageId {
    let first = first_id_at(at).uuid().as_u128();
    MessageId::new(uuid::Uuid::from_u128(first | ((1 << 80) - 1)))
}
