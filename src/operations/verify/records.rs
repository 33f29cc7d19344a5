//! Matches records with postings: exactly one posting covers each record, with its digest.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{BudgetVerifier, ParsedLink};
use super::reference_of;
use crate::domain::id::PotId;
use crate::ledger::account::Account;
use crate::ledger::posting::{PostingKind, PostingRow};
use crate::ledger::record::agreement::{AgreementRow, TermRow, agreement_digest};
use crate::ledger::record::decision::DecisionRow;
use crate::ledger::record::event::{IssuerEventRow, PresentmentRow, presentment_digest};
use crate::ledger::record::purchase::{HoldRow, PurchaseRow, purchase_digest};
use crate::ledger::record::row::{ColumnKind, Digest, Table, Value};
use crate::ledger::record::table::Record as _;
use crate::store::{LoadRow, PotRow, WithdrawalRow};

/// A record that no posting has covered yet.
#[derive(Debug)]
struct UnmatchedRecord<'a> {
    table: &'static Table,
    row: &'a [Value],
    digest: Digest,
}

/// The records of one budget, matched while the chain is walked.
#[derive(Debug, Default)]
pub(super) struct RecordMatcher<'a> {
    /// The records without a posting so far, by kind and subject.
    unmatched: BTreeMap<(PostingKind, String), Vec<UnmatchedRecord<'a>>>,
    /// The latest posting about the plan of each pot, and about the state of each purchase.
    pots: BTreeMap<&'a str, &'a [Value]>,
    purchases: BTreeMap<&'a str, &'a [Value]>,
}

impl<'a> RecordMatcher<'a> {
    pub(super) fn of(verifier: &mut BudgetVerifier<'a>) -> Self {
        let ledger_rows = verifier.ledger_rows;
        let mut records = Self::default();
        let mut decided = BTreeSet::new();
        for row in ledger_rows.of(DecisionRow::TABLE) {
            decided.insert(reference_of(DecisionRow::TABLE, row));
            let subject = DecisionRow::TABLE.text(row, "decision_id").to_owned();
            records.add_row(PostingKind::Decision, subject, DecisionRow::TABLE, row);
        }
        for row in ledger_rows.of(WithdrawalRow::TABLE) {
            let subject = reference_of(WithdrawalRow::TABLE, row);
            if !decided.contains(&subject) {
                verifier.add_row_finding(
                    WithdrawalRow::TABLE,
                    row,
                    "there is no decision that it takes back",
                );
            }
            records.add_row(PostingKind::Withdrawal, subject, WithdrawalRow::TABLE, row);
        }
        let loads = LoadRow::TABLE;
        for row in ledger_rows.of(loads) {
            let subject = format!("{}/{}", loads.text(row, "pot_id"), loads.text(row, "load_id"));
            records.add_row(PostingKind::Load, subject, loads, row);
        }
        for row in ledger_rows.of(PresentmentRow::TABLE) {
            records.add_presentment(verifier, row);
        }
        records.add_agreements(verifier);
        records
    }

    fn add_row(
        &mut self,
        kind: PostingKind,
        subject: String,
        table: &'static Table,
        row: &'a [Value],
    ) {
        self.add_unmatched(
            kind,
            subject,
            UnmatchedRecord { table, row, digest: Digest::of_row(table, row) },
        );
    }

    fn add_unmatched(&mut self, kind: PostingKind, subject: String, record: UnmatchedRecord<'a>) {
        self.unmatched.entry((kind, subject)).or_default().push(record);
    }

    fn add_presentment(&mut self, verifier: &mut BudgetVerifier<'a>, row: &'a [Value]) {
        let event = format!(
            "{}/{}",
            PresentmentRow::TABLE.text(row, "connection_id"),
            PresentmentRow::TABLE.text(row, "event_reference")
        );
        let event = if let Some(event) = verifier.events.get(&event) {
            Digest::of_row(IssuerEventRow::TABLE, event)
        } else {
            let what = format!("the message {event} that told it is not there");
            verifier.add_row_finding(PresentmentRow::TABLE, row, what);
            Digest::ZERO
        };
        let is_refund = PresentmentRow::TABLE.text(row, "direction") == "refund";
        let kind = if is_refund { PostingKind::Refund } else { PostingKind::Capture };
        let digest = presentment_digest(event, row);
        let record = UnmatchedRecord { table: PresentmentRow::TABLE, row, digest };
        self.add_unmatched(kind, reference_of(PresentmentRow::TABLE, row), record);
    }

    fn add_agreements(&mut self, verifier: &mut BudgetVerifier<'a>) {
        let ledger_rows = verifier.ledger_rows;
        let mut terms: BTreeMap<i64, Vec<Vec<Value>>> = BTreeMap::new();
        for row in ledger_rows.of(TermRow::TABLE) {
            terms.entry(TermRow::TABLE.number(row, "version")).or_default().push(row.clone());
        }
        for row in ledger_rows.of(AgreementRow::TABLE) {
            let version = AgreementRow::TABLE.number(row, "version");
            let digest = agreement_digest(row, &terms.remove(&version).unwrap_or_default());
            let record = UnmatchedRecord { table: AgreementRow::TABLE, row, digest };
            self.add_unmatched(PostingKind::Agreement, version.to_string(), record);
        }
        for row in terms.into_values().flatten() {
            verifier.add_row_finding(
                TermRow::TABLE,
                &row,
                "belongs to no version of the agreement",
            );
        }
    }

    /// Checks one posting: its record must exist, and must have the digest that was posted.
    pub(super) fn check(&mut self, verifier: &mut BudgetVerifier<'a>, link: &ParsedLink<'a>) {
        let purchase = link.text("purchase_id");
        if !purchase.is_empty() {
            self.purchases.insert(purchase, link.row);
        }
        let (Some(kind), subject) = (link.kind, link.text("subject")) else { return };
        match kind {
            PostingKind::Pot => {
                self.pots.insert(subject, link.row);
            }
            PostingKind::StatusUpdate | PostingKind::Dispute => {
                check_message(verifier, link, subject);
            }
            PostingKind::Expiry => check_expiry(verifier, link, subject),
            PostingKind::PotTransfer => check_move(verifier, link, subject),
            PostingKind::Agreement
            | PostingKind::Load
            | PostingKind::Decision
            | PostingKind::Withdrawal
            | PostingKind::Capture
            | PostingKind::Refund => {
                let key = (kind, subject.to_owned());
                let Some(record) = self.unmatched.get_mut(&key).and_then(Vec::pop) else {
                    let what = format!("books {} {subject}, which is not there", kind.word());
                    verifier.add_row_finding(PostingRow::TABLE, link.row, what);
                    return;
                };
                if link.text("record_digest") != record.digest.to_string() {
                    let what = format!("is not what posting {} booked", link.text("posting_id"));
                    verifier.add_row_finding(record.table, record.row, what);
                }
                if kind == PostingKind::Decision
                    && DecisionRow::TABLE.number(record.row, "approved_minor") > 0
                    && purchase.is_empty()
                {
                    verifier.add_row_finding(
                        DecisionRow::TABLE,
                        record.row,
                        "approves money for no purchase",
                    );
                }
            }
        }
    }

    /// Reports what only the whole chain shows: records without a posting, and states that differ
    /// from their latest posting.
    pub(super) fn finish(self, verifier: &mut BudgetVerifier<'a>) {
        for record in self.unmatched.into_values().flatten() {
            verifier.add_row_finding(record.table, record.row, "no posting books it");
        }
        check_plans(verifier, self.pots);
        check_states(verifier, self.purchases);
    }
}

/// Checks an expiry. It has no record, so its digest covers its own subject.
fn check_expiry(verifier: &mut BudgetVerifier<'_>, link: &ParsedLink<'_>, subject: &str) {
    let mut purchases = verifier.ledger_rows.of(PurchaseRow::TABLE).iter();
    let ended = purchases
        .find(|row| PurchaseRow::TABLE.text(row, "purchase_id") == link.text("purchase_id"));
    let is_its_own = ended.is_some_and(|row| reference_of(PurchaseRow::TABLE, row) == subject);
    if !is_its_own || link.text("record_digest") != Digest::of_text(subject).to_string() {
        verifier.add_row_finding(PostingRow::TABLE, link.row, "ends another purchase than it says");
    }
}

/// Checks a pot transfer. It has no record, so its digest covers its own subject. Both pots must
/// have the same stream.
fn check_move(verifier: &mut BudgetVerifier<'_>, link: &ParsedLink<'_>, subject: &str) {
    let stream = |id: &PotId| {
        let mut pots = verifier.ledger_rows.of(PotRow::TABLE).iter();
        let row = pots.find(|row| PotRow::TABLE.text(row, "pot_id") == id.as_str());
        row.map(|row| PotRow::TABLE.text(row, "stream_id"))
    };
    let is_consistent = match link.transfers.as_slice() {
        [one] => match (one.from(), one.to()) {
            (Account::PotLeft(from), Account::PotLeft(to)) => {
                subject == format!("{from}/{to}")
                    && stream(from).is_some()
                    && stream(from) == stream(to)
            }
            (_, _) => false,
        },
        _ => false,
    };
    if !is_consistent || link.text("record_digest") != Digest::of_text(subject).to_string() {
        verifier.add_row_finding(PostingRow::TABLE, link.row, "moves other money than it says");
    }
}

fn check_message(verifier: &mut BudgetVerifier<'_>, link: &ParsedLink<'_>, subject: &str) {
    let events = verifier.events;
    let Some(event) = events.get(subject) else {
        let what = format!("books the message {subject}, which is not there");
        verifier.add_row_finding(PostingRow::TABLE, link.row, what);
        return;
    };
    if link.text("record_digest") != Digest::of_row(IssuerEventRow::TABLE, event).to_string() {
        let what = format!("is not what posting {} booked", link.text("posting_id"));
        verifier.add_row_finding(IssuerEventRow::TABLE, event, what);
    }
}

/// Every pot must equal the plan in the latest posting about it.
fn check_plans<'a>(
    verifier: &mut BudgetVerifier<'a>,
    mut postings: BTreeMap<&'a str, &'a [Value]>,
) {
    let ledger_rows = verifier.ledger_rows;
    for row in ledger_rows.of(PotRow::TABLE) {
        let Some(posting) = postings.remove(PotRow::TABLE.text(row, "pot_id")) else {
            verifier.add_row_finding(PotRow::TABLE, row, "no posting opened it");
            continue;
        };
        let digest = PotRow::from_row(row).map(PotRow::plan_digest);
        if !digest.is_ok_and(|d| d.to_string() == PostingRow::TABLE.text(posting, "record_digest"))
        {
            let id = PostingRow::TABLE.text(posting, "posting_id");
            verifier.add_row_finding(
                PotRow::TABLE,
                row,
                format!("is not the pot that posting {id} planned"),
            );
        }
    }
    for posting in postings.into_values() {
        verifier.add_row_finding(PostingRow::TABLE, posting, "opened a pot that is not there");
    }
}

/// Every purchase, with its holds, must equal the state in the latest posting about it.
fn check_states<'a>(
    verifier: &mut BudgetVerifier<'a>,
    mut postings: BTreeMap<&'a str, &'a [Value]>,
) {
    let ledger_rows = verifier.ledger_rows;
    let mut holds: BTreeMap<&str, Vec<Vec<Value>>> = BTreeMap::new();
    for row in ledger_rows.of(HoldRow::TABLE) {
        holds.entry(HoldRow::TABLE.text(row, "purchase_id")).or_default().push(row.clone());
    }
    for row in ledger_rows.of(PurchaseRow::TABLE) {
        let id = PurchaseRow::TABLE.text(row, "purchase_id");
        let digest = purchase_digest(row, &holds.remove(id).unwrap_or_default());
        let Some(posting) = postings.remove(id) else {
            verifier.add_row_finding(PurchaseRow::TABLE, row, "no posting speaks of it");
            continue;
        };
        if PostingRow::TABLE.text(posting, "purchase_digest") != digest.to_string() {
            let id = PostingRow::TABLE.text(posting, "posting_id");
            let what = format!("it or its holds are not what posting {id} left behind");
            verifier.add_row_finding(PurchaseRow::TABLE, row, what);
        }
    }
    for row in holds.into_values().flatten() {
        verifier.add_row_finding(HoldRow::TABLE, &row, "belongs to no purchase of its budget");
    }
    for posting in postings.into_values() {
        verifier.add_row_finding(
            PostingRow::TABLE,
            posting,
            "speaks of a purchase that is not there",
        );
    }
}

impl BudgetVerifier<'_> {
    /// Erasable text must be erased, or must match its digest.
    pub(super) fn check_erasable(&mut self) {
        for table in [DecisionRow::TABLE, PurchaseRow::TABLE] {
            for row in self.ledger_rows.of(table) {
                self.check_erasable_of(table, row);
            }
        }
        for row in self.events.values() {
            self.check_erasable_of(IssuerEventRow::TABLE, row);
        }
    }

    fn check_erasable_of(&mut self, table: &'static Table, row: &[Value]) {
        for column in table.columns.iter().filter(|column| column.kind == ColumnKind::Erasable) {
            let Some(Value::Text(text)) = table.value(row, column.name) else { continue };
            let digest = table.text(row, &format!("{}_digest", column.name));
            if Digest::of_text(text).to_string() != digest {
                let what = format!("its {} is not the text that came", column.name);
                self.add_row_finding(table, row, what);
            }
        }
    }
}
