//! Late asks step up by themselves. Run as often as one likes, by as many gateways as there are:
//! each looks again under the budget's lock.

use jiff::Timestamp;

use super::ask::facts_of;
use super::telling::{Telling, recipient_of, who};
use super::{Desk, Room};
use crate::domain::ask::clock::Late;
use crate::domain::ask::{Ask, Step};
use crate::domain::id::{PermissionId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::messages::words::{News, Particular};
use crate::people::members::ActError;
use crate::store::{Tx, WaitingAsk};

/// Moves `waiting` on if its step has run out at `now`; says what followed.
pub async fn step_up(
    tx: &mut Tx,
    desk: Desk<'_>,
    programme: &ProgrammeId,
    waiting: &WaitingAsk,
    now: Timestamp,
) -> Result<Option<Late>, ActError> {
    let room = Room::enter(tx, desk, programme, &waiting.budget).await?;
    let ask = tx.ask(programme, &room.budget, waiting.id).await?;
    let Some(ask) = ask.filter(|ask| ask.is_open() && ask.answer_by <= now) else {
        return Ok(None);
    };
    let cover = tx.cover(programme, &room.worker, now).await?;
    let late = room.clock().late(&ask, now, cover, silence_is_yes(&room, &ask, now));
    match late {
        Late::StepUp { step, answer_by } => {
            let after = Ask { step, answer_by, ..ask.clone() };
            tx.move_ask(programme, &ask, &after).await?;
            tell_late(tx, &room, desk, now, News::AskLate, &after).await?;
        }
        Late::TellAgain { answer_by } => {
            let after = Ask { answer_by, ..ask.clone() };
            tx.move_ask(programme, &ask, &after).await?;
            tell_late(tx, &room, desk, now, News::AskLateAgain, &after).await?;
        }
        Late::YesBySilence => {
            let id = PermissionId::new(desk.ids.next(now));
            let (after, permission) = ask.yes_by_silence(now, id);
            room.give(tx, &permission).await?;
            tx.move_ask(programme, &ask, &after).await?;
            let mut telling = Telling::new(&room, desk, now, ask.id.to_string());
            telling.own_act("answered", "yes, because nobody answered in time")?;
            let particular = Particular {
                amount: Some(permission.cap),
                at: Some(permission.ends_at),
                ..telling.particular()
            };
            telling.tell(Recipient::Person, News::AskYesBySilence, &particular, facts_of(&after));
            for recipient in [Recipient::Worker, Recipient::Manager] {
                telling.tell(recipient, News::WorkerSilence, &particular, facts_of(&after));
            }
            telling.write(tx).await?;
        }
    }
    Ok(Some(late))
}

/// Whether the programme has said that nobody's answer is a yes here.
fn silence_is_yes(room: &Room, ask: &Ask, now: Timestamp) -> bool {
    let most = room.programme.settings.asks.silence_up_to(room.currency());
    let is_barred = ask.category.as_ref().is_some_and(|category| room.is_barred(category, now));
    ask.may_be_yes_by_silence(most, room.cooling_days(ask.wanted()), is_barred)
}

async fn tell_late(
    tx: &mut Tx,
    room: &Room,
    desk: Desk<'_>,
    now: Timestamp,
    news: News,
    after: &Ask,
) -> Result<(), ActError> {
    let mut telling = Telling::new(room, desk, now, after.id.to_string());
    telling.own_act("stepped_up", after.step.word())?;
    let particular = Particular {
        who: Some(who(room, after.step)),
        at: Some(after.answer_by),
        ..telling.particular()
    };
    telling.tell(Recipient::Person, news, &particular, facts_of(after));
    telling.tell(recipient_of(after.step), News::WorkerLateAsk, &particular, facts_of(after));
    if after.step != Step::Worker {
        telling.tell(Recipient::Worker, News::WorkerMissed, &particular, facts_of(after));
    }
    Ok(telling.write(tx).await?)
}
