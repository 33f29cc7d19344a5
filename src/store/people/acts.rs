//! The acts on a budget, and who viewed its purchases. Both tables are append-only.

use jiff::Timestamp;

use crate::domain::id::{ActId, BudgetId, LookId, MemberId, ProgrammeId};
use crate::ledger::record::table::record;
use crate::store::ask::page_of_budget;
use crate::store::{Store, StoreError, Tx};

record! {
    /// An act of a member on a budget. The person can read it.
    pub struct ActRow in "act" key(programme_id, budget_id, act_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub act_id: ActId,
        pub member_id: MemberId,
        /// The kind of act, such as `proposed`, `agreed` or `asked`.
        pub kind: String,
        /// The identifier of its subject, such as a proposal, an ask or a card.
        pub subject: String,
        /// The reason or the details, as text.
        pub detail: String,
        pub acted_at: Timestamp,
    }
}

record! {
    /// A recorded view of a person's single purchases by a member.
    pub struct LookRow in "look" key(programme_id, budget_id, look_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub look_id: LookId,
        pub member_id: MemberId,
        pub what: String,
        pub reason: String,
        pub looked_at: Timestamp,
    }
}

impl Tx {
    /// Adds acts.
    pub async fn add_acts(&mut self, acts: &[ActRow]) -> Result<(), StoreError> {
        self.insert(acts).await
    }

    /// Adds recorded views.
    pub async fn add_looks(&mut self, looks: &[LookRow]) -> Result<(), StoreError> {
        self.insert(looks).await
    }
}

/// Who reads a list of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActAudience {
    Person,
    /// Sees no acts of the person on their own pots.
    OtherMember,
}

impl Store {
    /// Up to `most` acts on a budget with an identifier below `before`, the newest first.
    pub async fn acts(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        reader: ActAudience,
        before: Option<ActId>,
        most: u32,
    ) -> Result<Vec<ActRow>, StoreError> {
        let sql = format!(
            "WHERE ($5 = 'person' OR kind NOT IN ('held_back', 'took_back')) AND {}",
            page_of_budget("act_id", "act_g")
        );
        let reader = match reader {
            ActAudience::Person => "person",
            ActAudience::OtherMember => "",
        };
        self.fetch_all(sql, &[programme, budget, &before, &most, &reader]).await
    }

    /// Up to `most` recorded views of a budget's purchases with an identifier below `before`, the
    /// newest first.
    pub async fn looks(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<LookId>,
        most: u32,
    ) -> Result<Vec<LookRow>, StoreError> {
        let sql = format!("WHERE {}", page_of_budget("look_id", "seen_g"));
        self.fetch_all(sql, &[programme, budget, &before, &most]).await
    }
}
