//! Pauses for safety, restrictions in force, and the changes between two versions of a list.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::asks::EmptyRequest;
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::proposal_views::ChangeLineBody;
use crate::domain::agreement::Decider;
use crate::domain::card::pause::Pause;
use crate::domain::id::{PauseId, PersonId};
use crate::domain::people::role::Capability;
use crate::people::agreements;
use crate::people::agreements::PauseRequest;
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_pauses, pause))
        .routes(routes!(lift))
        .routes(routes!(restrictions))
        .routes(routes!(what_changed))
}

/// A new pause. It needs a reason, a talk beforehand and an end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPause {
    /// The reason, short enough for the text message that the person gets.
    #[schema(min_length = 1, max_length = 50)]
    reason: String,
    /// The recorded talk that came first, within the last seven days.
    #[schema(min_length = 1, max_length = 200)]
    talk: String,
    #[schema(value_type = String, format = "date-time")]
    until: Timestamp,
}

/// A pause. It ends by itself at `ends_at`.
#[derive(Debug, Serialize, ToSchema)]
struct PauseBody {
    pause: String,
    by: String,
    reason: String,
    talk: String,
    #[schema(format = "date-time")]
    begins_at: String,
    #[schema(format = "date-time")]
    ends_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    lifted_at: Option<String>,
}

impl From<Pause> for PauseBody {
    fn from(pause: Pause) -> Self {
        Self {
            pause: pause.id.to_string(),
            by: pause.member.to_string(),
            reason: pause.reason,
            talk: pause.talk.to_string(),
            begins_at: pause.begins_at.to_string(),
            ends_at: pause.ends_at.to_string(),
            lifted_at: pause.lifted_at.map(|at| at.to_string()),
        }
    }
}

/// How a request changed a pause.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PauseChange {
    Paused,
    Lifted,
}

/// What was done to a pause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PauseDone)]
struct PauseResultBody {
    pause: String,
    done: PauseChange,
}

/// The pauses of a person.
#[derive(Debug, Serialize, ToSchema)]
struct Pauses {
    /// The oldest first.
    pauses: Vec<PauseBody>,
}

struct PauseCards {
    person: PersonId,
    request: PauseRequest,
}

impl ApiAction for PauseCards {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let request = self.request.clone();
        let id = agreements::pause(tx, api.context(), principal, &self.person, request).await?;
        Ok(ApiResponse::created(&PauseResultBody {
            pause: id.to_string(),
            done: PauseChange::Paused,
        }))
    }
}

/// Pause a person's cards for safety
///
/// It needs a reason, a talk beforehand and an end. The person is told at once.
#[utoipa::path(
    post, path = "/people/{person}/pauses", tag = "cards",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewPause,
    responses((status = 201, body = PauseResultBody), Problems)
)]
async fn pause(
    ApiPost { caller, path: person, body }: ApiPost<String, NewPause>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let NewPause { reason, talk, until } = body;
    let reason = check_words("reason", &reason)?;
    let what = "talk first, and write down what was said";
    let talk = talk.parse();
    let talk = talk.map_err(|_| ApiError::Invalid(vec![FieldProblem::of("talk", what)]))?;
    let request = PauseRequest { reason, talk, until };
    caller.perform(PauseCards { person, request }).await
}

/// The pauses of a person
#[utoipa::path(
    get, path = "/people/{person}/pauses", tag = "cards", params(("person" = String, Path)),
    responses((status = 200, body = Pauses), Problems)
)]
async fn list_pauses(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<Pauses>, ApiError> {
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeTimeline, &person).await?;
    let pauses = tx.pauses_of(&access.programme, &access.budget).await?;
    tx.commit().await?;
    Ok(Json(Pauses { pauses: pauses.into_iter().map(PauseBody::from).collect() }))
}

struct LiftPause {
    person: PersonId,
    pause: PauseId,
}

impl ApiAction for LiftPause {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        agreements::lift(tx, api.context(), principal, &self.person, self.pause).await?;
        Ok(ApiResponse::ok(&PauseResultBody {
            pause: self.pause.to_string(),
            done: PauseChange::Lifted,
        }))
    }
}

/// End a pause before its time
#[utoipa::path(
    post, path = "/people/{person}/pauses/{pause}/lift", tag = "cards",
    params(("person" = String, Path), ("pause" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = PauseResultBody), Problems)
)]
async fn lift(
    ApiPost { caller, path: (person, pause), .. }: ApiPost<(String, String), EmptyRequest>,
) -> Result<Response, ApiError> {
    let (person, pause) = (parse_id(&person, "person")?, parse_id(&pause, "pause")?);
    caller.perform(LiftPause { person, pause }).await
}

/// The restrictions of one person, of which there should be few.
#[derive(Debug, Serialize, ToSchema)]
struct ControlsBody {
    count: usize,
    /// How many are past their review date. A restriction does not end because its review is
    /// overdue.
    overdue: usize,
    /// The oldest first.
    restrictions: Vec<RestrictionBody>,
}

/// A restriction in force.
#[derive(Debug, Serialize, ToSchema)]
struct RestrictionBody {
    on: String,
    decides: Decider,
    reason: String,
    #[schema(format = Date)]
    since: String,
    days: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date)]
    review_on: Option<String>,
    overdue: bool,
    /// Whether the person chose it for themselves, with a waiting time.
    own: bool,
}

/// Restrictions in force: how many, how old and why
#[utoipa::path(
    get, path = "/people/{person}/restrictions", tag = "agreement",
    params(("person" = String, Path)),
    responses((status = 200, body = ControlsBody), Problems)
)]
async fn restrictions(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<ControlsBody>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let controls = agreements::controls(&mut tx, &programme, &principal, &person).await?;
    tx.commit().await?;
    let body = |restriction: crate::domain::agreement::history::Restriction| RestrictionBody {
        on: restriction.scope.to_string(),
        decides: restriction.decides,
        reason: restriction.reason,
        since: restriction.since.to_string(),
        days: restriction.days,
        review_on: restriction.review_on.map(|on| on.to_string()),
        overdue: restriction.is_overdue,
        own: restriction.is_own,
    };
    Ok(Json(ControlsBody {
        count: controls.restrictions.len(),
        overdue: controls.overdue,
        restrictions: controls.restrictions.into_iter().map(body).collect(),
    }))
}

/// The two versions to compare.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VersionRangeQuery {
    /// The earlier version; left out: the one before `to`.
    #[param(minimum = 1)]
    from: Option<u32>,
    /// The later version; left out: the one in force.
    #[param(minimum = 1)]
    to: Option<u32>,
}

/// The changes between two versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatChanged)]
struct AgreementChangesBody {
    lines: Vec<ChangeLineBody>,
}

/// Changes between two versions of the list, in plain words
#[utoipa::path(
    get, path = "/people/{person}/agreement/changes", tag = "agreement",
    params(("person" = String, Path), VersionRangeQuery),
    responses((status = 200, body = AgreementChangesBody), Problems)
)]
async fn what_changed(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(VersionRangeQuery { from, to }): ApiQuery<VersionRangeQuery>,
) -> Result<Json<AgreementChangesBody>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeList, &person).await?;
    let in_force = tx.version_in_force(&access.programme, &access.budget).await?;
    let to = to.or(in_force).ok_or(ApiError::NotFound("version"))?;
    let from = from.unwrap_or(to.saturating_sub(1));
    let found = agreements::difference(&mut tx, &programme, &principal, &person, from, to).await?;
    tx.commit().await?;
    Ok(Json(AgreementChangesBody {
        lines: found.lines.into_iter().map(ChangeLineBody::from).collect(),
    }))
}
