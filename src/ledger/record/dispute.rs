//! The stored form of disputes: a JSON list in one column of the purchase, which is usually null.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::money::{Currency, Money};
use crate::domain::purchase::dispute::{Dispute, DisputeFunds, DisputeOutcome};
use crate::domain::purchase::position::{MessageKind, MessagePosition};

/// One dispute. Field names are part of the stored form.
#[derive(Debug, Serialize, Deserialize)]
struct DisputeBody {
    id: String,
    amount: i64,
    outcome: String,
    outcome_at: PositionBody,
    funds: Option<String>,
    funds_at: Option<PositionBody>,
}

/// A position in the issuer's order of messages.
#[derive(Debug, Serialize, Deserialize)]
struct PositionBody {
    /// Microseconds since 1970 UTC.
    at: i64,
    over: u8,
    event: String,
    /// Present for a first message only. Rows from before this field existed have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// The stored list; `None` without disputes.
pub(super) fn disputes_text(disputes: &[Dispute]) -> Option<String> {
    let bodies: Vec<_> = disputes.iter().map(body).collect();
    // A list of strings and integers always serialises.
    (!bodies.is_empty()).then(|| serde_json::to_string(&bodies).unwrap_or_default())
}

/// Parses the output of [`disputes_text`].
pub(super) fn disputes_from_text(text: &str, currency: Currency) -> Option<Vec<Dispute>> {
    let bodies: Vec<DisputeBody> = serde_json::from_str(text).ok()?;
    bodies.into_iter().map(|body| dispute(body, currency)).collect()
}

fn body(dispute: &Dispute) -> DisputeBody {
    let (outcome, outcome_at) = &dispute.outcome;
    let funds = dispute.funds.as_ref();
    DisputeBody {
        id: dispute.reference.to_string(),
        amount: dispute.amount.minor(),
        outcome: outcome.word().to_owned(),
        outcome_at: position_body(outcome_at),
        funds: funds.map(|(funds, _)| funds.word().to_owned()),
        funds_at: funds.map(|(_, at)| position_body(at)),
    }
}

fn dispute(body: DisputeBody, currency: Currency) -> Option<Dispute> {
    let funds = match (body.funds, body.funds_at) {
        (Some(funds), Some(at)) => Some((DisputeFunds::from_word(&funds)?, position(&at)?)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(Dispute {
        reference: body.id.parse().ok()?,
        amount: Money::from_minor(body.amount, currency),
        outcome: (DisputeOutcome::from_word(&body.outcome)?, position(&body.outcome_at)?),
        funds,
    })
}

fn position_body(position: &MessagePosition) -> PositionBody {
    let MessagePosition { at, kind, answers: _, listed: _, over, reference } = position;
    let kind = (*kind == MessageKind::Created).then(|| kind.word().to_owned());
    PositionBody { at: at.as_microsecond(), over: *over, event: reference.to_string(), kind }
}

fn position(body: &PositionBody) -> Option<MessagePosition> {
    Some(MessagePosition {
        at: Timestamp::from_microsecond(body.at).ok()?,
        kind: match &body.kind {
            Some(word) => MessageKind::from_word(word)?,
            None => MessageKind::Updated,
        },
        answers: 0,
        listed: 0,
        over: body.over,
        reference: body.event.parse().ok()?,
    })
}
