//! Rows of asks: requests of people for a one-time OK, and the answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{actor_of, columns_of, page_of_budget};
use crate::domain::agreement::Scope;
use crate::domain::ask::clock::StaffAvailability;
use crate::domain::ask::{
    ActorIdentity, Ask, AskAnswer, AskKind, AskRefusalReason, AskReview, AskState, EscalationStep,
    Urgency,
};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{
    AskId, BudgetId, DecisionId, HumanId, MemberId, MessageId, PermissionId, ProgrammeId, WorkerId,
};
use crate::domain::money::{Currency, Money};
use crate::domain::people::recipient::Recipient;
use crate::domain::shop::merchant::Category;
use crate::ledger::record::table::record;
use crate::store::sql::record::Argument;
use crate::store::{MessageRow, NewMessage, Store, StoreError, Tx};

/// The condition for being open.
const OPEN: &str = "state IN ('sent', 'seen', 'talk_first')";

record! {
    /// An ask with its answer and review.
    pub(in crate::store) struct AskRow in "ask" key(programme_id, budget_id, ask_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        ask_id: AskId,
        kind: AskKind,
        scope: Scope,
        currency: Currency,
        amount_minor: i64,
        decision_id: Option<DecisionId>,
        refused_for: Option<ReasonCode>,
        category: Option<Category>,
        place: Option<String>,
        words: Option<String>,
        urgency: Urgency,
        asked_by: MemberId,
        asked_human: HumanId,
        asked_at: Timestamp,
        state: AskState,
        step: EscalationStep,
        answer_by: Timestamp,
        decide_by: Timestamp,
        answered_by: Option<MemberId>,
        answered_human: Option<HumanId>,
        answered_at: Option<Timestamp>,
        reason: Option<AskRefusalReason>,
        answer_words: Option<String>,
        yes_minor: Option<i64>,
        permission_id: Option<PermissionId>,
        review_on: Option<Date>,
        looked_by: Option<MemberId>,
        looked_human: Option<HumanId>,
        looked_at: Option<Timestamp>,
        yes_scope: Option<Scope>,
        yes_ends_at: Option<Timestamp>,
        looked_words: Option<String>,
    }
}

record! {
    /// An open ask and the deadline of its current step.
    pub struct DueAsk in "ask" key(budget_id, ask_id) {
        pub budget_id: BudgetId,
        pub ask_id: AskId,
        pub answer_by: Timestamp,
    }
}

impl AskRow {
    fn new(programme: &ProgrammeId, ask: &Ask) -> Self {
        let answer = ask.answer.as_ref();
        let review = answer.and_then(|answer| answer.review.as_ref());
        let (answered_by, answered_human) =
            columns_of(answer.and_then(|answer| answer.by.as_ref()));
        let (looked_by, looked_human) = columns_of(review.map(|review| &review.by));
        Self {
            programme_id: programme.clone(),
            budget_id: ask.budget.clone(),
            ask_id: ask.id,
            kind: ask.kind,
            scope: ask.scope.clone(),
            currency: ask.amount.currency(),
            amount_minor: ask.amount.minor(),
            decision_id: ask.decision,
            refused_for: ask.refused_for,
            category: ask.category.clone(),
            place: ask.place.clone(),
            words: ask.words.clone(),
            urgency: ask.urgency,
            asked_by: ask.asked.member.clone(),
            asked_human: ask.asked.human.clone(),
            asked_at: ask.asked_at,
            state: ask.state,
            step: ask.step,
            answer_by: ask.answer_by,
            decide_by: ask.decide_by,
            answered_by,
            answered_human,
            answered_at: answer.map(|answer| answer.at),
            reason: answer.and_then(|answer| answer.reason),
            answer_words: answer.and_then(|answer| answer.words.clone()),
            yes_minor: answer.and_then(|answer| answer.up_to).map(Money::minor),
            permission_id: answer.and_then(|answer| answer.permission),
            review_on: answer.and_then(|answer| answer.review_on),
            looked_by,
            looked_human,
            looked_at: review.map(|review| review.at),
            yes_scope: answer.and_then(|answer| answer.scope.clone()),
            yes_ends_at: answer.and_then(|answer| answer.ends_at),
            looked_words: review.and_then(|review| review.words.clone()),
        }
    }
}

impl From<AskRow> for Ask {
    fn from(row: AskRow) -> Self {
        let currency = row.currency;
        let review = actor_of(row.looked_by, row.looked_human).zip(row.looked_at);
        let answer = row.answered_at.map(|at| AskAnswer {
            by: actor_of(row.answered_by, row.answered_human),
            at,
            reason: row.reason,
            words: row.answer_words,
            up_to: row.yes_minor.map(|minor| Money::from_minor(minor, currency)),
            scope: row.yes_scope,
            ends_at: row.yes_ends_at,
            permission: row.permission_id,
            review_on: row.review_on,
            review: review.map(|(by, at)| AskReview { by, at, words: row.looked_words }),
        });
        Self {
            id: row.ask_id,
            budget: row.budget_id,
            kind: row.kind,
            scope: row.scope,
            category: row.category,
            place: row.place,
            amount: Money::from_minor(row.amount_minor, currency),
            decision: row.decision_id,
            refused_for: row.refused_for,
            words: row.words,
            urgency: row.urgency,
            asked: ActorIdentity { member: row.asked_by, human: row.asked_human },
            asked_at: row.asked_at,
            state: row.state,
            step: row.step,
            answer_by: row.answer_by,
            decide_by: row.decide_by,
            answer,
        }
    }
}

impl Tx {
    /// Adds an ask.
    pub async fn add_ask(&mut self, programme: &ProgrammeId, ask: &Ask) -> Result<(), StoreError> {
        self.insert(&[AskRow::new(programme, ask)]).await
    }

    /// Updates an ask, for example with its answer or its review.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when its state, step or deadline is no longer that of `before`, or
    /// somebody has reviewed it since.
    pub async fn update_ask(
        &mut self,
        programme: &ProgrammeId,
        before: &Ask,
        after: &Ask,
    ) -> Result<(), StoreError> {
        let before = AskRow::new(programme, before);
        let expected: [(_, &dyn Argument); 4] = [
            ("state", &before.state),
            ("step", &before.step),
            ("answer_by", &before.answer_by),
            ("looked_at", &before.looked_at),
        ];
        self.update(&AskRow::new(programme, after), &expected).await
    }

    /// One ask of a budget.
    pub async fn ask(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: AskId,
    ) -> Result<Option<Ask>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND ask_id = $3";
        let row: Option<AskRow> = self.fetch_optional(sql, &[programme, budget, &id]).await?;
        Ok(row.map(Ask::from))
    }

    /// The open asks of a budget, the oldest first.
    pub async fn open_asks(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Ask>, StoreError> {
        let sql = format!("WHERE programme_id = $1 AND budget_id = $2 AND {OPEN} ORDER BY ask_id");
        Ok(asks(self.fetch_all(sql, &[programme, budget]).await?))
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
        let sql = "WHERE programme_id = $1 AND budget_id = $2 \
                   AND state IN ('not_this_time', 'yes_less') AND answered_at > $3 \
                   ORDER BY ask_id DESC LIMIT $4";
        Ok(asks(self.fetch_all(sql, &[programme, budget, &since, &most]).await?))
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
        let decisions = self.fetch_scalars(sql, &[programme, budget, &since]).await?;
        Ok(decisions.into_iter().collect())
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
        // The lowest identifier of that instant: a UUIDv7 begins with 48 bits of milliseconds.
        let first = AskId::new(uuid::Uuid::from_u128(millisecond << 80));
        let found = self.fetch_scalar::<AskId>(sql, &[programme, budget, &today, &first]).await?;
        Ok(found.is_some())
    }

    /// The staff on duty at `now` who can answer instead of `worker`.
    pub async fn cover(
        &mut self,
        programme: &ProgrammeId,
        worker: &WorkerId,
        now: Timestamp,
    ) -> Result<StaffAvailability, StoreError> {
        let sql = "SELECT DISTINCT d.covers FROM duty d JOIN member m \
                   ON m.programme_id = d.programme_id AND m.member_id = d.member_id \
                   AND m.state = 'active' AND m.role IN ('worker', 'duty', 'manager') \
                   WHERE d.programme_id = $1 AND (d.covers = $2 OR d.covers IS NULL) \
                   AND d.begins_at <= $3 AND d.ends_at > $3";
        let covered: Vec<Option<WorkerId>> =
            self.fetch_scalars(sql, &[programme, worker, &now]).await?;
        Ok(StaffAvailability {
            worker_is_away: covered.iter().any(Option::is_some),
            has_duty_cover: covered.contains(&None),
        })
    }

    /// Adds outbox messages.
    pub async fn add_messages(&mut self, messages: &[NewMessage]) -> Result<(), StoreError> {
        self.insert(&messages.iter().map(MessageRow::new).collect::<Vec<_>>()).await
    }

    /// The latest notification of a declined purchase (kind `not_paid`) of a budget.
    pub async fn latest_decline(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<MessageRow>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND kind = 'not_paid' \
                   ORDER BY message_id DESC LIMIT 1";
        self.fetch_optional(sql, &[programme, budget]).await
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
        self.execute(sql, &[programme, budget, &permission, &at]).await?;
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
        let sql = format!("WHERE {}", page_of_budget("ask_id", "ask_g"));
        Ok(asks(self.fetch_all(sql, &[programme, budget, &before, &most]).await?))
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
        let after = after.map(|due| (due.answer_by, due.ask_id.to_string()));
        self.due(programme, until, ("ask_id", OPEN), after, most).await
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
            "WHERE recipient IN ({}) AND {}",
            words.join(", "),
            page_of_budget("message_id", "msg_g")
        );
        self.fetch_all(sql, &[programme, budget, &before, &most]).await
    }
}

fn asks(rows: Vec<AskRow>) -> Vec<Ask> {
    rows.into_iter().map(Ask::from).collect()
}
