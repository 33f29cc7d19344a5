//! Sealing: the ends of all chains that have grown, and the totals, in one root.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::id::{ProgrammeId, SealId};
use crate::domain::money::{Currency, Money};
use crate::ledger::seal::{SEAL, Seal, SealedHead, read_seal};
use crate::record::row::{Digest, Reader};
use crate::store::{BUDGET, Store, StoreError, Tx};

/// Seals `programme` as it is now.
///
/// Reads one snapshot and writes afterwards, so that no decision waits for a seal: a chain only
/// grows, so what was sealed stays true.
///
/// # Errors
///
/// [`StoreError::Contended`] when another seal was made meanwhile; nothing is written then.
pub async fn seal(
    store: &Store,
    programme: &ProgrammeId,
    id: SealId,
    now: Timestamp,
) -> Result<Seal, StoreError> {
    let mut snapshot = store.snapshot().await?;
    let sealed = sealed_so_far(&mut snapshot, programme).await?;
    let heads = grown_since(&mut snapshot, programme, &sealed.heads).await?;
    let currency = snapshot.usual_currency(programme.as_str()).await?.unwrap_or_default();
    let totals = totals_line(&currency, snapshot.totals(programme).await?.map(i128::from));
    drop(snapshot);
    let mut seal = Seal {
        programme: programme.clone(),
        id,
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
    Ok(seal)
}

/// A programme's totals in one line, from loaded, held, spent, left, exposure, suspense and disputed.
pub(super) fn totals_line(currency: &str, totals: [i128; 7]) -> String {
    let [loaded, held, spent, left, exposure, suspense, disputed] = totals.map(|minor| {
        let known: Option<Currency> = currency.parse().ok();
        match (known, i64::try_from(minor)) {
            (Some(known), Ok(minor)) => Money::from_minor(minor, known).major().to_string(),
            (_, _) => minor.to_string(),
        }
    });
    format!(
        "{currency} loaded={loaded} held={held} spent={spent} left={left} exposure={exposure} \
         suspense={suspense} disputed={disputed}"
    )
}

/// What earlier seals say.
struct SoFar {
    number: i64,
    root: Digest,
    /// Where each chain ended when it was last sealed.
    heads: BTreeMap<String, i64>,
}

async fn sealed_so_far(tx: &mut Tx, programme: &ProgrammeId) -> Result<SoFar, StoreError> {
    let mut so_far = SoFar { number: 0, root: Digest::ZERO, heads: BTreeMap::new() };
    loop {
        let page = tx.seals_after(programme.as_str(), so_far.number).await?;
        if page.is_empty() {
            return Ok(so_far);
        }
        for row in &page {
            let seal = read_seal(row)?;
            so_far.number = SEAL.number(row, "number");
            so_far.root = seal.root;
            so_far.heads.extend(seal.heads.into_iter().map(|h| (h.budget.to_string(), h.seq)));
        }
    }
}

async fn grown_since(
    tx: &mut Tx,
    programme: &ProgrammeId,
    sealed: &BTreeMap<String, i64>,
) -> Result<Vec<SealedHead>, StoreError> {
    let mut heads = Vec::new();
    let mut last = String::new();
    loop {
        let page = tx.budgets_after(programme, &last).await?;
        let Some(end) = page.last() else { break };
        BUDGET.text(end, "budget_id").clone_into(&mut last);
        for row in &page {
            let budget = BUDGET.text(row, "budget_id");
            let seq = BUDGET.number(row, "head_seq");
            if seq <= sealed.get(budget).copied().unwrap_or_default() {
                continue;
            }
            let mut reader = Reader::new(&BUDGET, row);
            let _programme = reader.text()?;
            let budget = reader.parsed()?;
            for _ in 0..4 {
                reader.skip();
            }
            heads.push(SealedHead { budget, seq, hash: reader.parsed()? });
        }
    }
    // By bytes, like every proof, whatever the database sorts by.
    heads.sort_by(|a, b| a.budget.cmp(&b.budget));
    Ok(heads)
}
