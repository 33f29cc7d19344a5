//! One-off permissions: which one lifts the violations of a purchase, and why the others do not.

use super::{AuthorisationRequest, violation::TermViolation};
use crate::{
    books::{Books, GrantedPermission, PermissionSubject, PersonBook},
    shops::Shop,
};

impl Books {
    /// The number of the permission that lifts every violation, if one does.
    pub(crate) fn permission_for(&self, request: &AuthorisationRequest, at: i64) -> Option<usize> {
        let index = request.person?;
        let person = self.people.get(index)?;
        self.allowed(index, at).next()?;
        let violations = self.violations(request, (index, person), at);
        if violations.is_empty() {
            return None;
        }
        let mut given = self
            .allowed(index, at)
            .filter(|(_, allowed)| self.permission_covers(person, request.shop, &allowed.about));
        let lifts = |(number, allowed): &(usize, &GrantedPermission)| {
            self.unusable_reason(request, *number, allowed, at).is_none()
                && violations.iter().all(|violation| violation.has_cooled(allowed.from, at))
        };
        given.find(lifts).map(|(number, _)| number)
    }

    /// Why the latest permission that covers the purchase does not help.
    pub(super) fn permission_shortfall(
        &self,
        request: &AuthorisationRequest,
        at: i64,
    ) -> Option<&'static str> {
        let index = request.person?;
        let person = self.people.get(index)?;
        let about = |(_, allowed): &(usize, &GrantedPermission)| {
            self.permission_covers(person, request.shop, &allowed.about)
        };
        let (number, allowed) = self.allowed(index, at).filter(about).last()?;
        self.unusable_reason(request, number, allowed, at)
    }

    /// Why a permission does not help with the request; `None` when it helps. The purchase's own
    /// earlier use of the permission does not count against it.
    fn unusable_reason(
        &self,
        request: &AuthorisationRequest,
        number: usize,
        allowed: &GrantedPermission,
        at: i64,
    ) -> Option<&'static str> {
        let used = self.used(number, request.number);
        let margin = if request.is_foreign { self.margin_of(allowed.most_minor) } else { 0 };
        let wanted = (request.shop, self.whole_minor(request));
        allowed.unusable_reason(&used, wanted, allowed.most_minor + margin, at)
    }

    /// The request's amount plus everything committed for the purchase before, in minor units.
    fn whole_minor(&self, request: &AuthorisationRequest) -> i64 {
        let open = self.purchases.get(&request.number);
        request.amount_minor + open.map_or(0, |purchase| purchase.committed_minor())
    }

    fn permission_covers(
        &self,
        person: &PersonBook,
        shop: &Shop,
        about: &PermissionSubject,
    ) -> bool {
        match about {
            PermissionSubject::Shop(agreed) => agreed.is_same_as(shop),
            PermissionSubject::Scope(scope) => self.is_within(person, scope, shop, shop.channel),
        }
    }
}

impl TermViolation<'_> {
    /// Whether a permission given at `given_at` lifts the violation by now: a person's own block
    /// outlasts a permission by its cooling days.
    fn has_cooled(&self, given_at: i64, at: i64) -> bool {
        const DAY: i64 = 86_400;
        self.term.own_block.is_none_or(|block| at >= given_at + block.cooling_days * DAY)
    }
}
