//! Freezing, unfreezing and losing the own card: the person's, at once, without asking anybody.

use crate::domain::card::CardState;
use crate::domain::id::{CardToken, MessageId, PersonId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Act, Role};
use crate::ledger::book::Card;
use crate::ledger::record::particulars::Particulars;
use crate::messages::words::{News, Particular, Words};
use crate::people::members::{ActError, Acting, Admitted};
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{NewMessage, Tx};

/// What becomes of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Freeze,
    Unfreeze,
    /// Lost or stolen: it never works again.
    Lose,
}

impl Change {
    const fn act(self) -> Act {
        match self {
            Self::Freeze => Act::Freeze,
            Self::Unfreeze => Act::Unfreeze,
            // A lost card never works again: whoever may only freeze it does that.
            Self::Lose => Act::ReportLost,
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
    const fn makes(self) -> CardState {
        match self {
            Self::Freeze => CardState::FrozenByPerson,
            Self::Unfreeze => CardState::Active,
            Self::Lose => CardState::Lost,
        }
    }

    /// Whether it can be done to a card that is `now` like this.
    const fn changes(self, now: CardState) -> bool {
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
/// [`ActError::Conflict`] when the card that is named cannot be changed so: it is lost, for example.
pub async fn change(
    tx: &mut Tx,
    (directory, ids): (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    card: Option<&CardToken>,
    change: Change,
) -> Result<Vec<Card>, ActError> {
    tx.lock_budget(&acting.programme, &crate::domain::id::BudgetId::of(person)).await?;
    let admitted = acting.admit(tx, change.act(), person).await?;
    let cards = tx.cards_of(&admitted.programme, &admitted.budget).await?;
    let wanted = cards.iter().filter(|known| card.is_none_or(|card| known.token == *card));
    if let Some(named) = card {
        let known = wanted.clone().next().ok_or(ActError::NotThere("card"))?;
        let own = known.standing.lasting_state();
        if !change.changes(own) && own != change.makes() {
            let text = format!("card {named} is {}: that cannot be done", own.word());
            return Err(ActError::Conflict(text));
        }
    }
    // A pause by staff goes on; the person says what comes after it.
    let is_concerned = |known: &&Card| change.changes(known.standing.lasting_state());
    let made = |known: &Card| {
        let standing = known.standing.settled(acting.at).made(change.makes());
        Card { standing, ..known.clone() }
    };
    let changed: Vec<_> = wanted.filter(is_concerned).map(made).collect();
    if !changed.is_empty() {
        tx.stand_cards(&admitted.programme, &admitted.budget, &changed).await?;
        let act = |card: &Card| {
            let detail = format!("the card that ends in {}", card.last_four);
            admitted.act(ids, change.word(), card.token.as_str(), &detail)
        };
        tx.add_acts(&admitted.programme, &changed.iter().map(act).collect::<Vec<_>>()).await?;
        tell(tx, directory, ids, &admitted, change).await?;
    }
    Ok(tx.cards_of(&admitted.programme, &admitted.budget).await?)
}

/// The worker is told, and the person too when somebody else did it, or when they need a new card.
async fn tell(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    admitted: &Admitted,
    change: Change,
) -> Result<(), ActError> {
    let programme = directory.at_hand(&admitted.programme).await?;
    let member = &admitted.actor.member;
    let particular = Particular { name: Some(&member.name), ..Particular::new(programme.zone()) };
    let (to_person, to_worker) = match change {
        Change::Freeze if member.role == Role::Person => (None, News::WorkerCardFrozen),
        Change::Freeze => (Some(News::CardFrozenFor), News::WorkerCardFrozen),
        Change::Unfreeze => (None, News::WorkerCardUnfrozen),
        Change::Lose => (Some(News::CardLost), News::WorkerCardLost),
    };
    let message = |news: News, recipient| NewMessage {
        id: MessageId::new(ids.next(admitted.at)),
        programme: admitted.programme.clone(),
        budget: admitted.budget.clone(),
        kind: news.kind(),
        subject: admitted.budget.to_string(),
        body: Words::english().news(news, &particular),
        created_at: admitted.at,
        recipient,
        facts: Particulars::default().text("by", member.id.as_str()).to_text(),
        matter: None,
        due_at: None,
    };
    let to_person = to_person.map(|news| message(news, Recipient::Person));
    let messages: Vec<_> =
        to_person.into_iter().chain([message(to_worker, Recipient::Worker)]).collect();
    tx.add_messages(&messages).await?;
    Ok(())
}
