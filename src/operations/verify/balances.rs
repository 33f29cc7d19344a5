//! Balances of pots, purchases and budgets, recomputed from the journal alone.

use std::collections::BTreeMap;

use super::book::{BudgetVerifier, ParsedLink};
use crate::domain::id::{PotId, StreamId};
use crate::domain::purchase::Purchase;
use crate::ledger::account::Account;
use crate::ledger::posting::{PostingKind, Transfer};
use crate::ledger::record::purchase::{HoldRow, PurchaseRow, read_purchase};
use crate::ledger::record::row::{Table, Value};
use crate::ledger::record::table::Record as _;
use crate::store::PotRow;

/// The journal's totals of one pot, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PotFlow {
    loaded: i128,
    /// The part of `loaded` that came from other pots, less what went to them.
    moved: i128,
    held: i128,
    left: i128,
    /// Paid out of the pot.
    captured: i128,
    /// Paid back into the pot.
    refunded: i128,
}

/// The journal's totals of one budget, or of one purchase, in minor units.
#[derive(Debug, Default)]
pub(super) struct JournalBalances {
    pots: BTreeMap<PotId, PotFlow>,
    streams: BTreeMap<PotId, StreamId>,
    captured: i128,
    refunded: i128,
    exposure: i128,
    suspense: i128,
    disputed: i128,
    /// Exchange gains paid into pots, less what was taken out again.
    exchange: i128,
    /// The balance of the exchange account.
    exchange_kept: i128,
    /// Credits of issuers because of disputes, less what they took back.
    credited: i128,
    pub(super) totals: BalanceTotals,
}

/// Loaded, held, spent and left of all pots, then exposure, suspense and disputed money, in minor
/// units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BalanceTotals([i128; 7]);

impl BalanceTotals {
    pub(super) const fn list(self) -> [i128; 7] {
        self.0
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.with(other, i128::saturating_add)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.with(other, i128::saturating_sub)
    }

    fn with(mut self, other: Self, change: impl Fn(i128, i128) -> i128) -> Self {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = change(*own, other);
        }
        self
    }
}

impl JournalBalances {
    /// Applies the transfers of one posting. The error says which pot is overdrawn, or has another
    /// stream.
    pub(super) fn add(&mut self, link: &ParsedLink<'_>) -> Result<(), String> {
        let mut wrong = Ok(());
        for transfer in &link.transfers {
            self.apply_transfer(transfer, link.kind);
            for account in [transfer.from(), transfer.to()] {
                let (Account::PotLeft(pot) | Account::PotHeld(pot)) = account else { continue };
                let flow = self.pots.get(pot).copied().unwrap_or_default();
                if flow.left < 0 || flow.held < 0 {
                    wrong = Err(format!("takes more out of pot {pot} than there was"));
                }
            }
            wrong = wrong.and_then(|()| self.check_stream(transfer));
        }
        wrong
    }

    /// Applies a posting without any check, because the postings of one purchase alone may begin
    /// with money that other postings moved in.
    fn add_unchecked(&mut self, link: &ParsedLink<'_>) {
        for transfer in &link.transfers {
            self.apply_transfer(transfer, link.kind);
        }
    }

    fn check_stream(&mut self, transfer: &Transfer) -> Result<(), String> {
        let (Account::StreamFunds(stream), Account::PotLeft(pot)) =
            (transfer.from(), transfer.to())
        else {
            return Ok(());
        };
        let known = self.streams.entry(pot.clone()).or_insert_with(|| stream.clone());
        if known == stream {
            Ok(())
        } else {
            Err(format!("loads pot {pot} from {stream}, and it is a pot of {known}"))
        }
    }

    fn apply_transfer(&mut self, transfer: &Transfer, kind: Option<PostingKind>) {
        let amount = i128::from(transfer.amount().minor());
        let is_outside = |account: &Account| {
            matches!(account, Account::Clearing(_) | Account::Suspense | Account::Disputed)
        };
        let (from, to) = (transfer.from(), transfer.to());
        self.change(from, 0_i128.saturating_sub(amount));
        self.change(to, amount);
        let pots = &mut self.pots;
        let [loaded, _, spent, _, _, _, _] = &mut self.totals.0;
        if let (Account::PotLeft(pot) | Account::PotHeld(pot), true) = (from, is_outside(to)) {
            let flow = pots.entry(pot.clone()).or_default();
            flow.captured = flow.captured.saturating_add(amount);
            *spent = spent.saturating_add(amount);
        }
        if let (Account::PotLeft(pot) | Account::PotHeld(pot), true) = (to, is_outside(from)) {
            let flow = pots.entry(pot.clone()).or_default();
            flow.refunded = flow.refunded.saturating_add(amount);
            *spent = spent.saturating_sub(amount);
        }
        if let (Account::StreamFunds(_) | Account::Exchange, Account::PotLeft(pot)) = (from, to) {
            let flow = pots.entry(pot.clone()).or_default();
            flow.loaded = flow.loaded.saturating_add(amount);
            *loaded = loaded.saturating_add(amount);
        }
        if let (Account::PotLeft(pot), Account::Exchange) = (from, to) {
            let flow = pots.entry(pot.clone()).or_default();
            flow.loaded = flow.loaded.saturating_sub(amount);
            *loaded = loaded.saturating_sub(amount);
        }
        match (from, to) {
            (Account::Exchange, Account::PotLeft(_)) => {
                self.exchange = self.exchange.saturating_add(amount);
            }
            (Account::PotLeft(_), Account::Exchange) => {
                self.exchange = self.exchange.saturating_sub(amount);
            }
            (_, _) => {}
        }
        if let (Account::PotLeft(source), Account::PotLeft(target)) = (from, to) {
            for (pot, by) in [(source, 0_i128.saturating_sub(amount)), (target, amount)] {
                let flow = pots.entry(pot.clone()).or_default();
                flow.loaded = flow.loaded.saturating_add(by);
                flow.moved = flow.moved.saturating_add(by);
            }
        }
        let is_dispute = kind == Some(PostingKind::Dispute);
        match (from, to) {
            (Account::Clearing(_), _) if is_dispute => {
                self.credited = self.credited.saturating_add(amount);
            }
            (_, Account::Clearing(_)) if is_dispute => {
                self.credited = self.credited.saturating_sub(amount);
            }
            (Account::Clearing(_), _) => self.refunded = self.refunded.saturating_add(amount),
            (_, Account::Clearing(_)) => self.captured = self.captured.saturating_add(amount),
            (_, _) => {}
        }
    }

    /// Adds `by` to the balance of one account.
    fn change(&mut self, account: &Account, by: i128) {
        let [_, held, _, left, exposure, suspense, disputed] = &mut self.totals.0;
        match account {
            Account::PotLeft(pot) => {
                let flow = self.pots.entry(pot.clone()).or_default();
                flow.left = flow.left.saturating_add(by);
                *left = left.saturating_add(by);
            }
            Account::PotHeld(pot) => {
                let flow = self.pots.entry(pot.clone()).or_default();
                flow.held = flow.held.saturating_add(by);
                *held = held.saturating_add(by);
            }
            // The sign is reversed, because what the programme pays increases its exposure.
            Account::Exposure => {
                self.exposure = self.exposure.saturating_sub(by);
                *exposure = exposure.saturating_sub(by);
            }
            Account::Suspense => {
                self.suspense = self.suspense.saturating_add(by);
                *suspense = suspense.saturating_add(by);
            }
            Account::Disputed => {
                self.disputed = self.disputed.saturating_add(by);
                *disputed = disputed.saturating_add(by);
            }
            Account::Exchange => self.exchange_kept = self.exchange_kept.saturating_add(by),
            Account::StreamFunds(_) | Account::Clearing(_) => {}
        }
    }
}

/// A purchase that could be read, and its row.
pub(super) struct StoredPurchase<'a> {
    pub(super) row: &'a [Value],
    pub(super) purchase: Purchase,
}

impl<'a> BudgetVerifier<'a> {
    /// Compares every purchase with the transfers of its own postings. Returns those that could be
    /// read.
    pub(super) fn check_purchases(&mut self, links: &[ParsedLink<'a>]) -> Vec<StoredPurchase<'a>> {
        let mut moved: BTreeMap<&str, JournalBalances> = BTreeMap::new();
        let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
        for link in links {
            begun.entry(link.text("purchase_id")).or_insert(link.text("posting_id"));
            moved.entry(link.text("purchase_id")).or_default().add_unchecked(link);
        }
        let mut holds: BTreeMap<&str, Vec<&'a Vec<Value>>> = BTreeMap::new();
        for row in self.ledger_rows.of(HoldRow::TABLE) {
            holds.entry(HoldRow::TABLE.text(row, "purchase_id")).or_default().push(row);
        }
        let mut purchases = Vec::new();
        for row in self.ledger_rows.of(PurchaseRow::TABLE) {
            let id = PurchaseRow::TABLE.text(row, "purchase_id");
            let mut purchase = match read_purchase(row) {
                Ok(purchase) => purchase,
                Err(corrupt) => {
                    self.report.add_corrupt_row(&corrupt);
                    continue;
                }
            };
            let holds = holds.remove(id).unwrap_or_default();
            for hold in &holds {
                match HoldRow::from_row(hold) {
                    Ok(hold) => purchase.holds.push(hold.into()),
                    Err(corrupt) => self.report.add_corrupt_row(&corrupt),
                }
            }
            let balances = moved.remove(id).unwrap_or_default();
            self.check_purchase(row, &holds, &purchase, &balances);
            self.check_limit_back(row, &purchase, begun.get(id).copied().unwrap_or_default());
            purchases.push(StoredPurchase { row, purchase });
        }
        let outside_purchases = moved.remove("").unwrap_or_default();
        let JournalBalances { captured, refunded, exposure, suspense, disputed, credited, .. } =
            outside_purchases;
        if [captured, refunded, exposure, suspense, disputed, credited] != [0; 6] {
            let what = "money moved between an issuer and the programme without a purchase";
            self.report.add_finding("journal", self.ledger_rows.budget.clone(), what);
        }
        purchases
    }

    fn check_purchase(
        &mut self,
        row: &[Value],
        holds: &[&Vec<Value>],
        purchase: &Purchase,
        balances: &JournalBalances,
    ) {
        for (column, moved) in [
            ("captured_minor", balances.captured),
            ("refunded_minor", balances.refunded),
            ("exposure_minor", balances.exposure),
            ("suspense_minor", balances.suspense),
            ("disputed_minor", balances.disputed),
            ("recovered_minor", balances.credited.saturating_sub(balances.disputed)),
        ] {
            self.check_number(PurchaseRow::TABLE, row, column, moved);
        }
        let back = [purchase.refunded, purchase.recovered].map(|m| i128::from(m.minor()));
        let beyond =
            back.iter().sum::<i128>() - i128::from(purchase.captured.minor()) - balances.exchange;
        let exchange = purchase.exchange.as_ref().map_or(0, |part| i128::from(part.amount.minor()));
        if (exchange, balances.exchange_kept) != (balances.exchange, 0) {
            let what = "its gain by exchange is not what went into a pot";
            self.add_row_finding(PurchaseRow::TABLE, row, what);
        }
        if i128::from(purchase.suspense.minor()) != beyond.max(0) {
            let what = "what came back beyond what was captured is not what is kept aside";
            self.add_row_finding(PurchaseRow::TABLE, row, what);
        }
        if let (Ok(held), Ok(wanted)) = (purchase.held(), purchase.target_hold())
            && held.minor() > wanted.minor()
        {
            self.add_row_finding(
                PurchaseRow::TABLE,
                row,
                format!("holds {held} where {wanted} is to come"),
            );
        }
        for (has, wanted) in [
            (purchase.disputed, purchase.provisional_credit()),
            (purchase.recovered, purchase.recovered_credit()),
        ] {
            if wanted.is_ok_and(|wanted| wanted != has) {
                self.add_row_finding(
                    PurchaseRow::TABLE,
                    row,
                    "its disputed money is not where its disputes say",
                );
            }
        }
        let mut pots = balances.pots.clone();
        for hold in holds {
            let pot = HoldRow::TABLE.text(hold, "pot_id").parse::<PotId>().ok();
            let flow = pot.and_then(|pot| pots.remove(&pot)).unwrap_or_default();
            self.check_number(HoldRow::TABLE, hold, "held_minor", flow.held);
            self.check_number(HoldRow::TABLE, hold, "captured_minor", flow.captured);
            self.check_number(HoldRow::TABLE, hold, "refunded_minor", flow.refunded);
        }
        for (pot, flow) in pots {
            if flow.held != 0 || flow.captured != 0 || flow.refunded != 0 {
                self.add_row_finding(
                    PurchaseRow::TABLE,
                    row,
                    format!("moved money of pot {pot} without a hold"),
                );
            }
        }
    }

    /// The amount credited to limits must equal the amount refunded. It may be less for a purchase
    /// from before refunds were credited to limits; the id of such a purchase differs from that of
    /// the posting that began it.
    fn check_limit_back(&mut self, row: &[Value], purchase: &Purchase, begun_by: &str) {
        let Ok(given_back) = purchase.given_back() else { return };
        let is_new = purchase.id.to_string().split_once('_').map(|(_, id)| id)
            == begun_by.split_once('_').map(|(_, id)| id);
        let back = purchase.limit_back.minor();
        let is_right = if is_new {
            back == given_back.minor()
        } else {
            (0..=given_back.minor()).contains(&back)
        };
        if !is_right {
            let what = format!("limits got {back} back, and {given_back} came back");
            self.add_row_finding(PurchaseRow::TABLE, row, what);
        }
    }

    /// Compares every pot with the transfers of the whole chain, and with the holds of its
    /// purchases.
    pub(super) fn check_pots(
        &mut self,
        links: &[ParsedLink<'a>],
        purchases: &[StoredPurchase<'a>],
    ) {
        let mut balances = JournalBalances::default();
        for link in links {
            balances.add_unchecked(link);
        }
        for row in self.ledger_rows.of(PotRow::TABLE) {
            let Ok(pot) = PotRow::TABLE.text(row, "pot_id").parse::<PotId>() else { continue };
            let flow = balances.pots.remove(&pot).unwrap_or_default();
            let spent = flow.captured.saturating_sub(flow.refunded);
            self.check_number(PotRow::TABLE, row, "loaded_minor", flow.loaded);
            self.check_number(PotRow::TABLE, row, "moved_minor", flow.moved);
            self.check_number(PotRow::TABLE, row, "held_minor", flow.held);
            self.check_number(PotRow::TABLE, row, "spent_minor", spent);
            self.check_number(PotRow::TABLE, row, "left_minor", flow.left);
            let parts = purchases.iter().flat_map(|read| &read.purchase.holds);
            let parts: Vec<_> = parts.filter(|hold| hold.pot == pot).collect();
            let held: i128 = parts.iter().map(|hold| i128::from(hold.held.minor())).sum();
            if held != i128::from(PotRow::TABLE.number(row, "held_minor")) {
                self.add_row_finding(
                    PotRow::TABLE,
                    row,
                    format!("purchases hold {held} of it, which is not its held"),
                );
            }
        }
        for pot in balances.pots.into_keys() {
            let key = format!("{}/{pot}", self.ledger_rows.budget);
            self.report.add_finding(
                PotRow::TABLE.name,
                key,
                "the journal moves its money, but it is not there",
            );
        }
    }

    pub(super) fn check_number(
        &mut self,
        table: &'static Table,
        row: &[Value],
        column: &str,
        expected: i128,
    ) {
        let stored = table.number(row, column);
        if i128::from(stored) != expected {
            let what = format!("its {column} is {stored}, and the journal says {expected}");
            self.add_row_finding(table, row, what);
        }
    }
}
