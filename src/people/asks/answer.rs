//! Answering: within seconds, once, by another human being than the one who asks.

use jiff::Timestamp;

use super::ask::facts_of;
use super::telling::{Telling, who};
use super::{Desk, Room, said};
use crate::domain::ask::permission::Permission;
use crate::domain::ask::{
    Ask, AskState, By, Given, Look, LookError, NoReason, Reply, ReplyError, Step, helps_from,
};
use crate::domain::id::{AskId, BudgetId, PermissionId, PersonId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular};
use crate::people::members::{ActError, Acting, Admitted, Barred, StandingAnswer};
use crate::store::Tx;

/// What somebody does who looks at a yes.
const LOOKED: &str = "looked_at";

/// An answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    pub ask: AskId,
    pub reply: Reply,
    /// What the person reads beside the answer.
    pub words: Option<String>,
}

/// An ask before somebody who may answer it.
struct Before {
    room: Room,
    admitted: Admitted,
    ask: Ask,
    by: By,
}

async fn before(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
) -> Result<Before, ActError> {
    let budget = BudgetId::of(person);
    let room = Room::enter(tx, desk, &acting.programme, &budget).await?;
    let admitted = acting.admit(tx, Act::AnswerAsk, person).await?;
    let ask = tx.ask(&room.programme_id, &room.budget, id).await?;
    let ask = ask.ok_or(ActError::NotThere("ask"))?;
    let member = &admitted.actor.member;
    let by = By { member: member.id.clone(), human: member.human.clone() };
    Ok(Before { room, admitted, ask, by })
}

/// Somebody who may answer has opened it; the person can see that.
pub async fn see(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
) -> Result<Ask, ActError> {
    let Before { room, admitted, ask, .. } = before(tx, desk, acting, person, id).await?;
    let Some(seen) = ask.seen() else { return Ok(ask) };
    tx.move_ask(&room.programme_id, &ask, &seen).await?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, "saw", "");
    telling.write(tx).await?;
    Ok(seen)
}

/// Answers. A yes is a permission from the next moment on, at every gateway. The same answer sent
/// twice is one answer; of two who answer at once the first counts, and the second is told so.
///
/// # Errors
///
/// [`ActError::Barred`] over the account's own limit, with a conflict of interest, or for the own
/// ask; [`ActError::Answered`] with the answer that stands, when it is another one.
pub async fn answer(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    answering: &Answering,
) -> Result<Ask, ActError> {
    let found = before(tx, desk, acting, person, answering.ask).await?;
    let Before { room, admitted, ask, by } = &found;
    let words = said(answering.words.as_deref())?;
    let cooling_days = room.cooling_days(ask.wanted());
    let is_out_of_hours = !room.working().is_open(acting.at);
    let is_emergency = admitted.actor.member.role == Role::Duty || is_out_of_hours;
    let given = Given {
        by: by.clone(),
        reply: &answering.reply,
        words,
        at: acting.at,
        permission: PermissionId::new(desk.ids.next(acting.at)),
        cooling_days,
        review_on: is_emergency.then(|| room.working().next_working_day(acting.at)),
    };
    if ask.was_answered_so(&given) {
        return Ok(ask.clone());
    }
    admitted.decides()?;
    let answered = ask.answered(&given);
    let (after, permission) = match answered {
        Ok(answered) => answered,
        Err(ReplyError::Decided) => return Err(was_first(tx, admitted, ask).await?),
        Err(error) => return Err(refusal(error)),
    };
    if answering.reply == Reply::NotThisTime(NoReason::Safety) {
        check_talk(tx, room, acting.at).await?;
    }
    if let Some(permission) = &permission {
        check_yes(&found, permission)?;
        room.give(tx, permission).await?;
    }
    tx.move_ask(&room.programme_id, ask, &after).await?;
    tell_answered(tx, desk, &found, &after, permission.as_ref(), cooling_days).await?;
    Ok(after)
}

fn refusal(error: ReplyError) -> ActError {
    match error {
        ReplyError::OwnAsk => Barred::OwnQuestion.into(),
        ReplyError::Decided => ActError::Conflict(error.to_string()),
        ReplyError::NotUpTo => ActError::invalid("up_to", error.to_string()),
        ReplyError::NoGroup => ActError::invalid("reach", error.to_string()),
        ReplyError::Ends => ActError::invalid("ends_at", error.to_string()),
        ReplyError::TalkTime => ActError::invalid("by", error.to_string()),
    }
}

/// Who was first, with what.
async fn was_first(tx: &mut Tx, admitted: &Admitted, ask: &Ask) -> Result<ActError, ActError> {
    let (said, answer) = (ask.state.word(), ask.answer.as_ref());
    let by = answer.and_then(|answer| answer.by.as_ref()).map(|by| &by.member);
    let answer = match answer {
        Some(answer) => StandingAnswer {
            reason: answer.reason.map(NoReason::word),
            words: answer.words.clone(),
            up_to: answer.up_to,
            scope: answer.scope.as_ref().map(ToString::to_string),
            ends_at: answer.ends_at,
            ..StandingAnswer::new(said, answer.at)
        },
        None => StandingAnswer::new(said, ask.asked_at),
    };
    admitted.stands(tx, by, answer).await
}

/// A no for safety rests on a talk that was written down.
async fn check_talk(tx: &mut Tx, room: &Room, at: Timestamp) -> Result<(), ActError> {
    let latest = tx.talks_of(&room.programme_id, &room.budget, None, 1).await?;
    if latest.iter().any(|talk| talk.counts_for_a_no(at)) {
        return Ok(());
    }
    Err(ActError::invalid("reason", "talk first, and write down what was said"))
}

/// What a yes needs beside what the ask itself knows.
fn check_yes(found: &Before, permission: &Permission) -> Result<(), ActError> {
    let Before { room, admitted, ask, .. } = found;
    let is_barred = |category| room.is_barred(category, admitted.at);
    if ask.category.as_ref().is_some_and(is_barred) {
        return Err(ActError::invalid(
            "reply",
            "no money of this person may ever buy this; the only answer is law_of_money",
        ));
    }
    within_own_limit(room, admitted, permission)
}

/// Refuses an OK that is more than this account gives alone.
pub(super) fn within_own_limit(
    room: &Room,
    admitted: &Admitted,
    permission: &Permission,
) -> Result<(), ActError> {
    let most = own_limit(room, admitted);
    if most.is_some_and(|most| permission.cap.minor() > most.minor()) {
        return Err(Barred::OverYourLimit.into());
    }
    Ok(())
}

/// The most that this account says yes to alone.
fn own_limit(room: &Room, admitted: &Admitted) -> Option<Money> {
    let member = &admitted.actor.member;
    let own = member.answer_limit_minor.map(|minor| Money::from_minor(minor, room.currency()));
    let rules = &room.programme.settings.asks;
    own.or(match member.role {
        Role::Worker => rules.worker_up_to,
        Role::Duty => rules.duty_up_to,
        Role::Person
        | Role::Helper
        | Role::Advocate
        | Role::Planner
        | Role::Manager
        | Role::Finance
        | Role::Operator
        | Role::Auditor => None,
    })
}

async fn tell_answered(
    tx: &mut Tx,
    desk: Desk<'_>,
    found: &Before,
    after: &Ask,
    permission: Option<&Permission>,
    cooling_days: Option<u32>,
) -> Result<(), ActError> {
    let Before { room, admitted, .. } = found;
    let mut telling = Telling::new(room, desk, admitted.at, after.id.to_string());
    let answer = after.answer.as_ref();
    let particular = Particular {
        name: Some(&admitted.actor.member.name),
        amount: permission.map(|permission| permission.cap),
        reason: answer.and_then(|answer| answer.reason),
        words: answer.and_then(|answer| answer.words.as_deref()),
        ..telling.particular()
    };
    let (news, at) = match (after.state, permission) {
        (AskState::Yes | AskState::YesLess, Some(_)) if cooling_days.is_some() => {
            (News::AskYesLater, helps_from(admitted.at, cooling_days))
        }
        (AskState::YesLess, Some(permission)) => (News::AskYesLess, permission.ends_at),
        (AskState::Yes, Some(permission)) => (News::AskYes, permission.ends_at),
        (AskState::TalkFirst, _) => (News::AskTalkFirst, after.answer_by),
        (_, _) => (News::AskNotThisTime, after.answer_by),
    };
    let detail = particular.reason.map_or(after.state.word(), |reason| reason.word());
    telling.act(admitted, "answered", detail);
    let particular = Particular { at: Some(at), ..particular };
    telling.tell(Recipient::Person, news, &particular, facts_of(after));
    if let Some(on) = answer.and_then(|answer| answer.review_on) {
        telling.own_act("to_be_looked_at", &on.to_string())?;
        let review = Particular { on: Some(on), ..telling.particular() };
        telling.tell(Recipient::Worker, News::WorkerReview, &review, facts_of(after));
    }
    Ok(telling.write(tx).await?)
}

/// Somebody else looks at a yes that was given out of hours, or by the programme's own rule. Looked
/// at twice by the same account in the same words, it was looked at once.
pub async fn look_at(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
    words: Option<&str>,
) -> Result<Ask, ActError> {
    let Before { room, admitted, ask, by } = before(tx, desk, acting, person, id).await?;
    let words = said(words)?;
    let look = Look { by, at: acting.at, words };
    if let Some(known) = ask.answer.as_ref().and_then(|answer| answer.looked.as_ref()) {
        if known.by == look.by && known.words == look.words {
            return Ok(ask);
        }
        let answer =
            StandingAnswer { words: known.words.clone(), ..StandingAnswer::new(LOOKED, known.at) };
        return Err(admitted.stands(tx, Some(&known.by.member), answer).await?);
    }
    admitted.decides()?;
    let after = ask.looked_at(look.clone()).map_err(|error| match error {
        LookError::Nothing | LookError::Looked => ActError::Conflict(error.to_string()),
        LookError::Own => Barred::OwnDecision.into(),
    })?;
    tx.keep_look(&room.programme_id, &ask, &look).await?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, LOOKED, look.words.as_deref().unwrap_or_default());
    telling.write(tx).await?;
    Ok(after)
}

/// Leaves the answer to the manager: over the own limit, or because of a link to the person. What
/// the person was promised stays promised, and they are told.
pub async fn pass_on(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
    words: Option<&str>,
) -> Result<Ask, ActError> {
    let Before { room, admitted, ask, .. } = before(tx, desk, acting, person, id).await?;
    let words = said(words)?;
    if ask.is_open() && ask.step == Step::Manager {
        return Ok(ask);
    }
    let Some(after) = ask.passed_on() else {
        return Err(was_first(tx, &admitted, &ask).await?);
    };
    tx.move_ask(&room.programme_id, &ask, &after).await?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, "passed_on", words.as_deref().unwrap_or_default());
    let particular = Particular {
        name: Some(&admitted.actor.member.name),
        who: Some(who(&room, Step::Manager)),
        at: Some(after.answer_by),
        ..telling.particular()
    };
    telling.tell(Recipient::Person, News::AskPassedOn, &particular, facts_of(&after));
    telling.tell(Recipient::Manager, News::WorkerWaiting, &particular, facts_of(&after));
    telling.write(tx).await?;
    Ok(after)
}

/// An idea of somebody's. It is a note: it answers nothing, stops nothing, and the clock runs on.
pub async fn suggest(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: AskId,
    words: &str,
) -> Result<(), ActError> {
    let Before { room, admitted, .. } = before(tx, desk, acting, person, id).await?;
    let words = said(Some(words))?;
    let words = words.ok_or_else(|| ActError::invalid("words", "say what the idea is"))?;
    let mut telling = Telling::new(&room, desk, acting.at, id.to_string());
    telling.act(&admitted, "suggested", &words);
    let particular = Particular {
        name: Some(&admitted.actor.member.name),
        words: Some(&words),
        ..telling.particular()
    };
    telling.tell(Recipient::Person, News::Suggestion, &particular, Particulars::default());
    Ok(telling.write(tx).await?)
}
