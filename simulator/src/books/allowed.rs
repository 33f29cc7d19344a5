//! One-off permissions: purchases that may be made although the terms refuse them.

use super::Books;
use crate::{
    programme::{Narrow, Permission, Scope},
    shops::Shop,
};

/// A one-off permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantedPermission {
    pub(crate) person: usize,
    pub(crate) about: PermissionSubject,
    /// Limit on one purchase, in minor units.
    pub(crate) most_minor: i64,
    /// How many purchases it allows.
    pub(crate) uses: usize,
    /// Start of validity in Unix seconds, inclusive.
    pub(crate) from: i64,
    /// End of validity in Unix seconds, exclusive.
    pub(crate) ends: i64,
}

/// The shop or the scope that a permission covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PermissionSubject {
    Shop(&'static Shop),
    Scope(Scope),
}

impl GrantedPermission {
    /// A permission from the programme file.
    pub(super) fn of_file(person: usize, permission: &Permission) -> Self {
        Self {
            person,
            about: PermissionSubject::Scope(permission.on.clone()),
            most_minor: permission.up_to.0,
            uses: permission.uses,
            from: permission.from.as_second(),
            ends: permission.ends.as_second(),
        }
    }
}

impl GrantedPermission {
    /// Precedence among several permissions that cover a purchase: the earliest, then the
    /// narrowest.
    pub(super) const fn precedence(&self) -> (i64, u8) {
        let breadth = match &self.about {
            PermissionSubject::Shop(_)
            | PermissionSubject::Scope(Scope::Narrow(Narrow::Shop(_) | Narrow::ShopKey(_))) => 0,
            PermissionSubject::Scope(Scope::Narrow(Narrow::Code(_))) => 1,
            PermissionSubject::Scope(Scope::Narrow(Narrow::Category(_))) => 2,
            PermissionSubject::Scope(Scope::Wide(_)) => 3,
        };
        (self.from, breadth)
    }
}

impl Books {
    /// Adds a permission that two people agreed on during the play.
    pub(crate) fn allow(&mut self, allowed: GrantedPermission) {
        self.allowed.push(allowed);
    }

    /// The person's permissions that were given by `at`, each with its index.
    pub(crate) fn allowed(
        &self,
        person: usize,
        at: i64,
    ) -> impl Iterator<Item = (usize, &GrantedPermission)> {
        let given = self.allowed.iter().enumerate();
        given.filter(move |(_, allowed)| allowed.person == person && allowed.from <= at)
    }

    /// Usage of the permission `allowed` by all purchases except `but`.
    pub(crate) fn used(&self, allowed: usize, but: usize) -> PermissionUsage {
        let mut used = PermissionUsage::default();
        for (number, purchase) in &self.purchases {
            let committed = purchase.committed_minor();
            if *number == but || committed == 0 || !purchase.uses(allowed) {
                continue;
            }
            used.purchases += 1;
            if purchase.captured_minor > 0 {
                used.captured += 1;
            } else {
                used.open_minor += committed;
                used.open_at.push(purchase.shop);
            }
        }
        used
    }
}

/// Usage of a permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PermissionUsage {
    /// Purchases with a hold or a capture.
    pub(crate) purchases: usize,
    /// Purchases with a capture.
    captured: usize,
    /// The amount held by purchases without a capture, in minor units.
    open_minor: i64,
    /// The shops of those purchases.
    open_at: Vec<&'static Shop>,
}

impl GrantedPermission {
    /// Why the permission does not help with a purchase of `whole_minor` at the shop now; `None`
    /// when it helps. `most_minor` is its limit including the margin for an exchange rate change.
    ///
    /// Purchases without a capture share one use with another at the same shop, as long as their
    /// sum stays within the limit, because shops retry.
    pub(crate) fn unusable_reason(
        &self,
        used: &PermissionUsage,
        (shop, whole_minor): (&Shop, i64),
        most_minor: i64,
        at: i64,
    ) -> Option<&'static str> {
        let has_uses_left = used.purchases < self.uses;
        let is_open = used.captured == 0 && used.open_minor > 0;
        if !has_uses_left && !is_open {
            return Some("ok_used");
        }
        if at >= self.ends {
            return Some("ok_over");
        }
        if whole_minor > most_minor {
            return Some("ok_small");
        }
        let is_here = used.open_at.iter().all(|open| open.is_same_as(shop));
        let is_within = is_here && used.open_minor + whole_minor <= most_minor;
        (!has_uses_left && !is_within).then_some("ok_held")
    }
}
