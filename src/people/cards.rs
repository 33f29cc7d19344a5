//! Freezing, unfreezing and losing the own card: the person's, at once, without asking anybody.

use crate::domain::card::CardState;
use crate::domain::id::{CardToken, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::ledger::book::Card;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, Principal, UseCaseError};
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{NewMessage, Tx};

/// What becomes of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChange {
    Freeze,
    Unfreeze,
    /// Lost or stolen: it never works again.
    Lose,
}

impl CardChange {
    const fn required_act(self) -> Capability {
        match self {
            Self::Freeze => Capability::Freeze,
            Self::Unfreeze => Capability::Unfreeze,
            // A lost card never works again: whoever may only freeze it does that.
            Self::Lose => Capability::ReportLost,
        }
    }

    /// What was done, as it is kept.
    const fn word(self) -> &'static str {
        match self {
            Self::Freeze => "froze",
            Self::Unfreeze => "unfroze",
            Self::Lose => "lost",
        }
    }

    /// The state that a card comes into.
    const fn target_state(self) -> CardState {
        match self {
            Self::Freeze => CardState::FrozenByPerson,
            Self::Unfreeze => CardState::Active,
            Self::Lose => CardState::Lost,
        }
    }

    /// Whether it can be done to a card that is `now` like this.
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

/// Changes one card of `person`, or all of them, and says how they all are then. Done again, it
/// comes to the same.
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when the card that is named cannot be changed so: it is lost, for example.
pub async fn change(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
    principal: &Principal,
    person: &PersonId,
    card: Option<&CardToken>,
    change: CardChange,
) -> Result<Vec<Card>, UseCaseError> {
    tx.lock_budget(&principal.programme, &crate::domain::id::BudgetId::of(person)).await?;
    let access = principal.admit(tx, change.required_act(), person).await?;
    let cards = tx.cards_of(&access.programme, &access.budget).await?;
    let wanted = cards.iter().filter(|known| card.is_none_or(|card| known.token == *card));
    if let Some(named) = card {
        let known = wanted.clone().next().ok_or(UseCaseError::NotFound("card"))?;
        let state = known.standing.lasting_state();
        if !change.applies_to(state) && state != change.target_state() {
            let text = format!("card {named} is {}: that cannot be done", state.word());
            return Err(UseCaseError::Conflict(text));
        }
    }
    // A pause by staff goes on; the person says what comes after it.
    let is_concerned = |known: &&Card| change.applies_to(known.standing.lasting_state());
    let after_change = |known: &Card| {
        let standing = known.standing.settled(principal.at).made(change.target_state());
        Card { standing, ..known.clone() }
    };
    let changed: Vec<_> = wanted.filter(is_concerned).map(after_change).collect();
    if !changed.is_empty() {
        tx.set_card_states(&access.programme, &access.budget, &changed).await?;
        let act = |card: &Card| {
            let detail = format!("the card that ends in {}", card.last_four);
            access.act_row(ids, change.word(), card.token.as_str(), &detail)
        };
        tx.add_acts(&access.programme, &changed.iter().map(act).collect::<Vec<_>>()).await?;
        notify(tx, directory, ids, &access, change).await?;
    }
    Ok(tx.cards_of(&access.programme, &access.budget).await?)
}

/// The worker is told, and the person too when somebody else did it, or when they need a new card.
async fn notify(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    access: &GrantedAccess,
    change: CardChange,
) -> Result<(), UseCaseError> {
    let programme = directory.latest_or_load(&access.programme).await?;
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
        id: MessageId::new(ids.next(access.at)),
        programme: access.programme.clone(),
        budget: access.budget.clone(),
        kind: notification.kind(),
        subject: access.budget.to_string(),
        body: Words::english().notification(notification, &parameters),
        created_at: access.at,
        recipient,
        facts: MessageParameters::default().text("by", member.id.as_str()).to_text(),
        matter: None,
        due_at: None,
    };
    let to_person = to_person.map(|notification| message(notification, Recipient::Person));
    let messages: Vec<_> =
        to_person.into_iter().chain([message(to_worker, Recipient::Worker)]).collect();
    tx.add_messages(&messages).await?;
    Ok(())
}
