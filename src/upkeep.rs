//! What has to be looked after though nobody asks: holds that nobody claims are given back,
//! approvals that the issuer never confirms are told, messages that wait are tried again.
//!
//! Safe to run anywhere and any number of times: whatever it changes, it looks at again under the
//! budget's lock.

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::domain::hold::{CONFIRMED_WITHIN, LIFETIMES};
use crate::domain::id::ProgrammeId;
use crate::domain::purchase::Purchase;
use crate::ids::NewIds;
use crate::lifecycle::{LifecycleError, book_parked, expire};
use crate::programme::directory::Directory;
use crate::store::{Store, StoreError};

/// How far back the first round looks: a gateway that was down for a night missed nothing.
const FIRST_LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);
/// The most purchases or messages of one transaction: questions must not wait for a long one.
const BATCH_MOST: u32 = 64;
/// The most unconfirmed approvals that one round reads.
const REVIEWED_MOST: u32 = 10_000;

/// What one round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Purchases whose hold was given back, because their time had run out.
    pub expired: usize,
    /// Messages that waited and are in the books now.
    pub unparked: usize,
    /// Approvals that the issuer has not confirmed in time.
    pub unconfirmed: usize,
}

/// Looks after one database.
#[derive(Debug)]
pub struct Upkeep {
    store: Store,
    directory: Directory,
    clock: Clock,
    ids: NewIds,
    /// Approvals up to this moment have been reviewed.
    reviewed_to: Option<Timestamp>,
}

impl Upkeep {
    /// Looks after `store`.
    pub const fn new(store: Store, directory: Directory, clock: Clock, ids: NewIds) -> Self {
        Self { store, directory, clock, ids, reviewed_to: None }
    }

    /// One round over every programme. What it could not do is left for the next one.
    pub async fn round(&mut self) -> Result<Done, LifecycleError> {
        let now = self.clock.now();
        let programmes: Vec<_> = self.store.programmes().await?;
        let mut done = Done { unparked: self.try_parked().await?, ..Done::default() };
        let reviewed_to = now.checked_sub(CONFIRMED_WITHIN).unwrap_or(now);
        for (programme, _) in &programmes {
            done.expired = done.expired.saturating_add(self.expire(programme, now).await?);
            let unconfirmed = self.unconfirmed(programme, reviewed_to).await?;
            done.unconfirmed = done.unconfirmed.saturating_add(unconfirmed);
        }
        self.reviewed_to = Some(reviewed_to);
        tell(done);
        Ok(done)
    }

    async fn expire(
        &self,
        programme: &ProgrammeId,
        now: Timestamp,
    ) -> Result<usize, LifecycleError> {
        let mut expired: usize = 0;
        loop {
            let due = self.store.expired_purchases(programme, now, BATCH_MOST).await?;
            if due.is_empty() {
                return Ok(expired);
            }
            let mut tx = self.store.begin().await?;
            let given_back = expire(&mut tx, &self.directory, &self.ids, now, &due).await?;
            tx.commit().await?;
            expired = expired.saturating_add(given_back);
            if given_back == 0 {
                return Ok(expired);
            }
        }
    }

    async fn try_parked(&self) -> Result<usize, LifecycleError> {
        let mut unparked: usize = 0;
        let mut last = None;
        loop {
            let page = self.store.parked_after(last.as_ref(), BATCH_MOST).await?;
            let Some(end) = page.last() else { return Ok(unparked) };
            last = Some(end.clone());
            let mut tx = self.store.begin().await?;
            let booked = book_parked(&mut tx, &self.directory, &self.ids, &page).await?;
            tx.commit().await?;
            unparked = unparked.saturating_add(booked);
        }
    }

    /// How many approvals became overdue since the last round.
    async fn unconfirmed(
        &self,
        programme: &ProgrammeId,
        to: Timestamp,
    ) -> Result<usize, StoreError> {
        let from = self.reviewed_to.or_else(|| to.checked_sub(FIRST_LOOK_BACK).ok()).unwrap_or(to);
        let mut count: usize = 0;
        for lifetime in LIFETIMES {
            let at = |moment: Timestamp| moment.checked_add(lifetime).unwrap_or(Timestamp::MAX);
            let open = self.store.purchases_expiring(programme, at(from), at(to), REVIEWED_MOST);
            let spoken_of = |p: &&Purchase| p.spoken_of_at().is_some_and(|t| from < t && t <= to);
            let open = open.await?;
            let overdue = open.iter().filter(spoken_of).filter(|p| p.is_unconfirmed());
            count = count.saturating_add(overdue.count());
        }
        Ok(count)
    }
}

fn tell(done: Done) {
    let Done { expired, unparked, unconfirmed } = done;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    metrics::counter!("sayso_expired_holds_total").increment(count(expired));
    metrics::counter!("sayso_unparked_total").increment(count(unparked));
    metrics::counter!("sayso_unconfirmed_total").increment(count(unconfirmed));
    if unconfirmed > 0 {
        tracing::warn!(unconfirmed, "approvals were not confirmed: see sayso exceptions");
    }
    if expired > 0 || unparked > 0 {
        tracing::info!(expired, unparked, "looked after");
    }
}
