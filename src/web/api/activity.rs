//! Movements of a person's money other than purchases.

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, parse_id};
use super::representation::{MoneyBody, Page, PageQuery};
use crate::domain::people::role::{Capability, Role};
use crate::operations::activity::{Activity, ActivityCursor, ActivityKind, ActivityView, page};
use crate::operations::purchases::BudgetRef;
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(activity))
}

/// A movement of money.
#[derive(Debug, Serialize, ToSchema)]
struct ActivityLine {
    #[schema(format = DateTime)]
    at: String,
    /// `added`: money was put in; `moved`: from one pot into another; `held_back` and `took_back`:
    /// by the person, and visible only to them; `let_out`: a release stage of the list in force
    /// began.
    kind: ActivityKind,
    amount: MoneyBody,
    /// The pot concerned, or the pot that received the money.
    pot: String,
    /// The pot that the money came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<String>,
}

/// Movements of money other than purchases, the newest first
///
/// Movements of one instant stay on one page, so a page may have more items than `limit`.
#[utoipa::path(
    get, path = "/people/{person}/activity", tag = "people",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ActivityLine>), Problems)
)]
async fn activity(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<ActivityLine>>, ApiError> {
    let most = usize::try_from(query.page_size()?).unwrap_or(usize::MAX);
    let now = principal.at.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
    let start = ActivityCursor { link: None, before: now };
    let cursor = query.parse_cursor()?.unwrap_or(start);
    let programme = api.programme(&principal.programme).await?;
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeBudget, &person).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let agreement = tx.agreement_in_force(id, budget, programme.settings.currency).await?;
    let plans = agreement.as_ref().map(|agreement| agreement.pots.as_slice()).unwrap_or_default();
    let view = ActivityView {
        budget_ref: BudgetRef { programme: &programme, budget },
        plans,
        is_own_view: access.actor.member.role == Role::Person,
    };
    let page = page(&mut tx, view, cursor, most).await?;
    tx.commit().await?;
    let lines = page.activities.into_iter().map(ActivityLine::from).collect();
    Ok(Json(Page::with_next(lines, page.next.map(|cursor| cursor.to_string()))))
}

impl From<Activity> for ActivityLine {
    fn from(activity: Activity) -> Self {
        Self {
            at: activity.at.to_string(),
            kind: activity.kind,
            amount: activity.amount.into(),
            pot: activity.pot.to_string(),
            from: activity.from.map(|pot| pot.to_string()),
        }
    }
}
