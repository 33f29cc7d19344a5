//! Asking for a one-time OK, and answering.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ApiAction, ApiResponse, perform, perform_idempotent};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiJson, ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::representation::{MoneyBody, Page, PageQuery};
use crate::domain::ask::{Ask, AskAnswer, AskKind, AskRefusalReason, AskReply, GrantScope};
use crate::domain::id::{AskId, BudgetId, PersonId};
use crate::domain::money::{Currency, Money};
use crate::domain::people::role::Capability;
use crate::domain::shop::merchant::Category;
use crate::people::asks;
use crate::people::asks::{AskAnswerRequest, AskRequest, AskTarget, UseCaseContext};
use crate::people::members::{Principal, UseCaseError};
use crate::store::Tx;
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

pub(super) fn context(api: &Api) -> UseCaseContext<'_> {
    UseCaseContext { directory: &api.directory, ids: &api.ids }
}

/// What is asked for: a purchase that was not paid, a shop, or a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAsk {
    /// The decision not to pay, or `latest`.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    purchase: Option<String>,
    /// The name of a shop.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    shop: Option<String>,
    /// A purchase that was paid (`pur_…`): its shop is meant.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    bought: Option<String>,
    /// A group of shops, by its short name.
    #[schema(nullable = false, min_length = 1, max_length = 24)]
    group: Option<String>,
    /// For the whole group of the purchase, and not for that shop alone.
    #[serde(default)]
    whole_group: bool,
    /// The card company says that the shop is something that it is not.
    #[serde(default)]
    wrong_group: bool,
    /// Up to how much; left out, it is the sum that was not paid.
    #[schema(nullable = false)]
    up_to: Option<RequestedAmount>,
    /// Nobody has to say anything.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    words: Option<String>,
}

/// An amount that is sent.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Sum)]
struct RequestedAmount {
    /// In minor units: pence of a pound.
    #[schema(minimum = 1)]
    amount: i64,
    /// ISO 4217.
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

/// What somebody wants to say, if anything.
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
                AskTarget::Refusal { decision, reach }
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

/// An ask.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AskBody {
    ask: String,
    /// `one_time`, or `wrong_group`.
    kind: &'static str,
    /// What it is for, such as `category:phone`.
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<String>,
    /// The shop: whoever asks about it says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    place: Option<String>,
    amount: MoneyBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refused_for: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    /// `essential`, or `ordinary`.
    urgency: &'static str,
    asked_by: String,
    #[schema(format = "date-time")]
    asked_at: String,
    /// `sent`, `seen`, `talk_first`, `yes`, `yes_less`, `not_this_time` or `taken_back`.
    state: &'static str,
    /// Whose turn it is: `worker`, `cover`, `manager` or `decided`.
    step: &'static str,
    /// When it passes on by itself.
    #[schema(format = "date-time")]
    answer_by: String,
    #[schema(format = "date-time")]
    decide_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<AnswerBody>,
}

/// What was answered.
#[derive(Debug, Serialize, ToSchema)]
struct AnswerBody {
    /// Left out when nobody answered, and the programme had said that it is a yes then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
    #[schema(format = "date-time")]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    up_to: Option<MoneyBody>,
    /// What the yes is for: the shop that was asked for, or its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    ends_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    permission: Option<String>,
    /// When an answer out of hours is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    review_on: Option<String>,
    /// Who has looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    looked_by: Option<String>,
    /// What they had to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    looked_words: Option<String>,
}

impl From<Ask> for AskBody {
    fn from(ask: Ask) -> Self {
        Self {
            ask: ask.id.to_string(),
            kind: ask.kind.word(),
            scope: ask.scope.to_string(),
            group: ask.category.map(|category| category.to_string()),
            place: ask.place,
            amount: ask.amount.into(),
            decision: ask.decision.map(|id| id.to_string()),
            refused_for: ask
                .refused_for
                .map(crate::domain::decision::reason_code::ReasonCode::as_str),
            words: ask.words,
            urgency: ask.urgency.word(),
            asked_by: ask.asked.member.to_string(),
            asked_at: ask.asked_at.to_string(),
            state: ask.state.word(),
            step: ask.step.word(),
            answer_by: ask.answer_by.to_string(),
            decide_by: ask.decide_by.to_string(),
            answer: ask.answer.map(AnswerBody::from),
        }
    }
}

impl From<AskAnswer> for AnswerBody {
    fn from(answer: AskAnswer) -> Self {
        Self {
            by: answer.by.map(|by| by.member.to_string()),
            at: answer.at.to_string(),
            reason: answer.reason.map(AskRefusalReason::word),
            words: answer.words,
            up_to: answer.up_to.map(MoneyBody::from),
            scope: answer.scope.map(|scope| scope.to_string()),
            ends_at: answer.ends_at.map(|at| at.to_string()),
            permission: answer.permission.map(|id| id.to_string()),
            review_on: answer.review_on.map(|date| date.to_string()),
            looked_by: answer.review.as_ref().map(|look| look.by.member.to_string()),
            looked_words: answer.review.and_then(|look| look.words),
        }
    }
}

/// What is done to an ask.
enum AskCommand {
    See,
    Answer(AskAnswerRequest),
    PassOn(Option<String>),
    TakeBack,
}

struct AskAction {
    person: PersonId,
    ask: AskId,
    command: AskCommand,
}

impl ApiAction for AskAction {
    async fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> Result<ApiResponse, UseCaseError> {
        let Self { person, ask, command } = self;
        let context = context(api);
        let ask = match command {
            AskCommand::See => asks::mark_seen(tx, context, acting, person, *ask).await?,
            AskCommand::Answer(answering) => {
                asks::answer(tx, context, acting, person, answering).await?
            }
            AskCommand::PassOn(words) => {
                asks::pass_on(tx, context, acting, person, *ask, words.as_deref()).await?
            }
            AskCommand::TakeBack => asks::take_back(tx, context, acting, person, *ask).await?,
        };
        Ok(ApiResponse::ok(&AskBody::from(ask)))
    }
}

struct MakeAsk {
    person: PersonId,
    wish: AskRequest,
}

impl ApiAction for MakeAsk {
    async fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> Result<ApiResponse, UseCaseError> {
        let ask = asks::ask(tx, context(api), acting, &self.person, &self.wish).await?;
        Ok(ApiResponse::created(&AskBody::from(ask)))
    }
}

struct Suggest {
    person: PersonId,
    ask: AskId,
    words: String,
}

impl ApiAction for Suggest {
    async fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> Result<ApiResponse, UseCaseError> {
        let Self { person, ask, words } = self;
        asks::suggest(tx, context(api), acting, person, *ask, words).await?;
        Ok(ApiResponse::created(&SuggestionBody { words: words.clone() }))
    }
}

/// Ask for a one-time OK
///
/// Asked twice, it is one ask with one deadline.
#[utoipa::path(
    post, path = "/people/{person}/asks", tag = "asks", params(("person" = String, Path), IdempotencyKeyHeader),
    request_body = NewAsk, responses((status = 201, body = AskBody), Problems)
)]
async fn ask(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewAsk>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let wish = body.wish()?;
    perform(&api, acting, key, MakeAsk { person, wish }).await
}

/// The asks of a person, the newest first
#[utoipa::path(
    get, path = "/people/{person}/asks", tag = "asks",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<AskBody>), Problems)
)]
async fn list_asks(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<AskBody>>, ApiError> {
    let person = parse_id(&person, "person")?;
    let page_size = query.page_size()?;
    let before = query.parse_cursor()?;
    let budget = visible_budget(&api, &acting, &person).await?;
    let limit = page_size.saturating_add(1);
    let asks = api.store.asks_of(&acting.programme, &budget, before, limit).await?;
    Ok(Json(Page::from_rows(asks, page_size, |ask| ask.id.to_string(), AskBody::from)))
}

/// Whoever sees what was done sees what was asked.
pub(super) async fn visible_budget(
    api: &Api,
    acting: &Principal,
    person: &PersonId,
) -> Result<BudgetId, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let access = acting.admit_to_read(&mut tx, Capability::SeeTimeline, person).await?;
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
    acting: Principal,
    ApiPath((person, ask)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<AskBody>, ApiError> {
    let (person, id) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let budget = visible_budget(&api, &acting, &person).await?;
    let mut tx = api.store.snapshot().await?;
    let ask = tx.ask(&acting.programme, &budget, id).await?;
    tx.commit().await?;
    Ok(Json(ask.ok_or(ApiError::NotFound("ask"))?.into()))
}

async fn perform_command(
    api: &Api,
    acting: Principal,
    place: (String, String),
    key: super::extract::RequestFingerprint,
    command: impl FnOnce(AskId) -> Result<AskCommand, ApiError>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&place.0, "person")?, parse_id(&place.1, "ask")?);
    let command = command(ask)?;
    perform(api, acting, key, AskAction { person, ask, command }).await
}

/// Somebody who may answer has opened it
#[utoipa::path(
    put, path = "/people/{person}/asks/{ask}/seen", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path)),
    responses((status = 200, body = AskBody), Problems)
)]
async fn see_ask(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, ask)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    perform_idempotent(&api, acting, AskAction { person, ask, command: AskCommand::See }).await
}

/// Nothing has to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Plain)]
pub(super) struct EmptyRequest {}

/// An answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
enum NewAnswer {
    /// A one-time OK: for the purchase's shop or its whole group, 48 hours if nothing is said.
    Yes {
        /// Less than was asked.
        #[schema(nullable = false)]
        up_to: Option<RequestedAmount>,
        #[serde(default)]
        whole_group: bool,
        #[schema(nullable = false, value_type = Option<String>, format = "date-time")]
        ends_at: Option<Timestamp>,
        #[schema(nullable = false, min_length = 1, max_length = 500)]
        words: Option<String>,
    },
    /// With a reason from the plain list: that it is poor value is none.
    NotThisTime {
        /// `law_of_money`, `not_in_purpose`, `over_agreed_sum`, `safety_record` or
        /// `not_enough_money`.
        #[schema(
            pattern = "^(law_of_money|not_in_purpose|over_agreed_sum|safety_record|not_enough_money)$"
        )]
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
    fn answering(self, ask: AskId) -> Result<AskAnswerRequest, ApiError> {
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
        Ok(AskAnswerRequest { ask, reply, words: optional_words(words.as_deref())? })
    }
}

/// Answer an ask
///
/// A yes is a permission from the next moment on. Of two who answer at once the first counts. The same
/// answer sent twice is one answer; another one gets 409, with the answer that stands.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/answer", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = NewAnswer, responses((status = 200, body = AskBody), Problems)
)]
async fn answer_ask(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(place): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewAnswer>,
) -> Result<Response, ApiError> {
    perform_command(&api, acting, place, key, |ask| Ok(AskCommand::Answer(body.answering(ask)?)))
        .await
}

/// Words that may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SomeWords)]
pub(super) struct OptionalWordsBody {
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    pub(super) words: Option<String>,
}

/// Leave the answer to the manager
///
/// Over the own limit, or because of a link to the person. The person's clock runs on.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/pass-on", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = OptionalWordsBody, responses((status = 200, body = AskBody), Problems)
)]
async fn pass_ask_on(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(place): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<OptionalWordsBody>,
) -> Result<Response, ApiError> {
    let command = |_| Ok(AskCommand::PassOn(optional_words(body.words.as_deref())?));
    perform_command(&api, acting, place, key, command).await
}

/// An idea.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Suggested)]
struct SuggestionBody {
    #[schema(min_length = 1, max_length = 500)]
    words: String,
}

/// Tell an idea
///
/// It is a note: it answers nothing and stops nothing.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/suggestions", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = SuggestionBody, responses((status = 201, body = SuggestionBody), Problems)
)]
async fn suggest(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, ask)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<SuggestionBody>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let words = check_words("words", &body.words)?;
    perform(&api, acting, key, Suggest { person, ask, words }).await
}

/// Take an ask back
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/taken-back", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = AskBody), Problems)
)]
async fn take_ask_back(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(place): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body: EmptyRequest {} }: ApiJson<EmptyRequest>,
) -> Result<Response, ApiError> {
    perform_command(&api, acting, place, key, |_| Ok(AskCommand::TakeBack)).await
}
