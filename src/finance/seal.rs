//! Seals a programme: one root over the heads of all chains that have grown, and the totals.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{ProgrammeId, SealId};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::ledger::seal::{Seal, SealedHead, totals_line};
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, DirectoryError};
use crate::store::{HeadRow, Store, StoreError, Tx};

/// Seals `programme` in its current state.
///
/// Reads one snapshot and writes afterwards, so that no decision waits for a seal. What was read
/// stays valid, because a chain only grows.
///
/// # Errors
///
/// [`StoreError::Contended`] if another seal was made meanwhile; nothing is written then.
pub async fn seal(
    store: &Store,
    programme: &ProgrammeId,
    id: SealId,
    now: Timestamp,
) -> Result<Seal, StoreError> {
    let seal = seal_if(store, programme, id, now, |_| true).await?;
    seal.ok_or(StoreError::Contended("seal"))
}

/// Seals `programme` if `is_due` accepts [`Tx::last_sealed_at`]. That instant is read in the
/// snapshot that is sealed, so that two gateways sealing the same day take the same number, and one
/// of them is refused.
async fn seal_if(
    store: &Store,
    programme: &ProgrammeId,
    id: SealId,
    now: Timestamp,
    is_due: impl Fn(Option<Timestamp>) -> bool + Send + Sync,
) -> Result<Option<Seal>, StoreError> {
    let mut snapshot = store.snapshot().await?;
    if !is_due(snapshot.last_sealed_at(programme).await?) {
        return Ok(None);
    }
    snapshot.disable_statement_timeout().await?;
    let sealed = read_seal_history(&mut snapshot, programme).await?;
    let heads = heads_grown_since(&mut snapshot, programme, &sealed.heads).await?;
    let currency = snapshot.most_used_currency(programme.as_str()).await?.unwrap_or_default();
    let totals = totals_line(&currency, snapshot.totals(programme).await?.map(i128::from));
    drop(snapshot);
    let mut seal = Seal {
        programme_id: programme.clone(),
        seal_id: id,
        number: sealed.number.saturating_add(1),
        sealed_at: now,
        heads,
        totals,
        root: Digest::ZERO,
    };
    seal.root = seal.root_after(sealed.root);
    let mut tx = store.begin().await?;
    tx.add_seal(&seal).await?;
    tx.commit().await?;
    Ok(Some(seal))
}

/// Seals each programme once a day, after midnight in its time zone.
#[derive(Debug, Clone)]
pub struct DailySeals {
    store: Store,
    directory: Directory,
    clock: Clock,
    ids: NewIds,
    /// When sealing last failed, by programme.
    failed_at: BTreeMap<ProgrammeId, Timestamp>,
}

/// How long a programme is not sealed after a failure, because a seal reads the whole programme.
const SEAL_RETRY_DELAY: SignedDuration = SignedDuration::from_mins(10);

impl DailySeals {
    pub const fn new(store: Store, directory: Directory, clock: Clock, ids: NewIds) -> Self {
        Self { store, directory, clock, ids, failed_at: BTreeMap::new() }
    }

    /// Seals every programme whose latest seal is of an earlier day, even if no gateway ran at
    /// midnight. Several gateways that do so at once make one seal. A programme that cannot be
    /// sealed is logged and does not stop the others.
    ///
    /// # Errors
    ///
    /// Only if the list of programmes cannot be read.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        for (programme, _) in self.store.programmes().await? {
            let now = self.clock.now();
            let failed = self.failed_at.get(&programme);
            if failed.is_some_and(|failed| now.duration_since(*failed) < SEAL_RETRY_DELAY) {
                continue;
            }
            match self.seal_if_due(&programme, now).await {
                Ok(()) => drop(self.failed_at.remove(&programme)),
                Err(error) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(cause, %programme, "a programme could not be sealed");
                    self.failed_at.insert(programme, now);
                }
            }
        }
        Ok(())
    }

    async fn seal_if_due(
        &self,
        programme: &ProgrammeId,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let settings = self.directory.latest_or_load(programme).await?;
        let day = |at: Timestamp| settings.zone().to_datetime(at).date();
        let is_due = |last: Option<Timestamp>| last.is_some_and(|last| day(now) > day(last));
        let id = SealId::new(self.ids.next(now));
        match seal_if(&self.store, programme, id, now, is_due).await {
            Ok(None) => Ok(()),
            Ok(Some(Seal { number, root, .. })) => {
                metrics::counter!("sayso_seals_total").increment(1);
                tracing::info!(%programme, number, %root, "sealed");
                Ok(())
            }
            // Another gateway was first, or the database is unavailable: the next round tries
            // again.
            Err(error) if error.is_transient() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The number and the root of the latest seal, and the latest sealed head of every chain.
struct SealHistory {
    number: i64,
    root: Digest,
    /// The sequence number at which each chain was last sealed.
    heads: BTreeMap<String, i64>,
}

async fn read_seal_history(
    tx: &mut Tx,
    programme: &ProgrammeId,
) -> Result<SealHistory, StoreError> {
    let mut history = SealHistory { number: 0, root: Digest::ZERO, heads: BTreeMap::new() };
    loop {
        let page = tx.seals_after(programme.as_str(), history.number).await?;
        if page.is_empty() {
            return Ok(history);
        }
        for row in &page {
            let seal = Seal::from_row(row)?;
            history.number = seal.number;
            history.root = seal.root;
            history.heads.extend(seal.heads.into_iter().map(|h| (h.budget.to_string(), h.seq)));
        }
    }
}

async fn heads_grown_since(
    tx: &mut Tx,
    programme: &ProgrammeId,
    sealed: &BTreeMap<String, i64>,
) -> Result<Vec<SealedHead>, StoreError> {
    let mut heads = Vec::new();
    let mut last = String::new();
    loop {
        let page = tx.heads_after(programme, &last).await?;
        let Some(end) = page.last() else { break };
        end.budget_id.as_str().clone_into(&mut last);
        for HeadRow { budget_id, head_seq, head_hash, .. } in page {
            if head_seq > sealed.get(budget_id.as_str()).copied().unwrap_or_default() {
                heads.push(SealedHead { budget: budget_id, seq: head_seq, hash: head_hash });
            }
        }
    }
    // Sorted by bytes, as verification expects, because a database may sort in another order.
    heads.sort_by(|a, b| a.budget.cmp(&b.budget));
    Ok(heads)
}
