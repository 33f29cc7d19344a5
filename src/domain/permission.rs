//! A permission: a one-off OK for something the agreement does not allow by itself.

use jiff::{SignedDuration, Timestamp};

use super::agreement::Scope;
use super::id::PermissionId;
use super::money::Money;
use super::role::words;

words!(
    /// Who gave a permission.
    Giver {
        /// Somebody, by name.
        People => "people",
        /// The programme's rule, or its clock. It never lifts what the person set on themselves.
        Programme => "programme",
    }
);

/// How long after its end a permission is kept: longer than any hold that it allowed can be open.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(40 * 24);

/// A one-off OK, made by answering an ask, used up by an approval, handed back if it is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub id: PermissionId,
    /// What it is for.
    pub scope: Scope,
    /// The most that one purchase may be.
    pub cap: Money,
    /// Below nothing when a purchase that was undone came back to life: it allows nothing then.
    pub uses_left: i64,
    /// From when it helps.
    pub given_at: Timestamp,
    pub ends_at: Timestamp,
    pub giver: Giver,
}

impl Permission {
    /// What ended then or before is forgotten when this one is given.
    pub fn forgets(&self) -> Timestamp {
        self.given_at.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN)
    }
}

/// Why a permission that was given does not help this purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionGap {
    Used,
    Over { ended_at: Timestamp },
    TooSmall { cap: Money },
}

impl Permission {
    /// Whether it can still be used at `at`.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.uses_left > 0 && at < self.ends_at
    }

    /// Whether the permission can pay for `amount` at `at`. The currencies are the same.
    pub fn covers(&self, amount: Money, at: Timestamp) -> Result<(), PermissionGap> {
        if self.uses_left <= 0 {
            Err(PermissionGap::Used)
        } else if at >= self.ends_at {
            Err(PermissionGap::Over { ended_at: self.ends_at })
        } else if amount.minor() > self.cap.minor() {
            Err(PermissionGap::TooSmall { cap: self.cap })
        } else {
            Ok(())
        }
    }
}
