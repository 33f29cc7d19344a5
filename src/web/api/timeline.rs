//! The record about a person: acts, reads of single purchases, and messages.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, parse_id};
use super::representation::{Page, PageQuery};
use crate::domain::id::MemberId;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::people::members::{GrantedAccess, Principal};
use crate::store::{ActAudience, ActRow, LookRow, MessageRow, Tx};
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(timeline))
        .routes(routes!(looks))
        .routes(routes!(messages))
}

/// An act of a member.
#[derive(Debug, Serialize, ToSchema)]
struct ActBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    by: ActorBody,
    /// What was done, such as `froze`, `proposed` or `asked`.
    kind: String,
    /// What it was done to.
    subject: String,
    detail: String,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = By)]
struct ActorBody {
    member: String,
    name: String,
    role: &'static str,
}

/// A recorded read of single purchases.
#[derive(Debug, Serialize, ToSchema)]
struct LookBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    by: ActorBody,
    what: String,
    /// The reason, in the reader's words.
    reason: String,
}

/// A message about a person.
#[derive(Debug, Serialize, ToSchema)]
struct MessageBody {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// The recipient.
    to: Recipient,
    kind: String,
    /// What it is about, such as a decision, an ask or a proposal.
    subject: String,
    /// The text, in English.
    words: String,
}

/// Names and roles of the members, each read once.
async fn member_names(
    tx: &mut Tx,
    principal: &Principal,
    members: impl Iterator<Item = &MemberId>,
) -> Result<BTreeMap<MemberId, (String, Role)>, ApiError> {
    let mut names = BTreeMap::new();
    for member in members {
        if names.contains_key(member) {
            continue;
        }
        if let Some(actor) =
            tx.actor_without_lock(&principal.programme, member, principal.at).await?
        {
            names.insert(member.clone(), (actor.member.name, actor.member.role));
        }
    }
    Ok(names)
}

fn actor_body(member: &MemberId, names: &BTreeMap<MemberId, (String, Role)>) -> ActorBody {
    let (name, role) = match names.get(member) {
        Some((name, role)) => (name.clone(), role.word()),
        // Not an account: the programme acted by itself, on a deadline.
        None => (String::new(), "programme"),
    };
    ActorBody { member: member.to_string(), name, role }
}

async fn access(api: &Api, principal: &Principal, person: &str) -> Result<GrantedAccess, ApiError> {
    let person = parse_id(person, "person")?;
    let (tx, access) = api.begin_read(principal, Capability::SeeTimeline, &person).await?;
    tx.commit().await?;
    Ok(access)
}

/// What was done, by whom and why, the newest first
#[utoipa::path(
    get, path = "/people/{person}/timeline", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ActBody>), Problems)
)]
async fn timeline(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ActBody>>, ApiError> {
    let (page_size, before) = (page.page_size()?, page.parse_cursor()?);
    let access = access(&api, &principal, &person).await?;
    let limit = page_size.saturating_add(1);
    let is_persons = access.actor.member.role == Role::Person;
    let reader = if is_persons { ActAudience::Person } else { ActAudience::OtherMember };
    let (programme, budget) = (&access.programme, &access.budget);
    let acts = api.store.acts(programme, budget, reader, before, limit).await?;
    let mut tx = api.store.snapshot().await?;
    let names = member_names(&mut tx, &principal, acts.iter().map(|act| &act.member_id)).await?;
    tx.commit().await?;
    // Earlier versions stored the words of a draft here. Accounts that may propose it read them
    // with the draft.
    let is_private = |act: &ActRow| act.kind == "list_drafted" && act.member_id != principal.member;
    let shown = |act: ActRow| ActBody {
        id: act.act_id.to_string(),
        at: act.acted_at.to_string(),
        by: actor_body(&act.member_id, &names),
        detail: if is_private(&act) { String::new() } else { act.detail },
        kind: act.kind,
        subject: act.subject,
    };
    Ok(Json(Page::from_rows(acts, page_size, |act| act.act_id.to_string(), shown)))
}

/// Who read single purchases and why, the newest first
#[utoipa::path(
    get, path = "/people/{person}/looks", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<LookBody>), Problems)
)]
async fn looks(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<LookBody>>, ApiError> {
    let (page_size, before) = (page.page_size()?, page.parse_cursor()?);
    let access = access(&api, &principal, &person).await?;
    let limit = page_size.saturating_add(1);
    let looks = api.store.looks(&access.programme, &access.budget, before, limit).await?;
    let mut tx = api.store.snapshot().await?;
    let names = member_names(&mut tx, &principal, looks.iter().map(|look| &look.member_id)).await?;
    tx.commit().await?;
    let shown = |look: LookRow| LookBody {
        id: look.look_id.to_string(),
        at: look.looked_at.to_string(),
        by: actor_body(&look.member_id, &names),
        what: look.what,
        reason: look.reason,
    };
    Ok(Json(Page::from_rows(looks, page_size, |look| look.look_id.to_string(), shown)))
}

/// Messages about this person's money, the newest first
///
/// The person gets the messages to the person; staff get the messages to staff.
#[utoipa::path(
    get, path = "/people/{person}/messages", tag = "timeline",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<MessageBody>), Problems)
)]
async fn messages(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<MessageBody>>, ApiError> {
    let (page_size, before) = (page.page_size()?, page.parse_cursor()?);
    let access = access(&api, &principal, &person).await?;
    let limit = page_size.saturating_add(1);
    let (id, budget) = (&access.programme, &access.budget);
    let to = match visible_recipients(access.actor.member.role) {
        // A member with a link to the person outside of work must not see that they used the quiet
        // word.
        _ if access.actor.has_conflict(&access.subject.person) => &[Recipient::Worker],
        to => to,
    };
    let messages = api.store.messages_to(id, budget, to, before, limit).await?;
    let shown = |message: MessageRow| MessageBody {
        id: message.message_id.to_string(),
        at: message.created_at.to_string(),
        to: message.recipient,
        kind: message.kind,
        subject: message.subject,
        words: message.body,
    };
    Ok(Json(Page::from_rows(messages, page_size, |message| message.message_id.to_string(), shown)))
}

/// The recipients whose messages a role may read. Messages to the person name single purchases,
/// which staff read only with a reason; messages to staff on duty may be about a worker.
const fn visible_recipients(role: Role) -> &'static [Recipient] {
    match role {
        Role::Person | Role::Helper | Role::Advocate | Role::Planner => &[Recipient::Person],
        Role::Worker => &[Recipient::Worker],
        Role::Duty => &[Recipient::Worker, Recipient::Duty],
        Role::Manager | Role::Auditor => &[Recipient::Worker, Recipient::Manager],
        Role::Finance | Role::Operator => &[],
    }
}
