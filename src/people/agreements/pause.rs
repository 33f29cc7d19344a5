//! A pause for safety: whoever is responsible stops a person's cards, after a talk, with a reason and
//! an end. The person is told at once, and can have somebody else look at it. It ends by itself.

use jiff::Timestamp;

use super::{Desk, Table, written};
use crate::domain::card::pause::{Pause, PauseError};
use crate::domain::id::{PauseId, PersonId, TalkId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Act;
use crate::messages::words::{ListNews, Words};
use crate::people::members::{ActError, Acting};
use crate::programme::pausing::{begin_pause, lift_pause};
use crate::store::Tx;

/// What somebody has to say before they can pause a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pausing {
    /// Why, in a few words that the person reads in a text message.
    pub reason: String,
    /// The talk that was written down first, with anybody of the staff.
    pub talk: TalkId,
    pub until: Timestamp,
}

impl From<PauseError> for ActError {
    fn from(error: PauseError) -> Self {
        match error {
            PauseError::EndsFirst | PauseError::TooLong => {
                Self::invalid("until", error.to_string())
            }
            PauseError::PausedAlready | PauseError::Over => Self::Conflict(error.to_string()),
            PauseError::SamePersonAgain => Self::NotAllowed("pause again so soon after a pause"),
        }
    }
}

/// Stops the person's cards until a moment.
pub async fn pause(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    pausing: Pausing,
) -> Result<PauseId, ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Pause).await?;
    table.admitted.decides()?;
    let reason = written("reason", &pausing.reason)?;
    if !Words::is_short_enough(&reason) {
        return Err(ActError::invalid("reason", "say it in at most 50 characters"));
    }
    let (programme, budget) = (table.admitted.programme.clone(), table.admitted.budget.clone());
    let talk = tx.talk(&programme, &budget, pausing.talk).await?;
    if !talk.is_some_and(|talk| talk.counts_for_a_pause(acting.at)) {
        return Err(ActError::invalid("talk", "talk first, and write down what was said"));
    }
    let pause = Pause {
        id: PauseId::new(desk.ids.next(acting.at)),
        member: acting.member.clone(),
        human: table.admitted.actor.member.human.clone(),
        reason,
        talk: pausing.talk,
        begins_at: acting.at,
        ends_at: pausing.until,
        lifted_at: None,
    };
    pause.check(&tx.pauses_of(&programme, &budget).await?)?;
    begin_pause(tx, &programme, &budget, &pause).await?;
    let subject = pause.id.to_string();
    let (until, reason) = (Some(pause.ends_at), pause.reason.as_str());
    table.tell(Recipient::Person, ListNews::PauseBegun, &subject, until, reason);
    table.close(tx, "paused", &subject, reason).await?;
    Ok(pause.id)
}

/// Ends a pause before its time. The cards are as they were, and as the person has made them since.
pub async fn lift(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
    id: PauseId,
) -> Result<(), ActError> {
    let mut table = Table::open(tx, desk, acting, person, |_| Act::Pause).await?;
    table.admitted.decides()?;
    let (programme, budget) = (table.admitted.programme.clone(), table.admitted.budget.clone());
    let pauses = tx.pauses_of(&programme, &budget).await?;
    let known = pauses.iter().find(|pause| pause.id == id).ok_or(ActError::NotThere("pause"))?;
    known.lifted(acting.at)?;
    lift_pause(tx, &programme, &budget, known, acting.at).await?;
    let subject = id.to_string();
    table.tell(Recipient::Person, ListNews::PauseLifted, &subject, None, "");
    table.close(tx, "pause_lifted", &subject, "").await
}
