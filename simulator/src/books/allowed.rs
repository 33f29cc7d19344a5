//! One-off OKs: what may be bought although the list says otherwise.

use super::Books;
use crate::{
    programme::{Narrow, Permission, Scope},
    shops::Shop,
};

/// A one-off OK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantedPermission {
    pub(crate) person: usize,
    pub(crate) about: PermissionSubject,
    /// The most that one purchase may be.
    pub(crate) most_minor: i64,
    /// How many purchases it is for.
    pub(crate) uses: usize,
    /// Unix seconds: from when it helps, and until when.
    pub(crate) from: i64,
    pub(crate) ends: i64,
}

/// What an OK is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PermissionSubject {
    Shop(&'static Shop),
    Scope(Scope),
}

impl GrantedPermission {
    /// An OK that the programme file gives.
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
    /// Its precedence where several cover a purchase: the one given first, then the narrowest one.
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
    /// Two people agreed on something apart from the list.
    pub(crate) fn allow(&mut self, allowed: GrantedPermission) {
        self.allowed.push(allowed);
    }

    /// The OKs of a person that were given by `at`, each with its number.
    pub(crate) fn allowed(
        &self,
        person: usize,
        at: i64,
    ) -> impl Iterator<Item = (usize, &GrantedPermission)> {
        let given = self.allowed.iter().enumerate();
        given.filter(move |(_, allowed)| allowed.person == person && allowed.from <= at)
    }

    /// What has become of the OK of that number, without what the purchase `but` makes of it.
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

/// What purchases have made of an OK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PermissionUsage {
    /// Of which anything is kept aside or was claimed.
    pub(crate) purchases: usize,
    /// Of which anything was claimed.
    captured: usize,
    /// What is kept aside by those of which nothing was claimed, and where.
    open_minor: i64,
    open_at: Vec<&'static Shop>,
}

impl GrantedPermission {
    /// Why it does not help with so much at that shop now; none when it helps. `most_minor` is what
    /// it is for, with what a price may have moved by.
    ///
    /// Tries of which nothing was claimed are one use with another at the same shop, as long as all
    /// of them together stay within it.
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
