//! The asks and appeals that wait for the caller, over all people whom they may answer.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::ApiPost;
use super::appeals::AppealBody;
use super::ask_views::AskBody;
use super::asks::{ChangeAsk, OptionalWordsBody, optional_words};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiQuery, parse_id};
use super::representation::{Page, PageQuery, page_size, parse_cursor};
use crate::domain::ask::Ask;
use crate::domain::ask::appeal::Appeal;
use crate::domain::id::WorkerId;
use crate::domain::people::role::{AccessScope, Actor, Capability};
use crate::people::asks::AskChange;
use crate::people::members::Principal;
use crate::people::tokens::TokenRejection;
use crate::store::{QueueCursor, QueueItem, Tx};
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(asks_in_line))
        .routes(routes!(appeals_in_line))
        .routes(routes!(look_at))
}

/// Whose caseload a person is in, as the reader of a queue sees it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Caseload {
    Own,
    /// That of a worker whom the reader covers for.
    Covered,
    Programme,
}

/// The person whom a queued item is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Whom)]
struct QueueSubject {
    person: String,
    /// Left out for roles that do not see names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    worker: String,
    /// Whose caseload the person is in. `covered`: that of a worker who is away.
    caseload: Caseload,
    /// Seconds until it passes to somebody else; negative if it is overdue. Left out if there is no
    /// deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seconds_left: Option<i64>,
}

/// An ask in a queue.
#[derive(Debug, Serialize, ToSchema)]
struct AskInLine {
    #[serde(flatten)]
    whom: QueueSubject,
    ask: AskBody,
}

/// An appeal in a queue.
#[derive(Debug, Serialize, ToSchema)]
struct AppealInLine {
    #[serde(flatten)]
    whom: QueueSubject,
    appeal: AppealBody,
}

/// The cursor of a queue: `key/id`.
struct QueuePageStart<K, I>(QueueCursor<K, I>);

impl<K: FromStr, I: FromStr> FromStr for QueuePageStart<K, I> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (key, id) = text.split_once('/').ok_or(())?;
        let key = key.parse().map_err(|_| ())?;
        Ok(Self(QueueCursor { key, id: id.parse().map_err(|_| ())? }))
    }
}

fn cursor_of(key: impl fmt::Display, id: impl fmt::Display) -> String {
    format!("{key}/{id}")
}

/// The caller.
///
/// # Errors
///
/// [`ApiError::NotAllowed`] when the role of the caller never has the capability `act`.
async fn actor(tx: &mut Tx, principal: &Principal, act: Capability) -> Result<Actor, ApiError> {
    let actor =
        tx.actor_without_lock(&principal.programme, &principal.member, principal.at).await?;
    let actor = actor.ok_or(ApiError::InvalidToken(TokenRejection::Ended))?;
    if actor.member.role.access_scope(act) == AccessScope::Never {
        return Err(ApiError::NotAllowed(act.word()));
    }
    Ok(actor)
}

fn queue_subject(
    actor: &Actor,
    person: String,
    name: String,
    worker: &WorkerId,
    seconds_left: Option<i64>,
) -> QueueSubject {
    let caseload = if actor.member.worker.as_ref() == Some(worker) {
        Caseload::Own
    } else if actor.covers.contains(worker) {
        Caseload::Covered
    } else {
        Caseload::Programme
    };
    let name = actor.member.role.sees_names().then_some(name);
    let worker = worker.to_string();
    QueueSubject { person, name, worker, caseload, seconds_left }
}

fn seconds_left(until: Timestamp, now: Timestamp) -> i64 {
    until.duration_since(now).as_secs()
}

/// List and page of a queue.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AskQueueQuery {
    /// `waiting` (if left out): asks that wait for an answer; `to_look_at`: yeses that were given
    /// out of hours, or by the programme's own rule, and that nobody has reviewed.
    #[param(inline)]
    list: Option<AskQueue>,
    /// Maximum number of items; left out: 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = List)]
enum AskQueue {
    Waiting,
    ToLookAt,
}

/// Asks that wait for my answer
///
/// From my own caseload, those that I cover for, or the whole programme; the earliest deadline
/// comes first.
#[utoipa::path(
    get, path = "/asks", tag = "asks", params(AskQueueQuery),
    responses((status = 200, body = Page<AskInLine>), Problems)
)]
async fn asks_in_line(
    State(api): State<Api>,
    principal: Principal,
    ApiQuery(AskQueueQuery { list, limit, cursor }): ApiQuery<AskQueueQuery>,
) -> Result<Json<Page<AskInLine>>, ApiError> {
    let page_size = page_size(limit)?;
    let (cursor, limit) = (cursor.as_deref(), page_size.saturating_add(1));
    let (programme, now) = (&principal.programme, principal.at);
    let mut tx = api.store.snapshot().await?;
    let actor = actor(&mut tx, &principal, Capability::AnswerAsk).await?;
    let asks = match list.unwrap_or(AskQueue::Waiting) {
        AskQueue::Waiting => {
            let after = parse_cursor(cursor)?.map(|QueuePageStart(after)| after);
            tx.asks_to_answer(programme, &actor, after, limit).await?
        }
        AskQueue::ToLookAt => {
            let after = parse_cursor(cursor)?.map(|QueuePageStart(after)| after);
            tx.asks_to_review(programme, &actor, after, limit).await?
        }
    };
    tx.commit().await?;
    let key = |line: &QueueItem<Ask>| match review_on(&line.what) {
        Some(on) => cursor_of(on, line.what.id),
        None => cursor_of(line.what.answer_by, line.what.id),
    };
    let show = |QueueItem { name, worker, what }: QueueItem<Ask>| {
        let left = what.is_open().then(|| seconds_left(what.answer_by, now));
        let whom = queue_subject(&actor, what.budget.to_string(), name, &worker, left);
        AskInLine { whom, ask: what.into() }
    };
    Ok(Json(Page::from_rows(asks, page_size, key, show)))
}

fn review_on(ask: &Ask) -> Option<jiff::civil::Date> {
    ask.answer.as_ref().and_then(|answer| answer.review_on)
}

/// Appeals that wait for my answer
///
/// Without those about my own decisions and those that I opened; the earliest deadline comes first.
#[utoipa::path(
    get, path = "/appeals", tag = "appeals", params(PageQuery),
    responses((status = 200, body = Page<AppealInLine>), Problems)
)]
async fn appeals_in_line(
    State(api): State<Api>,
    principal: Principal,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<AppealInLine>>, ApiError> {
    let page_size = page.page_size()?;
    let after = page.parse_cursor()?.map(|QueuePageStart(after)| after);
    let limit = page_size.saturating_add(1);
    let mut tx = api.store.snapshot().await?;
    let actor = actor(&mut tx, &principal, Capability::AnswerAppeal).await?;
    let appeals = tx.appeals_to_answer(&principal.programme, &actor, after, limit).await?;
    tx.commit().await?;
    let key = |line: &QueueItem<Appeal>| cursor_of(line.what.answer_by, line.what.id);
    let show = |QueueItem { name, worker, what }: QueueItem<Appeal>| {
        let left = Some(seconds_left(what.answer_by, principal.at));
        let whom = queue_subject(&actor, what.budget.to_string(), name, &worker, left);
        AppealInLine { whom, appeal: what.into() }
    };
    Ok(Json(Page::from_rows(appeals, page_size, key, show)))
}

/// Review a yes that was given out of hours
///
/// By somebody other than the one who said yes. The review changes nothing about the yes, however
/// late it is.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/looked-at", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), IdempotencyKeyHeader),
    request_body = OptionalWordsBody, responses((status = 200, body = AskBody), Problems)
)]
async fn look_at(
    ApiPost { caller, path: (person, ask), body }: ApiPost<(String, String), OptionalWordsBody>,
) -> Result<Response, ApiError> {
    let (person, ask) = (parse_id(&person, "person")?, parse_id(&ask, "ask")?);
    let change = AskChange::Review { words: optional_words(body.words.as_deref())? };
    caller.perform(ChangeAsk { person, ask, change }).await
}
