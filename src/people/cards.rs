//! Freezing and unfreezing a card, and reporting it lost. It takes effect at once and needs
//! nobody's consent.

use crate::domain::card::CardState;
use crate::domain::id::{BudgetId, CardToken, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::ledger::book::Card;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::store::{CardRow, NewMessage, Tx};

/// A change of the state of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChange {
    Freeze,
    Unfreeze,
    /// Lost or stolen. Final: the card never works again.
    Lose,
}

impl CardChange {
    const fn required_act(self) -> Capability {
        match self {
            Self::Freeze => Capability::Freeze,
            Self::Unfreeze => Capability::Unfreeze,
            // A capability of its own, because a loss is final and a freeze is not.
            Self::Lose => Capability::ReportLost,
        }
    }

    /// The kind of the act, as stored.
    const fn word(self) -> &'static str {
        match self {
            Self::Freeze => "froze",
            Self::Unfreeze => "unfroze",
            Self::Lose => "lost",
        }
    }

    /// The lasting state after the change.
    const fn target_state(self) -> CardState {
        match self {
            Self::Freeze => CardState::FrozenByPerson,
            Self::Unfreeze => CardState::Active,
            Self::Lose => CardState::Lost,
        }
    }

    /// Whether a card in the lasting state `now` allows the change.
    const fn applies_to(self, now: CardState) -> bool {
        match (self, now) {
            (Self::Freeze | Self::Lose, CardState::Active)
            | (Self::Unfreeze | Self::Lose, CardState::FrozenByPerson)
            | (Self::Lose, CardState::NotStarted | CardState::FrozenByStaff) => true,
            (
                Self::Freeze | Self::Unfreeze | Self::Lose,
                CardState::Active
                | CardState::NotStarted
                | CardState::FrozenByPerson
                | CardState::FrozenByStaff
                | CardState::Lost
                | CardState::Replaced
                | CardState::Expired,
            ) => false,
        }
    }
}

/// Changes the named card of `person`, or all of them, and returns all cards. Idempotent.
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when the state of the named card does not allow the change, as when
/// it is lost.
pub async fn change(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    card: Option<&CardToken>,
    change: CardChange,
) -> Result<Vec<CardRow>, UseCaseError> {
    tx.lock_budget(&principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, change.required_act(), person).await?;
    let cards = tx.cards_of(&access.programme, &access.budget).await?;
    let wanted = cards.iter().filter(|known| card.is_none_or(|card| known.token == *card));
    if let Some(named) = card {
        let known = wanted.clone().next().ok_or(UseCaseError::NotFound("card"))?;
        let state = known.status.lasting_state();
        if !change.applies_to(state) && state != change.target_state() {
            let text = format!("card {named} is {}: that cannot be done", state.word());
            return Err(UseCaseError::Conflict(text));
        }
    }
    // A staff pause stays in force: the change applies after it, except a loss, which is immediate.
    let is_concerned = |known: &&Card| change.applies_to(known.status.lasting_state());
    let after_change = |known: &Card| {
        let status = known.status.settled(principal.at).made(change.target_state());
        Card { status, ..known.clone() }
    };
    let changed: Vec<_> = wanted.filter(is_concerned).map(after_change).collect();
    if !changed.is_empty() {
        tx.set_card_states(&access.programme, &changed).await?;
        let act = |card: &Card| {
            let detail = format!("the card that ends in {}", card.last_four);
            access.act_row(context.ids, change.word(), card.token.as_str(), &detail)
        };
        tx.add_acts(&changed.iter().map(act).collect::<Vec<_>>()).await?;
        notify(tx, context, &access, change).await?;
    }
    Ok(tx.card_rows(&access.programme, &access.budget).await?)
}

/// Notifies the worker, and also the person when another account froze the card or when it is lost.
async fn notify(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    change: CardChange,
) -> Result<(), UseCaseError> {
    let programme = context.directory.latest_or_load(&access.programme).await?;
    let member = &access.actor.member;
    let parameters = NotificationParameters {
        name: Some(&member.name),
        ..NotificationParameters::new(programme.zone())
    };
    let (to_person, to_worker) = match change {
        CardChange::Freeze if member.role == Role::Person => (None, Notification::WorkerCardFrozen),
        CardChange::Freeze => (Some(Notification::CardFrozenFor), Notification::WorkerCardFrozen),
        CardChange::Unfreeze => (None, Notification::WorkerCardUnfrozen),
        CardChange::Lose => (Some(Notification::CardLost), Notification::WorkerCardLost),
    };
    let message = |notification: Notification, recipient| NewMessage {
        id: MessageId::new(context.ids.next(access.at)),
        programme: access.programme.clone(),
        budget: access.budget.clone(),
        kind: notification.kind(),
        subject: access.budget.to_string(),
        body: Words::english().notification(notification, &parameters),
        created_at: access.at,
        recipient,
        facts: MessageParameters::default().text("by", member.id.as_str()).to_text(),
        thread: None,
        due_at: None,
    };
    let to_person = to_person.map(|notification| message(notification, Recipient::Person));
    let messages: Vec<_> =
        to_person.into_iter().chain([message(to_worker, Recipient::Worker)]).collect();
    tx.add_messages(&messages).await?;
    Ok(())
}
