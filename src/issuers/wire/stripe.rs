//! Stripe Issuing's messages as of API version `2026-10-28.endive`: only the fields that are read.
//!
//! Unknown fields are ignored; a repeated field is refused. Amounts are integers in Stripe's minor
//! units, which are not always those of ISO 4217.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The reason of a decline because the card was read by an insecure method.
pub const INSECURE_METHOD: &str = "insecure_authorization_method";

/// The `type` of an authorisation request, which waits for a response.
pub const AUTHORIZATION_REQUEST: &str = "issuing_authorization.request";
/// The `type` of the first snapshot of an authorization.
pub const AUTHORIZATION_CREATED: &str = "issuing_authorization.created";
/// The `type` of all later snapshots of an authorization.
pub const AUTHORIZATION_UPDATED: &str = "issuing_authorization.updated";
/// The `type` of a capture or a refund.
pub const TRANSACTION_CREATED: &str = "issuing_transaction.created";

/// The `type` of the first event of a dispute.
pub const DISPUTE_CREATED: &str = "issuing_dispute.created";
/// The `type`s of all events of a dispute.
pub const DISPUTE_KINDS: [&str; 6] = [
    DISPUTE_CREATED,
    "issuing_dispute.submitted",
    "issuing_dispute.updated",
    "issuing_dispute.closed",
    DISPUTE_FUNDS_REINSTATED,
    DISPUTE_FUNDS_RESCINDED,
];
/// The `type` of a dispute whose amount was credited.
pub const DISPUTE_FUNDS_REINSTATED: &str = "issuing_dispute.funds_reinstated";
/// The `type` of a dispute whose credit was taken back.
pub const DISPUTE_FUNDS_RESCINDED: &str = "issuing_dispute.funds_rescinded";

/// The envelope of every message.
#[derive(Debug, Clone, Deserialize)]
pub struct Event<T> {
    pub id: String,
    #[serde(rename = "type")]
    pub type_: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "number_if_any")]
    pub created: Option<i64>,
    pub data: Data<T>,
}

/// An envelope whose content is ignored.
pub type EventEnvelope = Event<IgnoredAny>;

#[derive(Debug, Clone, Deserialize)]
pub struct Data<T> {
    pub object: T,
}

/// `issuing.authorization`, in the authorisation request and in every snapshot.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "Stripe named them")]
pub struct Authorization {
    pub id: String,
    /// The total held; 0 in the first request.
    pub amount: i64,
    pub amount_details: Option<AmountDetails>,
    pub approved: bool,
    /// `chip`, `contactless`, `keyed_in`, `online` or `swipe`.
    #[serde(default, deserialize_with = "text_if_any")]
    pub authorization_method: Option<String>,
    pub card: Card,
    /// `present` or `not_present`.
    #[serde(default, deserialize_with = "text_if_any")]
    pub card_presence: Option<String>,
    /// When the purchase was made, in Unix seconds.
    #[serde(default, deserialize_with = "number_if_any")]
    pub created: Option<i64>,
    pub currency: String,
    /// The merchant's currency.
    #[serde(default, deserialize_with = "text_if_any")]
    pub merchant_currency: Option<String>,
    pub merchant_data: Option<MerchantData>,
    /// The amount requested now; null except in an authorisation request.
    pub pending_request: Option<PendingRequest>,
    /// The requests answered so far, oldest first.
    pub request_history: Vec<AnsweredRequest>,
    /// `pending`, `closed`, `reversed` or `expired`.
    pub status: String,
    /// The captures and refunds so far.
    #[serde(default)]
    pub transactions: Vec<ListedTransaction>,
}

/// A capture or refund as an authorisation lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedTransaction {
    /// Negative for a capture.
    pub amount: i64,
    /// `capture` or `refund`.
    #[serde(rename = "type")]
    pub type_: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AmountDetails {
    pub atm_fee: Option<i64>,
    pub cashback_amount: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Card {
    pub id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PendingRequest {
    /// The amount requested in addition to what is held.
    pub amount: i64,
    pub amount_details: Option<AmountDetails>,
    pub currency: String,
    pub is_amount_controllable: bool,
    pub merchant_amount: i64,
    pub merchant_currency: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct AnsweredRequest {
    pub amount: i64,
    pub approved: bool,
    /// Who decided and why: `webhook_approved`, `webhook_timeout` and many more.
    #[serde(default, deserialize_with = "text_if_any")]
    pub reason: Option<String>,
}

/// Merchant data as the acquirer sent it, unvalidated: a value that is not text counts as absent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct MerchantData {
    /// The MCC (ISO 18245).
    #[serde(default, deserialize_with = "text_if_any")]
    pub category_code: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    pub city: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    pub country: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    pub network_id: Option<String>,
}

/// `issuing.transaction`: a capture (negative) or a refund (positive).
#[derive(Debug, Clone, Deserialize)]
pub struct Transaction {
    pub id: String,
    pub amount: i64,
    pub amount_details: Option<AmountDetails>,
    pub authorization: Option<String>,
    pub card: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "number_if_any")]
    pub created: Option<i64>,
    pub currency: String,
    /// In `merchant_currency`, with the sign of `amount`.
    #[serde(default, deserialize_with = "number_if_any")]
    pub merchant_amount: Option<i64>,
    /// The merchant's currency.
    #[serde(default, deserialize_with = "text_if_any")]
    pub merchant_currency: Option<String>,
    pub merchant_data: Option<MerchantData>,
    /// `capture` or `refund`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// `issuing.dispute`: what is disputed, and the outcome so far.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    pub id: String,
    /// Positive.
    pub amount: i64,
    pub currency: String,
    /// `unsubmitted`, `submitted`, `won`, `lost` or `expired`.
    pub status: String,
    pub transaction: TransactionLink,
}

/// The transaction that a dispute is about: its identifier, or the whole object.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum TransactionLink {
    Id(String),
    Whole { id: String },
}

/// The response to an authorisation request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorizationResponse {
    pub approved: bool,
    /// The approved amount if it is less than requested; only if `is_amount_controllable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// Our metadata on the authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// An integer, or `None` for any other value.
fn number_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Value::deserialize(deserializer).map(|value| value.as_i64())
}

/// A string, or `None` for any other value.
fn text_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Value::deserialize(deserializer).map(|value| match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    })
}
