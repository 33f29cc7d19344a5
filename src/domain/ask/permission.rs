//! A permission: a one-off OK for something the agreement does not allow by itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::Scope;
use crate::domain::id::PermissionId;
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::people::role::stored_enum;

stored_enum!(
    /// Who gave a permission.
    Grantor {
        /// Somebody, by name.
        People => "people",
        /// The programme's rule, or its clock. It never lifts what the person set on themselves.
        Programme => "programme",
    }
);

/// How long after its end a permission is kept: longer than any hold that it allowed can be open.
const PERMISSION_RETENTION: SignedDuration = SignedDuration::from_hours(40 * 24);

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
    pub giver: Grantor,
    /// What the purchases that use it hold and have captured. None for one that was given before
    /// this was kept: no second hold joins the first one then.
    pub uses: Option<PermissionUsage>,
}

/// What is made of a permission: sums over the purchases that use it, whatever the order in which
/// anything was told about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionUsage {
    /// What is committed by purchases of which nothing was captured.
    pub open: Money,
    /// How many those are, by what their shop is known by. Facts leave it out, and keep whether all
    /// of them are at the shop that asks.
    pub open_at: BTreeMap<String, u32>,
    /// Of how many purchases something was captured.
    pub captured: u32,
}

impl PermissionUsage {
    /// Not used so far.
    pub const fn none(currency: Currency) -> Self {
        Self { open: Money::zero(currency), open_at: BTreeMap::new(), captured: 0 }
    }

    /// With one purchase more: `open` is what it has committed, none if something of it was
    /// captured.
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

    /// Without a purchase that was added before.
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

    /// Whether holds are open and nothing was captured: then one more at the same shop is part of
    /// the same use.
    fn is_open(&self) -> bool {
        self.captured == 0 && self.open.is_positive()
    }
}

impl Permission {
    /// Its precedence where several permissions cover a purchase: the one given first is used first,
    /// and of those given together the one with the narrowest scope, so that an OK for one shop is not
    /// left over while the OK for its category is used up.
    pub const fn precedence(&self) -> (Timestamp, &Scope, PermissionId) {
        (self.given_at, &self.scope, self.id)
    }

    /// What ended then or before is forgotten when this one is given.
    pub fn retention_cutoff(&self) -> Timestamp {
        self.given_at.checked_sub(PERMISSION_RETENTION).unwrap_or(Timestamp::MIN)
    }
}

/// Why a permission that was given does not help this purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionShortfall {
    Used,
    /// Earlier holds, of which nothing was captured, leave too little of it.
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
    /// What it comes to with what was approved of it before. The currencies are the same.
    pub whole: Money,
    pub at: Timestamp,
    /// By how much the price may have moved since the permission was given.
    pub exchange: MarginPercent,
    /// Whether the open holds under the permission are all at its shop.
    pub is_same_shop: bool,
}

impl Permission {
    /// Whether it can still be used at `at`.
    pub fn is_live(&self, at: Timestamp) -> bool {
        let is_open = self.uses.as_ref().is_some_and(PermissionUsage::is_open);
        (self.uses_left > 0 || is_open) && at < self.ends_at
    }

    /// Whether the permission can pay for what is needed.
    ///
    /// * It covers its cap, and in another currency the programme's margin beyond it.
    /// * Where it was used up by holds of which nothing was captured, a further one at the same shop
    ///   is part of the same use, as long as all of them together stay within that.
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

    /// The most that it covers of a price that may have moved by `exchange`, in minor units.
    fn most(&self, exchange: MarginPercent) -> i64 {
        let margin = exchange.of(self.cap).map_or(0, Money::minor);
        self.cap.minor().saturating_add(margin)
    }
}
