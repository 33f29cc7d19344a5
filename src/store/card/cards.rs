//! Rows of `card`.

use sqlx::any::AnyRow;

use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::ledger::book::Card;
use crate::ledger::record::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::store::programme::programmes::OnConflict;
use crate::store::sql::batch::read_row;
use crate::store::{StoreError, Tx};

static CARD: Table = Table {
    name: "card",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "token", Text "budget_id", Text "last_four",
        Text "state", Number "state_until", Text "state_after",
    ],
};
/// What is read of the cards of a known budget.
static CARD_OF_BUDGET: Table = Table {
    name: "card",
    columns: columns![
        Key "connection_id", Key "token", Text "last_four", Text "state", Number "state_until",
        Text "state_after",
    ],
};

/// A card with its budget and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    pub connection: ConnectionId,
    pub token: CardToken,
    pub budget: BudgetId,
    pub last_four: String,
    pub standing: CardStatus,
}

impl Tx {
    /// Every card of a programme, in order.
    pub async fn every_card(
        &mut self,
        programme: &ProgrammeId,
    ) -> Result<Vec<CardRow>, StoreError> {
        let sql = "SELECT programme_id, connection_id, token, budget_id, last_four, state, \
                   state_until, state_after FROM card \
                   WHERE programme_id = $1 ORDER BY connection_id, token";
        let rows = sqlx::query(sql).bind(programme.to_string()).fetch_all(self.connection());
        rows.await?.iter().map(|row| Ok(read_card(&read_row(row, CARD.columns)?)?)).collect()
    }

    /// The cards of a budget, in order.
    pub async fn cards_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Card>, StoreError> {
        let sql = "SELECT connection_id, token, last_four, state, state_until, state_after \
                   FROM card WHERE programme_id = $1 AND budget_id = $2 \
                   ORDER BY connection_id, token";
        let rows = sqlx::query(sql).bind(programme.to_string()).bind(budget.to_string());
        let read = |row: &AnyRow| {
            let row = read_row(row, CARD_OF_BUDGET.columns)?;
            let mut reader = RowReader::new(&CARD_OF_BUDGET, &row);
            Ok(Card {
                connection: reader.parsed()?,
                token: reader.parsed()?,
                last_four: reader.text()?.to_owned(),
                standing: read_card_status(&mut reader)?,
            })
        };
        rows.fetch_all(self.connection()).await?.iter().map(read).collect()
    }

    /// Adds or updates cards.
    pub async fn put_cards(
        &mut self,
        programme: &ProgrammeId,
        cards: &[CardRow],
    ) -> Result<(), StoreError> {
        let row = |card: &CardRow| {
            let (until, after) = card.standing.then.unzip();
            vec![
                text_value(programme),
                text_value(&card.connection),
                text_value(&card.token),
                text_value(&card.budget),
                card.last_four.as_str().into(),
                card.standing.state.word().into(),
                until.into(),
                after.map(CardState::word).into(),
            ]
        };
        let rows: Vec<_> = cards.iter().map(row).collect();
        self.put(&CARD, &rows, OnConflict::Replace).await?;
        Ok(())
    }

    /// Stores the states of cards of a budget.
    pub async fn set_card_states(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        cards: &[Card],
    ) -> Result<(), StoreError> {
        let row = |card: &Card| CardRow {
            connection: card.connection.clone(),
            token: card.token.clone(),
            budget: budget.clone(),
            last_four: card.last_four.clone(),
            standing: card.standing,
        };
        let rows: Vec<_> = cards.iter().map(row).collect();
        self.put_cards(programme, &rows).await
    }
}

fn read_card(row: &[Value]) -> Result<CardRow, CorruptRow> {
    let mut reader = RowReader::new(&CARD, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(CardRow {
        connection: reader.parsed()?,
        token: reader.parsed()?,
        budget: reader.parsed()?,
        last_four: reader.text()?.to_owned(),
        standing: read_card_status(&mut reader)?,
    })
}

/// Reads a card's state, and the state that follows it at an instant, if any.
pub(in crate::store) fn read_card_status(
    reader: &mut RowReader<'_>,
) -> Result<CardStatus, CorruptRow> {
    let state = reader.word(CardState::from_word)?;
    let until = reader.optional(RowReader::instant)?;
    let after = reader.optional(|reader| reader.word(CardState::from_word))?;
    Ok(CardStatus { state, then: until.zip(after) })
}
