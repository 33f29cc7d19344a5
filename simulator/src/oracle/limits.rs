//! Limits on the amount and the number of purchases, and how much of each has been used.

use jiff::civil::Date;

use super::{
    AuthorisationRequest,
    terms::ApplicableTerms,
    violation::{CheckStage, TermViolation},
};
use crate::{
    books::{Books, PurchaseTimes},
    programme::{Limit, LimitPeriod, Scope, Term, Wide},
};

impl Books {
    /// The limits that the request exceeds.
    pub(super) fn limits_broken<'a>(
        &self,
        request: &AuthorisationRequest,
        person: usize,
        terms: &ApplicableTerms<'a>,
        at: i64,
    ) -> Vec<TermViolation<'a>> {
        let open = self.purchases.get(&request.number).filter(|p| p.committed_minor() > 0);
        let already = open.map_or(0, |purchase| purchase.committed_minor());
        // A purchase counts on one day only, including its increments of a later day.
        let when = PurchaseTimes { received_at: at, bought_at: request.bought_at };
        let day = open.map_or_else(|| self.day(when), |purchase| purchase.day);
        let fee = open.map_or(request.fee_minor, |purchase| purchase.fee_minor);
        let mut broken = Vec::new();
        for term in terms.all() {
            let mut object = |reason, leaves_minor| {
                broken.push(TermViolation {
                    check: CheckStage::Limits,
                    reason,
                    term,
                    leaves_minor,
                });
            };
            let out = if term.on == Scope::Wide(Wide::Cash) { fee } else { 0 };
            let asked = less_fee(out, request.amount_minor);
            for limit in &term.limits {
                let (amount, count) = if limit.per == LimitPeriod::Purchase {
                    (less_fee(out, already + request.amount_minor) - asked, 0)
                } else {
                    self.counted(person, term, limit, day)
                };
                if let Some(most) = limit.amount.filter(|most| amount + asked > most.0) {
                    let reason = match limit.per {
                        LimitPeriod::Purchase => "over_purchase",
                        LimitPeriod::Day
                        | LimitPeriod::Week
                        | LimitPeriod::Month
                        | LimitPeriod::Agreement => "over_period",
                    };
                    object(reason, Some((most.0 - amount).max(0) + out));
                }
                if open.is_none() && limit.count.is_some_and(|most| count + 1 > most) {
                    object("too_many", None);
                }
            }
        }
        broken
    }

    /// Usage of a limit in its period: the amount in minor units, and the number of purchases.
    fn counted(&self, person: usize, term: &Term, limit: &Limit, day: Date) -> (i64, usize) {
        let Some(book) = self.people.get(person) else { return (0, 0) };
        let (mut amount, mut count) = (0, 0);
        for purchase in self.purchases.values().filter(|p| p.person == person) {
            let committed = purchase.committed_minor();
            if committed > 0
                && is_same_period(limit.per, purchase.day, day)
                && self.covers(book, term, purchase)
            {
                let out = if term.on == Scope::Wide(Wide::Cash) { purchase.fee_minor } else { 0 };
                amount += less_fee(out, purchase.counted_minor());
                count += 1;
            }
        }
        (amount, count)
    }
}

/// The amount without the fee, at least zero.
fn less_fee(fee_minor: i64, amount_minor: i64) -> i64 {
    (amount_minor - fee_minor).max(0)
}

fn is_same_period(per: LimitPeriod, then: Date, now: Date) -> bool {
    match per {
        LimitPeriod::Purchase => false,
        LimitPeriod::Day => then == now,
        LimitPeriod::Week => {
            then.iso_week_date().first_of_week().ok() == now.iso_week_date().first_of_week().ok()
        }
        LimitPeriod::Month => then.first_of_month() == now.first_of_month(),
        LimitPeriod::Agreement => true,
    }
}
