//! A hold: one pot's part of a purchase, from reservation to what was paid and given back.

use jiff::SignedDuration;

use crate::domain::id::PotId;
use crate::domain::money::{Money, MoneyError};
use crate::domain::shop::merchant::Mcc;

/// How long most merchants take to claim what they were promised.
const DEFAULT_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long those may take that charge when a stay, a trip or a hire is over.
const EXTENDED_LIFETIME: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How long an issuer may take to confirm what we approved before somebody should look.
pub const CONFIRMATION_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// Every lifetime that a hold can have.
pub const HOLD_LIFETIMES: [SignedDuration; 2] = [DEFAULT_LIFETIME, EXTENDED_LIFETIME];

/// How long a hold at a merchant of `mcc` lives when nobody speaks of it any more. The issuer's own
/// expiry wins; a claim that comes after it is paid all the same.
///
/// Card networks let lodging, airlines, cruises and vehicle hire claim up to 31 days later.
pub fn lifetime(mcc: Option<Mcc>) -> SignedDuration {
    match mcc.map(Mcc::number) {
        // Airlines, vehicle hire and lodging by brand; then by kind.
        Some(3000..=3999 | 4411 | 4511 | 7011 | 7012 | 7033 | 7512 | 7513 | 7519) => {
            EXTENDED_LIFETIME
        }
        Some(_) | None => DEFAULT_LIFETIME,
    }
}

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
