//! Begins and ends a pause for safety, with the cards that it stops. Every caller uses this module.

use jiff::Timestamp;

use crate::domain::card::CardStatus;
use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::book::Card;
use crate::store::{StoreError, Tx};

/// Begins `pause` on every card of a locked budget.
pub async fn begin_pause(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    pause: &Pause,
) -> Result<(), StoreError> {
    tx.add_pause(programme, budget, pause).await?;
    let paused = |status: CardStatus| status.paused(pause.begins_at, pause.ends_at);
    update_cards(tx, programme, budget, paused).await
}

/// Ends `pause` early on every card of a locked budget. Each card returns to its state before the
/// pause, or to the state that the person has set since.
pub async fn lift_pause(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    pause: &Pause,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.lift_pause(programme, budget, pause.id, at).await?;
    update_cards(tx, programme, budget, CardStatus::lifted).await
}

async fn update_cards(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    change: impl Fn(CardStatus) -> CardStatus + Send,
) -> Result<(), StoreError> {
    let mut changed: Vec<Card> = Vec::new();
    for card in tx.cards_of(programme, budget).await? {
        let status = change(card.status);
        if status != card.status {
            changed.push(Card { status, ..card });
        }
    }
    tx.set_card_states(programme, &changed).await
}
