//! The inbox of one account: the messages addressed to it, about one or many people.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MemberId, MessageId, PersonId, ProgrammeId};
use crate::domain::people::recipient::InboxFilter;
use crate::domain::people::role::Actor;
use crate::ledger::record::table::record;
use crate::store::people::queues::space_delimited;
use crate::store::report::activity::first_id_at;
use crate::store::sql::record::{Argument, OnConflict, joined_sql};
use crate::store::{MessageRow, StoreError, Tx};

record! {
    /// The person whom a message is about, and when the account read it.
    struct InboxSubjectRow in "message" key() {
        person_id: PersonId,
        name: String,
        read_at: Option<Timestamp>,
    }
}

record! {
    /// When an account read a message.
    struct ReadMessageRow in "read_message" key(programme_id, member_id, message_id) {
        programme_id: ProgrammeId,
        member_id: MemberId,
        message_id: MessageId,
        read_at: Timestamp,
    }
}

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

impl From<(InboxSubjectRow, MessageRow)> for InboxRow {
    fn from((subject, message): (InboxSubjectRow, MessageRow)) -> Self {
        let InboxSubjectRow { person_id, name, read_at } = subject;
        Self { person: person_id, name, message, read_at }
    }
}

impl InboxRow {
    /// Its position in the inbox order.
    pub fn cursor(&self) -> InboxCursor {
        InboxCursor {
            is_read: self.read_at.is_some(),
            due: self.message.due_at.map_or(NEVER, Timestamp::as_microsecond),
            id: self.message.message_id,
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

/// The query of an inbox over `subqueries`, which joins [`InboxSubjectRow`] and [`MessageRow`].
fn statement(inbox_filter: &InboxFilter, subqueries: &[String]) -> String {
    let to = if inbox_filter.own.is_some() { "= 'person'" } else { "<> 'person'" };
    let read = "CASE WHEN r.read_at IS NULL THEN 0 ELSE 1 END";
    let due = format!("COALESCE(m.due_at, {NEVER})");
    format!(
        "SELECT {{columns}}, {{columns m}} FROM ({}) q \
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
    let sql = |inbox_filter: &InboxFilter| {
        let (subqueries, _) = subqueries(inbox_filter);
        joined_sql::<InboxSubjectRow, MessageRow>(&statement(inbox_filter, &subqueries))
    };
    [("inbox_of_staff", sql(&staff), values), ("inbox_of_person", sql(&person), values)]
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
        let first = first_id_at(since);
        let conflicts = space_delimited(actor.member.conflicts.iter().map(PersonId::as_str));
        let is_read = after.map_or(-1, |place| i64::from(place.is_read));
        let due = after.map_or(i64::MIN, |place| place.due);
        let id = after.map(|place| place.id.to_string()).unwrap_or_default();
        let mut arguments: Vec<&dyn Argument> = vec![
            programme,
            &first,
            &actor.member.id,
            &conflicts,
            &only,
            &is_read,
            &due,
            &id,
            &most,
        ];
        arguments.extend(values.iter().map(|value| -> &dyn Argument { value }));
        let rows = self.fetch_joined(sql, &arguments).await?;
        Ok(rows.into_iter().map(InboxRow::from).collect())
    }

    /// Records that `member` has read a message. The first reading counts.
    pub async fn mark_message_read(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = ReadMessageRow {
            programme_id: programme.clone(),
            member_id: member.clone(),
            message_id: message,
            read_at: at,
        };
        self.put(&[row], OnConflict::Keep).await?;
        Ok(())
    }
}
