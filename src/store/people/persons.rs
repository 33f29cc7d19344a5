//! Rows of people, their budgets and their cards, written when a programme's file is applied.

use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{BudgetId, CardToken, ConnectionId, ProgrammeId};
use crate::domain::money::Currency;
use crate::domain::people::person::PersonState;
use crate::ledger::record::row::{
    CorruptRow, Digest, RowReader, Table, Value, columns, text_value,
};
use crate::store::programme::programmes::{BUDGET, OnConflict};
use crate::store::sql::batch::read_row;
use crate::store::{StoreError, Tx};

/// A person as described by the programme's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub budget: BudgetId,
    pub name: String,
    pub worker: String,
    pub state: PersonState,
    /// The person's part of the file, from which the file can be written again.
    pub plan: String,
}

static PERSON: Table = Table {
    name: "person",
    columns: columns![
        Key "programme_id", Key "person_id", Text "name", Text "worker_id", Text "state",
        Text "plan",
    ],
};
static CARD: Table = Table {
    name: "card",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "token", Text "budget_id", Text "last_four",
        Text "state", Number "state_until", Text "state_after",
    ],
};
const PEOPLE: &str = "SELECT person_id, name, worker_id, state, plan FROM person \
                      WHERE programme_id = $1 ORDER BY person_id";

/// A card with its budget and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    pub connection: ConnectionId,
    pub token: CardToken,
    pub budget: BudgetId,
    pub last_four: String,
    pub standing: CardStatus,
}

fn read_person(row: &sqlx::any::AnyRow) -> Result<PersonRow, StoreError> {
    let columns =
        columns![Key "person_id", Text "name", Text "worker_id", Text "state", Text "plan"];
    let row = read_row(row, columns)?;
    let mut reader = RowReader::new(&PERSON, &row);
    Ok(PersonRow {
        budget: reader.parsed()?,
        name: reader.text()?.to_owned(),
        worker: reader.text()?.to_owned(),
        state: reader.word(PersonState::from_word)?,
        plan: reader.text()?.to_owned(),
    })
}

/// Reads a card's state, and the state that follows it at an instant, if any.
pub(in crate::store) fn read_card_standing(
    reader: &mut RowReader<'_>,
) -> Result<CardStatus, CorruptRow> {
    let state = reader.word(CardState::from_word)?;
    let until = reader.optional(RowReader::instant)?;
    let after = reader.optional(|reader| reader.word(CardState::from_word))?;
    Ok(CardStatus { state, then: until.zip(after) })
}

impl Tx {
    /// The people of a programme, as described by the file applied last, in order.
    pub async fn people(&mut self, programme: &ProgrammeId) -> Result<Vec<PersonRow>, StoreError> {
        let rows = sqlx::query(PEOPLE).bind(programme.to_string());
        rows.fetch_all(self.connection()).await?.iter().map(read_person).collect()
    }

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

    /// Adds budgets with empty chains; existing ones are left unchanged.
    pub async fn add_budgets(
        &mut self,
        programme: &ProgrammeId,
        budgets: &[BudgetId],
        currency: Currency,
    ) -> Result<(), StoreError> {
        let row = |budget: &BudgetId| {
            vec![
                text_value(programme),
                text_value(budget),
                currency.code().into(),
                Value::Null,
                0_i64.into(),
                Value::Null,
                Digest::ZERO.into(),
            ]
        };
        let rows: Vec<_> = budgets.iter().map(row).collect();
        self.put(&BUDGET, &rows, OnConflict::Keep).await?;
        Ok(())
    }

    /// Adds or updates people.
    pub async fn put_people(
        &mut self,
        programme: &ProgrammeId,
        people: &[PersonRow],
    ) -> Result<(), StoreError> {
        let row = |person: &PersonRow| {
            vec![
                text_value(programme),
                text_value(&person.budget),
                person.name.as_str().into(),
                person.worker.as_str().into(),
                person.state.word().into(),
                person.plan.as_str().into(),
            ]
        };
        let rows: Vec<_> = people.iter().map(row).collect();
        self.put(&PERSON, &rows, OnConflict::Replace).await?;
        Ok(())
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
}

fn read_card(row: &[Value]) -> Result<CardRow, CorruptRow> {
    let mut reader = RowReader::new(&CARD, row);
    let _programme: ProgrammeId = reader.parsed()?;
    Ok(CardRow {
        connection: reader.parsed()?,
        token: reader.parsed()?,
        budget: reader.parsed()?,
        last_four: reader.text()?.to_owned(),
        standing: read_card_standing(&mut reader)?,
    })
}
