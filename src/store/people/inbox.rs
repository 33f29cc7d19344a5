//! The inbox of one account: the messages addressed to it, about one or many people.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::id::{BudgetId, MemberId, MessageId, PersonId, ProgrammeId};
use crate::domain::people::recipient::InboxFilter;
use crate::domain::people::role::Actor;
use crate::ledger::record::row::{Column, RowReader, Table, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::report::activity::first_id_at;
use crate::store::report::reports::message_of;
use crate::store::sql::batch::{names, read_row};
use crate::store::sql::statements::MESSAGE;
use crate::store::{MessageRow, StoreError, Tx};

/// The person whom a message is about, and when the account read it.
static RECIPIENT_VIEW: Table =
    Table { name: "message", columns: columns![Text "person_id", Text "name", Number "read_at"] };
static READ: Table = Table {
    name: "read_message",
    columns: columns![
        Key "programme_id", Key "member_id", Key "message_id", Number "read_at",
    ],
};

/// The due time of messages without one: it sorts after all others.
const NEVER: i64 = i64::MAX;
/// The number of arguments that every inbox query has, before those of its subqueries.
const VALUES: usize = 9;

/// A message in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    pub person: PersonId,
    pub name: String,
    pub message: MessageRow,
    /// `None` if the account has not read it.
    pub read_at: Option<Timestamp>,
}

/// The position of a message in the inbox order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxCursor {
    pub is_read: bool,
    /// The due time in microseconds since 1970; `i64::MAX` for a message without one.
    pub due: i64,
    pub id: MessageId,
}

/// The filter and page of an inbox query.
#[derive(Debug, Clone, Copy)]
pub struct InboxQuery {
    /// Only messages created at this instant or later.
    pub since: Timestamp,
    /// Only messages after this position.
    pub after: Option<InboxCursor>,
    /// Only this message.
    pub only: Option<MessageId>,
    pub most: u32,
}

impl InboxRow {
    /// Its position in the inbox order.
    pub fn cursor(&self) -> InboxCursor {
        InboxCursor {
            is_read: self.read_at.is_some(),
            due: self.message.due_at.map_or(NEVER, Timestamp::as_microsecond),
            id: self.message.id,
        }
    }
}

/// The subqueries of an inbox, which select message identifiers, and their own arguments, numbered
/// from 10. In each, `$1` is the programme and `$2` the lowest message identifier.
fn subqueries(inbox_filter: &InboxFilter) -> (Vec<String>, Vec<String>) {
    let (mut subqueries, mut values) = (Vec::new(), Vec::new());
    let mut value = |text: String| {
        values.push(text);
        format!("${}", values.len().saturating_add(VALUES))
    };
    // Selects only identifiers, so that the indexes cover the query.
    let messages_where = |condition: &str| {
        format!(
            "SELECT m.message_id FROM message m WHERE m.programme_id = $1 AND {condition} \
             AND m.message_id >= $2"
        )
    };
    if let Some(person) = &inbox_filter.own {
        let budget = value(BudgetId::of(person).to_string());
        subqueries.push(messages_where(&format!("m.budget_id = {budget}")));
    }
    for worker in &inbox_filter.workers {
        let worker = value(worker.to_string());
        // `CROSS JOIN` fixes SQLite's join order, which would otherwise scan the messages of all
        // people.
        subqueries.push(format!(
            "SELECT m.message_id FROM person p CROSS JOIN message m WHERE p.worker_id = {worker} \
             AND p.programme_id = $1 AND m.programme_id = $1 AND m.budget_id = p.person_id \
             AND m.recipient = 'worker' AND m.message_id >= $2"
        ));
    }
    if inbox_filter.is_on_duty {
        subqueries.push(messages_where("m.recipient = 'duty'"));
    }
    if inbox_filter.is_manager {
        subqueries.push(messages_where("m.recipient = 'manager'"));
    }
    (subqueries, values)
}

/// The query of an inbox over `subqueries`.
fn statement(inbox_filter: &InboxFilter, subqueries: &[String]) -> String {
    let to = if inbox_filter.own.is_some() { "= 'person'" } else { "<> 'person'" };
    let read = "CASE WHEN r.read_at IS NULL THEN 0 ELSE 1 END";
    let due = format!("COALESCE(m.due_at, {NEVER})");
    format!(
        "SELECT p.person_id, p.name, r.read_at, {} FROM ({}) q \
         CROSS JOIN message m CROSS JOIN person p \
         LEFT JOIN read_message r ON r.programme_id = $1 AND r.member_id = $3 \
         AND r.message_id = m.message_id \
         WHERE m.programme_id = $1 AND m.message_id = q.message_id AND m.recipient {to} \
         AND p.programme_id = $1 AND p.person_id = m.budget_id \
         AND (m.recipient IN ('person', 'worker') OR $4 NOT LIKE '% ' || p.person_id || ' %') \
         AND (CAST($5 AS TEXT) IS NULL OR m.message_id = $5) \
         AND ({read} > CAST($6 AS BIGINT) OR ({read} = CAST($6 AS BIGINT) \
         AND ({due} > $7 OR ({due} = $7 AND m.message_id < $8)))) \
         ORDER BY {read}, {due}, m.message_id DESC LIMIT $9",
        names(MESSAGE.columns, "m."),
        subqueries.join(" UNION ALL "),
    )
}

/// The inbox queries with every kind of subquery, for query plans.
pub(in crate::store) fn lookup_statements() -> [(&'static str, String, &'static [&'static str]); 2]
{
    let staff = InboxFilter {
        own: None,
        workers: "worker".parse().into_iter().collect(),
        is_on_duty: true,
        is_manager: true,
    };
    let person = InboxFilter { own: "person".parse().ok(), ..InboxFilter::default() };
    let values = &["''", "''", "''", "''", "''", "0", "0", "''", "1", "''"];
    [
        ("inbox_of_staff", statement(&staff, &subqueries(&staff).0), values),
        ("inbox_of_person", statement(&person, &subqueries(&person).0), values),
    ]
}

impl Tx {
    /// The inbox of `actor`: unread messages first, then by due time, then the newest first.
    /// Messages to duty and managers about a person with whom the actor has a declared conflict are
    /// left out, because they may repeat what the person said in confidence.
    pub async fn inbox(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        wanted: InboxQuery,
    ) -> Result<Vec<InboxRow>, StoreError> {
        let inbox_filter = actor.inbox_filter();
        let (subqueries, values) = subqueries(&inbox_filter);
        if subqueries.is_empty() {
            return Ok(Vec::new());
        }
        let sql = statement(&inbox_filter, &subqueries);
        let InboxQuery { since, after, only, most } = wanted;
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(first_id_at(since).to_string())
            .bind(actor.member.id.to_string())
            .bind(space_delimited(&actor.member.conflicts))
            .bind(only.map(|id| id.to_string()))
            .bind(after.map_or(-1, |place| i64::from(place.is_read)))
            .bind(after.map_or(i64::MIN, |place| place.due))
            .bind(after.map(|place| place.id.to_string()).unwrap_or_default())
            .bind(i64::from(most));
        let query = values.into_iter().fold(query, sqlx::query::Query::bind);
        query.fetch_all(self.connection()).await?.iter().map(inbox_row).collect()
    }

    /// Records that `member` has read a message. The first reading counts.
    pub async fn mark_message_read(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = vec![text_value(programme), text_value(member), text_value(message), at.into()];
        self.put(&READ, &[row], OnConflict::Keep).await?;
        Ok(())
    }
}

fn inbox_row(row: &AnyRow) -> Result<InboxRow, StoreError> {
    let columns: Vec<Column> = [RECIPIENT_VIEW.columns, MESSAGE.columns].concat();
    let row = read_row(row, &columns)?;
    let (whom, message) = row.split_at(RECIPIENT_VIEW.columns.len().min(row.len()));
    let mut reader = RowReader::new(&RECIPIENT_VIEW, whom);
    Ok(InboxRow {
        person: reader.parsed()?,
        name: reader.text()?.to_owned(),
        read_at: reader.optional(RowReader::instant)?,
        message: message_of(message)?,
    })
}

/// Joins identifiers with a space before and after each, so that `LIKE '% id %'` matches whole
/// ones.
fn space_delimited(people: &[PersonId]) -> String {
    format!(" {} ", people.iter().map(PersonId::as_str).collect::<Vec<_>>().join(" "))
}
