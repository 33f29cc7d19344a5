//! What happened to a person's money beside purchases.

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
use crate::operations::activity::{Activity, ActivityCursor, ActivityView, page};
use crate::operations::purchases::BudgetRef;
use crate::people::members::Principal;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(activity))
}

/// Something that happened to money.
#[derive(Debug, Serialize, ToSchema)]
struct ActivityLine {
    #[schema(format = DateTime)]
    at: String,
    /// `added`: somebody put it in; `moved`: from one pot into another one; `held_back` and
    /// `took_back`: by the person, who alone reads of it; `let_out`: a stage began, by the list in
    /// force.
    kind: &'static str,
    amount: MoneyBody,
    /// The pot that it is about, or that money went to.
    pot: String,
    /// The pot that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<String>,
}

/// What happened to the money beside purchases, the newest first
///
/// Several lines of one instant stand on one page, though they are more than was asked for.
#[utoipa::path(
    get, path = "/people/{person}/activity", tag = "people",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ActivityLine>), Problems)
)]
async fn activity(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<ActivityLine>>, ApiError> {
    let most = usize::try_from(query.page_size()?).unwrap_or(usize::MAX);
    let now = acting.at.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
    let start = ActivityCursor { link: None, before: now };
    let cursor = query.parse_cursor()?.unwrap_or(start);
    let programme = api.programme(&acting.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let access =
        acting.admit_to_read(&mut tx, Capability::SeeBudget, &parse_id(&person, "person")?).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let plans = match tx.version_in_force(id, budget).await? {
        Some(version) => {
            let currency = programme.settings.currency;
            tx.read_agreement(id, budget, version, currency).await?.pots.clone()
        }
        None => Vec::new(),
    };
    let view = ActivityView {
        budget_ref: BudgetRef { programme: &programme, budget },
        plans: &plans,
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
            kind: activity.kind.word(),
            amount: activity.amount.into(),
            pot: activity.pot.to_string(),
            from: activity.from.map(|pot| pot.to_string()),
        }
    }
}
