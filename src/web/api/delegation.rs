//! Helpers and advocates: the person chooses them, sets what they may see, and removes them.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{
    ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse, perform_idempotent,
};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use crate::domain::id::{MemberId, PersonId};
use crate::domain::people::role::{Capability, Delegation, Member, MemberState, Role};
use crate::people::delegation::{HelperChoice, choose, remove, tick};
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(helpers, choose_helper))
        .routes(routes!(tick_helper, remove_helper))
}

/// What a person can allow a helper.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TickWord {
    Balance,
    List,
    Totals,
    Purchases,
    Freeze,
    Draft,
    Appeal,
}

impl From<TickWord> for Delegation {
    fn from(word: TickWord) -> Self {
        match word {
            TickWord::Balance => Self::Balance,
            TickWord::List => Self::List,
            TickWord::Totals => Self::Totals,
            TickWord::Purchases => Self::Purchases,
            TickWord::Freeze => Self::Freeze,
            TickWord::Draft => Self::Draft,
            TickWord::Appeal => Self::Appeal,
        }
    }
}

/// A helper does what the person allows; an advocate speaks for the person.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HelperRole {
    Helper,
    Advocate,
}

/// The helper or advocate whom the person chooses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChosenHelper)]
struct NewHelper {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    role: HelperRole,
    #[schema(max_items = 20)]
    sees: Vec<TickWord>,
}

/// Everything that the helper is allowed from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ticks {
    #[schema(max_items = 20)]
    sees: Vec<TickWord>,
}

/// A helper or an advocate.
#[derive(Debug, Serialize, ToSchema)]
struct HelperBody {
    helper: String,
    name: String,
    role: Role,
    sees: Vec<Delegation>,
    state: MemberState,
}

impl From<Member> for HelperBody {
    fn from(member: Member) -> Self {
        Self {
            helper: member.id.to_string(),
            name: member.name,
            role: member.role,
            sees: member.sees,
            state: member.state,
        }
    }
}

/// All current and former helpers and advocates.
#[derive(Debug, Serialize, ToSchema)]
struct Helpers {
    helpers: Vec<HelperBody>,
}

struct ChooseHelper {
    person: PersonId,
    choice: HelperChoice,
}

impl ApiAction for ChooseHelper {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let context = api.context();
        let member = choose(tx, context, principal, &self.person, &self.choice).await?;
        Ok(ApiResponse::created(&HelperBody::from(member)))
    }
}

struct TickHelper {
    person: PersonId,
    helper: MemberId,
    sees: Vec<Delegation>,
}

impl ApiAction for TickHelper {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, helper, sees } = self;
        let member = tick(tx, api.context(), principal, person, helper, sees).await?;
        Ok(ApiResponse::ok(&HelperBody::from(member)))
    }
}

struct RemoveHelper {
    person: PersonId,
    helper: MemberId,
}

impl ApiAction for RemoveHelper {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let context = api.context();
        let member = remove(tx, context, principal, &self.person, &self.helper).await?;
        Ok(ApiResponse::ok(&HelperBody::from(member)))
    }
}

/// Helpers and advocates, and what they may see
#[utoipa::path(
    get, path = "/people/{person}/helpers", tag = "helpers",
    params(("person" = String, Path)), responses((status = 200, body = Helpers), Problems)
)]
async fn helpers(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<Helpers>, ApiError> {
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeTimeline, &person).await?;
    let members = tx.helpers_of(&access.programme, &access.budget).await?;
    tx.commit().await?;
    let helpers = members.into_iter().filter(|member| member.role.is_chosen());
    Ok(Json(Helpers { helpers: helpers.map(HelperBody::from).collect() }))
}

/// Choose a helper or an advocate
#[utoipa::path(
    post, path = "/people/{person}/helpers", tag = "helpers",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewHelper,
    responses((status = 201, body = HelperBody), Problems)
)]
async fn choose_helper(
    ApiPost { caller, path: person, body }: ApiPost<String, NewHelper>,
) -> Result<Response, ApiError> {
    let NewHelper { name, role, sees } = body;
    let role = match role {
        HelperRole::Helper => Role::Helper,
        HelperRole::Advocate => Role::Advocate,
    };
    let choice = HelperChoice {
        name: check_words("name", &name)?,
        role,
        sees: sees.into_iter().map(Delegation::from).collect(),
    };
    let action = ChooseHelper { person: parse_id(&person, "person")?, choice };
    caller.perform(action).await
}

/// Set what a helper may see
///
/// Replaces what was allowed before.
#[utoipa::path(
    post, path = "/people/{person}/helpers/{helper}", tag = "helpers",
    params(("person" = String, Path), ("helper" = String, Path), IdempotencyKeyHeader),
    request_body = Ticks, responses((status = 200, body = HelperBody), Problems)
)]
async fn tick_helper(
    ApiPost { caller, path: (person, helper), body }: ApiPost<(String, String), Ticks>,
) -> Result<Response, ApiError> {
    let sees = body.sees.into_iter().map(Delegation::from).collect();
    let (person, helper) = (parse_id(&person, "person")?, parse_id(&helper, "helper")?);
    caller.perform(TickHelper { person, helper, sees }).await
}

/// Remove a helper or an advocate
#[utoipa::path(
    delete, path = "/people/{person}/helpers/{helper}", tag = "helpers",
    params(("person" = String, Path), ("helper" = String, Path)),
    responses((status = 200, body = HelperBody), Problems)
)]
async fn remove_helper(
    State(api): State<Api>,
    principal: Principal,
    ApiPath((person, helper)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Response, ApiError> {
    let (person, helper) = (parse_id(&person, "person")?, parse_id(&helper, "helper")?);
    perform_idempotent(&api, principal, RemoveHelper { person, helper }).await
}
