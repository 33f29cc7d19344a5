//! What waits for somebody over all the people whom they answer: asks, looks and appeals, by what runs
//! out first. Only what waits is in the indexes that are read.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AssertSqlSafe;

use crate::domain::ask::Ask;
use crate::domain::ask::appeal::Appeal;
use crate::domain::id::{AppealId, AskId, PersonId, ProgrammeId, WorkerId};
use crate::domain::people::role::{Act, Actor, Whose};
use crate::ledger::record::row::{Column, Reader, Table, Value, columns};
use crate::store::ask::appeals::{APPEAL, read_appeal};
use crate::store::ask::asks::{ASK, read_ask};
use crate::store::sql::batch::{names, read_row};
use crate::store::{StoreError, Tx};

static WHO: Table = Table { name: "person", columns: columns![Text "name", Text "worker_id"] };

/// Something that waits, with whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine<T> {
    /// What the person is called.
    pub name: String,
    /// Over whose caseload it is.
    pub worker: WorkerId,
    pub what: T,
}

/// The last thing of the page before: by what the line is ordered, and which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After<K, I> {
    pub key: K,
    pub id: I,
}

/// A line, and from where it is read on.
struct Line<'a> {
    table: &'static Table,
    /// The column by which it is ordered, and the one of its identifier.
    key: &'static str,
    id: &'static str,
    /// What is in it; `$6` is the human being who asks.
    condition: &'static str,
    act: Act,
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
        after: Option<After<Timestamp, AskId>>,
        most: u32,
    ) -> Result<Vec<InLine<Ask>>, StoreError> {
        let line = Line {
            table: &ASK,
            key: "answer_by",
            id: "ask_id",
            condition: "w.state IN ('sent', 'seen', 'talk_first') AND w.asked_human <> $6",
            act: Act::AnswerAsk,
            after: from_moment(after),
            actor,
            most,
        };
        self.line(programme, line).await?.into_iter().map(|row| in_line(&row, read_ask)).collect()
    }

    /// The yeses that nobody has looked at, though the programme said that somebody does, and that
    /// `actor` may look at.
    pub async fn asks_to_look_at(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        after: Option<After<Date, AskId>>,
        most: u32,
    ) -> Result<Vec<InLine<Ask>>, StoreError> {
        let line = Line {
            table: &ASK,
            key: "review_on",
            id: "ask_id",
            condition: "w.review_on IS NOT NULL AND w.looked_at IS NULL \
                        AND w.asked_human <> $6 AND COALESCE(w.answered_human, '') <> $6",
            act: Act::AnswerAsk,
            after: match after {
                Some(After { key, id }) => (key.to_string().into(), id.to_string()),
                None => ("".into(), String::new()),
            },
            actor,
            most,
        };
        self.line(programme, line).await?.into_iter().map(|row| in_line(&row, read_ask)).collect()
    }

    /// The appeals that wait for an answer and that `actor` may answer.
    pub async fn appeals_to_answer(
        &mut self,
        programme: &ProgrammeId,
        actor: &Actor,
        after: Option<After<Timestamp, AppealId>>,
        most: u32,
    ) -> Result<Vec<InLine<Appeal>>, StoreError> {
        let line = Line {
            table: &APPEAL,
            key: "answer_by",
            id: "appeal_id",
            condition: "w.state = 'open' AND w.opened_human <> $6 \
                        AND ' ' || w.decided_by || ' ' NOT LIKE '% ' || $6 || ' %'",
            act: Act::AnswerAppeal,
            after: from_moment(after),
            actor,
            most,
        };
        let rows = self.line(programme, line).await?;
        rows.into_iter().map(|row| in_line(&row, read_appeal)).collect()
    }

    async fn line(
        &mut self,
        programme: &ProgrammeId,
        line: Line<'_>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let Line { table, key, id, condition, act, after, actor, most } = line;
        let workers = match actor.whose(act) {
            Whose::Nobodys | Whose::OnePersons(_) => return Ok(Vec::new()),
            Whose::OfWorkers(workers) => Some(spaced(workers.iter().map(WorkerId::as_str))),
            Whose::Everybodys => None,
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
            .bind(spaced(actor.member.conflicts.iter().map(PersonId::as_str)))
            .bind(actor.member.human.to_string())
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        let columns: Vec<Column> = [WHO.columns, table.columns].concat();
        rows.iter().map(|row| read_row(row, &columns)).collect()
    }
}

fn from_moment<I: ToString>(after: Option<After<Timestamp, I>>) -> (Value, String) {
    match after {
        Some(After { key, id }) => (key.into(), id.to_string()),
        None => (i64::MIN.into(), String::new()),
    }
}

fn in_line<T>(
    row: &[Value],
    read: fn(&[Value]) -> Result<T, crate::ledger::record::row::CorruptRow>,
) -> Result<InLine<T>, StoreError> {
    let (who, what) = row.split_at(WHO.columns.len().min(row.len()));
    let mut reader = Reader::new(&WHO, who);
    let (name, worker) = (reader.text()?.to_owned(), reader.parsed()?);
    Ok(InLine { name, worker, what: read(what)? })
}

/// Words with a blank before and behind each, so that one is found whole.
fn spaced<'a, W: Iterator<Item = &'a str>>(words: W) -> String {
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}
