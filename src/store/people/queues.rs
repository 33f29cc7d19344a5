//! What waits for somebody over all the people whom they answer: asks, looks and appeals, by what runs
//! out first. Only what waits is in the indexes that are read.

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

/// Something that waits, with whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem<T> {
    /// What the person is called.
    pub name: String,
    /// Over whose caseload it is.
    pub worker: WorkerId,
    pub what: T,
}

/// The last thing of the page before: by what the line is ordered, and which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCursor<K, I> {
    pub key: K,
    pub id: I,
}

/// A line, and from where it is read on.
struct QueueQuery<'a> {
    table: &'static Table,
    /// The column by which it is ordered, and the one of its identifier.
    key: &'static str,
    id: &'static str,
    /// What is in it; `$6` is the human being who asks.
    condition: &'static str,
    act: Capability,
    after: (Value, String),
    actor: &'a Actor,
    most: u32,
}

impl Tx {
    /// The asks that wait for an answer and that `actor` may answer.
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

    /// The yeses that nobody has looked at, though the programme said that somebody does, and that
    /// `actor` may look at.
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

    /// The appeals that wait for an answer and that `actor` may answer.
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

/// Words with a blank before and behind each, so that one is found whole.
fn space_delimited<'a, W: Iterator<Item = &'a str>>(words: W) -> String {
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}
