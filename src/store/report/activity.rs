//! What happened to somebody's money beside purchases: what was put in, and what they were told of
//! holding money back.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::domain::id::{BudgetId, MessageId, PotId, ProgrammeId};
use crate::domain::money::{Currency, Money};
use crate::ledger::record::row::{RowReader, Table, columns};
use crate::store::report::reports::read_message;
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::MESSAGE;
use crate::store::{MessageRow, StoreError, Tx};

/// The most loads of one budget that are read.
const MAX_LOADS: i64 = 5_000;

static LOAD_VIEW: Table = Table {
    name: "load",
    columns: columns![Key "pot_id", Number "amount_minor", Number "loaded_at"],
};

/// Money that was put into a pot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRow {
    pub pot: PotId,
    pub amount: Money,
    pub at: Timestamp,
}

impl Tx {
    /// Everything that was put into the pots of a budget, the oldest first.
    pub async fn loads_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        currency: Currency,
    ) -> Result<Vec<LoadRow>, StoreError> {
        let sql = "SELECT pot_id, amount_minor, loaded_at FROM load \
                   WHERE programme_id = $1 AND budget_id = $2 ORDER BY loaded_at, pot_id LIMIT $3";
        let query =
            sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string()).bind(MAX_LOADS);
        let mut loads = Vec::new();
        for row in query.fetch_all(self.connection()).await? {
            let row = read_row(&row, LOAD_VIEW.columns)?;
            let mut reader = RowReader::new(&LOAD_VIEW, &row);
            let (pot, amount, at) = (reader.parsed()?, reader.money(currency)?, reader.instant()?);
            loads.push(LoadRow { pot, amount, at });
        }
        Ok(loads)
    }

    /// The messages of a budget between two instants, the newest first: all of `kinds`, or the newest
    /// `most` of them. `kinds` are constants of ours: they are part of the statement's text.
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

/// Identifiers begin with the milliseconds in which they were made: none is below this one.
pub(in crate::store) fn first_id_at(at: Timestamp) -> MessageId {
    let milliseconds = u128::try_from(at.as_millisecond()).unwrap_or_default();
    MessageId::new(uuid::Uuid::from_u128(milliseconds << 80))
}

/// The millisecond in which an identifier was made.
pub(in crate::store) fn id_timestamp(id: uuid::Uuid) -> Timestamp {
    let milliseconds = i64::try_from(id.as_u128() >> 80).ok();
    let made = milliseconds.and_then(|made| Timestamp::from_millisecond(made).ok());
    made.unwrap_or_default()
}

pub(in crate::store) fn last_id_at(at: Timestamp) -> MessageId {
    let first = first_id_at(at).uuid().as_u128();
    MessageId::new(uuid::Uuid::from_u128(first | ((1 << 80) - 1)))
}
