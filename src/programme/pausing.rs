//! How a pause for safety begins and ends: one way, whoever says so, with the cards that it stops.

use jiff::Timestamp;

use crate::domain::card::CardStanding;
use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::ledger::book::Card;
use crate::store::{StoreError, Tx};

/// Begins `pause` on every card of a budget that is locked.
pub async fn begin_pause(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    pause: &Pause,
) -> Result<(), StoreError> {
    tx.add_pause(programme, budget, pause).await?;
    let paused = |standing: CardStanding| standing.paused(pause.begins_at, pause.ends_at);
    stand(tx, programme, budget, paused).await
}

/// Ends `pause` before its time. The cards are as they were, and as the person has made them since.
pub async fn lift_pause(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    pause: &Pause,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.lift_pause(programme, budget, pause.id, at).await?;
    stand(tx, programme, budget, CardStanding::lifted).await
}

async fn stand(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    stands: impl Fn(CardStanding) -> CardStanding + Send,
) -> Result<(), StoreError> {
    let mut changed: Vec<Card> = Vec::new();
    for card in tx.cards_of(programme, budget).await? {
        let standing = stands(card.standing);
        if standing != card.standing {
            changed.push(Card { standing, ..card });
        }
    }
    tx.stand_cards(programme, budget, &changed).await
}
