//! Scheduled work: expires holds, counts unconfirmed approvals, books parked events, escalates
//! overdue asks, reminds of overdue appeals, ends unanswered proposals, and purges old idempotency
//! keys and revoked tokens.
//!
//! Idempotent: it may run at any number of gateways at once, because each job looks again under the
//! budget's lock before it changes anything.

mod jobs;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use self::jobs::{
    BookParkedEvents, Due, DueJob, EndProposals, EscalateAsks, ExpireHolds, JobError,
    RemindOfAppeals,
};
use crate::domain::id::ProgrammeId;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::hold::{CONFIRMATION_TIMEOUT, HOLD_LIFETIMES};
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{Store, StoreError};

/// How far back the first round reviews, so that a night without a gateway is covered.
const FIRST_REVIEW_WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// The most rows of one page.
const PAGE_MAX: u32 = 64;
/// The most purchases or events of one transaction: at most a page, because authorisations wait for
/// its locks.
const BATCH_MAX: usize = 64;
/// How long a response is kept for its idempotency key, as the API documents it.
const IDEMPOTENCY_RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most responses that one transaction purges, and the most such transactions of one round.
const PURGE_BATCH_MAX: u32 = 500;
const PURGE_BATCHES_PER_ROUND: usize = 20;
/// The most unconfirmed approvals that one round reads.
const REVIEW_MAX: u32 = 10_000;

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpkeepReport {
    /// Purchases whose hold was released, because its lifetime had passed.
    pub expired: usize,
    /// Parked events that were booked.
    pub unparked: usize,
    /// Approvals that the issuer has not confirmed in time.
    pub unconfirmed: usize,
    /// Overdue asks that were escalated, and overdue appeals of which staff were reminded.
    pub stepped_up: usize,
    /// Proposals that nobody answered in time. Their lists have not changed.
    pub ended_proposals: usize,
    /// Responses whose idempotency keys are no longer kept.
    pub forgotten: usize,
}

/// What every job needs.
#[derive(Debug, Clone)]
struct UpkeepContext {
    store: Store,
    directory: Directory,
    ids: NewIds,
}

/// The upkeep of one database.
#[derive(Debug, Clone)]
pub struct Upkeep {
    context: UpkeepContext,
    clock: Clock,
    /// Approvals up to this moment have been reviewed, by programme.
    reviewed_to: BTreeMap<ProgrammeId, Timestamp>,
}

impl Upkeep {
    /// The upkeep of `store`, whose first round reviews the last day.
    pub const fn new(store: Store, directory: Directory, clock: Clock, ids: NewIds) -> Self {
        let context = UpkeepContext { store, directory, ids };
        Self { context, clock, reviewed_to: BTreeMap::new() }
    }

    /// One round over every programme. What fails is logged and left for the next round, so one bad
    /// row stops nothing else.
    ///
    /// # Errors
    ///
    /// Only if the list of programmes cannot be read.
    pub async fn round(&mut self) -> Result<UpkeepReport, StoreError> {
        let now = self.clock.now();
        let context = self.context.clone();
        let mut report = UpkeepReport {
            unparked: run_due(&BookParkedEvents { context: &context, now }).await,
            forgotten: self.purge(now).await,
            ..UpkeepReport::default()
        };
        for (programme, _) in context.store.programmes().await? {
            let due = || Due { context: &context, programme: &programme, now };
            add(&mut report.expired, run_due(&ExpireHolds(due())).await);
            add(&mut report.stepped_up, run_due(&EscalateAsks(due())).await);
            add(&mut report.stepped_up, run_due(&RemindOfAppeals(due())).await);
            add(&mut report.ended_proposals, run_due(&EndProposals(due())).await);
            match self.review(&programme, now).await {
                Ok(unconfirmed) => add(&mut report.unconfirmed, unconfirmed),
                Err(error) => log_and_skip(&error),
            }
        }
        publish(report);
        Ok(report)
    }

    /// Purges responses whose idempotency keys have expired and revoked tokens that have run out,
    /// in short transactions. Reads first, so that it takes SQLite's only writer only if there is
    /// something to purge.
    async fn purge(&self, now: Timestamp) -> usize {
        let before = now.checked_sub(IDEMPOTENCY_RETENTION).unwrap_or(Timestamp::MIN);
        let mut purged: usize = 0;
        for _ in 0..PURGE_BATCHES_PER_ROUND {
            match self.purge_batch(before, now).await {
                Ok(0) => break,
                Ok(count) => add(&mut purged, usize::try_from(count).unwrap_or(usize::MAX)),
                Err(error) => {
                    log_and_skip(&error);
                    break;
                }
            }
        }
        purged
    }

    async fn purge_batch(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let store = &self.context.store;
        if !store.has_expired_rows(before, now).await? {
            return Ok(0);
        }
        let mut tx = store.begin().await?;
        let purged = tx.purge_requests(before, PURGE_BATCH_MAX).await?;
        tx.purge_revoked_tokens(now).await?;
        tx.commit().await?;
        Ok(purged)
    }

    /// How many approvals became overdue since the last round.
    async fn review(
        &mut self,
        programme: &ProgrammeId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let to = now.checked_sub(CONFIRMATION_TIMEOUT).unwrap_or(now);
        let first = to.checked_sub(FIRST_REVIEW_WINDOW).unwrap_or(to);
        let from = self.reviewed_to.get(programme).copied().unwrap_or(first);
        let mut count: usize = 0;
        for lifetime in HOLD_LIFETIMES {
            let at = |moment: Timestamp| moment.checked_add(lifetime).unwrap_or(Timestamp::MAX);
            let store = &self.context.store;
            let open = store.purchases_to_review(programme, at(from), at(to), REVIEW_MAX).await?;
            let is_due = |p: &&Purchase| p.last_activity_at().is_some_and(|t| from < t && t <= to);
            let overdue = open.iter().filter(is_due).filter(|p| p.is_unconfirmed());
            add(&mut count, overdue.count());
        }
        self.reviewed_to.insert(programme.clone(), to);
        Ok(count)
    }
}

/// Runs `job` over all its due rows, page by page, and returns how many it did. A batch that fails
/// is retried in halves, so that only the bad row stays.
async fn run_due<J: DueJob>(job: &J) -> usize {
    let mut done: usize = 0;
    let mut last = None;
    loop {
        let page = job.page(last.as_ref(), PAGE_MAX).await.unwrap_or_else(|error| {
            log_and_skip(&error);
            Vec::new()
        });
        let Some(end) = page.last() else { return done };
        last = Some(end.clone());
        let mut open: Vec<&[J::Row]> = page.rchunks(J::ROWS_PER_TRANSACTION).collect();
        while let Some(batch) = open.pop() {
            match job.run(batch).await {
                Ok(count) => add(&mut done, count),
                // The rest would fail in the same way, so the next round does it.
                Err(error) if error.is_outage() => {
                    count_failure(&error);
                    return done;
                }
                Err(error) => open.extend(split(batch, &error)),
            }
        }
    }
}

/// The halves of a failed `batch`, unless it is one row.
fn split<'a, T>(batch: &'a [T], error: &impl JobError) -> Vec<&'a [T]> {
    if batch.len() < 2 {
        count_failure(error);
        return Vec::new();
    }
    let (first, second) = batch.split_at(batch.len().div_euclid(2));
    vec![second, first]
}

fn count_failure(error: &impl JobError) {
    metrics::counter!("sayso_upkeep_failed_total").increment(1);
    log_and_skip(error);
}

fn add(total: &mut usize, count: usize) {
    *total = total.saturating_add(count);
}

fn log_and_skip(error: &(dyn std::error::Error + 'static)) {
    tracing::error!(error, "upkeep is left for the next round");
}

fn publish(report: UpkeepReport) {
    let UpkeepReport { expired, unparked, unconfirmed, stepped_up, ended_proposals, forgotten } =
        report;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    metrics::counter!("sayso_expired_holds_total").increment(count(expired));
    metrics::counter!("sayso_unparked_total").increment(count(unparked));
    metrics::counter!("sayso_unconfirmed_total").increment(count(unconfirmed));
    metrics::counter!("sayso_late_asks_total").increment(count(stepped_up));
    if unconfirmed > 0 {
        tracing::warn!(unconfirmed, "approvals were not confirmed: see sayso exceptions");
    }
    metrics::counter!("sayso_unanswered_changes_total").increment(count(ended_proposals));
    metrics::counter!("sayso_forgotten_requests_total").increment(count(forgotten));
    if expired > 0 || unparked > 0 || stepped_up > 0 || ended_proposals > 0 {
        tracing::info!(expired, unparked, stepped_up, ended_proposals, "looked after");
    }
}
