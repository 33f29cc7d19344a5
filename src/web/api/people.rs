//! People and their money: the people whom an account sees, and the balances of one person.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::cards::CardBody;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, NoParameters, parse_id};
use super::pots::PotBody;
use super::representation::{MoneyBody, Page, PageQuery};
use crate::domain::id::PotId;
use crate::domain::money::{Currency, Money};
use crate::domain::people::person::PersonState;
use crate::domain::people::role::{Capability, Role};
use crate::domain::time::period::Moment;
use crate::ledger::book::PotBalance;
use crate::people::members::{Principal, UseCaseError};
use crate::people::tokens::TokenRejection;
use crate::store::PersonSummary;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(people)).routes(routes!(person))
}

/// A person whom the account may see.
#[derive(Debug, Serialize, ToSchema)]
struct PersonLine {
    person: String,
    /// Left out for roles that do not see names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    worker: String,
    state: PersonState,
}

/// The money and the cards of a person.
#[derive(Debug, Serialize, ToSchema)]
struct PersonBody {
    person: String,
    /// Left out for roles that do not see names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    worker: String,
    state: PersonState,
    /// The sum of what is left in all pots.
    left: MoneyBody,
    /// The part of `left` that can be spent now.
    spendable: MoneyBody,
    pots: Vec<PotBody>,
    /// Left out for roles that do not see names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cards: Option<Vec<CardBody>>,
}

/// People whom I may see
///
/// Myself, the person whom I help, my caseload, or everybody in the programme, depending on my
/// role.
#[utoipa::path(
    get, path = "/people", tag = "people", params(PageQuery),
    responses((status = 200, body = Page<PersonLine>), Problems)
)]
async fn people(
    State(api): State<Api>,
    principal: Principal,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<PersonLine>>, ApiError> {
    let (page_size, after) = (page.page_size()?, page.parse_cursor()?);
    let mut tx = api.store.snapshot().await?;
    let actor =
        tx.actor_without_lock(&principal.programme, &principal.member, principal.at).await?;
    let actor = actor.ok_or(ApiError::InvalidToken(TokenRejection::Ended))?;
    let whose = actor.whose(Capability::SeeBudget);
    let limit = page_size.saturating_add(1);
    let people = tx.people_after(&principal.programme, &whose, after.as_ref(), limit).await?;
    tx.commit().await?;
    let sees_names = actor.member.role.sees_names();
    let line = |row: PersonSummary| PersonLine {
        person: row.person_id.to_string(),
        name: sees_names.then_some(row.name),
        worker: row.worker_id,
        state: row.state,
    };
    Ok(Json(Page::from_rows(people, page_size, |row| row.person_id.to_string(), line)))
}

/// The money of a person: each pot, and the sum that is left
#[utoipa::path(
    get, path = "/people/{person}", tag = "people", params(("person" = String, Path)),
    responses((status = 200, body = PersonBody), Problems)
)]
async fn person(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<PersonBody>, ApiError> {
    let programme = api.programme(&principal.programme).await?;
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeBudget, &person).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let row = tx.person(id, budget).await?.ok_or(UseCaseError::NotFound("person"))?;
    let cards = tx.card_rows(id, budget).await?;
    let balances = tx.pots_of(id, budget).await?;
    let agreement = tx.agreement_in_force(id, budget, programme.settings.currency).await?;
    let plans = agreement.as_ref().map(|agreement| agreement.pots.as_slice()).unwrap_or_default();
    tx.commit().await?;
    let place = |pot: &str| plans.iter().position(|plan| plan.id.as_str() == pot);
    let today = Moment::new(principal.at, programme.zone()).date;
    let is_own = access.actor.member.role == Role::Person;
    let body = |(pot, balance): (PotId, PotBalance)| {
        let of = balance.own.goal.as_ref().map_or(&pot, |goal| &goal.of);
        let plan = plans.iter().find(|plan| plan.id == *of);
        PotBody::of(&pot, plan, &balance, today, is_own)
    };
    let pots: Result<Vec<_>, _> = balances.into_iter().map(body).collect();
    let mut pots = pots.map_err(|error| UseCaseError::Ledger(error.into()))?;
    pots.sort_by_key(|pot| place(&pot.pot).unwrap_or(usize::MAX));
    let currency = programme.settings.currency;
    let left = total(currency, &pots, |pot| pot.left);
    let spendable = total(currency, &pots, |pot| pot.spendable);
    let sees_names = access.actor.member.role.sees_names();
    Ok(Json(PersonBody {
        person: budget.to_string(),
        name: sees_names.then_some(row.name),
        worker: row.worker_id,
        state: row.state,
        left: left.into(),
        spendable: spendable.into(),
        pots,
        cards: sees_names
            .then(|| cards.into_iter().map(|card| CardBody::at(card, principal.at)).collect()),
    }))
}

fn total(currency: Currency, pots: &[PotBody], figure: fn(&PotBody) -> MoneyBody) -> Money {
    let sum = pots.iter().fold(0_i64, |sum, pot| sum.saturating_add(figure(pot).minor()));
    Money::from_minor(sum, currency)
}
