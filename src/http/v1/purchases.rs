//! Single purchases. When somebody else than the person looks, why is kept first, and the person can
//! read it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Place, named, words};
use super::document::Problems;
use super::queries::{Days, Looking, LookingAtOne};
use super::shown::{MoneyBody, Page, after, wanted};
use crate::domain::id::{DecisionId, LookId, PersonId, PurchaseId};
use crate::domain::merchant::Category;
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::Purchase;
use crate::domain::role::{Act, Member, Role, Tick};
use crate::http::Edge;
use crate::http::problem::{ApiError, FieldProblem};
use crate::members::{Acting, Admitted};
use crate::ops::explain::explain_one;
use crate::programme::directory::Programme;
use crate::record::decision::{Outcome, RecordedDecision};
use crate::store::{BoughtLink, LookRow, ReferenceKey, Tx};

/// Why a helper looks: the person has ticked it, which needs no other reason.
const AS_TICKED: &str = "The person let them see it.";
/// The longest stretch of days that is summed up at once.
const DAYS_MOST: i32 = 366;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(purchases))
        .routes(routes!(purchase))
        .routes(routes!(totals))
}

/// A question that was answered, or a claim that came without one.
#[derive(Debug, Serialize, ToSchema)]
struct PurchaseLine {
    /// A decision (`dec_…`), or a purchase (`pur_…`) that we were not asked about.
    id: String,
    #[schema(format = DateTime)]
    at: Option<String>,
    /// The shop as the message spelled it; empty when it was erased or never told.
    place: String,
    /// The kind of shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    category: Option<String>,
    /// `paid`, `not_paid`, or `taken_back` when our answer came too late.
    outcome: &'static str,
    asked: MoneyBody,
    /// Why it was not paid, the told one first.
    reasons: Vec<&'static str>,
    /// What is kept aside for it.
    held: MoneyBody,
    /// What the shop has taken.
    spent: MoneyBody,
    /// What came back.
    refunded: MoneyBody,
}

/// One purchase, in words.
#[derive(Debug, Serialize, ToSchema)]
struct PurchaseBody {
    #[serde(flatten)]
    line: PurchaseLine,
    /// What happened, in words for whoever reads it.
    words: String,
    /// What the person can do next, when it was not paid; theirs to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
    /// What each pot gave.
    parts: Vec<PartBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PartBody {
    pot: String,
    amount: MoneyBody,
}

/// What was spent on each kind of shop, over some days.
#[derive(Debug, Serialize, ToSchema)]
struct Totals {
    person: String,
    #[schema(format = Date)]
    from: String,
    #[schema(format = Date)]
    to: String,
    /// Held and spent together, without what came back.
    total: MoneyBody,
    categories: Vec<CategoryTotal>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CategoryTotal {
    category: String,
    name: String,
    total: MoneyBody,
    /// How many; left out for those who do not see single purchases.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    purchases: Option<u32>,
}

/// Begins to read purchases. The look of somebody else is kept, in a transaction of its own, before
/// anything is read: so no reader keeps a purchase at a till waiting.
pub(super) async fn look(
    api: &Api,
    acting: &Acting,
    person: &PersonId,
    what: &str,
    reason: Option<&str>,
) -> Result<(Tx, Admitted), ApiError> {
    let reason = reason.map(|reason| words("reason", reason)).transpose()?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeePurchase, person).await?;
    if admitted.actor.member.role == Role::Person {
        return Ok((tx, admitted));
    }
    tx.commit().await?;
    keep_look(api, acting, person, what, reason).await?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeePurchase, person).await?;
    Ok((tx, admitted))
}

async fn keep_look(
    api: &Api,
    acting: &Acting,
    person: &PersonId,
    what: &str,
    reason: Option<String>,
) -> Result<(), ApiError> {
    let mut tx = api.store.begin().await?;
    let admitted = acting.admit(&mut tx, Act::SeePurchase, person).await?;
    let reason = match reason {
        Some(reason) => reason,
        None if !admitted.actor.member.role.explains_looks() => AS_TICKED.to_owned(),
        None => {
            let what = "say why you look: the person can read it";
            return Err(ApiError::Invalid(vec![FieldProblem::of("reason", what)]));
        }
    };
    let row = LookRow {
        budget: admitted.budget.clone(),
        id: LookId::new(api.ids.next(acting.at)),
        member: admitted.actor.member.id.clone(),
        what: what.to_owned(),
        reason,
        looked_at: acting.at,
    };
    tx.add_looks(&admitted.programme, &[row]).await?;
    Ok(tx.commit().await?)
}

/// Single purchases, the newest first
///
/// Somebody else than the person says why they look (`reason`); it is kept, and the person can read
/// it. Whom the person has let see their purchases need not say why; it is kept too.
#[utoipa::path(
    get, path = "/people/{person}/purchases", tag = "purchases",
    params(("person" = String, Path), Looking),
    responses((status = 200, body = Page<PurchaseLine>), Problems)
)]
async fn purchases(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(asked): Asked<Looking>,
) -> Result<Json<Page<PurchaseLine>>, ApiError> {
    let wanted = wanted(asked.limit)?;
    let after = after(asked.cursor.as_deref())?;
    let person = named(&person, "person")?;
    let programme = api.programme(&acting.programme).await?;
    let reason = asked.reason.as_deref();
    let (mut tx, admitted) = look(&api, &acting, &person, "purchases", reason).await?;
    let (id, budget) = (&admitted.programme, &admitted.budget);
    let links = tx.bought(id, budget, after, wanted.saturating_add(1)).await?;
    let ids: Vec<DecisionId> = links.iter().filter_map(|link| link.decision).collect();
    let decisions = tx.decisions_with(id, &ids).await?;
    let ids: Vec<PurchaseId> = links.iter().filter_map(|link| link.purchase).collect();
    let purchases = tx.purchases_with(id, &ids).await?;
    let withdrawn = withdrawn(&mut tx, &decisions).await?;
    tx.commit().await?;
    let mut claimed = BTreeSet::new();
    let show = |link: BoughtLink| {
        let decision = decisions.iter().find(|decision| Some(decision.id) == link.decision);
        let purchase = purchases.iter().find(|purchase| Some(purchase.id) == link.purchase);
        let is_asked = decision.is_some();
        let is_new =
            |purchase: &Purchase| purchase.promises.is_empty() && claimed.insert(purchase.id);
        if !is_asked && !purchase.is_some_and(is_new) {
            return None;
        }
        let at = Some(link.posted_at);
        Shown { decision, purchase, withdrawn: &withdrawn, at }.line(&programme)
    };
    let page = Page::of(links, wanted, |link| link.posting.to_string(), show);
    // A claim of a purchase that we were asked about is told with its question.
    Ok(Json(page.without_none()))
}

/// One purchase
///
/// By its decision or its own identifier, with why and what next in words.
#[utoipa::path(
    get, path = "/people/{person}/purchases/{purchase}", tag = "purchases",
    params(("person" = String, Path), ("purchase" = String, Path), LookingAtOne),
    responses((status = 200, body = PurchaseBody), Problems)
)]
async fn purchase(
    State(api): State<Api>,
    acting: Acting,
    Place((person, id)): Place<(String, String)>,
    Asked(asked): Asked<LookingAtOne>,
) -> Result<Json<PurchaseBody>, ApiError> {
    let person = named(&person, "person")?;
    let programme = api.programme(&acting.programme).await?;
    let reason = asked.reason.as_deref();
    let what = id.chars().take(80).collect::<String>();
    let (mut tx, admitted) = look(&api, &acting, &person, &what, reason).await?;
    let (decision, purchase) = find(&mut tx, &admitted, &id).await?;
    let mut words = (String::new(), None, Vec::new());
    if let Some(decision) = &decision {
        let explained = explain_one(&mut tx, &api.directory, decision).await;
        let explained = explained.map_err(|error| ApiError::Unreadable(Box::new(error)))?;
        // What the person holds back is nobody else's.
        let is_persons = admitted.actor.member.role == Role::Person;
        let (told, next) = if is_persons {
            (explained.person_text, explained.next_text)
        } else {
            (explained.worker_text, None)
        };
        let part = |part: &crate::domain::pot::PotPart| PartBody {
            pot: part.pot.to_string(),
            amount: part.amount.into(),
        };
        words = (told, next, explained.parts.iter().map(part).collect());
    }
    let withdrawn = withdrawn(&mut tx, decision.as_slice()).await?;
    tx.commit().await?;
    let (decision, purchase) = (decision.as_ref(), purchase.as_ref());
    let line = Shown { decision, purchase, withdrawn: &withdrawn, at: None }.line(&programme);
    let line = line.ok_or(ApiError::NotFound("purchase"))?;
    let (words, next, parts) = words;
    Ok(Json(PurchaseBody { line, words, next, parts }))
}

/// The decision or the purchase of this budget that `id` names.
pub(super) async fn find(
    tx: &mut Tx,
    admitted: &Admitted,
    id: &str,
) -> Result<(Option<RecordedDecision>, Option<Purchase>), ApiError> {
    let (programme, budget) = (&admitted.programme, &admitted.budget);
    if let Ok(id) = id.parse::<DecisionId>() {
        let found = tx.decisions_with(programme, &[id]).await?.pop();
        let decision = found.filter(|decision| decision.budget == *budget);
        let decision = decision.ok_or(ApiError::NotFound("purchase"))?;
        let purchase =
            tx.purchase_named(programme, &decision.connection, &decision.purchase).await?;
        let purchase = purchase.filter(|purchase| purchase.budget == *budget);
        return Ok((Some(decision), purchase));
    }
    let id = named::<PurchaseId>(id, "purchase")?;
    let purchase = tx.purchases_with(programme, &[id]).await?.pop();
    let purchase = purchase.filter(|purchase| purchase.budget == *budget);
    Ok((None, Some(purchase.ok_or(ApiError::NotFound("purchase"))?)))
}

/// Which of `decisions` were taken back, because our answer came too late.
async fn withdrawn(
    tx: &mut Tx,
    decisions: &[RecordedDecision],
) -> Result<BTreeSet<ReferenceKey>, ApiError> {
    let keys: Vec<_> = decisions
        .iter()
        .map(|d| (d.programme.clone(), d.connection.clone(), d.reference.clone()))
        .collect();
    Ok(tx.withdrawn(&keys).await?)
}

/// A question or a claim, with all that is known of it.
struct Shown<'a> {
    decision: Option<&'a RecordedDecision>,
    purchase: Option<&'a Purchase>,
    withdrawn: &'a BTreeSet<ReferenceKey>,
    /// When the claim came, where nobody asked.
    at: Option<Timestamp>,
}

impl Shown<'_> {
    /// How it is shown; none when there is nothing to show.
    fn line(&self, programme: &Programme) -> Option<PurchaseLine> {
        let currency = programme.settings.currency;
        let figure = |figure: fn(&Purchase) -> Money| {
            self.purchase.map_or(Money::zero(currency), figure).into()
        };
        let asked = self.decision.and_then(RecordedDecision::request);
        let place = self.purchase.and_then(|purchase| purchase.place.name.clone());
        let place = place.or_else(|| asked.as_ref().map(|asked| asked.merchant.name().to_owned()));
        let category = match (self.purchase, &asked) {
            (Some(purchase), _) => Some(purchase.counted.category.to_string()),
            (None, Some(asked)) => {
                Some(programme.rules.category_of(asked.merchant.mcc()).to_string())
            }
            (None, None) => None,
        };
        let (outcome, reasons) = self.outcome();
        let id = match (self.decision, self.purchase) {
            (Some(decision), _) => decision.id.to_string(),
            (None, Some(purchase)) => purchase.id.to_string(),
            (None, None) => return None,
        };
        let at = self.decision.map(|decision| decision.decided_at).or(self.at);
        Some(PurchaseLine {
            id,
            at: at.map(|at| at.to_string()),
            place: place.unwrap_or_default(),
            category,
            outcome,
            asked: match self.decision {
                Some(decision) => decision.asked.into(),
                None => figure(|purchase| purchase.captured),
            },
            reasons,
            held: figure(|purchase| purchase.held().unwrap_or(Money::zero(purchase.currency))),
            spent: figure(|purchase| purchase.captured),
            refunded: figure(|purchase| purchase.refunded),
        })
    }

    fn outcome(&self) -> (&'static str, Vec<&'static str>) {
        let Some(decision) = self.decision else { return ("paid", Vec::new()) };
        let (programme, connection) = (decision.programme.clone(), decision.connection.clone());
        let key = (programme, connection, decision.reference.to_string());
        match &decision.outcome {
            Outcome::Approved(_) if self.withdrawn.contains(&key) => ("taken_back", Vec::new()),
            Outcome::Approved(_) => ("paid", Vec::new()),
            Outcome::Declined(codes) => {
                ("not_paid", codes.iter().map(|code| code.as_str()).collect())
            }
        }
    }
}

/// What was spent on each kind of shop
#[utoipa::path(
    get, path = "/people/{person}/totals", tag = "purchases",
    params(("person" = String, Path), Days),
    responses((status = 200, body = Totals), Problems)
)]
async fn totals(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(days): Asked<Days>,
) -> Result<Json<Totals>, ApiError> {
    let programme = api.programme(&acting.programme).await?;
    let today = programme.zone().to_datetime(acting.at).date();
    let from = day("from", days.from.as_deref(), today.first_of_month())?;
    let to = day("to", days.to.as_deref(), today)?;
    let length = to.since(from).map_or(i32::MAX, |span| span.get_days());
    if !(0..DAYS_MOST).contains(&length) {
        let what = format!("from must not be after to, and {DAYS_MOST} days are the most");
        return Err(ApiError::Malformed { field: "from", what });
    }
    // Something may still be said of what was bought on the first day; nothing was said before it.
    let since = from.yesterday().unwrap_or(from).to_zoned(programme.zone().clone());
    let since = since.map_or(Timestamp::MIN, |zoned| zoned.timestamp());
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeeTotals, &named(&person, "person")?).await?;
    let sees_single = sees_single(&admitted.actor.member);
    let is_whole = from.day() == 1 && (to == to.last_of_month() || to == today);
    if !sees_single && !is_whole {
        let what =
            "from the first of a month to the last of one: a day of its own is a single purchase";
        return Err(ApiError::Malformed { field: "from", what: what.to_owned() });
    }
    let purchases = tx.purchases_since(&admitted.programme, &admitted.budget, since).await?;
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
        person: admitted.budget.to_string(),
        from: from.to_string(),
        to: to.to_string(),
        total: total.into(),
        categories,
    }))
}

/// Whether a member sees single purchases of the person without saying why: sums over one day are
/// nothing else.
fn sees_single(member: &Member) -> bool {
    member.role == Role::Person
        || (member.role.is_chosen() && member.sees.contains(&Tick::Purchases))
}

fn day(field: &'static str, text: Option<&str>, usual: Date) -> Result<Date, ApiError> {
    let Some(text) = text else { return Ok(usual) };
    let is_plain = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|_| is_plain);
    date.ok_or_else(|| ApiError::Malformed { field, what: "write it like 2026-11-23".to_owned() })
}

fn sums(
    purchases: &[&Purchase],
    currency: Currency,
    programme: &Programme,
) -> Result<(Money, Vec<CategoryTotal>), ApiError> {
    let mut categories: BTreeMap<&Category, (Money, u32)> = BTreeMap::new();
    let mut total = Money::zero(currency);
    let add = |sum: Money, amount: Money| sum.checked_add(amount).map_err(broken);
    for purchase in purchases {
        let amount = purchase.committed().map_err(broken)?;
        let amount = amount.checked_sub(purchase.refunded).map_err(broken)?;
        if purchase.is_untouched() {
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

pub(super) fn broken(error: crate::domain::money::MoneyError) -> ApiError {
    crate::members::ActError::from(crate::ledger::book::LedgerError::from(error)).into()
}
