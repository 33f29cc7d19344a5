//! Read-only queries of reports, explanations and people's views. None of them writes or locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::id::{
    BudgetId, ConnectionId, ExceptionId, IssuerReference, MessageId, PotId, ProgrammeId,
    PurchaseReference,
};
use crate::domain::money::{Currency, Money};
use crate::domain::people::person::PersonState;
use crate::domain::people::recipient::Recipient;
use crate::ledger::book::PotBalance;
use crate::ledger::record::agreement::{AGREEMENT, read_agreement};
use crate::ledger::record::decision::{DECISION, RecordedDecision, read_decision};
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::pot::pots::read_pot;
use crate::store::report::activity::{first_id_at, id_timestamp, last_id_at};
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::{EXCEPTION, MESSAGE, POT, WITHDRAWAL};
use crate::store::{PersonRow, Store, StoreError, Tx};

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

/// An unresolved exception, which needs a member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionRow {
    pub id: ExceptionId,
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub kind: String,
    pub subject: String,
    pub detail: String,
    pub noted_at: Timestamp,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    pub id: MessageId,
    pub kind: String,
    /// The identifier of the subject, such as a decision or an ask.
    pub subject: String,
    pub body: String,
    pub created_at: Timestamp,
    pub recipient: Recipient,
    /// The data that the text was rendered from, as JSON.
    pub facts: String,
    /// When the subject, such as a request for an answer, expires.
    pub due_at: Option<Timestamp>,
}

static SUMS: Table = Table {
    name: "journal",
    columns: columns![Number "exposure_minor", Number "suspense_minor", Number "disputed_minor"],
};
static CONNECTION: Table =
    Table { name: "connection", columns: columns![Key "programme_id", Key "connection_id"] };
static PERSON: Table = Table {
    name: "person",
    columns: columns![Key "person_id", Text "name", Text "worker_id", Text "state", Text "plan"],
};

impl Tx {
    /// The balances of all pots of a programme, by budget and pot.
    pub async fn balances_of(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<BTreeMap<BudgetId, BTreeMap<PotId, PotBalance>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM pot WHERE programme_id = $1 ORDER BY budget_id, pot_id",
            names(POT.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string());
        let mut balances: BTreeMap<BudgetId, BTreeMap<PotId, PotBalance>> = BTreeMap::new();
        for row in rows.fetch_all(self.connection()).await? {
            let ((_, budget), pot, balance) = read_pot(&read_row(&row, POT.columns)?)?;
            balances.entry(budget).or_default().insert(pot, balance);
        }
        Ok(balances)
    }

    /// The pots of every agreement in force, in order of use.
    pub async fn pot_orders(
        &mut self,
        programme: &ProgrammeId,
        currency: Currency,
    ) -> Result<BTreeMap<BudgetId, Vec<PotId>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM budget b JOIN agreement a ON a.programme_id = b.programme_id \
             AND a.budget_id = b.budget_id AND a.version = b.agreement_version \
             WHERE b.programme_id = $1 ORDER BY b.budget_id",
            names(AGREEMENT.columns, "a.")
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string());
        let read = |row: &AnyRow| {
            let agreement = read_agreement(&read_row(row, AGREEMENT.columns)?, &[], currency)?;
            Ok((agreement.budget, agreement.pots.into_iter().map(|pot| pot.id).collect()))
        };
        rows.fetch_all(self.connection()).await?.iter().map(read).collect()
    }

    /// The totals of a programme outside its pots, summed from the journal.
    pub async fn programme_sums(
        &mut self,
        programme: &ProgrammeId,
        currency: Currency,
    ) -> Result<ProgrammeSums, StoreError> {
        let sql = "SELECT \
            CAST(COALESCE(SUM(CASE WHEN from_account = 'exposure' THEN amount_minor \
                WHEN to_account = 'exposure' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS exposure_minor, \
            CAST(COALESCE(SUM(CASE WHEN to_account = 'suspense' THEN amount_minor \
                WHEN from_account = 'suspense' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS suspense_minor, \
            CAST(COALESCE(SUM(CASE WHEN to_account = 'disputed' THEN amount_minor \
                WHEN from_account = 'disputed' THEN -amount_minor ELSE 0 END), 0) AS BIGINT) \
                AS disputed_minor \
            FROM journal WHERE programme_id = $1";
        let row = sqlx::query(sql).bind(programme.to_string()).fetch_one(self.connection());
        let row = read_row(&row.await?, SUMS.columns)?;
        let mut reader = RowReader::new(&SUMS, &row);
        Ok(ProgrammeSums {
            exposure: reader.money(currency)?,
            suspense: reader.money(currency)?,
            disputed: reader.money(currency)?,
        })
    }

    /// The decisions found by `id`, the oldest first: by decision identifier, by the issuer's
    /// reference of the authorisation request, or by the issuer's reference of the purchase. Keeps
    /// the oldest [`DECISIONS_FOUND_MAX`].
    pub async fn find_decisions(&mut self, id: &str) -> Result<Vec<RecordedDecision>, StoreError> {
        let mut found = BTreeMap::new();
        let sql = AssertSqlSafe(decision_by_id_sql());
        let own = sqlx::query(sql).bind(id.to_owned()).fetch_all(self.connection()).await?;
        for row in &own {
            let decision = read_decision(&read_row(row, DECISION.columns)?)?;
            found.insert(decision.id, decision);
        }
        let connections = self.connections().await?;
        if let Ok(reference) = id.parse::<IssuerReference>() {
            let key = |(programme, connection): &(ProgrammeId, ConnectionId)| {
                vec![text_value(programme), text_value(connection), text_value(&reference)]
            };
            let keys: Vec<_> = connections.iter().map(key).collect();
            let statements = Arc::clone(&self.statements);
            let columns = DECISION.columns;
            for row in statements.decisions.fetch(self.connection(), &keys, columns).await? {
                let decision = read_decision(&row)?;
                found.insert(decision.id, decision);
            }
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
        let sql = "SELECT programme_id, connection_id FROM connection \
                   ORDER BY programme_id, connection_id";
        let rows = sqlx::query(sql).fetch_all(self.connection()).await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, CONNECTION.columns)?;
            let mut reader = RowReader::new(&CONNECTION, &row);
            Ok((reader.parsed()?, reader.parsed()?))
        };
        rows.iter().map(read).collect()
    }

    /// A person as described by the programme's file.
    pub async fn person(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<PersonRow>, StoreError> {
        let sql = "SELECT person_id, name, worker_id, state, plan FROM person \
                   WHERE programme_id = $1 AND person_id = $2";
        let row = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        let Some(row) = row.fetch_optional(self.connection()).await? else { return Ok(None) };
        let row = read_row(&row, PERSON.columns)?;
        let mut reader = RowReader::new(&PERSON, &row);
        Ok(Some(PersonRow {
            budget: reader.parsed()?,
            name: reader.text()?.to_owned(),
            worker: reader.text()?.to_owned(),
            state: reader.word(PersonState::from_word)?,
            plan: reader.text()?.to_owned(),
        }))
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
        let rows = sqlx::query(AssertSqlSafe(messages_about()))
            .bind(decision.programme.to_string())
            .bind(decision.budget.to_string())
            .bind(first_id_at(from).to_string())
            .bind(last_id_at(last.saturating_add(MESSAGE_DELAY_MAX).unwrap_or(last)).to_string())
            .bind(decision.id.to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read_message).collect()
    }

    /// When the approval was withdrawn, if it was.
    pub async fn withdrawn_at(
        &mut self,
        decision: &RecordedDecision,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT withdrawn_at FROM withdrawal \
                   WHERE programme_id = $1 AND connection_id = $2 AND reference = $3";
        let row = sqlx::query(sql)
            .bind(decision.programme.to_string())
            .bind(decision.connection.to_string())
            .bind(decision.reference.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, columns![Number "withdrawn_at"])?;
        Ok(Some(RowReader::new(&WITHDRAWAL, &row).instant()?))
    }
}

/// The longest delay between a decision or its withdrawal and the creation of its messages, on the
/// slowest machine.
const MESSAGE_DELAY_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Looks a decision up by its identifier, in any programme.
pub(in crate::store) fn decision_by_id_sql() -> String {
    format!("SELECT {} FROM decision WHERE decision_id = $1", names(DECISION.columns, ""))
}

pub(in crate::store) fn messages_about() -> String {
    format!(
        "SELECT {} FROM message WHERE programme_id = $1 AND budget_id = $2 \
         AND message_id >= $3 AND message_id <= $4 AND subject = $5 ORDER BY message_id LIMIT 100",
        names(MESSAGE.columns, "")
    )
}

impl Store {
    /// Up to `most` unresolved exceptions of all programmes, the oldest first.
    pub async fn exceptions(&self, most: u32) -> Result<Vec<ExceptionRow>, StoreError> {
        let sql = format!(
            "SELECT {} FROM exception WHERE settled_at IS NULL \
             ORDER BY noted_at, programme_id, exception_id LIMIT $1",
            names(EXCEPTION.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(i64::from(most));
        let read = |row: &AnyRow| {
            let row = read_row(row, EXCEPTION.columns)?;
            let mut reader = RowReader::new(&EXCEPTION, &row);
            let programme = reader.parsed()?;
            Ok(ExceptionRow {
                id: reader.parsed()?,
                programme,
                budget: reader.parsed()?,
                kind: reader.text()?.to_owned(),
                subject: reader.text()?.to_owned(),
                detail: reader.text()?.to_owned(),
                noted_at: reader.instant()?,
            })
        };
        rows.fetch_all(&self.readers()).await?.iter().map(read).collect()
    }
}

/// Reads a message from a row with the columns of [`MESSAGE`].
pub(in crate::store) fn read_message(row: &AnyRow) -> Result<MessageRow, StoreError> {
    Ok(message_of(&read_row(row, MESSAGE.columns)?)?)
}

/// Reads a message from the values of such a row.
pub(in crate::store) fn message_of(row: &[Value]) -> Result<MessageRow, CorruptRow> {
    let mut reader = RowReader::new(&MESSAGE, row);
    reader.skip(); // the programme, which the query fixes
    let id = reader.parsed()?;
    reader.skip(); // the budget
    Ok(MessageRow {
        id,
        kind: reader.text()?.to_owned(),
        subject: reader.text()?.to_owned(),
        body: reader.text()?.to_owned(),
        created_at: reader.instant()?,
        recipient: reader.word(Recipient::from_word)?,
        facts: reader.text()?.to_owned(),
        due_at: {
            reader.skip(); // the matter
            reader.optional(RowReader::instant)?
        },
    })
}
