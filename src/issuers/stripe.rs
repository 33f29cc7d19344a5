//! Stripe Issuing: real-time authorisation requests, and the events that follow.

use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::Timestamp;

use super::json::JsonBody;
use super::{AuthorisationResponse, EncodedResponse, Origin, RefusedMessage, Verdict};
use crate::domain::decision::authorisation::{
    AuthorisationRequest, PartialApproval, Presence, PurchaseKind,
};
use crate::domain::id::{CardToken, IssuerReference, PurchaseReference};
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::dispute::{DisputeFunds, DisputeOutcome, DisputeReport};
use crate::domain::purchase::issuer_decline::IssuerDeclineReason;
use crate::domain::purchase::position::{MessageKind, MessagePosition};
use crate::domain::purchase::presentment::{
    AuthorisationSnapshot, AuthorisationStatus, EventBody, IssuerAnswer, IssuerEvent, Presentment,
    PresentmentDirection, PurchaseReport,
};
use crate::domain::shop::merchant::{Mcc, Merchant};
use crate::issuers::wire::stripe as wire;

/// Plausible times in Unix seconds: the first second of 2000 to the last one of 2199.
const PLAUSIBLE_TIMES: RangeInclusive<i64> = 946_684_800..=7_258_118_399;
/// The largest amount in a message, in minor units: 1,000,000,000.00 with two decimals.
const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_00;

pub(super) fn decode_authorisation(
    origin: &Origin,
    body: &[u8],
) -> Result<AuthorisationRequest, RefusedMessage> {
    const PENDING_REQUEST: &str = "data.object.pending_request";

    let body = JsonBody::new(body)?;
    let event = body.read::<wire::Event<wire::Authorization>>();
    // For another kind of message the error names the kind, not the first field that differs.
    let kind = match &event {
        Ok(event) => Some(event.type_.clone()),
        Err(_) => body.read::<wire::EventEnvelope>().ok().map(|event| event.type_),
    };
    if kind.is_some_and(|kind| kind != wire::AUTHORIZATION_REQUEST) {
        let what = format!("only {} is answered here", wire::AUTHORIZATION_REQUEST);
        return Err(RefusedMessage::malformed("type", what));
    }
    let event = event?;
    reference::<IssuerReference>("id", &event.id)?;
    let about = event.data.object;
    let pending = about
        .pending_request
        .ok_or_else(|| RefusedMessage::malformed(PENDING_REQUEST, "it is missing"))?;

    let currency = currency("data.object.pending_request.currency", &pending.currency)?;
    let amount = money("data.object.pending_request.amount", pending.amount, currency)?;
    let part = |name: &str, part: Option<i64>| {
        let field = format!("{PENDING_REQUEST}.amount_details.{name}");
        let part = money(&field, part.unwrap_or(0), currency)?;
        if part.minor() > amount.minor() {
            return Err(RefusedMessage::malformed(field, "it is above the amount it is part of"));
        }
        Ok(part)
    };
    let cash_back =
        part("cashback_amount", pending.amount_details.and_then(|d| d.cashback_amount))?;
    let atm_fee = part("atm_fee", pending.amount_details.and_then(|d| d.atm_fee))?;
    let transaction_amount =
        transaction_amount(&pending.merchant_currency, pending.merchant_amount)?;
    let theirs = &pending.merchant_currency;
    let is_foreign = !theirs.is_empty() && !theirs.eq_ignore_ascii_case(currency.code());
    // A foreign price may be zero in our currency (1 JPY, 50 IDR): shops verify cards with it.
    if amount.is_zero() && pending.merchant_amount != 0 && !is_foreign {
        let what = "nothing is asked for, but the shop asks for money";
        return Err(RefusedMessage::malformed("data.object.pending_request.amount", what));
    }

    let sequence = count("data.object.request_history", about.request_history.len())?;
    let merchant = merchant(about.merchant_data.as_ref());
    Ok(AuthorisationRequest {
        programme: origin.programme.clone(),
        connection: origin.connection.clone(),
        reference: reference("data.object.id", &format!("{}/{sequence}", about.id))?,
        purchase: reference("data.object.id", &about.id)?,
        sequence,
        card: reference("data.object.card.id", &about.card.id)?,
        amount,
        bought_at: parse_time(about.created),
        cash_back,
        atm_fee,
        transaction_amount: transaction_amount.unwrap_or(amount),
        has_unread_price: is_foreign && transaction_amount.is_none(),
        kind: if amount.is_zero() { PurchaseKind::Verification } else { kind_of(&merchant) },
        presence: presence(about.card_presence.as_deref(), about.authorization_method.as_deref()),
        // Also at a fuel pump (MCC 5542): Stripe ignores our amount if it is not controllable.
        partial: if pending.is_amount_controllable {
            PartialApproval::Allowed
        } else {
            PartialApproval::NotAllowed
        },
        merchant,
    })
}

pub(super) fn decode_event(body: &[u8]) -> Result<IssuerEvent, RefusedMessage> {
    let body = JsonBody::new(body)?;
    let envelope: wire::EventEnvelope = body.read()?;
    let id: IssuerReference = reference("id", &envelope.id)?;
    let kind = envelope.type_;
    if !(1..=100).contains(&kind.len()) || !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(RefusedMessage::malformed("type", "it is not the name of an event"));
    }
    if kind == wire::AUTHORIZATION_REQUEST {
        let what = "it waits for an answer, and belongs to the other address";
        return Err(RefusedMessage::malformed("type", what));
    }
    // A genuine event has happened, so what cannot be read is stored as unclear, not refused.
    let body = event_body(&body, &kind, envelope.created, &id)
        .unwrap_or_else(|refused| EventBody::Unclear { why: refused.to_string() });
    Ok(IssuerEvent { reference: id, kind, body })
}

/// Which event it is, and when the issuer made it.
#[derive(Clone, Copy)]
struct EventStamp<'a> {
    at: Timestamp,
    kind: MessageKind,
    event: &'a IssuerReference,
}

const fn message_kind(is_first: bool) -> MessageKind {
    if is_first { MessageKind::Created } else { MessageKind::Updated }
}

fn event_body(
    body: &JsonBody<'_>,
    kind: &str,
    created: Option<i64>,
    id: &IssuerReference,
) -> Result<EventBody, RefusedMessage> {
    let at = || {
        let what = "it is not a time in Unix seconds from 2000 to 2199";
        parse_time(created).ok_or_else(|| RefusedMessage::malformed("created", what))
    };
    match kind {
        wire::AUTHORIZATION_CREATED | wire::AUTHORIZATION_UPDATED => {
            let kind = message_kind(kind == wire::AUTHORIZATION_CREATED);
            let stamp = EventStamp { at: at()?, kind, event: id };
            snapshot(&body.read::<wire::Event<wire::Authorization>>()?.data.object, stamp)
        }
        wire::TRANSACTION_CREATED => {
            presentment(&body.read::<wire::Event<wire::Transaction>>()?.data.object)
        }
        kind if wire::DISPUTE_KINDS.contains(&kind) => {
            let funds = match kind {
                wire::DISPUTE_FUNDS_REINSTATED => Some(DisputeFunds::Credited),
                wire::DISPUTE_FUNDS_RESCINDED => Some(DisputeFunds::TakenAgain),
                _ => None,
            };
            let kind = message_kind(kind == wire::DISPUTE_CREATED);
            dispute(body, funds, EventStamp { at: at()?, kind, event: id })
        }
        _ => Ok(EventBody::Other),
    }
}

pub(super) fn encode(response: &AuthorisationResponse, api_version: &str) -> EncodedResponse {
    let decision = response.decision.map(|decision| decision.to_string());
    let body = match response.verdict {
        Verdict::Approved { amount, asked } => wire::AuthorizationResponse {
            approved: true,
            amount: (amount.minor() < asked.minor()).then(|| in_their_units(amount)),
            metadata: decision
                .map(|decision| wire::Metadata { decision: Some(decision), reason: None }),
        },
        Verdict::Declined { reason } => wire::AuthorizationResponse {
            approved: false,
            amount: None,
            metadata: Some(wire::Metadata { decision, reason: Some(reason.as_str()) }),
        },
    };
    EncodedResponse {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("stripe-version", api_version.to_owned()),
        ],
        // Serialising this struct cannot fail; if it ever does, the request is declined.
        body: serde_json::to_string(&body).unwrap_or_else(|_| r#"{"approved":false}"#.to_owned()),
    }
}

fn snapshot(
    about: &wire::Authorization,
    stamp: EventStamp<'_>,
) -> Result<EventBody, RefusedMessage> {
    let currency = currency("data.object.currency", &about.currency)?;
    let total = money("data.object.amount", about.amount, currency)?;
    let is_last_declined = about.request_history.last().is_some_and(|last| !last.approved);
    let status = match (about.status.as_str(), about.approved) {
        ("pending", true) => AuthorisationStatus::Open { total },
        ("pending", false) if is_last_declined => AuthorisationStatus::Declined,
        ("closed", true) => {
            AuthorisationStatus::Closed { claimed: captured_total(about, currency)? }
        }
        ("closed", false) => AuthorisationStatus::Declined,
        ("reversed", _) => AuthorisationStatus::Reversed,
        ("expired", _) => AuthorisationStatus::Expired,
        // Not answered yet, or in a status that Stripe does not document.
        _ => return Ok(EventBody::Other),
    };
    let is_over = !matches!(status, AuthorisationStatus::Open { .. });
    let answers = count("data.object.request_history", about.request_history.len())?;
    let (cash_back, atm_fee) = parse_amount_details(about.amount_details, currency)?;
    let merchant = merchant(about.merchant_data.as_ref());
    // After a reversal or expiry the amount is zero too, but it was no verification.
    let has_money = !total.is_zero() || about.request_history.iter().any(|r| r.amount != 0);
    let has_ended = matches!(status, AuthorisationStatus::Reversed | AuthorisationStatus::Expired);
    Ok(EventBody::Snapshot(Box::new(AuthorisationSnapshot {
        purchase: reference("data.object.id", &about.id)?,
        about: PurchaseReport {
            card: reference::<CardToken>("data.object.card.id", &about.card.id)?,
            kind: if has_money || has_ended {
                kind_of(&merchant)
            } else {
                PurchaseKind::Verification
            },
            presence: presence(
                about.card_presence.as_deref(),
                about.authorization_method.as_deref(),
            ),
            cash_back,
            atm_fee,
            merchant_currency: merchant_currency(about.merchant_currency.as_deref()),
            merchant_amount: None,
            merchant,
            bought_at: parse_time(about.created),
        },
        status,
        position: MessagePosition {
            at: stamp.at,
            kind: stamp.kind,
            answers,
            listed: count("data.object.transactions", about.transactions.len())?,
            over: u8::from(is_over),
            reference: stamp.event.clone(),
        },
        answers: about.request_history.iter().map(|answered| answer(answered, currency)).collect(),
    })))
}

/// An unreadable amount becomes zero, so that the rest of the snapshot is kept.
fn answer(answered: &wire::AnsweredRequest, currency: Currency) -> IssuerAnswer {
    let amount = money("data.object.request_history.amount", answered.amount, currency);
    IssuerAnswer {
        is_approved: answered.approved,
        amount: amount.unwrap_or(Money::zero(currency)),
        reason: answered.reason.clone(),
        is_without_us: answered.reason.as_deref().is_some_and(is_without_us),
    }
}

/// Whether Stripe's reason says that our response did not decide the outcome. Declines by Stripe or
/// the network before we are asked do not count, except for insufficient funds at Stripe.
fn is_without_us(reason: &str) -> bool {
    const REASONS: [&str; 5] = [
        "webhook_timeout",
        "webhook_error",
        "network_fallback",
        "stripe_internal_error",
        "insufficient_funds",
    ];
    REASONS.contains(&reason)
}

/// The time of a message or an object; `None` if it is missing or not from 2000 to 2199, because a
/// far-future time would rank its message after all later ones of the purchase for ever.
fn parse_time(created: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_second(created.filter(|second| PLAUSIBLE_TIMES.contains(second))?).ok()
}

/// Maps Stripe's reason for a decline; `None` if the outcome was our own response.
///
/// Source: "Request history reasons" of an Issuing authorisation in Stripe's documentation.
pub(super) fn decline_reason(reason: Option<&str>) -> Option<IssuerDeclineReason> {
    Some(match reason.unwrap_or_default() {
        "webhook_declined" | "webhook_approved" => return None,
        "verification_failed" => IssuerDeclineReason::Mismatch,
        "pin_blocked" => IssuerDeclineReason::PinBlocked,
        "account_disabled"
        | "card_canceled"
        | "card_expired"
        | "card_inactive"
        | "cardholder_blocked"
        | "cardholder_inactive" => IssuerDeclineReason::CardNotActive,
        "cardholder_verification_required" | wire::INSECURE_METHOD => IssuerDeclineReason::OtherWay,
        "suspected_fraud" => IssuerDeclineReason::Suspicion,
        "insufficient_funds" => IssuerDeclineReason::NoMoneyThere,
        "not_allowed" | "spending_controls" => IssuerDeclineReason::Rule,
        "webhook_error" | "webhook_timeout" => IssuerDeclineReason::OurFault,
        _ => IssuerDeclineReason::Unknown,
    })
}

/// What the merchant has captured, by the authorisation's own list of transactions.
fn captured_total(
    about: &wire::Authorization,
    currency: Currency,
) -> Result<Money, RefusedMessage> {
    const FIELD: &str = "data.object.transactions.amount";

    let mut captures = about.transactions.iter().filter(|listed| listed.type_ == "capture");
    let sum = captures.try_fold(0_i64, |sum, listed| sum.checked_sub(listed.amount));
    let sum = sum.filter(|sum| *sum >= 0).ok_or_else(|| {
        RefusedMessage::malformed(FIELD, "the captures do not add up to an amount of money")
    })?;
    money(FIELD, sum, currency)
}

fn presentment(transaction: &wire::Transaction) -> Result<EventBody, RefusedMessage> {
    const AMOUNT: &str = "data.object.amount";

    let currency = currency("data.object.currency", &transaction.currency)?;
    let (direction, amount) = match transaction.type_.as_str() {
        "capture" => (PresentmentDirection::Capture, transaction.amount.checked_neg()),
        "refund" => (PresentmentDirection::Refund, Some(transaction.amount)),
        _ => return Ok(EventBody::Other),
    };
    let Some(amount) = amount.filter(|amount| *amount >= 0) else {
        let what = format!("its sign contradicts that it is a {}", direction.word());
        return Err(RefusedMessage::malformed(AMOUNT, what));
    };
    let amount = money(AMOUNT, amount, currency)?;
    if amount.is_zero() {
        return Ok(EventBody::Other);
    }
    let (cash_back, atm_fee) = parse_amount_details(transaction.amount_details, currency)?;
    let purchase: Option<PurchaseReference> = match &transaction.authorization {
        Some(id) => Some(reference("data.object.authorization", id)?),
        None => None,
    };
    let merchant = merchant(transaction.merchant_data.as_ref());
    Ok(EventBody::Presentment(Box::new(Presentment {
        reference: reference("data.object.id", &transaction.id)?,
        purchase,
        about: PurchaseReport {
            card: reference::<CardToken>("data.object.card", &transaction.card)?,
            kind: kind_of(&merchant),
            // Clearing does not report it; for a known purchase the authorisation's counts.
            presence: Presence::InPerson,
            cash_back,
            atm_fee,
            merchant_currency: merchant_currency(transaction.merchant_currency.as_deref()),
            merchant_amount: merchant_amount(transaction),
            merchant,
            bought_at: parse_time(transaction.created),
        },
        direction,
        amount,
        releases: None,
    })))
}

fn dispute(
    body: &JsonBody<'_>,
    funds: Option<DisputeFunds>,
    stamp: EventStamp<'_>,
) -> Result<EventBody, RefusedMessage> {
    const AMOUNT: &str = "data.object.amount";

    let about = body.read::<wire::Event<wire::Dispute>>()?.data.object;
    let outcome = match about.status.as_str() {
        "unsubmitted" | "submitted" => DisputeOutcome::Open,
        "won" => DisputeOutcome::Won,
        "lost" | "expired" => DisputeOutcome::Lost,
        _ => return Err(RefusedMessage::malformed("data.object.status", "it is not documented")),
    };
    let currency = currency("data.object.currency", &about.currency)?;
    let amount = money(AMOUNT, about.amount, currency)?;
    if amount.is_zero() {
        return Err(RefusedMessage::malformed(AMOUNT, "nothing is disputed"));
    }
    let is_over = outcome != DisputeOutcome::Open || funds == Some(DisputeFunds::TakenAgain);
    let (wire::TransactionLink::Id(id) | wire::TransactionLink::Whole { id }) = about.transaction;
    Ok(EventBody::Dispute(Box::new(DisputeReport {
        reference: reference("data.object.id", &about.id)?,
        presentment: reference("data.object.transaction", &id)?,
        amount,
        outcome,
        funds,
        position: MessagePosition {
            at: stamp.at,
            kind: stamp.kind,
            answers: 0,
            listed: 0,
            over: u8::from(is_over),
            reference: stamp.event.clone(),
        },
    })))
}

fn reference<T: FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T, RefusedMessage> {
    text.parse().map_err(|error: T::Err| RefusedMessage::malformed(field, error.to_string()))
}

fn count(field: &str, length: usize) -> Result<u32, RefusedMessage> {
    u32::try_from(length).map_err(|_| RefusedMessage::malformed(field, "it is too long"))
}

fn currency(field: &str, code: &str) -> Result<Currency, RefusedMessage> {
    code.to_ascii_uppercase()
        .parse()
        .map_err(|_| RefusedMessage::malformed(field, "it is not the ISO 4217 code of a currency"))
}

/// The merchant's currency; `None` if it is unknown, as in the authorisation request.
fn merchant_currency(code: Option<&str>) -> Option<Currency> {
    currency("data.object.merchant_currency", code?).ok()
}

/// The amount of a transaction in the merchant's currency, without its sign; `None` if it cannot be
/// read exactly.
fn merchant_amount(transaction: &wire::Transaction) -> Option<Money> {
    const FIELD: &str = "data.object.merchant_amount";

    let currency = merchant_currency(transaction.merchant_currency.as_deref())?;
    money(FIELD, transaction.merchant_amount?.saturating_abs(), currency).ok()
}

/// Converts an amount in Stripe's minor units exactly.
///
/// # Errors
///
/// [`RefusedMessage::Malformed`] if it is negative, above [`AMOUNT_MINOR_MAX`], or not
/// a multiple of [`their_step`].
fn money(field: &str, amount: i64, currency: Currency) -> Result<Money, RefusedMessage> {
    if amount < 0 {
        return Err(RefusedMessage::malformed(field, "it is below zero"));
    }
    if amount % their_step(currency) != 0 {
        let what = format!("it is finer than {} goes", currency.code());
        return Err(RefusedMessage::malformed(field, what));
    }
    in_our_units(amount, currency)
        .map(|minor| Money::from_minor(minor, currency))
        .ok_or_else(|| RefusedMessage::malformed(field, "it is above 1,000,000,000.00"))
}

/// Converts Stripe's minor units to ours, rounding down; `None` above [`AMOUNT_MINOR_MAX`].
fn in_our_units(amount: i64, currency: Currency) -> Option<i64> {
    let (theirs, ours) = (their_exponent(currency), currency.exponent());
    let minor = amount.checked_mul(power_of_ten(ours.saturating_sub(theirs)))?;
    let minor = minor / power_of_ten(theirs.saturating_sub(ours));
    (minor <= AMOUNT_MINOR_MAX).then_some(minor)
}

/// Converts to Stripe's minor units, rounded down to the currency's step, so never above `amount`.
fn in_their_units(amount: Money) -> i64 {
    let currency = amount.currency();
    let (theirs, ours) = (their_exponent(currency), currency.exponent());
    let exact = amount.minor().saturating_mul(power_of_ten(theirs.saturating_sub(ours)))
        / power_of_ten(ours.saturating_sub(theirs));
    exact - exact % their_step(currency)
}

/// How many decimals Stripe's minor units have. Source: "Supported currencies" in Stripe's
/// documentation.
///
/// Stripe lists UGX as a currency without decimals, but has sent it with two: ask Stripe before a
/// programme uses it.
fn their_exponent(currency: Currency) -> u32 {
    match (currency.code(), currency.exponent()) {
        (
            "BIF" | "CLP" | "DJF" | "GNF" | "JPY" | "KMF" | "KRW" | "MGA" | "PYG" | "RWF" | "UGX"
            | "VND" | "VUV" | "XAF" | "XOF" | "XPF",
            _,
        ) => 0,
        (_, 3) => 3,
        _ => 2,
    }
}

/// The step of Stripe's amounts, in its minor units: 100 for ISK, 10 for KWD, and mostly 1.
fn their_step(currency: Currency) -> i64 {
    match their_exponent(currency) {
        3 => 10,
        theirs => power_of_ten(theirs.saturating_sub(currency.exponent())),
    }
}

const fn power_of_ten(exponent: u32) -> i64 {
    10_i64.saturating_pow(exponent)
}

/// The price in the merchant's currency; `None` if the currency is unknown or the price too large.
///
/// It serves only to find the margin, so an unknown currency must not decline the purchase: the
/// caller uses the billing amount instead. Stripe's step does not apply, because a shop in Kuwait
/// charges 1.005.
fn transaction_amount(code: &str, amount: i64) -> Result<Option<Money>, RefusedMessage> {
    const FIELD: &str = "data.object.pending_request.merchant_amount";

    if amount < 0 {
        return Err(RefusedMessage::malformed(FIELD, "it is below zero"));
    }
    let Ok(currency) = currency(FIELD, code) else { return Ok(None) };
    Ok(in_our_units(amount, currency).map(|minor| Money::from_minor(minor, currency)))
}

/// The cash back and the ATM fee of an event, without their signs.
fn parse_amount_details(
    details: Option<wire::AmountDetails>,
    currency: Currency,
) -> Result<(Money, Money), RefusedMessage> {
    let part = |name: &str, amount: Option<i64>| {
        let field = format!("data.object.amount_details.{name}");
        money(&field, amount.unwrap_or(0).saturating_abs(), currency)
    };
    Ok((
        part("cashback_amount", details.and_then(|details| details.cashback_amount))?,
        part("atm_fee", details.and_then(|details| details.atm_fee))?,
    ))
}

/// MCC 6010 is cash over a counter, 6011 cash from a machine (ISO 18245).
fn kind_of(merchant: &Merchant) -> PurchaseKind {
    let is_cash = merchant.mcc().is_some_and(|mcc| ["6010", "6011"].contains(&&*mcc.to_string()));
    if is_cash { PurchaseKind::Cash } else { PurchaseKind::Purchase }
}

/// In person only if the message says so; otherwise remote, which is the stricter case.
fn presence(card_presence: Option<&str>, method: Option<&str>) -> Presence {
    match (card_presence, method) {
        (Some("not_present"), _) | (_, Some("online" | "keyed_in")) => Presence::Remote,
        (Some("present"), _) | (_, Some("chip" | "contactless" | "swipe")) => Presence::InPerson,
        _ => Presence::Remote,
    }
}

/// `GB` for `UK`, which ISO 3166 reserves for the United Kingdom and some terminals send. Done here
/// and not when records are read, because a decision is explained with the country that it used.
fn alpha_2(country: &str) -> &str {
    if country.eq_ignore_ascii_case("UK") { "GB" } else { country }
}

/// Cannot fail: a shop without a usable category code has no MCC.
fn merchant(data: Option<&wire::MerchantData>) -> Merchant {
    let text = |pick: fn(&wire::MerchantData) -> &Option<String>| {
        data.and_then(|data| pick(data).as_deref()).unwrap_or_default()
    };
    let code = text(|data| &data.category_code);
    let mcc = Mcc::parse(code).ok().filter(|_| code != "0000");
    Merchant::new(mcc, text(|data| &data.name))
        .in_city(text(|data| &data.city))
        .in_country(alpha_2(text(|data| &data.country)))
        .with_network_id(text(|data| &data.network_id))
}
