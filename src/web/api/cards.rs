//! The own card: frozen, unfrozen, lost.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ApiAction, ApiResponse, perform};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiJson, ApiPath, ApiQuery, NoParameters, parse_id};
use crate::domain::id::{CardToken, PersonId};
use crate::ledger::book::Card;
use crate::people::cards::{CardChange, change};
use crate::people::members::{Principal, UseCaseError};
use crate::store::Tx;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
        .routes(routes!(card_lost))
}

/// Which card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WhichCard {
    /// The issuer's token of the card; left out, it is all of them.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    card: Option<String>,
}

/// A card.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CardBody {
    /// The issuer's token; never a card number.
    card: String,
    last_four: String,
    /// `active`, `not_started`, `frozen_by_person`, `frozen_by_staff`, `lost`, `replaced` or
    /// `expired`.
    state: &'static str,
}

impl CardBody {
    /// A card as it is at a moment.
    pub(super) fn at(card: Card, at: Timestamp) -> Self {
        let Card { connection: _, token, standing, last_four } = card;
        Self { card: token.to_string(), last_four, state: standing.at(at).word() }
    }
}

/// The cards as they are now.
#[derive(Debug, Serialize, ToSchema)]
struct Cards {
    cards: Vec<CardBody>,
}

struct ChangeCard {
    person: PersonId,
    card: Option<CardToken>,
    change: CardChange,
}

impl ApiAction for ChangeCard {
    async fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> Result<ApiResponse, UseCaseError> {
        let Self { person, card, change: to } = self;
        let context = (&api.directory, &api.ids);
        let cards = change(tx, context, acting, person, card.as_ref(), *to).await?;
        Ok(ApiResponse::ok(&Cards {
            cards: cards.into_iter().map(|card| CardBody::at(card, acting.at)).collect(),
        }))
    }
}

async fn change_card(
    api: &Api,
    acting: Principal,
    person: &str,
    sent: ApiJson<WhichCard>,
    change: CardChange,
) -> Result<Response, ApiError> {
    let person = parse_id(person, "person")?;
    let card = sent.body.card.map(|card| card.parse::<CardToken>()).transpose();
    let card =
        card.map_err(|error| ApiError::Invalid(vec![FieldProblem::of("card", error.to_string())]))?;
    perform(api, acting, sent.key, ChangeCard { person, card, change }).await
}

/// Freeze a card, or all of them
///
/// The person's own act, at once. A helper may do it when the person has ticked it.
#[utoipa::path(
    post, path = "/people/{person}/freeze", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn freeze(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    sent: ApiJson<WhichCard>,
) -> Result<Response, ApiError> {
    change_card(&api, acting, &person, sent, CardChange::Freeze).await
}

/// Unfreeze a card that the person froze, or all of them
#[utoipa::path(
    post, path = "/people/{person}/unfreeze", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn unfreeze(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    sent: ApiJson<WhichCard>,
) -> Result<Response, ApiError> {
    change_card(&api, acting, &person, sent, CardChange::Unfreeze).await
}

/// Say that a card is lost or stolen: it never works again
#[utoipa::path(
    post, path = "/people/{person}/card-lost", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn card_lost(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    sent: ApiJson<WhichCard>,
) -> Result<Response, ApiError> {
    change_card(&api, acting, &person, sent, CardChange::Lose).await
}
