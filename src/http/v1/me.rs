//! Who I am here.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Nothing};
use super::document::Problems;
use crate::domain::role::Tick;
use crate::http::Edge;
use crate::http::problem::ApiError;
use crate::members::Acting;
use crate::tokens::RefusedToken;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(me))
}

/// The account of the token.
#[derive(Serialize, ToSchema)]
struct Me {
    programme: String,
    member: String,
    name: String,
    /// What the account is for.
    role: String,
    /// Whose budget it is, or whom they help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person: Option<String>,
    /// What the person has ticked for them.
    sees: Vec<&'static str>,
    /// Whether the account is on the programme's duty now.
    on_duty: bool,
    /// The workers for whom it covers now.
    covers: Vec<String>,
}

/// Who I am here
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me), Problems))]
async fn me(
    State(api): State<Api>,
    acting: Acting,
    _: Asked<Nothing>,
) -> Result<Json<Me>, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let actor = tx.reading_actor(&acting.programme, &acting.member, acting.at).await?;
    tx.commit().await?;
    let actor = actor.ok_or(ApiError::BadToken(RefusedToken::Ended))?;
    let member = actor.member;
    Ok(Json(Me {
        programme: acting.programme.to_string(),
        member: member.id.to_string(),
        name: member.name,
        role: member.role.word().to_owned(),
        person: member.person.map(|person| person.to_string()),
        sees: member.sees.into_iter().map(Tick::word).collect(),
        on_duty: actor.is_on_duty,
        covers: actor.covers.iter().map(ToString::to_string).collect(),
    }))
}
