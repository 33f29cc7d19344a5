//! Issuer adapters: decoding of messages, and encoding of responses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proptest::prelude::*;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, PartialApproval, Presence, PurchaseKind,
};
use sayso::domain::decision::reason_code::ReasonCode;
use sayso::domain::id::DecisionId;
use sayso::domain::money::Money;
use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome, DisputeReport};
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::{
    AuthorisationSnapshot, AuthorisationStatus, EventBody, IssuerAnswer, IssuerEvent, Presentment,
    PresentmentDirection, PurchaseReport,
};
use sayso::domain::shop::merchant::{Mcc, Merchant};
use sayso::issuers::signature;
use sayso::issuers::signature::SignatureError;
use sayso::issuers::{
    AuthorisationResponse, Issuer, Origin, RefusedMessage, SignedMessage, Verdict,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::values::{ODD_AMOUNTS, gbp};

const NOW: i64 = 1_790_000_000;
const SECRET: &str = "whsec_ad7e5e20170f4c61bc9d5c86a02f805c";
const OTHER_SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

fn vectors(folder: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    serde_json::from_str(&fs::read_to_string(path.join("vectors.json")).unwrap()).unwrap()
}

/// A message of a vector file.
struct Vector {
    id: String,
    headers: Vec<(String, String)>,
    body: String,
    secrets: Vec<SecretString>,
    expected: String,
}

impl Vector {
    fn all(folder: &str) -> Vec<Self> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let read = |vector: &Value| Self {
            id: text(&vector["id"]),
            headers: vector["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: text(&vector["body"]),
            secrets: vector["secrets"].as_array().unwrap().iter().map(|s| text(s).into()).collect(),
            expected: text(&vector["expected"]["reason"]),
        };
        vectors(folder)["vectors"].as_array().unwrap().iter().map(read).collect()
    }

    fn stripe(id: &str) -> Self {
        Self::all("stripe").into_iter().find(|vector| vector.id == id).unwrap()
    }

    fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn origin() -> Origin {
    Origin { programme: "riverside".parse().unwrap(), connection: "demo-stripe".parse().unwrap() }
}

fn money(minor: i64, currency: &str) -> Money {
    Money::from_minor(minor, currency.parse().unwrap())
}

fn shop(mcc: &str, name: &str) -> Merchant {
    Merchant::new(Some(Mcc::parse(mcc).unwrap()), name)
        .in_city("LONDON")
        .in_country("GB")
        .with_network_id("1234567890")
}

fn ask(body: &str) -> Result<AuthorisationRequest, RefusedMessage> {
    Issuer::Stripe.decode_authorisation(&origin(), body.as_bytes())
}

fn tell(body: &str) -> Result<IssuerEvent, RefusedMessage> {
    Issuer::Stripe.decode_event(body.as_bytes())
}

/// The plain authorisation request with the value at `pointer` replaced.
fn question_with(pointer: &str, value: Value) -> String {
    changed(&Vector::stripe("valid-purchase").json(), pointer, value)
}

fn changed(message: &Value, pointer: &str, value: Value) -> String {
    let mut message = message.clone();
    *message.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    message.to_string()
}

/// The field that the rejection names.
fn field<T: std::fmt::Debug>(result: Result<T, RefusedMessage>) -> String {
    match result {
        Err(RefusedMessage::Malformed { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn verify(secrets: &[&str], header: &str, body: &[u8]) -> Result<(), RefusedMessage> {
    let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    let headers = [("Stripe-Signature", header.as_bytes())];
    Issuer::Stripe.verify(&secrets, &SignedMessage { headers: &headers, body }, now())
}

#[test]
fn every_stripe_message_is_taken_or_refused_for_the_expected_reason() {
    for vector in Vector::all("stripe") {
        let message = SignedMessage { headers: &vector.headers(), body: vector.body.as_bytes() };
        let result = Issuer::Stripe.verify(&vector.secrets, &message, now());
        assert_eq!(word(&result), vector.expected, "{}", vector.id);
    }
}

#[test]
fn every_standard_webhook_is_taken_or_refused_for_the_expected_reason() {
    for vector in Vector::all("standard_webhooks") {
        let message = SignedMessage { headers: &vector.headers(), body: vector.body.as_bytes() };
        let result = signature::verify_standard_webhooks(&vector.secrets, &message, now());
        let word = result.map_or_else(SignatureError::word, |()| "ok");
        assert_eq!(word, vector.expected, "{}", vector.id);
    }
}

#[test]
fn the_signature_known_from_stripe_verifies() {
    let vector = Vector::stripe("valid-purchase");
    assert_eq!(vector.body.len(), 3379);
    let known = "95b16973b66ad190eb393944c6508dcc27b9b80ffa33e63dfa45046b40a8ee16";
    assert_eq!(sign(SECRET, NOW, vector.body.as_bytes()), known);
    assert_eq!(verify(&[SECRET], &format!("t={NOW},v1={known}"), vector.body.as_bytes()), Ok(()));
}

#[test]
fn the_pair_published_by_standard_webhooks_verifies() {
    let secrets = [SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    let headers: [(&str, &[u8]); 3] = [
        ("webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", b"1614265330"),
        ("webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let message = SignedMessage { headers: &headers, body: br#"{"test": 2432232314}"# };
    let at = |second| Timestamp::from_second(second).unwrap();
    let verify = |now| signature::verify_standard_webhooks(&secrets, &message, now);
    assert_eq!(verify(at(1_614_265_330)), Ok(()));
    assert_eq!(verify(at(1_614_265_631)), Err(SignatureError::TimestampTooOld));
    assert_eq!(verify(at(1_614_265_029)), Err(SignatureError::TimestampInFuture));
}

/// The decoded request of `valid-purchase`; other expectations change what differs.
fn plain_question() -> AuthorisationRequest {
    let origin = origin();
    AuthorisationRequest {
        programme: origin.programme,
        connection: origin.connection,
        reference: "iauth_1TestAuth0000000001/0".parse().unwrap(),
        purchase: "iauth_1TestAuth0000000001".parse().unwrap(),
        sequence: 0,
        card: "ic_1TestCard00000000001".parse().unwrap(),
        amount: gbp(12_50),
        bought_at: Some("2026-09-21T14:13:20Z".parse().unwrap()),
        cash_back: gbp(0),
        atm_fee: gbp(0),
        transaction_amount: gbp(12_50),
        has_unread_price: false,
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        partial: PartialApproval::NotAllowed,
        merchant: shop("5411", "TEST GROCER 123"),
    }
}

/// A plain request about another purchase and another amount in pence.
fn question(purchase: u32, amount_minor: i64) -> AuthorisationRequest {
    let purchase = format!("iauth_1TestAuth{purchase:010}");
    AuthorisationRequest {
        reference: format!("{purchase}/0").parse().unwrap(),
        purchase: purchase.parse().unwrap(),
        amount: gbp(amount_minor),
        transaction_amount: gbp(amount_minor),
        ..plain_question()
    }
}

fn expected_question(id: &str) -> Option<AuthorisationRequest> {
    let expected = match id {
        "valid-purchase"
        | "rotation-two-signatures"
        | "v0-plus-valid-v1"
        | "req-redelivery-same-event-id" => plain_question(),
        "req-zero-amount-verification" => AuthorisationRequest {
            kind: PurchaseKind::Verification,
            presence: Presence::Remote,
            merchant: shop("5815", "TEST STREAMING"),
            ..question(3, 0)
        },
        "req-cashback" => AuthorisationRequest {
            cash_back: gbp(20_00),
            partial: PartialApproval::Allowed,
            ..question(5, 35_00)
        },
        "req-atm-withdrawal" => AuthorisationRequest {
            atm_fee: gbp(1_75),
            kind: PurchaseKind::Cash,
            merchant: shop("6011", "TEST BANK ATM"),
            ..question(6, 101_75)
        },
        "req-fuel-status-check" => AuthorisationRequest {
            transaction_amount: gbp(1_00),
            partial: PartialApproval::Allowed,
            merchant: shop("5542", "TEST FUEL PUMP"),
            ..question(7, 100_00)
        },
        "req-foreign-currency" => AuthorisationRequest {
            transaction_amount: money(10_00, "USD"),
            presence: Presence::Remote,
            ..question(8, 7_89)
        },
        "req-incremental" => AuthorisationRequest {
            reference: "iauth_1TestAuth0000000009/1".parse().unwrap(),
            sequence: 1,
            merchant: shop("7011", "TEST HOTEL"),
            ..question(9, 50_00)
        },
        _ => return None,
    };
    Some(expected)
}

fn about(merchant: Merchant) -> PurchaseReport {
    PurchaseReport {
        card: "ic_1TestCard00000000001".parse().unwrap(),
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        cash_back: gbp(0),
        atm_fee: gbp(0),
        merchant_currency: Some(gbp(0).currency()),
        merchant_amount: None,
        merchant,
        bought_at: None,
    }
}

fn event(number: u32, kind: &str, body: EventBody) -> IssuerEvent {
    let reference = format!("evt_1TestHook{number:09}").parse().unwrap();
    IssuerEvent { reference, kind: kind.to_owned(), body }
}

fn snapshot(
    number: u32,
    kind: &str,
    purchase: u32,
    answers: u32,
    status: AuthorisationStatus,
) -> IssuerEvent {
    let reference = format!("evt_1TestHook{number:09}").parse().unwrap();
    let over = u8::from(!matches!(status, AuthorisationStatus::Open { .. }));
    let merchant =
        if purchase == 9 { shop("7011", "TEST HOTEL") } else { plain_question().merchant };
    let report = AuthorisationSnapshot {
        purchase: format!("iauth_1TestAuth{purchase:010}").parse().unwrap(),
        about: about(merchant),
        status,
        position: MessagePosition {
            at: now(),
            kind: if kind.ends_with("created") {
                MessageKind::Created
            } else {
                MessageKind::Updated
            },
            answers,
            listed: 0,
            over,
            reference,
        },
        answers: Vec::new(),
    };
    event(number, kind, EventBody::Snapshot(Box::new(report)))
}

fn claim(
    number: u32,
    reference: u32,
    purchase: Option<u32>,
    direction: PresentmentDirection,
    amount_minor: i64,
) -> IssuerEvent {
    let purchase = purchase.map(|p| format!("iauth_1TestAuth{p:010}").parse().unwrap());
    let merchant =
        if reference == 2 { shop("5812", "TEST DINER") } else { plain_question().merchant };
    let presentment = Presentment {
        reference: format!("ipi_1TestTxn{reference:010}").parse().unwrap(),
        purchase,
        about: about(merchant),
        direction,
        amount: gbp(amount_minor),
        releases: None,
    };
    event(number, "issuing_transaction.created", EventBody::Presentment(Box::new(presentment)))
}

fn expected_event(id: &str) -> Option<IssuerEvent> {
    const CREATED: &str = "issuing_authorization.created";
    const UPDATED: &str = "issuing_authorization.updated";

    let open = |minor| AuthorisationStatus::Open { total: gbp(minor) };
    let expected = match id {
        "evt-created-approved" => snapshot(0, CREATED, 1, 1, open(12_50)),
        "evt-created-insufficient-issuer-funds" => {
            snapshot(4, CREATED, 13, 1, AuthorisationStatus::Declined)
        }
        "evt-created-network-fallback" => snapshot(5, CREATED, 14, 1, open(20_00)),
        "evt-updated-incremental" => snapshot(6, UPDATED, 9, 2, open(250_00)),
        "evt-updated-reversed-full" => snapshot(7, UPDATED, 1, 1, AuthorisationStatus::Reversed),
        "evt-updated-reversed-part" => snapshot(8, UPDATED, 4, 1, open(30_00)),
        "evt-updated-closed-by-capture" => {
            snapshot(10, UPDATED, 1, 1, AuthorisationStatus::Closed { claimed: gbp(1250) })
        }
        "evt-txn-capture" => claim(11, 1, Some(1), PresentmentDirection::Capture, 12_50),
        "evt-txn-overcapture" => claim(12, 2, Some(15), PresentmentDirection::Capture, 46_00),
        "evt-txn-refund-linked" => claim(16, 6, Some(1), PresentmentDirection::Refund, 12_50),
        "evt-txn-refund-unlinked" => claim(17, 7, None, PresentmentDirection::Refund, 7_00),
        "evt-dispute-submitted" => {
            let report = DisputeReport {
                reference: "idp_1TestDispute00000001".parse().unwrap(),
                presentment: "ipi_1TestTxn0000000001".parse().unwrap(),
                amount: gbp(12_50),
                outcome: DisputeOutcome::Open,
                funds: None,
                position: MessagePosition {
                    at: now(),
                    kind: MessageKind::Updated,
                    answers: 0,
                    listed: 0,
                    over: 0,
                    reference: "evt_1TestHook000000018".parse().unwrap(),
                },
            };
            event(18, "issuing_dispute.submitted", EventBody::Dispute(Box::new(report)))
        }
        _ => return None,
    };
    Some(expected)
}

/// Adds what every message contains, taken from the message itself: its time, the outcome and
/// reason of each request, the listed captures, and the merchant's amount.
fn add_what_every_message_tells(event: &mut IssuerEvent, body: &str) {
    let message: Value = serde_json::from_str(body).unwrap();
    let object = &message["data"]["object"];
    let made_at = Timestamp::from_second(object["created"].as_i64().unwrap()).unwrap();
    match &mut event.body {
        EventBody::Snapshot(report) => {
            report.about.bought_at = Some(made_at);
            let listed = object["transactions"].as_array().unwrap().len();
            report.position.listed = u32::try_from(listed).unwrap();
            let answer = |entry: &Value| IssuerAnswer {
                is_approved: entry["approved"].as_bool().unwrap(),
                amount: gbp(entry["amount"].as_i64().unwrap()),
                reason: entry["reason"].as_str().map(str::to_owned),
                is_without_us: ["insufficient_funds", "network_fallback"]
                    .contains(&entry["reason"].as_str().unwrap_or_default()),
            };
            let history = object["request_history"].as_array().unwrap();
            report.answers = history.iter().map(answer).collect();
        }
        EventBody::Presentment(presentment) => {
            presentment.about.bought_at = Some(made_at);
            let minor = object["merchant_amount"].as_i64().unwrap().abs();
            presentment.about.merchant_amount = Some(gbp(minor));
        }
        EventBody::HoldChange(_)
        | EventBody::Dispute(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => {}
    }
}

#[test]
fn every_valid_stripe_message_reads_as_expected() {
    let mut unread = BTreeSet::new();
    for vector in Vector::all("stripe").into_iter().filter(|vector| vector.expected == "ok") {
        let id = vector.id;
        match (expected_question(&id), expected_event(&id)) {
            (Some(expected), None) => {
                assert_eq!(ask(&vector.body).unwrap(), expected, "{id}");
                assert_eq!(field(tell(&vector.body)), "type", "{id} as an event");
            }
            (None, Some(mut expected)) => {
                add_what_every_message_tells(&mut expected, &vector.body);
                assert_eq!(tell(&vector.body).unwrap(), expected, "{id}");
                assert_eq!(field(ask(&vector.body)), "type", "{id} as a question");
            }
            _ => {
                unread.insert(id);
            }
        }
    }
    assert_eq!(unread, BTreeSet::new(), "no expectation is written for these");
}

#[test]
fn a_snapshot_says_how_the_purchase_stands() {
    let message = Vector::stripe("evt-created-approved").json();
    let history = |approved: bool| json!([{ "amount": 1250, "approved": approved }]);
    let cases = [
        ("pending", true, history(true), Some(AuthorisationStatus::Open { total: gbp(12_50) })),
        // An increment was declined; the hold of before remains.
        ("pending", true, history(false), Some(AuthorisationStatus::Open { total: gbp(12_50) })),
        ("pending", false, history(false), Some(AuthorisationStatus::Declined)),
        ("pending", false, json!([]), None),
        ("closed", true, history(true), Some(AuthorisationStatus::Closed { claimed: gbp(0) })),
        ("closed", false, history(false), Some(AuthorisationStatus::Declined)),
        ("reversed", true, history(true), Some(AuthorisationStatus::Reversed)),
        ("expired", true, history(true), Some(AuthorisationStatus::Expired)),
        ("held_in_orbit", true, history(true), None),
    ];
    for (status, approved, history, expected) in cases {
        let mut message = message.clone();
        let object = &mut message["data"]["object"];
        object["status"] = json!(status);
        object["approved"] = json!(approved);
        object["request_history"] = history;
        let said = match tell(&message.to_string()).unwrap().body {
            EventBody::Snapshot(report) => Some(report.status),
            EventBody::Other => None,
            body @ (EventBody::HoldChange(_)
            | EventBody::Presentment(_)
            | EventBody::Dispute(_)
            | EventBody::Unclear { .. }) => panic!("{body:?}"),
        };
        assert_eq!(said, expected, "{status} {approved}");
    }
}

#[test]
fn a_checked_card_is_told_as_a_verification() {
    let mut message = Vector::stripe("evt-created-approved").json();
    message["data"]["object"]["amount"] = json!(0);
    message["data"]["object"]["request_history"] = json!([{ "amount": 0, "approved": true }]);
    let EventBody::Snapshot(report) = tell(&message.to_string()).unwrap().body else { panic!() };
    assert_eq!(report.about.kind, PurchaseKind::Verification);
    assert_eq!(report.status, AuthorisationStatus::Open { total: gbp(0) });
}

#[test]
fn a_claim_whose_sign_contradicts_its_kind_is_for_a_person_to_look_at() {
    for (id, amount) in [("evt-txn-capture", 1), ("evt-txn-refund-linked", -1)] {
        let message = Vector::stripe(id).json();
        for amount in [amount, i64::MIN] {
            let body = changed(&message, "/data/object/amount", json!(amount));
            let EventBody::Unclear { why } = tell(&body).unwrap().body else { panic!("{body}") };
            assert!(why.contains("data.object.amount"), "{why}");
        }
    }
}

#[test]
fn a_dispute_says_what_has_come_of_it_and_where_its_money_is() {
    let message = Vector::stripe("evt-dispute-submitted").json();
    for (kind, status, outcome, funds, over) in [
        ("created", "unsubmitted", DisputeOutcome::Open, None, 0),
        ("submitted", "submitted", DisputeOutcome::Open, None, 0),
        ("funds_reinstated", "submitted", DisputeOutcome::Open, Some(DisputeFunds::Credited), 0),
        ("funds_rescinded", "lost", DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain), 1),
        ("closed", "won", DisputeOutcome::Won, None, 1),
        ("closed", "expired", DisputeOutcome::Lost, None, 1),
    ] {
        let mut message = message.clone();
        message["type"] = json!(format!("issuing_dispute.{kind}"));
        message["data"]["object"]["status"] = json!(status);
        let EventBody::Dispute(report) = tell(&message.to_string()).unwrap().body else { panic!() };
        assert_eq!(
            (report.outcome, report.funds, report.position.over),
            (outcome, funds, over),
            "{kind} {status}"
        );
        // The transaction is an identifier, or the expanded object.
        let claim = message["data"]["object"]["transaction"].clone();
        message["data"]["object"]["transaction"] = json!({ "id": claim, "object": "x" });
        let EventBody::Dispute(whole) = tell(&message.to_string()).unwrap().body else { panic!() };
        assert_eq!(whole, report);
    }
    for (pointer, value) in [
        ("/data/object/status", json!("settled")),
        ("/data/object/amount", json!(0)),
        ("/data/object/transaction", json!(7)),
    ] {
        let event = tell(&changed(&message, pointer, value)).unwrap();
        assert!(matches!(event.body, EventBody::Unclear { .. }), "{pointer}");
    }
}

#[test]
fn what_is_not_known_yet_is_kept_whole() {
    let capture = Vector::stripe("evt-txn-capture").json();
    for (pointer, value) in [
        ("/type", json!("issuing_card.created")),
        ("/data/object/type", json!("chargeback")),
        ("/data/object/amount", json!(0)),
    ] {
        let event = tell(&changed(&capture, pointer, value)).unwrap();
        assert_eq!(event.body, EventBody::Other, "{pointer}");
    }
    let bad_envelopes = [
        ("/id", json!("")),
        ("/id", json!("evt 1")),
        ("/type", json!("")),
        ("/type", json!("a".repeat(101))),
    ];
    for (pointer, value) in bad_envelopes {
        assert_eq!(field(tell(&changed(&capture, pointer, value))), pointer[1..]);
    }
}

#[test]
fn a_time_that_is_none_is_no_reason_to_lose_a_message() {
    let capture = Vector::stripe("evt-txn-capture").json();
    let snapshot = Vector::stripe("evt-created-approved").json();
    let question = Vector::stripe("valid-purchase").json();
    let far =
        [json!(i64::MAX), json!(i64::MIN), json!(1e30), json!("soon"), json!(253_402_300_799_i64)];
    for value in far.into_iter().chain([json!(0), json!(7_258_118_400_i64), json!(null)]) {
        let event = tell(&changed(&capture, "/created", value.clone())).unwrap();
        assert!(matches!(event.body, EventBody::Presentment(_)), "a claim needs no time: {value}");
        let event = tell(&changed(&capture, "/data/object/created", value.clone())).unwrap();
        let EventBody::Presentment(claim) = event.body else { panic!("{value}") };
        assert_eq!(claim.about.bought_at, None, "{value}");
        // Without its timestamp a snapshot cannot be ordered.
        let event = tell(&changed(&snapshot, "/created", value.clone())).unwrap();
        assert!(matches!(event.body, EventBody::Unclear { .. }), "{value}");
        for pointer in ["/created", "/data/object/created"] {
            let asked = ask(&changed(&question, pointer, value.clone())).unwrap();
            assert!(pointer == "/created" || asked.bought_at.is_none(), "{value}");
        }
    }
}

#[test]
fn scenario_35_cash_has_its_own_kind() {
    for (code, kind) in [
        ("6010", PurchaseKind::Cash),
        ("6011", PurchaseKind::Cash),
        // Quasi-cash is a merchant category, which the agreement covers.
        ("6051", PurchaseKind::Purchase),
    ] {
        let body = question_with("/data/object/merchant_data/category_code", json!(code));
        assert_eq!(ask(&body).unwrap().kind, kind, "{code}");
    }
}

#[test]
fn scenario_37_minor_units_are_stripes_on_the_wire_and_isos_inside() {
    for (currency, theirs, ours) in [
        ("gbp", 1250, Some(1250)),
        ("jpy", 1250, Some(1250)),
        ("ugx", 1250, Some(1250)),
        ("kwd", 1250, Some(1250)),
        ("kwd", 1251, None),
        ("isk", 1200, Some(12)),
        ("isk", 1250, None),
        ("mga", 1250, Some(125_000)),
    ] {
        let mut message = Vector::stripe("valid-purchase").json();
        message["data"]["object"]["pending_request"]["currency"] = json!(currency);
        message["data"]["object"]["pending_request"]["amount"] = json!(theirs);
        let read = ask(&message.to_string());
        match ours {
            Some(minor) => {
                let upper = currency.to_uppercase();
                assert_eq!(read.unwrap().amount, money(minor, &upper), "{currency} {theirs}");
            }
            None => assert_eq!(field(read), "data.object.pending_request.amount", "{currency}"),
        }
    }
}

#[test]
fn scenario_39_another_currency_is_still_a_question() {
    const CURRENCY: &str = "/data/object/pending_request/currency";
    for currency in ["usd", "EUR", "ugx", "clf", "irr"] {
        let read = ask(&question_with(CURRENCY, json!(currency))).unwrap();
        assert_eq!(read.amount.currency().code(), currency.to_uppercase());
    }
    for nonsense in ["xbt", "", "xau", "gb", "£"] {
        let read = ask(&question_with(CURRENCY, json!(nonsense)));
        assert_eq!(field(read), "data.object.pending_request.currency", "{nonsense}");
    }
    // The shop's own currency does not affect the decision.
    let read = ask(&question_with("/data/object/pending_request/merchant_currency", json!("xbt")));
    assert_eq!(read.unwrap().transaction_amount, gbp(12_50));
}

#[test]
fn scenario_38_later_messages_tell_the_shops_own_currency() {
    let told = |id: &str, code: Value| {
        let mut body: Value = serde_json::from_str(&Vector::stripe(id).body).unwrap();
        body["data"]["object"]["merchant_currency"] = code;
        let event = Issuer::Stripe.decode_event(body.to_string().as_bytes()).unwrap();
        match event.body {
            EventBody::Snapshot(report) => report.about.merchant_currency,
            EventBody::Presentment(claim) => claim.about.merchant_currency,
            other @ (EventBody::HoldChange(_)
            | EventBody::Dispute(_)
            | EventBody::Unclear { .. }
            | EventBody::Other) => panic!("{other:?}"),
        }
    };
    for id in ["evt-created-approved", "evt-txn-capture", "evt-txn-refund-linked"] {
        assert_eq!(told(id, json!("jpy")), Some("JPY".parse().unwrap()), "{id}");
        // An unknown currency must not make the message unreadable.
        for unknown in [json!("xbt"), json!(""), json!(5), Value::Null] {
            assert_eq!(told(id, unknown.clone()), None, "{id}: {unknown}");
        }
    }
}

#[test]
fn scenario_40_an_amount_is_a_whole_number_in_range() {
    let vector = Vector::stripe("valid-purchase");
    let asked = "\"pending_request\":{\"amount\":1250,";
    assert!(vector.body.contains(asked));
    let with = |amount: &str| {
        vector.body.replace(asked, &format!("\"pending_request\":{{\"amount\":{amount},"))
    };
    for bad in ODD_AMOUNTS {
        assert_eq!(field(ask(&with(bad))), "data.object.pending_request.amount", "{bad}");
    }
    for (good, minor) in [("1", 1), ("100000000000", 100_000_000_000)] {
        assert_eq!(ask(&with(good)).unwrap().amount, gbp(minor));
    }
    for part in ["cashback_amount", "atm_fee"] {
        let pointer = format!("/data/object/pending_request/amount_details/{part}");
        for bad in [json!(-1), json!(1251), json!(1.5)] {
            let named = pointer[1..].replace('/', ".");
            assert_eq!(field(ask(&question_with(&pointer, bad))), named);
        }
        assert!(ask(&question_with(&pointer, json!(1250))).is_ok());
    }
    let read = ask(&question_with("/data/object/pending_request/merchant_amount", json!(-1)));
    assert_eq!(field(read), "data.object.pending_request.merchant_amount");
}

#[test]
fn scenario_49_a_shop_without_a_usable_code_is_of_no_known_kind() {
    let codes = [
        json!(null),
        json!(""),
        json!("0000"),
        json!("541"),
        json!("54a1"),
        json!(5411),
        json!({}),
    ];
    for code in codes {
        let body = question_with("/data/object/merchant_data/category_code", code.clone());
        assert_eq!(ask(&body).unwrap().merchant.mcc(), None, "{code}");
    }
    let read = ask(&question_with("/data/object/merchant_data", json!(null))).unwrap();
    assert_eq!(read.merchant, Merchant::new(None, ""));
    let read = ask(&question_with("/data/object/merchant_data", json!({}))).unwrap();
    assert_eq!(read.merchant, Merchant::new(None, ""));
}

#[test]
fn scenario_50_a_shops_text_is_cleaned_whatever_it_is() {
    let name = |text: Value| {
        let body = question_with("/data/object/merchant_data/name", text);
        ask(&body).unwrap().merchant.name().to_owned()
    };
    assert_eq!(name(json!("")), "");
    assert_eq!(name(json!(null)), "");
    assert_eq!(name(json!("Łódź Кафе 喫茶")), "Łódź Кафе 喫茶");
    assert_eq!(name(json!("PAY\u{202E}LAP\u{200B}")), "PAYLAP");
    assert!(name(json!("喫".repeat(1 << 20))).chars().count() <= 200);
    // PostgreSQL cannot store a NUL character, which must not fail the purchase.
    assert_eq!(name(json!("CAF\u{0}")), "CAF\u{fffd}");
}

#[test]
fn what_says_nothing_about_the_card_counts_as_remote() {
    let cases = [
        (json!("present"), json!("chip"), Presence::InPerson),
        (json!("present"), json!(null), Presence::InPerson),
        (json!(null), json!("swipe"), Presence::InPerson),
        (json!("present"), json!("keyed_in"), Presence::Remote),
        (json!("not_present"), json!("contactless"), Presence::Remote),
        (json!("present"), json!("online"), Presence::Remote),
        (json!(null), json!(null), Presence::Remote),
    ];
    for (card_presence, method, expected) in cases {
        let mut message = Vector::stripe("valid-purchase").json();
        message["data"]["object"]["card_presence"] = card_presence;
        message["data"]["object"]["authorization_method"] = method;
        assert_eq!(ask(&message.to_string()).unwrap().presence, expected);
    }
}

#[test]
fn identifiers_of_the_issuer_are_checked() {
    for pointer in ["/id", "/data/object/id", "/data/object/card/id"] {
        for bad in [json!(""), json!("a b"), json!("é"), json!("x".repeat(201))] {
            let named = pointer[1..].replace('/', ".");
            assert_eq!(field(ask(&question_with(pointer, bad))), named);
        }
    }
    let read = ask(&question_with("/data/object/pending_request", json!(null)));
    assert_eq!(field(read), "data.object.pending_request");
}

#[test]
fn scenario_76_forged_and_unsigned_messages_are_refused() {
    let body = b"{}";
    let good = sign(SECRET, NOW, body);
    let forged = sign(OTHER_SECRET, NOW, body);
    let cases = [
        (format!("t={NOW},v1={good}"), "ok"),
        (format!("t={NOW},v1=zz,v1,,v1={good},v2=x"), "ok"),
        (format!("t={NOW},v1={forged}"), "signature_mismatch"),
        (format!("t={NOW},v1={}", &good[..62]), "signature_mismatch"),
        (format!("t={NOW},v1="), "signature_mismatch"),
        (format!("t={NOW},v0={good}"), "no_supported_scheme"),
        (format!("t={NOW}"), "no_supported_scheme"),
        (format!("t=+{NOW},v1={good}"), "malformed_header"),
        (format!("t={NOW}.0,v1={good}"), "malformed_header"),
        (format!("t=,v1={good}"), "malformed_header"),
        (format!("t=99999999999999999999,v1={good}"), "malformed_header"),
        (format!("t={NOW},t={NOW},v1={good}"), "malformed_header"),
        (String::new(), "malformed_header"),
    ];
    for (header, expected) in cases {
        assert_eq!(word(&verify(&[SECRET], &header, body)), expected, "{header}");
    }
    let header = format!("t={NOW},v1={good}");
    assert_eq!(word(&verify(&[SECRET], &header, b"{ }")), "signature_mismatch");
    assert_eq!(word(&verify(&[], &header, body)), "signature_mismatch");
    for hopeless in ["", "whsec_", "whsec_cut", "sk_live_0123456789abcdef0123456789"] {
        assert_eq!(word(&verify(&[hopeless], &header, body)), "no_usable_secret", "{hopeless}");
        for secrets in [[hopeless, SECRET], [SECRET, hopeless]] {
            assert_eq!(word(&verify(&secrets, &header, body)), "ok", "{hopeless} is in the way");
        }
    }
    let twice = [("stripe-signature", header.as_bytes()), ("STRIPE-SIGNATURE", header.as_bytes())];
    let message = SignedMessage { headers: &twice, body };
    let result = Issuer::Stripe.verify(&[SECRET.into()], &message, now());
    assert_eq!(word(&result), "malformed_header");
}

fn word(result: &Result<(), RefusedMessage>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(RefusedMessage::Signature(error)) => error.word(),
        Err(RefusedMessage::Malformed { .. }) => "malformed",
    }
}

#[test]
fn scenario_77_an_old_message_is_refused_and_a_forged_one_is_never_called_old() {
    let signed_at =
        |at| verify(&[SECRET], &format!("t={at},v1={}", sign(SECRET, at, b"{}")), b"{}");
    let cases = [
        (NOW - 300, "ok"),
        (NOW + 300, "ok"),
        (NOW - 301, "timestamp_too_old"),
        (NOW + 301, "timestamp_in_future"),
        (0, "timestamp_too_old"),
        (i64::MAX, "timestamp_in_future"),
    ];
    for (at, expected) in cases {
        assert_eq!(word(&signed_at(at)), expected, "{at}");
    }
    let forged = format!("t=0,v1={}", sign(OTHER_SECRET, 0, b"{}"));
    assert_eq!(word(&verify(&[SECRET], &forged, b"{}")), "signature_mismatch");
}

#[test]
fn scenario_78_any_live_secret_is_good_and_a_revoked_one_is_not() {
    let (old, new) = (sign(OTHER_SECRET, NOW, b"{}"), sign(SECRET, NOW, b"{}"));
    let both = format!("t={NOW},v1={old},v1={new}");
    for live in [vec![SECRET], vec![OTHER_SECRET], vec![SECRET, OTHER_SECRET]] {
        assert_eq!(verify(&live, &both, b"{}"), Ok(()));
    }
    for signature in [&old, &new] {
        let header = format!("t={NOW},v1={signature}");
        assert_eq!(verify(&[SECRET, OTHER_SECRET], &header, b"{}"), Ok(()));
    }
    let revoked = format!("t={NOW},v1={old}");
    assert_eq!(word(&verify(&[SECRET], &revoked, b"{}")), "signature_mismatch");
}

/// A smoke test with a wide tolerance: it does not detect a comparison that stops early, but it
/// does detect a check that skips the remaining secrets after the first match, or the HMAC of a
/// malformed signature.
#[test]
fn scenario_79_the_time_of_a_check_does_not_tell_which_secret_or_byte_fits() {
    let body = vec![b' '; 4_000];
    let good = sign(SECRET, NOW, &body);
    let secrets = [SECRET, OTHER_SECRET, OTHER_SECRET, OTHER_SECRET];
    let mut swapped = secrets;
    swapped.reverse();
    let cases = [
        (secrets, good.clone()),
        (swapped, good.clone()),
        (secrets, "0".repeat(64)),
        (secrets, format!("{}00", &good[..62])),
    ];
    // Many short, interleaved runs, because the fastest of each is likely to be uninterrupted.
    let mut fastest = [Duration::MAX; 4];
    for _ in 0..150 {
        for ((secrets, signature), fastest) in cases.iter().zip(&mut fastest) {
            let header = format!("t={NOW},v1={signature}");
            let start = Instant::now();
            let _ = verify(secrets, &header, &body);
            *fastest = start.elapsed().min(*fastest);
        }
    }
    let (least, most) = (fastest.iter().min().unwrap(), fastest.iter().max().unwrap());
    assert!(*most < *least * 2, "{fastest:?}");
}

#[test]
fn scenario_80_another_connections_secret_is_no_secret_here() {
    let header = format!("t={NOW},v1={}", sign(OTHER_SECRET, NOW, b"{}"));
    assert_eq!(verify(&[OTHER_SECRET], &header, b"{}"), Ok(()));
    assert_eq!(word(&verify(&[SECRET], &header, b"{}")), "signature_mismatch");
}

#[test]
fn scenario_81_duplicate_keys_and_deep_nesting_are_refused() {
    let vector = Vector::stripe("valid-purchase");
    for (part, field_named) in [
        ("\"amount\":1250,", "data.object.pending_request.amount"),
        ("\"is_amount_controllable\":false,", "data.object.pending_request.is_amount_controllable"),
        ("\"category_code\":\"5411\",", "data.object.merchant_data.category_code"),
        ("\"id\":\"ic_1TestCard00000000001\",", "data.object.card.id"),
        ("\"id\":\"iauth_1TestAuth0000000001\",", "data.object.id"),
        ("\"status\":\"pending\",", "data.object.status"),
        ("\"id\":\"evt_1TestReq0000000001\",", "id"),
    ] {
        let (before, after) = vector.body.split_once(part).unwrap();
        let twice = format!("{before}{part}{part}{after}");
        assert_eq!(field(ask(&twice)), field_named);
    }
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for message in ["valid-purchase", "evt-dispute-submitted"].map(Vector::stripe) {
        let body = message.body.replacen("\"metadata\":{}", &format!("\"metadata\":{deep}"), 1);
        assert!(body.contains(&deep));
        let refusals = [ask(&body).map(|_| ()), tell(&body).map(|_| ())];
        for refusal in refusals {
            assert!(field(refusal).starts_with("data.object"), "{}", message.id);
        }
    }
    assert_eq!(field(ask(&format!("{}{{}}", vector.body))), "body");
    assert_eq!(field(Issuer::Stripe.decode_event(b"{\"id\":\"\xff\"}")), "body");
}

#[test]
fn answers_are_spelled_as_stripe_documents_them() {
    let decision = Some(DecisionId::new(uuid::Uuid::from_u128(7)));
    let body = |decision, verdict| {
        let reply = Issuer::Stripe
            .encode(&AuthorisationResponse { decision, verdict }, "2026-10-28.endive");
        assert_eq!(reply.status, 200);
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let expected =
            [("content-type", "application/json"), ("stripe-version", "2026-10-28.endive")];
        assert_eq!(headers.collect::<Vec<_>>(), expected);
        reply.body
    };
    let approved = |amount, asked| Verdict::Approved { amount, asked };
    let declined = Verdict::Declined { reason: ReasonCode::NoMoney };
    let our_fault = Verdict::Declined { reason: ReasonCode::OurFault };
    let id = "dec_00000000000000000000000000000007";
    let cases = [
        (
            body(decision, approved(gbp(12_50), gbp(12_50))),
            format!(r#"{{"approved":true,"metadata":{{"decision":"{id}"}}}}"#),
        ),
        (
            body(decision, approved(gbp(0), gbp(0))),
            format!(r#"{{"approved":true,"metadata":{{"decision":"{id}"}}}}"#),
        ),
        (
            body(decision, approved(gbp(30_00), gbp(50_00))),
            format!(r#"{{"approved":true,"amount":3000,"metadata":{{"decision":"{id}"}}}}"#),
        ),
        (
            body(decision, declined),
            format!(r#"{{"approved":false,"metadata":{{"decision":"{id}","reason":"no_money"}}}}"#),
        ),
        (body(None, our_fault), r#"{"approved":false,"metadata":{"reason":"our_fault"}}"#.into()),
        // In Stripe's units, rounded down to no more than is held.
        (
            body(None, approved(money(12, "ISK"), money(13, "ISK"))),
            r#"{"approved":true,"amount":1200}"#.into(),
        ),
        (
            body(None, approved(money(1_239, "KWD"), money(2_000, "KWD"))),
            r#"{"approved":true,"amount":1230}"#.into(),
        ),
        (
            body(None, approved(money(1_299, "MGA"), money(2_000, "MGA"))),
            r#"{"approved":true,"amount":12}"#.into(),
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn issuers_have_names() {
    assert_eq!("stripe".parse(), Ok(Issuer::Stripe));
    let error = "Stripe".parse::<Issuer>().unwrap_err().to_string();
    assert_eq!(error, "\"Stripe\" is not an issuer we understand: use one of stripe");
}

#[test]
fn every_header_of_every_response_is_one_that_http_allows() {
    let amount = gbp(12_50);
    let verdicts = [
        Verdict::Approved { amount, asked: amount },
        Verdict::Declined { reason: ReasonCode::NoMoney },
    ];
    for (issuer, verdict) in Issuer::ALL.iter().flat_map(|issuer| verdicts.map(|v| (issuer, v))) {
        let response = AuthorisationResponse { decision: None, verdict };
        for (name, value) in issuer.encode(&response, "2026-10-28.endive").headers {
            assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{issuer:?}: {name}");
            assert!(HeaderValue::from_str(&value).is_ok(), "{issuer:?}: {name}: {value}");
        }
    }
}

#[test]
fn no_refusal_and_no_debug_text_shows_a_secret() {
    let header = format!("t={NOW},v1={}", sign(OTHER_SECRET, NOW, b"{}"));
    let secrets = [SecretString::from(SECRET)];
    let headers = [("stripe-signature", header.as_bytes())];
    let message = SignedMessage { headers: &headers, body: b"{}" };
    let error = Issuer::Stripe.verify(&secrets, &message, now()).unwrap_err();
    for text in [format!("{error} {error:?}"), format!("{message:?}")] {
        assert!(!text.contains(SECRET) && !text.contains("v1="), "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body: Vec<u8>, header: String) {
        prop_assert!(Issuer::Stripe.decode_authorisation(&origin(), &body).is_err());
        prop_assert!(Issuer::Stripe.decode_event(&body).is_err());
        prop_assert!(verify(&[SECRET], &header, &body).is_err());
        let headers: [(&str, &[u8]); 3] = [
            ("webhook-id", b"msg_1"),
            ("webhook-timestamp", b"1790000000"),
            ("webhook-signature", header.as_bytes()),
        ];
        let secrets = [SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let message = SignedMessage { headers: &headers, body: &body };
        prop_assert!(signature::verify_standard_webhooks(&secrets, &message, now()).is_err());
    }

    /// A message decoded from damaged bytes is still within the domain's limits.
    #[test]
    fn damaged_messages_never_panic(
        which: prop::sample::Index,
        at: prop::sample::Index,
        cut in 0_usize..4,
        put in prop_oneof![
            Just(Vec::new()),
            prop::collection::vec(any::<u8>(), 1..4),
            prop::sample::select(vec!["\"", "{", "}", "[", "\\", "-", ".5", "e9", "null", "9999"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ],
    ) {
        thread_local! { static VECTORS: Vec<Vector> = Vector::all("stripe"); }
        let mut body = VECTORS.with(|all| which.get(all).body.clone().into_bytes());
        let start = at.index(body.len());
        let end = body.len().min(start + cut);
        body.splice(start..end, put);
        let range = 0..=100_000_000_000;
        if let Ok(request) = Issuer::Stripe.decode_authorisation(&origin(), &body) {
            prop_assert!(range.contains(&request.amount.minor()));
            prop_assert!(request.cash_back.minor() <= request.amount.minor());
        }
        if let Ok(IssuerEvent { body: EventBody::Presentment(claim), .. }) =
            Issuer::Stripe.decode_event(&body)
        {
            prop_assert!(claim.amount.is_positive() && range.contains(&claim.amount.minor()));
        }
    }

    /// The timestamp is part of the signed bytes. Any changed byte invalidates the signature.
    #[test]
    fn one_changed_byte_breaks_the_signature(at: prop::sample::Index, flip in 1_u8..) {
        let body = b"{\"id\":\"evt_1\",\"amount\":1250}";
        let header = format!("t={NOW},v1={}", sign(SECRET, NOW, body));
        let mut forged = body.to_vec();
        forged[at.index(body.len())] ^= flip;
        prop_assert_eq!(word(&verify(&[SECRET], &header, &forged)), "signature_mismatch");
    }

    /// The amount that Stripe holds after a partial approval is never more than the gateway's hold.
    #[test]
    fn a_partial_answer_reads_back_as_no_more_than_was_held(
        currency in prop::sample::select(vec!["GBP", "JPY", "ISK", "KWD", "MGA", "UGX"]),
        held in 0_i64..100_000_000,
    ) {
        let verdict = Verdict::Approved {
            amount: money(held, currency),
            asked: money(held + 1, currency),
        };
        let reply = Issuer::Stripe.encode(&AuthorisationResponse { decision: None, verdict }, "v");
        let said: Value = serde_json::from_str(&reply.body).unwrap();
        let mut message = Vector::stripe("valid-purchase").json();
        let pending = &mut message["data"]["object"]["pending_request"];
        pending["currency"] = json!(currency.to_lowercase());
        pending["amount"] = said["amount"].clone();
        pending["merchant_amount"] = json!(0);
        prop_assert!(ask(&message.to_string()).unwrap().amount.minor() <= held);
    }
}
