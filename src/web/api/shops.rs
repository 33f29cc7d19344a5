//! The shops that a person bought at, and which of their purchases a term would have met: to be seen
//! before anybody agrees.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Place, named, words};
use super::document::Problems;
use super::looking::look;
use super::proposed::wrong;
use super::purchases::find;
use super::queries::{LookingAtOne, Meeting};
use super::shown::MoneyBody;
use super::totals::broken;
use crate::domain::agreement::Scope;
use crate::domain::id::PurchaseId;
use crate::domain::money::Money;
use crate::domain::money::limit::Counted;
use crate::domain::people::role::Act;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::state::cost;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::table::ShopTable;
use crate::people::members::{Acting, Admitted};
use crate::programme::directory::Programme;
use crate::store::Tx;
use crate::web::Edge;
use crate::web::problem::ApiError;

/// How far back it is looked: so many links of the chain.
const LOOKED_AT_MOST: u32 = 600;
/// How many purchases of one change may name shops.
const NAMED_MOST: usize = 20;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(shops)).routes(routes!(would_meet))
}

/// Where a person bought lately.
#[derive(Debug, Serialize, ToSchema)]
struct BoughtAt {
    person: String,
    /// How many purchases were looked at, the newest first.
    looked_at: usize,
    /// The shop of the newest purchase first.
    shops: Vec<ShopLine>,
}

/// One shop, whatever its tills printed.
#[derive(Debug, Serialize, ToSchema)]
struct ShopLine {
    /// What a term about it is about: `shop:` and its key.
    on: String,
    /// What people call it; for a shop that the table does not have, what its till printed.
    name: String,
    /// How often, without what came to nothing.
    times: u32,
    /// Held and spent together, without what came back.
    sum: MoneyBody,
    /// The day of the newest purchase.
    #[schema(format = Date)]
    last: String,
    /// The newest purchase there: `bought` of a term names the shop by it.
    bought: String,
}

/// The purchases of late that a term would have been about.
#[derive(Debug, Serialize, ToSchema)]
struct WouldMeet {
    person: String,
    /// What the term is about.
    on: String,
    /// What the shop is called, where the table has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// How many purchases were looked at, the newest first.
    looked_at: usize,
    /// Held and spent together, without what came back.
    sum: MoneyBody,
    purchases: Vec<MetLine>,
}

#[derive(Debug, Serialize, ToSchema)]
struct MetLine {
    purchase: String,
    /// The day on which it counts.
    #[schema(format = Date)]
    on: String,
    /// The shop as the message spelled it; empty when it was erased or never told.
    place: String,
    category: String,
    /// Held and spent together, without what came back.
    sum: MoneyBody,
}

/// Shops that the person bought at lately
///
/// Somebody else than the person says why they look (`reason`), as for single purchases.
#[utoipa::path(
    get, path = "/people/{person}/shops", tag = "purchases",
    params(("person" = String, Path), LookingAtOne),
    responses((status = 200, body = BoughtAt), Problems)
)]
async fn shops(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(asked): Asked<LookingAtOne>,
) -> Result<Json<BoughtAt>, ApiError> {
    let person = named(&person, "person")?;
    let programme = api.programme(&acting.programme).await?;
    let (mut tx, admitted) = look(&api, &acting, &person, "shops", asked.reason.as_deref()).await?;
    let purchases = bought(&mut tx, &admitted).await?;
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
    Ok(Json(BoughtAt {
        person: admitted.budget.to_string(),
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

/// What a term would have met
///
/// The purchases of late that a term about a shop, a kind of shop or a way of paying would have been
/// about: to be seen before it is agreed. Somebody else than the person says why they look (`reason`).
#[utoipa::path(
    get, path = "/people/{person}/would-meet", tag = "purchases",
    params(("person" = String, Path), Meeting),
    responses((status = 200, body = WouldMeet), Problems)
)]
async fn would_meet(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(asked): Asked<Meeting>,
) -> Result<Json<WouldMeet>, ApiError> {
    let person = named(&person, "person")?;
    let programme = api.programme(&acting.programme).await?;
    let (mut tx, admitted) =
        look(&api, &acting, &person, "would-meet", asked.reason.as_deref()).await?;
    let scope = meant(&mut tx, &admitted, &programme, &asked).await?;
    let purchases = bought(&mut tx, &admitted).await?;
    tx.commit().await?;
    let table = programme.rules.shops();
    let is_met = |purchase: &&Purchase| {
        let shop = identity(table, purchase);
        Counted { shop, ..purchase.counted.clone() }.is_within(&scope)
    };
    let met: Vec<&Purchase> = purchases.iter().filter(is_met).collect();
    let line = |purchase: &&Purchase| -> Result<MetLine, ApiError> {
        Ok(MetLine {
            purchase: purchase.id.to_string(),
            on: purchase.counted.on.to_string(),
            place: purchase.place.name.clone().unwrap_or_default(),
            category: purchase.counted.category.to_string(),
            sum: sum(&programme, &[*purchase])?.into(),
        })
    };
    Ok(Json(WouldMeet {
        person: admitted.budget.to_string(),
        name: name_of(&programme, &scope),
        on: scope.to_string(),
        looked_at: purchases.len(),
        sum: sum(&programme, &met)?.into(),
        purchases: met.iter().map(line).collect::<Result<_, _>>()?,
    }))
}

/// What the term would be about.
async fn meant(
    tx: &mut Tx,
    admitted: &Admitted,
    programme: &Programme,
    asked: &Meeting,
) -> Result<Scope, ApiError> {
    let malformed = |field| ApiError::Malformed { field, what: "name what it is about".to_owned() };
    match (&asked.on, &asked.shop, &asked.bought) {
        (Some(on), None, None) => on.parse().map_err(|_| malformed("on")),
        (None, Some(name), None) => {
            let key = programme.rules.shops().key_of(&words("shop", name)?);
            key.map(Scope::Shop).ok_or_else(|| malformed("shop"))
        }
        (None, None, Some(id)) => shop_of(tx, admitted, programme, id).await,
        (_, _, _) => {
            let what = "name one of: on, shop, bought".to_owned();
            Err(ApiError::Malformed { field: "on", what })
        }
    }
}

/// The shops of the purchases that `ids` name, for whoever may see these.
pub(super) async fn shops_of(
    api: &Api,
    acting: &Acting,
    person: &str,
    ids: impl Iterator<Item = &str>,
) -> Result<BTreeMap<String, Scope>, ApiError> {
    let ids: BTreeSet<&str> = ids.collect();
    let mut scopes = BTreeMap::new();
    if ids.is_empty() {
        return Ok(scopes);
    }
    if ids.len() > NAMED_MOST {
        return Err(wrong("set/bought", format!("name {NAMED_MOST} purchases or fewer")));
    }
    let programme = api.programme(&acting.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeePurchase, &named(person, "person")?).await?;
    for id in ids {
        scopes.insert(id.to_owned(), shop_of(&mut tx, &admitted, &programme, id).await?);
    }
    tx.commit().await?;
    Ok(scopes)
}

/// The shop of the purchase that `id` names.
async fn shop_of(
    tx: &mut Tx,
    admitted: &Admitted,
    programme: &Programme,
    id: &str,
) -> Result<Scope, ApiError> {
    let table = programme.rules.shops();
    let name = find(tx, admitted, id).await?;
    let is_theirs = |purchase: &Purchase| purchase.budget == admitted.budget;
    let purchases = tx.purchases_named(&name.0, std::slice::from_ref(&name)).await?;
    let scope = if let Some(purchase) = purchases.into_iter().find(is_theirs) {
        scope_of(table, &purchase)
    } else {
        let answers = tx.answers_of(std::slice::from_ref(&name)).await?;
        let answer = answers.into_iter().find(|answer| answer.budget == admitted.budget);
        let merchant = answer.and_then(|answer| answer.request()).map(|asked| asked.merchant);
        merchant.and_then(|merchant| table.scope_of(&merchant))
    };
    scope.ok_or(ApiError::NotFound("shop"))
}

fn scope_of(table: &ShopTable, purchase: &Purchase) -> Option<Scope> {
    let counted = &purchase.counted;
    table.scope_of_bought(&counted.shop, counted.mcc, purchase.place.name.as_deref())
}

fn identity(table: &ShopTable, purchase: &Purchase) -> ShopIdentity {
    let counted = &purchase.counted;
    table.identify_bought(&counted.shop, counted.mcc, purchase.place.name.as_deref())
}

/// What the table calls a shop.
fn name_of(programme: &Programme, scope: &Scope) -> Option<String> {
    let key = scope.shops().next()?;
    programme.rules.shops().with_key(&key).map(|shop| shop.name.clone())
}

/// The purchases of late, the newest first.
async fn bought(tx: &mut Tx, admitted: &Admitted) -> Result<Vec<Purchase>, ApiError> {
    let (programme, budget) = (&admitted.programme, &admitted.budget);
    let links = tx.links_before(programme, budget, None, LOOKED_AT_MOST).await?;
    let mut ids: Vec<PurchaseId> = Vec::new();
    for id in links.iter().filter_map(|link| link.purchase) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut purchases = tx.purchases_with(programme, &ids).await?;
    purchases.sort_by_key(|purchase| ids.iter().position(|id| *id == purchase.id));
    Ok(purchases)
}

fn sum(programme: &Programme, purchases: &[&Purchase]) -> Result<Money, ApiError> {
    let mut sum = Money::zero(programme.settings.currency);
    for purchase in purchases.iter().filter(|purchase| !purchase.is_untouched()) {
        let amount = cost(purchase).map_err(broken)?;
        sum = sum.checked_add(amount).map_err(broken)?;
    }
    Ok(sum)
}
