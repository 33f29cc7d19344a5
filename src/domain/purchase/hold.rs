//! Holds: one pot's share of a purchase, from reservation to capture and refund.

use jiff::SignedDuration;

use crate::domain::id::PotId;
use crate::domain::money::{Money, MoneyError};
use crate::domain::shop::merchant::Mcc;

/// How long most merchants take to capture.
const DEFAULT_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long merchants may take that charge at the end of a stay, a trip or a hire.
const EXTENDED_LIFETIME: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How long an issuer may take to confirm our approval before it counts as an exception.
pub const CONFIRMATION_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// All lifetimes that a hold can have.
pub const HOLD_LIFETIMES: [SignedDuration; 2] = [DEFAULT_LIFETIME, EXTENDED_LIFETIME];

/// How long a hold at a merchant of `mcc` lasts after the last message about it. The issuer's own
/// expiry takes precedence, and a capture after expiry is still booked.
///
/// Card networks let lodging, airlines, cruises and vehicle hire capture up to 31 days later.
pub fn lifetime(mcc: Option<Mcc>) -> SignedDuration {
    match mcc.map(Mcc::number) {
        // Airlines, vehicle hire and lodging: first by brand, then by kind.
        Some(3000..=3999 | 4411 | 4511 | 7011 | 7012 | 7033 | 7512 | 7513 | 7519) => {
            EXTENDED_LIFETIME
        }
        Some(_) | None => DEFAULT_LIFETIME,
    }
}

/// What one pot holds, has paid and was refunded for one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub pot: PotId,
    /// Reserved until the purchase is captured, reversed or expires.
    pub held: Money,
    /// Paid to the issuer.
    pub captured: Money,
    /// Refunded after capture; never more than `captured`.
    pub refunded: Money,
}

impl Hold {
    /// The share of `pot` with zero amounts, in the currency of `amount`.
    pub fn empty(pot: PotId, amount: Money) -> Self {
        let nothing = Money::zero(amount.currency());
        Self { pot, held: nothing, captured: nothing, refunded: nothing }
    }

    /// Captured less refunded.
    pub fn spent(&self) -> Result<Money, MoneyError> {
        self.captured.checked_sub(self.refunded)
    }
}
