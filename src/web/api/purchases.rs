//! Single purchases: one line each, however many authorisation requests and issuer events they
//! have.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, parse_id};
use super::queries::LookReasonQuery;
use super::recorded_read::begin_recorded_read;
use super::representation::{MoneyBody, Page, page_size, parse_cursor, parse_day};
use crate::domain::id::{DecisionId, PurchaseId};
use crate::domain::money::Money;
use crate::domain::people::role::Role;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::state::{PurchaseOutcome, PurchaseState};
use crate::domain::shop::merchant::Category;
use crate::operations::purchase_texts::texts_of;
use crate::operations::purchases::{
    BudgetRef, PurchaseFilter, PurchaseListError, PurchaseSummary, page, summary,
};
use crate::people::members::{GrantedAccess, Principal, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{PurchaseReferenceKey, Tx};
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(purchases)).routes(routes!(purchase))
}

/// A purchase: one line, however many authorisation requests and issuer events it has.
#[derive(Debug, Serialize, ToSchema)]
struct PurchaseLine {
    /// Its first decision (`dec_…`), or the purchase (`pur_…`) if it had no authorisation
    /// request.
    id: String,
    /// When its first authorisation request or issuer event arrived.
    #[schema(format = DateTime)]
    at: String,
    /// The day on which it counts, in the programme's time zone.
    #[schema(format = Date)]
    on: String,
    /// The shop as the card company sent it; empty if it was erased or never sent.
    place: String,
    /// The kind of shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    category: Option<String>,
    /// The state in brief. `paid`: money is held or was captured; `not_paid`; `taken_back`: our
    /// answer came too late; `given_back`: the shop cancelled it, or money came back; `expired`: it
    /// ended without a capture; `checked`: the shop only checked the card.
    outcome: PurchaseOutcome,
    /// The exact state.
    state: PurchaseState,
    /// The requested amount, increments included.
    asked: MoneyBody,
    /// Why it was not paid; the reason that was communicated comes first. After `refused_by_issuer`
    /// (the card company declined it by itself) follows the reason of the card company.
    reasons: Vec<&'static str>,
    /// The amount that is held.
    held: MoneyBody,
    /// The amount that the shop has captured.
    spent: MoneyBody,
    /// The amount that came back.
    refunded: MoneyBody,
    /// The part of `refunded` that belongs to no known purchase, and is set aside until this is
    /// resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    aside: Option<MoneyBody>,
}

/// One purchase, with an explanation in words.
#[derive(Debug, Serialize, ToSchema)]
struct PurchaseBody {
    #[serde(flatten)]
    line: PurchaseLine,
    /// What happened, in words for the person or for staff.
    words: String,
    /// What the person can do next if it was not paid; only the person gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
    /// The current amount from each pot.
    parts: Vec<PartBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PartBody {
    pot: String,
    amount: MoneyBody,
}

/// Filters and page of a list of purchases.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PurchasesQuery {
    /// Maximum number of items; left out: 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    reason: Option<String>,
    /// Only purchases with this state or outcome.
    state: Option<String>,
    /// Only purchases at this kind of shop: the word of a category.
    category: Option<String>,
    /// Only purchases that count on this day or later.
    #[param(format = Date)]
    from: Option<String>,
    /// Only purchases that count on this day or earlier.
    #[param(format = Date)]
    to: Option<String>,
}

/// Single purchases, the newest first
///
/// A page may have fewer items than `limit`, or none, and still a `next_cursor`, because a request
/// searches a limited part of the history. A reader other than the person gives a `reason`, which
/// is recorded and which the person can read. A reader whom the person lets see their purchases
/// need not give one; the read is recorded too.
#[utoipa::path(
    get, path = "/people/{person}/purchases", tag = "purchases",
    params(("person" = String, Path), PurchasesQuery),
    responses((status = 200, body = Page<PurchaseLine>), Problems)
)]
async fn purchases(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PurchasesQuery>,
) -> Result<Json<Page<PurchaseLine>>, ApiError> {
    let most = usize::try_from(page_size(query.limit)?).unwrap_or(usize::MAX);
    let before = parse_cursor(query.cursor.as_deref())?;
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let filter = purchase_filter(&query, &programme)?;
    let reason = query.reason.as_deref();
    let (mut tx, access) =
        begin_recorded_read(&api, &principal, &person, "purchases", reason).await?;
    let budget_ref = BudgetRef { programme: &programme, budget: &access.budget };
    let page = page(&mut tx, budget_ref, &filter, before, most).await?;
    tx.commit().await?;
    let lines = page.summaries.iter().map(|summary| line(summary, &programme));
    let lines = lines.collect::<Result<_, _>>()?;
    Ok(Json(Page::with_next(lines, page.next.map(|link| link.to_string()))))
}

fn purchase_filter(
    query: &PurchasesQuery,
    programme: &Programme,
) -> Result<PurchaseFilter, ApiError> {
    let (states, outcomes) = (PurchaseState::ALL, PurchaseOutcome::ALL);
    let state = |word: &str| {
        let outcome = outcomes.iter().find(|outcome| outcome.word() == word);
        let is = |state: &&PurchaseState| {
            state.word() == word || outcome.is_some_and(|outcome| state.outcome() == *outcome)
        };
        let found: Vec<_> = states.iter().filter(is).copied().collect();
        let what = || "use the word of a state, or of an outcome".to_owned();
        let is_none = found.is_empty();
        if is_none { Err(ApiError::Malformed { field: "state", what: what() }) } else { Ok(found) }
    };
    let category = |word: &str| {
        let category = Category::parse(word).ok();
        let known = category.filter(|category| programme.rules.get(category).is_some());
        let what = || "there is no such kind of shop".to_owned();
        known.ok_or_else(|| ApiError::Malformed { field: "category", what: what() })
    };
    Ok(PurchaseFilter {
        states: query.state.as_deref().map(state).transpose()?,
        category: query.category.as_deref().map(category).transpose()?,
        from: parse_day("from", query.from.as_deref())?,
        to: parse_day("to", query.to.as_deref())?,
    })
}

/// One purchase
///
/// By its own identifier or that of one of its decisions, with its state, the reasons and the next
/// steps in words.
#[utoipa::path(
    get, path = "/people/{person}/purchases/{purchase}", tag = "purchases",
    params(("person" = String, Path), ("purchase" = String, Path), LookReasonQuery),
    responses((status = 200, body = PurchaseBody), Problems)
)]
async fn purchase(
    State(api): State<Api>,
    principal: Principal,
    ApiPath((person, id)): ApiPath<(String, String)>,
    ApiQuery(query): ApiQuery<LookReasonQuery>,
) -> Result<Json<PurchaseBody>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let reason = query.reason.as_deref();
    let what = id.chars().take(80).collect::<String>();
    let (mut tx, access) = begin_recorded_read(&api, &principal, &person, &what, reason).await?;
    let budget_ref = BudgetRef { programme: &programme, budget: &access.budget };
    let name = find_purchase(&mut tx, &access, &id).await?;
    let summary =
        summary(&mut tx, budget_ref, name).await?.ok_or(ApiError::NotFound("purchase"))?;
    let words = texts_of(&mut tx, &api.directory, &programme, &summary).await?;
    tx.commit().await?;
    // The text for the person may mention what they hold back, so nobody else gets it.
    let is_persons = access.actor.member.role == Role::Person;
    let part = |part: &crate::domain::pot::PotPart| PartBody {
        pot: part.pot.to_string(),
        amount: part.amount.into(),
    };
    Ok(Json(PurchaseBody {
        line: line(&summary, &programme)?,
        words: if is_persons { words.person } else { words.worker },
        next: words.next.filter(|_| is_persons),
        parts: words.parts.iter().map(part).collect(),
    }))
}

/// The purchase of this budget with the identifier `id`, its own or that of one of its decisions.
///
/// # Errors
///
/// [`ApiError::NotFound`] when the budget has no such purchase.
pub(super) async fn find_purchase(
    tx: &mut Tx,
    access: &GrantedAccess,
    id: &str,
) -> Result<PurchaseReferenceKey, ApiError> {
    let (programme, budget) = (&access.programme, &access.budget);
    let found = if let Ok(id) = id.parse::<DecisionId>() {
        let found = tx.decisions_by_id(programme, &[id]).await?.pop();
        let found = found.filter(|decision| decision.budget == *budget);
        found.map(|decision| (decision.connection, decision.purchase))
    } else {
        let id = parse_id::<PurchaseId>(id, "purchase")?;
        let found = tx.purchases_by_id(programme, &[id]).await?.pop();
        let found = found.filter(|purchase| purchase.budget == *budget);
        found.map(|purchase| (purchase.connection, purchase.reference))
    };
    let (connection, purchase) = found.ok_or(ApiError::NotFound("purchase"))?;
    Ok((programme.clone(), connection, purchase))
}

fn line(
    summary: &PurchaseSummary,
    programme: &Programme,
) -> Result<PurchaseLine, PurchaseListError> {
    let nothing = Money::zero(programme.settings.currency);
    let figure = |figure: fn(&Purchase) -> Money| summary.purchase.as_ref().map_or(nothing, figure);
    let held = summary.purchase.as_ref().map(Purchase::held).transpose()?;
    let recovered = figure(|purchase| purchase.recovered);
    let refunded = figure(|purchase| purchase.refunded).checked_add(recovered)?;
    let aside = figure(|purchase| purchase.suspense);
    Ok(PurchaseLine {
        id: summary.id(),
        at: summary.at.to_string(),
        on: summary.on.to_string(),
        place: summary.place(),
        category: summary.category(programme).map(|category| category.to_string()),
        outcome: summary.state.outcome(),
        state: summary.state,
        asked: summary.asked(programme).into(),
        reasons: summary.reasons(),
        held: held.unwrap_or(nothing).into(),
        spent: figure(|purchase| purchase.captured).into(),
        refunded: refunded.into(),
        aside: Some(aside).filter(|aside| aside.is_positive()).map(MoneyBody::from),
    })
}

impl From<PurchaseListError> for ApiError {
    fn from(error: PurchaseListError) -> Self {
        match error {
            PurchaseListError::Store(error) => error.into(),
            PurchaseListError::Money(error) => UseCaseError::from(error).into(),
            PurchaseListError::Explain(error) => Self::ExplainFailed(error),
        }
    }
}
