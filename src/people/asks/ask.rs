//! Asking: from a purchase that was not paid, or from nothing.

use jiff::{SignedDuration, Timestamp};

use super::telling::{Telling, recipient_of, who};
use super::{Desk, Room, said};
use crate::domain::agreement::{Gate, Scope};
use crate::domain::ask::clock::Cover;
use crate::domain::ask::permission::{Giver, Permission, Uses};
use crate::domain::ask::{
    Answer, Ask, AskKind, AskState, By, CannotAsk, OPEN_MOST, Reach, Step, Urgency, askable,
};
use crate::domain::decision::authorisation::AuthorisationRequest;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{AskId, BudgetId, DecisionId, PermissionId, PersonId, PurchaseId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Act;
use crate::domain::shop::merchant::{Category, Mcc, Merchant};
use crate::domain::shop::table::ShopTable;
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::ledger::record::facts::FactsRecord;
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular, Words};
use crate::people::members::{ActError, Acting, Admitted};
use crate::platform::ids::NewIds;
use crate::store::Tx;

/// Service stations: the card company says "fuel", whatever was bought there.
const FUEL_STATION: &str = "5541";
/// How long food there is OK, and how often, until the two have talked about their list.
const FUEL_FOOD_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
const FUEL_FOOD_USES: i64 = 14;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: AskKind,
    pub about: About,
    /// Left out, it is the sum that was not paid.
    pub up_to: Option<Money>,
    /// They do not have to say anything.
    pub words: Option<String>,
}

/// What an ask is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A purchase that was not paid: everything is known. None is the latest.
    Refusal {
        decision: Option<DecisionId>,
        reach: Reach,
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

/// An ask before it is one.
pub(super) struct Subject {
    pub(super) scope: Scope,
    pub(super) category: Option<Category>,
    place: Option<String>,
    pub(super) amount: Money,
    decision: Option<DecisionId>,
    pub(super) refused_for: Option<ReasonCode>,
    mcc: Option<Mcc>,
}

/// Asks. Asked twice, it is one ask with one deadline.
///
/// # Errors
///
/// [`ActError::Invalid`] when it cannot be asked for, in words that the person reads;
/// [`ActError::Conflict`] when too many asks wait.
pub async fn ask(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    wish: &Wish,
) -> Result<Ask, ActError> {
    let budget = BudgetId::of(person);
    let room = Room::enter(tx, desk, &acting.programme, &budget).await?;
    let admitted = acting.admit(tx, Act::Ask, person).await?;
    let words = said(wish.words.as_deref())?;
    let subject = subject(tx, &room, wish, acting.at).await?;
    let open = tx.open_asks(&room.programme_id, &room.budget).await?;
    let is_same = |ask: &&Ask| {
        ask.kind == wish.kind
            && ask.scope == subject.scope
            && ask.amount == subject.amount
            && ask.decision == subject.decision
    };
    if let Some(same) = open.iter().find(is_same) {
        return Ok(same.clone());
    }
    if open.len() >= OPEN_MOST {
        return Err(ActError::Conflict(Words::english().too_many_asks()));
    }
    let cover = tx.cover(&room.programme_id, &room.worker, acting.at).await?;
    let mcc = subject.mcc;
    let asked = Asked { kind: wish.kind, words, subject, cover };
    let ask = asked.begin(&room, &admitted, desk.ids);
    let by_rule = food_at_a_fuel_station(&room, &ask, mcc, desk.ids);
    let by_rule = match by_rule {
        Some(by_rule) if !is_ruled(tx, &room, acting.at).await? => Some(by_rule),
        Some(_) | None => None,
    };
    if let Some((ask, permission)) = by_rule {
        room.give(tx, &permission).await?;
        tx.add_ask(&room.programme_id, &ask).await?;
        tell_shop_fixed(tx, &room, desk, &admitted, &ask, &permission).await?;
        return Ok(ask);
    }
    tx.add_ask(&room.programme_id, &ask).await?;
    tell_asked(tx, &room, desk, &admitted, &ask).await?;
    Ok(ask)
}

/// Takes an ask back that has not been answered. Taken back twice, it is taken back once.
pub async fn take_back(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
) -> Result<Ask, ActError> {
    let budget = BudgetId::of(person);
    let room = Room::enter(tx, desk, &acting.programme, &budget).await?;
    let admitted = acting.admit(tx, Act::Ask, person).await?;
    let before = tx.ask(&room.programme_id, &room.budget, id).await?;
    let before = before.ok_or(ActError::NotThere("ask"))?;
    if before.state == AskState::TakenBack {
        return Ok(before);
    }
    let after = before.taken_back();
    let after = after.ok_or_else(|| ActError::Conflict("it has been answered".to_owned()))?;
    tx.move_ask(&room.programme_id, &before, &after).await?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, "took_back", "");
    let particular = telling.particular();
    let recipient = recipient_of(before.step);
    telling.tell(recipient, News::WorkerTakenBack, &particular, Particulars::default());
    telling.write(tx).await?;
    Ok(after)
}

async fn subject(
    tx: &mut Tx,
    room: &Room,
    wish: &Wish,
    at: Timestamp,
) -> Result<Subject, ActError> {
    let mut subject = match &wish.about {
        About::Refusal { decision, reach } => refused(tx, room, *decision, *reach).await?,
        About::Shop { name } => {
            let key = room.programme.rules.shops().key_of(name);
            let key = key.ok_or_else(|| ActError::invalid("shop", "write the name of the shop"))?;
            Subject { place: said(Some(name))?, ..from_nothing(room, Scope::Shop(key), None) }
        }
        About::Bought { purchase } => bought(tx, room, *purchase).await?,
        About::Group { category } if room.programme.rules.get(category).is_none() => {
            return Err(ActError::invalid("group", "there is no such group"));
        }
        About::Group { category } => {
            let scope = Scope::Category(category.clone());
            from_nothing(room, scope, Some(category.clone()))
        }
    };
    if subject.category.as_ref().is_some_and(|category| room.is_barred(category, at)) {
        return Err(cannot(room, CannotAsk::FunderRule));
    }
    if let Some(up_to) = wish.up_to {
        subject.amount = up_to;
    }
    if !subject.amount.is_positive() || subject.amount.currency() != room.currency() {
        return Err(ActError::invalid("up_to", "say up to how much, above nothing"));
    }
    Ok(subject)
}

/// The shop of a purchase of this person.
async fn bought(tx: &mut Tx, room: &Room, purchase: PurchaseId) -> Result<Subject, ActError> {
    let found = tx.purchases_with(&room.programme_id, &[purchase]).await?.pop();
    let found = found.filter(|found| found.budget == room.budget);
    let found = found.ok_or(ActError::NotThere("purchase"))?;
    let (counted, place) = (&found.counted, found.place.name.clone());
    let shops = room.programme.rules.shops();
    let scope = shops.scope_of_bought(&counted.shop, counted.mcc, place.as_deref());
    let scope =
        scope.ok_or_else(|| ActError::invalid("bought", "nobody knows that shop's name"))?;
    let category = Some(counted.category.clone());
    Ok(Subject { place, mcc: counted.mcc, ..from_nothing(room, scope, category) })
}

fn from_nothing(room: &Room, scope: Scope, category: Option<Category>) -> Subject {
    let amount = Money::zero(room.currency());
    let (place, decision, refused_for, mcc) = (None, None, None, None);
    Subject { scope, category, place, amount, decision, refused_for, mcc }
}

fn cannot(room: &Room, why: CannotAsk) -> ActError {
    ActError::invalid("about", Words::english().cannot_ask(why, room.worker_name()))
}

/// Everything about a purchase that was not paid: the one of `decision`, or the latest of which the
/// person was told.
async fn refused(
    tx: &mut Tx,
    room: &Room,
    decision: Option<DecisionId>,
    reach: Reach,
) -> Result<Subject, ActError> {
    let decision = if decision.is_some() {
        decision
    } else {
        let told = tx.latest_refusal(&room.programme_id, &room.budget).await?;
        told.and_then(|told| told.subject.parse().ok())
    };
    // Of a shop that tried again and again, the first try alone was told.
    let recorded = tx.decisions_with(&room.programme_id, decision.as_slice()).await?.pop();
    let recorded = recorded.filter(|recorded| recorded.budget == room.budget);
    let recorded = recorded.ok_or(ActError::NotThere("purchase"))?;
    wanted_of(room, &recorded, reach)
}

/// What somebody wanted to buy whose purchase was refused.
pub(super) fn wanted_of(
    room: &Room,
    recorded: &RecordedDecision,
    reach: Reach,
) -> Result<Subject, ActError> {
    let codes = match &recorded.outcome {
        Outcome::Declined(codes) => codes,
        Outcome::Approved(_) => return Err(ActError::Conflict("it was paid".to_owned())),
    };
    let lifted = askable(codes).map_err(|why| cannot(room, why))?;
    let request = recorded.request().ok_or(ActError::NotThere("purchase"))?;
    let category = room.programme.rules.category_of(request.merchant.mcc()).clone();
    let place = Some(request.merchant.name().to_owned()).filter(|name| !name.is_empty());
    Ok(Subject {
        scope: scope(room.programme.rules.shops(), &request.merchant, lifted, &category, reach),
        category: Some(category),
        place,
        amount: whole(recorded, &request)?,
        decision: Some(recorded.id),
        refused_for: Some(lifted),
        mcc: request.merchant.mcc(),
    })
}

fn scope(
    shops: &ShopTable,
    merchant: &Merchant,
    lifted: ReasonCode,
    category: &Category,
    reach: Reach,
) -> Scope {
    match (lifted, reach, shops.scope_of(merchant), merchant.mcc()) {
        // Every machine has a name of its own.
        (ReasonCode::CashOff, ..) => Scope::Gate(Gate::Cash),
        (_, Reach::Place, Some(shop), _) => shop,
        (_, Reach::Place, None, Some(code)) => Scope::Code(code),
        (_, Reach::Place | Reach::Group, ..) => Scope::Category(category.clone()),
    }
}

/// What the purchase came to, with what was approved of it before: a permission covers all of it.
fn whole(recorded: &RecordedDecision, request: &AuthorisationRequest) -> Result<Money, ActError> {
    let facts = FactsRecord::from_text(&recorded.facts);
    let so_far = facts.ok().and_then(|facts| facts.so_far(request.amount.currency()));
    let so_far = so_far.unwrap_or(Money::zero(request.amount.currency()));
    let whole = request.amount.checked_add(so_far);
    whole.map_err(|_| ActError::invalid("up_to", "say up to how much"))
}

/// All that an ask begins with.
struct Asked {
    kind: AskKind,
    words: Option<String>,
    subject: Subject,
    cover: Cover,
}

impl Asked {
    fn begin(self, room: &Room, admitted: &Admitted, ids: &NewIds) -> Ask {
        let Self { kind, words, subject, cover } = self;
        let urgency = Urgency::of(subject.category.as_ref());
        let promise = room.clock().begin(admitted.at, urgency, cover);
        let member = &admitted.actor.member;
        Ask {
            id: AskId::new(ids.next(admitted.at)),
            budget: room.budget.clone(),
            kind,
            scope: subject.scope,
            category: subject.category,
            place: subject.place,
            amount: subject.amount,
            decision: subject.decision,
            refused_for: subject.refused_for,
            words,
            urgency,
            asked: By { member: member.id.clone(), human: member.human.clone() },
            asked_at: admitted.at,
            state: AskState::Sent,
            step: promise.step,
            answer_by: promise.answer_by,
            decide_by: promise.decide_by,
            answer: None,
        }
    }
}

/// Whether the rule has answered, and the day to look at that has not come.
async fn is_ruled(tx: &mut Tx, room: &Room, at: Timestamp) -> Result<bool, ActError> {
    let since = at.checked_sub(FUEL_FOOD_FOR * 2).unwrap_or(Timestamp::MIN);
    Ok(tx.is_ruled(&room.programme_id, &room.budget, since, room.today(at)).await?)
}

/// The programme's own answer to "that shop is in the wrong group" at a fuel station: they sell food
/// too. It is a permission for a while, not a change of the list, which takes two: by its end the
/// two have looked whether it belongs into the list. Until then the rule answers once.
fn food_at_a_fuel_station(
    room: &Room,
    ask: &Ask,
    mcc: Option<Mcc>,
    ids: &NewIds,
) -> Option<(Ask, Permission)> {
    let most = room.programme.settings.asks.fuel_food_up_to(room.currency());
    let is_food = ask.kind == AskKind::WrongGroup
        && mcc.is_some_and(|code| code.to_string() == FUEL_STATION)
        && ask.amount.minor() <= most.minor();
    if !is_food || room.cooling_days(ask.wanted()).is_some() {
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
        giver: Giver::Programme,
        uses: Some(Uses::none(most.currency())),
    };
    let answer = Answer {
        by: None,
        at,
        reason: None,
        words: None,
        up_to: Some(most),
        scope: Some(permission.scope.clone()),
        ends_at: Some(ends_at),
        permission: Some(id),
        review_on: Some(room.today(ends_at)),
        looked: None,
    };
    let scope = permission.scope.clone();
    let (state, step) = (AskState::Yes, Step::Decided);
    let answer = Some(answer);
    Some((Ask { amount: most, scope, state, step, answer, ..ask.clone() }, permission))
}

async fn tell_asked(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    admitted: &Admitted,
    ask: &Ask,
) -> Result<(), ActError> {
    let mut telling = Telling::new(room, desk, admitted.at, ask.id.to_string());
    telling.act(admitted, "asked", ask.kind.word());
    let plain = telling.particular();
    let particular =
        Particular { who: Some(who(room, ask.step)), at: Some(ask.answer_by), ..plain };
    telling.tell(Recipient::Person, News::AskSent, &particular, facts_of(ask));
    telling.tell(recipient_of(ask.step), News::WorkerWaiting, &particular, facts_of(ask));
    Ok(telling.write(tx).await?)
}

async fn tell_shop_fixed(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    admitted: &Admitted,
    ask: &Ask,
    permission: &Permission,
) -> Result<(), ActError> {
    let mut telling = Telling::new(room, desk, admitted.at, ask.id.to_string());
    telling.act(admitted, "asked", ask.kind.word());
    telling.own_act("answered", "yes by the programme's rule for food at fuel stations")?;
    telling.own_act("to_be_looked_at", &room.today(permission.ends_at).to_string())?;
    let particular = Particular {
        who: Some(who(room, Step::Worker)),
        amount: Some(permission.cap),
        on: Some(room.today(permission.ends_at)),
        ..telling.particular()
    };
    telling.tell(Recipient::Person, News::ShopFixed, &particular, facts_of(ask));
    telling.tell(Recipient::Worker, News::WorkerShopFixed, &particular, facts_of(ask));
    Ok(telling.write(tx).await?)
}

/// What pages show of an ask.
pub(super) fn facts_of(ask: &Ask) -> Particulars {
    Particulars::default()
        .text("ask", ask.id.to_string())
        .text("state", ask.state.word())
        .text("step", ask.step.word())
        .text("scope", ask.scope.to_string())
        .optional("category", ask.category.as_ref().map(Category::as_str))
        .optional("place", ask.place.as_deref())
        .money("asked", ask.amount)
        .instant("answer_by", ask.answer_by)
}
