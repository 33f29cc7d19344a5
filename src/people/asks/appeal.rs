//! Somebody else looks at a no: with a clock, and for essentials with a yes until they have.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::answer::within_own_limit;
use super::appealable::is_frozen;
use super::ask::{Subject, wanted_of};
use super::telling::Telling;
use super::{Desk, Room, said};
use crate::domain::agreement::Scope;
use crate::domain::agreement::proposal::{Consent, Proposal};
use crate::domain::ask::appeal::{
    About, Appeal, AppealError, AppealState, Finding, INTERIM_COUNTS_FOR, Interim, InterimLimits,
    InterimYes, OPEN_APPEALS_MOST, Outcome, interim_cap,
};
use crate::domain::ask::permission::{Giver, Permission, Uses};
use crate::domain::ask::{
    Ask, AskState, By, NoReason, Reach, Urgency, WORKS_FOR, Wanted, helps_from,
};
use crate::domain::card::CardState;
use crate::domain::id::{
    AppealId, AskId, BudgetId, CardToken, DecisionId, HumanId, PauseId, PermissionId, PersonId,
    ProgrammeId, ProposalId,
};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Moment;
use crate::ledger::book::Card;
use crate::ledger::record::decision::RecordedDecision;
use crate::ledger::record::facts::FactsRecord;
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular, Who};
use crate::people::members::{ActError, Acting, Admitted, Barred, StandingAnswer};
use crate::programme::forced::{Found, take_back_forced};
use crate::programme::pausing::lift_pause;
use crate::store::{Tx, WaitingAppeal};

/// How much earlier than the refusal that it is about an ask can have been noted: clocks of two
/// gateways differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// A yes for now outlasts the answer by this, so that it never ends in front of a till.
const INTERIM_OUTLASTS: SignedDuration = SignedDuration::from_hours(1);

/// What somebody found who looked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealAnswering {
    pub appeal: AppealId,
    /// None when it is changed; where to go next, outside of the programme, when it stays.
    pub next_step: Option<String>,
    /// Why, in words that the person reads.
    pub words: String,
}

/// What is decided about, as far as an appeal needs it.
struct Matter {
    decided_by: BTreeSet<HumanId>,
    urgency: Urgency,
    ask: Option<Ask>,
}

/// Asks that somebody else looks. The same thing is looked at once: asked again, it is the same
/// appeal.
pub async fn appeal(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    about: About,
    words: Option<&str>,
) -> Result<Appeal, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, Act::Appeal, person).await?;
    let words = said(words)?;
    let known = tx.appeals_about(&room.programme_id, &room.budget, &about.to_string()).await?;
    if let Some(known) = known.iter().find(|known| known.is_the_same_again()) {
        return Ok(known.clone());
    }
    let matter = matter(tx, &room, &about, acting.at).await?;
    if tx.open_appeals(&room.programme_id, &room.budget).await? >= OPEN_APPEALS_MOST {
        let what = format!("{OPEN_APPEALS_MOST} appeals wait already; take one back first");
        return Err(ActError::Conflict(what));
    }
    let answer_by = room.clock().decide_by(acting.at, matter.urgency);
    // Once: taken back and asked again, it waits for somebody's answer.
    let had_interim = known.iter().any(|known| known.interim == Interim::YesForNow);
    let interim = match interim(tx, &room, desk, &matter, acting.at, answer_by).await? {
        Some(_) if had_interim => None,
        interim => interim,
    };
    if let Some(permission) = &interim {
        room.give(tx, permission).await?;
    }
    let member = &admitted.actor.member;
    let appeal = Appeal {
        id: AppealId::new(desk.ids.next(acting.at)),
        budget: room.budget.clone(),
        about: about.clone(),
        decided_by: matter.decided_by,
        words,
        opened: By { member: member.id.clone(), human: member.human.clone() },
        opened_at: acting.at,
        interim: if interim.is_some() { Interim::YesForNow } else { Interim::AsItWas },
        permission: interim.as_ref().map(|permission| permission.id),
        answer_by,
        state: AppealState::Open,
        outcome: None,
    };
    tx.add_appeal(&room.programme_id, &appeal).await?;
    let mut telling = Telling::new(&room, desk, acting.at, appeal.id.to_string());
    telling.act(&admitted, "appealed", &about.to_string());
    let particular = Particular {
        at: Some(answer_by),
        amount: interim.as_ref().map(|permission| permission.cap),
        ..telling.particular()
    };
    let news = if interim.is_some() { News::AppealSentWithYes } else { News::AppealSent };
    telling.tell(Recipient::Person, news, &particular, facts_of(&appeal));
    for recipient in [Recipient::Manager, Recipient::Duty] {
        telling.tell(recipient, News::WorkerAppeal, &particular, facts_of(&appeal));
    }
    telling.write(tx).await?;
    Ok(appeal)
}

async fn matter(
    tx: &mut Tx,
    room: &Room,
    about: &About,
    now: Timestamp,
) -> Result<Matter, ActError> {
    let not_there = ActError::NotThere("decision");
    match about {
        About::Ask(id) => {
            let ask = tx.ask(&room.programme_id, &room.budget, *id).await?;
            let ask = ask.ok_or(not_there)?;
            let is_no = matches!(ask.state, AskState::NotThisTime | AskState::YesLess);
            let answer = ask.answer.as_ref().filter(|_| is_no);
            let no = answer.and_then(|answer| Some((answer.by.clone()?, answer.at)));
            let (by, at) = no.ok_or_else(|| ActError::Conflict("it is not a no".to_owned()))?;
            in_time(about, at, now)?;
            Ok(Matter { decided_by: [by.human].into(), urgency: ask.urgency, ask: Some(ask) })
        }
        About::Pause(id) => {
            let decider = tx.pause_decider(&room.programme_id, &room.budget, *id, now).await?;
            // Everything is stopped, essentials too: it is looked at the same day.
            let urgency = Urgency::Essential;
            Ok(Matter { decided_by: [decider.ok_or(not_there)?].into(), urgency, ask: None })
        }
        About::Version(id) => {
            let (forced, consents) = forced(tx, room, *id).await?.ok_or(not_there)?;
            let decided_by = forced.forced_by(&consents);
            let decided_by =
                decided_by.ok_or_else(|| ActError::Conflict("no law forced it".to_owned()))?;
            Ok(Matter { decided_by, urgency: Urgency::Ordinary, ask: None })
        }
        About::Refusal(id) => refusal_of(tx, room, *id, now).await,
        About::Card(token) => {
            let cards = tx.cards_of(&room.programme_id, &room.budget).await?;
            let card = cards.iter().find(|card| card.token == *token).ok_or(not_there)?;
            if !is_frozen(card) {
                return Err(ActError::Conflict("nobody of the staff froze it".to_owned()));
            }
            // Nobody wrote down who it was: the person's worker answers for it.
            let decided_by = tx.humans_of_worker(&room.programme_id, &room.worker).await?;
            Ok(Matter { decided_by, urgency: Urgency::Essential, ask: None })
        }
    }
}

fn in_time(about: &About, decided_at: Timestamp, now: Timestamp) -> Result<(), ActError> {
    match about.until(decided_at) {
        Some(until) if now >= until => {
            Err(ActError::Conflict("it is too long ago to be looked at again".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

/// A till's no, that the list said and nobody was asked about. Whoever agreed to the list for the
/// staff set the rule, and is not the one who looks at it.
async fn refusal_of(
    tx: &mut Tx,
    room: &Room,
    id: DecisionId,
    now: Timestamp,
) -> Result<Matter, ActError> {
    let recorded = refused(tx, room, id).await?;
    let wanted = wanted_of(room, &recorded, Reach::Place)?;
    in_time(&About::Refusal(id), recorded.decided_at, now)?;
    let (programme, budget) = (&room.programme_id, &room.budget);
    let since = recorded.decided_at.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
    if tx.asked_about(programme, budget, since).await?.contains(&id) {
        let what = "somebody was asked about it: their answer is what can be looked at";
        return Err(ActError::Conflict(what.to_owned()));
    }
    let facts = FactsRecord::from_text(&recorded.facts).ok();
    let version = facts.and_then(|facts| facts.agreement_version());
    let version = version.ok_or(ActError::NotThere("decision"))?;
    let mut decided_by = tx.staff_who_agreed(programme, budget, version).await?;
    if decided_by.is_empty() {
        // It was agreed on paper: the worker wrote it down.
        decided_by = tx.humans_of_worker(programme, &room.worker).await?;
    }
    let urgency = Urgency::of(wanted.category.as_ref());
    Ok(Matter { decided_by, urgency, ask: None })
}

/// A purchase of this person that was not paid.
async fn refused(tx: &mut Tx, room: &Room, id: DecisionId) -> Result<RecordedDecision, ActError> {
    let recorded = tx.decisions_with(&room.programme_id, &[id]).await?.pop();
    let recorded = recorded.filter(|recorded| recorded.budget == room.budget);
    recorded.ok_or(ActError::NotThere("decision"))
}

async fn forced(
    tx: &mut Tx,
    room: &Room,
    id: ProposalId,
) -> Result<Option<(Proposal, Vec<Consent>)>, ActError> {
    Ok(tx.proposal(&room.programme_id, &room.budget, id, room.currency()).await?)
}

/// A small yes until somebody has looked: for essentials, unless the rule came with the money, or
/// the person has set it on themselves. Several of them come to no more than the programme says.
async fn interim(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    matter: &Matter,
    at: Timestamp,
    answer_by: Timestamp,
) -> Result<Option<Permission>, ActError> {
    let Some(ask) = &matter.ask else { return Ok(None) };
    let is_fair = ask.urgency == Urgency::Essential
        && ask.state == AskState::NotThisTime
        && !came_with_the_money(room, ask, at)
        && room.cooling_days(ask.wanted()).is_none();
    if !is_fair {
        return Ok(None);
    }
    let (rules, currency) = (&room.programme.settings.asks, room.currency());
    let limits = InterimLimits {
        each: rules.interim_up_to(currency),
        all: rules.interim_week_up_to(currency),
    };
    let before = interims(tx, room, at).await?;
    let cap = interim_cap(&ask.scope, ask.amount, &before, limits, at);
    let cap = cap.map_err(|_| ActError::invalid("about", "too much"))?;
    let ends_at = answer_by.checked_add(INTERIM_OUTLASTS).unwrap_or(answer_by);
    Ok(cap.map(|cap| one_time(desk, ask.scope.clone(), cap, at, ends_at)))
}

/// The yeses for now that may count against another one.
async fn interims(tx: &mut Tx, room: &Room, at: Timestamp) -> Result<Vec<InterimYes>, ActError> {
    let since = at.checked_sub(INTERIM_COUNTS_FOR).unwrap_or(Timestamp::MIN);
    let appeals = tx.interim_appeals(&room.programme_id, &room.budget, since).await?;
    let yes = |appeal: Appeal| InterimYes {
        is_waiting: appeal.is_open(),
        permission: room.permissions.iter().find(|p| Some(p.id) == appeal.permission).cloned(),
        given_at: appeal.opened_at,
    };
    Ok(appeals.into_iter().map(yes).collect())
}

/// Whether the rule came with the money: nobody here can change it.
fn came_with_the_money(room: &Room, ask: &Ask, at: Timestamp) -> bool {
    let reason = ask.answer.as_ref().and_then(|answer| answer.reason);
    reason == Some(NoReason::Law) || is_barred(room, ask.category.as_ref(), at)
}

fn is_barred(room: &Room, category: Option<&Category>, at: Timestamp) -> bool {
    category.is_some_and(|category| room.is_barred(category, at))
}

fn nobody_here_can() -> ActError {
    let what = "no money of this person may ever buy this; say where they can go next";
    ActError::invalid("next_step", what)
}

/// What comes of an appeal that was right: the OK that a changed no becomes, if it becomes one.
async fn changed(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    admitted: &Admitted,
    about: &About,
    words: &str,
) -> Result<Option<Permission>, ActError> {
    let at = admitted.at;
    match about {
        About::Ask(id) => Ok(Some(changed_no(tx, room, desk, *id, at).await?)),
        About::Refusal(id) => {
            let recorded = refused(tx, room, *id).await?;
            let Subject { scope, category, amount, refused_for, .. } =
                wanted_of(room, &recorded, Reach::Place)?;
            if is_barred(room, category.as_ref(), at) {
                return Err(nobody_here_can());
            }
            let wanted = Wanted { scope: &scope, category: category.as_ref(), refused_for };
            let cooling = room.cooling_days(wanted);
            Ok(Some(from_people(desk, scope, amount, at, cooling)))
        }
        About::Version(id) => {
            take_back(tx, room, desk, admitted, *id, words).await?;
            Ok(None)
        }
        About::Pause(id) => {
            lift(tx, room, *id, at).await?;
            Ok(None)
        }
        About::Card(token) => {
            unfreeze(tx, room, token).await?;
            Ok(None)
        }
    }
}

/// The OK that a changed no becomes, in the place of the smaller one that was given.
async fn changed_no(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    ask: AskId,
    at: Timestamp,
) -> Result<Permission, ActError> {
    let ask = tx.ask(&room.programme_id, &room.budget, ask).await?;
    let ask = ask.ok_or(ActError::NotThere("ask"))?;
    if came_with_the_money(room, &ask, at) {
        return Err(nobody_here_can());
    }
    if let Some(less) = ask.answer.as_ref().and_then(|answer| answer.permission) {
        tx.end_permission(&room.programme_id, &room.budget, less, at).await?;
    }
    let cooling = room.cooling_days(ask.wanted());
    Ok(from_people(desk, ask.scope, ask.amount, at, cooling))
}

/// An OK that somebody gave by name, for as long as usual.
fn from_people(
    desk: Desk<'_>,
    scope: Scope,
    cap: Money,
    at: Timestamp,
    cooling_days: Option<u32>,
) -> Permission {
    let ends_at = helps_from(at, cooling_days).checked_add(WORKS_FOR).unwrap_or(Timestamp::MAX);
    Permission { giver: Giver::People, ..one_time(desk, scope, cap, at, ends_at) }
}

/// A card that nobody should have frozen works again.
async fn unfreeze(tx: &mut Tx, room: &Room, token: &CardToken) -> Result<(), ActError> {
    let cards = tx.cards_of(&room.programme_id, &room.budget).await?;
    let frozen = cards.into_iter().filter(|card| card.token == *token && is_frozen(card));
    let free = |card: Card| Card { standing: card.standing.made(CardState::Active), ..card };
    let freed: Vec<_> = frozen.map(free).collect();
    Ok(tx.stand_cards(&room.programme_id, &room.budget, &freed).await?)
}

/// An OK for one purchase, that nobody gave by name.
fn one_time(
    desk: Desk<'_>,
    scope: Scope,
    cap: Money,
    at: Timestamp,
    ends_at: Timestamp,
) -> Permission {
    let (id, giver) = (PermissionId::new(desk.ids.next(at)), Giver::Programme);
    let uses = Some(Uses::none(cap.currency()));
    Permission { id, scope, cap, uses_left: 1, given_at: at, ends_at, giver, uses }
}

/// An appeal before somebody who acts about it.
async fn found(tx: &mut Tx, room: &Room, id: AppealId) -> Result<Appeal, ActError> {
    let appeal = tx.appeal(&room.programme_id, &room.budget, id).await?;
    appeal.ok_or(ActError::NotThere("appeal"))
}

/// Says what came of looking again. A no that is changed is a permission from the next moment on.
/// The yes for now ends with the answer.
///
/// A pause that was wrong is lifted with the answer.
pub async fn answer_appeal(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    answering: &AppealAnswering,
) -> Result<Appeal, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, Act::AnswerAppeal, person).await?;
    let before = found(tx, &room, answering.appeal).await?;
    let words = said(Some(&answering.words))?.unwrap_or_default();
    let next_step = said(answering.next_step.as_deref())?;
    let finding = match &answering.next_step {
        None => Finding::Changed,
        Some(_) => Finding::Kept { next_step: next_step.as_deref().unwrap_or_default() },
    };
    let member = &admitted.actor.member;
    let by = By { member: member.id.clone(), human: member.human.clone() };
    if before.was_answered_so(&by, finding, &words) {
        return Ok(before);
    }
    if let Some(outcome) = &before.outcome {
        let answer = standing(before.state, outcome);
        return Err(admitted.stands(tx, Some(&outcome.by.member), answer).await?);
    }
    admitted.decides()?;
    let permission = match finding {
        Finding::Changed => changed(tx, &room, desk, &admitted, &before.about, &words).await?,
        Finding::Kept { .. } => None,
    };
    if let Some(permission) = &permission {
        within_own_limit(&room, &admitted, permission)?;
    }
    let id = permission.as_ref().map(|permission| permission.id);
    let after = before.answered(&by, finding, &words, acting.at, id).map_err(refusal)?;
    if let Some(interim) = before.permission {
        tx.end_permission(&room.programme_id, &room.budget, interim, acting.at).await?;
    }
    if let Some(permission) = &permission {
        room.give(tx, permission).await?;
    }
    tx.move_appeal(&room.programme_id, &before, &after).await?;
    tell_answered(tx, &room, desk, &admitted, &after, permission.as_ref()).await?;
    Ok(after)
}

/// The outcome that stands, for whoever says another one.
fn standing(state: AppealState, outcome: &Outcome) -> StandingAnswer {
    StandingAnswer {
        words: Some(outcome.words.clone()),
        next_step: outcome.next_step.clone(),
        ..StandingAnswer::new(state.word(), outcome.at)
    }
}

/// Ends a pause that nobody should have begun. One that is over by now has ended already.
async fn lift(tx: &mut Tx, room: &Room, id: PauseId, at: Timestamp) -> Result<(), ActError> {
    let pauses = tx.pauses_of(&room.programme_id, &room.budget).await?;
    match pauses.iter().find(|pause| pause.id == id && pause.over_at() > at) {
        Some(pause) => Ok(lift_pause(tx, &room.programme_id, &room.budget, pause, at).await?),
        None => Ok(()),
    }
}

/// What no law forced goes back to what it was, as far as it is still what was made of it.
async fn take_back(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    admitted: &Admitted,
    id: ProposalId,
    words: &str,
) -> Result<(), ActError> {
    let (forced, _) = forced(tx, room, id).await?.ok_or(ActError::NotThere("decision"))?;
    let found = Found { forced: &forced, by: &admitted.actor.member.name, why: words };
    let moment = Moment::new(admitted.at, room.programme.zone());
    let agreements = desk.directory.agreements();
    take_back_forced(tx, &room.programme_id, &room.programme, agreements, desk.ids, moment, found)
        .await?;
    Ok(())
}

fn refusal(error: AppealError) -> ActError {
    match error {
        AppealError::OwnDecision => Barred::OwnDecision.into(),
        AppealError::OwnAppeal => Barred::OwnQuestion.into(),
        AppealError::Decided => ActError::Conflict(error.to_string()),
        AppealError::NoWords => ActError::invalid("words", error.to_string()),
        AppealError::NoNextStep => ActError::invalid("next_step", error.to_string()),
    }
}

async fn tell_answered(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    admitted: &Admitted,
    after: &Appeal,
    permission: Option<&Permission>,
) -> Result<(), ActError> {
    let mut telling = Telling::new(room, desk, admitted.at, after.id.to_string());
    telling.act(admitted, "looked_again", after.state.word());
    let outcome = after.outcome.as_ref();
    let particular = Particular {
        name: Some(&admitted.actor.member.name),
        words: outcome.map(|outcome| outcome.words.as_str()),
        amount: permission.map(|permission| permission.cap),
        at: permission.map(|permission| permission.ends_at),
        ..telling.particular()
    };
    let news = match (after.state, permission) {
        (AppealState::Changed, Some(_)) => News::AppealYes,
        (AppealState::Changed, None) => News::AppealChanged,
        (_, _) => News::AppealKept,
    };
    let next_step = outcome.and_then(|outcome| outcome.next_step.clone());
    let facts = facts_of(after).optional("next_step", next_step);
    telling.tell(Recipient::Person, news, &particular, facts.clone());
    telling.tell(Recipient::Worker, News::WorkerAppealDone, &particular, facts);
    Ok(telling.write(tx).await?)
}

/// The person, or the advocate who opened it, does not want it looked at any more.
pub async fn take_back_appeal(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AppealId,
) -> Result<Appeal, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, Act::Appeal, person).await?;
    let before = found(tx, &room, id).await?;
    if before.state == AppealState::TakenBack {
        return Ok(before);
    }
    let member = &admitted.actor.member;
    if member.role != Role::Person && member.human != before.opened.human {
        return Err(ActError::NotAllowed("only the person takes back what somebody else opened"));
    }
    let after = before.taken_back();
    let after = after.ok_or_else(|| ActError::Conflict("it has been answered".to_owned()))?;
    if let Some(interim) = before.permission {
        tx.end_permission(&room.programme_id, &room.budget, interim, acting.at).await?;
    }
    tx.move_appeal(&room.programme_id, &before, &after).await?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, "took_back", "");
    let particular = telling.particular();
    for recipient in [Recipient::Manager, Recipient::Duty] {
        telling.tell(recipient, News::WorkerTakenBack, &particular, facts_of(&after));
    }
    telling.write(tx).await?;
    Ok(after)
}

/// Tells everybody when an appeal is late, and sets the next moment; says whether it was.
pub async fn appeal_late(
    tx: &mut Tx,
    desk: Desk<'_>,
    programme: &ProgrammeId,
    waiting: &WaitingAppeal,
    now: Timestamp,
) -> Result<bool, ActError> {
    let room = Room::enter(tx, desk, programme, &waiting.budget).await?;
    let before = found(tx, &room, waiting.id).await?;
    if !before.is_open() || before.answer_by > now {
        return Ok(false);
    }
    let after = Appeal { answer_by: room.clock().told_again(now), ..before.clone() };
    tx.move_appeal(programme, &before, &after).await?;
    let mut telling = Telling::new(&room, desk, now, before.id.to_string());
    telling.own_act("stepped_up", "a second look is late")?;
    let particular =
        Particular { who: Some(Who::Manager), at: Some(after.answer_by), ..telling.particular() };
    telling.tell(Recipient::Person, News::AppealLate, &particular, facts_of(&after));
    for recipient in [Recipient::Manager, Recipient::Duty] {
        telling.tell(recipient, News::WorkerAppealLate, &particular, facts_of(&after));
    }
    telling.write(tx).await?;
    Ok(true)
}

/// What pages show of an appeal.
fn facts_of(appeal: &Appeal) -> Particulars {
    Particulars::default()
        .text("appeal", appeal.id.to_string())
        .text("state", appeal.state.word())
        .text("of", appeal.about.to_string())
        .text("interim", appeal.interim.word())
        .instant("answer_by", appeal.answer_by)
}
