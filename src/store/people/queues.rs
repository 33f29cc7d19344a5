//! Work queues of staff over all people whom they are responsible for: asks, reviews and appeals,
//! by deadline. The queries use partial indexes that contain only waiting items.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::ask::Ask;
use crate::domain::ask::appeal::Appeal;
use crate::domain::id::{AppealId, AskId, PersonId, ProgrammeId, WorkerId};
use crate::domain::people::role::{Actor, BudgetFilter, Capability};
use crate::ledger::record::table::{Record, record};
use crate::store::ask::appeals::AppealRow;
use crate::store::ask::asks::AskRow;
use crate::store::sql::record::Argument;
use crate::store::{StoreError, Tx};

record! {
    /// The person whom a queued item is about.
    struct QueueSubjectRow in "person" key() {
        name: String,
        worker_id: WorkerId,
    }
}

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
struct QueueQuery<'a, K> {
    /// The column by which it is ordered, and its identifier column.
    key: &'static str,
    id: &'static str,
    /// The condition for being in the queue; `$6` is the actor's human.
    condition: &'static str,
    act: Capability,
    /// The key and identifier that the page comes after.
    after: (K, String),
    actor: &'a Actor,
    most: u32,
}

impl<R, T: From<R>> From<(QueueSubjectRow, R)> for QueueItem<T> {
    fn from((subject, row): (QueueSubjectRow, R)) -> Self {
        let QueueSubjectRow { name, worker_id } = subject;
        Self { name, worker: worker_id, what: row.into() }
    }
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
            key: "answer_by",
            id: "ask_id",
            condition: "w.state IN ('sent', 'seen', 'talk_first') AND w.asked_human <> $6",
            act: Capability::AnswerAsk,
            after: after_deadline(after),
            actor,
            most,
        };
        self.queue::<AskRow, _, _>(programme, queue).await
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
            key: "review_on",
            id: "ask_id",
            condition: "w.review_on IS NOT NULL AND w.looked_at IS NULL \
                        AND w.asked_human <> $6 AND COALESCE(w.answered_human, '') <> $6",
            act: Capability::AnswerAsk,
            after: match after {
                Some(QueueCursor { key, id }) => (key.to_string(), id.to_string()),
                None => (String::new(), String::new()),
            },
            actor,
            most,
        };
        self.queue::<AskRow, _, _>(programme, queue).await
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
            key: "answer_by",
            id: "appeal_id",
            condition: "w.state = 'open' AND w.opened_human <> $6 \
                        AND ' ' || w.decided_by || ' ' NOT LIKE '% ' || $6 || ' %'",
            act: Capability::AnswerAppeal,
            after: after_deadline(after),
            actor,
            most,
        };
        self.queue::<AppealRow, _, _>(programme, queue).await
    }

    async fn queue<R: Record, T: From<R>, K: Argument + Send>(
        &mut self,
        programme: &ProgrammeId,
        queue: QueueQuery<'_, K>,
    ) -> Result<Vec<QueueItem<T>>, StoreError> {
        let QueueQuery { key, id, condition, act, after, actor, most } = queue;
        let workers = match actor.whose(act) {
            BudgetFilter::NoBudgets | BudgetFilter::OnePerson(_) => return Ok(Vec::new()),
            BudgetFilter::Caseloads(workers) => {
                Some(space_delimited(workers.iter().map(WorkerId::as_str)))
            }
            BudgetFilter::AllBudgets => None,
        };
        let sql = format!(
            "SELECT {{columns p}}, {{columns w}} FROM {} w \
             JOIN person p ON p.programme_id = w.programme_id AND p.person_id = w.budget_id \
             WHERE w.programme_id = $1 AND (w.{key}, w.{id}) > ($2, $3) \
             AND (CAST($4 AS TEXT) IS NULL OR $4 LIKE '% ' || p.worker_id || ' %') \
             AND $5 NOT LIKE '% ' || w.budget_id || ' %' AND {condition} \
             ORDER BY w.{key}, w.{id} LIMIT $7",
            R::TABLE.name,
        );
        let member = &actor.member;
        let conflicts = space_delimited(member.conflicts.iter().map(PersonId::as_str));
        let (after_key, after_id) = after;
        let rows: Vec<(QueueSubjectRow, R)> = self
            .fetch_joined(
                sql,
                &[programme, &after_key, &after_id, &workers, &conflicts, &member.human, &most],
            )
            .await?;
        Ok(rows.into_iter().map(QueueItem::from).collect())
    }
}

/// The values of a cursor of a queue by deadline.
fn after_deadline(after: Option<QueueCursor<Timestamp, impl ToString>>) -> (i64, String) {
    match after {
        Some(QueueCursor { key, id }) => (key.as_microsecond(), id.to_string()),
        None => (i64::MIN, String::new()),
    }
}

/// Joins words with a space before and after each, so that `LIKE '% word %'` matches whole ones.
pub(super) fn space_delimited<'a, W: Iterator<Item = &'a str>>(words: W) -> String {
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}
