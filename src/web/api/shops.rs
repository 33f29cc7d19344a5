//! The shops at which a person bought, and the purchases that a term would have covered, so that
//! both sides see them before they agree.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::change_request::invalid_field;
use super::document::Problems;
use super::extract::{ApiPath, ApiQuery, check_words, parse_id};
use super::purchases::find_purchase;
use super::queries::LookReasonQuery;
use super::recorded_read::begin_recorded_read;
use super::representation::MoneyBody;
use super::totals::money_error;
use crate::domain::agreement::Scope;
use crate::domain::id::{PersonId, PurchaseId};
use crate::domain::money::Money;
use crate::domain::money::limit::CountingAttributes;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::state::cost;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::table::ShopTable;
use crate::people::members::{GrantedAccess, Principal};
use crate::programme::directory::Programme;
use crate::store::Tx;
use crate::web::AppState;
use crate::web::problem::ApiError;

/// How many links of the chain are searched, from the newest.
const LINKS_MAX: u32 = 600;
/// How many purchases may name a shop in one change.
const NAMED_PURCHASES_MAX: usize = 20;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(shops)).routes(routes!(would_meet))
}

/// The shops at which a person bought recently.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BoughtAt)]
struct ShopsBody {
    person: String,
    /// How many purchases were searched, the newest first.
    looked_at: usize,
    /// Ordered by the newest purchase at each shop, the newest first.
    shops: Vec<ShopLine>,
}

/// One shop, whatever names its terminals send.
#[derive(Debug, Serialize, ToSchema)]
struct ShopLine {
    /// What a term about this shop is about: `shop:` and its key.
    on: String,
    /// Its name in the shop table; for a shop that is not there, the name that its terminal sent.
    name: String,
    /// How many purchases, without those for which nothing was ever held or captured.
    times: u32,
    /// What is held and captured, less refunds and won disputes.
    sum: MoneyBody,
    /// The day of the newest purchase.
    #[schema(format = Date)]
    last: String,
    /// The newest purchase there, which names the shop in `bought` of a term.
    bought: String,
}

/// The recent purchases that a term would have covered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WouldMeet)]
struct TermMatchesBody {
    person: String,
    /// What the term is about.
    on: String,
    /// The name of the shop, if the shop table has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// How many purchases were searched, the newest first.
    looked_at: usize,
    /// What is held and captured, less refunds and won disputes.
    sum: MoneyBody,
    purchases: Vec<TermMatchLine>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetLine)]
struct TermMatchLine {
    purchase: String,
    /// The day on which it counts.
    #[schema(format = Date)]
    on: String,
    /// The shop as the card company sent it; empty if it was erased or never sent.
    place: String,
    category: String,
    /// What is held and captured, less refunds and won disputes.
    sum: MoneyBody,
}

/// Shops at which the person bought recently
///
/// A reader other than the person gives a `reason`, as for single purchases.
#[utoipa::path(
    get, path = "/people/{person}/shops", tag = "purchases",
    params(("person" = String, Path), LookReasonQuery),
    responses((status = 200, body = ShopsBody), Problems)
)]
async fn shops(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<LookReasonQuery>,
) -> Result<Json<ShopsBody>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let (mut tx, access) =
        begin_recorded_read(&api, &principal, &person, "shops", query.reason.as_deref()).await?;
    let purchases = recent_purchases(&mut tx, &access).await?;
    tx.commit().await?;
    let table = programme.rules.shops();
    let mut known: Vec<(ShopIdentity, Vec<&Purchase>)> = Vec::new();
    for purchase in &purchases {
        let shop = identity(table, purchase);
        match known.iter_mut().find(|(known, _)| table.is_same(known, &shop)) {
            Some((_, purchases)) => purchases.push(purchase),
            None => known.push((shop, vec![purchase])),
        }
    }
    let lines = known.iter().filter_map(|(_, purchases)| line(&programme, purchases).transpose());
    Ok(Json(ShopsBody {
        person: access.budget.to_string(),
        looked_at: purchases.len(),
        shops: lines.collect::<Result<_, _>>()?,
    }))
}

fn line(programme: &Programme, purchases: &[&Purchase]) -> Result<Option<ShopLine>, ApiError> {
    let Some(last) = purchases.first() else { return Ok(None) };
    let Some(scope) = scope_of(programme.rules.shops(), last) else { return Ok(None) };
    let name = name_of(programme, &scope).or_else(|| last.place.name.clone());
    let times = purchases.iter().filter(|purchase| !purchase.is_untouched()).count();
    Ok(Some(ShopLine {
        on: scope.to_string(),
        name: name.unwrap_or_default(),
        times: u32::try_from(times).unwrap_or(u32::MAX),
        sum: sum(programme, purchases)?.into(),
        last: last.counted.on.to_string(),
        bought: last.id.to_string(),
    }))
}

/// What a term is about: exactly one of `on`, `shop` and `bought`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TermScopeQuery {
    /// `category:food`, `code:5541`, `gate:cash`, `everything_else`, `shop:` and a key.
    #[param(min_length = 1, max_length = 200)]
    on: Option<String>,
    /// The name of a shop.
    #[param(min_length = 1, max_length = 500)]
    shop: Option<String>,
    /// A purchase (`pur_…` or `dec_…`) at the shop.
    #[param(min_length = 1, max_length = 200)]
    bought: Option<String>,
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// Purchases that a term would have covered
///
/// The recent purchases that a term about a shop, a kind of shop or a way of paying would have
/// covered, to be seen before it is agreed. A reader other than the person gives a `reason`.
#[utoipa::path(
    get, path = "/people/{person}/would-meet", tag = "purchases",
    params(("person" = String, Path), TermScopeQuery),
    responses((status = 200, body = TermMatchesBody), Problems)
)]
async fn would_meet(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<TermScopeQuery>,
) -> Result<Json<TermMatchesBody>, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = api.programme(&principal.programme).await?;
    let (mut tx, access) =
        begin_recorded_read(&api, &principal, &person, "would-meet", query.reason.as_deref())
            .await?;
    let scope = term_scope(&mut tx, &access, &programme, &query).await?;
    let purchases = recent_purchases(&mut tx, &access).await?;
    tx.commit().await?;
    let table = programme.rules.shops();
    let is_met = |purchase: &&Purchase| {
        let shop = identity(table, purchase);
        CountingAttributes { shop, ..purchase.counted.clone() }.is_within(&scope)
    };
    let met: Vec<&Purchase> = purchases.iter().filter(is_met).collect();
    let line = |purchase: &&Purchase| -> Result<TermMatchLine, ApiError> {
        Ok(TermMatchLine {
            purchase: purchase.id.to_string(),
            on: purchase.counted.on.to_string(),
            place: purchase.place.name.clone().unwrap_or_default(),
            category: purchase.counted.category.to_string(),
            sum: sum(&programme, &[*purchase])?.into(),
        })
    };
    Ok(Json(TermMatchesBody {
        person: access.budget.to_string(),
        name: name_of(&programme, &scope),
        on: scope.to_string(),
        looked_at: purchases.len(),
        sum: sum(&programme, &met)?.into(),
        purchases: met.iter().map(line).collect::<Result<_, _>>()?,
    }))
}

/// What the term would be about, named by exactly one of `on`, `shop` and `bought`.
async fn term_scope(
    tx: &mut Tx,
    access: &GrantedAccess,
    programme: &Programme,
    query: &TermScopeQuery,
) -> Result<Scope, ApiError> {
    let malformed = |field| ApiError::Malformed { field, what: "name what it is about".to_owned() };
    match (&query.on, &query.shop, &query.bought) {
        (Some(on), None, None) => on.parse().map_err(|_| malformed("on")),
        (None, Some(name), None) => {
            let key = programme.rules.shops().key_of(&check_words("shop", name)?);
            key.map(Scope::Shop).ok_or_else(|| malformed("shop"))
        }
        (None, None, Some(id)) => shop_scope(tx, access, programme, id).await,
        (_, _, _) => {
            let what = "name one of: on, shop, bought".to_owned();
            Err(ApiError::Malformed { field: "on", what })
        }
    }
}

/// The shops of the purchases `ids`. A read by anybody but the person is recorded first, with
/// `words` as its reason: each attempt is recorded, even of a request that is repeated or refused.
pub(super) async fn shop_scopes(
    api: &Api,
    principal: &Principal,
    person: &PersonId,
    ids: impl Iterator<Item = &str>,
    words: &str,
) -> Result<BTreeMap<String, Scope>, ApiError> {
    let ids: BTreeSet<&str> = ids.collect();
    let mut scopes = BTreeMap::new();
    if ids.is_empty() {
        return Ok(scopes);
    }
    if ids.len() > NAMED_PURCHASES_MAX {
        return Err(invalid_field(
            "set/bought",
            format!("name {NAMED_PURCHASES_MAX} purchases or fewer"),
        ));
    }
    let programme = api.programme(&principal.programme).await?;
    let (mut tx, access) =
        begin_recorded_read(api, principal, person, "shops", Some(words)).await?;
    for id in ids {
        scopes.insert(id.to_owned(), shop_scope(&mut tx, &access, &programme, id).await?);
    }
    tx.commit().await?;
    Ok(scopes)
}

/// The shop of the purchase `id`.
async fn shop_scope(
    tx: &mut Tx,
    access: &GrantedAccess,
    programme: &Programme,
    id: &str,
) -> Result<Scope, ApiError> {
    let table = programme.rules.shops();
    let name = find_purchase(tx, access, id).await?;
    let is_theirs = |purchase: &Purchase| purchase.budget == access.budget;
    let purchases = tx.purchases_by_reference(&name.0, std::slice::from_ref(&name)).await?;
    let scope = if let Some(purchase) = purchases.into_iter().find(is_theirs) {
        scope_of(table, &purchase)
    } else {
        let answers = tx.decisions_of_purchases(std::slice::from_ref(&name)).await?;
        let answer = answers.into_iter().find(|answer| answer.budget == access.budget);
        let merchant = answer.and_then(|answer| answer.request()).map(|request| request.merchant);
        merchant.and_then(|merchant| Scope::for_merchant(&merchant, table))
    };
    scope.ok_or(ApiError::NotFound("shop"))
}

fn scope_of(table: &ShopTable, purchase: &Purchase) -> Option<Scope> {
    let counted = &purchase.counted;
    let printed = purchase.place.name.as_deref();
    Scope::for_purchase(&counted.shop, counted.mcc, printed, table)
}

fn identity(table: &ShopTable, purchase: &Purchase) -> ShopIdentity {
    let counted = &purchase.counted;
    table.identify_purchase(&counted.shop, counted.mcc, purchase.place.name.as_deref())
}

/// The name of the shop in the shop table.
fn name_of(programme: &Programme, scope: &Scope) -> Option<String> {
    let key = scope.shops().next()?;
    programme.rules.shops().with_key(&key).map(|shop| shop.name.clone())
}

/// The recent purchases, the newest first.
async fn recent_purchases(tx: &mut Tx, access: &GrantedAccess) -> Result<Vec<Purchase>, ApiError> {
    let (programme, budget) = (&access.programme, &access.budget);
    let links = tx.links_before(programme, budget, None, LINKS_MAX).await?;
    let mut ids: Vec<PurchaseId> = Vec::new();
    for id in links.iter().filter_map(|link| link.purchase_id) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut purchases = tx.purchases_by_id(programme, &ids).await?;
    purchases.sort_by_key(|purchase| ids.iter().position(|id| *id == purchase.id));
    Ok(purchases)
}

fn sum(programme: &Programme, purchases: &[&Purchase]) -> Result<Money, ApiError> {
    let mut sum = Money::zero(programme.settings.currency);
    for purchase in purchases.iter().filter(|purchase| !purchase.is_untouched()) {
        let amount = cost(purchase).map_err(money_error)?;
        sum = sum.checked_add(amount).map_err(money_error)?;
    }
    Ok(sum)
}
