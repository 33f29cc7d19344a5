//! Rows of asks: requests of people for a one-time OK, and the answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::ask::clock::StaffAvailability;
use crate::domain::ask::{
    ActorIdentity, Ask, AskAnswer, AskKind, AskRefusalReason, AskReview, AskState, EscalationStep,
    Urgency,
};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{
    AskId, BudgetId, DecisionId, HumanId, MemberId, MessageId, PermissionId, ProgrammeId, WorkerId,
};
use crate::domain::money::Currency;
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::report::reports::read_message;
use crate::store::sql::batch::{BatchStatement, names, read_row};
use crate::store::sql::statements::MESSAGE;
use crate::store::{MessageRow, NewMessage, Store, StoreError, Tx};

pub(in crate::store) static ASK: Table = Table {
    name: "ask",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "ask_id", Text "kind", Text "scope",
        Text "currency", Number "amount_minor", Text "decision_id", Text "refused_for",
        Text "category", Text "place", Text "words", Text "urgency", Text "asked_by",
        Text "asked_human", Number "asked_at", Text "state", Text "step", Number "answer_by",
        Number "decide_by", Text "answered_by", Text "answered_human", Number "answered_at",
        Text "reason", Text "answer_words", Number "yes_minor", Text "permission_id",
        Text "review_on", Text "looked_by", Text "looked_human", Number "looked_at",
        Text "yes_scope", Number "yes_ends_at", Text "looked_words",
    ],
};
static WAITING: Table =
    Table { name: "ask", columns: columns![Key "budget_id", Key "ask_id", Number "answer_by"] };
static ABOUT: Table = Table { name: "ask", columns: columns![Text "decision_id"] };
static COVER: Table = Table { name: "duty", columns: columns![Number "away", Number "on_duty"] };

/// An open ask and the deadline of its current step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAsk {
    pub budget: BudgetId,
    pub id: AskId,
    pub answer_by: Timestamp,
}

impl Tx {
    /// Adds an ask.
    pub async fn add_ask(&mut self, programme: &ProgrammeId, ask: &Ask) -> Result<(), StoreError> {
        let rows = [ask_row(programme, ask)];
        BatchStatement::insert(self.statements.dialect, &ASK)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// Replaces the state, step, deadline and answer of an ask.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when its state, step or deadline is no longer that of `before`.
    pub async fn update_ask(
        &mut self,
        programme: &ProgrammeId,
        before: &Ask,
        after: &Ask,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE ask SET state = $4, step = $5, answer_by = $6, answered_by = $7, \
                   answered_human = $8, answered_at = $9, reason = $10, answer_words = $11, \
                   yes_minor = $12, permission_id = $13, review_on = $14, yes_scope = $15, \
                   yes_ends_at = $16 \
                   WHERE programme_id = $1 AND budget_id = $2 AND ask_id = $3 \
                   AND state = $17 AND step = $18 AND answer_by = $19";
        let answer = after.answer.as_ref();
        let by = answer.and_then(|answer| answer.by.as_ref());
        let done = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(before.budget.to_string())
            .bind(before.id.to_string())
            .bind(after.state.word())
            .bind(after.step.word())
            .bind(after.answer_by.as_microsecond())
            .bind(by.map(|by| by.member.to_string()))
            .bind(by.map(|by| by.human.to_string()))
            .bind(answer.map(|answer| answer.at.as_microsecond()))
            .bind(answer.and_then(|answer| answer.reason).map(AskRefusalReason::word))
            .bind(answer.and_then(|answer| answer.words.clone()))
            .bind(answer.and_then(|answer| answer.up_to).map(crate::domain::money::Money::minor))
            .bind(answer.and_then(|answer| answer.permission).map(|id| id.to_string()))
            .bind(answer.and_then(|answer| answer.review_on).map(|date| date.to_string()))
            .bind(answer.and_then(|answer| answer.scope.as_ref()).map(ToString::to_string))
            .bind(answer.and_then(|answer| answer.ends_at).map(Timestamp::as_microsecond))
            .bind(before.state.word())
            .bind(before.step.word())
            .bind(before.answer_by.as_microsecond())
            .execute(self.connection())
            .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Contended("ask")) }
    }

    /// Stores the review of an answered ask.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the ask has a review already.
    pub async fn record_look(
        &mut self,
        programme: &ProgrammeId,
        ask: &Ask,
        look: &AskReview,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE ask SET looked_by = $4, looked_human = $5, looked_at = $6, \
                   looked_words = $7 \
                   WHERE programme_id = $1 AND budget_id = $2 AND ask_id = $3 \
                   AND looked_at IS NULL";
        let done = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(ask.budget.to_string())
            .bind(ask.id.to_string())
            .bind(look.by.member.to_string())
            .bind(look.by.human.to_string())
            .bind(look.at.as_microsecond())
            .bind(look.words.clone())
            .execute(self.connection())
            .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Contended("ask")) }
    }

    /// One ask of a budget.
    pub async fn ask(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: AskId,
    ) -> Result<Option<Ask>, StoreError> {
        let sql = format!(
            "SELECT {} FROM ask WHERE programme_id = $1 AND budget_id = $2 AND ask_id = $3",
            names(ASK.columns, "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(ask_of).transpose()
    }

    /// The open asks of a budget, the oldest first.
    pub async fn open_asks(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Ask>, StoreError> {
        let sql = format!(
            "SELECT {} FROM ask WHERE programme_id = $1 AND budget_id = $2 \
             AND state IN ('sent', 'seen', 'talk_first') ORDER BY ask_id",
            names(ASK.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(ask_of).collect()
    }

    /// Up to `most` asks of a budget that were refused after `since`, wholly or by a yes to a lower
    /// amount, the newest first.
    pub async fn refused_asks_since(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<Ask>, StoreError> {
        let sql = format!(
            "SELECT {} FROM ask WHERE programme_id = $1 AND budget_id = $2 \
             AND state IN ('not_this_time', 'yes_less') AND answered_at > $3 \
             ORDER BY ask_id DESC LIMIT $4",
            names(ASK.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(since.as_microsecond())
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(ask_of).collect()
    }

    /// The declined decisions of a budget that an ask of after `since` is about, except asks that
    /// were taken back.
    pub async fn decisions_with_asks(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
    ) -> Result<BTreeSet<DecisionId>, StoreError> {
        let sql = "SELECT decision_id FROM ask WHERE programme_id = $1 AND budget_id = $2 \
                   AND decision_id IS NOT NULL AND state <> 'taken_back' AND asked_at > $3";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(since.as_microsecond())
            .fetch_all(self.connection())
            .await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, ABOUT.columns)?;
            Ok(RowReader::new(&ABOUT, &row).parsed()?)
        };
        rows.iter().map(read).collect()
    }

    /// Whether the programme's own rule has approved a wrong-group ask that was made at `since` or
    /// later and whose review day is after `today`.
    pub async fn was_answered_by_rule(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
        today: Date,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT ask_id FROM ask WHERE programme_id = $1 AND budget_id = $2 \
                   AND kind = 'wrong_group' AND state = 'yes' AND answered_by IS NULL \
                   AND review_on > $3 AND ask_id >= $4 LIMIT 1";
        let millisecond = u128::try_from(since.as_millisecond()).unwrap_or(0);
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(today.to_string())
            // The lowest identifier of that instant: a UUIDv7 begins with 48 bits of milliseconds.
            .bind(AskId::new(uuid::Uuid::from_u128(millisecond << 80)).to_string())
            .fetch_optional(self.connection())
            .await?;
        Ok(row.is_some())
    }

    /// The staff on duty at `now` who can answer instead of `worker`.
    pub async fn cover(
        &mut self,
        programme: &ProgrammeId,
        worker: &WorkerId,
        now: Timestamp,
    ) -> Result<StaffAvailability, StoreError> {
        let sql = "SELECT \
                   CAST(COUNT(CASE WHEN d.covers = $2 THEN 1 END) AS BIGINT) AS away, \
                   CAST(COUNT(CASE WHEN d.covers IS NULL THEN 1 END) AS BIGINT) AS on_duty \
                   FROM duty d JOIN member m ON m.programme_id = d.programme_id \
                   AND m.member_id = d.member_id AND m.state = 'active' \
                   AND m.role IN ('worker', 'duty', 'manager') \
                   WHERE d.programme_id = $1 AND d.begins_at <= $3 AND d.ends_at > $3";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(worker.to_string())
            .bind(now.as_microsecond())
            .fetch_one(self.connection())
            .await?;
        let row = read_row(&row, COVER.columns)?;
        let mut reader = RowReader::new(&COVER, &row);
        Ok(StaffAvailability {
            worker_is_away: reader.number()? > 0,
            has_duty_cover: reader.number()? > 0,
        })
    }

    /// Adds outbox messages.
    pub async fn add_messages(&mut self, messages: &[NewMessage]) -> Result<(), StoreError> {
        let rows: Vec<_> =
            messages.iter().map(crate::store::purchase::close::message_row).collect();
        BatchStatement::insert(self.statements.dialect, &MESSAGE)
            .execute(self.connection(), &rows)
            .await?;
        Ok(())
    }

    /// The latest notification of a declined purchase (kind `not_paid`) of a budget.
    pub async fn latest_refusal(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {} FROM message WHERE programme_id = $1 AND budget_id = $2 \
             AND kind = 'not_paid' ORDER BY message_id DESC LIMIT 1",
            names(MESSAGE.columns, "")
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(read_message).transpose()
    }

    /// Ends a permission at `at`, unless it has ended already.
    pub async fn end_permission(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        permission: PermissionId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE permission SET ends_at = $4 WHERE programme_id = $1 AND budget_id = $2 \
                   AND permission_id = $3 AND ends_at > $4";
        sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(permission.to_string())
            .bind(at.as_microsecond())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Store {
    /// Up to `most` asks of a budget with an identifier below `before`, the newest first.
    pub async fn asks_of(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<AskId>,
        most: u32,
    ) -> Result<Vec<Ask>, StoreError> {
        let sql = format!(
            "SELECT {} FROM ask WHERE programme_id = $1 AND budget_id = $2 \
             AND ask_id < COALESCE($3, 'ask_g') ORDER BY ask_id DESC LIMIT $4",
            names(ASK.columns, "")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        rows.iter().map(ask_of).collect()
    }

    /// Up to `most` open asks of a programme whose step ends at `until` or before, in order of
    /// deadline, after the cursor `after`.
    pub async fn due_asks(
        &self,
        programme: &ProgrammeId,
        until: Timestamp,
        after: Option<&DueAsk>,
        most: u32,
    ) -> Result<Vec<DueAsk>, StoreError> {
        let sql = "SELECT budget_id, ask_id, answer_by FROM ask \
                   WHERE programme_id = $1 AND answer_by <= $2 \
                   AND state IN ('sent', 'seen', 'talk_first') \
                   AND (answer_by, ask_id) > ($3, $4) ORDER BY answer_by, ask_id LIMIT $5";
        let rows = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(until.as_microsecond())
            .bind(after.map_or(i64::MIN, |ask| ask.answer_by.as_microsecond()))
            .bind(after.map(|ask| ask.id.to_string()).unwrap_or_default())
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, WAITING.columns)?;
            let mut reader = RowReader::new(&WAITING, &row);
            Ok(DueAsk {
                budget: reader.parsed()?,
                id: reader.parsed()?,
                answer_by: reader.instant()?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Up to `most` messages to `recipients` about a budget with an identifier below `before`, the
    /// newest first.
    pub async fn messages_to(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        recipients: &[Recipient],
        before: Option<MessageId>,
        most: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let words: Vec<_> = recipients.iter().map(|to| format!("'{}'", to.word())).collect();
        let sql = format!(
            "SELECT {} FROM message WHERE programme_id = $1 AND budget_id = $2 \
             AND message_id < COALESCE($3, 'msg_g') AND recipient IN ({}) \
             ORDER BY message_id DESC LIMIT $4",
            names(MESSAGE.columns, ""),
            words.join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(i64::from(most))
            .fetch_all(&self.readers())
            .await?;
        rows.iter().map(read_message).collect()
    }
}

fn ask_row(programme: &ProgrammeId, ask: &Ask) -> Vec<Value> {
    let answer = ask.answer.as_ref();
    let by = answer.and_then(|answer| answer.by.as_ref());
    let looked = answer.and_then(|answer| answer.review.as_ref());
    vec![
        text_value(programme),
        text_value(&ask.budget),
        text_value(ask.id),
        ask.kind.word().into(),
        text_value(&ask.scope),
        ask.amount.currency().code().into(),
        ask.amount.into(),
        ask.decision.map(|id| id.to_string()).into(),
        ask.refused_for.map(|code| code.as_str().to_owned()).into(),
        ask.category.as_ref().map(ToString::to_string).into(),
        ask.place.clone().into(),
        ask.words.clone().into(),
        ask.urgency.word().into(),
        text_value(&ask.asked.member),
        text_value(&ask.asked.human),
        ask.asked_at.into(),
        ask.state.word().into(),
        ask.step.word().into(),
        ask.answer_by.into(),
        ask.decide_by.into(),
        by.map(|by| by.member.to_string()).into(),
        by.map(|by| by.human.to_string()).into(),
        answer.map(|answer| answer.at).into(),
        answer.and_then(|answer| answer.reason).map(|reason| reason.word().to_owned()).into(),
        answer.and_then(|answer| answer.words.clone()).into(),
        answer.and_then(|answer| answer.up_to).into(),
        answer.and_then(|answer| answer.permission).map(|id| id.to_string()).into(),
        answer.and_then(|answer| answer.review_on).map(|date| date.to_string()).into(),
        looked.map(|look| look.by.member.to_string()).into(),
        looked.map(|look| look.by.human.to_string()).into(),
        looked.map(|look| look.at).into(),
        answer.and_then(|answer| answer.scope.as_ref()).map(ToString::to_string).into(),
        answer.and_then(|answer| answer.ends_at).into(),
        looked.and_then(|look| look.words.clone()).into(),
    ]
}

fn ask_of(row: &AnyRow) -> Result<Ask, StoreError> {
    Ok(read_ask(&read_row(row, ASK.columns)?)?)
}

pub(in crate::store) fn read_ask(row: &[Value]) -> Result<Ask, CorruptRow> {
    let mut reader = RowReader::new(&ASK, row);
    reader.skip(); // the programme, which the query fixes
    let budget = reader.parsed()?;
    let id = reader.parsed()?;
    let kind = reader.word(AskKind::from_word)?;
    let scope = reader.parsed()?;
    let currency: Currency = reader.parsed()?;
    let mut ask = Ask {
        id,
        budget,
        kind,
        scope,
        amount: reader.money(currency)?,
        decision: reader.optional(RowReader::parsed)?,
        refused_for: reader.optional(|r| r.word(ReasonCode::from_code))?,
        category: reader.optional(RowReader::parsed)?,
        place: reader.optional(RowReader::text)?.map(str::to_owned),
        words: reader.optional(RowReader::text)?.map(str::to_owned),
        urgency: reader.word(Urgency::from_word)?,
        asked: ActorIdentity { member: reader.parsed()?, human: reader.parsed()? },
        asked_at: reader.instant()?,
        state: reader.word(AskState::from_word)?,
        step: reader.word(EscalationStep::from_word)?,
        answer_by: reader.instant()?,
        decide_by: reader.instant()?,
        answer: None,
    };
    let member: Option<MemberId> = reader.optional(RowReader::parsed)?;
    let human: Option<HumanId> = reader.optional(RowReader::parsed)?;
    let at = reader.optional(RowReader::instant)?;
    let reason = reader.optional(|r| r.word(AskRefusalReason::from_word))?;
    let words = reader.optional(RowReader::text)?.map(str::to_owned);
    let up_to = reader.optional(|r| r.money(currency))?;
    let permission = reader.optional(RowReader::parsed)?;
    let review_on = reader.optional(RowReader::date)?;
    let by = member.zip(human).map(|(member, human)| ActorIdentity { member, human });
    let member: Option<MemberId> = reader.optional(RowReader::parsed)?;
    let human: Option<HumanId> = reader.optional(RowReader::parsed)?;
    let who = member.zip(human).map(|(member, human)| ActorIdentity { member, human });
    let look = who.zip(reader.optional(RowReader::instant)?);
    let scope = reader.optional(RowReader::parsed)?;
    let ends_at = reader.optional(RowReader::instant)?;
    let looked_words = reader.optional(RowReader::text)?.map(str::to_owned);
    let looked = look.map(|(by, at)| AskReview { by, at, words: looked_words });
    ask.answer = at.map(|at| AskAnswer {
        by,
        at,
        reason,
        words,
        up_to,
        scope,
        ends_at,
        permission,
        review_on,
        review: looked,
    });
    Ok(ask)
}
