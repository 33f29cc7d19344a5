//! Rows of people and of their budgets, written when a programme's file is applied.

use crate::domain::id::{BudgetId, PostingId, ProgrammeId};
use crate::domain::money::Currency;
use crate::domain::people::person::PersonState;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::record;
use crate::store::sql::record::OnConflict;
use crate::store::{StoreError, Tx};

record! {
    /// A person as described by the programme's file.
    pub struct PersonRow in "person" key(programme_id, person_id) {
        pub programme_id: ProgrammeId,
        pub person_id: BudgetId,
        pub name: String,
        pub worker_id: String,
        pub state: PersonState,
        /// The person's part of the file, from which the file can be written again.
        pub plan: String,
    }
}

record! {
    /// A person without their part of the file.
    pub struct PersonSummary in "person" key(person_id) {
        pub person_id: BudgetId,
        pub name: String,
        pub worker_id: String,
        pub state: PersonState,
    }
}

record! {
    /// A budget with the head of its chain.
    pub struct BudgetRow in "budget" key(programme_id, budget_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub currency: Currency,
        pub agreement_version: Option<u32>,
        pub head_seq: i64,
        pub head_posting: Option<PostingId>,
        pub head_hash: Digest,
    }
}

impl Tx {
    /// The people of a programme, as described by the file applied last, in order.
    pub async fn people(&mut self, programme: &ProgrammeId) -> Result<Vec<PersonRow>, StoreError> {
        self.fetch_all("WHERE programme_id = $1 ORDER BY person_id", &[programme]).await
    }

    /// Adds budgets with empty chains; existing ones are left unchanged.
    pub async fn add_budgets(
        &mut self,
        programme: &ProgrammeId,
        budgets: &[BudgetId],
        currency: Currency,
    ) -> Result<(), StoreError> {
        let row = |budget: &BudgetId| BudgetRow {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            currency,
            agreement_version: None,
            head_seq: 0,
            head_posting: None,
            head_hash: Digest::ZERO,
        };
        let rows: Vec<_> = budgets.iter().map(row).collect();
        self.put(&rows, OnConflict::Keep).await?;
        Ok(())
    }

    /// Adds or updates people.
    pub async fn put_people(&mut self, people: &[PersonRow]) -> Result<(), StoreError> {
        self.put(people, OnConflict::Replace).await?;
        Ok(())
    }
}
