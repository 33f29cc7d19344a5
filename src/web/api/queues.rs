//! What waits for whoever calls, over all the people whom they answer.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::appeals::AppealBody;
use super::asked::{Asked, Nothing, Place, Sent, named};
use super::asks::{AskBody, SomeWords, desk, some_words};
use super::deed::{Deed, Done, act};
use super::document::{KeyHeader, Problems};
use super::queries::{List, WhichLine};
use super::shown::{Page, PageQuery, after, wanted};
use crate::domain::ask::Ask;
use crate::domain::ask::appeal::Appeal;
use crate::domain::id::{AskId, PersonId, WorkerId};
use crate::domain::people::role::{Act, Actor, Reach};
use crate::people::asks;
use crate::people::members::{ActError, Acting};
use crate::people::tokens::RefusedToken;
use crate::store::{After, InLine, Tx};
use crate::web::Edge;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(asks_in_line))
        .routes(routes!(appeals_in_line))
        .routes(routes!(look_at))
}

/// Whom something is about.
#[derive(Debug, Serialize, ToSchema)]
struct Whom {
    person: String,
    /// Left out for those who see people without their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    worker: String,
    /// Over whose caseload it is: `own`, `covered` (the worker is away), or `programme`.
    caseload: &'static str,
    /// Until somebody else is asked; below nothing, it is late. Left out where nothing runs out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seconds_left: Option<i64>,
}

/// An ask in line.
#[derive(Debug, Serialize, ToSchema)]
struct AskInLine {
    #[serde(flatten)]
    whom: Whom,
    ask: AskBody,
}

/// An appeal in line.
#[derive(Debug, Serialize, ToSchema)]
struct AppealInLine {
    #[serde(flatten)]
    whom: Whom,
    appeal: AppealBody,
}

/// Where a page begins: `key/id`.
struct Begin<K, I>(After<K, I>);

impl<K: FromStr, I: FromStr> FromStr for Begin<K, I> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (key, id) = text.split_once('/').ok_or(())?;
        let key = key.parse().map_err(|_| ())?;
        Ok(Self(After { key, id: id.parse().map_err(|_| ())? }))
    }
}

fn place(key: impl fmt::Display, id: impl fmt::Display) -> String {
    format!("{key}/{id}")
}

/// Whoever calls, if their role ever does `act`.
async fn actor(tx: &mut Tx, acting: &Acting, act: Act) -> Result<Actor, ApiError> {
    let actor = tx.reading_actor(&acting.programme, &acting.member, acting.at).await?;
    let actor = actor.ok_or(ApiError::BadToken(RefusedToken::Ended))?;
    if actor.member.role.reach(act) == Reach::Never {
        return Err(ApiError::NotAllowed(act.word()));
    }
    Ok(actor)
}

fn whom(
    actor: &Actor,
    person: String,
    name: String,
    worker: &WorkerId,
    seconds_left: Option<i64>,
) -> Whom {
    let caseload = if actor.member.worker.as_ref() == Some(worker) {
        "own"
    } else if actor.covers.contains(worker) {
        "covered"
    } else {
        "programme"
    };
    let name = actor.member.role.sees_names().then_some(name);
    Whom { person, name, worker: worker.to_string(), caseload, seconds_left }
}

fn seconds_left(until: Timestamp, now: Timestamp) -> i64 {
    until.duration_since(now).as_secs()
}

/// What waits for my answer
///
/// Over my own caseload, those whom I cover for, or the whole programme: by what runs out first.
#[utoipa::path(
    get, path = "/asks", tag = "asks", params(WhichLine),
    responses((status = 200, body = Page<AskInLine>), Problems)
)]
async fn asks_in_line(
    State(api): State<Api>,
    acting: Acting,
    Asked(WhichLine { list, limit, cursor }): Asked<WhichLine>,
) -> Result<Json<Page<AskInLine>>, ApiError> {
    let wanted = wanted(limit)?;
    let (cursor, most) = (cursor.as_deref(), wanted.saturating_add(1));
    let (programme, now) = (&acting.programme, acting.at);
    let mut tx = api.store.snapshot().await?;
    let actor = actor(&mut tx, &acting, Act::AnswerAsk).await?;
    let asks = match list.unwrap_or(List::Waiting) {
        List::Waiting => {
            let after = after(cursor)?.map(|Begin(after)| after);
            tx.asks_to_answer(programme, &actor, after, most).await?
        }
        List::ToLookAt => {
            let after = after(cursor)?.map(|Begin(after)| after);
            tx.asks_to_look_at(programme, &actor, after, most).await?
        }
    };
    tx.commit().await?;
    let key = |line: &InLine<Ask>| match review_on(&line.what) {
        Some(on) => place(on, line.what.id),
        None => place(line.what.answer_by, line.what.id),
    };
    let show = |InLine { name, worker, what }: InLine<Ask>| {
        let left = what.is_open().then(|| seconds_left(what.answer_by, now));
        let whom = whom(&actor, what.budget.to_string(), name, &worker, left);
        AskInLine { whom, ask: what.into() }
    };
    Ok(Json(Page::of(asks, wanted, key, show)))
}

fn review_on(ask: &Ask) -> Option<jiff::civil::Date> {
    ask.answer.as_ref().and_then(|answer| answer.review_on)
}

/// What I am asked to look at again
///
/// Without what I decided or opened myself: by what runs out first.
#[utoipa::path(
    get, path = "/appeals", tag = "appeals", params(PageQuery),
    responses((status = 200, body = Page<AppealInLine>), Problems)
)]
async fn appeals_in_line(
    State(api): State<Api>,
    acting: Acting,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<AppealInLine>>, ApiError> {
    let wanted = page.wanted()?;
    let after = page.after()?.map(|Begin(after)| after);
    let more = wanted.saturating_add(1);
    let mut tx = api.store.snapshot().await?;
    let actor = actor(&mut tx, &acting, Act::AnswerAppeal).await?;
    let appeals = tx.appeals_to_answer(&acting.programme, &actor, after, more).await?;
    tx.commit().await?;
    let key = |line: &InLine<Appeal>| place(line.what.answer_by, line.what.id);
    let show = |InLine { name, worker, what }: InLine<Appeal>| {
        let left = Some(seconds_left(what.answer_by, acting.at));
        let whom = whom(&actor, what.budget.to_string(), name, &worker, left);
        AppealInLine { whom, appeal: what.into() }
    };
    Ok(Json(Page::of(appeals, wanted, key, show)))
}

struct LookAt {
    person: PersonId,
    ask: AskId,
    words: Option<String>,
}

impl Deed for LookAt {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let Self { person, ask, words } = self;
        let ask = asks::look_at(tx, desk(api), acting, person, *ask, words.as_deref()).await?;
        Ok(Done::ok(&AskBody::from(ask)))
    }
}

/// Look at a yes that was given out of hours
///
/// By somebody else than whoever said it. It changes nothing about the yes, however late it comes.
#[utoipa::path(
    post, path = "/people/{person}/asks/{ask}/looked-at", tag = "asks",
    params(("person" = String, Path), ("ask" = String, Path), KeyHeader),
    request_body = SomeWords, responses((status = 200, body = AskBody), Problems)
)]
async fn look_at(
    State(api): State<Api>,
    acting: Acting,
    Place((person, ask)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<SomeWords>,
) -> Result<Response, ApiError> {
    let (person, ask) = (named(&person, "person")?, named(&ask, "ask")?);
    let words = some_words(body.words.as_deref())?;
    act(&api, acting, key, LookAt { person, ask, words }).await
}
