//! Rows of appeals against refusals, and their outcomes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{actor_of, columns_of, page_of_budget};
use crate::domain::ask::ActorIdentity;
use crate::domain::ask::appeal::{
    Appeal, AppealOutcome, AppealState, AppealSubject, InterimMeasure,
};
use crate::domain::id::{
    AppealId, BudgetId, HumanId, MemberId, PauseId, PermissionId, ProgrammeId, WorkerId,
};
use crate::ledger::record::table::record;
use crate::store::sql::record::Argument;
use crate::store::{Store, StoreError, Tx};

record! {
    /// An appeal with its outcome.
    pub(in crate::store) struct AppealRow in "appeal" key(programme_id, budget_id, appeal_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        appeal_id: AppealId,
        about: AppealSubject,
        decided_by: BTreeSet<HumanId>,
        words: Option<String>,
        opened_by: MemberId,
        opened_human: HumanId,
        opened_at: Timestamp,
        interim: InterimMeasure,
        permission_id: Option<PermissionId>,
        answer_by: Timestamp,
        state: AppealState,
        answered_by: Option<MemberId>,
        answered_human: Option<HumanId>,
        answered_at: Option<Timestamp>,
        answer_words: Option<String>,
        next_step: Option<String>,
        changed_permission_id: Option<PermissionId>,
    }
}

record! {
    /// An open appeal and its deadline.
    pub struct DueAppeal in "appeal" key(budget_id, appeal_id) {
        pub budget_id: BudgetId,
        pub appeal_id: AppealId,
        pub answer_by: Timestamp,
    }
}

impl AppealRow {
    fn new(programme: &ProgrammeId, appeal: &Appeal) -> Self {
        let outcome = appeal.outcome.as_ref();
        let (answered_by, answered_human) = columns_of(outcome.map(|outcome| &outcome.by));
        Self {
            programme_id: programme.clone(),
            budget_id: appeal.budget.clone(),
            appeal_id: appeal.id,
            about: appeal.about.clone(),
            decided_by: appeal.decided_by.clone(),
            words: appeal.words.clone(),
            opened_by: appeal.opened.member.clone(),
            opened_human: appeal.opened.human.clone(),
            opened_at: appeal.opened_at,
            interim: appeal.interim,
            permission_id: appeal.permission,
            answer_by: appeal.answer_by,
            state: appeal.state,
            answered_by,
            answered_human,
            answered_at: outcome.map(|outcome| outcome.at),
            answer_words: outcome.map(|outcome| outcome.words.clone()),
            next_step: outcome.and_then(|outcome| outcome.next_step.clone()),
            changed_permission_id: outcome.and_then(|outcome| outcome.permission),
        }
    }
}

impl From<AppealRow> for Appeal {
    fn from(row: AppealRow) -> Self {
        let answered = actor_of(row.answered_by, row.answered_human).zip(row.answered_at);
        let outcome = answered.zip(row.answer_words).map(|((by, at), words)| AppealOutcome {
            by,
            at,
            words,
            next_step: row.next_step,
            permission: row.changed_permission_id,
        });
        Self {
            id: row.appeal_id,
            budget: row.budget_id,
            about: row.about,
            decided_by: row.decided_by,
            words: row.words,
            opened: ActorIdentity { member: row.opened_by, human: row.opened_human },
            opened_at: row.opened_at,
            interim: row.interim,
            permission: row.permission_id,
            answer_by: row.answer_by,
            state: row.state,
            outcome,
        }
    }
}

impl Tx {
    /// Adds an appeal.
    pub async fn add_appeal(
        &mut self,
        programme: &ProgrammeId,
        appeal: &Appeal,
    ) -> Result<(), StoreError> {
        self.insert(&[AppealRow::new(programme, appeal)]).await
    }

    /// Updates an appeal, for example with its outcome.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when its state or deadline is no longer that of `before`.
    pub async fn update_appeal(
        &mut self,
        programme: &ProgrammeId,
        before: &Appeal,
        after: &Appeal,
    ) -> Result<(), StoreError> {
        let expected: [(_, &dyn Argument); 2] =
            [("state", &before.state), ("answer_by", &before.answer_by)];
        self.update(&AppealRow::new(programme, after), &expected).await
    }

    /// One appeal of a budget.
    pub async fn appeal(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        id: AppealId,
    ) -> Result<Option<Appeal>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND appeal_id = $3";
        let row: Option<AppealRow> = self.fetch_optional(sql, &[programme, budget, &id]).await?;
        Ok(row.map(Appeal::from))
    }

    /// The appeals of a budget about the subject `about`, the oldest first.
    pub async fn appeals_about(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        about: &AppealSubject,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND about = $3 ORDER BY appeal_id";
        Ok(appeals(self.fetch_all(sql, &[programme, budget, about]).await?))
    }

    /// The appeals of a budget with an interim grant that are open or were opened after `since`,
    /// the oldest first.
    pub async fn interim_appeals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = "WHERE programme_id = $1 AND budget_id = $2 AND interim = 'yes_for_now' \
                   AND (state = 'open' OR opened_at > $3) ORDER BY appeal_id";
        Ok(appeals(self.fetch_all(sql, &[programme, budget, &since]).await?))
    }

    /// The number of open appeals of a budget.
    pub async fn open_appeals(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<usize, StoreError> {
        let sql = "SELECT appeal_id FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
                   AND state = 'open'";
        Ok(self.fetch_scalars::<AppealId>(sql, &[programme, budget]).await?.len())
    }

    /// The subjects of a budget that cannot be appealed again: those of its appeals, except
    /// withdrawn appeals and changed decisions about cards.
    pub async fn appealed_subjects(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<BTreeSet<String>, StoreError> {
        let sql = "SELECT about FROM appeal WHERE programme_id = $1 AND budget_id = $2 \
                   AND state <> 'taken_back' AND NOT (state = 'changed' AND about LIKE 'card:%')";
        Ok(self.fetch_scalars(sql, &[programme, budget]).await?.into_iter().collect())
    }

    /// The humans on the staff side who consented to the newest agreed proposal with a version up
    /// to `version`. Versions without consent of the staff side are skipped.
    pub async fn staff_who_agreed(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        version: u32,
    ) -> Result<BTreeSet<HumanId>, StoreError> {
        let yes = "FROM proposal p JOIN consent c ON c.programme_id = p.programme_id \
                   AND c.budget_id = p.budget_id AND c.proposal_id = p.proposal_id \
                   AND c.side <> 'person' AND c.answer = 'yes' \
                   WHERE p.programme_id = $1 AND p.budget_id = $2 AND p.state = 'agreed'";
        let sql = format!(
            "SELECT DISTINCT c.human_id {yes} \
             AND p.version = (SELECT MAX(p.version) {yes} AND p.version <= $3)"
        );
        let humans = self.fetch_scalars(sql, &[programme, budget, &version]).await?;
        Ok(humans.into_iter().collect())
    }

    /// The humans with an account of the role `worker` that belongs to `worker` of the programme's
    /// file.
    pub async fn humans_of_worker(
        &mut self,
        programme: &ProgrammeId,
        worker: &WorkerId,
    ) -> Result<BTreeSet<HumanId>, StoreError> {
        let sql = "SELECT DISTINCT human_id FROM member WHERE programme_id = $1 \
                   AND worker_id = $2 AND role = 'worker'";
        Ok(self.fetch_scalars(sql, &[programme, worker]).await?.into_iter().collect())
    }

    /// The human who decided a pause; `None` if the pause does not exist, was lifted, or has ended
    /// at `now`.
    pub async fn pause_decider(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        pause: PauseId,
        now: Timestamp,
    ) -> Result<Option<HumanId>, StoreError> {
        let sql = "SELECT human_id FROM pause WHERE programme_id = $1 AND budget_id = $2 \
                   AND pause_id = $3 AND lifted_at IS NULL AND ends_at > $4";
        self.fetch_scalar(sql, &[programme, budget, &pause, &now]).await
    }
}

impl Store {
    /// Up to `most` appeals of a budget with an identifier below `before`, the newest first.
    pub async fn appeals_of(
        &self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<AppealId>,
        most: u32,
    ) -> Result<Vec<Appeal>, StoreError> {
        let sql = format!("WHERE {}", page_of_budget("appeal_id", "look_g"));
        Ok(appeals(self.fetch_all(sql, &[programme, budget, &before, &most]).await?))
    }

    /// Up to `most` open appeals of a programme with a deadline at `until` or before, in order of
    /// deadline, after the cursor `after`.
    pub async fn due_appeals(
        &self,
        programme: &ProgrammeId,
        until: Timestamp,
        after: Option<&DueAppeal>,
        most: u32,
    ) -> Result<Vec<DueAppeal>, StoreError> {
        let after = after.map(|due| (due.answer_by, due.appeal_id.to_string()));
        self.due(programme, until, ("appeal_id", "state = 'open'"), after, most).await
    }
}

fn appeals(rows: Vec<AppealRow>) -> Vec<Appeal> {
    rows.into_iter().map(Appeal::from).collect()
}
