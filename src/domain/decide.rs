//! The decision. Everything else in Sayso carries facts to it and answers away from it.

use jiff::{SignedDuration, Timestamp};

use super::agreement::{Answer, Gate, Scope, Term};
use super::authorisation::{
    Approval, AuthorisationRequest, Continues, Decision, Facts, Holder, PartialAmounts,
    ProgrammeState, Reasons,
};
use super::card::CardState;
use super::id::{PermissionId, PotId};
use super::limit::{Committed, Counted, Limit};
use super::merchant::Category;
use super::money::{Money, MoneyError};
use super::permission::{Giver, Permission, PermissionGap};
use super::person::PersonState;
use super::pot::{InPot, PotPlan, Source, drain};
use super::reason::DeclineReason;
use super::release::Coming;

/// The version of the rules below. Facts carry the version that decided, so that a decision of any
/// year is explained by the rules of its year: a change that can change an answer, or the order of
/// its reasons, gets a new version and leaves the old ones as they are.
///
/// 1: limits refuse the whole purchase.
pub const VERSION: u32 = 1;

/// Decides `request` from `facts`, by the rules of the version that the facts carry.
///
/// Pure: no clock, no randomness, no I/O, so that every decision can be replayed from its facts.
/// The checks run in the order in which a person would want to hear of them, and all of them run:
/// the first reason is told, the others are kept.
pub fn decide(request: &AuthorisationRequest, facts: &Facts) -> Decision {
    if facts.continues == Continues::Anothers {
        // The issuer names a purchase of somebody else: nothing about it can be right.
        return Decision::Decline(Reasons::only(DeclineReason::Conflict));
    }
    let Some(holder) = &facts.holder else {
        return Decision::Decline(Reasons::only(DeclineReason::UnknownCard));
    };
    let mut reasons = standing(facts, holder);
    if request.amount.currency() != facts.programme.currency {
        reasons.push(DeclineReason::OtherCurrency);
        return decline(reasons);
    }
    if request.amount.is_zero() {
        return if reasons.is_empty() { nothing_to_hold(request) } else { decline(reasons) };
    }
    let purchase = Purchase { request, facts, holder };
    purchase.judge(&reasons).unwrap_or_else(|_| {
        // Sums that do not fit 64 bits are more than any pot holds.
        reasons.push(purchase.more_than_any_pot());
        decline(reasons)
    })
}

/// Step 1: the card, the person and the programme.
fn standing(facts: &Facts, holder: &Holder) -> Vec<DeclineReason> {
    let card = match holder.card {
        CardState::Active => None,
        CardState::NotStarted => Some(DeclineReason::NotStarted),
        CardState::FrozenByPerson => Some(DeclineReason::FrozenSelf),
        CardState::FrozenByStaff => Some(DeclineReason::FrozenStaff),
        CardState::Lost => Some(DeclineReason::CardLost),
        CardState::Replaced => Some(DeclineReason::OldCard),
        CardState::Expired => Some(DeclineReason::Expired),
    };
    let person = match holder.person {
        PersonState::Active => None,
        PersonState::Ended => Some(DeclineReason::Ended),
    };
    let programme = match facts.programme.state {
        ProgrammeState::Running => None,
        ProgrammeState::Paused => Some(DeclineReason::Paused),
    };
    card.into_iter().chain(person).chain(programme).collect()
}

fn decline(reasons: Vec<DeclineReason>) -> Decision {
    let reasons = Reasons::from_list(reasons);
    Decision::Decline(reasons.unwrap_or(Reasons::only(DeclineReason::OurFault)))
}

/// A shop that only checks the card learns whether the card is good; no rule about money applies.
fn nothing_to_hold(request: &AuthorisationRequest) -> Decision {
    Decision::Approve(Approval {
        amount: request.amount,
        parts: Vec::new(),
        matched: Scope::Everything,
        permission: None,
    })
}

/// A reason why the agreement alone does not allow a purchase.
struct Objection {
    reason: DeclineReason,
    /// Set by the person on themselves: how many days it outlasts their wish to lift it.
    cooling_days: Option<u32>,
}

/// One purchase of a known card, in the programme's currency, above zero.
struct Purchase<'a> {
    request: &'a AuthorisationRequest,
    facts: &'a Facts,
    holder: &'a Holder,
}

impl Purchase<'_> {
    fn judge(&self, standing: &[DeclineReason]) -> Result<Decision, MoneyError> {
        let mut reasons = standing.to_vec();
        reasons.extend(self.law());
        let matched = self.holder.agreement.matched(self.request, &self.facts.category);
        let scope = matched.map_or(Scope::EverythingElse, |term| term.scope().clone());
        let mut objections = self.list(matched);
        objections.extend(self.limits(matched, &scope)?);
        let permission = self.permission(&mut objections)?;
        reasons.extend(objections.into_iter().map(|objection| objection.reason));

        let wanted = self.request.amount.checked_add(self.facts.margin)?;
        let parts = drain(wanted, &self.sources()?)?;
        let held = Money::sum(self.request.amount.currency(), parts.iter().map(|p| p.amount))?;
        // Nobody is sent away for a margin: of that, whatever there is.
        let amount = self.request.amount.least(held)?;
        let gap = self.request.amount.checked_sub(amount)?;
        if gap.is_positive() && !self.may_pay_part(amount) {
            let held_back = self.held_back()?;
            reasons.push(match self.next_money()? {
                // What the person holds back is nearer than what comes some other day.
                Some(Coming { amount: comes, on }) if held_back.minor() < gap.minor() => {
                    DeclineReason::NotYet { left: amount, comes, on }
                }
                Some(_) | None => DeclineReason::NoMoney { left: amount, gap, held_back },
            });
        }
        if !reasons.is_empty() {
            return Ok(decline(reasons));
        }
        Ok(Decision::Approve(Approval { amount, parts, matched: scope, permission }))
    }

    /// Step 2: what each stream may never buy. Nothing lifts it.
    fn law(&self) -> Option<DeclineReason> {
        let (streams, category) = (&self.facts.programme.streams, &self.facts.category);
        let barred = self.holder.agreement.is_barred(streams, category, self.facts.moment.date);
        barred.then(|| DeclineReason::FunderRule { category: category.clone() })
    }

    /// Step 3: what the agreement says about the shop and about the way of paying.
    fn list(&self, matched: Option<&Term>) -> Vec<Objection> {
        let shop = matched.and_then(|term| self.shop_objection(term));
        let gates = Gate::ALL.into_iter().filter_map(|gate| self.gate_objection(gate));
        shop.into_iter().chain(gates).collect()
    }

    fn shop_objection(&self, term: &Term) -> Option<Objection> {
        let category = self.facts.category.clone();
        let reason = match (term.answer(), term.scope()) {
            (Answer::Yes, _) => return None,
            (_, Scope::Shop(_) | Scope::Code(_)) => DeclineReason::PlaceOff,
            (_, _) if category == Category::unsorted() => DeclineReason::Unsorted,
            (Answer::Ask, _) => DeclineReason::CategoryAsk { category },
            (Answer::No, _) => DeclineReason::CategoryOff { category },
        };
        Some(Objection { reason, cooling_days: term.cooling_days() })
    }

    fn gate_objection(&self, gate: Gate) -> Option<Objection> {
        let term = self.holder.agreement.gate(gate)?;
        if term.answer() == Answer::Yes || !self.request.passes(gate, &self.facts.programme.country)
        {
            return None;
        }
        let reason = match gate {
            Gate::Cash => DeclineReason::CashOff,
            Gate::CashBack => DeclineReason::CashBackOff,
            Gate::Online => DeclineReason::OnlineOff,
            Gate::Abroad => DeclineReason::AbroadOff,
            Gate::Hours => {
                let hours = term.hours()?;
                if hours.contain(self.facts.moment.time) {
                    return None;
                }
                DeclineReason::OutsideHours { hours }
            }
        };
        Some(Objection { reason, cooling_days: term.cooling_days() })
    }

    /// Step 5: the limits of the matched term, of the gates it passes, and on everything.
    fn limits(&self, matched: Option<&Term>, scope: &Scope) -> Result<Vec<Objection>, MoneyError> {
        let agreement = &self.holder.agreement;
        let country = &self.facts.programme.country;
        let gates = Gate::ALL
            .into_iter()
            .filter(|gate| self.request.passes(*gate, country))
            .filter_map(|gate| agreement.gate(gate));
        let counted = Counted::new(
            self.request,
            self.facts.counted_on(),
            &self.facts.category,
            country,
            scope.clone(),
        );
        let mut objections = Vec::new();
        for term in matched.into_iter().chain(gates).chain(agreement.everything()) {
            for limit in term.limits() {
                if let Some(reason) = self.over(term, limit, &counted)? {
                    objections.push(Objection { reason, cooling_days: term.cooling_days() });
                }
            }
        }
        Ok(objections)
    }

    fn over(
        &self,
        term: &Term,
        limit: &Limit,
        counted: &Counted,
    ) -> Result<Option<DeclineReason>, MoneyError> {
        let amount = counted.amount_in(term.scope(), self.request.amount)?;
        let used = |period| {
            let key = counted.counter(term.scope(), period);
            self.facts.counters.get(&key).copied().unwrap_or(Committed::nothing(amount))
        };
        let reason = match *limit {
            Limit::PerPurchase(most) => {
                let whole = counted.amount_in(term.scope(), self.whole()?)?;
                let over = whole.minor() > most.minor();
                over.then_some(DeclineReason::OverPurchase { limit: most })
            }
            Limit::Amount { per, most } => {
                let left = most.saturating_sub(used(per).amount)?;
                let until = per.last_day(counted.on);
                let over = amount.minor() > left.minor();
                over.then_some(DeclineReason::OverPeriod { period: per, limit: most, left, until })
            }
            Limit::Count { per, most } => {
                let is_new = self.facts.continues == Continues::Nothing;
                let until = per.last_day(counted.on);
                let over = is_new && used(per).purchases >= most;
                over.then_some(DeclineReason::TooMany { period: per, limit: most, until })
            }
        };
        Ok(reason)
    }

    /// What the purchase comes to with what was approved of it before.
    fn whole(&self) -> Result<Money, MoneyError> {
        match self.facts.continues {
            Continues::Nothing | Continues::Anothers => Ok(self.request.amount),
            Continues::Open { so_far, .. } => self.request.amount.checked_add(so_far),
        }
    }

    /// Step 4: a live permission lifts what the list and its limits object to, up to its cap for
    /// the whole purchase.
    ///
    /// It never lifts a block that the person set on themselves and that has not cooled. Returns
    /// the permission that is used up; tells the nearest gap when one was given but does not help.
    fn permission(
        &self,
        objections: &mut Vec<Objection>,
    ) -> Result<Option<PermissionId>, MoneyError> {
        if objections.is_empty() {
            return Ok(None);
        }
        let whole = self.whole()?;
        let at = self.facts.moment.at;
        let is_given = |p: &&Permission| p.given_at <= at && self.is_about(p);
        let given: Vec<_> = self.facts.permissions.iter().filter(is_given).collect();
        let live = given.iter().find(|p| {
            p.covers(whole, at).is_ok()
                && objections.iter().all(|objection| has_cooled(objection, p, at))
        });
        if let Some(permission) = live {
            objections.clear();
            return Ok(Some(permission.id));
        }
        let gap = given.last().and_then(|p| p.covers(whole, at).err());
        if let Some(gap) = gap {
            let reason = match gap {
                PermissionGap::Used => DeclineReason::OkUsed,
                PermissionGap::Over { ended_at } => DeclineReason::OkOver { ended_at },
                PermissionGap::TooSmall { cap } => DeclineReason::OkSmall { cap },
            };
            objections.insert(0, Objection { reason, cooling_days: None });
        }
        Ok(None)
    }

    fn is_about(&self, permission: &Permission) -> bool {
        let agreement = &self.holder.agreement;
        let matched = agreement.matched(self.request, &self.facts.category);
        let counted = Counted::new(
            self.request,
            self.facts.counted_on(),
            &self.facts.category,
            &self.facts.programme.country,
            matched.map_or(Scope::EverythingElse, |term| term.scope().clone()),
        );
        counted.is_within(&permission.scope)
    }

    /// The pots that may pay and what is in them, in the order in which they drain: those of the
    /// person's own that they want to pay from right before the one that they are part of.
    fn payers(&self) -> impl Iterator<Item = (&PotPlan, &PotId, &InPot)> {
        let (pots, date) = (&self.facts.pots, self.facts.moment.date);
        let streams = &self.facts.programme.streams;
        let order = self.holder.agreement.drain_order(streams, &self.facts.category, date);
        order.into_iter().flat_map(move |plan| {
            let own = pots.iter().filter(|(_, pot)| pot.part_of.as_ref() == Some(&plan.id));
            own.chain(pots.get_key_value(&plan.id)).map(move |(id, pot)| (plan, id, pot))
        })
    }

    /// What the person holds back of the pots that may pay.
    fn held_back(&self) -> Result<Money, MoneyError> {
        let currency = self.request.amount.currency();
        let held = |(_, _, pot): (&PotPlan, &PotId, &InPot)| {
            pot.held_back.map(|held| held.least(pot.left))
        };
        let held: Result<Vec<_>, _> = self.payers().filter_map(held).collect();
        Money::sum(currency, held?)
    }

    /// Step 6: what can be spent of the pots that may pay.
    fn sources(&self) -> Result<Vec<Source>, MoneyError> {
        let source = |(plan, id, pot): (&PotPlan, &PotId, &InPot)| {
            let available = plan.spendable(pot, self.facts.moment.date)?;
            Ok(Source { pot: id.clone(), available })
        };
        self.payers().map(source).collect()
    }

    /// What comes next by itself into the pots that may pay: all of the first day that brings any.
    fn next_money(&self) -> Result<Option<Coming>, MoneyError> {
        let mut next: Option<Coming> = None;
        for (plan, _, pot) in self.payers().filter(|(plan, id, _)| plan.id == **id) {
            let Some(coming) = plan.next(pot, self.facts.moment.date)? else { continue };
            next = Some(match next {
                Some(known) if known.on < coming.on => known,
                Some(known) if known.on == coming.on => {
                    Coming { amount: known.amount.checked_add(coming.amount)?, on: known.on }
                }
                Some(_) | None => coming,
            });
        }
        Ok(next)
    }

    /// Whether `left` may be paid in place of more. Cash back is handed out whole or not at all.
    fn may_pay_part(&self, left: Money) -> bool {
        self.request.partial == PartialAmounts::Allowed
            && self.holder.agreement.partial
            && left.is_positive()
            && left.minor() >= self.request.cash_back.minor()
    }

    fn more_than_any_pot(&self) -> DeclineReason {
        let nothing = Money::zero(self.request.amount.currency());
        DeclineReason::NoMoney { left: nothing, gap: self.request.amount, held_back: nothing }
    }
}

/// Whether a block that the person set on themselves has cooled since somebody gave `permission`.
fn has_cooled(objection: &Objection, permission: &Permission, at: Timestamp) -> bool {
    objection.cooling_days.is_none_or(|days| {
        let cooling = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
        let cooled_at = permission.given_at.checked_add(cooling);
        permission.giver == Giver::People && cooled_at.is_ok_and(|cooled_at| at >= cooled_at)
    })
}
