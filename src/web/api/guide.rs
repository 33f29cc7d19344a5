//! The spending guide: what the money is for, in the words of the people who wrote it together.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::ApiQuery;
use super::queries::VersionQuery;
use crate::domain::id::ProgrammeId;
use crate::merchant_rules::{Guide, Paragraph, built_in_guide};
use crate::people::agreements::{GuidePublication, publish_guide};
use crate::people::members::{Principal, UseCaseError};
use crate::people::tokens::TokenRejection;
use crate::store::{GuideRow, StoreError, Tx};
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(guide, publish))
}

/// A version of the guide.
#[derive(Debug, Serialize, ToSchema)]
struct GuideBody {
    version: u32,
    title: String,
    authors: Vec<String>,
    /// The authors who have a budget, or who speak for somebody who has. Empty for the guide that
    /// comes with Sayso, which is shown until the programme publishes its own.
    written_with: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date)]
    review_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    published_at: Option<String>,
    paragraphs: Vec<ParagraphBody>,
}

/// A paragraph that a line of a list can refer to.
#[derive(Debug, Serialize, ToSchema)]
struct ParagraphBody {
    paragraph: String,
    text: String,
    /// The kinds of shop that it is about; empty means all.
    categories: Vec<String>,
}

impl From<&Paragraph> for ParagraphBody {
    fn from(paragraph: &Paragraph) -> Self {
        Self {
            paragraph: paragraph.id.clone(),
            text: paragraph.text.clone(),
            categories: paragraph.categories.iter().map(ToString::to_string).collect(),
        }
    }
}

impl GuideBody {
    fn of(guide: &Guide, published: Option<&GuideRow>) -> Self {
        let written_with = published.map(|row| row.written_with.lines().map(str::to_owned));
        Self {
            version: guide.version,
            title: guide.title.clone(),
            authors: guide.authors.clone(),
            written_with: written_with.map(Iterator::collect).unwrap_or_default(),
            review_on: guide.review_on.map(|on| on.to_string()),
            published_at: published.map(|row| row.published_at.to_string()),
            paragraphs: guide.paragraphs.iter().map(ParagraphBody::from).collect(),
        }
    }
}

/// The current guide of a programme: the one published last, or the built-in one.
pub(super) async fn current_guide(
    tx: &mut Tx,
    programme: &ProgrammeId,
) -> Result<Guide, UseCaseError> {
    let published = tx.guide(programme, None).await?;
    let guide = published.map(|row| row.guide()).transpose().map_err(StoreError::from)?;
    Ok(guide.unwrap_or_else(|| built_in_guide().clone()))
}

/// The spending guide
#[utoipa::path(
    get, path = "/guide", tag = "guide", params(VersionQuery),
    responses((status = 200, body = GuideBody), Problems)
)]
async fn guide(
    State(api): State<Api>,
    principal: Principal,
    ApiQuery(query): ApiQuery<VersionQuery>,
) -> Result<Json<GuideBody>, ApiError> {
    let mut tx = api.store.snapshot().await?;
    let actor =
        tx.actor_without_lock(&principal.programme, &principal.member, principal.at).await?;
    let published = tx.guide(&principal.programme, query.version).await?;
    tx.commit().await?;
    actor.ok_or(ApiError::InvalidToken(TokenRejection::Ended))?;
    match (published, query.version) {
        (Some(row), _) => {
            let guide = row.guide().map_err(StoreError::from)?;
            Ok(Json(GuideBody::of(&guide, Some(&row))))
        }
        (None, None) => Ok(Json(GuideBody::of(built_in_guide(), None))),
        (None, Some(_)) => Err(ApiError::NotFound("version")),
    }
}

/// The next version of the guide.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGuide {
    /// The guide in TOML, in the form of the starter guide.
    #[schema(min_length = 1, max_length = 60_000)]
    content: String,
    /// The authors who have a budget, or who speak for somebody who has.
    #[schema(min_items = 1)]
    written_with: Vec<String>,
}

/// The version that was published.
#[derive(Debug, Serialize, ToSchema)]
struct PublishedGuide {
    version: u32,
}

struct Publish(GuidePublication);

impl ApiAction for Publish {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let version = publish_guide(tx, api.context(), principal, &self.0).await?;
        Ok(ApiResponse::created(&PublishedGuide { version }))
    }
}

/// Publish the next version of the guide
///
/// `written_with` must name an author, because the guide must be written with people who have a
/// budget.
#[utoipa::path(
    post, path = "/guide", tag = "guide", params(IdempotencyKeyHeader), request_body = NewGuide,
    responses((status = 201, body = PublishedGuide), Problems)
)]
async fn publish(
    ApiPost { caller, body, .. }: ApiPost<(), NewGuide>,
) -> Result<Response, ApiError> {
    let NewGuide { content, written_with } = body;
    caller.perform(Publish(GuidePublication { text: content, written_with })).await
}
