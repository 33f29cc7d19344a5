//! A hold: one pot's part of a purchase, from reservation to what was paid and given back.

use super::id::PotId;
use super::money::{Money, MoneyError};

/// What one pot holds for, has paid for and got back from one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub pot: PotId,
    /// Reserved until the purchase is captured, reversed or expires.
    pub held: Money,
    /// Paid to the issuer.
    pub captured: Money,
    /// Given back after it was paid. Never more than was captured.
    pub refunded: Money,
}

impl Hold {
    /// A pot's part with nothing in it yet.
    pub fn empty(pot: PotId, amount: Money) -> Self {
        let nothing = Money::zero(amount.currency());
        Self { pot, held: nothing, captured: nothing, refunded: nothing }
    }

    /// What was paid and not given back.
    pub fn spent(&self) -> Result<Money, MoneyError> {
        self.captured.checked_sub(self.refunded)
    }
}
