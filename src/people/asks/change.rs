//! Changes to an existing ask. Each locks the budget, and checks that the account may make it.

use super::LockedBudget;
use super::outbox::OutboxWriter;
use crate::domain::ask::{ActorIdentity, Ask, AskReply};
use crate::domain::id::{AskId, BudgetId, PersonId};
use crate::domain::people::role::Capability;
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::store::{StoreError, Tx};

/// A change to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskChange {
    /// Marks it as seen by an account that may answer it, which the person can see.
    See,
    /// Answers it. A yes is a permission that every gateway applies at once, or after the cooling
    /// days of a block that the person set on themselves. Of two different answers the first
    /// counts.
    Answer(AskAnswerRequest),
    /// Records the review of a yes that was given out of hours, by duty staff, or by a rule of the
    /// programme. The reviewer must be a human being other than the one who asked and the one who
    /// answered.
    Review { words: Option<String> },
    /// Escalates it to the manager, because it is over the account's own limit or because of a
    /// conflict of interest. The deadlines promised to the person do not change, and the person is
    /// notified.
    PassOn { words: Option<String> },
    /// Takes it back while it is open.
    TakeBack,
}

/// An answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAnswerRequest {
    pub reply: AskReply,
    /// An optional comment, which the person reads with the answer.
    pub words: Option<String>,
}

impl AskChange {
    const fn required_act(&self) -> Capability {
        match self {
            Self::See | Self::Answer(_) | Self::Review { .. } | Self::PassOn { .. } => {
                Capability::AnswerAsk
            }
            Self::TakeBack => Capability::Ask,
        }
    }
}

/// Changes an ask. Idempotent, but an answer or a review only if the same account repeats it with
/// the same content.
///
/// # Errors
///
/// [`UseCaseError::SeparationOfDuties`] for an answer over the account's own limit, with a conflict
/// of interest, or to the account's own ask, and for a review by a human being who asked or
/// answered; [`UseCaseError::AlreadyAnswered`] with the recorded answer or review, if it differs;
/// [`UseCaseError::Invalid`] for a no for safety without a recent talk;
/// [`UseCaseError::Conflict`] when an ask that is to be taken back was answered.
pub async fn change(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
    change: &AskChange,
) -> Result<Ask, UseCaseError> {
    let act = change.required_act();
    let locked_ask = LockedAsk::lock(tx, context, principal, person, id, act).await?;
    match change {
        AskChange::See => locked_ask.mark_seen(tx).await,
        AskChange::Answer(request) => locked_ask.answer(tx, request).await,
        AskChange::Review { words } => locked_ask.review(tx, words.as_deref()).await,
        AskChange::PassOn { words } => locked_ask.pass_on(tx, words.as_deref()).await,
        AskChange::TakeBack => locked_ask.take_back(tx).await,
    }
}

/// An ask in its locked budget, with the access of an account that may change it.
pub(super) struct LockedAsk<'a> {
    pub(super) context: UseCaseContext<'a>,
    pub(super) locked: LockedBudget,
    pub(super) access: GrantedAccess,
    pub(super) ask: Ask,
}

impl<'a> LockedAsk<'a> {
    /// Locks the budget of `person`, checks the capability `act` and reads the ask.
    pub(super) async fn lock(
        tx: &mut Tx,
        context: UseCaseContext<'a>,
        principal: &Principal,
        person: &PersonId,
        id: AskId,
        act: Capability,
    ) -> Result<Self, UseCaseError> {
        let budget = BudgetId::of(person);
        let locked = LockedBudget::lock(tx, context, &principal.programme, &budget).await?;
        let access = principal.admit(tx, act, person).await?;
        let ask = tx.ask(&locked.programme_id, &locked.budget, id).await?;
        let ask = ask.ok_or(UseCaseError::NotFound("ask"))?;
        Ok(Self { context, locked, access, ask })
    }

    /// The account that changes the ask.
    pub(super) fn by(&self) -> ActorIdentity {
        let member = &self.access.actor.member;
        ActorIdentity { member: member.id.clone(), human: member.human.clone() }
    }

    /// Saves the ask as `after`.
    pub(super) async fn save(&self, tx: &mut Tx, after: &Ask) -> Result<(), StoreError> {
        tx.update_ask(&self.locked.programme_id, &self.ask, after).await
    }

    /// The acts and messages about the ask.
    pub(super) fn outbox(&self) -> OutboxWriter<'_> {
        OutboxWriter::new(&self.locked, self.context, self.access.at, self.ask.id.to_string())
    }
}
