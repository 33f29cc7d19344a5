//! A pause for safety: whoever is responsible stops a person's cards, after a talk, with a reason and
//! an end. The person is told at once, and can have somebody else look at it. It ends by itself.

use jiff::Timestamp;

use super::{AdmittedBudget, UseCaseContext, required_words};
use crate::domain::card::pause::{Pause, PauseError};
use crate::domain::id::{PauseId, PersonId, TalkId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Capability;
use crate::messages::words::{ListNotification, Words};
use crate::people::members::{Principal, UseCaseError};
use crate::programme::card_pause::{begin_pause, lift_pause};
use crate::store::Tx;

/// What somebody has to say before they can pause a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRequest {
    /// Why, in a few words that the person reads in a text message.
    pub reason: String,
    /// The talk that was written down first, with anybody of the staff.
    pub talk: TalkId,
    pub until: Timestamp,
}

impl From<PauseError> for UseCaseError {
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
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    request: PauseRequest,
) -> Result<PauseId, UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Pause).await?;
    admitted.access.check_no_conflict()?;
    let reason = required_words("reason", &request.reason)?;
    if !Words::is_short_enough(&reason) {
        return Err(UseCaseError::invalid("reason", "say it in at most 50 characters"));
    }
    let (programme, budget) = (admitted.access.programme.clone(), admitted.access.budget.clone());
    let talk = tx.talk(&programme, &budget, request.talk).await?;
    if !talk.is_some_and(|talk| talk.counts_for_a_pause(principal.at)) {
        return Err(UseCaseError::invalid("talk", "talk first, and write down what was said"));
    }
    let pause = Pause {
        id: PauseId::new(context.ids.next(principal.at)),
        member: principal.member.clone(),
        human: admitted.access.actor.member.human.clone(),
        reason,
        talk: request.talk,
        begins_at: principal.at,
        ends_at: request.until,
        lifted_at: None,
    };
    pause.check(&tx.pauses_of(&programme, &budget).await?)?;
    begin_pause(tx, &programme, &budget, &pause).await?;
    let subject = pause.id.to_string();
    let (until, reason) = (Some(pause.ends_at), pause.reason.as_str());
    admitted.notify(Recipient::Person, ListNotification::PauseBegun, &subject, until, reason);
    admitted.close(tx, "paused", &subject, reason).await?;
    Ok(pause.id)
}

/// Ends a pause before its time. The cards are as they were, and as the person has made them since.
pub async fn lift(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: PauseId,
) -> Result<(), UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::Pause).await?;
    admitted.access.check_no_conflict()?;
    let (programme, budget) = (admitted.access.programme.clone(), admitted.access.budget.clone());
    let pauses = tx.pauses_of(&programme, &budget).await?;
    let known =
        pauses.iter().find(|pause| pause.id == id).ok_or(UseCaseError::NotFound("pause"))?;
    known.lifted(principal.at)?;
    lift_pause(tx, &programme, &budget, known, principal.at).await?;
    let subject = id.to_string();
    admitted.notify(Recipient::Person, ListNotification::PauseLifted, &subject, None, "");
    admitted.close(tx, "pause_lifted", &subject, "").await
}
