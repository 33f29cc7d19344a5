//! Asks for a one-time OK, and the answers to them.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{
    ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse, perform_idempotent,
};
use super::ask_views::AskBody;
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::representation::{Page, PageQuery};
use crate::domain::ask::{AskKind, AskRefusalReason, AskReply, GrantScope};
use crate::domain::id::{AskId, BudgetId, PersonId};
use crate::domain::money::{Currency, Money};
use crate::domain::people::role::Capability;
use crate::domain::shop::merchant::Category;
use crate::people::asks;
use crate::people::asks::{AskAnswerRequest, AskChange, AskRequest, AskTarget};
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_asks, ask))
        .routes(routes!(one_ask))
        .routes(routes!(see_ask))
        .routes(routes!(answer_ask))
        .routes(routes!(pass_ask_on))
        .routes(routes!(suggest))
        .routes(routes!(take_ask_back))
}

/// An ask about exactly one of: a purchase that was not paid, a shop, a paid purchase, a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAsk {
    /// The decision that declined the purchase (`dec_…`), or `latest`.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    purchase: Option<String>,
    /// The name of a shop.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    shop: Option<String>,
    /// A paid purchase (`pur_…`), to ask for its shop.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    bought: Option<String>,
    /// A group of shops, by its short name.
    #[schema(nullable = false, min_length = 1, max_length = 24)]
    group: Option<String>,
    /// Asks for the whole group of the purchase instead of its shop only.
    #[serde(default)]
    whole_group: bool,
    /// The card company reports a wrong group for the shop.
    #[serde(default)]
    wrong_group: bool,
    /// The maximum amount; left out: the amount that was not paid.
    #[schema(nullable = false)]
    up_to: Option<RequestedAmount>,
    /// An optional explanation.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    words: Option<String>,
}

/// An amount in a request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Sum)]
struct RequestedAmount {
    /// In minor units, such as pence.
    #[schema(minimum = 1)]
    amount: i64,
    /// A currency code (ISO 4217).
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
}

impl RequestedAmount {
    fn money(&self) -> Result<Money, ApiError> {
        let currency = self.currency.parse::<Currency>();
        let currency =
            currency.map_err(|_| invalid_field("up_to/currency", "use a code of ISO 4217"))?;
        Ok(Money::from_minor(self.amount, currency))
    }
}

fn invalid_field(field: &str, what: &str) -> ApiError {
    ApiError::Invalid(vec![FieldProblem::of(field, what)])
}

/// Checks an optional text with [`check_words`].
pub(super) fn optional_words(text: Option<&str>) -> Result<Option<String>, ApiError> {
    text.map(|text| check_words("words", text)).transpose()
}

impl NewAsk {
    fn wish(&self) -> Result<AskRequest, ApiError> {
        let reach = if self.whole_group { GrantScope::Group } else { GrantScope::Place };
        let about = match (&self.purchase, &self.shop, &self.bought, &self.group) {
            (Some(purchase), None, None, None) => {
                let decision = match purchase.as_str() {
                    "latest" => None,
                    id => Some(id.parse().map_err(|_| ApiError::NotFound("purchase"))?),
                };
                AskTarget::Decline { decision, reach }
            }
            (None, None, Some(bought), None) => {
                let purchase = bought.parse().map_err(|_| ApiError::NotFound("purchase"))?;
                AskTarget::Bought { purchase }
            }
            (None, Some(shop), None, None) => AskTarget::Shop { name: check_words("shop", shop)? },
            (None, None, None, Some(group)) => {
                let category = Category::parse(group);
                let category =
                    category.map_err(|_| invalid_field("group", "there is no such group"))?;
                AskTarget::Group { category }
            }
            (_, _, _, _) => {
                let what = "name one of: a purchase, a shop, something bought, a group";
                return Err(invalid_field("purchase", what));
            }
        };
        Ok(AskRequest {
            kind: if self.wrong_group { AskKind::WrongGroup } else { AskKind::OneTime },
            about,
            up_to: self.up_to.as_ref().map(RequestedAmount::money).transpose()?,
            words: optional_words(self.words.as_deref())?,
        })
    }
}

struct MakeAsk {
    person: PersonId,
    wish: AskRequest,
}

impl ApiAction for MakeAsk {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let ask = asks::ask(tx, api.context(), principal, &self.person, &self.wish).await?;
        Ok(ApiResponse::created(&AskBody::from(ask)))
    }
}

struct Suggest {
    person: PersonId,
    ask: AskId,
    words: String,
}

impl ApiAction for Suggest {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, ask, words } = self;
        asks::suggest(tx, api.context(), principal, person, *ask, words).await?;
        Ok(ApiResponse::created(&SuggestionBody { words: words.clone() }))
    }
}

/// Ask for a one-time OK
///
/// Asking twice for the same thing gives one ask with one deadline.
#[utoipa::path(
    post, path = "/people/{person}/asks", tag = "asks",
    params(("person" = String, Path), IdempotencyKeyHeader),
    request_body = NewAsk, responses((status = 201, body = AskBody), Problems)
)]
async fn ask(
    ApiPost { caller, path: person, body }: ApiPost<String, NewAsk>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let wish = body.wish()?;
    caller.perform(MakeAsk { person, wish }).await
}

/// The asks of a person, the newest first
#[utoipa::path(
    get, path = "/people/{person}/asks", tag = "asks",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<AskBody>), Problems)
)]
async fn list_asks(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<AskBody>>, ApiError> {
    let person = parse_id(&person, "person")?;
    let page_size = query.page_size()?;
    let before = query.parse_cursor()?;
    let budget = visible_budget(&api, &principal, &person).await?;
    let limit = page_size.saturating_add(1);
    let asks = api.store.asks_of(&principal.programme, &budget, before, limit).await?;
    Ok(Json(Page::from_rows(asks, page_size, |ask| ask.id.to_string(), AskBody::from)))
}

/// The person's budget, if the account may see the timeline: an account that sees the acts also
/// sees the asks.
pub(super) async fn visible_budget(
    api: &Api,
    principal: &Principal,
    person: &PersonId,
) -> Result<BudgetId, ApiError> {
    let (tx, access) = api.begin_read(principal, Capability::SeeTimeline, person).await?;
    tx.commit().await?;
    Ok(access.budget)
}

/// One ask
#[utoipa::path(
    get, path = "/people/{person}/asks/{ask}", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path)),
    responses((status = 200, body = AskBody), Problems)
)]
async fn one_ask(
    State(api): State<Api>,
    principal: Principal,
    ApiPath((person, ask)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<AskBody>, ApiError> {
    let (person, id) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let budget = visible_budget(&api, &principal, &person).await?;
    let mut tx = api.store.snapshot().await?;
    let ask = tx.ask(&principal.programme, &budget, id).await?;
    tx.commit().await?;
    Ok(Json(ask.ok_or(ApiError::NotFound("ask"))?.into()))
}

/// A change of an ask.
pub(super) struct ChangeAsk {
    pub(super) person: PersonId,
    pub(super) ask: AskId,
    pub(super) change: AskChange,
}

impl ApiAction for ChangeAsk {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, ask, change } = self;
        let ask = asks::change(tx, api.context(), principal, person, *ask, change).await?;
        Ok(ApiResponse::ok(&AskBody::from(ask)))
    }
}

/// Mark an ask as seen
///
/// For a member who may answer it. The person can see it.
#[utoipa::path(
    put, path = "/people/{person}/asks/{ask}/seen", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path)),
    responses((status = 200, body = AskBody), Problems)
)]
async fn see_ask(
    State(api): State<Api>,
    principal: Principal,
    ApiPath((person, ask)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    perform_idempotent(&api, principal, ChangeAsk { person, ask, change: AskChange::See }).await
}

/// An empty body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Plain)]
pub(super) struct EmptyRequest {}

/// An answer to an ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
enum NewAnswer {
    /// A one-time OK for the shop of the purchase or its whole group. It ends after 48 hours if
    /// `ends_at` is left out.
    Yes {
        /// A smaller amount than was asked for.
        #[schema(nullable = false)]
        up_to: Option<RequestedAmount>,
        #[serde(default)]
        whole_group: bool,
        #[schema(nullable = false, value_type = Option<String>, format = "date-time")]
        ends_at: Option<Timestamp>,
        #[schema(nullable = false, min_length = 1, max_length = 500)]
        words: Option<String>,
    },
    /// A refusal with a reason from a fixed list. That something is poor value is not a reason.
    NotThisTime {
        /// `law_of_money`, `not_in_purpose`, `over_agreed_sum`, `safety_record` or
        /// `not_enough_money`.
        #[schema(pattern = "^(law_of_money|not_in_purpose|over_agreed_sum|safety_record|\
                       not_enough_money)$")]
        reason: String,
        #[schema(nullable = false, min_length = 1, max_length = 500)]
        words: Option<String>,
    },
    TalkFirst {
        #[schema(value_type = String, format = "date-time")]
        by: Timestamp,
        #[schema(nullable = false, min_length = 1, max_length = 500)]
        words: Option<String>,
    },
}

impl NewAnswer {
    fn answering(self) -> Result<AskAnswerRequest, ApiError> {
        let (reply, words) = match self {
            Self::Yes { up_to, whole_group, ends_at, words } => {
                let up_to = up_to.as_ref().map(RequestedAmount::money).transpose()?;
                let reach = if whole_group { GrantScope::Group } else { GrantScope::Place };
                (AskReply::Yes { up_to, reach, ends_at }, words)
            }
            Self::NotThisTime { reason, words } => {
                let known = AskRefusalReason::from_word(&reason);
                let all: Vec<_> =
                    AskRefusalReason::ALL.iter().map(|reason| reason.word()).collect();
                let what = format!("use one of: {}", all.join(", "));
                (AskReply::NotThisTime(known.ok_or_else(|| invalid_field("reason", &what))?), words)
            }
            Self::TalkFirst { by, words } => (AskReply::TalkFirst { by }, words),
        };
        Ok(AskAnswerRequest { reply, words: optional_words(words.as_deref())? })
    }
}

/// Answer an ask
///
/// A yes is a permission at once. If two members answer at the same time, the first answer counts.
/// The same answer sent twice counts once; a different one gets 409 with the existing answer.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/answer", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = NewAnswer, responses((status = 200, body = AskBody), Problems)
)]
async fn answer_ask(
    ApiPost { caller, path: (person, ask), body }: ApiPost<(String, String), NewAnswer>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let change = AskChange::Answer(body.answering()?);
    caller.perform(ChangeAsk { person, ask, change }).await
}

/// Optional words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SomeWords)]
pub(super) struct OptionalWordsBody {
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    pub(super) words: Option<String>,
}

/// Pass an ask on to the manager
///
/// For an ask over the member's own limit, or about a person to whom they have a link. The
/// deadlines for the person do not change.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/pass-on", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = OptionalWordsBody, responses((status = 200, body = AskBody), Problems)
)]
async fn pass_ask_on(
    ApiPost { caller, path: (person, ask), body }: ApiPost<(String, String), OptionalWordsBody>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let change = AskChange::PassOn { words: optional_words(body.words.as_deref())? };
    caller.perform(ChangeAsk { person, ask, change }).await
}

/// A suggestion.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Suggested)]
struct SuggestionBody {
    #[schema(min_length = 1, max_length = 500)]
    words: String,
}

/// Make a suggestion about an ask
///
/// It is a note: it does not answer the ask and stops nothing.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/suggestions", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = SuggestionBody, responses((status = 201, body = SuggestionBody), Problems)
)]
async fn suggest(
    ApiPost { caller, path: (person, ask), body }: ApiPost<(String, String), SuggestionBody>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let words = check_words("words", &body.words)?;
    caller.perform(Suggest { person, ask, words }).await
}

/// Take an ask back
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/taken-back", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = AskBody), Problems)
)]
async fn take_ask_back(
    ApiPost { caller, path: (person, ask), .. }: ApiPost<(String, String), EmptyRequest>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    caller.perform(ChangeAsk { person, ask, change: AskChange::TakeBack }).await
}
