//! One-off OKs: what may be bought although the list says otherwise.

use std::collections::BTreeSet;

use super::Books;
use crate::{
    programme::{Permission, Scope},
    shops::Shop,
};

/// A one-off OK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) person: usize,
    pub(crate) about: About,
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
pub(crate) enum About {
    Shop(&'static Shop),
    Scope(Scope),
}

impl Allowed {
    /// An OK that the programme file gives.
    pub(super) fn of_file(person: usize, permission: &Permission) -> Self {
        Self {
            person,
            about: About::Scope(permission.on.clone()),
            most_minor: permission.up_to.0,
            uses: permission.uses,
            from: permission.from.as_second(),
            ends: permission.ends.as_second(),
        }
    }
}

impl Books {
    /// Two people agreed on something apart from the list.
    pub(crate) fn allow(&mut self, allowed: Allowed) {
        self.allowed.push(allowed);
    }

    /// The OKs of a person that were given by `at`, each with its number.
    pub(crate) fn allowed(
        &self,
        person: usize,
        at: i64,
    ) -> impl Iterator<Item = (usize, &Allowed)> {
        let given = self.allowed.iter().enumerate();
        given.filter(move |(_, allowed)| allowed.person == person && allowed.from <= at)
    }

    /// How many purchases use the OK of that number: those of which anything is held or paid.
    pub(crate) fn uses(&self, allowed: usize) -> usize {
        let used = |number: &usize| {
            let purchase = self.purchases.get(number);
            purchase.is_some_and(|p| p.committed_minor() > 0 && p.uses(allowed))
        };
        self.using(allowed).iter().filter(|number| used(number)).count()
    }

    /// The purchases that were approved by the OK of that number.
    pub(crate) fn using(&self, allowed: usize) -> BTreeSet<usize> {
        let purchases = self.purchases.iter();
        purchases.filter(|(_, p)| p.uses(allowed)).map(|(number, _)| *number).collect()
    }
}
