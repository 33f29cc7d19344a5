//! The person's own cards: freeze, unfreeze, report as lost.

use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::parse_id;
use crate::domain::card::CardState;
use crate::domain::id::{CardToken, PersonId};
use crate::people::cards::{CardChange, change};
use crate::store::CardRow;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
        .routes(routes!(card_lost))
}

/// The card to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WhichCard {
    /// The issuer's token of the card; left out: all cards of the person.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    card: Option<String>,
}

/// A card.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CardBody {
    /// The issuer's token; never a card number.
    card: String,
    last_four: String,
    state: CardState,
}

impl CardBody {
    /// The card with its state at the moment `at`.
    pub(super) fn at(card: CardRow, at: Timestamp) -> Self {
        let state = card.status().at(at);
        // Every column, so that the compiler asks whether a new one is shown.
        let CardRow {
            programme_id: _,
            connection_id: _,
            token,
            budget_id: _,
            last_four,
            state: _,
            state_until: _,
            state_after: _,
        } = card;
        Self { card: token.to_string(), last_four, state }
    }
}

/// The cards in their state now.
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
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, card, change: to } = self;
        let context = api.context();
        let cards = change(tx, context, principal, person, card.as_ref(), *to).await?;
        Ok(ApiResponse::ok(&Cards {
            cards: cards.into_iter().map(|card| CardBody::at(card, principal.at)).collect(),
        }))
    }
}

async fn change_card(
    ApiPost { caller, path: person, body }: ApiPost<String, WhichCard>,
    change: CardChange,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let card = body.card.map(|card| card.parse::<CardToken>()).transpose();
    let card =
        card.map_err(|error| ApiError::Invalid(vec![FieldProblem::of("card", error.to_string())]))?;
    caller.perform(ChangeCard { person, card, change }).await
}

/// Freeze a card, or all cards
///
/// Takes effect at once. For the person, and for a helper whom the person allows to freeze.
#[utoipa::path(
    post, path = "/people/{person}/freeze", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn freeze(post: ApiPost<String, WhichCard>) -> Result<Response, ApiError> {
    change_card(post, CardChange::Freeze).await
}

/// Unfreeze a card that the person froze, or all such cards
#[utoipa::path(
    post, path = "/people/{person}/unfreeze", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn unfreeze(post: ApiPost<String, WhichCard>) -> Result<Response, ApiError> {
    change_card(post, CardChange::Unfreeze).await
}

/// Report a card as lost or stolen: it never works again
#[utoipa::path(
    post, path = "/people/{person}/card-lost", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = WhichCard,
    responses((status = 200, body = Cards), Problems)
)]
async fn card_lost(post: ApiPost<String, WhichCard>) -> Result<Response, ApiError> {
    change_card(post, CardChange::Lose).await
}
