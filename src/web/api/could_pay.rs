//! What would be paid: the one number that a person needs, and "would this be paid?" for a kind of
//! shop, a shop seen before, an amount, now or later. The answer is the till's own decision.

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, check_words, parse_id};
use super::recorded_read::begin_recorded_read;
use super::representation::MoneyBody;
use crate::card_path::authorise::{Forecast, PossiblePurchase, forecast};
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::Presence;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{PersonId, PurchaseId};
use crate::domain::money::Money;
use crate::domain::people::role::Capability;
use crate::domain::shop::merchant::{Category, Mcc, Merchant};
use crate::ledger::record::decision::RecordedDecision;
use crate::people::members::{Principal, UseCaseError};
use crate::programme::directory::Programme;
use crate::web::AppState;
use crate::web::problem::ApiError;

/// The kind of shop of the one number: an ordinary food shop.
const FOOD_SHOP: &str = "5411";
/// How far ahead a time may lie.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(62 * 24);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(could_pay))
}

/// What a shop would be paid.
#[derive(Debug, Serialize, ToSchema)]
struct CouldPay {
    /// The largest amount that would be paid with a card that works.
    most: MoneyBody,
    /// The state of the card; left out if the person has none. Only an active card pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    card: Option<CardState>,
    /// Whether the amount that was asked about would be paid; left out if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    would_be_paid: Option<bool>,
    /// Why the amount would not be paid, or else why not a minor unit more than `most`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    why_not: Option<WhyNot>,
    /// The time that the answer is for.
    #[schema(format = DateTime)]
    at: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct WhyNot {
    reason: ReasonCode,
    /// The text for the person, in English.
    words: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CouldPayQuery {
    /// The kind of shop, by the name of its category; left out: an ordinary food shop.
    category: Option<String>,
    /// A shop seen before, by an earlier purchase there. Not with `category`. A reader other than
    /// the person then gives a `reason`, as for single purchases.
    bought: Option<String>,
    /// The amount in minor units; left out: only the largest one is told.
    #[param(minimum = 1)]
    amount: Option<i64>,
    /// The time, within 62 days; left out: now.
    #[param(format = DateTime)]
    at: Option<String>,
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// What would be paid
///
/// Decided as at the till, from what is held, kept back and agreed now, and without a trace.
#[utoipa::path(
    get, path = "/people/{person}/could-pay", tag = "purchases",
    params(("person" = String, Path), CouldPayQuery),
    responses((status = 200, body = CouldPay), Problems)
)]
async fn could_pay(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<CouldPayQuery>,
) -> Result<Json<CouldPay>, ApiError> {
    let programme = api.programme(&principal.programme).await?;
    let at = query.time(principal.at)?;
    let amount = query.amount(&programme)?;
    let person = parse_id(&person, "person")?;
    let reason = query.reason.as_deref();
    // Checked also where no look is recorded: bad input is never accepted silently.
    reason.map(|reason| check_words("reason", reason)).transpose()?;
    let (merchant, presence) = match (&query.category, &query.bought) {
        (Some(_), Some(_)) => {
            let what = "name a category or a purchase, not both".to_owned();
            return Err(ApiError::Malformed { field: "bought", what });
        }
        (Some(category), None) => (shop_of_kind(category, &programme)?, Presence::InPerson),
        (None, Some(bought)) => shop_seen_before(&api, &principal, &person, bought, reason).await?,
        (None, None) => (food_shop(&programme), Presence::InPerson),
    };
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeBudget, &person).await?;
    principal.admit_to_read(&mut tx, Capability::SeeList, &person).await?;
    let purchase = PossiblePurchase {
        programme: access.programme,
        budget: access.budget,
        merchant,
        presence,
        at,
        amount,
    };
    let found = forecast(&mut tx, &api.directory, &purchase).await?;
    tx.commit().await?;
    let found = found.ok_or(UseCaseError::NotFound("list"))?;
    Ok(Json(CouldPay::of(found, amount, at)))
}

impl CouldPay {
    fn of(forecast: Forecast, amount: Option<Money>, at: Timestamp) -> Self {
        let would_be_paid = amount.map(|_| forecast.declined.is_none());
        let why_not = forecast
            .declined
            .map(|declined| WhyNot { reason: declined.reasons.first.code(), words: declined.text });
        Self {
            most: forecast.most.into(),
            card: forecast.card,
            would_be_paid,
            why_not,
            at: at.to_string(),
        }
    }
}

impl CouldPayQuery {
    fn time(&self, now: Timestamp) -> Result<Timestamp, ApiError> {
        let Some(text) = &self.at else { return Ok(now) };
        let what = "write a time like 2026-11-23T14:15:00Z, from now to 62 days ahead";
        let at: Option<Timestamp> = text.parse().ok();
        at.filter(|at| (SignedDuration::ZERO..=AHEAD_MAX).contains(&at.duration_since(now)))
            .ok_or(ApiError::Malformed { field: "at", what: what.to_owned() })
    }

    fn amount(&self, programme: &Programme) -> Result<Option<Money>, ApiError> {
        let Some(minor) = self.amount else { return Ok(None) };
        if minor < 1 {
            let what = "a whole number of minor units, 1 or more".to_owned();
            return Err(ApiError::Malformed { field: "amount", what });
        }
        Ok(Some(Money::from_minor(minor, programme.settings.currency)))
    }
}

/// The shop of an earlier purchase, as the issuer described it.
async fn shop_seen_before(
    api: &Api,
    principal: &Principal,
    person: &PersonId,
    bought: &str,
    reason: Option<&str>,
) -> Result<(Merchant, Presence), ApiError> {
    let missing = || ApiError::NotFound("purchase");
    let id: PurchaseId = bought.parse().map_err(|_| missing())?;
    let (mut tx, access) = begin_recorded_read(api, principal, person, bought, reason).await?;
    let purchases = tx.purchases_by_id(&access.programme, &[id]).await?;
    let purchase = purchases.into_iter().find(|found| found.budget == access.budget);
    let purchase = purchase.ok_or_else(missing)?;
    let key = (access.programme, purchase.connection.clone(), purchase.reference.clone());
    let decisions = tx.decisions_of_purchases(&[key]).await?;
    tx.commit().await?;
    let request = decisions.iter().find_map(RecordedDecision::request);
    Ok(request.map_or_else(
        || {
            let name = purchase.place.name.as_deref().unwrap_or_default();
            (Merchant::new(purchase.counted.mcc, name), Presence::InPerson)
        },
        |request| (request.merchant, request.presence),
    ))
}

/// An ordinary food shop in the programme's country.
fn food_shop(programme: &Programme) -> Merchant {
    Merchant::new(Mcc::parse(FOOD_SHOP).ok(), "").in_country(&programme.settings.home.country)
}

/// An unknown shop of a category: one with its first code.
fn shop_of_kind(category: &str, programme: &Programme) -> Result<Merchant, ApiError> {
    let known = Category::parse(category).ok();
    let rule = known.and_then(|category| programme.rules.get(&category));
    let Some(rule) = rule else {
        let what = "a category of this programme".to_owned();
        return Err(ApiError::Malformed { field: "category", what });
    };
    let listed = rule.codes.keys().next().copied();
    let code = listed.or_else(|| rule.ranges.first().map(|range| range.from));
    Ok(Merchant::new(code, "").in_country(&programme.settings.home.country))
}
