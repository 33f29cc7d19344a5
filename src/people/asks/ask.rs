//! Creates an ask, about a declined purchase or without one, and takes it back.

use jiff::{SignedDuration, Timestamp};

use super::change::LockedAsk;
use super::outbox::{OutboxWriter, recipient_of, who};
use super::{LockedBudget, optional_words};
use crate::domain::agreement::{Gate, Scope};
use crate::domain::ask::clock::StaffAvailability;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::ask::{
    ActorIdentity, Ask, AskAnswer, AskKind, AskState, EscalationStep, GrantScope, NotAskableError,
    OPEN_ASKS_MAX, Urgency, askable,
};
use crate::domain::decision::authorisation::AuthorisationRequest;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{AskId, BudgetId, DecisionId, PermissionId, PersonId, PurchaseId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Capability;
use crate::domain::shop::merchant::{Category, Mcc, Merchant};
use crate::domain::shop::table::ShopTable;
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::ledger::record::facts::FactsRecord;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::platform::ids::NewIds;
use crate::store::Tx;

/// The merchant category code of service stations. It means fuel, but they also sell food.
const FUEL_STATION: &str = "5541";
/// How long a permission of [`fuel_station_rule`] lasts. By its end the person and the worker
/// review the list.
const FUEL_FOOD_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How many purchases such a permission covers: on average one a day.
const FUEL_FOOD_USES: i64 = 14;

/// A request for a one-time OK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskRequest {
    pub kind: AskKind,
    pub about: AskTarget,
    /// The most to be spent. None for the declined amount; mandatory without a declined purchase.
    pub up_to: Option<Money>,
    /// An optional comment.
    pub words: Option<String>,
}

/// What an ask is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskTarget {
    /// A declined purchase; none for the latest one.
    Decline {
        decision: Option<DecisionId>,
        reach: GrantScope,
    },
    Shop {
        name: String,
    },
    /// The shop of a purchase that was paid.
    Bought {
        purchase: PurchaseId,
    },
    Group {
        category: Category,
    },
}

/// The subject of a new ask.
pub(super) struct ResolvedSubject {
    pub(super) scope: Scope,
    pub(super) category: Option<Category>,
    place: Option<String>,
    pub(super) amount: Money,
    decision: Option<DecisionId>,
    pub(super) refused_for: Option<ReasonCode>,
    pub(super) mcc: Option<Mcc>,
}

/// Creates an ask. Idempotent: returns the open ask with the same kind, scope, amount and decision,
/// and does not extend its deadline.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] when it cannot be asked for, in words that the person reads;
/// [`UseCaseError::Conflict`] when [`OPEN_ASKS_MAX`] asks are open.
pub async fn ask(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    ask_request: &AskRequest,
) -> Result<Ask, UseCaseError> {
    let budget = BudgetId::of(person);
    let locked = LockedBudget::lock(tx, context, &principal.programme, &budget).await?;
    let access = principal.admit(tx, Capability::Ask, person).await?;
    let words = optional_words(ask_request.words.as_deref())?;
    let subject = resolve_subject(tx, &locked, ask_request, principal.at).await?;
    let open = tx.open_asks(&locked.programme_id, &locked.budget).await?;
    let is_same = |ask: &&Ask| {
        ask.kind == ask_request.kind
            && ask.scope == subject.scope
            && ask.amount == subject.amount
            && ask.decision == subject.decision
    };
    if let Some(same) = open.iter().find(is_same) {
        return Ok(same.clone());
    }
    if open.len() >= OPEN_ASKS_MAX {
        return Err(UseCaseError::Conflict(Words::english().too_many_asks()));
    }
    let cover = tx.cover(&locked.programme_id, &locked.worker, principal.at).await?;
    let mcc = subject.mcc;
    let input = AskInput { kind: ask_request.kind, words, subject, cover };
    let ask = input.into_ask(&locked, &access, context.ids);
    let by_rule = fuel_station_rule(&locked, &ask, mcc, context.ids);
    let by_rule = match by_rule {
        Some(by_rule) if !was_answered_by_rule(tx, &locked, principal.at).await? => Some(by_rule),
        Some(_) | None => None,
    };
    if let Some((ask, permission)) = by_rule {
        locked.grant(tx, &permission).await?;
        tx.add_ask(&locked.programme_id, &ask).await?;
        notify_shop_fixed(tx, &locked, context, &access, &ask, &permission).await?;
        return Ok(ask);
    }
    tx.add_ask(&locked.programme_id, &ask).await?;
    notify_asked(tx, &locked, context, &access, &ask).await?;
    Ok(ask)
}

impl LockedAsk<'_> {
    pub(super) async fn take_back(self, tx: &mut Tx) -> Result<Ask, UseCaseError> {
        if self.ask.state == AskState::TakenBack {
            return Ok(self.ask);
        }
        let after = self.ask.taken_back();
        let after =
            after.ok_or_else(|| UseCaseError::Conflict("it has been answered".to_owned()))?;
        self.save(tx, &after).await?;
        let mut outbox = self.outbox();
        outbox.record_act(&self.access, "took_back", "");
        let parameters = outbox.parameters();
        outbox.notify(
            recipient_of(self.ask.step),
            Notification::WorkerTakenBack,
            &parameters,
            MessageParameters::default(),
        );
        outbox.write(tx).await?;
        Ok(after)
    }
}

async fn resolve_subject(
    tx: &mut Tx,
    locked: &LockedBudget,
    ask_request: &AskRequest,
    at: Timestamp,
) -> Result<ResolvedSubject, UseCaseError> {
    let mut subject = match &ask_request.about {
        AskTarget::Decline { decision, reach } => {
            subject_of_decline(tx, locked, *decision, *reach).await?
        }
        AskTarget::Shop { name } => {
            let key = locked.programme.rules.shops().key_of(name);
            let key =
                key.ok_or_else(|| UseCaseError::invalid("shop", "write the name of the shop"))?;
            ResolvedSubject {
                place: optional_words(Some(name))?,
                ..subject_without_purchase(locked, Scope::Shop(key), None)
            }
        }
        AskTarget::Bought { purchase } => subject_of_purchase(tx, locked, *purchase).await?,
        AskTarget::Group { category } if locked.programme.rules.get(category).is_none() => {
            return Err(UseCaseError::invalid("group", "there is no such group"));
        }
        AskTarget::Group { category } => {
            let scope = Scope::Category(category.clone());
            subject_without_purchase(locked, scope, Some(category.clone()))
        }
    };
    if locked.is_barred(subject.category.as_ref(), subject.mcc, at) {
        return Err(not_askable(locked, NotAskableError::FunderRule));
    }
    if let Some(up_to) = ask_request.up_to {
        subject.amount = up_to;
    }
    if !subject.amount.is_positive() || subject.amount.currency() != locked.currency() {
        return Err(UseCaseError::invalid("up_to", "say up to how much, above nothing"));
    }
    Ok(subject)
}

/// The subject of an ask about the shop of a paid purchase of this person.
async fn subject_of_purchase(
    tx: &mut Tx,
    locked: &LockedBudget,
    purchase: PurchaseId,
) -> Result<ResolvedSubject, UseCaseError> {
    let found = tx.purchases_by_id(&locked.programme_id, &[purchase]).await?.pop();
    let found = found.filter(|found| found.budget == locked.budget);
    let found = found.ok_or(UseCaseError::NotFound("purchase"))?;
    let (counted, place) = (&found.counted, found.place.name.clone());
    let shops = locked.programme.rules.shops();
    let scope = Scope::for_purchase(&counted.shop, counted.mcc, place.as_deref(), shops);
    let scope =
        scope.ok_or_else(|| UseCaseError::invalid("bought", "nobody knows that shop's name"))?;
    let category = Some(counted.category.clone());
    Ok(ResolvedSubject {
        place,
        mcc: counted.mcc,
        ..subject_without_purchase(locked, scope, category)
    })
}

fn subject_without_purchase(
    locked: &LockedBudget,
    scope: Scope,
    category: Option<Category>,
) -> ResolvedSubject {
    let amount = Money::zero(locked.currency());
    let (place, decision, refused_for, mcc) = (None, None, None, None);
    ResolvedSubject { scope, category, place, amount, decision, refused_for, mcc }
}

fn not_askable(locked: &LockedBudget, why: NotAskableError) -> UseCaseError {
    UseCaseError::invalid("about", Words::english().cannot_ask(why, locked.worker_name()))
}

/// The subject of an ask about a declined purchase: that of `decision`, or the latest of which the
/// person was notified.
async fn subject_of_decline(
    tx: &mut Tx,
    locked: &LockedBudget,
    decision: Option<DecisionId>,
    reach: GrantScope,
) -> Result<ResolvedSubject, UseCaseError> {
    let decision = if decision.is_some() {
        decision
    } else {
        let told = tx.latest_decline(&locked.programme_id, &locked.budget).await?;
        told.and_then(|told| told.subject.parse().ok())
    };
    // A retry at the same shop sends no message, so the latest message is about the first attempt.
    let recorded = tx.decisions_by_id(&locked.programme_id, decision.as_slice()).await?.pop();
    let recorded = recorded.filter(|recorded| recorded.budget == locked.budget);
    let recorded = recorded.ok_or(UseCaseError::NotFound("purchase"))?;
    subject_of_decision(locked, &recorded, reach)
}

/// The subject of the declined purchase `recorded`. Fails if it was approved, or if no ask can lift
/// the decline.
pub(super) fn subject_of_decision(
    locked: &LockedBudget,
    recorded: &RecordedDecision,
    reach: GrantScope,
) -> Result<ResolvedSubject, UseCaseError> {
    let codes = match &recorded.outcome {
        DecisionOutcome::Declined(codes) => codes,
        DecisionOutcome::Approved(_) => {
            return Err(UseCaseError::Conflict("it was paid".to_owned()));
        }
    };
    let lifted = askable(codes).map_err(|why| not_askable(locked, why))?;
    let request = recorded.request().ok_or(UseCaseError::NotFound("purchase"))?;
    let category = locked.programme.rules.category_of(request.merchant.mcc()).clone();
    let place = Some(request.merchant.name().to_owned()).filter(|name| !name.is_empty());
    Ok(ResolvedSubject {
        scope: scope_of_decline(
            locked.programme.rules.shops(),
            &request.merchant,
            lifted,
            &category,
            reach,
        ),
        category: Some(category),
        place,
        amount: total_amount(recorded, &request)?,
        decision: Some(recorded.id),
        refused_for: Some(lifted),
        mcc: request.merchant.mcc(),
    })
}

fn scope_of_decline(
    shops: &ShopTable,
    merchant: &Merchant,
    lifted: ReasonCode,
    category: &Category,
    reach: GrantScope,
) -> Scope {
    match (lifted, reach, Scope::for_merchant(merchant, shops), merchant.mcc()) {
        // A scope of one machine is useless, because every cash machine has a name of its own.
        (ReasonCode::CashOff, ..) => Scope::Gate(Gate::Cash),
        (_, GrantScope::Place, Some(shop), _) => shop,
        (_, GrantScope::Place, None, Some(code)) => Scope::Code(code),
        (_, GrantScope::Place | GrantScope::Group, ..) => Scope::Category(category.clone()),
    }
}

/// The declined amount plus what was approved of the purchase before, because a permission covers
/// the whole purchase.
fn total_amount(
    recorded: &RecordedDecision,
    request: &AuthorisationRequest,
) -> Result<Money, UseCaseError> {
    let facts = FactsRecord::from_text(&recorded.facts);
    let so_far = facts.ok().and_then(|facts| facts.so_far(request.amount.currency()));
    let so_far = so_far.unwrap_or(Money::zero(request.amount.currency()));
    let whole = request.amount.checked_add(so_far);
    whole.map_err(|_| UseCaseError::invalid("up_to", "say up to how much"))
}

/// The inputs of a new ask.
struct AskInput {
    kind: AskKind,
    words: Option<String>,
    subject: ResolvedSubject,
    cover: StaffAvailability,
}

impl AskInput {
    fn into_ask(self, locked: &LockedBudget, access: &GrantedAccess, ids: &NewIds) -> Ask {
        let Self { kind, words, subject, cover } = self;
        let urgency = Urgency::of(subject.category.as_ref());
        let promise = locked.clock().begin(access.at, urgency, cover);
        let member = &access.actor.member;
        Ask {
            id: AskId::new(ids.next(access.at)),
            budget: locked.budget.clone(),
            kind,
            scope: subject.scope,
            category: subject.category,
            place: subject.place,
            amount: subject.amount,
            decision: subject.decision,
            refused_for: subject.refused_for,
            words,
            urgency,
            asked: ActorIdentity { member: member.id.clone(), human: member.human.clone() },
            asked_at: access.at,
            state: AskState::Sent,
            step: promise.step,
            answer_by: promise.answer_by,
            decide_by: promise.decide_by,
            answer: None,
        }
    }
}

/// Whether [`fuel_station_rule`] has answered an ask whose review date is still to come.
async fn was_answered_by_rule(
    tx: &mut Tx,
    locked: &LockedBudget,
    at: Timestamp,
) -> Result<bool, UseCaseError> {
    let since = at.checked_sub(FUEL_FOOD_FOR * 2).unwrap_or(Timestamp::MIN);
    Ok(tx
        .was_answered_by_rule(&locked.programme_id, &locked.budget, since, locked.today(at))
        .await?)
}

/// Approves an ask of [`AskKind::WrongGroup`] at a fuel station automatically, because fuel
/// stations also sell food; none if the rule does not apply.
///
/// The answer is a temporary permission and not a change of the list, because that takes the
/// consent of two. They review by its end whether food there belongs on the list. Until then the
/// rule answers only once.
fn fuel_station_rule(
    locked: &LockedBudget,
    ask: &Ask,
    mcc: Option<Mcc>,
    ids: &NewIds,
) -> Option<(Ask, Permission)> {
    let most = locked.programme.settings.asks.fuel_food_up_to(locked.currency());
    let is_food = ask.kind == AskKind::WrongGroup
        && mcc.is_some_and(|code| code.to_string() == FUEL_STATION)
        && ask.amount.minor() <= most.minor();
    if !is_food || locked.cooling_days(ask.wanted()).is_some() {
        return None;
    }
    let at = ask.asked_at;
    let id = PermissionId::new(ids.next(at));
    let ends_at = at.checked_add(FUEL_FOOD_FOR).unwrap_or(Timestamp::MAX);
    let scope = Scope::Code(mcc?);
    let uses_left = FUEL_FOOD_USES;
    let permission = Permission {
        id,
        scope,
        cap: most,
        uses_left,
        given_at: at,
        ends_at,
        grantor: Grantor::Programme,
        uses: Some(PermissionUsage::none(most.currency())),
    };
    let answer = AskAnswer {
        by: None,
        at,
        reason: None,
        words: None,
        up_to: Some(most),
        scope: Some(permission.scope.clone()),
        ends_at: Some(ends_at),
        permission: Some(id),
        review_on: Some(locked.today(ends_at)),
        review: None,
    };
    let scope = permission.scope.clone();
    let (state, step) = (AskState::Yes, EscalationStep::Decided);
    let answer = Some(answer);
    Some((Ask { amount: most, scope, state, step, answer, ..ask.clone() }, permission))
}

async fn notify_asked(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    ask: &Ask,
) -> Result<(), UseCaseError> {
    let mut outbox = OutboxWriter::new(locked, context, access.at, ask.id.to_string());
    outbox.record_act(access, "asked", ask.kind.word());
    let plain = outbox.parameters();
    let parameters = NotificationParameters {
        assignee: Some(who(locked, ask.step)),
        at: Some(ask.answer_by),
        ..plain
    };
    outbox.notify(Recipient::Person, Notification::AskSent, &parameters, facts_of(ask));
    outbox.notify(recipient_of(ask.step), Notification::WorkerWaiting, &parameters, facts_of(ask));
    Ok(outbox.write(tx).await?)
}

async fn notify_shop_fixed(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    ask: &Ask,
    permission: &Permission,
) -> Result<(), UseCaseError> {
    let mut outbox = OutboxWriter::new(locked, context, access.at, ask.id.to_string());
    outbox.record_act(access, "asked", ask.kind.word());
    outbox
        .record_system_act("answered", "yes by the programme's rule for food at fuel stations")?;
    outbox.record_system_act("to_be_looked_at", &locked.today(permission.ends_at).to_string())?;
    let parameters = NotificationParameters {
        assignee: Some(who(locked, EscalationStep::Worker)),
        amount: Some(permission.cap),
        on: Some(locked.today(permission.ends_at)),
        ..outbox.parameters()
    };
    outbox.notify(Recipient::Person, Notification::ShopFixed, &parameters, facts_of(ask));
    outbox.notify(Recipient::Worker, Notification::WorkerShopFixed, &parameters, facts_of(ask));
    Ok(outbox.write(tx).await?)
}

/// The facts about an ask, for pages.
pub(super) fn facts_of(ask: &Ask) -> MessageParameters {
    MessageParameters::default()
        .text("ask", ask.id.to_string())
        .text("state", ask.state.word())
        .text("step", ask.step.word())
        .text("scope", ask.scope.to_string())
        .optional("category", ask.category.as_ref().map(Category::as_str))
        .optional("place", ask.place.as_deref())
        .money("asked", ask.amount)
        .instant("answer_by", ask.answer_by)
}
