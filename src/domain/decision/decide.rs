//! The decision rules: a pure function from a request and its [`Facts`] to a [`Decision`].

use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::{Gate, Scope, Term, TermAnswer};
use crate::domain::ask::permission::{
    Grantor, Permission, PermissionRequirement, PermissionShortfall,
};
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    Approval, AuthorisationRequest, CardholderFacts, Decision, DeclineReasons, Facts,
    PartialApproval, ProgrammeState, PurchaseContinuation,
};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{PermissionId, PotId};
use crate::domain::money::limit::{CountingAttributes, Limit, LimitUsage};
use crate::domain::money::{Money, MoneyError};
use crate::domain::people::person::PersonState;
use crate::domain::pot::release::NextRelease;
use crate::domain::pot::{FundingSource, PotFunds, PotPart, PotPlan, drain};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::Category;

/// The current version of the decision rules.
///
/// Facts carry the version that decided, so that a recorded decision is always replayed under its
/// own rules. A change that can alter an outcome, or the order of its reasons, needs a new version
/// and keeps the old rules. A rule that depends on facts that old records lack needs no branch,
/// because without them it gives the old outcome.
///
/// 1. Limits decline the whole purchase.
/// 2. Where issuer and terminal support partial approval, limits on amounts allow a partial
///    approval, as low funds do. A decline states how much would be approved at the same shop.
pub const VERSION: u32 = 2;

/// Decides `request` from `facts`, under the rules version that the facts carry.
///
/// Pure: no clock, no randomness, no I/O, so that every decision can be replayed from its facts.
///
/// For a purchase above zero by a known card in the programme's currency all checks run, in order
/// of relevance to the person: the first reason is shown, the others are recorded. Other requests
/// stop early, and so does one whose purchase reference belongs to another person.
pub fn decide(request: &AuthorisationRequest, facts: &Facts) -> Decision {
    match evaluate(request, facts) {
        Decision::Decline(reasons) if gives_parts(facts) => Decision::Decline(DeclineReasons {
            payable: payable(request, facts, &reasons),
            ..reasons
        }),
        decision @ (Decision::Approve(_) | Decision::Decline(_)) => decision,
    }
}

const fn gives_parts(facts: &Facts) -> bool {
    facts.rules_version >= 2
}

/// The largest amount that would be approved at the same shop, if amounts are the only reasons.
fn payable(
    request: &AuthorisationRequest,
    facts: &Facts,
    reasons: &DeclineReasons,
) -> Option<Money> {
    // A permission lifts limits up to its cap, so the limits do not bound the amount here.
    let is_permitted = matches!(reasons.first, DeclineReason::OkSmall { .. });
    let mut most = request.amount;
    for reason in reasons.iter() {
        if let DeclineReason::OkSmall { cap: left }
        | DeclineReason::NoMoney { left, .. }
        | DeclineReason::NotYet { left, .. } = reason
        {
            most = most.least(*left).ok()?;
        } else if let DeclineReason::OverPurchase { limit: left }
        | DeclineReason::OverPeriod { left, .. } = reason
            && !is_permitted
        {
            most = most.least(*left).ok()?;
        }
    }
    if most == request.amount {
        return None;
    }
    // Cash back beyond the amount counts as the whole amount, so it need not shrink with it.
    let less = AuthorisationRequest { amount: most, ..request.clone() };
    let is_paid = most.is_positive()
        && matches!(evaluate(&less, facts), Decision::Approve(approval) if approval.amount == most);
    is_paid.then_some(most)
}

fn evaluate(request: &AuthorisationRequest, facts: &Facts) -> Decision {
    if facts.continues == PurchaseContinuation::OtherPerson {
        // The purchase reference is another person's, so nothing in the request can be trusted.
        return Decision::Decline(DeclineReasons::only(DeclineReason::Conflict));
    }
    let Some(holder) = &facts.holder else {
        return Decision::Decline(DeclineReasons::only(DeclineReason::UnknownCard));
    };
    let mut reasons = state_reasons(facts, holder);
    if request.amount.currency() != facts.programme.currency {
        reasons.push(DeclineReason::OtherCurrency);
        return decline(reasons);
    }
    if request.amount.is_zero() {
        return if reasons.is_empty() { approve_verification(request) } else { decline(reasons) };
    }
    let shop = facts.shop_of(request);
    let purchase = PurchaseAssessment { request, facts, holder, shop };
    purchase.evaluate(&reasons).unwrap_or_else(|_| {
        // A sum that overflows 64 bits exceeds the funds of any pot.
        reasons.push(purchase.overflow_reason());
        decline(reasons)
    })
}

/// Step 1: the states of the card, the person and the programme.
fn state_reasons(facts: &Facts, holder: &CardholderFacts) -> Vec<DeclineReason> {
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
    let reasons = DeclineReasons::from_list(reasons);
    Decision::Decline(reasons.unwrap_or(DeclineReasons::only(DeclineReason::OurFault)))
}

/// A verification is approved for any usable card; no rule about money applies.
fn approve_verification(request: &AuthorisationRequest) -> Decision {
    Decision::Approve(Approval {
        amount: request.amount,
        parts: Vec::new(),
        matched: Scope::Everything,
        permission: None,
    })
}

/// A reason why the agreement by itself does not allow a purchase.
struct Objection {
    reason: DeclineReason,
    /// For a block that the person set on themselves: the days it stays in force after they ask to
    /// lift it.
    cooling_days: Option<u32>,
    /// The part of the requested amount that is still allowed; `None` if no partial amount is.
    leaves: Option<Money>,
}

/// Whether a permission overrides the objections to a purchase.
enum PermissionOverride {
    Nothing,
    By(PermissionId),
    /// No permission was given, or the latest one is not sufficient for this reason.
    No(Option<DeclineReason>),
}

/// A purchase or increment by a known card, in the programme's currency, above zero.
struct PurchaseAssessment<'a> {
    request: &'a AuthorisationRequest,
    facts: &'a Facts,
    holder: &'a CardholderFacts,
    shop: ShopIdentity,
}

impl PurchaseAssessment<'_> {
    /// Runs steps 2 to 6 after the `state_reasons` of step 1.
    ///
    /// The order in which this function adds reasons is the order of the recorded reasons; the
    /// first one is shown.
    fn evaluate(&self, state_reasons: &[DeclineReason]) -> Result<Decision, MoneyError> {
        let mut reasons = state_reasons.to_vec();
        reasons.extend(self.stream_rule());
        let matched = self.matched();
        let scope = matched.map_or(Scope::EverythingElse, |term| term.scope().clone());
        let mut objections = self.list_objections(matched);
        objections.extend(self.limit_objections(matched, &scope)?);
        let permission_override = self.permission_override(&objections)?;
        let most = match permission_override {
            PermissionOverride::Nothing | PermissionOverride::By(_) => Some(self.request.amount),
            PermissionOverride::No(_) => self.part_within(&objections)?,
        };
        if let Some(most) = most.filter(|_| reasons.is_empty())
            && let Some((amount, parts)) = self.funded_parts(most)?
        {
            let permission = match permission_override {
                PermissionOverride::By(permission) => Some(permission),
                PermissionOverride::Nothing | PermissionOverride::No(_) => None,
            };
            return Ok(Decision::Approve(Approval { amount, parts, matched: scope, permission }));
        }
        // Step 5 before steps 3 and 4: why a permission is not sufficient tells the person more
        // than the objection that it was given for.
        match permission_override {
            PermissionOverride::Nothing => {}
            PermissionOverride::By(_) => objections.clear(),
            PermissionOverride::No(gap) => reasons.extend(gap),
        }
        reasons.extend(objections.into_iter().map(|objection| objection.reason));
        reasons.extend(self.funds_reason()?);
        Ok(decline(reasons))
    }

    /// Step 2: categories that the funding streams may never pay for. No permission lifts this.
    fn stream_rule(&self) -> Option<DeclineReason> {
        let (streams, kinds) = (&self.facts.programme.streams, self.facts.kinds());
        let barred = self.holder.agreement.barred(streams, kinds, self.facts.moment.date)?;
        Some(DeclineReason::FunderRule { category: barred.clone() })
    }

    /// The most specific term about the purchase.
    fn matched(&self) -> Option<&Term> {
        let mcc = self.request.merchant.mcc();
        self.holder.agreement.matched(mcc, &self.shop, self.facts.kinds())
    }

    /// Step 3: what the agreement says about the shop and about the way of paying.
    fn list_objections(&self, matched: Option<&Term>) -> Vec<Objection> {
        let shop = matched.and_then(|term| self.scope_objection(term));
        let gates = Gate::ALL.iter().filter_map(|gate| self.gate_objection(*gate));
        shop.into_iter().chain(gates).collect()
    }

    fn scope_objection(&self, term: &Term) -> Option<Objection> {
        let category = term.scope().category().unwrap_or(&self.facts.category).clone();
        let reason = match (term.answer(), term.scope()) {
            (TermAnswer::Yes, _) => return None,
            (_, Scope::Shop(_) | Scope::OneShop(..) | Scope::Code(_)) => DeclineReason::PlaceOff,
            (_, _) if category == Category::unsorted() => DeclineReason::Unsorted,
            (TermAnswer::Ask, _) => DeclineReason::CategoryAsk { category },
            (TermAnswer::No, _) => DeclineReason::CategoryOff { category },
        };
        Some(Objection { reason, cooling_days: term.cooling_days(), leaves: None })
    }

    fn gate_objection(&self, gate: Gate) -> Option<Objection> {
        let term = self.holder.agreement.gate(gate)?;
        if term.answer() == TermAnswer::Yes
            || !self.request.passes(gate, &self.facts.programme.home)
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
        Some(Objection { reason, cooling_days: term.cooling_days(), leaves: None })
    }

    /// Step 4: the limits of the matched term, of the gates that apply, and of the `everything`
    /// term.
    ///
    /// An increment is checked twice: with the attributes that the purchase began with, because its
    /// amount is added to those counters, and with its own, because the shop may have changed
    /// category.
    fn limit_objections(
        &self,
        matched: Option<&Term>,
        scope: &Scope,
    ) -> Result<Vec<Objection>, MoneyError> {
        let agreement = &self.holder.agreement;
        let home = &self.facts.programme.home;
        let gates = Gate::ALL
            .iter()
            .copied()
            .filter(|gate| self.request.passes(*gate, home))
            .filter_map(|gate| agreement.gate(gate));
        let now = self.counted(scope.clone());
        let mut judged: Vec<(&Term, &CountingAttributes)> =
            matched.into_iter().chain(gates).map(|term| (term, &now)).collect();
        if let Some(original) = &self.facts.original_attributes {
            let is_its_own = |term: &&Term| {
                let is_gate = matches!(term.scope(), Scope::Gate(_));
                *term.scope() == original.matched || (is_gate && original.is_within(term.scope()))
            };
            let is_new =
                |term: &&Term| !judged.iter().any(|(known, _)| known.scope() == term.scope());
            let own: Vec<_> = agreement.terms.iter().filter(is_its_own).filter(is_new).collect();
            judged.extend(own.into_iter().map(|term| (term, original)));
        }
        judged.extend(agreement.everything().map(|term| (term, &now)));
        let mut objections = Vec::new();
        for (term, counted) in judged {
            for limit in term.limits() {
                let over = self.exceeded_limit(term, limit, counted)?;
                objections.extend(over.map(|(reason, leaves)| Objection {
                    reason,
                    cooling_days: term.cooling_days(),
                    leaves,
                }));
            }
        }
        Ok(objections)
    }

    /// The counting attributes of this request by itself, with the scope of its matched term.
    fn counted(&self, matched: Scope) -> CountingAttributes {
        let (on, category) = (self.facts.counted_on(), &self.facts.category);
        let shop = self.shop.clone();
        CountingAttributes::new(
            self.request,
            shop,
            on,
            category,
            &self.facts.programme.home,
            matched,
        )
    }

    /// Whether `limit` is exceeded: the reason, and the part of the requested amount that it still
    /// allows.
    fn exceeded_limit(
        &self,
        term: &Term,
        limit: &Limit,
        counted: &CountingAttributes,
    ) -> Result<Option<(DeclineReason, Option<Money>)>, MoneyError> {
        let scope = term.scope();
        let amount = counted.amount_counted_in(scope, self.request.amount)?;
        let used = |period| {
            let key = counted.counter(scope, period);
            self.facts.counters.get(&key).copied().unwrap_or(LimitUsage::nothing(amount))
        };
        let reason = match *limit {
            Limit::PerPurchase(most) => {
                let whole = counted.amount_counted_in(scope, self.purchase_total()?)?;
                let over = whole.minor() > most.minor();
                let left = most.saturating_sub(whole.checked_sub(amount)?)?;
                let leaves = Some(counted.amount_from_counted(scope, left)?);
                over.then_some((DeclineReason::OverPurchase { limit: most }, leaves))
            }
            Limit::Amount { per, most } => {
                let left = most.saturating_sub(used(per).amount)?;
                let until = per.last_day(counted.on);
                let over = amount.minor() > left.minor();
                let leaves = Some(counted.amount_from_counted(scope, left)?);
                let reason = DeclineReason::OverPeriod { period: per, limit: most, left, until };
                over.then_some((reason, leaves))
            }
            Limit::Count { per, most } => {
                let is_new = self.facts.continues == PurchaseContinuation::Nothing;
                let until = per.last_day(counted.on);
                let over = is_new && used(per).purchases >= most;
                over.then_some((DeclineReason::TooMany { period: per, limit: most, until }, None))
            }
        };
        Ok(reason)
    }

    /// The total of the purchase: the requested amount plus what earlier approvals hold or have
    /// captured.
    fn purchase_total(&self) -> Result<Money, MoneyError> {
        match self.facts.continues {
            PurchaseContinuation::Nothing | PurchaseContinuation::OtherPerson => {
                Ok(self.request.amount)
            }
            PurchaseContinuation::Open { so_far, .. } => self.request.amount.checked_add(so_far),
        }
    }

    /// Step 5: a live permission overrides objections of the list and its limits, if its cap covers
    /// the whole purchase.
    ///
    /// It never overrides a block that the person set on themselves before its cooling time is
    /// over. Returns the permission to use, or why the latest permission is not sufficient.
    fn permission_override(
        &self,
        objections: &[Objection],
    ) -> Result<PermissionOverride, MoneyError> {
        if objections.is_empty() {
            return Ok(PermissionOverride::Nothing);
        }
        let whole = self.purchase_total()?;
        let at = self.facts.moment.at;
        let covers = |permission: &Permission| {
            permission.covers(&PermissionRequirement {
                whole,
                at,
                exchange: self.facts.exchange,
                is_same_shop: self.facts.held_here.contains(&permission.id),
            })
        };
        let is_given = |p: &&Permission| p.given_at <= at && self.is_about(p);
        let given: Vec<_> = self.facts.permissions.iter().filter(is_given).collect();
        let live = given.iter().find(|p| {
            covers(p).is_ok() && objections.iter().all(|objection| has_cooled(objection, p, at))
        });
        if let Some(permission) = live {
            return Ok(PermissionOverride::By(permission.id));
        }
        let gap = given.last().and_then(|p| covers(p).err());
        Ok(PermissionOverride::No(gap.map(|gap| match gap {
            PermissionShortfall::Used => DeclineReason::OkUsed,
            PermissionShortfall::Held { held } => DeclineReason::OkHeld { held },
            PermissionShortfall::Over { ended_at } => DeclineReason::OkOver { ended_at },
            PermissionShortfall::TooSmall { cap } => DeclineReason::OkSmall { cap },
        })))
    }

    fn is_about(&self, permission: &Permission) -> bool {
        let matched = self.matched();
        let matched = matched.map_or(Scope::EverythingElse, |term| term.scope().clone());
        let original = self.facts.original_attributes.as_ref();
        let began_within = original.is_some_and(|original| original.is_within(&permission.scope));
        began_within || self.counted(matched).is_within(&permission.scope)
    }

    /// The largest partial amount that every limit allows, if a partial approval is possible.
    /// `None` if any objection is not a limit on an amount.
    fn part_within(&self, objections: &[Objection]) -> Result<Option<Money>, MoneyError> {
        if !gives_parts(self.facts) {
            return Ok(None);
        }
        let mut most = self.request.amount;
        for objection in objections {
            let Some(leaves) = objection.leaves else { return Ok(None) };
            most = most.least(leaves)?;
        }
        Ok(Some(most).filter(|most| self.may_pay_part(*most)))
    }

    /// The approved amount, up to `most`, and the pots that hold it; `None` if the funds are too
    /// low.
    fn funded_parts(&self, most: Money) -> Result<Option<(Money, Vec<PotPart>)>, MoneyError> {
        let parts = drain(most.checked_add(self.margin(most)?)?, &self.sources()?)?;
        // The margin never causes a decline: as much of it is held as the pots have.
        let amount = most.least(self.sum_parts(&parts)?)?;
        let is_enough = amount == self.request.amount || self.may_pay_part(amount);
        Ok(is_enough.then_some((amount, parts)))
    }

    /// The margin to hold beyond `amount`, which is the requested amount or a part of it.
    fn margin(&self, amount: Money) -> Result<Money, MoneyError> {
        let whole = self.facts.margin;
        let rest = self.request.amount.checked_sub(amount)?;
        if rest.is_zero() {
            return Ok(whole);
        }
        match self.facts.continues {
            PurchaseContinuation::Nothing | PurchaseContinuation::OtherPerson => {
                whole.least(self.facts.exchange.of(amount)?)
            }
            // The margin of earlier approvals stays whole; only the share of the amount not
            // approved is subtracted, less one minor unit, because shares are rounded up and the
            // reservation must not be below what will be held.
            PurchaseContinuation::Open { .. } => {
                let less = self.facts.exchange.of(rest)?;
                let one = Money::from_minor(i64::from(less.is_positive()), less.currency());
                whole.saturating_sub(less.checked_sub(one)?)
            }
        }
    }

    fn sum_parts(&self, parts: &[PotPart]) -> Result<Money, MoneyError> {
        Money::sum(self.request.amount.currency(), parts.iter().map(|part| part.amount))
    }

    /// Step 6: why the pots that may pay cover neither the requested amount nor an allowed partial
    /// one.
    fn funds_reason(&self) -> Result<Option<DeclineReason>, MoneyError> {
        let wanted = self.request.amount.checked_add(self.facts.margin)?;
        let held = self.sum_parts(&drain(wanted, &self.sources()?)?)?;
        let left = self.request.amount.least(held)?;
        let gap = self.request.amount.checked_sub(left)?;
        if !gap.is_positive() || self.may_pay_part(left) {
            return Ok(None);
        }
        let held_back = self.held_back()?;
        Ok(Some(match self.next_release()? {
            // Only if the held-back money does not cover the gap, because that is available sooner.
            Some(NextRelease { amount: comes, on }) if held_back.minor() < gap.minor() => {
                DeclineReason::NotYet { left, comes, on }
            }
            Some(_) | None => DeclineReason::NoMoney { left, gap, held_back },
        }))
    }

    /// The pots that may pay with their funds, in drain order: each agreed pot is preceded by the
    /// person's own pots within it that they chose to pay from.
    fn funding_pots(&self) -> impl Iterator<Item = (&PotPlan, &PotId, &PotFunds)> {
        let (pots, date) = (&self.facts.pots, self.facts.moment.date);
        let streams = &self.facts.programme.streams;
        let order = self.holder.agreement.drain_order(streams, self.facts.kinds(), date);
        order.into_iter().flat_map(move |plan| {
            let own = pots.iter().filter(|(_, pot)| pot.part_of.as_ref() == Some(&plan.id));
            own.chain(pots.get_key_value(&plan.id)).map(move |(id, pot)| (plan, id, pot))
        })
    }

    /// What the person holds back in the pots that may pay.
    fn held_back(&self) -> Result<Money, MoneyError> {
        let currency = self.request.amount.currency();
        let held = |(_, _, pot): (&PotPlan, &PotId, &PotFunds)| {
            pot.held_back.map(|held| held.least(pot.left))
        };
        let held: Result<Vec<_>, _> = self.funding_pots().filter_map(held).collect();
        Money::sum(currency, held?)
    }

    /// What can be spent from the pots that may pay.
    fn sources(&self) -> Result<Vec<FundingSource>, MoneyError> {
        let source = |(plan, id, pot): (&PotPlan, &PotId, &PotFunds)| {
            let available = plan.spendable(pot, self.facts.moment.date)?;
            Ok(FundingSource { pot: id.clone(), available })
        };
        self.funding_pots().map(source).collect()
    }

    /// The next scheduled release into the pots that may pay: the total of the first day that has
    /// one.
    fn next_release(&self) -> Result<Option<NextRelease>, MoneyError> {
        let mut next: Option<NextRelease> = None;
        for (plan, _, pot) in self.funding_pots().filter(|(plan, id, _)| plan.id == **id) {
            let Some(coming) = plan.next(pot, self.facts.moment.date)? else { continue };
            next = Some(match next {
                Some(known) if known.on < coming.on => known,
                Some(known) if known.on == coming.on => {
                    NextRelease { amount: known.amount.checked_add(coming.amount)?, on: known.on }
                }
                Some(_) | None => coming,
            });
        }
        Ok(next)
    }

    /// Whether a partial approval of `left` is allowed. Cash back is paid in full or not at all,
    /// and a cash machine's fee is not paid without any cash.
    fn may_pay_part(&self, left: Money) -> bool {
        self.request.partial == PartialApproval::Allowed
            && self.holder.agreement.partial
            && left.minor() > self.request.atm_fee.minor()
            && left.minor() >= self.request.cash_back.minor()
    }

    fn overflow_reason(&self) -> DeclineReason {
        let nothing = Money::zero(self.request.amount.currency());
        DeclineReason::NoMoney { left: nothing, gap: self.request.amount, held_back: nothing }
    }
}

/// Whether the cooling time of a block that the person set on themselves has passed since
/// `permission` was given; never for a permission that the programme gave.
fn has_cooled(objection: &Objection, permission: &Permission, at: Timestamp) -> bool {
    objection.cooling_days.is_none_or(|days| {
        let cooling = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
        let cooled_at = permission.given_at.checked_add(cooling);
        permission.grantor == Grantor::People && cooled_at.is_ok_and(|cooled_at| at >= cooled_at)
    })
}
