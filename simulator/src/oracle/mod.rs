//! Computes the expected answer to an authorisation request from the books and the agreement.
//!
//! | Module | Holds |
//! | --- | --- |
//! | `violation` | a violated term or limit, and the order of the checks |
//! | `terms` | the terms that apply to a purchase, and those that refuse it |
//! | `limits` | the limits that a purchase exceeds |
//! | `permissions` | the one-off permissions that lift what the terms refuse |

mod limits;
mod permissions;
mod terms;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::{
    books::{Books, PersonBook},
    programme::CardState,
    shops::Shop,
};
use terms::ApplicableTerms;
use violation::TermViolation;

/// An authorisation request of the issuer.
#[derive(Debug, Clone)]
pub(crate) struct AuthorisationRequest {
    /// Number of the purchase in the plan.
    pub(crate) number: usize,
    /// Index into the books' people; `None` for a card that the programme never issued.
    pub(crate) person: Option<usize>,
    pub(crate) card: CardState,
    pub(crate) shop: &'static Shop,
    /// Requested amount in minor units; for an increment the increment only.
    pub(crate) amount_minor: i64,
    pub(crate) is_amount_controllable: bool,
    /// The part of `amount_minor` that is the cash machine's own fee.
    pub(crate) fee_minor: i64,
    /// Whether the shop prices in another currency than the card's.
    pub(crate) is_foreign: bool,
    /// Time of the purchase by the issuer's account, in Unix seconds.
    pub(crate) bought_at: i64,
}

/// The answer that the books require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpectedDecision {
    Approve,
    /// Approval of a smaller amount than requested, in minor units.
    Part(i64),
    /// Decline with any one of these reasons: those of the first failing check.
    Decline(BTreeSet<&'static str>),
}

impl Books {
    /// Runs the checks in order: card, funder rules, agreement, limits, money.
    pub(crate) fn decide(&self, request: &AuthorisationRequest, at: i64) -> ExpectedDecision {
        let decline = |reason| ExpectedDecision::Decline(BTreeSet::from([reason]));
        let known = request.person.and_then(|index| Some((index, self.people.get(index)?)));
        let (index, person) = match (known, request.card.decline_reason()) {
            (None, _) => return decline("unknown_card"),
            (Some(_), Some(reason)) => return decline(reason),
            (Some(known), None) => known,
        };
        if person.is_frozen {
            return decline("frozen_self");
        }
        if person.is_ended {
            return decline("ended");
        }
        if self.is_paused {
            return decline("paused");
        }
        if request.amount_minor == 0 {
            return ExpectedDecision::Approve; // an account verification
        }
        let shop = request.shop;
        let now = self.local(at);
        if is_unlawful(person, shop, now.date()) {
            return decline("funder_rule");
        }
        let violations = self.violations(request, (index, person), at);
        let may_approve_part = |part: i64| {
            // A part must exceed the fee, because a withdrawal of nothing but the fee is of no use.
            let is_worth_it = part > request.fee_minor;
            is_worth_it && request.is_amount_controllable && person.is_partial_agreed
        };
        let asked = request.amount_minor;
        let most = if violations.is_empty() || self.permission_for(request, at).is_some() {
            Some(asked)
        } else {
            // The least of what the amount limits leave; `None` if any violation is of another
            // kind.
            let leaves: Option<Vec<_>> = violations.iter().map(|o| o.leaves_minor).collect();
            let least = leaves.and_then(|leaves| leaves.into_iter().min());
            least.map(|least| least.min(asked)).filter(|part| may_approve_part(*part))
        };
        let Some(most) = most else {
            return ExpectedDecision::Decline(self.reasons(request, &violations, at));
        };
        let parts = self.cover(index, shop, most, now.date());
        let kept = self.purchases.get(&request.number).map_or(0, |p| p.margin_held_minor());
        let covered = (parts.iter().map(|(_, part)| part).sum::<i64>() + kept).min(most);
        if covered >= asked {
            ExpectedDecision::Approve
        } else if may_approve_part(covered) {
            ExpectedDecision::Part(covered)
        } else if most < asked {
            ExpectedDecision::Decline(self.reasons(request, &violations, at))
        } else {
            let pots = self.eligible(index, shop, now.date()).into_iter();
            let mut pots = pots.filter_map(|pot| person.pots.get(pot));
            let comes = pots.any(|pot| pot.has_more_to_come(now.date()));
            decline(if comes { "not_yet" } else { "no_money" })
        }
    }

    /// Violations of the terms and of their limits.
    fn violations<'a>(
        &self,
        request: &AuthorisationRequest,
        (index, person): (usize, &'a PersonBook),
        at: i64,
    ) -> Vec<TermViolation<'a>> {
        let terms = ApplicableTerms::of(person, request.shop, &self.home, &self.local(at));
        let mut violations = terms.violations(request.shop);
        violations.extend(self.limits_broken(request, index, &terms, at));
        violations
    }

    /// Acceptable reasons: those of the first failing stage, and why a permission does not help.
    fn reasons(
        &self,
        request: &AuthorisationRequest,
        violations: &[TermViolation<'_>],
        at: i64,
    ) -> BTreeSet<&'static str> {
        let first = violations.iter().map(|violation| violation.check).min();
        let nearest = violations.iter().filter(|violation| Some(violation.check) == first);
        let reasons = nearest.map(|violation| violation.reason);
        reasons.chain(self.permission_shortfall(request, at)).collect()
    }
}

impl CardState {
    /// Why a card in this state is declined; `None` for an active card.
    const fn decline_reason(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::NotStarted => Some("not_started"),
            Self::FrozenByPerson => Some("frozen_self"),
            Self::FrozenByStaff => Some("frozen_staff"),
            Self::Lost => Some("card_lost"),
            Self::Replaced => Some("old_card"),
            Self::Expired => Some("expired"),
            Self::Unknown => Some("unknown_card"),
        }
    }
}

/// Whether funder rules bar the shop for every pot that is agreed for its category, or for every
/// pot when none is.
fn is_unlawful(person: &PersonBook, shop: &Shop, date: Date) -> bool {
    let agreed: Vec<_> =
        person.pots.iter().filter(|pot| pot.is_agreed_for(shop.category)).collect();
    let asked = if agreed.is_empty() { person.pots.iter().collect() } else { agreed };
    !asked.is_empty() && asked.iter().all(|pot| pot.is_barred(shop, date))
}
