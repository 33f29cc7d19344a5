//! Verifies seals: they are numbered without a gap, each root covers the root before, each sealed
//! head is a link of its chain, and the totals are those of the journals at these heads.

use std::collections::BTreeMap;

use super::VerificationReport;
use super::balances::BalanceTotals;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::ledger::seal::{Seal, seal_root, totals_line};
use crate::store::{StoreError, Tx};

/// The seals of one programme, checked while the chains are walked.
#[derive(Debug, Default)]
pub(super) struct SealVerifier {
    heads: BTreeMap<String, Vec<SealedPosition>>,
    sealed_totals: Vec<SealedTotals>,
}

/// The head of one chain in one seal.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealedPosition {
    pub(super) seq: i64,
    pub(super) hash: Digest,
    /// The index of the seal.
    seal: usize,
}

/// The totals in one seal, and how the chains changed them since the seal before.
#[derive(Debug)]
struct SealedTotals {
    key: String,
    totals: String,
    moved: BalanceTotals,
}

impl SealVerifier {
    /// Reads the seals of `programme`, and checks their numbers and roots.
    pub(super) async fn read(
        tx: &mut Tx,
        programme: &str,
        report: &mut VerificationReport,
    ) -> Result<Self, StoreError> {
        let mut seals = Self::default();
        let (mut last, mut root, mut expected) = (i64::MIN, Digest::ZERO, 1_i64);
        loop {
            let page = tx.seals_after(programme, last).await?;
            if page.is_empty() {
                return Ok(seals);
            }
            for row in &page {
                last = Seal::TABLE.number(row, "number");
                report.counts.add(Seal::TABLE, 1);
                if last != expected {
                    report.add_row_finding(
                        Seal::TABLE,
                        row,
                        format!("is number {last} in place {expected}"),
                    );
                }
                expected = last.saturating_add(1);
                let computed = seal_root(root, row);
                let stored = Seal::TABLE.text(row, "root").parse();
                if stored.as_ref() != Ok(&computed) {
                    let what = "its root is not that of its content behind the seal before";
                    report.add_row_finding(Seal::TABLE, row, what);
                }
                root = stored.unwrap_or(computed);
                match Seal::from_row(row) {
                    Ok(seal) => seals.add(super::primary_key_text(Seal::TABLE, row), seal),
                    Err(corrupt) => report.add_corrupt_row(&corrupt),
                }
            }
        }
    }

    fn add(&mut self, key: String, seal: Seal) {
        let place = self.sealed_totals.len();
        for head in seal.heads {
            let sealed = SealedPosition { seq: head.seq, hash: head.hash, seal: place };
            self.heads.entry(head.budget.to_string()).or_default().push(sealed);
        }
        self.sealed_totals.push(SealedTotals {
            key,
            totals: seal.totals,
            moved: BalanceTotals::default(),
        });
    }

    /// The sealed heads of the chain of `budget`, in order.
    pub(super) fn take_heads(&mut self, budget: &str) -> Vec<SealedPosition> {
        self.heads.remove(budget).unwrap_or_default()
    }

    /// The primary key of the seal that holds `sealed`.
    pub(super) fn key(&self, sealed: SealedPosition) -> String {
        self.sealed_totals
            .get(sealed.seal)
            .map(|sealed_totals| sealed_totals.key.clone())
            .unwrap_or_default()
    }

    /// Adds the change that one chain made between two sealed heads to the later seal.
    pub(super) fn moved(&mut self, sealed: SealedPosition, totals: BalanceTotals) {
        if let Some(sealed_totals) = self.sealed_totals.get_mut(sealed.seal) {
            sealed_totals.moved = sealed_totals.moved.plus(totals);
        }
    }

    /// Checks what needs all chains: seals of unknown budgets, and the totals.
    pub(super) fn finish(self, programme: &str, currency: &str, report: &mut VerificationReport) {
        for (budget, heads) in &self.heads {
            for sealed in heads {
                let what = format!("seals {budget}, which is no budget of {programme}");
                report.add_finding(Seal::TABLE.name, self.key(*sealed), what);
            }
        }
        let mut totals = BalanceTotals::default();
        for sealed_totals in self.sealed_totals {
            totals = totals.plus(sealed_totals.moved);
            let proved = totals_line(currency, totals.list());
            if sealed_totals.totals != proved {
                let what = format!("its totals are not what the chains say: {proved}");
                report.add_finding(Seal::TABLE.name, sealed_totals.key, what);
            }
        }
    }
}
