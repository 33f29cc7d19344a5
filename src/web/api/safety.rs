//! Safety: who has the card, recorded talks, the quiet word, and texts from the person.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::asks::optional_words;
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::representation::{Page, PageQuery};
use crate::domain::card::safety::{CardCustodian, Custody, Talk};
use crate::domain::id::PersonId;
use crate::domain::people::role::Capability;
use crate::domain::people::signal::{Signal, SignalKind};
use crate::messages::words::Words;
use crate::people::asks;
use crate::people::asks::TalkNotes;
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(custody, hand_card))
        .routes(routes!(talks, talk))
        .routes(routes!(choose_quiet_word))
        .routes(routes!(text))
        .routes(routes!(signals))
}

/// Who has the card.
#[derive(Debug, Serialize, ToSchema)]
struct CustodyBody {
    holder: CardCustodian,
    /// The holder's name, in the person's words; left out if it was never recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    since: Option<String>,
    /// When the person and the worker review it; only while the person does not have the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date)]
    review_on: Option<String>,
    /// Whether that day has come. An overdue review changes nothing by itself.
    due: bool,
}

impl From<Custody> for CustodyBody {
    fn from(custody: Custody) -> Self {
        Self {
            holder: custody.holder,
            name: Some(custody.name),
            since: Some(custody.since.to_string()),
            review_on: custody.review_on.map(|on| on.to_string()),
            due: false,
        }
    }
}

/// Who has the card
#[utoipa::path(
    get, path = "/people/{person}/custody", tag = "safety", params(("person" = String, Path)),
    responses((status = 200, body = CustodyBody), Problems)
)]
async fn custody(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<CustodyBody>, ApiError> {
    let programme = api.programme(&principal.programme).await?;
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeTimeline, &person).await?;
    let custody = tx.custody(&access.programme, &access.budget).await?;
    tx.commit().await?;
    let today = programme.zone().to_datetime(principal.at).date();
    Ok(Json(match custody {
        Some(custody) => {
            let due = custody.is_due(today);
            CustodyBody { due, ..custody.into() }
        }
        None => CustodyBody {
            holder: CardCustodian::Person,
            name: None,
            since: None,
            review_on: None,
            due: false,
        },
    }))
}

/// Who has the card from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCustody {
    /// `person`, `helper` (somebody whom the person chose) or `kept_safe` (by the programme).
    holder: String,
    /// The holder's name, which is required unless the person has the card.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    name: Option<String>,
}

struct ChangeCustody {
    person: PersonId,
    holder: CardCustodian,
    name: Option<String>,
}

impl ApiAction for ChangeCustody {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let Self { person, holder, name } = self;
        let context = api.context();
        let custody =
            asks::record_custody(tx, context, principal, person, *holder, name.as_deref()).await?;
        Ok(ApiResponse::created(&CustodyBody::from(custody)))
    }
}

/// Record who has the card
///
/// Only the person can record it. The card comes back when they say so; the worker is told.
#[utoipa::path(
    post, path = "/people/{person}/custody", tag = "safety",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewCustody,
    responses((status = 201, body = CustodyBody), Problems)
)]
async fn hand_card(
    ApiPost { caller, path: person, body }: ApiPost<String, NewCustody>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let what = "use one of: person, helper, kept_safe";
    let holder = CardCustodian::from_word(&body.holder);
    let holder = holder.ok_or_else(|| ApiError::Invalid(vec![FieldProblem::of("holder", what)]))?;
    let name = body.name.as_deref().map(|name| check_words("name", name)).transpose()?;
    caller.perform(ChangeCustody { person, holder, name }).await
}

/// A recorded talk about safety.
#[derive(Debug, Serialize, ToSchema)]
struct TalkBody {
    talk: String,
    by: String,
    #[schema(format = DateTime)]
    at: String,
    concern: String,
    wants: String,
    consent: String,
    options: String,
    next_step: String,
}

impl From<Talk> for TalkBody {
    fn from(talk: Talk) -> Self {
        let Talk { id, by, concern, wants, consent, options, next_step, at } = talk;
        let (talk, by, at) = (id.to_string(), by.to_string(), at.to_string());
        Self { talk, by, at, concern, wants, consent, options, next_step }
    }
}

/// What was said in a talk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTalk {
    #[schema(min_length = 1, max_length = 500)]
    concern: String,
    /// What the person wants.
    #[schema(min_length = 1, max_length = 500)]
    wants: String,
    /// Whether the person understood and agreed, and how this was established.
    #[schema(min_length = 1, max_length = 500)]
    consent: String,
    /// Less restrictive options, and why each was or was not enough.
    #[schema(min_length = 1, max_length = 500)]
    options: String,
    #[schema(min_length = 1, max_length = 500)]
    next_step: String,
}

struct RecordTalk {
    person: PersonId,
    talked: TalkNotes,
}

impl ApiAction for RecordTalk {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let talk =
            asks::record_talk(tx, api.context(), principal, &self.person, &self.talked).await?;
        Ok(ApiResponse::created(&TalkBody::from(talk)))
    }
}

/// Record a talk about safety
///
/// It is required before a pause, and before a refusal for safety. The person can read it.
#[utoipa::path(
    post, path = "/people/{person}/talks", tag = "safety",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewTalk,
    responses((status = 201, body = TalkBody), Problems)
)]
async fn talk(
    ApiPost { caller, path: person, body }: ApiPost<String, NewTalk>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let talked = TalkNotes {
        concern: check_words("concern", &body.concern)?,
        wants: check_words("wants", &body.wants)?,
        consent: check_words("consent", &body.consent)?,
        options: check_words("options", &body.options)?,
        next_step: check_words("next_step", &body.next_step)?,
    };
    caller.perform(RecordTalk { person, talked }).await
}

/// The talks about a person's safety, the newest first
#[utoipa::path(
    get, path = "/people/{person}/talks", tag = "safety",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<TalkBody>), Problems)
)]
async fn talks(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<TalkBody>>, ApiError> {
    let (page_size, before) = (page.page_size()?, page.parse_cursor()?);
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeTimeline, &person).await?;
    let limit = page_size.saturating_add(1);
    let talks = tx.talks_of(&access.programme, &access.budget, before, limit).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(talks, page_size, |talk| talk.id.to_string(), TalkBody::from)))
}

/// A quiet word: something that the person could text to anybody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewQuietWord {
    /// 4 to 100 letters and digits. Only its digest is kept, so nobody can read it again.
    #[schema(min_length = 4, max_length = 100)]
    word: String,
}

/// Confirms that the word is kept, without repeating it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Kept)]
struct QuietWordBody {
    kept: bool,
}

struct ChooseQuietWord {
    person: PersonId,
    word: String,
}

impl ApiAction for ChooseQuietWord {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        asks::choose_quiet_word(tx, api.context(), principal, &self.person, &self.word).await?;
        Ok(ApiResponse::ok(&QuietWordBody { kept: true }))
    }
}

/// Choose a quiet word for help
#[utoipa::path(
    post, path = "/people/{person}/quiet-word", tag = "safety",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewQuietWord,
    responses((status = 200, body = QuietWordBody), Problems)
)]
async fn choose_quiet_word(
    ApiPost { caller, path: person, body }: ApiPost<String, NewQuietWord>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let word = check_words("word", &body.word)?;
    caller.perform(ChooseQuietWord { person, word }).await
}

/// A text that the person sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewText {
    #[schema(max_length = 500)]
    text: String,
}

/// The reply to a text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reply)]
struct TextReplyBody {
    reply: String,
}

struct SendText {
    person: PersonId,
    text: String,
}

impl ApiAction for SendText {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let reply =
            asks::receive_text(tx, api.context(), principal, &self.person, &self.text).await?;
        Ok(ApiResponse::ok(&TextReplyBody { reply }))
    }
}

/// Send a text that is not a command
///
/// The reply is always the same.
#[utoipa::path(
    post, path = "/people/{person}/texts", tag = "safety",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewText,
    responses((status = 200, body = TextReplyBody), Problems)
)]
async fn text(
    ApiPost { caller, path: person, body }: ApiPost<String, NewText>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let text = optional_words(
        Some(&body.text).filter(|text| !text.trim().is_empty()).map(String::as_str),
    )?;
    caller.perform(SendText { person, text: text.unwrap_or_default() }).await
}

/// Signs that a talk may be useful. They stop nothing.
#[derive(Debug, Serialize, ToSchema)]
struct Signals {
    signals: Vec<SignalBody>,
}

/// A sign that a talk may be useful.
#[derive(Debug, Serialize, ToSchema)]
struct SignalBody {
    kind: SignalKind,
    words: String,
}

/// Signs that a talk may be useful
///
/// They are computed when they are read, and are never a reason to decline. The person reads the
/// same.
#[utoipa::path(
    get, path = "/people/{person}/signals", tag = "safety", params(("person" = String, Path)),
    responses((status = 200, body = Signals), Problems)
)]
async fn signals(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<Signals>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let found = asks::safety_signals(&mut tx, api.context(), &principal, &person).await?;
    tx.commit().await?;
    let body = |signal: Signal| SignalBody {
        kind: signal.kind(),
        words: Words::english().signal(&signal, programme.zone()),
    };
    Ok(Json(Signals { signals: found.into_iter().map(body).collect() }))
}
