//! The stored response of a decision as JSON, with all parameters of its reasons. Later reports
//! read it instead of deciding again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reason::{read_reason, reason_map};
use crate::domain::decision::authorisation::{Approval, Decision, DeclineReasons};
use crate::domain::id::PermissionId;
use crate::domain::money::Money;
use crate::domain::pot::PotPart;

/// The stored response, without the values that have columns of their own in the decision's row.
#[derive(Debug, Default, Serialize, Deserialize)]
struct AnswerRecord {
    /// All reasons of a decline, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Map<String, Value>>,
    /// The amount that would have been approved at the same shop, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payable: Option<i64>,
    /// The pots and amounts of an approval, in minor units and drain order. Their sum less the
    /// approved amount is the margin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<(String, i64)>,
    /// The scope of the term that an approved purchase matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matched: Option<String>,
}

/// The stored form of the response.
pub fn answer_text(decision: &Decision) -> String {
    let record = match decision {
        Decision::Approve(approval) => AnswerRecord {
            parts: approval.parts.iter().map(part_record).collect(),
            matched: Some(approval.matched.to_string()),
            ..AnswerRecord::default()
        },
        Decision::Decline(reasons) => AnswerRecord {
            reasons: reasons.iter().map(reason_map).collect(),
            payable: reasons.payable.map(Money::minor),
            ..AnswerRecord::default()
        },
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&record).unwrap_or_default()
}

fn part_record(part: &PotPart) -> (String, i64) {
    (part.pot.to_string(), part.amount.minor())
}

/// Parses the response to a declined request for `asked`; `None` if the text is not in a stored
/// form.
pub fn read_decline(text: &str, asked: Money) -> Option<Decision> {
    let record: AnswerRecord = serde_json::from_str(text).ok()?;
    let reasons: Option<Vec<_>> = record.reasons.iter().map(read_reason).collect();
    let payable = record.payable.map(|minor| Money::from_minor(minor, asked.currency()));
    Some(Decision::Decline(DeclineReasons { payable, ..DeclineReasons::from_list(reasons?)? }))
}

/// Parses the response to a request of which `amount` was approved; `None` if the text is not in a
/// stored form.
pub fn read_approval(
    text: &str,
    amount: Money,
    permission: Option<PermissionId>,
) -> Option<Decision> {
    let record: AnswerRecord = serde_json::from_str(text).ok()?;
    let part = |(pot, minor): &(String, i64)| {
        let amount = Money::from_minor(*minor, amount.currency());
        Some(PotPart { pot: pot.parse().ok()?, amount })
    };
    let parts: Option<Vec<_>> = record.parts.iter().map(part).collect();
    let matched = record.matched?.parse().ok()?;
    Some(Decision::Approve(Approval { amount, parts: parts?, matched, permission }))
}
