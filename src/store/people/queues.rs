//! Work queues of staff over all people whom they are responsible for: asks, reviews and appeals,
//! by deadline. The queries use partial indexes that contain only waiting items.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AssertSqlSafe;

use crate::domain::ask::Ask;
use crate::domain::ask::appeal::Appeal;
use crate::domain::id::{AppealId, AskId, PersonId, ProgrammeId, WorkerId};
use crate::domain::people::role::{Actor, BudgetFilter, Capability};
use crate::ledger::record::row::{Column, RowReader, Table, Value, columns};
use crate::store::ask::appeals::{APPEAL, read_appeal};
use crate::store::ask::asks::{ASK, read_ask};
use crate::store::sql::batch::{names, read_row};
use crate::store::{StoreError, Tx};

static PERSON_VIEW: Table =
    Table { name: "person", columns: columns![Text "name", Text "worker_id"] };

/// A queued item, with the person whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem<T> {
    /// The name of the person.
    pub name: String,
    /// The worker whose caseload the person belongs to.
    pub worker: WorkerId,
    pub what: T,
}

/// The last item of the previous page: the key by which the queue is ordered, and the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCursor<K, I> {
    pub key: K,
    pub id: I,
}

/// A queue, and the page of it to read.
struct QueueQuery<'a> {
    table: &'static Table,
    /// The column by which it is ordered, and its identifier column.
    key: &'static str,
    id: &'static str,
    /// The condition for being in the queue; `$6` is the actor's human.
    condition: &'static str,
    act: Capability,
    after: (Value, String),
    actor: &'a Actor,
    most: u32,
}

impl Tx {
    /// Up to `most` open asks that `actor` may answer, by deadline.
    pub async fn asks_to_answer(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        after: Option<QueueCursor<Timestamp, AskId>>,
        most: u32,
    ) -> Result<Vec<QueueItem<Ask>>, StoreError> {
        let queue = QueueQuery {
            table: &ASK,
            key: "answer_by",
            id: "ask_id",
            condition: "w.state IN ('sent', 'seen', 'talk_first') AND w.asked_human <> $6",
            act: Capability::AnswerAsk,
            after: cursor_values(after),
            actor,
            most,
        };
        self.queue(programme, queue)
            .await?
            .into_iter()
            .map(|row| read_queue_item(&row, read_ask))
            .collect()
    }

    /// Up to `most` approved asks that still need a review and that `actor` may review, by review
    /// day.
    pub async fn asks_to_review(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        after: Option<QueueCursor<Date, AskId>>,
        most: u32,
    ) -> Result<Vec<QueueItem<Ask>>, StoreError> {
        let queue = QueueQuery {
            table: &ASK,
            key: "review_on",
            id: "ask_id",
            condition: "w.review_on IS NOT NULL AND w.looked_at IS NULL \
                        AND w.asked_human <> $6 AND COALESCE(w.answered_human, '') <> $6",
            act: Capability::AnswerAsk,
            after: match after {
                Some(QueueCursor { key, id }) => (key.to_string().into(), id.to_string()),
                None => ("".into(), String::new()),
            },
            actor,
            most,
        };
        self.queue(programme, queue)
            .await?
            .into_iter()
            .map(|row| read_queue_item(&row, read_ask))
            .collect()
    }

    /// Up to `most` open appeals that `actor` may answer, by deadline. Those about the actor's own
    /// decisions or opened by the actor are left out.
    pub async fn appeals_to_answer(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        after: Option<QueueCursor<Timestamp, AppealId>>,
        most: u32,
    ) -> Result<Vec<QueueItem<Appeal>>, StoreError> {
        let queue = QueueQuery {
            table: &APPEAL,
            key: "answer_by",
            id: "appeal_id",
            condition: "w.state = 'open' AND w.opened_human <> $6 \
                        AND ' ' || w.decided_by || ' ' NOT LIKE '% ' || $6 || ' %'",
            act: Capability::AnswerAppeal,
            after: cursor_values(after),
            actor,
            most,
        };
        let rows = self.queue(programme, queue).await?;
        rows.into_iter().map(|row| read_queue_item(&row, read_appeal)).collect()
    }

    async fn queue(
        &mut self,
        programme: &ProgrammeId,
        queue: QueueQuery<'_>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let QueueQuery { table, key, id, condition, act, after, actor, most } = queue;
        let workers = match actor.whose(act) {
            BudgetFilter::NoBudgets | BudgetFilter::OnePerson(_) => return Ok(Vec::new()),
            BudgetFilter::Caseloads(workers) => {
                Some(space_delimited(workers.iter().map(WorkerId::as_str)))
            }
            BudgetFilter::AllBudgets => None,
        };
        let sql = format!(
            "SELECT p.name, p.worker_id, {} FROM {} w \
             JOIN person p ON p.programme_id = w.programme_id AND p.person_id = w.budget_id \
             WHERE w.programme_id = $1 AND (w.{key}, w.{id}) > ($2, $3) \
             AND (CAST($4 AS TEXT) IS NULL OR $4 LIKE '% ' || p.worker_id || ' %') \
             AND $5 NOT LIKE '% ' || w.budget_id || ' %' AND {condition} \
             ORDER BY w.{key}, w.{id} LIMIT $7",
            names(table.columns, "w."),
            table.name,
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string());
        let query = match after.0 {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Null => query.bind(None::<String>),
        };
        let rows = query
            .bind(after.1)
            .bind(workers)
            .bind(space_delimited(actor.member.conflicts.iter().map(PersonId::as_str)))
            .bind(actor.member.human.to_string())
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        let columns: Vec<Column> = [PERSON_VIEW.columns, table.columns].concat();
        rows.iter().map(|row| read_row(row, &columns)).collect()
    }
}

fn cursor_values<I: ToString>(after: Option<QueueCursor<Timestamp, I>>) -> (Value, String) {
    match after {
        Some(QueueCursor { key, id }) => (key.into(), id.to_string()),
        None => (i64::MIN.into(), String::new()),
    }
}

fn read_queue_item<T>(
    row: &[Value],
    read: fn(&[Value]) -> Result<T, crate::ledger::record::row::CorruptRow>,
) -> Result<QueueItem<T>, StoreError> {
    let (who, what) = row.split_at(PERSON_VIEW.columns.len().min(row.len()));
    let mut reader = RowReader::new(&PERSON_VIEW, who);
    let (name, worker) = (reader.text()?.to_owned(), reader.parsed()?);
    Ok(QueueItem { name, worker, what: read(what)? })
}

/// Joins words with a space before and after each, so that `LIKE '% word %'` matches whole ones.
fn space_delimited<'a, W: Iterator<Item = &'a str>>(words: W) -> String {
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}
