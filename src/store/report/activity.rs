//! Activity of a budget other than purchases: loads, and messages by kind and time.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MessageId, ProgrammeId};
use crate::store::{LoadRow, MessageRow, StoreError, Tx};

/// The maximum number of loads read for one budget.
const LOADS_MAX: i64 = 5_000;

impl Tx {
    /// The loads of a budget's pots, the oldest first; at most 5,000.
    pub async fn loads_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<LoadRow>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 ORDER BY loaded_at, pot_id LIMIT $3";
        self.fetch_all(sql, &[programme, budget, &LOADS_MAX]).await
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
            "WHERE programme_id = $1 AND budget_id = $2 \
             AND message_id >= $3 AND message_id <= $4 AND kind IN ({kinds}) \
             ORDER BY message_id DESC LIMIT $5"
        );
        let (first, last) = (first_id_at(from), last_id_at(before));
        self.fetch_all(sql, &[programme, budget, &first, &last, &most]).await
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
