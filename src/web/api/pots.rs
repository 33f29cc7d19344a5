//! Pots as the API shows them, and the money in them that the person controls alone: held back, in
//! pots of their own, moved between pots.

use axum::response::Response;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{check_words, parse_id};
use super::representation::MoneyBody;
use crate::domain::id::{PersonId, PotId};
use crate::domain::money::{Money, MoneyError};
use crate::domain::pot::PotPlan;
use crate::domain::pot::release::NextRelease;
use crate::ledger::book::PotBalance;
use crate::people::members::UseCaseError;
use crate::people::pots;
use crate::people::pots::{HoldBackRequest, NewGoal, PotChange, PotSnapshot};
use crate::web::AppState;
use crate::web::problem::{ApiError, FieldProblem};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(hold_back))
        .routes(routes!(take_back))
        .routes(routes!(open_pot))
        .routes(routes!(let_pay))
        .routes(routes!(close_pot))
        .routes(routes!(move_money))
}

/// A request to hold money back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHeldBack {
    /// In minor units.
    #[schema(minimum = 1)]
    amount: i64,
    /// The day on which it is available again; left out: when it is taken back.
    #[schema(nullable = false, format = Date)]
    until: Option<String>,
    /// For how many days it stays held back after the person asks for it.
    #[schema(nullable = false, maximum = 365)]
    cooling_days: Option<u32>,
}

/// A pot that the person opens, with a name in their own words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPot {
    /// The pot that it is part of. It pays for the same things.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,59}$")]
    of: String,
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// The amount to save, in minor units.
    #[schema(nullable = false, minimum = 1)]
    sum: Option<i64>,
}

/// Whether a pot pays for purchases.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pays)]
struct LetPayRequest {
    pays: bool,
}

/// An empty body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JustSo)]
struct EmptyPotRequest {}

/// A transfer from one pot into another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMove)]
struct NewPotTransfer {
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,59}$")]
    from: String,
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,59}$")]
    to: String,
    /// In minor units.
    #[schema(minimum = 1)]
    amount: i64,
}

/// Both pots after the transfer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Moved)]
struct PotTransferBody {
    from: PotBody,
    to: PotBody,
}

/// A pot. `loaded` is what was put in or moved in from other pots; it is `held` for purchases,
/// `spent`, or `left`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PotBody {
    pub(super) pot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    stream: String,
    /// The amount that was promised for it.
    allocated: MoneyBody,
    loaded: MoneyBody,
    held: MoneyBody,
    spent: MoneyBody,
    pub(super) left: MoneyBody,
    /// The part of `left` that can be spent now; `next` is what is released next.
    pub(super) spendable: MoneyBody,
    /// The next release of money. Left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<NextReleaseBody>,
    /// The part that the person holds back; visible only to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    held_back: Option<HeldBackBody>,
    /// Present if the person opened this pot for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    goal: Option<GoalBody>,
}

/// Money that is released by itself, at local midnight.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ComingBody)]
struct NextReleaseBody {
    #[schema(format = Date)]
    on: String,
    amount: MoneyBody,
}

/// The part of a pot that is held back.
#[derive(Debug, Serialize, ToSchema)]
struct HeldBackBody {
    amount: MoneyBody,
    /// The day on which it is available again; left out: when it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date)]
    until: Option<String>,
    cooling_days: u32,
    /// When the person asked for it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    asked_at: Option<String>,
}

/// The settings of a pot that the person opened.
#[derive(Debug, Serialize, ToSchema)]
struct GoalBody {
    /// The pot that it is part of.
    of: String,
    /// The amount to save.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sum: Option<MoneyBody>,
    /// Whether it pays for purchases, before the pot that it is part of.
    pays: bool,
    closed: bool,
}

impl PotBody {
    /// The pot on the day `today`; `is_own` says whether the person themselves reads it.
    pub(super) fn of(
        pot: &PotId,
        plan: Option<&PotPlan>,
        balance: &PotBalance,
        today: Date,
        is_own: bool,
    ) -> Result<Self, MoneyError> {
        let PotView { name, spendable, next, held_back, goal } =
            PotView::of(plan, balance, today, is_own)?;
        let next = next.map(|coming| NextReleaseBody {
            on: coming.on.to_string(),
            amount: coming.amount.into(),
        });
        Ok(Self {
            pot: pot.to_string(),
            name,
            stream: balance.stream.to_string(),
            allocated: balance.allocated.into(),
            loaded: balance.loaded.into(),
            held: balance.held.into(),
            spent: balance.spent.into(),
            left: balance.left.into(),
            spendable: spendable.into(),
            next,
            held_back,
            goal,
        })
    }
}

/// A pot as one reader sees it. What is held back, and the name and the amount to save of a pot
/// that the person opened, are visible only to the person.
struct PotView {
    name: Option<String>,
    spendable: Money,
    next: Option<NextRelease>,
    held_back: Option<HeldBackBody>,
    goal: Option<GoalBody>,
}

impl PotView {
    fn of(
        plan: Option<&PotPlan>,
        balance: &PotBalance,
        today: Date,
        is_own: bool,
    ) -> Result<Self, MoneyError> {
        let mut pot = balance.in_pot(today)?;
        pot.held_back = pot.held_back.filter(|_| is_own);
        let (spendable, next) = match plan {
            Some(plan) if pot.part_of.is_none() => {
                (plan.spendable(&pot, today)?, plan.next(&pot, today)?)
            }
            Some(plan) => (plan.spendable(&pot, today)?, None),
            // A pot that is no longer on the list pays for nothing.
            None => (Money::zero(balance.left.currency()), None),
        };
        let goal = balance.own.goal.as_ref();
        let name = match goal {
            Some(goal) => is_own.then(|| goal.name.clone()),
            None => plan.map(|plan| plan.name.clone()),
        };
        let held = balance.own.held_back.as_ref().filter(|held| is_own && held.is_active_on(today));
        let held_back = held.map(|held| HeldBackBody {
            amount: held.amount.into(),
            until: held.until.map(|until| until.to_string()),
            cooling_days: held.cooling_days,
            asked_at: held.asked_at.map(|at| at.to_string()),
        });
        let goal = goal.map(|goal| GoalBody {
            of: goal.of.to_string(),
            sum: goal.sum.filter(|_| is_own).map(MoneyBody::from),
            pays: goal.pays,
            closed: goal.is_closed,
        });
        Ok(Self { name, spendable, next, held_back, goal })
    }
}

fn pot_body(pot: &PotSnapshot) -> Result<PotBody, UseCaseError> {
    let PotSnapshot { pot, plan, balance, today } = pot;
    PotBody::of(pot, Some(plan), balance, *today, true)
        .map_err(|error| UseCaseError::Ledger(error.into()))
}

struct ChangePot {
    person: PersonId,
    pot: PotId,
    change: PotChange,
}

impl ApiAction for ChangePot {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, pot) = (&self.person, &self.pot);
        let pot = pots::change(tx, api.context(), principal, person, pot, self.change).await?;
        Ok(ApiResponse::ok(&pot_body(&pot)?))
    }
}

/// Hold back money of a pot
///
/// Takes effect at once. It is available again on the chosen day, or when the person takes it back.
/// Only the person can do so, and only they see it.
#[utoipa::path(
    post, path = "/people/{person}/pots/{pot}/held-back", tag = "pots",
    params(("person" = String, Path), ("pot" = String, Path), IdempotencyKeyHeader),
    request_body = NewHeldBack, responses((status = 200, body = PotBody), Problems)
)]
async fn hold_back(
    ApiPost { caller, path: (person, pot), body }: ApiPost<(String, String), NewHeldBack>,
) -> Result<Response, ApiError> {
    let (person, pot) = (parse_id(&person, "person")?, parse_id(&pot, "pot")?);
    let until = body.until.as_deref().map(str::parse::<Date>).transpose();
    let what = |_| FieldProblem::of("until", "write a day like 2027-05-31".to_owned());
    let until = until.map_err(|error| ApiError::Invalid(vec![what(error)]))?;
    let cooling_days = body.cooling_days.unwrap_or(0);
    let request = HoldBackRequest { amount: body.amount, until, cooling_days };
    let change = PotChange::HoldBack(request);
    caller.perform(ChangePot { person, pot, change }).await
}

/// Take held money back
///
/// At once, unless the person chose a waiting time. Then the first request starts the waiting time,
/// and a second one after it gives the money back.
#[utoipa::path(
    post, path = "/people/{person}/pots/{pot}/take-back", tag = "pots",
    params(("person" = String, Path), ("pot" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyPotRequest, responses((status = 200, body = PotBody), Problems)
)]
async fn take_back(
    ApiPost { caller, path: (person, pot), .. }: ApiPost<(String, String), EmptyPotRequest>,
) -> Result<Response, ApiError> {
    let (person, pot) = (parse_id(&person, "person")?, parse_id(&pot, "pot")?);
    caller.perform(ChangePot { person, pot, change: PotChange::TakeBack }).await
}

struct OpenPot {
    person: PersonId,
    goal: NewGoal,
}

impl ApiAction for OpenPot {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let pot = pots::open_goal(tx, api.context(), principal, &self.person, &self.goal).await?;
        Ok(ApiResponse::created(&pot_body(&pot)?))
    }
}

/// Open a pot of one's own
///
/// Its name is in the person's own words. It is part of an agreed pot, and pays for nothing until
/// the person says so.
#[utoipa::path(
    post, path = "/people/{person}/pots", tag = "pots",
    params(("person" = String, Path), IdempotencyKeyHeader),
    request_body = NewPot, responses((status = 201, body = PotBody), Problems)
)]
async fn open_pot(
    ApiPost { caller, path: person, body }: ApiPost<String, NewPot>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let of = parse_pot_id("of", &body.of)?;
    let goal = NewGoal { of, name: check_words("name", &body.name)?, sum: body.sum };
    caller.perform(OpenPot { person, goal }).await
}

/// Set whether a pot of one's own pays
#[utoipa::path(
    post, path = "/people/{person}/pots/{pot}/pays", tag = "pots",
    params(("person" = String, Path), ("pot" = String, Path), IdempotencyKeyHeader),
    request_body = LetPayRequest, responses((status = 200, body = PotBody), Problems)
)]
async fn let_pay(
    ApiPost { caller, path: (person, pot), body }: ApiPost<(String, String), LetPayRequest>,
) -> Result<Response, ApiError> {
    let (person, pot) = (parse_id(&person, "person")?, parse_id(&pot, "pot")?);
    let change = PotChange::SetPaying(body.pays);
    caller.perform(ChangePot { person, pot, change }).await
}

/// Close a pot of one's own: its money goes back to the pot that it is part of
#[utoipa::path(
    post, path = "/people/{person}/pots/{pot}/close", tag = "pots",
    params(("person" = String, Path), ("pot" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyPotRequest, responses((status = 200, body = PotBody), Problems)
)]
async fn close_pot(
    ApiPost { caller, path: (person, pot), .. }: ApiPost<(String, String), EmptyPotRequest>,
) -> Result<Response, ApiError> {
    let (person, pot) = (parse_id(&person, "person")?, parse_id(&pot, "pot")?);
    caller.perform(ChangePot { person, pot, change: PotChange::Close }).await
}

struct MoveMoney {
    person: PersonId,
    from: PotId,
    to: PotId,
    amount: i64,
}

impl ApiAction for MoveMoney {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (context, ends) = (api.context(), (&self.from, &self.to));
        let moved = pots::move_money(tx, context, principal, &self.person, ends, self.amount);
        let [from, to] = moved.await?;
        Ok(ApiResponse::ok(&PotTransferBody { from: pot_body(&from)?, to: pot_body(&to)? }))
    }
}

/// Move money between two pots of one stream that pay for the same things
#[utoipa::path(
    post, path = "/people/{person}/moves", tag = "pots",
    params(("person" = String, Path), IdempotencyKeyHeader),
    request_body = NewPotTransfer, responses((status = 200, body = PotTransferBody), Problems)
)]
async fn move_money(
    ApiPost { caller, path: person, body }: ApiPost<String, NewPotTransfer>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let (from, to) = (parse_pot_id("from", &body.from)?, parse_pot_id("to", &body.to)?);
    caller.perform(MoveMoney { person, from, to, amount: body.amount }).await
}

fn parse_pot_id(field: &'static str, text: &str) -> Result<PotId, ApiError> {
    let what =
        |_| ApiError::Invalid(vec![FieldProblem::of(field, "no pot is called so".to_owned())]);
    text.parse().map_err(what)
}
