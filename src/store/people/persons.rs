//! Rows of people, their budgets and their cards, written when a programme's file is applied.

use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::Currency;
use crate::domain::people::person::PersonState;
use crate::ledger::record::row::{Digest, RowReader, Table, Value, columns, text_value};
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
const PEOPLE: &str = "SELECT person_id, name, worker_id, state, plan FROM person \
                      WHERE programme_id = $1 ORDER BY person_id";

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

impl Tx {
    /// The people of a programme, as described by the file applied last, in order.
    pub async fn people(&mut self, programme: &ProgrammeId) -> Result<Vec<PersonRow>, StoreError> {
        let rows = sqlx::query(PEOPLE).bind(programme.to_string());
        rows.fetch_all(self.connection()).await?.iter().map(read_person).collect()
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
}
