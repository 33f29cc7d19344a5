//! Response bodies for asks and their answers.

use serde::Serialize;
use utoipa::ToSchema;

use super::representation::MoneyBody;
use crate::domain::ask::{
    Ask, AskAnswer, AskKind, AskRefusalReason, AskState, EscalationStep, Urgency,
};
use crate::domain::decision::reason_code::ReasonCode;

/// An ask.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AskBody {
    ask: String,
    kind: AskKind,
    /// What it asks for, such as `category:phone`.
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<String>,
    /// The shop, which the person discloses by asking about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    place: Option<String>,
    amount: MoneyBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refused_for: Option<ReasonCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    urgency: Urgency,
    asked_by: String,
    #[schema(format = "date-time")]
    asked_at: String,
    state: AskState,
    /// Who has to answer now, or that it is decided.
    step: EscalationStep,
    /// When it passes to the next step by itself.
    #[schema(format = "date-time")]
    answer_by: String,
    #[schema(format = "date-time")]
    decide_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<AnswerBody>,
}

/// The answer to an ask.
#[derive(Debug, Serialize, ToSchema)]
struct AnswerBody {
    /// The member who answered; left out when nobody did in time and the rule of the programme made
    /// it a yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
    #[schema(format = "date-time")]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<AskRefusalReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    up_to: Option<MoneyBody>,
    /// What the yes covers: the shop that was asked for, or its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    ends_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    permission: Option<String>,
    /// When an answer that was given out of hours, or by the programme's own rule, is to be
    /// reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    review_on: Option<String>,
    /// The member who reviewed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    looked_by: Option<String>,
    /// What the reviewer wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    looked_words: Option<String>,
}

impl From<Ask> for AskBody {
    fn from(ask: Ask) -> Self {
        Self {
            ask: ask.id.to_string(),
            kind: ask.kind,
            scope: ask.scope.to_string(),
            group: ask.category.map(|category| category.to_string()),
            place: ask.place,
            amount: ask.amount.into(),
            decision: ask.decision.map(|id| id.to_string()),
            refused_for: ask.refused_for,
            words: ask.words,
            urgency: ask.urgency,
            asked_by: ask.asked.member.to_string(),
            asked_at: ask.asked_at.to_string(),
            state: ask.state,
            step: ask.step,
            answer_by: ask.answer_by.to_string(),
            decide_by: ask.decide_by.to_string(),
            answer: ask.answer.map(AnswerBody::from),
        }
    }
}

impl From<AskAnswer> for AnswerBody {
    fn from(answer: AskAnswer) -> Self {
        Self {
            by: answer.by.map(|by| by.member.to_string()),
            at: answer.at.to_string(),
            reason: answer.reason,
            words: answer.words,
            up_to: answer.up_to.map(MoneyBody::from),
            scope: answer.scope.map(|scope| scope.to_string()),
            ends_at: answer.ends_at.map(|at| at.to_string()),
            permission: answer.permission.map(|id| id.to_string()),
            review_on: answer.review_on.map(|date| date.to_string()),
            looked_by: answer.review.as_ref().map(|look| look.by.member.to_string()),
            looked_words: answer.review.and_then(|look| look.words),
        }
    }
}
