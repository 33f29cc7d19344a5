//! Rows of `card`.

use jiff::Timestamp;

use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::ledger::book::Card;
use crate::ledger::record::table::{Record as _, record};
use crate::store::sql::record::{OnConflict, select_sql};
use crate::store::{StoreError, Tx};

record! {
    /// A card with its budget and state.
    pub struct CardRow in "card" key(programme_id, connection_id, token) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub token: CardToken,
        pub budget_id: BudgetId,
        pub last_four: String,
        pub state: CardState,
        pub state_until: Option<Timestamp>,
        /// The state that follows at `state_until`.
        pub state_after: Option<CardState>,
    }
}

record! {
    /// The columns of a card that say whether it can pay.
    struct CardStateRow in "card" key(programme_id, connection_id, token) {
        programme_id: ProgrammeId,
        connection_id: ConnectionId,
        token: CardToken,
        state: CardState,
        state_until: Option<Timestamp>,
        state_after: Option<CardState>,
    }
}

impl CardRow {
    /// The state, and the state that follows it.
    pub fn status(&self) -> CardStatus {
        CardStatus { state: self.state, then: self.state_until.zip(self.state_after) }
    }
}

impl From<CardRow> for Card {
    fn from(row: CardRow) -> Self {
        let status = row.status();
        // Every column, so that the compiler asks whether the book needs a new one.
        let CardRow {
            programme_id: _,
            connection_id: connection,
            token,
            budget_id: _,
            last_four,
            state: _,
            state_until: _,
            state_after: _,
        } = row;
        Self { connection, token, status, last_four }
    }
}

/// Without `ORDER BY`, because SQLite would then walk all cards of the programme in that order.
const CARDS_OF_BUDGET: &str = "WHERE programme_id = $1 AND budget_id = $2";

/// The statement that reads the cards of a budget, for the check of query plans.
pub(in crate::store) fn lookup_statements() -> [(&'static str, String, &'static [&'static str]); 1]
{
    [("cards_of_budget", select_sql(CardRow::TABLE, CARDS_OF_BUDGET), &["''", "''"])]
}

impl Tx {
    /// Every card of a programme, in order.
    pub async fn every_card(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Vec<CardRow>, StoreError> {
        self.fetch_all("WHERE programme_id = $1 ORDER BY connection_id, token", &[programme]).await
    }

    /// The rows of the cards of a budget, in the order of their keys.
    pub async fn card_rows(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<CardRow>, StoreError> {
        let mut rows: Vec<CardRow> = self.fetch_all(CARDS_OF_BUDGET, &[programme, budget]).await?;
        rows.sort_by(|a, b| (&a.connection_id, &a.token).cmp(&(&b.connection_id, &b.token)));
        Ok(rows)
    }

    /// The cards of a budget, in order.
    pub async fn cards_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Card>, StoreError> {
        Ok(self.card_rows(programme, budget).await?.into_iter().map(Card::from).collect())
    }

    /// Adds or updates cards.
    pub async fn put_cards(&mut self, cards: &[CardRow]) -> Result<(), StoreError> {
        self.put(cards, OnConflict::Replace).await?;
        Ok(())
    }

    /// Stores the states of cards.
    pub async fn set_card_states(
        &mut self,
        programme: &ProgrammeId,
        cards: &[Card],
    ) -> Result<(), StoreError> {
        for card in cards {
            let (state_until, state_after) = card.status.then.unzip();
            let row = CardStateRow {
                programme_id: programme.clone(),
                connection_id: card.connection.clone(),
                token: card.token.clone(),
                state: card.status.state,
                state_until,
                state_after,
            };
            self.update(&row, &[]).await?;
        }
        Ok(())
    }
}
