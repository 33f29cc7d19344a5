//! The account of the caller, and its inbox.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::asks::EmptyRequest;
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiQuery, NoParameters, parse_id};
use super::representation::{Page, PageQuery};
use crate::domain::id::MessageId;
use crate::domain::people::recipient::{Recipient, TOP_PRIORITY};
use crate::domain::people::role::{Delegation, Role};
use crate::people::members::{Principal, UseCaseError};
use crate::people::tokens::TokenRejection;
use crate::store::{InboxCursor, InboxQuery, InboxRow};
use crate::web::AppState;
use crate::web::problem::ApiError;

/// How long a message stays in an inbox. It stays among the messages of the person concerned.
const INBOX_RETENTION: SignedDuration = SignedDuration::from_hours(62 * 24);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(me)).routes(routes!(inbox)).routes(routes!(read))
}

/// The account of the token.
#[derive(Serialize, ToSchema)]
struct Me {
    programme: String,
    member: String,
    name: String,
    /// The role of the account.
    role: Role,
    /// The person whose budget it is, or whom the account helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person: Option<String>,
    /// What the person allows the account to see.
    sees: Vec<Delegation>,
    /// Whether the account is on duty for the programme now.
    on_duty: bool,
    /// The workers whom the account covers for now.
    covers: Vec<String>,
}

/// My account
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me), Problems))]
async fn me(
    State(api): State<Api>,
    principal: Principal,
    _: ApiQuery<NoParameters>,
) -> Result<Json<Me>, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let actor =
        tx.actor_without_lock(&principal.programme, &principal.member, principal.at).await?;
    tx.commit().await?;
    let actor = actor.ok_or(ApiError::InvalidToken(TokenRejection::Ended))?;
    let member = actor.member;
    Ok(Json(Me {
        programme: principal.programme.to_string(),
        member: member.id.to_string(),
        name: member.name,
        role: member.role,
        person: member.person.map(|person| person.to_string()),
        sees: member.sees,
        on_duty: actor.is_on_duty,
        covers: actor.covers.iter().map(ToString::to_string).collect(),
    }))
}

/// A message in my inbox.
#[derive(Debug, Serialize, ToSchema)]
struct InboxItem {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// The person whom it is about.
    person: String,
    name: String,
    /// The role in which I received it.
    to: Recipient,
    kind: String,
    /// What it is about, such as an ask, an appeal or a proposal.
    subject: String,
    /// The text, in English.
    words: String,
    /// When what it asks for or reports runs out, which may be in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    runs_out_at: Option<String>,
    /// When I read it; left out while it is unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    read_at: Option<String>,
}

impl From<InboxRow> for InboxItem {
    fn from(row: InboxRow) -> Self {
        let InboxRow { person, name, message, read_at } = row;
        Self {
            id: message.message_id.to_string(),
            at: message.created_at.to_string(),
            person: person.to_string(),
            name,
            to: message.recipient,
            kind: message.kind,
            subject: message.subject,
            words: message.body,
            runs_out_at: message.due_at.filter(|at| *at > TOP_PRIORITY).map(|at| at.to_string()),
            read_at: read_at.map(|at| at.to_string()),
        }
    }
}

/// The cursor of an inbox: `read/due/id`.
struct InboxPageStart(InboxCursor);

impl fmt::Display for InboxPageStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InboxCursor { is_read, due, id } = self.0;
        write!(f, "{is_read}/{due}/{id}")
    }
}

impl FromStr for InboxPageStart {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (is_read, rest) = text.split_once('/').ok_or(())?;
        let (due, id) = rest.split_once('/').ok_or(())?;
        let is_read = is_read.parse().map_err(|_| ())?;
        let due = due.parse().map_err(|_| ())?;
        Ok(Self(InboxCursor { is_read, due, id: id.parse().map_err(|_| ())? }))
    }
}

fn inbox_query(at: Timestamp, most: u32) -> InboxQuery {
    let since = at.checked_sub(INBOX_RETENTION).unwrap_or(Timestamp::MIN);
    InboxQuery { since, after: None, only: None, most }
}

/// My inbox, for all people about whom I get messages
///
/// Unread messages come first, and among them those that run out first. A message stays for 62
/// days.
#[utoipa::path(
    get, path = "/me/inbox", tag = "me", params(PageQuery),
    responses((status = 200, body = Page<InboxItem>), Problems)
)]
async fn inbox(
    State(api): State<Api>,
    principal: Principal,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<InboxItem>>, ApiError> {
    let (most, after) =
        (page.page_size()?, page.parse_cursor()?.map(|InboxPageStart(place)| place));
    let inbox_query = InboxQuery { after, ..inbox_query(principal.at, most.saturating_add(1)) };
    let mut tx = api.store.snapshot().await?;
    let actor =
        tx.actor_without_lock(&principal.programme, &principal.member, principal.at).await?;
    let actor = actor.ok_or(ApiError::InvalidToken(TokenRejection::Ended))?;
    let rows = tx.inbox(&principal.programme, &actor, inbox_query).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(
        rows,
        most,
        |row| InboxPageStart(row.cursor()).to_string(),
        InboxItem::from,
    )))
}

struct ReadMessage {
    message: MessageId,
}

impl ApiAction for ReadMessage {
    async fn run(&self, ActionContext { tx, principal, .. }: ActionContext<'_>) -> ActionResult {
        let not_there = || UseCaseError::NotFound("message");
        let actor = tx.actor(&principal.programme, &principal.member, principal.at).await?;
        let actor = actor.ok_or_else(not_there)?;
        let only = InboxQuery { only: Some(self.message), ..inbox_query(principal.at, 1) };
        let found = tx.inbox(&principal.programme, &actor, only).await?.pop();
        let mut found = found.ok_or_else(not_there)?;
        if found.read_at.is_none() {
            tx.mark_message_read(
                &principal.programme,
                &principal.member,
                self.message,
                principal.at,
            )
            .await?;
            found.read_at = Some(principal.at);
        }
        Ok(ApiResponse::ok(&InboxItem::from(found)))
    }
}

/// Mark a message of mine as read
///
/// For this account only. Reading it again keeps the first time.
#[utoipa::path(
    post, path = "/me/inbox/{message}/read", tag = "me",
    params(("message" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = InboxItem), Problems)
)]
async fn read(
    ApiPost { caller, path: message, .. }: ApiPost<String, EmptyRequest>,
) -> Result<Response, ApiError> {
    let message = parse_id(&message, "message")?;
    caller.perform(ReadMessage { message }).await
}
