//! Safety pauses: staff with [`Capability::Pause`] stop a person's cards after a talk, with a
//! reason and an end. The person is notified at once and can appeal. The pause ends by itself.

use jiff::Timestamp;

use super::required_words;
use crate::domain::card::pause::{Pause, PauseError};
use crate::domain::id::{PauseId, PersonId, TalkId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Capability;
use crate::messages::words::{ListNotification, Words};
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::programme::card_pause::{begin_pause, lift_pause};
use crate::store::Tx;

/// What a pause requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRequest {
    /// The reason, at most 50 characters, because the person reads it in a text message.
    pub reason: String,
    /// A recent talk with the person, recorded by any member of staff.
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

/// Pauses all cards of the person until `request.until`.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] without a short reason, a recent talk and a valid end;
/// [`UseCaseError::Conflict`] while another pause is in force; [`UseCaseError::NotAllowed`] for the
/// same human being too soon after their last pause.
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

/// Ends a pause early. Each card returns to its earlier state, or to the one that the person has
/// set since.
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
