//! Verifies one budget: its chain, and what the links of the chain cover.

use std::collections::BTreeMap;

use super::balances::{BalanceTotals, JournalBalances};
use super::records::RecordMatcher;
use super::seals::{SealVerifier, SealedPosition};
use super::{Events, VerificationReport};
use crate::ledger::posting::{JournalRow, PostingKind, PostingRow, Transfer, link_hash};
use crate::ledger::record::row::{Digest, Table, Value, text_value};
use crate::ledger::record::table::Record as _;
use crate::store::{BudgetRow, LedgerRows};

/// One link of the chain, parsed as far as possible.
#[derive(Debug)]
pub(super) struct ParsedLink<'a> {
    pub(super) row: &'a [Value],
    pub(super) kind: Option<PostingKind>,
    pub(super) transfers: Vec<Transfer>,
}

impl<'a> ParsedLink<'a> {
    pub(super) fn text(&self, column: &str) -> &'a str {
        PostingRow::TABLE.text(self.row, column)
    }
}

/// The verification of one budget.
pub(super) struct BudgetVerifier<'a> {
    pub(super) ledger_rows: &'a LedgerRows,
    pub(super) events: &'a Events,
    /// The currency of the programme.
    pub(super) currency: &'a str,
    pub(super) report: &'a mut VerificationReport,
}

impl<'a> BudgetVerifier<'a> {
    pub(super) const fn new(
        ledger_rows: &'a LedgerRows,
        events: &'a Events,
        currency: &'a str,
        report: &'a mut VerificationReport,
    ) -> Self {
        Self { ledger_rows, events, currency, report }
    }

    /// Runs every check of the budget. `sealed` holds the heads of its chain in the seals.
    pub(super) fn run(mut self, sealed: &[SealedPosition], seals: &mut SealVerifier) {
        for (table, rows) in self.ledger_rows.tables() {
            self.report.counts.add(table, u64::try_from(rows.len()).unwrap_or_default());
        }
        if self.ledger_rows.of(BudgetRow::TABLE).is_empty() {
            self.report_missing_budget();
            return;
        }
        let links = self.walk(sealed, seals);
        self.check_head(&links);
        self.check_erasable();
        self.check_currencies();
        let purchases = self.check_purchases(&links);
        self.check_pots(&links, &purchases);
        self.check_counters(&links, &purchases);
        self.check_permissions(&purchases);
    }

    pub(super) fn add_row_finding(
        &mut self,
        table: &'static Table,
        row: &[Value],
        what: impl Into<String>,
    ) {
        self.report.add_row_finding(table, row, what);
    }

    fn report_missing_budget(&mut self) {
        for (table, rows) in self.ledger_rows.tables() {
            for row in rows {
                let what = format!("there is no budget {:?}", self.ledger_rows.budget);
                self.add_row_finding(table, row, what);
            }
        }
    }

    /// Walks the chain from its first link, and checks each link with what it books.
    fn walk(&mut self, sealed: &[SealedPosition], seals: &mut SealVerifier) -> Vec<ParsedLink<'a>> {
        let ledger_rows = self.ledger_rows;
        let mut journal: BTreeMap<&str, Vec<&[Value]>> = BTreeMap::new();
        for row in ledger_rows.of(JournalRow::TABLE) {
            journal.entry(JournalRow::TABLE.text(row, "posting_id")).or_default().push(row);
        }
        let mut records = RecordMatcher::of(self);
        let mut chain = ChainCursor::default();
        let mut balances = JournalBalances::default();
        let mut seal_cursor = SealCursor { sealed, before: BalanceTotals::default() };
        let mut links = Vec::new();
        for row in ledger_rows.of(PostingRow::TABLE) {
            let own = journal.remove(PostingRow::TABLE.text(row, "posting_id")).unwrap_or_default();
            if let Some(what) = chain.advance(row, &own) {
                self.add_row_finding(PostingRow::TABLE, row, what);
            }
            let link = self.read_link(row, &own);
            records.check(self, &link);
            if let Err(what) = balances.add(&link) {
                self.add_row_finding(PostingRow::TABLE, row, what);
            }
            seal_cursor.advance(&chain, balances.totals, self.report, seals);
            links.push(link);
        }
        seal_cursor.finish(self.report, seals);
        for row in journal.into_values().flatten() {
            self.add_row_finding(JournalRow::TABLE, row, "belongs to no posting of its budget");
        }
        records.finish(self);
        links
    }

    fn read_link(&mut self, row: &'a [Value], lines: &[&[Value]]) -> ParsedLink<'a> {
        if let Err(corrupt) = PostingRow::from_row(row) {
            self.report.add_corrupt_row(&corrupt);
        }
        let mut transfers = Vec::new();
        for line in lines {
            match JournalRow::from_row(line).and_then(|row| row.transfer()) {
                Ok(transfer) => transfers.push(transfer),
                Err(corrupt) => self.report.add_corrupt_row(&corrupt),
            }
        }
        ParsedLink {
            row,
            kind: PostingKind::from_word(PostingRow::TABLE.text(row, "kind")),
            transfers,
        }
    }

    /// Checks the budget's own row: the head of the chain, and the latest version of the agreement.
    fn check_head(&mut self, links: &[ParsedLink<'_>]) {
        let Some(budget) = self.ledger_rows.of(BudgetRow::TABLE).first() else { return };
        let (seq, posting, hash) = match links.last() {
            Some(last) => {
                let id = Value::from(last.text("posting_id"));
                (PostingRow::TABLE.number(last.row, "seq"), id, Value::from(last.text("hash")))
            }
            None => (0, Value::Null, Digest::ZERO.into()),
        };
        let agreed = links.iter().rev().find(|link| link.kind == Some(PostingKind::Agreement));
        let version = agreed.and_then(|link| link.text("subject").parse::<i64>().ok());
        for (column, expected) in [
            ("head_seq", Value::from(seq)),
            ("head_posting", posting),
            ("head_hash", hash),
            ("agreement_version", version.into()),
            ("currency", self.currency.into()),
        ] {
            if BudgetRow::TABLE.value(budget, column) != Some(&expected) {
                let finding = format!("its {column} is not {expected:?}");
                self.add_row_finding(BudgetRow::TABLE, budget, finding);
            }
        }
    }

    fn check_currencies(&mut self) {
        for (table, rows) in self.ledger_rows.tables() {
            let has_currency = table.columns.iter().any(|column| column.name == "currency");
            // A declined request may be in another currency.
            if !has_currency || table.name == "decision" || table.name == BudgetRow::TABLE.name {
                continue;
            }
            for row in rows {
                if table.text(row, "currency") != self.currency {
                    self.add_row_finding(
                        table,
                        row,
                        format!("its currency is not {}", self.currency),
                    );
                }
            }
        }
    }
}

/// The link that was checked last.
#[derive(Debug)]
struct ChainCursor {
    seq: i64,
    id: Value,
    hash: Digest,
}

impl Default for ChainCursor {
    fn default() -> Self {
        Self { seq: 0, id: Value::Null, hash: Digest::ZERO }
    }
}

impl ChainCursor {
    /// Advances to the next link, and says what is wrong with it.
    ///
    /// Continues from the stored values, so that only changed rows are reported.
    fn advance(&mut self, row: &[Value], lines: &[&[Value]]) -> Option<String> {
        let seq = PostingRow::TABLE.number(row, "seq");
        let expected = self.seq.saturating_add(1);
        let computed = link_hash(self.hash, row, lines);
        let stored = PostingRow::TABLE.text(row, "hash").parse();
        let what = if seq != expected {
            Some(format!("is link number {seq} where number {expected} must be"))
        } else if PostingRow::TABLE.value(row, "previous_id") != Some(&self.id) {
            Some("does not follow the posting before it".to_owned())
        } else if stored.as_ref() != Ok(&computed) {
            Some("it or its transfers were changed: its hash is another".to_owned())
        } else {
            None
        };
        self.seq = seq;
        self.id = text_value(PostingRow::TABLE.text(row, "posting_id"));
        self.hash = stored.unwrap_or(computed);
        what
    }
}

/// The sealed heads that the walk has not reached yet.
struct SealCursor<'s> {
    sealed: &'s [SealedPosition],
    /// The totals at the last sealed head.
    before: BalanceTotals,
}

impl SealCursor<'_> {
    fn advance(
        &mut self,
        chain: &ChainCursor,
        totals: BalanceTotals,
        report: &mut VerificationReport,
        seals: &mut SealVerifier,
    ) {
        while let [next, rest @ ..] = self.sealed {
            if next.seq > chain.seq {
                return;
            }
            if next.seq != chain.seq || next.hash != chain.hash {
                let what = format!("link {} is not the one that was sealed", next.seq);
                report.add_finding("seal", seals.key(*next), what);
            }
            seals.moved(*next, totals.minus(self.before));
            self.before = totals;
            self.sealed = rest;
        }
    }

    fn finish(&self, report: &mut VerificationReport, seals: &SealVerifier) {
        for next in self.sealed {
            let what = format!("link {} was sealed and is not there", next.seq);
            report.add_finding("seal", seals.key(*next), what);
        }
    }
}
