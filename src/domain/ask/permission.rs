//! A permission: a one-off OK for a purchase that the agreement does not allow.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Scope;
use crate::domain::id::PermissionId;
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// Who gave a permission.
    Grantor {
        /// A named human being.
        People => "people",
        /// A rule or a timeout of the programme. Such a permission never lifts a block that the
        /// person set on themselves.
        Programme => "programme",
    }
);

/// How long a permission is kept after its end: longer than any hold that it allowed can be open.
const PERMISSION_RETENTION: SignedDuration = SignedDuration::from_hours(40 * 24);

/// A one-off OK. The answer to an ask creates it, an approval uses it, and undoing the approval
/// returns the use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub id: PermissionId,
    /// What it is for.
    pub scope: Scope,
    /// The most that one purchase may cost.
    pub cap: Money,
    /// Negative when a purchase that was undone has become active again; it then allows no new use.
    pub uses_left: i64,
    /// When its validity begins (inclusive).
    pub given_at: Timestamp,
    pub ends_at: Timestamp,
    pub grantor: Grantor,
    /// The usage by the purchases under this permission. None for a permission from before usage
    /// was recorded: a second hold then never shares its use.
    pub uses: Option<PermissionUsage>,
}

/// The usage of a permission: sums over the purchases that use it, independent of the order in
/// which their messages arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionUsage {
    /// The total committed by purchases without a capture.
    pub open: Money,
    /// The number of those purchases per shop.
    /// [`Facts`](crate::domain::decision::authorisation::Facts) omit it and keep only whether all
    /// of them are at the shop of the request.
    pub open_at: BTreeMap<String, u32>,
    /// The number of purchases with a capture.
    pub captured: u32,
}

impl PermissionUsage {
    /// No usage.
    pub const fn none(currency: Currency) -> Self {
        Self { open: Money::zero(currency), open_at: BTreeMap::new(), captured: 0 }
    }

    /// Adds a purchase at `shop`. `open` is the amount that it has committed; none once something
    /// of it was captured.
    ///
    /// # Errors
    ///
    /// [`MoneyError`] for another currency or an overflow.
    pub fn add(&mut self, shop: &str, open: Option<Money>) -> Result<(), MoneyError> {
        let Some(open) = open else {
            self.captured = self.captured.saturating_add(1);
            return Ok(());
        };
        self.open = self.open.checked_add(open)?;
        let at = self.open_at.entry(shop.to_owned()).or_default();
        *at = at.saturating_add(1);
        Ok(())
    }

    /// Removes a purchase that was added with the same arguments.
    ///
    /// # Errors
    ///
    /// [`MoneyError`] for another currency or an overflow.
    pub fn take(&mut self, shop: &str, open: Option<Money>) -> Result<(), MoneyError> {
        let Some(open) = open else {
            self.captured = self.captured.saturating_sub(1);
            return Ok(());
        };
        self.open = self.open.checked_sub(open)?;
        if let Some(at) = self.open_at.get_mut(shop) {
            *at = at.saturating_sub(1);
        }
        self.open_at.retain(|_, purchases| *purchases > 0);
        Ok(())
    }

    /// Whether holds are open and nothing was captured: one more hold at the same shop is then part
    /// of the same use.
    fn is_open(&self) -> bool {
        self.captured == 0 && self.open.is_positive()
    }
}

impl Permission {
    /// The sort key when several permissions cover a purchase: the earliest is used first, and of
    /// those given together the one with the narrowest scope, so that an OK for one shop is not
    /// left over while the OK for its category is used up.
    pub const fn precedence(&self) -> (Timestamp, &Scope, PermissionId) {
        (self.given_at, &self.scope, self.id)
    }

    /// Permissions that ended at or before this instant are purged when this one is given.
    pub fn retention_cutoff(&self) -> Timestamp {
        self.given_at.checked_sub(PERMISSION_RETENTION).unwrap_or(Timestamp::MIN)
    }
}

/// Why a permission does not cover a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionShortfall {
    Used,
    /// Open holds without a capture have taken its use: they are at another shop, or leave too
    /// little of it.
    Held {
        held: Money,
    },
    Over {
        ended_at: Timestamp,
    },
    TooSmall {
        cap: Money,
    },
}

/// A purchase that needs a permission.
#[derive(Debug, Clone, Copy)]
pub struct PermissionRequirement {
    /// The total of the purchase, including what was approved of it before, in the currency of the
    /// permission.
    pub whole: Money,
    pub at: Timestamp,
    /// The margin by which the price may have moved since the permission was given.
    pub exchange: MarginPercent,
    /// Whether all open holds under the permission are at the shop of this purchase.
    pub is_same_shop: bool,
}

impl Permission {
    /// Whether it can still be used at `at`.
    pub fn is_live(&self, at: Timestamp) -> bool {
        let is_open = self.uses.as_ref().is_some_and(PermissionUsage::is_open);
        (self.uses_left > 0 || is_open) && at < self.ends_at
    }

    /// Checks that the permission covers `needed`.
    ///
    /// * The most that it covers is its cap plus, in another currency, the programme's margin.
    /// * Once its use is taken by holds without a capture, a further hold at the same shop is part
    ///   of the same use, as long as all of them together stay within that amount.
    ///
    /// # Errors
    ///
    /// [`PermissionShortfall`]: the first reason why it does not.
    pub fn covers(&self, needed: &PermissionRequirement) -> Result<(), PermissionShortfall> {
        let most = self.most(needed.exchange);
        let is_spare = self.uses_left > 0;
        let open = self.uses.as_ref().filter(|uses| uses.is_open());
        let held = match open {
            _ if is_spare => None,
            Some(uses) => Some(uses.open),
            None => return Err(PermissionShortfall::Used),
        };
        if needed.at >= self.ends_at {
            return Err(PermissionShortfall::Over { ended_at: self.ends_at });
        }
        if needed.whole.minor() > most {
            return Err(PermissionShortfall::TooSmall { cap: self.cap });
        }
        match held {
            Some(held)
                if !needed.is_same_shop
                    || held.minor().saturating_add(needed.whole.minor()) > most =>
            {
                Err(PermissionShortfall::Held { held })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The cap plus the margin `exchange`, in minor units.
    fn most(&self, exchange: MarginPercent) -> i64 {
        let margin = exchange.of(self.cap).map_or(0, Money::minor);
        self.cap.minor().saturating_add(margin)
    }
}
