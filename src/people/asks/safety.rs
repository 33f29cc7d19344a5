//! Safety without spying: who has the card, talks that come first, and the quiet word.

use jiff::ToSpan as _;

use super::telling::Telling;
use super::{Desk, Room, said};
use crate::domain::card::safety::{CUSTODY_REVIEW_DAYS, Custody, Holder, Talk};
use crate::domain::id::{BudgetId, CustodyId, PersonId, TalkId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Act;
use crate::ledger::record::particulars::Particulars;
use crate::ledger::record::row::Digest;
use crate::messages::words::{News, Words};
use crate::people::members::{ActError, Acting};
use crate::store::Tx;

/// How many letters a quiet word has.
const QUIET_WORD_LEAST: usize = 4;
const QUIET_WORD_MOST: usize = 100;

/// The person writes down who has their card. Nobody else can: it is theirs, and comes back when they
/// say so; whoever keeps it safe is told.
pub async fn hand_card(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    holder: Holder,
    name: Option<&str>,
) -> Result<Custody, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, Act::ChooseHelpers, person).await?;
    let own_name = (holder == Holder::Person).then(|| admitted.actor.member.name.clone());
    let name = said(name)?.or(own_name);
    let name = name.ok_or_else(|| ActError::invalid("name", "say who has it"))?;
    let is_elsewhere = holder != Holder::Person;
    let before = tx.custody(&room.programme_id, &room.budget).await?;
    let was_elsewhere = before.is_some_and(|before| before.holder != Holder::Person);
    let review_on = room.today(acting.at).checked_add(CUSTODY_REVIEW_DAYS.days()).ok();
    let custody = Custody {
        id: CustodyId::new(desk.ids.next(acting.at)),
        holder,
        name,
        since: acting.at,
        review_on: review_on.filter(|_| is_elsewhere),
    };
    tx.add_custody(&room.programme_id, &room.budget, &custody).await?;
    let mut telling = Telling::new(&room, desk, acting.at, custody.id.to_string());
    telling.act(&admitted, "handed_card", holder.word());
    if is_elsewhere {
        let particular = telling.particular();
        let facts = Particulars::default()
            .text("holder", holder.word())
            .optional("review_on", custody.review_on.map(|date| date.to_string()));
        telling.tell(Recipient::Person, News::CustodyChanged, &particular, facts.clone());
        telling.tell(Recipient::Worker, News::WorkerCardElsewhere, &particular, facts);
    } else if was_elsewhere {
        let (particular, facts) = (telling.particular(), Particulars::default());
        telling.tell(Recipient::Worker, News::WorkerCardBack, &particular, facts);
    }
    telling.write(tx).await?;
    Ok(custody)
}

/// What was said in a talk about safety.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talked {
    pub concern: String,
    /// What the person wants.
    pub wants: String,
    /// Whether the person understood and agreed, and how that was found out.
    pub consent: String,
    /// What restricts less, and why it was or was not enough.
    pub options: String,
    pub next_step: String,
}

/// Writes down a talk. It comes before a no for safety, and before a pause.
pub async fn talk(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    talk: &Talked,
) -> Result<Talk, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, Act::Pause, person).await?;
    let needed = |field: &'static str, text: &str| {
        let text = said(Some(text))?;
        text.ok_or_else(|| ActError::invalid(field, "write what was said about it"))
    };
    let talk = Talk {
        id: TalkId::new(desk.ids.next(acting.at)),
        by: admitted.actor.member.id.clone(),
        concern: needed("concern", &talk.concern)?,
        wants: needed("wants", &talk.wants)?,
        consent: needed("consent", &talk.consent)?,
        options: needed("options", &talk.options)?,
        next_step: needed("next_step", &talk.next_step)?,
        at: acting.at,
    };
    tx.add_talk(&room.programme_id, &room.budget, &talk).await?;
    let mut telling = Telling::new(&room, desk, acting.at, talk.id.to_string());
    telling.act(&admitted, "talked", &talk.next_step);
    telling.write(tx).await?;
    Ok(talk)
}

/// The person chooses a quiet word: something that they could text to anybody.
pub async fn choose_quiet_word(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    word: &str,
) -> Result<(), ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    acting.admit(tx, Act::ChooseHelpers, person).await?;
    let length = plain(word).chars().count();
    if !(QUIET_WORD_LEAST..=QUIET_WORD_MOST).contains(&length) {
        let what = format!("choose {QUIET_WORD_LEAST} to {QUIET_WORD_MOST} letters");
        return Err(ActError::invalid("word", what));
    }
    let digest = digest(&room, word);
    Ok(tx.put_quiet_word(&room.programme_id, &room.budget, digest).await?)
}

/// Hears a text that is no command. The quiet word tells whoever is on duty (the manager too when
/// nobody is), and nobody else: no act and no message of the person's own, and the same dull reply as to anything else. Nothing is
/// stopped.
pub async fn hear(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    text: &str,
) -> Result<String, ActError> {
    let room = Room::enter(tx, desk, &acting.programme, &BudgetId::of(person)).await?;
    acting.admit(tx, Act::Ask, person).await?;
    let known = tx.quiet_word(&room.programme_id, &room.budget).await?;
    if known == Some(digest(&room, text)) {
        let cover = tx.cover(&room.programme_id, &room.worker, acting.at).await?;
        let mut telling = Telling::new(&room, desk, acting.at, room.budget.to_string());
        let facts = Particulars::default().text("person", person.as_str());
        let particular = telling.particular();
        telling.tell(Recipient::Duty, News::WorkerQuietWord, &particular, facts.clone());
        if !cover.somebody_is_on_duty {
            telling.tell(Recipient::Manager, News::WorkerQuietWord, &particular, facts);
        }
        telling.write(tx).await?;
    }
    Ok(Words::english().dull_reply())
}

/// Capitals, blanks and marks do not matter.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn digest(room: &Room, word: &str) -> Digest {
    Digest::of_text(&format!("{}/{}/{}", room.programme_id, room.budget, plain(word)))
}
