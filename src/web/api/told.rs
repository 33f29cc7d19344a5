//! What was done, who looked, and what was told.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Place, named};
use super::document::Problems;
use super::shown::{Page, PageQuery};
use crate::domain::id::MemberId;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::people::members::{Acting, Admitted};
use crate::store::{ActRow, ActsReader, LookRow, MessageRow, Tx};
use crate::web::Edge;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(timeline))
        .routes(routes!(looks))
        .routes(routes!(messages))
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
struct ActBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    by: By,
    /// What was done: `froze`, `proposed`, `asked`.
    kind: String,
    /// What it was done to.
    subject: String,
    detail: String,
}

/// Who it was.
#[derive(Debug, Serialize, ToSchema)]
struct By {
    member: String,
    name: String,
    role: &'static str,
}

/// A look at single purchases.
#[derive(Debug, Serialize, ToSchema)]
struct LookBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    by: By,
    what: String,
    /// Why, in their words.
    reason: String,
}

/// Something that was told.
#[derive(Debug, Serialize, ToSchema)]
struct MessageBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// `person`, `worker`, `duty` or `manager`.
    to: &'static str,
    kind: String,
    /// What it is about: a decision, an ask, a proposal.
    subject: String,
    /// The words, in English.
    words: String,
}

/// Who they are, each read once.
async fn names(
    tx: &mut Tx,
    acting: &Acting,
    members: impl Iterator<Item = &MemberId>,
) -> Result<BTreeMap<MemberId, (String, Role)>, ApiError> {
    let mut names = BTreeMap::new();
    for member in members {
        if names.contains_key(member) {
            continue;
        }
        if let Some(actor) = tx.reading_actor(&acting.programme, member, acting.at).await? {
            names.insert(member.clone(), (actor.member.name, actor.member.role));
        }
    }
    Ok(names)
}

fn by(member: &MemberId, names: &BTreeMap<MemberId, (String, Role)>) -> By {
    let (name, role) = match names.get(member) {
        Some((name, role)) => (name.clone(), role.word()),
        // Nobody's account: the programme's own clock did it.
        None => (String::new(), "programme"),
    };
    By { member: member.to_string(), name, role }
}

async fn admitted(api: &Api, acting: &Acting, person: &str) -> Result<Admitted, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeeTimeline, &named(person, "person")?).await?;
    tx.commit().await?;
    Ok(admitted)
}

/// What was done, by whom and why, the newest first
#[utoipa::path(
    get, path = "/people/{person}/timeline", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ActBody>), Problems)
)]
async fn timeline(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<ActBody>>, ApiError> {
    let (wanted, before) = (page.wanted()?, page.after()?);
    let admitted = admitted(&api, &acting, &person).await?;
    let more = wanted.saturating_add(1);
    let is_persons = admitted.actor.member.role == Role::Person;
    let reader = if is_persons { ActsReader::Person } else { ActsReader::SomebodyElse };
    let (programme, budget) = (&admitted.programme, &admitted.budget);
    let acts = api.store.acts(programme, budget, reader, before, more).await?;
    let mut tx = api.store.snapshot().await?;
    let names = names(&mut tx, &acting, acts.iter().map(|act| &act.member)).await?;
    tx.commit().await?;
    let shown = |act: ActRow| ActBody {
        id: act.id.to_string(),
        at: act.acted_at.to_string(),
        by: by(&act.member, &names),
        kind: act.kind,
        subject: act.subject,
        detail: act.detail,
    };
    Ok(Json(Page::of(acts, wanted, |act| act.id.to_string(), shown)))
}

/// Who looked at single purchases and why, the newest first
#[utoipa::path(
    get, path = "/people/{person}/looks", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<LookBody>), Problems)
)]
async fn looks(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<LookBody>>, ApiError> {
    let (wanted, before) = (page.wanted()?, page.after()?);
    let admitted = admitted(&api, &acting, &person).await?;
    let more = wanted.saturating_add(1);
    let looks = api.store.looks(&admitted.programme, &admitted.budget, before, more).await?;
    let mut tx = api.store.snapshot().await?;
    let names = names(&mut tx, &acting, looks.iter().map(|look| &look.member)).await?;
    tx.commit().await?;
    let shown = |look: LookRow| LookBody {
        id: look.id.to_string(),
        at: look.looked_at.to_string(),
        by: by(&look.member, &names),
        what: look.what,
        reason: look.reason,
    };
    Ok(Json(Page::of(looks, wanted, |look| look.id.to_string(), shown)))
}

/// What was told about this person's money, the newest first
///
/// The person reads what they were told; staff read what staff were told.
#[utoipa::path(
    get, path = "/people/{person}/messages", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<MessageBody>), Problems)
)]
async fn messages(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<MessageBody>>, ApiError> {
    let (wanted, before) = (page.wanted()?, page.after()?);
    let admitted = admitted(&api, &acting, &person).await?;
    let more = wanted.saturating_add(1);
    let (id, budget) = (&admitted.programme, &admitted.budget);
    let to = match read_by(admitted.actor.member.role) {
        // Whoever has a link to the person outside of work is not told what they say in quiet.
        _ if admitted.actor.has_conflict(&admitted.subject.person) => &[Recipient::Worker],
        to => to,
    };
    let told = api.store.messages_to(id, budget, to, before, more).await?;
    let shown = |message: MessageRow| MessageBody {
        id: message.id.to_string(),
        at: message.created_at.to_string(),
        to: message.recipient.word(),
        kind: message.kind,
        subject: message.subject,
        words: message.body,
    };
    Ok(Json(Page::of(told, wanted, |message| message.id.to_string(), shown)))
}

/// Whose messages an account reads. What the person was told names single purchases, which take a
/// reason; what duty was told may be about a worker.
const fn read_by(role: Role) -> &'static [Recipient] {
    match role {
        Role::Person | Role::Helper | Role::Advocate | Role::Planner => &[Recipient::Person],
        Role::Worker => &[Recipient::Worker],
        Role::Duty => &[Recipient::Worker, Recipient::Duty],
        Role::Manager | Role::Auditor => &[Recipient::Worker, Recipient::Manager],
        Role::Finance | Role::Operator => &[],
    }
}
