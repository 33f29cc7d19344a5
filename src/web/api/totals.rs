//! What was spent at each kind of shop: sums over the list of purchases.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, parse_id};
use super::representation::{MoneyBody, parse_day_or};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::people::role::{Capability, Delegation, Member, Role};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::state::cost;
use crate::domain::shop::merchant::Category;
use crate::ledger::book::LedgerError;
use crate::people::members::{Principal, UseCaseError};
use crate::programme::directory::Programme;
use crate::web::AppState;
use crate::web::problem::ApiError;

/// Maximum number of days that one request sums up.
const DAYS_MAX: i32 = 366;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(totals))
}

/// What was spent at each kind of shop, over a range of days.
#[derive(Debug, Serialize, ToSchema)]
struct Totals {
    person: String,
    #[schema(format = Date)]
    from: String,
    #[schema(format = Date)]
    to: String,
    /// What is held and captured, less refunds and won disputes: the sum over the list of
    /// purchases, each on the day on which it counts.
    total: MoneyBody,
    categories: Vec<CategoryTotal>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CategoryTotal {
    category: String,
    name: String,
    total: MoneyBody,
    /// How many purchases; left out for readers who do not see single purchases.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    purchases: Option<u32>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DateRangeQuery {
    /// The first day; left out: the first day of this month.
    #[param(format = Date)]
    from: Option<String>,
    /// The last day; left out: today.
    #[param(format = Date)]
    to: Option<String>,
}

/// What was spent at each kind of shop
#[utoipa::path(
    get, path = "/people/{person}/totals", tag = "purchases",
    params(("person" = String, Path), DateRangeQuery),
    responses((status = 200, body = Totals), Problems)
)]
async fn totals(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(days): ApiQuery<DateRangeQuery>,
) -> Result<Json<Totals>, ApiError> {
    let programme = api.programme(&principal.programme).await?;
    let today = programme.zone().to_datetime(principal.at).date();
    let from = parse_day_or("from", days.from.as_deref(), today.first_of_month())?;
    let to = parse_day_or("to", days.to.as_deref(), today)?;
    let length = to.since(from).map_or(i32::MAX, |span| span.get_days());
    if !(0..DAYS_MAX).contains(&length) {
        let what = format!("from must not be after to, and {DAYS_MAX} days are the most");
        return Err(ApiError::Malformed { field: "from", what });
    }
    // The query selects by posting time: a purchase that counts on `from` or later has no posting
    // before the preceding day, but may have postings long after `to`.
    let since = from.yesterday().unwrap_or(from).to_zoned(programme.zone().clone());
    let since = since.map_or(Timestamp::MIN, |zoned| zoned.timestamp());
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeTotals, &person).await?;
    let sees_single = sees_single(&access.actor.member);
    let is_whole = from.day() == 1 && (to == to.last_of_month() || to == today);
    if !sees_single && !is_whole {
        let what =
            "from the first of a month to the last of one: a day of its own is a single purchase";
        return Err(ApiError::Malformed { field: "from", what: what.to_owned() });
    }
    let purchases = tx.purchases_since(&access.programme, &access.budget, since).await?;
    tx.commit().await?;
    let within = |purchase: &&Purchase| (from..=to).contains(&purchase.counted.on);
    let purchases: Vec<_> = purchases.iter().filter(within).collect();
    let currency = programme.settings.currency;
    let (total, mut categories) = sums(&purchases, currency, &programme)?;
    if !sees_single {
        for category in &mut categories {
            category.purchases = None;
        }
    }
    Ok(Json(Totals {
        person: access.budget.to_string(),
        from: from.to_string(),
        to: to.to_string(),
        total: total.into(),
        categories,
    }))
}

/// Whether a member sees single purchases of the person without a reason. Others get no totals of
/// single days, because such a total may be a single purchase.
fn sees_single(member: &Member) -> bool {
    member.role == Role::Person
        || (member.role.is_chosen() && member.sees.contains(&Delegation::Purchases))
}

fn sums(
    purchases: &[&Purchase],
    currency: Currency,
    programme: &Programme,
) -> Result<(Money, Vec<CategoryTotal>), ApiError> {
    let mut categories: BTreeMap<&Category, (Money, u32)> = BTreeMap::new();
    let mut total = Money::zero(currency);
    let add = |sum: Money, amount: Money| sum.checked_add(amount).map_err(money_error);
    for purchase in purchases {
        let amount = cost(purchase).map_err(money_error)?;
        if !purchase.committed().map_err(money_error)?.is_positive() && amount.is_zero() {
            continue;
        }
        let entry =
            categories.entry(&purchase.counted.category).or_insert((Money::zero(currency), 0));
        *entry = (add(entry.0, amount)?, entry.1.saturating_add(1));
        total = add(total, amount)?;
    }
    let shown = |(category, (total, purchases)): (&Category, (Money, u32))| CategoryTotal {
        category: category.to_string(),
        name: programme.category_name(category).to_owned(),
        total: total.into(),
        purchases: Some(purchases),
    };
    Ok((total, categories.into_iter().map(shown).collect()))
}

pub(super) fn money_error(error: MoneyError) -> ApiError {
    UseCaseError::from(LedgerError::from(error)).into()
}
