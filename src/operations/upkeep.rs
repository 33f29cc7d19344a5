//! What has to be looked after though nobody asks: holds that nobody claims are given back,
//! approvals that the issuer never confirms are told, messages that wait are tried again, asks that
//! nobody answers step up.
//!
//! Safe to run anywhere and any number of times: whatever it changes, it looks at again under the
//! budget's lock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::card_path::lifecycle::{LifecycleError, book_parked, expire};
use crate::domain::id::ProgrammeId;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::hold::{CONFIRMATION_TIMEOUT, HOLD_LIFETIMES};
use crate::people::agreements;
use crate::people::asks;
use crate::people::asks::UseCaseContext;
use crate::people::members::UseCaseError;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::{DueAppeal, DueAsk, DueProposal, OpenPurchase, ParkedEvent, Store, StoreError};

/// How far back the first round looks: a gateway that was down for a night missed nothing.
const FIRST_REVIEW_WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// The most purchases or messages of one transaction: questions must not wait for a long one.
const BATCH_MAX: u32 = 64;
/// How long the answer to a request is kept for its key, as `Idempotency-Key` is documented.
const IDEMPOTENCY_RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most answers that one transaction forgets, and the most transactions of one round.
const FORGET_BATCH_MAX: u32 = 500;
const FORGET_BATCHES_PER_ROUND: usize = 20;
/// The most unconfirmed approvals that one round reads.
const REVIEW_MAX: u32 = 10_000;

/// What one round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpkeepReport {
    /// Purchases whose hold was given back, because their time had run out.
    pub expired: usize,
    /// Messages that waited and are in the books now.
    pub unparked: usize,
    /// Approvals that the issuer has not confirmed in time.
    pub unconfirmed: usize,
    /// Asks and appeals that were late: they are somebody else's turn now, or were told again.
    pub stepped_up: usize,
    /// Changes of a list that nobody answered in time. Nothing has changed.
    pub ended_proposals: usize,
    /// Answers to requests whose keys are no longer known.
    pub forgotten: usize,
}

/// Looks after one database.
#[derive(Debug, Clone)]
pub struct Upkeep {
    store: Store,
    directory: Directory,
    clock: Clock,
    ids: NewIds,
    /// Approvals up to this moment have been reviewed, by programme.
    reviewed_to: BTreeMap<ProgrammeId, Timestamp>,
}

impl Upkeep {
    /// Looks after `store`.
    pub const fn new(store: Store, directory: Directory, clock: Clock, ids: NewIds) -> Self {
        Self { store, directory, clock, ids, reviewed_to: BTreeMap::new() }
    }

    /// One round over every programme. What could not be done is logged, and left for the next
    /// round: one row that is wrong stops nothing else.
    ///
    /// # Errors
    ///
    /// Only if the programmes cannot be read at all.
    pub async fn round(&mut self) -> Result<UpkeepReport, StoreError> {
        let now = self.clock.now();
        let mut report =
            UpkeepReport { unparked: self.book_parked(now).await, ..UpkeepReport::default() };
        report.forgotten = self.forget_expired(now).await;
        for (programme, _) in self.store.programmes().await? {
            report.expired = report.expired.saturating_add(self.expire(&programme, now).await);
            for stepped_up in [
                self.escalate_asks(&programme, now).await,
                self.escalate_appeals(&programme, now).await,
            ] {
                report.stepped_up = report.stepped_up.saturating_add(stepped_up);
            }
            let ended = self.end_proposals(&programme, now).await;
            report.ended_proposals = report.ended_proposals.saturating_add(ended);
            match self.review(&programme, now).await {
                Ok(unconfirmed) => {
                    report.unconfirmed = report.unconfirmed.saturating_add(unconfirmed);
                }
                Err(error) => log_and_skip(&error),
            }
        }
        publish(report);
        Ok(report)
    }

    /// Forgets answers to requests, a little at a time, and revoked tokens that have run out. Where there are none it only reads: nothing
    /// keeps the writer that tills wait for.
    async fn forget_expired(&self, now: Timestamp) -> usize {
        let before = now.checked_sub(IDEMPOTENCY_RETENTION).unwrap_or(Timestamp::MIN);
        let mut forgotten: usize = 0;
        for _ in 0..FORGET_BATCHES_PER_ROUND {
            match self.forget_batch(before, now).await {
                Ok(0) => break,
                Ok(count) => {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    forgotten = forgotten.saturating_add(count);
                }
                Err(error) => {
                    log_and_skip(&error);
                    break;
                }
            }
        }
        forgotten
    }

    async fn forget_batch(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        if !self.store.has_expired_rows(before, now).await? {
            return Ok(0);
        }
        let mut tx = self.store.begin().await?;
        let forgotten = tx.purge_requests(before, FORGET_BATCH_MAX).await?;
        tx.purge_revoked_tokens(now).await?;
        tx.commit().await?;
        Ok(forgotten)
    }

    async fn expire(&self, programme: &ProgrammeId, now: Timestamp) -> usize {
        let mut expired: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.expired_purchases(programme, now, last.as_ref(), BATCH_MAX);
            let page = page.await.unwrap_or_else(|error| {
                log_and_skip(&error);
                Vec::new()
            });
            let Some(end) = page.last() else { return expired };
            last = Some(end.clone());
            let mut open = vec![page.as_slice()];
            while let Some(due) = open.pop() {
                match self.commit_expiry(now, due).await {
                    Ok(count) => expired = expired.saturating_add(count),
                    Err(error) => open.extend(split_batch(due, &error)),
                }
            }
        }
    }

    async fn commit_expiry(
        &self,
        now: Timestamp,
        due: &[OpenPurchase],
    ) -> Result<usize, LifecycleError> {
        let mut tx = self.store.begin().await?;
        let expired = expire(&mut tx, &self.directory, &self.ids, now, due).await?;
        tx.commit().await?;
        Ok(expired)
    }

    /// Each late ask by itself: one that cannot be moved stops no other.
    async fn escalate_asks(&self, programme: &ProgrammeId, now: Timestamp) -> usize {
        let mut stepped_up: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.due_asks(programme, now, last.as_ref(), BATCH_MAX);
            let page = page.await.unwrap_or_else(|error| {
                log_and_skip(&error);
                Vec::new()
            });
            let Some(end) = page.last() else { return stepped_up };
            last = Some(end.clone());
            for waiting in &page {
                match self.commit_ask_escalation(programme, waiting, now).await {
                    Ok(is_late) => stepped_up = stepped_up.saturating_add(usize::from(is_late)),
                    Err(error) => log_and_skip(&error),
                }
            }
        }
    }

    /// Each proposal that nobody answered by itself: it ends, and nothing has changed.
    async fn end_proposals(&self, programme: &ProgrammeId, now: Timestamp) -> usize {
        let mut ended: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.due_proposals(programme, now, last.as_ref(), BATCH_MAX);
            let page = page.await.unwrap_or_else(|error| {
                log_and_skip(&error);
                Vec::new()
            });
            let Some(end) = page.last() else { return ended };
            last = Some(end.clone());
            for due in &page {
                match self.commit_end(programme, due, now).await {
                    Ok(is_ended) => ended = ended.saturating_add(usize::from(is_ended)),
                    Err(error) => log_and_skip(&error),
                }
            }
        }
    }

    async fn commit_end(
        &self,
        programme: &ProgrammeId,
        due: &DueProposal,
        now: Timestamp,
    ) -> Result<bool, UseCaseError> {
        let (budget, proposal) = (&due.budget, due.id);
        let context = agreements::UseCaseContext { directory: &self.directory, ids: &self.ids };
        let mut tx = self.store.begin().await?;
        let is_ended =
            agreements::expire(&mut tx, context, programme, budget, proposal, now).await?;
        tx.commit().await?;
        Ok(is_ended)
    }

    /// Each late appeal by itself.
    async fn escalate_appeals(&self, programme: &ProgrammeId, now: Timestamp) -> usize {
        let mut late: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.due_appeals(programme, now, last.as_ref(), BATCH_MAX);
            let page = page.await.unwrap_or_else(|error| {
                log_and_skip(&error);
                Vec::new()
            });
            let Some(end) = page.last() else { return late };
            last = Some(end.clone());
            for waiting in &page {
                match self.commit_appeal_escalation(programme, waiting, now).await {
                    Ok(is_late) => late = late.saturating_add(usize::from(is_late)),
                    Err(error) => log_and_skip(&error),
                }
            }
        }
    }

    async fn commit_appeal_escalation(
        &self,
        programme: &ProgrammeId,
        waiting: &DueAppeal,
        now: Timestamp,
    ) -> Result<bool, UseCaseError> {
        let context = UseCaseContext { directory: &self.directory, ids: &self.ids };
        let mut tx = self.store.begin().await?;
        let is_late =
            asks::escalate_overdue_appeal(&mut tx, context, programme, waiting, now).await?;
        tx.commit().await?;
        Ok(is_late)
    }

    async fn commit_ask_escalation(
        &self,
        programme: &ProgrammeId,
        waiting: &DueAsk,
        now: Timestamp,
    ) -> Result<bool, UseCaseError> {
        let context = UseCaseContext { directory: &self.directory, ids: &self.ids };
        let mut tx = self.store.begin().await?;
        let late = asks::escalate_overdue(&mut tx, context, programme, waiting, now).await?;
        tx.commit().await?;
        Ok(late.is_some())
    }

    async fn book_parked(&self, now: Timestamp) -> usize {
        let mut booked: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.ready_parked_events(last.as_ref(), BATCH_MAX).await;
            let page = page.unwrap_or_else(|error| {
                log_and_skip(&error);
                Vec::new()
            });
            let Some(end) = page.last() else { return booked };
            last = Some(end.clone());
            let mut open = vec![page.as_slice()];
            while let Some(parked) = open.pop() {
                match self.commit_parked(now, parked).await {
                    Ok(count) => booked = booked.saturating_add(count),
                    Err(error) => open.extend(split_batch(parked, &error)),
                }
            }
        }
    }

    async fn commit_parked(
        &self,
        now: Timestamp,
        parked: &[ParkedEvent],
    ) -> Result<usize, LifecycleError> {
        let mut tx = self.store.begin().await?;
        let booked = book_parked(&mut tx, &self.directory, &self.ids, now, parked).await?;
        tx.commit().await?;
        Ok(booked)
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
            let open = self.store.purchases_to_review(programme, at(from), at(to), REVIEW_MAX);
            let spoken_of =
                |p: &&Purchase| p.last_activity_at().is_some_and(|t| from < t && t <= to);
            let open = open.await?;
            let overdue = open.iter().filter(spoken_of).filter(|p| p.is_unconfirmed());
            count = count.saturating_add(overdue.count());
        }
        self.reviewed_to.insert(programme.clone(), to);
        Ok(count)
    }
}

/// What is tried next after `batch` failed: its halves, unless it is one row or the database.
fn split_batch<'a, T>(batch: &'a [T], error: &LifecycleError) -> Vec<&'a [T]> {
    let is_shared = error.store().is_some_and(StoreError::is_outage);
    if is_shared || batch.len() < 2 {
        metrics::counter!("sayso_upkeep_failed_total").increment(1);
        log_and_skip(error);
        return Vec::new();
    }
    let (first, second) = batch.split_at(batch.len().div_euclid(2));
    vec![second, first]
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
