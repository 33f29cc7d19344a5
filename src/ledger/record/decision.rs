//! Stored rows of decisions: the authorisation request, the facts and the response.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::answer::{answer_text, read_approval, read_decline};
use super::column::{Added, Erasable};
use super::facts::FactsRecord;
use super::row::{CanonicalHasher, CorruptRow, Digest, Value};
use super::table::{Record, record};
use crate::domain::decision::authorisation::{
    AuthorisationRequest, Decision, Facts, PartialApproval, Presence, PurchaseKind,
};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, PermissionId, ProgrammeId,
    PurchaseReference,
};
use crate::domain::money::{Currency, Money};
use crate::domain::shop::merchant::{Mcc, Merchant};

record! {
    /// One row per authorisation request that we decided. Immutable.
    pub struct DecisionRow in "decision" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub reference: IssuerReference,
        pub decision_id: DecisionId,
        pub budget_id: BudgetId,
        pub purchase_reference: PurchaseReference,
        /// The [`content_digest`] of the request.
        pub content: Digest,
        /// The authorisation request as JSON, without the merchant's own text.
        pub question: String,
        /// The merchant's own text as JSON; `None` after erasure.
        pub merchant: Erasable<Option<String>>,
        pub merchant_digest: Digest,
        pub facts: String,
        /// `approved` or `declined`.
        pub outcome: String,
        /// The reasons of a decline.
        pub reasons: Option<Vec<ReasonCode>>,
        pub currency: Currency,
        pub asked_minor: i64,
        /// The amount of an approval.
        pub approved_minor: Option<i64>,
        pub permission_id: Option<PermissionId>,
        pub decided_at: Timestamp,
        /// The response as JSON; `None` for decisions of early versions.
        pub answer: Added<String>,
    }
}

/// A decision as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDecision {
    pub id: DecisionId,
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub reference: IssuerReference,
    pub purchase: PurchaseReference,
    pub budget: BudgetId,
    /// The [`content_digest`] of the request, which tells a retry from a conflict.
    pub content: Digest,
    pub outcome: DecisionOutcome,
    /// The requested amount.
    pub asked: Money,
    pub permission: Option<PermissionId>,
    pub decided_at: Timestamp,
    /// The authorisation request as JSON; with `facts`, the input of a replay.
    pub question: String,
    pub merchant: Option<String>,
    pub facts: String,
    /// The recorded response as JSON: reasons with parameters, or the pots of an approval. `None`
    /// for decisions of early versions, whose details only a replay shows.
    pub answer: Option<String>,
}

/// The outcome of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// The approved amount.
    Approved(Money),
    /// The reasons, the first one first; at least one.
    Declined(Vec<ReasonCode>),
}

impl DecisionOutcome {
    /// The outcome of `decision`, without its details.
    pub fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Approve(approval) => Self::Approved(approval.amount),
            Decision::Decline(reasons) => {
                Self::Declined(reasons.iter().map(DeclineReason::code).collect())
            }
        }
    }
}

/// The stored form of an authorisation request, without the merchant's own text.
#[derive(Debug, Serialize, Deserialize)]
struct AuthorisationRecord {
    sequence: u32,
    card: String,
    currency: String,
    amount: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cash_back: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    atm_fee: i64,
    transaction_currency: String,
    transaction_amount: i64,
    /// Whether the merchant's price could not be decoded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    price_unread: bool,
    kind: String,
    presence: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mcc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shop: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

/// The merchant's own text, which may be erased.
#[derive(Debug, Serialize, Deserialize)]
struct MerchantRecord {
    name: String,
    city: String,
    network_id: String,
}

/// The digest of a request's content: equal for retries, regardless of formatting and time of
/// sending; different if anything that the decision depends on differs.
pub fn content_digest(request: &AuthorisationRequest) -> Digest {
    let mut canonical = CanonicalHasher::new("question");
    canonical.text(&request_text(request));
    canonical.text(request.purchase.as_str());
    canonical.text(request.merchant.name());
    canonical.text(request.merchant.network_id());
    canonical.finish()
}

/// A decision to record.
#[derive(Debug)]
pub struct NewDecision<'a> {
    pub id: DecisionId,
    /// The [`content_digest`] of the request.
    pub content: Digest,
    pub budget: &'a BudgetId,
    pub request: &'a AuthorisationRequest,
    pub facts: &'a Facts,
    pub decision: &'a Decision,
}

impl NewDecision<'_> {
    /// The row to store.
    pub fn row(&self) -> Vec<Value> {
        let Self { id, content, budget, request, facts, decision } = self;
        let merchant = merchant_text(&request.merchant);
        let (outcome, reasons, approved, permission_id) = match decision {
            Decision::Approve(approval) => {
                ("approved", None, Some(approval.amount), approval.permission)
            }
            Decision::Decline(reasons) => {
                ("declined", Some(reasons.iter().map(DeclineReason::code).collect()), None, None)
            }
        };
        let row = DecisionRow {
            programme_id: request.programme.clone(),
            connection_id: request.connection.clone(),
            reference: request.reference.clone(),
            decision_id: *id,
            budget_id: (*budget).clone(),
            purchase_reference: request.purchase.clone(),
            content: *content,
            question: request_text(request),
            merchant_digest: Digest::of_text(&merchant),
            merchant: Erasable(Some(merchant)),
            facts: FactsRecord::new(facts).to_text(),
            outcome: outcome.to_owned(),
            reasons,
            currency: request.amount.currency(),
            asked_minor: request.amount.minor(),
            approved_minor: approved.map(Money::minor),
            permission_id,
            decided_at: facts.moment.at,
            answer: Added(Some(answer_text(decision))),
        };
        row.into_row()
    }
}

impl DecisionRow {
    /// The decision.
    ///
    /// # Errors
    ///
    /// [`CorruptRow`] when the outcome is not one, or has no amount or reasons.
    pub fn decision(self) -> Result<RecordedDecision, CorruptRow> {
        let money = |minor| Money::from_minor(minor, self.currency);
        let outcome = match (self.outcome.as_str(), self.approved_minor, &self.reasons) {
            ("approved", Some(minor), None) => DecisionOutcome::Approved(money(minor)),
            ("declined", None, Some(codes)) => DecisionOutcome::Declined(codes.clone()),
            (_, _, _) => return Err(self.corrupt("outcome")),
        };
        Ok(RecordedDecision {
            id: self.decision_id,
            programme: self.programme_id,
            connection: self.connection_id,
            reference: self.reference,
            purchase: self.purchase_reference,
            budget: self.budget_id,
            content: self.content,
            outcome,
            asked: money(self.asked_minor),
            permission: self.permission_id,
            decided_at: self.decided_at,
            question: self.question,
            merchant: self.merchant.0,
            facts: self.facts,
            answer: self.answer.0,
        })
    }
}

/// Parses a recorded decision.
pub fn read_decision(row: &[Value]) -> Result<RecordedDecision, CorruptRow> {
    DecisionRow::from_row(row)?.decision()
}

impl RecordedDecision {
    /// The recorded response with all its details; `None` if it was not recorded or cannot be
    /// parsed.
    pub fn recorded_answer(&self) -> Option<Decision> {
        let text = self.answer.as_deref()?;
        match &self.outcome {
            DecisionOutcome::Approved(amount) => read_approval(text, *amount, self.permission),
            DecisionOutcome::Declined(_) => read_decline(text, self.asked),
        }
    }

    /// Parses the request for a replay; `None` if it cannot be parsed. The time of the purchase is
    /// not stored, because the facts keep its day. Erased merchant text stays empty, and the shop's
    /// key cannot be rebuilt without it: replaying a term about one shop needs the text or
    /// [`Facts::shop`].
    pub fn request(&self) -> Option<AuthorisationRequest> {
        let question: AuthorisationRecord = serde_json::from_str(&self.question).ok()?;
        let currency: Currency = question.currency.parse().ok()?;
        let transaction_currency: Currency = question.transaction_currency.parse().ok()?;
        let mcc = match &question.mcc {
            Some(text) => Some(Mcc::parse(text).ok()?),
            None => None,
        };
        let merchant = self.merchant.as_deref().unwrap_or("{}");
        let merchant: MerchantRecord = serde_json::from_str(merchant).unwrap_or(MerchantRecord {
            name: String::new(),
            city: String::new(),
            network_id: String::new(),
        });
        Some(AuthorisationRequest {
            programme: self.programme.clone(),
            connection: self.connection.clone(),
            reference: self.reference.clone(),
            purchase: self.purchase.clone(),
            sequence: question.sequence,
            card: question.card.parse().ok()?,
            amount: Money::from_minor(question.amount, currency),
            bought_at: None,
            cash_back: Money::from_minor(question.cash_back, currency),
            atm_fee: Money::from_minor(question.atm_fee, currency),
            transaction_amount: Money::from_minor(
                question.transaction_amount,
                transaction_currency,
            ),
            has_unread_price: question.price_unread,
            kind: PurchaseKind::from_word(&question.kind)?,
            presence: Presence::from_word(&question.presence)?,
            partial: if question.partial {
                PartialApproval::Allowed
            } else {
                PartialApproval::NotAllowed
            },
            merchant: Merchant::new(mcc, &merchant.name)
                .in_city(&merchant.city)
                .in_country(question.country.as_deref().unwrap_or_default())
                .with_network_id(&merchant.network_id),
        })
    }
}

fn request_text(request: &AuthorisationRequest) -> String {
    let record = AuthorisationRecord {
        sequence: request.sequence,
        card: request.card.to_string(),
        currency: request.amount.currency().code().to_owned(),
        amount: request.amount.minor(),
        cash_back: request.cash_back.minor(),
        atm_fee: request.atm_fee.minor(),
        transaction_currency: request.transaction_amount.currency().code().to_owned(),
        transaction_amount: request.transaction_amount.minor(),
        price_unread: request.has_unread_price,
        kind: request.kind.word().to_owned(),
        presence: request.presence.word().to_owned(),
        partial: request.partial == PartialApproval::Allowed,
        mcc: request.merchant.mcc().map(|mcc| mcc.to_string()),
        country: request.merchant.country().map(str::to_owned),
        shop: request.merchant.shop_key().map(|key| key.to_string()),
    };
    serde_json::to_string(&record).unwrap_or_default()
}

fn merchant_text(merchant: &Merchant) -> String {
    let record = MerchantRecord {
        name: merchant.name().to_owned(),
        city: merchant.city().to_owned(),
        network_id: merchant.network_id().to_owned(),
    };
    serde_json::to_string(&record).unwrap_or_default()
}
