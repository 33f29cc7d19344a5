//! Appeals: another human being reviews a refusal or a restriction.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::asks::{EmptyRequest, optional_words, visible_budget};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::representation::{MoneyBody, Page, PageQuery};
use crate::domain::ask::appeal::{
    Appeal, AppealState, AppealSubject, AppealSubjectKind, Appealable, InterimMeasure,
};
use crate::domain::id::{AppealId, PersonId};
use crate::domain::people::role::Capability;
use crate::people::asks::{
    AppealAnswerRequest, answer_appeal, appeal, appealable, take_back_appeal,
};
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_appeals, open_appeal))
        .routes(routes!(list_appealable))
        .routes(routes!(close_appeal))
        .routes(routes!(drop_appeal))
}

/// What somebody else is to review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAppeal {
    /// `ask:ask_…` (a refused ask), `refusal:dec_…` (a declined purchase without an ask),
    /// `pause:pause_…`, `card:…` (a card that staff froze), or `version:prop_…` (a change
    /// that a law forces).
    #[schema(pattern = "^((ask:ask|refusal:dec|pause:pause|version:prop)_[0-9a-f]{32}|\
                   card:[!-~]{1,200})$")]
    about: String,
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    words: Option<String>,
}

/// An appeal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AppealBody {
    appeal: String,
    about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    opened_by: String,
    #[schema(format = "date-time")]
    opened_at: String,
    /// What holds until it is answered.
    interim: InterimMeasure,
    #[schema(format = "date-time")]
    answer_by: String,
    state: AppealState,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    outcome: Option<OutcomeBody>,
}

/// The outcome of the review.
#[derive(Debug, Serialize, ToSchema)]
struct OutcomeBody {
    by: String,
    #[schema(format = "date-time")]
    at: String,
    words: String,
    /// Where to turn next, outside of the programme.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_step: Option<String>,
}

impl From<Appeal> for AppealBody {
    fn from(appeal: Appeal) -> Self {
        Self {
            appeal: appeal.id.to_string(),
            about: appeal.about.to_string(),
            words: appeal.words,
            opened_by: appeal.opened.member.to_string(),
            opened_at: appeal.opened_at.to_string(),
            interim: appeal.interim,
            answer_by: appeal.answer_by.to_string(),
            state: appeal.state,
            outcome: appeal.outcome.map(|outcome| OutcomeBody {
                by: outcome.by.member.to_string(),
                at: outcome.at.to_string(),
                words: outcome.words,
                next_step: outcome.next_step,
            }),
        }
    }
}

struct OpenAppeal {
    person: PersonId,
    about: AppealSubject,
    words: Option<String>,
}

impl ApiAction for OpenAppeal {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, about, words } = self;
        let appeal =
            appeal(tx, api.context(), principal, person, about.clone(), words.as_deref()).await?;
        Ok(ApiResponse::created(&AppealBody::from(appeal)))
    }
}

/// Open an appeal
///
/// Somebody other than the one who decided reviews it. A second appeal about the same thing gets
/// the first one.
#[utoipa::path(
    post, path = "/people/{person}/appeals", tag = "appeals",
    params(("person" = String, Path), IdempotencyKeyHeader),
    request_body = NewAppeal, responses((status = 201, body = AppealBody), Problems)
)]
async fn open_appeal(
    ApiPost { caller, path: person, body }: ApiPost<String, NewAppeal>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let about = body.about.parse();
    let what = "name a no, such as \"ask:ask_…\"";
    let about = about.map_err(|_| ApiError::Invalid(vec![FieldProblem::of("about", what)]))?;
    let words = optional_words(body.words.as_deref())?;
    caller.perform(OpenAppeal { person, about, words }).await
}

/// The appeals of a person, the newest first
#[utoipa::path(
    get, path = "/people/{person}/appeals", tag = "appeals",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<AppealBody>), Problems)
)]
async fn list_appeals(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<AppealBody>>, ApiError> {
    let person = parse_id(&person, "person")?;
    let page_size = query.page_size()?;
    let before = query.parse_cursor()?;
    let budget = match visible_budget(&api, &principal, &person).await {
        Err(ApiError::NotAllowed(_)) => {
            let (tx, access) = api.begin_read(&principal, Capability::Appeal, &person).await?;
            tx.commit().await?;
            access.budget
        }
        budget => budget?,
    };
    let limit = page_size.saturating_add(1);
    let appeals = api.store.appeals_of(&principal.programme, &budget, before, limit).await?;
    Ok(Json(Page::from_rows(appeals, page_size, |appeal| appeal.id.to_string(), AppealBody::from)))
}

/// A decision that can be appealed.
#[derive(Debug, Serialize, ToSchema)]
struct AppealableBody {
    /// The value for `about` of an appeal.
    about: String,
    /// `ask`: a refused ask; `refusal`: a declined purchase; `pause`; `card`: frozen by staff;
    /// `version`: forced by a law.
    kind: AppealSubjectKind,
    #[schema(format = "date-time")]
    decided_at: String,
    /// Until when it can be appealed; left out if that is for as long as it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    until: Option<String>,
    /// The reason for the decision: a code, or the words of the one who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The shop. Only the person sees the shop and the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    amount: Option<MoneyBody>,
}

impl From<Appealable> for AppealableBody {
    fn from(item: Appealable) -> Self {
        Self {
            about: item.about.to_string(),
            kind: item.about.kind(),
            decided_at: item.decided_at.to_string(),
            until: item.until.map(|until| until.to_string()),
            reason: item.reason,
            place: item.place,
            amount: item.amount.map(MoneyBody::from),
        }
    }
}

/// What can be appealed, the newest first.
#[derive(Debug, Serialize, ToSchema)]
struct AppealableList {
    data: Vec<AppealableBody>,
}

/// What can be appealed
///
/// For the person, their advocate, and a helper whom the person allows to appeal.
#[utoipa::path(
    get, path = "/people/{person}/appealable", tag = "appeals",
    params(("person" = String, Path)),
    responses((status = 200, body = AppealableList), Problems)
)]
async fn list_appealable(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<AppealableList>, ApiError> {
    let person = parse_id(&person, "person")?;
    api.programme(&principal.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let found = appealable(&mut tx, api.context(), &principal, &person).await?;
    tx.commit().await?;
    Ok(Json(AppealableList { data: found.into_iter().map(AppealableBody::from).collect() }))
}

/// The outcome of a review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
enum NewOutcome {
    Changed {
        #[schema(min_length = 1, max_length = 500)]
        words: String,
    },
    Kept {
        #[schema(min_length = 1, max_length = 500)]
        words: String,
        /// Where to turn next, outside of the programme.
        #[schema(min_length = 1, max_length = 500)]
        next_step: String,
    },
}

impl NewOutcome {
    fn answering(self, appeal: AppealId) -> Result<AppealAnswerRequest, ApiError> {
        let (said, next_step) = match self {
            Self::Changed { words } => (words, None),
            Self::Kept { words, next_step } => (words, Some(next_step)),
        };
        let next_step = next_step.map(|text| check_words("next_step", &text)).transpose()?;
        Ok(AppealAnswerRequest { appeal, next_step, words: check_words("words", &said)? })
    }
}

struct CloseAppeal {
    person: PersonId,
    answering: AppealAnswerRequest,
}

impl ApiAction for CloseAppeal {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, answering } = self;
        let appeal = answer_appeal(tx, api.context(), principal, person, answering).await?;
        Ok(ApiResponse::ok(&AppealBody::from(appeal)))
    }
}

/// Answer an appeal
///
/// Only a human being other than the one who decided can answer it.
#[utoipa::path(
    post, path = "/people/{person}/appeals/{appeal}/outcome", tag = "appeals",
    params(("person" = String, Path), ("appeal" = String, Path), IdempotencyKeyHeader),
    request_body = NewOutcome, responses((status = 200, body = AppealBody), Problems)
)]
async fn close_appeal(
    ApiPost { caller, path: (person, appeal), body }: ApiPost<(String, String), NewOutcome>,
) -> Result<Response, ApiError> {
    let (person, appeal) = (parse_id(&person, "person")?, parse_id(&appeal, "appeal")?);
    let answering = body.answering(appeal)?;
    caller.perform(CloseAppeal { person, answering }).await
}

struct WithdrawAppeal {
    person: PersonId,
    appeal: AppealId,
}

impl ApiAction for WithdrawAppeal {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let appeal =
            take_back_appeal(tx, api.context(), principal, &self.person, self.appeal).await?;
        Ok(ApiResponse::ok(&AppealBody::from(appeal)))
    }
}

/// Take an appeal back
#[utoipa::path(
    post, path = "/people/{person}/appeals/{appeal}/taken-back", tag = "appeals",
    params(("person" = String, Path), ("appeal" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = AppealBody), Problems)
)]
async fn drop_appeal(
    ApiPost { caller, path: (person, appeal), .. }: ApiPost<(String, String), EmptyRequest>,
) -> Result<Response, ApiError> {
    let (person, appeal) = (parse_id(&person, "person")?, parse_id(&appeal, "appeal")?);
    caller.perform(WithdrawAppeal { person, appeal }).await
}
