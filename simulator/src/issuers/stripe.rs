//! Stripe Issuing: complete event objects, and their signature.
//!
//! Written after Stripe's published objects (API version 2026-10-28), with every key, null or not,
//! so that a gateway that cannot parse a real key fails here first.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    currency,
    programme::Card,
    shops::{self, PurchaseChannel, Shop},
};

/// The header that carries [`signature`].
pub(crate) const SIGNATURE_HEADER: &str = "stripe-signature";
pub(crate) const CONTENT_TYPE: &str = "application/json; charset=utf-8";
pub(crate) const USER_AGENT: &str = "Stripe/1.0 (+https://stripe.com/docs/webhooks)";

/// Stripe's state of one authorisation.
#[derive(Debug, Clone)]
pub(crate) struct StripeAuthorisation {
    /// `iauth_…`
    pub(crate) id: String,
    pub(crate) card: String,
    pub(crate) last_four: String,
    pub(crate) cardholder: String,
    pub(crate) shop: &'static Shop,
    /// ISO 4217, lower case.
    pub(crate) currency: String,
    pub(crate) created: i64,
    pub(crate) is_amount_controllable: bool,
    /// The part of the amount that is the cash machine's own fee.
    pub(crate) fee_minor: i64,
    /// The shop's currency if it differs from the card's.
    pub(crate) foreign_currency: Option<ForeignCurrency>,
    pub(crate) history: Vec<RequestHistoryEntry>,
    pub(crate) amount_minor: i64,
    pub(crate) status: StripeStatus,
    pub(crate) transactions: Vec<Value>,
}

/// One entry of `request_history`.
#[derive(Debug, Clone)]
pub(crate) struct RequestHistoryEntry {
    pub(crate) amount_minor: i64,
    pub(crate) at: i64,
    pub(crate) outcome: RequestOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    Approved,
    Declined,
    /// No usable response; the card is configured to decline then.
    Timeout,
    /// No usable response; the card is configured to approve then.
    StoodIn,
    /// Declined by the issuer itself, without an authorisation request.
    Refused,
}

impl RequestOutcome {
    pub(crate) fn is_approved(self) -> bool {
        matches!(self, Self::Approved | Self::StoodIn)
    }
}

/// Another currency, and the worth of a hundred units of the card's currency in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForeignCurrency {
    /// ISO 4217, lower case.
    pub(crate) currency: &'static str,
    pub(crate) rate_percent: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StripeStatus {
    Pending,
    Closed,
    Reversed,
    Expired,
}

/// The `type` of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionType {
    Capture,
    Refund,
}

/// `t=<unix>,v1=<hex hmac-sha256 of "t.body">`, keyed with the whole secret string.
///
/// Source: Stripe, "Verify webhook signatures manually".
pub(crate) fn signature(secret: &str, at: i64, body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{at}.{body}").as_bytes());
    Ok(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

/// The event envelope around `object`.
pub(crate) fn event(
    id: &str,
    kind: &str,
    api_version: &str,
    at: i64,
    object: &Value,
    previous: Option<&Value>,
) -> Value {
    let data = match previous {
        Some(previous) => json!({ "object": object, "previous_attributes": previous }),
        None => json!({ "object": object }),
    };
    json!({
        "id": id, "object": "event", "api_version": api_version, "created": at, "data": data,
        "livemode": false, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    })
}

impl StripeAuthorisation {
    /// A new one, of which nothing has been requested yet.
    pub(crate) fn new(
        id: String,
        card: &Card,
        shop: &'static Shop,
        currency: &str,
        created: i64,
    ) -> Self {
        Self {
            id,
            card: card.token.clone(),
            last_four: card.last_four.clone(),
            cardholder: card.token.replacen("ic_", "ich_", 1),
            shop,
            currency: currency.to_ascii_lowercase(),
            created,
            is_amount_controllable: false,
            fee_minor: 0,
            foreign_currency: None,
            history: Vec::new(),
            amount_minor: 0,
            status: StripeStatus::Pending,
            transactions: Vec::new(),
        }
    }

    /// The object of `issuing_authorization.request`. Its amount is in `pending_request`.
    pub(crate) fn request(&self, amount_minor: i64) -> Value {
        let pending = json!({
            "amount": self.stripe_amount(amount_minor),
            "amount_details": details(self.fee()),
            "currency": self.currency,
            "is_amount_controllable": self.is_amount_controllable,
            "merchant_amount": self.merchant_amount(amount_minor),
            "merchant_currency": self.merchant_currency(),
            "network_risk_score": null,
        });
        self.object(&pending)
    }

    /// The object of `issuing_authorization.created` and `.updated`.
    pub(crate) fn snapshot(&self) -> Value {
        self.object(&Value::Null)
    }

    pub(crate) fn is_approved(&self) -> bool {
        self.history.iter().any(|history_entry| history_entry.outcome.is_approved())
    }

    /// The cash machine's fee in Stripe's units.
    fn fee(&self) -> Option<i64> {
        (self.fee_minor > 0).then(|| self.stripe_amount(self.fee_minor))
    }

    /// The amount in Stripe's units.
    pub(crate) fn stripe_amount(&self, amount_minor: i64) -> i64 {
        let code = self.currency.to_ascii_uppercase();
        currency::to_stripe(amount_minor, &code).unwrap_or(amount_minor)
    }

    /// The amount in the shop's currency.
    pub(crate) fn merchant_amount(&self, amount_minor: i64) -> i64 {
        let stripe_amount = self.stripe_amount(amount_minor);
        self.foreign_currency
            .map_or(stripe_amount, |foreign| stripe_amount * foreign.rate_percent / 100)
    }

    fn merchant_currency(&self) -> &str {
        self.foreign_currency.map_or(&self.currency, |foreign| foreign.currency)
    }

    fn object(&self, pending_request: &Value) -> Value {
        let presence =
            if self.shop.channel == PurchaseChannel::Online { "not_present" } else { "present" };
        let history: Vec<_> = self.history.iter().map(|entry| self.entry(entry)).collect();
        json!({
            "id": self.id, "object": "issuing.authorization",
            "amount": self.stripe_amount(self.amount_minor),
            "amount_details": details(self.fee()), "approved": self.is_approved(),
            "authorization_method": method(self.shop), "balance_transactions": [],
            "card": self.card_object(), "card_presence": presence, "cardholder": self.cardholder,
            "created": self.created, "currency": self.currency, "fleet": null,
            "fraud_challenges": null, "fuel": null, "livemode": false,
            "merchant_amount": self.merchant_amount(self.amount_minor),
            "merchant_currency": self.merchant_currency(),
            "merchant_data": merchant_data(self.shop), "metadata": {},
            "network_data": {
                "acquiring_institution_id": "406742",
                "system_trace_audit_number": "123456",
                "transaction_id": self.network_id(),
            },
            "pending_request": pending_request,
            "request_history": history,
            "status": match self.status {
                StripeStatus::Pending => "pending",
                StripeStatus::Closed => "closed",
                StripeStatus::Reversed => "reversed",
                StripeStatus::Expired => "expired",
            },
            "token": null,
            "transactions": self.transactions,
            "verification_data": {
                "address_line1_check": "not_provided", "address_postal_code_check": "not_provided",
                "authentication_exemption": null, "cvc_check": "not_provided",
                "expiry_check": "match", "postal_code": null, "three_d_secure": null,
            },
            "verified_by_fraud_challenge": null,
            "wallet": null,
        })
    }

    fn entry(&self, history_entry: &RequestHistoryEntry) -> Value {
        json!({
            "amount": self.stripe_amount(history_entry.amount_minor),
            "amount_details": details(self.fee()),
            "approved": history_entry.outcome.is_approved(), "authorization_code": "S498162",
            "created": history_entry.at, "currency": self.currency,
            "merchant_amount": self.merchant_amount(history_entry.amount_minor),
            "merchant_currency": self.merchant_currency(),
            "network_risk_score": null,
            "reason": match history_entry.outcome {
                RequestOutcome::Approved => "webhook_approved",
                RequestOutcome::Declined => "webhook_declined",
                RequestOutcome::Timeout | RequestOutcome::StoodIn => "webhook_timeout",
                RequestOutcome::Refused => "insufficient_funds",
            },
            "reason_message": null, "requested_at": history_entry.at,
        })
    }

    fn card_object(&self) -> Value {
        json!({
            "id": self.card, "object": "issuing.card", "brand": "Visa",
            "cancellation_reason": null, "cardholder": self.cardholder_object(),
            "created": 1_780_000_100, "currency": self.currency, "exp_month": 8, "exp_year": 2029,
            "financial_account": null, "last4": self.last_four, "latest_fraud_warning": null,
            "lifecycle_controls": null, "livemode": false, "metadata": {},
            "personalization_design": null, "replaced_by": null, "replacement_for": null,
            "replacement_reason": null, "second_line": null, "shipping": null,
            "spending_controls": {
                "allowed_card_presences": [], "allowed_categories": null,
                "allowed_merchant_countries": [], "blocked_card_presences": [],
                "blocked_categories": null, "blocked_merchant_countries": [],
                "spending_limits": [], "spending_limits_currency": null,
            },
            "status": "active", "type": "physical",
            "wallets": {
                "apple_pay": { "eligible": true, "ineligible_reason": null },
                "google_pay": { "eligible": true, "ineligible_reason": null },
                "primary_account_identifier": null,
            },
        })
    }

    /// The card object contains the whole cardholder. The name is invented.
    fn cardholder_object(&self) -> Value {
        json!({
            "id": self.cardholder, "object": "issuing.cardholder",
            "billing": { "address": {
                "city": "London", "country": "GB", "line1": "1 Test Street", "line2": null,
                "postal_code": "EC1A 1BB", "state": null,
            } },
            "company": null, "created": 1_780_000_000, "email": "cardholder@example.test",
            "individual": {
                "card_issuing": null, "dob": { "day": 1, "month": 1, "year": 1990 },
                "first_name": "Ada", "last_name": "Example",
                "verification": { "document": null },
            },
            "livemode": false, "metadata": {}, "name": "Ada Example",
            "phone_number": "+447700900000", "preferred_locales": ["en"],
            "requirements": { "disabled_reason": null, "past_due": [] },
            "spending_controls": {
                "allowed_card_presences": [], "allowed_categories": [],
                "allowed_merchant_countries": [], "blocked_card_presences": [],
                "blocked_categories": [], "blocked_merchant_countries": [],
                "spending_limits": [], "spending_limits_currency": null,
            },
            "status": "active", "type": "individual",
        })
    }

    /// An `issuing.transaction` of this authorisation. Captures are negative, refunds positive. An
    /// unlinked one names no authorisation.
    pub(crate) fn transaction(
        &self,
        id: &str,
        transaction_type: TransactionType,
        (amount_minor, merchant_amount): (i64, i64),
        at: i64,
        link: AuthorisationLink,
    ) -> Value {
        let (kind, signed, merchant_amount) = match transaction_type {
            TransactionType::Capture => ("capture", -amount_minor, -merchant_amount),
            TransactionType::Refund => ("refund", amount_minor, merchant_amount),
        };
        let processed = Timestamp::from_second(at).unwrap_or_default();
        json!({
            "id": id, "object": "issuing.transaction", "amount": self.stripe_amount(signed),
            "amount_details": details(self.fee()),
            "authorization": match link {
                AuthorisationLink::Linked => Some(&self.id),
                AuthorisationLink::Unlinked => None,
            },
            "balance_transaction": format!("txn_{}", id.trim_start_matches("ipi_")),
            "card": self.card, "cardholder": self.cardholder, "created": at,
            "currency": self.currency, "dispute": null, "livemode": false,
            "merchant_amount": merchant_amount, "merchant_currency": self.merchant_currency(),
            "merchant_data": merchant_data(self.shop), "metadata": {},
            "network_data": {
                "authorization_code": "S498162",
                "processing_date": processed.strftime("%Y-%m-%d").to_string(),
                "transaction_id": match link {
                    AuthorisationLink::Linked => self.network_id(),
                    AuthorisationLink::Unlinked => format!("9{}", self.network_id()),
                },
            },
            "token": null, "type": kind, "wallet": null,
        })
    }

    /// The network's transaction id: digits, the same in every message about this purchase.
    fn network_id(&self) -> String {
        format!("416{}", shops::digits(&self.id))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthorisationLink {
    Linked,
    Unlinked,
}

/// The parts of an amount that are not the price of goods.
fn details(fee: Option<i64>) -> Value {
    json!({ "atm_fee": fee, "cashback_amount": null })
}

fn method(shop: &Shop) -> &'static str {
    match shop.channel {
        PurchaseChannel::Counter => "contactless",
        PurchaseChannel::CashMachine => "chip",
        PurchaseChannel::Online => "online",
    }
}

fn merchant_data(shop: &Shop) -> Value {
    let url = (shop.channel == PurchaseChannel::Online)
        .then(|| format!("https://{}", shop.descriptor.to_ascii_lowercase()));
    json!({
        "category": shop.slug, "category_code": shop.code, "city": shop.city,
        "country": shop.country, "name": shop.descriptor, "network_id": shops::network_id(shop),
        "postal_code": "EC1A1BB", "state": null, "tax_id": null, "terminal_id": "99999999",
        "url": url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = include_str!("../../tests/fixtures/stripe/authorisation_request.json");
    const INCREMENT: &str =
        include_str!("../../tests/fixtures/stripe/authorisation_increment.json");
    const CREATED: &str = include_str!("../../tests/fixtures/stripe/authorisation_created.json");
    const UPDATED: &str = include_str!("../../tests/fixtures/stripe/authorisation_updated.json");
    const CAPTURE: &str = include_str!("../../tests/fixtures/stripe/transaction_created.json");
    const REFUND: &str = include_str!("../../tests/fixtures/stripe/refund_created.json");

    fn authorisation() -> StripeAuthorisation {
        let card =
            Card { token: "ic_1Sim".to_owned(), last_four: "5678".to_owned(), ..Card::unissued() };
        let (id, shop) = ("iauth_1Sim".to_owned(), &shops::NEWSAGENTS[0]);
        StripeAuthorisation::new(id, &card, shop, "GBP", 1_790_000_000)
    }

    fn approved() -> StripeAuthorisation {
        let entry = RequestHistoryEntry {
            amount_minor: 12_50,
            at: 1_790_000_000,
            outcome: RequestOutcome::Approved,
        };
        StripeAuthorisation { amount_minor: 12_50, history: vec![entry], ..authorisation() }
    }

    #[test]
    fn the_known_pair_is_signed_as_stripe_signs_it() {
        assert_eq!(
            signature("whsec_ad7e5e20170f4c61bc9d5c86a02f805c", 1_790_000_000, REQUEST).unwrap(),
            "t=1790000000,v1=95b16973b66ad190eb393944c6508dcc27b9b80ffa33e63dfa45046b40a8ee16"
        );
    }

    /// Asserts that our object has exactly the sample's keys at every depth. Lists are compared by
    /// their first item. The contents of `metadata` and of changed attributes may differ.
    fn same_keys(path: &str, ours: &Value, sample: &Value) {
        match (ours, sample) {
            (Value::Object(ours), Value::Object(sample)) => {
                if path.ends_with("metadata") || path.ends_with("previous_attributes") {
                    return;
                }
                let keys = |map: &serde_json::Map<String, Value>| {
                    map.keys().cloned().collect::<std::collections::BTreeSet<_>>()
                };
                assert_eq!(keys(ours), keys(sample), "at {path}");
                for (key, value) in sample {
                    same_keys(&format!("{path}/{key}"), &ours[key], value);
                }
            }
            (Value::Array(ours), Value::Array(sample)) => {
                assert_eq!(ours.is_empty(), sample.is_empty(), "at {path}");
                if let (Some(ours), Some(sample)) = (ours.first(), sample.first()) {
                    same_keys(&format!("{path}/0"), ours, sample);
                }
            }
            (Value::Object(_), _) | (_, Value::Object(_)) => panic!("one object only, at {path}"),
            _ => {}
        }
    }

    fn check(kind: &str, object: &Value, previous: Option<&Value>, sample: &str) {
        let ours = event("evt_1", kind, "2026-10-28.endive", 1_790_000_000, object, previous);
        same_keys("", &ours, &serde_json::from_str(sample).unwrap());
    }

    #[test]
    fn every_message_has_every_key_of_the_sample() {
        check("issuing_authorization.request", &authorisation().request(12_50), None, REQUEST);
        check("issuing_authorization.request", &approved().request(5_00), None, INCREMENT);
        check("issuing_authorization.created", &approved().snapshot(), None, CREATED);
        let capture = approved().transaction(
            "ipi_1",
            TransactionType::Capture,
            (12_50, 12_50),
            1_790_000_000,
            AuthorisationLink::Linked,
        );
        check("issuing_transaction.created", &capture, None, CAPTURE);
        let closed = StripeAuthorisation {
            status: StripeStatus::Closed,
            transactions: vec![capture],
            ..approved()
        };
        let previous = json!({ "status": "pending" });
        check("issuing_authorization.updated", &closed.snapshot(), Some(&previous), UPDATED);
        let refund = approved().transaction(
            "ipi_2",
            TransactionType::Refund,
            (12_50, 12_50),
            1_790_000_000,
            AuthorisationLink::Linked,
        );
        check("issuing_transaction.created", &refund, None, REFUND);
    }

    #[test]
    fn a_capture_is_negative_and_an_unlinked_refund_names_nothing() {
        let at = 1_790_000_000;
        let capture = approved().transaction(
            "ipi_1",
            TransactionType::Capture,
            (5, 5),
            at,
            AuthorisationLink::Linked,
        );
        assert_eq!(
            (&capture["amount"], &capture["authorization"]),
            (&json!(-5), &json!("iauth_1Sim"))
        );
        assert_eq!(capture["network_data"]["processing_date"], "2026-09-21");
        let refund = approved().transaction(
            "ipi_2",
            TransactionType::Refund,
            (5, 5),
            at,
            AuthorisationLink::Unlinked,
        );
        assert_eq!((&refund["amount"], &refund["authorization"]), (&json!(5), &Value::Null));
    }
}
