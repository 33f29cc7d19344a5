//! Helpers and advocates: the person chooses them, ticks what they see, and takes it back.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Nothing, Place, Sent, named, words};
use super::deed::{Deed, Done, act, act_again};
use super::document::{KeyHeader, Problems};
use crate::domain::id::{MemberId, PersonId};
use crate::domain::people::role::{Act, Member, Role, Tick};
use crate::people::delegation::{Choice, choose, remove, tick};
use crate::people::members::{ActError, Acting};
use crate::store::Tx;
use crate::web::Edge;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(helpers, choose_helper))
        .routes(routes!(tick_helper, remove_helper))
}

/// What a person can tick for a helper.
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

impl From<TickWord> for Tick {
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

/// Helps with what the person ticked, or speaks for them.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HelperRole {
    Helper,
    Advocate,
}

/// Whom the person chooses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChosenHelper {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    role: HelperRole,
    #[schema(max_items = 20)]
    sees: Vec<TickWord>,
}

/// What a helper sees from now on.
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
    role: &'static str,
    sees: Vec<&'static str>,
    /// `active` or `ended`.
    state: &'static str,
}

impl From<Member> for HelperBody {
    fn from(member: Member) -> Self {
        Self {
            helper: member.id.to_string(),
            name: member.name,
            role: member.role.word(),
            sees: member.sees.into_iter().map(Tick::word).collect(),
            state: member.state.word(),
        }
    }
}

/// Everybody who helps, or has helped.
#[derive(Debug, Serialize, ToSchema)]
struct Helpers {
    helpers: Vec<HelperBody>,
}

struct ChooseHelper {
    person: PersonId,
    choice: Choice,
}

impl Deed for ChooseHelper {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let desk = (&api.directory, &api.ids);
        let member = choose(tx, desk, acting, &self.person, &self.choice).await?;
        Ok(Done::created(&HelperBody::from(member)))
    }
}

struct TickHelper {
    person: PersonId,
    helper: MemberId,
    sees: Vec<Tick>,
}

impl Deed for TickHelper {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let Self { person, helper, sees } = self;
        let member = tick(tx, &api.ids, acting, person, helper, sees).await?;
        Ok(Done::ok(&HelperBody::from(member)))
    }
}

struct RemoveHelper {
    person: PersonId,
    helper: MemberId,
}

impl Deed for RemoveHelper {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let desk = (&api.directory, &api.ids);
        let member = remove(tx, desk, acting, &self.person, &self.helper).await?;
        Ok(Done::ok(&HelperBody::from(member)))
    }
}

/// Who helps, and what they see
#[utoipa::path(
    get, path = "/people/{person}/helpers", tag = "helpers",
    params(("person" = String, Path)), responses((status = 200, body = Helpers), Problems)
)]
async fn helpers(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
) -> Result<Json<Helpers>, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeeTimeline, &named(&person, "person")?).await?;
    let members = tx.members_about(&admitted.programme, &admitted.budget).await?;
    tx.commit().await?;
    let helpers = members.into_iter().filter(|member| member.role.is_chosen());
    Ok(Json(Helpers { helpers: helpers.map(HelperBody::from).collect() }))
}

/// Choose a helper or an advocate
#[utoipa::path(
    post, path = "/people/{person}/helpers", tag = "helpers",
    params(("person" = String, Path), KeyHeader), request_body = ChosenHelper,
    responses((status = 201, body = HelperBody), Problems)
)]
async fn choose_helper(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
    sent: Sent<ChosenHelper>,
) -> Result<Response, ApiError> {
    let ChosenHelper { name, role, sees } = sent.body;
    let role = match role {
        HelperRole::Helper => Role::Helper,
        HelperRole::Advocate => Role::Advocate,
    };
    let choice = Choice {
        name: words("name", &name)?,
        role,
        sees: sees.into_iter().map(Tick::from).collect(),
    };
    let deed = ChooseHelper { person: named(&person, "person")?, choice };
    act(&api, acting, sent.key, deed).await
}

/// Tick what a helper sees
#[utoipa::path(
    post, path = "/people/{person}/helpers/{helper}", tag = "helpers",
    params(("person" = String, Path), ("helper" = String, Path), KeyHeader), request_body = Ticks,
    responses((status = 200, body = HelperBody), Problems)
)]
async fn tick_helper(
    State(api): State<Api>,
    acting: Acting,
    Place((person, helper)): Place<(String, String)>,
    _: Asked<Nothing>,
    sent: Sent<Ticks>,
) -> Result<Response, ApiError> {
    let sees = sent.body.sees.into_iter().map(Tick::from).collect();
    let (person, helper) = (named(&person, "person")?, named(&helper, "helper")?);
    act(&api, acting, sent.key, TickHelper { person, helper, sees }).await
}

/// Take a helper away
#[utoipa::path(
    delete, path = "/people/{person}/helpers/{helper}", tag = "helpers",
    params(("person" = String, Path), ("helper" = String, Path)),
    responses((status = 200, body = HelperBody), Problems)
)]
async fn remove_helper(
    State(api): State<Api>,
    acting: Acting,
    Place((person, helper)): Place<(String, String)>,
    _: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let (person, helper) = (named(&person, "person")?, named(&helper, "helper")?);
    act_again(&api, acting, RemoveHelper { person, helper }).await
}
