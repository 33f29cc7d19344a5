//! The due jobs: which rows each reads, page by page, and what it does in one transaction.

use jiff::Timestamp;

use super::UpkeepContext;
use crate::card_path::error::CardPathError;
use crate::card_path::lifecycle::{book_parked, expire};
use crate::domain::id::ProgrammeId;
use crate::people::agreements;
use crate::people::asks;
use crate::people::members::{UseCaseContext, UseCaseError};
use crate::store::{DueAppeal, DueAsk, DueProposal, OpenPurchase, ParkedEvent, StoreError};

/// Rows that are due, and what is done about them. Every job looks again under the budget's lock,
/// so it may run at several gateways at once.
pub(super) trait DueJob {
    type Row: Clone + Send + Sync;
    type Error: JobError;

    /// The most rows of one transaction: 1 where each row is a use case of its own.
    const ROWS_PER_TRANSACTION: usize;

    /// The next rows after the cursor `after`, at most `limit`.
    fn page(
        &self,
        after: Option<&Self::Row>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Processes `rows` in one transaction. Returns how many were still due.
    fn run(&self, rows: &[Self::Row]) -> impl Future<Output = Result<usize, Self::Error>> + Send;
}

/// A job's error, as far as the loop needs to know it.
pub(super) trait JobError: std::error::Error + Send + 'static {
    /// Whether the database as a whole failed, so that splitting the batch would not help.
    fn is_outage(&self) -> bool;
}

impl JobError for CardPathError {
    fn is_outage(&self) -> bool {
        self.store().is_some_and(StoreError::is_outage)
    }
}

impl JobError for UseCaseError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}

/// The arguments of a job: the programme whose rows it reads, and the current time.
pub(super) struct Due<'a> {
    pub(super) context: &'a UpkeepContext,
    pub(super) programme: &'a ProgrammeId,
    pub(super) now: Timestamp,
}

impl Due<'_> {
    fn use_case(&self) -> UseCaseContext<'_> {
        UseCaseContext { directory: &self.context.directory, ids: &self.context.ids }
    }
}

/// Releases holds whose lifetime has passed without a capture.
pub(super) struct ExpireHolds<'a>(pub(super) Due<'a>);

impl DueJob for ExpireHolds<'_> {
    type Row = OpenPurchase;
    type Error = CardPathError;

    const ROWS_PER_TRANSACTION: usize = super::BATCH_MAX;

    async fn page(
        &self,
        after: Option<&OpenPurchase>,
        limit: u32,
    ) -> Result<Vec<OpenPurchase>, StoreError> {
        let Due { context, programme, now } = &self.0;
        context.store.expired_purchases(programme, *now, after, limit).await
    }

    async fn run(&self, rows: &[OpenPurchase]) -> Result<usize, CardPathError> {
        let Due { context, now, .. } = &self.0;
        let mut tx = context.store.begin().await?;
        let expired = expire(&mut tx, &context.directory, &context.ids, *now, rows).await?;
        tx.commit().await?;
        Ok(expired)
    }
}

/// Books parked events of any programme whose presentment has been booked since.
pub(super) struct BookParkedEvents<'a> {
    pub(super) context: &'a UpkeepContext,
    pub(super) now: Timestamp,
}

impl DueJob for BookParkedEvents<'_> {
    type Row = ParkedEvent;
    type Error = CardPathError;

    const ROWS_PER_TRANSACTION: usize = super::BATCH_MAX;

    async fn page(
        &self,
        after: Option<&ParkedEvent>,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, StoreError> {
        self.context.store.ready_parked_events(after, limit).await
    }

    async fn run(&self, rows: &[ParkedEvent]) -> Result<usize, CardPathError> {
        let context = self.context;
        let mut tx = context.store.begin().await?;
        let booked = book_parked(&mut tx, &context.directory, &context.ids, self.now, rows).await?;
        tx.commit().await?;
        Ok(booked)
    }
}

/// Escalates overdue asks.
pub(super) struct EscalateAsks<'a>(pub(super) Due<'a>);

impl DueJob for EscalateAsks<'_> {
    type Row = DueAsk;
    type Error = UseCaseError;

    const ROWS_PER_TRANSACTION: usize = 1;

    async fn page(&self, after: Option<&DueAsk>, limit: u32) -> Result<Vec<DueAsk>, StoreError> {
        let Due { context, programme, now } = &self.0;
        context.store.due_asks(programme, *now, after, limit).await
    }

    async fn run(&self, rows: &[DueAsk]) -> Result<usize, UseCaseError> {
        let mut tx = self.0.context.store.begin().await?;
        let mut escalated: usize = 0;
        for due in rows {
            let (context, programme) = (self.0.use_case(), self.0.programme);
            let step = asks::escalate_overdue(&mut tx, context, programme, due, self.0.now).await?;
            escalated = escalated.saturating_add(usize::from(step.is_some()));
        }
        tx.commit().await?;
        Ok(escalated)
    }
}

/// Reminds staff of overdue appeals.
pub(super) struct RemindOfAppeals<'a>(pub(super) Due<'a>);

impl DueJob for RemindOfAppeals<'_> {
    type Row = DueAppeal;
    type Error = UseCaseError;

    const ROWS_PER_TRANSACTION: usize = 1;

    async fn page(
        &self,
        after: Option<&DueAppeal>,
        limit: u32,
    ) -> Result<Vec<DueAppeal>, StoreError> {
        let Due { context, programme, now } = &self.0;
        context.store.due_appeals(programme, *now, after, limit).await
    }

    async fn run(&self, rows: &[DueAppeal]) -> Result<usize, UseCaseError> {
        let mut tx = self.0.context.store.begin().await?;
        let mut escalated: usize = 0;
        for due in rows {
            let (context, programme) = (self.0.use_case(), self.0.programme);
            let is_overdue =
                asks::remind_of_overdue_appeal(&mut tx, context, programme, due, self.0.now)
                    .await?;
            escalated = escalated.saturating_add(usize::from(is_overdue));
        }
        tx.commit().await?;
        Ok(escalated)
    }
}

/// Ends proposals that nobody answered in time. The list stays as it is.
pub(super) struct EndProposals<'a>(pub(super) Due<'a>);

impl DueJob for EndProposals<'_> {
    type Row = DueProposal;
    type Error = UseCaseError;

    const ROWS_PER_TRANSACTION: usize = 1;

    async fn page(
        &self,
        after: Option<&DueProposal>,
        limit: u32,
    ) -> Result<Vec<DueProposal>, StoreError> {
        let Due { context, programme, now } = &self.0;
        context.store.due_proposals(programme, *now, after, limit).await
    }

    async fn run(&self, rows: &[DueProposal]) -> Result<usize, UseCaseError> {
        let mut tx = self.0.context.store.begin().await?;
        let mut ended: usize = 0;
        for DueProposal { budget_id: budget, proposal_id: id, .. } in rows {
            let (context, programme) = (self.0.use_case(), self.0.programme);
            let is_ended =
                agreements::expire(&mut tx, context, programme, budget, *id, self.0.now).await?;
            ended = ended.saturating_add(usize::from(is_ended));
        }
        tx.commit().await?;
        Ok(ended)
    }
}
