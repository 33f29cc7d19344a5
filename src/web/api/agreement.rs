//! The agreed list: the version in force, and every earlier one.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, parse_id};
use super::guide::current_guide;
use super::queries::VersionQuery;
use super::representation::MoneyBody;
use crate::domain::agreement::{Agreement, Decider, Scope, Term, TermAnswer};
use crate::domain::money::limit::Limit;
use crate::domain::people::role::Capability;
use crate::domain::pot::release::ReleaseInterval;
use crate::domain::time::period::Period;
use crate::merchant_rules::Guide;
use crate::people::members::Principal;
use crate::programme::directory::Programme;
use crate::store::StoreError;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(agreement))
}

/// A version of the list to which both sides agreed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgreementBody {
    person: String,
    version: u32,
    /// Whether this version decides purchases now.
    in_force: bool,
    #[schema(format = Date)]
    agreed_on: String,
    /// The names of those who agreed.
    agreed_by: Vec<String>,
    how: String,
    /// Whether a purchase may be paid in part.
    partial: bool,
    terms: Vec<TermBody>,
    /// The pots in the order in which they pay.
    pots: Vec<PotPlanBody>,
}

/// One line of the list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TermBody {
    /// What it is about: `category:food`, `code:5541`, `gate:cash`, `everything_else`,
    /// `everything`, or `shop:` and a key.
    on: String,
    /// Its display name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    answer: TermAnswer,
    limits: Vec<LimitBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hours: Option<HoursBody>,
    decides: Decider,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date)]
    review_on: Option<String>,
    /// For how many days the person's own restriction still holds after they ask to lift it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cooling_days: Option<u32>,
    /// The paragraphs of the guide that are about it.
    guide: Vec<String>,
}

/// What a limit counts over: one purchase, or a period.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LimitSpan {
    Purchase,
    Day,
    Week,
    Month,
    Agreement,
}

impl From<Period> for LimitSpan {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Day,
            Period::Week => Self::Week,
            Period::Month => Self::Month,
            Period::Agreement => Self::Agreement,
        }
    }
}

/// A maximum for one purchase or for a period.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitBody {
    per: LimitSpan,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    most: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoursBody {
    from: String,
    to: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedPot)]
pub(super) struct PotPlanBody {
    pot: String,
    name: String,
    stream: String,
    emergency: bool,
    /// The only kinds of shop that it pays for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    only: Option<Vec<String>>,
    /// How its money is released; left out if all of it is available as soon as it is put in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    release: Option<ReleaseBody>,
}

/// Money that is released in stages, each at local midnight.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleaseBody {
    /// The amount that is available on any date.
    at_once: MoneyBody,
    /// The amount that each stage releases.
    amount: MoneyBody,
    every: ReleaseInterval,
    /// The day of the first stage.
    from: String,
}

/// The agreed list
#[utoipa::path(
    get, path = "/people/{person}/agreement", tag = "agreement",
    params(("person" = String, Path), VersionQuery),
    responses((status = 200, body = AgreementBody), Problems)
)]
async fn agreement(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<VersionQuery>,
) -> Result<Json<AgreementBody>, ApiError> {
    let programme = api.programme(&principal.programme).await?;
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeList, &person).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let in_force = tx.version_in_force(id, budget).await?;
    let version = query.version.or(in_force).ok_or(ApiError::NotFound("agreement"))?;
    let currency = programme.settings.currency;
    let found = match tx.read_agreement(id, budget, version, currency).await {
        Err(StoreError::Contended(_)) => return Err(ApiError::NotFound("version")),
        found => found?,
    };
    let guide = current_guide(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(AgreementBody::of(&found, in_force == Some(version), &programme, &guide)))
}

impl AgreementBody {
    fn of(agreement: &Agreement, in_force: bool, programme: &Programme, guide: &Guide) -> Self {
        let pot = |pot: &crate::domain::pot::PotPlan| PotPlanBody {
            pot: pot.id.to_string(),
            name: pot.name.clone(),
            stream: pot.stream.to_string(),
            emergency: pot.emergency,
            only: pot.only.as_ref().map(|only| only.iter().map(ToString::to_string).collect()),
            release: pot.release.as_ref().map(|release| ReleaseBody {
                at_once: release.at_once().into(),
                amount: release.amount().into(),
                every: release.every(),
                from: release.from().to_string(),
            }),
        };
        Self {
            person: agreement.budget.to_string(),
            version: agreement.version,
            in_force,
            agreed_on: agreement.agreed_on.to_string(),
            agreed_by: agreement.agreed_by.clone(),
            how: agreement.how.clone(),
            partial: agreement.partial,
            terms: agreement
                .terms
                .iter()
                .map(|term| TermBody::of(term, programme, guide))
                .collect(),
            pots: agreement.pots.iter().map(pot).collect(),
        }
    }
}

impl TermBody {
    pub(super) fn of(term: &Term, programme: &Programme, guide: &Guide) -> Self {
        let category = match term.scope() {
            Scope::Category(category) => Some(category),
            Scope::Code(code) => Some(programme.rules.category_of(Some(*code))),
            Scope::Shop(_)
            | Scope::OneShop(..)
            | Scope::EverythingElse
            | Scope::Gate(_)
            | Scope::Everything => None,
        };
        let paragraphs = category.map(|category| guide.about(category).map(|p| p.id.clone()));
        let name = match term.scope() {
            Scope::Category(category) => Some(programme.category_name(category).to_owned()),
            Scope::Code(code) => programme.rules.code_name(*code).map(str::to_owned),
            Scope::Shop(key) | Scope::OneShop(key, _) => {
                programme.rules.shops().with_key(key).map(|shop| shop.name.clone())
            }
            Scope::EverythingElse | Scope::Gate(_) | Scope::Everything => None,
        };
        let hours = term.hours();
        Self {
            on: term.scope().to_string(),
            name,
            answer: term.answer(),
            limits: term.limits().iter().map(|limit| LimitBody::of(*limit)).collect(),
            hours: hours
                .map(|hours| HoursBody { from: hours.from.to_string(), to: hours.to.to_string() }),
            decides: term.decides(),
            reason: term.reason().map(str::to_owned),
            review_on: term.review_on().map(|on| on.to_string()),
            cooling_days: term.cooling_days(),
            guide: paragraphs.map(Iterator::collect).unwrap_or_default(),
        }
    }
}

impl LimitBody {
    fn of(limit: Limit) -> Self {
        let per = limit.period().map_or(LimitSpan::Purchase, LimitSpan::from);
        let (most, count) = match limit {
            Limit::PerPurchase(most) | Limit::Amount { most, .. } => (Some(most.into()), None),
            Limit::Count { most, .. } => (None, Some(most)),
        };
        Self { per, most, count }
    }
}
