//! Rows of safety pauses, and the states of the cards that they stop.

use jiff::Timestamp;

use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, HumanId, MemberId, PauseId, ProgrammeId, TalkId};
use crate::ledger::record::table::record;
use crate::store::{StoreError, Tx};

record! {
    /// A safety pause.
    struct PauseRow in "pause" key(programme_id, budget_id, pause_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pause_id: PauseId,
        member_id: MemberId,
        human_id: HumanId,
        reason: String,
        talk_id: TalkId,
        begins_at: Timestamp,
        ends_at: Timestamp,
        lifted_at: Option<Timestamp>,
    }
}

record! {
    /// When a pause was lifted.
    struct PauseLiftRow in "pause" key(programme_id, budget_id, pause_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pause_id: PauseId,
        lifted_at: Timestamp,
    }
}

impl PauseRow {
    fn new(programme: &ProgrammeId, budget: &BudgetId, pause: &Pause) -> Self {
        let Pause { id, member, human, reason, talk, begins_at, ends_at, lifted_at } =
            pause.clone();
        Self {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            pause_id: id,
            member_id: member,
            human_id: human,
            reason,
            talk_id: talk,
            begins_at,
            ends_at,
            lifted_at,
        }
    }
}

impl From<PauseRow> for Pause {
    fn from(row: PauseRow) -> Self {
        Self {
            id: row.pause_id,
            member: row.member_id,
            human: row.human_id,
            reason: row.reason,
            talk: row.talk_id,
            begins_at: row.begins_at,
            ends_at: row.ends_at,
            lifted_at: row.lifted_at,
        }
    }
}

impl Tx {
    /// Adds a pause.
    pub async fn add_pause(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: &Pause,
    ) -> Result<(), StoreError> {
        self.insert(&[PauseRow::new(programme, budget, pause)]).await
    }

    /// Every pause of a budget, the oldest first.
    pub async fn pauses_of(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Vec<Pause>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 ORDER BY begins_at, pause_id";
        let rows: Vec<PauseRow> = self.fetch_all(sql, &[programme, budget]).await?;
        Ok(rows.into_iter().map(Pause::from).collect())
    }

    /// Lifts a pause at `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the pause does not exist or was lifted before.
    pub async fn lift_pause(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: PauseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let lifted = PauseLiftRow {
            programme_id: programme.clone(),
            budget_id: budget.clone(),
            pause_id: pause,
            lifted_at: at,
        };
        self.update(&lifted, &[("lifted_at", &None::<Timestamp>)]).await
    }
}
