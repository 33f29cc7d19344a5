//! The transfers of each kind of event. Each is bounded by the current balances, so that repeated
//! or reordered messages never move money twice.

use super::account::Account;
use super::book::{LedgerError, Pots};
use super::posting::Transfer;
use crate::domain::id::{PotId, StreamId};
use crate::domain::money::Money;
use crate::domain::pot::PotPart;
use crate::domain::pot::personal::PotTransfer;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::hold::Hold;

/// A load from a funding stream into a pot.
pub fn load_transfers(stream: &StreamId, pot: &PotId, amount: Money) -> Vec<Transfer> {
    let from = Account::StreamFunds(stream.clone());
    Transfer::new(from, Account::PotLeft(pot.clone()), amount).into_iter().collect()
}

/// A transfer between two pots of one person.
pub fn pot_transfers(moved: &PotTransfer) -> Vec<Transfer> {
    let [from, to] = [moved.from(), moved.to()].map(|pot| Account::PotLeft(pot.clone()));
    Transfer::new(from, to, moved.amount()).into_iter().collect()
}

/// Adjusts the holds to the target hold: raises them from `parts` in order, or lowers them from the
/// pot drained last. An amount that no pot can cover is not posted; the capture posts it as
/// exposure.
pub fn hold_transfers(
    purchase: &mut Purchase,
    pots: &mut Pots,
    parts: &[PotPart],
) -> Result<Vec<Transfer>, LedgerError> {
    let mut transfers = TransferBuilder::new(purchase, pots);
    transfers.adjust_hold(parts)?;
    // The message may have disclosed a foreign currency, which changes the exchange gain.
    if transfers.adjust_exchange_gain()? {
        transfers.adjust_hold_from(&[])?;
    }
    Ok(transfers.list)
}

/// A capture: paid from the holds, then from what the purchase's own pots have left, then from
/// `others` in order, then by the programme.
pub fn capture_transfers(
    purchase: &mut Purchase,
    pots: &mut Pots,
    amount: Money,
    others: &[PotId],
) -> Result<Vec<Transfer>, LedgerError> {
    purchase.captured = purchase.captured.checked_add(amount)?;
    let mut transfers = TransferBuilder::new(purchase, pots);
    transfers.capture(amount, others)?;
    transfers.release_suspense()?;
    transfers.adjust_exchange_gain()?;
    transfers.adjust_hold_from(others)?;
    Ok(transfers.list)
}

/// A refund: repays the programme's exposure first, then the pots in reverse drain order. The
/// amount beyond captures goes to suspense, unless the exchange rate explains it. Refunded money
/// also fills a hold that the pots could not cover.
pub fn refund_transfers(
    purchase: &mut Purchase,
    pots: &mut Pots,
    amount: Money,
) -> Result<Vec<Transfer>, LedgerError> {
    purchase.refunded = purchase.refunded.checked_add(amount)?;
    let mut transfers = TransferBuilder::new(purchase, pots);
    let clearing = transfers.clearing();
    transfers.refund_or_suspend(&clearing, amount)?;
    transfers.adjust_exchange_gain()?;
    transfers.adjust_hold_from(&[])?;
    Ok(transfers.list)
}

/// Moves disputed money to the account that follows from the purchase's disputes: the disputed
/// account while they are open, the pots (like a refund) if won, the issuer again if lost. Money
/// already in the disputed account is moved from there, once.
pub fn dispute_transfers(
    purchase: &mut Purchase,
    pots: &mut Pots,
    others: &[PotId],
) -> Result<Vec<Transfer>, LedgerError> {
    let mut transfers = TransferBuilder::new(purchase, pots);
    let (aside, recovered) =
        (transfers.purchase.provisional_credit()?, transfers.purchase.recovered_credit()?);
    let clearing = transfers.clearing();
    let won = recovered.saturating_sub(transfers.purchase.recovered)?;
    let lost = transfers.purchase.recovered.saturating_sub(recovered)?;
    let freed = transfers.purchase.disputed.saturating_sub(aside)?;
    let from_aside = won.least(freed)?;
    transfers.refund_or_suspend(&Account::Disputed, from_aside)?;
    transfers.refund_or_suspend(&clearing, won.checked_sub(from_aside)?)?;
    transfers.recapture(lost, others)?;
    let credited = aside.saturating_sub(transfers.purchase.disputed)?;
    transfers.move_money(Account::Disputed, clearing.clone(), freed.checked_sub(from_aside)?)?;
    transfers.move_money(clearing, Account::Disputed, credited)?;
    transfers.purchase.disputed = aside;
    transfers.purchase.recovered = recovered;
    transfers.adjust_exchange_gain()?;
    transfers.adjust_hold_from(others)?;
    Ok(transfers.list)
}

/// Builds the transfers of one purchase, applying each to the pots at once.
struct TransferBuilder<'a> {
    purchase: &'a mut Purchase,
    pots: &'a mut Pots,
    list: Vec<Transfer>,
}

impl<'a> TransferBuilder<'a> {
    const fn new(purchase: &'a mut Purchase, pots: &'a mut Pots) -> Self {
        Self { purchase, pots, list: Vec::new() }
    }

    fn clearing(&self) -> Account {
        Account::Clearing(self.purchase.connection.clone())
    }

    fn move_money(&mut self, from: Account, to: Account, amount: Money) -> Result<(), LedgerError> {
        if let Some(transfer) = Transfer::new(from, to, amount) {
            self.pots.apply(&transfer)?;
            self.list.push(transfer);
        }
        Ok(())
    }

    /// The share of `pot` in the purchase, added if there is none yet.
    fn hold_mut(&mut self, pot: &PotId, like: Money) -> Option<&mut Hold> {
        let holds = &mut self.purchase.holds;
        if !holds.iter().any(|hold| hold.pot == *pot) {
            holds.push(Hold::empty(pot.clone(), like));
        }
        holds.iter_mut().find(|hold| hold.pot == *pot)
    }

    fn adjust_hold(&mut self, parts: &[PotPart]) -> Result<(), LedgerError> {
        let wanted = self.purchase.target_hold()?;
        let held = self.purchase.held()?;
        self.raise_hold(wanted.saturating_sub(held)?, parts)?;
        self.lower_hold(held.saturating_sub(wanted)?)
    }

    /// Like `adjust_hold`; a raise is taken from the pots of the purchase first, then from
    /// `others`.
    fn adjust_hold_from(&mut self, others: &[PotId]) -> Result<(), LedgerError> {
        let left = |pot: PotId| {
            let amount = self.pots.left(&pot, self.purchase.currency);
            PotPart { pot, amount }
        };
        let parts: Vec<_> = self.own_pots_then(others).into_iter().map(left).collect();
        self.adjust_hold(&parts)
    }

    /// The purchase's own pots in drain order, then `others`.
    fn own_pots_then(&self, others: &[PotId]) -> Vec<PotId> {
        let own = self.purchase.holds.iter().map(|hold| &hold.pot);
        own.chain(others).cloned().collect()
    }

    fn raise_hold(&mut self, mut missing: Money, parts: &[PotPart]) -> Result<(), LedgerError> {
        for part in parts {
            let left = self.pots.left(&part.pot, missing.currency());
            let amount = missing.least(part.amount)?.least(left)?;
            if !amount.is_positive() {
                continue;
            }
            if let Some(hold) = self.hold_mut(&part.pot, amount) {
                hold.held = hold.held.checked_add(amount)?;
            }
            let (from, to) = pot_accounts(&part.pot);
            self.move_money(from, to, amount)?;
            missing = missing.checked_sub(amount)?;
        }
        Ok(())
    }

    fn lower_hold(&mut self, mut surplus: Money) -> Result<(), LedgerError> {
        for index in (0..self.purchase.holds.len()).rev() {
            let lowered = self.lower_hold_at(index, surplus)?;
            surplus = surplus.checked_sub(lowered)?;
        }
        Ok(())
    }

    /// Releases up to `most` of the hold at `index` to its pot; returns the amount.
    fn lower_hold_at(&mut self, index: usize, most: Money) -> Result<Money, LedgerError> {
        let Some(hold) = self.purchase.holds.get_mut(index) else {
            return Ok(Money::zero(most.currency()));
        };
        let amount = most.least(hold.held)?;
        hold.held = hold.held.checked_sub(amount)?;
        let (to, from) = pot_accounts(&hold.pot);
        self.move_money(from, to, amount)?;
        Ok(amount)
    }

    /// Releases up to `most` of what the purchase holds on one pot; returns the amount.
    fn lower_hold_on(&mut self, pot: &PotId, most: Money) -> Result<Money, LedgerError> {
        match self.purchase.holds.iter().position(|hold| hold.pot == *pot) {
            Some(index) => self.lower_hold_at(index, most),
            None => Ok(Money::zero(most.currency())),
        }
    }

    fn capture(&mut self, amount: Money, others: &[PotId]) -> Result<(), LedgerError> {
        let clearing = self.clearing();
        let mut remaining = amount;
        for index in 0..self.purchase.holds.len() {
            let Some(hold) = self.purchase.holds.get_mut(index) else { break };
            let part = remaining.least(hold.held)?;
            hold.held = hold.held.checked_sub(part)?;
            hold.captured = hold.captured.checked_add(part)?;
            let (_, from) = pot_accounts(&hold.pot);
            self.move_money(from, clearing.clone(), part)?;
            remaining = remaining.checked_sub(part)?;
        }
        self.pay_from_pots(remaining, others)
    }

    /// Pays the issuer from what pots have left, the purchase's own pots first, then by the
    /// programme.
    fn pay_from_pots(&mut self, amount: Money, others: &[PotId]) -> Result<(), LedgerError> {
        let clearing = self.clearing();
        let mut remaining = amount;
        for pot in self.own_pots_then(others) {
            let part = remaining.least(self.pots.left(&pot, remaining.currency()))?;
            if !part.is_positive() {
                continue;
            }
            if let Some(hold) = self.hold_mut(&pot, part) {
                hold.captured = hold.captured.checked_add(part)?;
            }
            let (left, _) = pot_accounts(&pot);
            self.move_money(left, clearing.clone(), part)?;
            remaining = remaining.checked_sub(part)?;
        }
        self.purchase.exposure = self.purchase.exposure.checked_add(remaining)?;
        self.move_money(Account::Exposure, clearing, remaining)
    }

    /// Pays the issuer again what it had refunded earlier: first from suspense, then as a capture,
    /// so that the programme owes nothing while the purchase still holds money.
    fn recapture(&mut self, amount: Money, others: &[PotId]) -> Result<(), LedgerError> {
        let kept_aside = amount.least(self.purchase.suspense)?;
        self.purchase.suspense = self.purchase.suspense.checked_sub(kept_aside)?;
        self.move_money(Account::Suspense, self.clearing(), kept_aside)?;
        self.capture(amount.checked_sub(kept_aside)?, others)
    }

    /// Refunds `amount` from `source`; the amount beyond captures goes to suspense.
    fn refund_or_suspend(&mut self, source: &Account, amount: Money) -> Result<(), LedgerError> {
        let excess = self.refund_to_pots(source, amount)?;
        self.purchase.suspense = self.purchase.suspense.checked_add(excess)?;
        self.move_money(source.clone(), Account::Suspense, excess)
    }

    /// Refunds `amount` from `source`; returns the amount beyond captures.
    fn refund_to_pots(&mut self, source: &Account, amount: Money) -> Result<Money, LedgerError> {
        let owed = amount.least(self.purchase.exposure)?;
        self.purchase.exposure = self.purchase.exposure.checked_sub(owed)?;
        self.move_money(source.clone(), Account::Exposure, owed)?;
        let mut remaining = amount.checked_sub(owed)?;
        for index in (0..self.purchase.holds.len()).rev() {
            let Some(hold) = self.purchase.holds.get_mut(index) else { break };
            let part = remaining.least(hold.spent()?)?;
            hold.refunded = hold.refunded.checked_add(part)?;
            let (left, _) = pot_accounts(&hold.pot);
            self.move_money(source.clone(), left, part)?;
            remaining = remaining.checked_sub(part)?;
        }
        Ok(remaining)
    }

    /// Moves the exchange gain from suspense into the pot that paid, or back if it has shrunk: by a
    /// later capture, by a won dispute, or because the merchant refunded more in its own currency
    /// than it captured. Returns whether anything moved.
    fn adjust_exchange_gain(&mut self) -> Result<bool, LedgerError> {
        let wanted = self.purchase.exchange_difference()?;
        let known = self.purchase.exchange.clone();
        let is = known.as_ref().map_or(Money::zero(self.purchase.currency), |part| part.amount);
        let paid = self.purchase.holds.iter().find(|hold| hold.captured.is_positive());
        let Some(pot) = known.map(|part| part.pot).or(paid.map(|hold| hold.pot.clone())) else {
            return Ok(false);
        };
        let gained = wanted.saturating_sub(is)?.least(self.purchase.suspense)?;
        let (left, _) = pot_accounts(&pot);
        self.purchase.suspense = self.purchase.suspense.checked_sub(gained)?;
        self.move_money(Account::Suspense, Account::Exchange, gained)?;
        self.move_money(Account::Exchange, left.clone(), gained)?;
        // The surplus gain is a refund after all. The part that the pot itself paid moves no money
        // on balance; beyond that, only what the pot still has is returned, and what this purchase
        // holds there: the gain may have filled a hold that the pot could not cover.
        let surplus = is.saturating_sub(wanted)?;
        let left_before = self.pots.left(&pot, is.currency());
        let own = self.refund_to_pot(&pot, surplus)?;
        let beyond = surplus.checked_sub(own)?;
        let missing = beyond.saturating_sub(left_before)?;
        let available = left_before.checked_add(self.lower_hold_on(&pot, missing)?)?;
        let rest = beyond.least(available)?;
        let kept = self.refund_to_pots(&Account::Suspense, rest)?;
        // The amount that neither a capture nor the exchange rate explains returns to suspense.
        self.purchase.suspense = self.purchase.suspense.checked_add(kept)?;
        let returned = own.checked_add(rest)?;
        self.move_money(left, Account::Exchange, returned)?;
        self.move_money(Account::Exchange, Account::Suspense, returned)?;
        let amount = is.checked_add(gained)?.checked_sub(returned)?;
        self.purchase.exchange = amount.is_positive().then_some(PotPart { pot, amount });
        Ok(gained.is_positive() || returned.is_positive())
    }

    /// Refunds up to `most` from suspense to one pot, limited to what the pot has spent; returns
    /// the amount.
    fn refund_to_pot(&mut self, pot: &PotId, most: Money) -> Result<Money, LedgerError> {
        let hold = self.purchase.holds.iter_mut().find(|hold| hold.pot == *pot);
        let Some(hold) = hold else { return Ok(Money::zero(most.currency())) };
        let part = most.least(hold.spent()?)?;
        hold.refunded = hold.refunded.checked_add(part)?;
        let (left, _) = pot_accounts(pot);
        self.move_money(Account::Suspense, left, part)?;
        Ok(part)
    }

    /// Refunds the money in suspense as far as captures now cover it, because a refund may arrive
    /// before its capture.
    fn release_suspense(&mut self) -> Result<(), LedgerError> {
        let kept_aside = self.purchase.suspense;
        self.purchase.suspense = self.refund_to_pots(&Account::Suspense, kept_aside)?;
        Ok(())
    }
}

/// The pot's accounts: left and held.
fn pot_accounts(pot: &PotId) -> (Account, Account) {
    (Account::PotLeft(pot.clone()), Account::PotHeld(pot.clone()))
}
