//! Computes the expected answer to an authorisation request from the books and the agreement.

use std::collections::BTreeSet;

use jiff::{
    Zoned,
    civil::{Date, Time},
};

use crate::{
    books::{Books, GrantedPermission, PermissionSubject, PersonBook, Purchase, PurchaseTimes},
    programme::{
        CardState, HomeCountries, Hours, Limit, LimitPeriod, Narrow, Scope, Term, TermAnswer, Wide,
    },
    shops::{PurchaseChannel, Shop},
};

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
        let (index, person) = match (known, request.card.refusal()) {
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
        let terms = ApplicableTerms::of(person, shop, &self.home, &now);
        let violations = self.violations(request, index, &terms, at);
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
        person: usize,
        terms: &ApplicableTerms<'a>,
        at: i64,
    ) -> Vec<TermViolation<'a>> {
        let mut violations = terms.refusals(request.shop);
        violations.extend(self.limits_broken(request, person, terms, at));
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
        reasons.chain(self.permission_refusal(request, at)).collect()
    }

    /// The number of the permission that lifts every violation, if one does.
    pub(crate) fn permission_for(&self, request: &AuthorisationRequest, at: i64) -> Option<usize> {
        let index = request.person?;
        let person = self.people.get(index)?;
        self.allowed(index, at).next()?;
        let now = self.local(at);
        let terms = ApplicableTerms::of(person, request.shop, &self.home, &now);
        let violations = self.violations(request, index, &terms, at);
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
    fn permission_refusal(&self, request: &AuthorisationRequest, at: i64) -> Option<&'static str> {
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

    fn limits_broken<'a>(
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

    fn covers(&self, person: &PersonBook, term: &Term, purchase: &Purchase) -> bool {
        self.is_within(person, &term.on, purchase.shop, purchase.channel)
    }

    fn is_within(
        &self,
        person: &PersonBook,
        scope: &Scope,
        shop: &Shop,
        channel: PurchaseChannel,
    ) -> bool {
        match scope {
            Scope::Narrow(narrow) => rank(narrow, shop).is_some(),
            Scope::Wide(Wide::Everything | Wide::Hours) => true,
            Scope::Wide(Wide::EverythingElse) => {
                matched(person, shop).is_none_or(|term| term.on == *scope)
            }
            Scope::Wide(Wide::Cash) => shop.category == "cash",
            Scope::Wide(Wide::CashBack) => false,
            Scope::Wide(Wide::Online) => channel == PurchaseChannel::Online,
            Scope::Wide(Wide::Abroad) => self.home.is_abroad(shop.country),
        }
    }
}

/// A term or a limit that the purchase violates.
struct TermViolation<'a> {
    check: CheckStage,
    reason: &'static str,
    term: &'a Term,
    /// The part of the requested amount that the violation leaves; `None` when no part is possible.
    leaves_minor: Option<i64>,
}

/// The amount without the fee, at least zero.
fn less_fee(fee_minor: i64, amount_minor: i64) -> i64 {
    (amount_minor - fee_minor).max(0)
}

/// Stages of the check, in the order in which their reasons take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CheckStage {
    List,
    Limits,
}

impl TermViolation<'_> {
    /// Whether a permission given at `given_at` lifts the violation by now: a person's own block
    /// outlasts a permission by its cooling days.
    fn has_cooled(&self, given_at: i64, at: i64) -> bool {
        const DAY: i64 = 86_400;
        self.term.own_block.is_none_or(|block| at >= given_at + block.cooling_days * DAY)
    }
}

impl CardState {
    /// Why a card in this state is declined; `None` for an active card.
    const fn refusal(self) -> Option<&'static str> {
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

/// The terms that apply to one purchase.
struct ApplicableTerms<'a> {
    matched: Option<&'a Term>,
    gates: Vec<&'a Term>,
    everything: Vec<&'a Term>,
}

impl<'a> ApplicableTerms<'a> {
    fn of(person: &'a PersonBook, shop: &Shop, home: &HomeCountries, now: &Zoned) -> Self {
        let wide =
            |wanted: Wide| person.terms.iter().filter(move |term| term.on == Scope::Wide(wanted));
        let mut gates = Vec::new();
        if shop.category == "cash" {
            gates.extend(wide(Wide::Cash));
        }
        if shop.channel == PurchaseChannel::Online {
            gates.extend(wide(Wide::Online));
        }
        if home.is_abroad(shop.country) {
            gates.extend(wide(Wide::Abroad));
        }
        gates.extend(
            wide(Wide::Hours)
                .filter(|term| term.hours.is_some_and(|hours| !hours.contain(now.time()))),
        );
        Self { matched: matched(person, shop), gates, everything: wide(Wide::Everything).collect() }
    }

    fn all(&self) -> impl Iterator<Item = &'a Term> {
        let gates = self.gates.iter().chain(&self.everything).copied();
        self.matched.into_iter().chain(gates)
    }

    fn refusals(&self, shop: &Shop) -> Vec<TermViolation<'a>> {
        let refused = |term: &&Term| matches!(term.answer, Some(TermAnswer::Ask | TermAnswer::No));
        let gates = self.gates.iter().copied().filter(refused).filter_map(|term| {
            let reason = match term.on {
                Scope::Wide(Wide::Cash) => "cash_off",
                Scope::Wide(Wide::CashBack) => "cash_back_off",
                Scope::Wide(Wide::Online) => "online_off",
                Scope::Wide(Wide::Abroad) => "abroad_off",
                Scope::Wide(Wide::Hours) => "hours",
                Scope::Wide(Wide::Everything | Wide::EverythingElse) | Scope::Narrow(_) => {
                    return None;
                }
            };
            Some((reason, term))
        });
        let matched = self.matched.filter(refused).map(|term| {
            let reason = match (&term.on, term.answer) {
                (Scope::Narrow(Narrow::Shop(_) | Narrow::ShopKey(_) | Narrow::Code(_)), _) => {
                    "place_off"
                }
                (_, _) if shop.category == "unsorted" => "unsorted",
                (_, Some(TermAnswer::Ask)) => "category_ask",
                (_, Some(TermAnswer::Yes | TermAnswer::No) | None) => "category_off",
            };
            (reason, term)
        });
        let all = gates.chain(matched);
        let object = |(reason, term)| TermViolation {
            check: CheckStage::List,
            reason,
            term,
            leaves_minor: None,
        };
        all.map(object).collect()
    }
}

impl Hours {
    /// Whether a time of day is within the hours. Hours that end before they begin span midnight.
    fn contain(self, time: Time) -> bool {
        if self.from <= self.to {
            time >= self.from && time < self.to
        } else {
            time >= self.from || time < self.to
        }
    }
}

/// The most specific term for the shop. A term on one of the shop's additional categories wins if
/// it is stricter, unless the most specific term names the shop or its code.
fn matched<'a>(person: &'a PersonBook, shop: &Shop) -> Option<&'a Term> {
    let mut wide = person.terms.iter();
    let nearest = most_specific(person, shop)
        .or_else(|| wide.find(|term| term.on == Scope::Wide(Wide::EverythingElse)));
    let is_named = nearest.is_some_and(|term| match &term.on {
        Scope::Narrow(narrow) => !matches!(narrow, Narrow::Category(_)),
        Scope::Wide(_) => false,
    });
    if is_named {
        return nearest;
    }
    let strictness = |term: &&Term| match term.answer {
        Some(TermAnswer::No) => 2,
        Some(TermAnswer::Ask) => 1,
        Some(TermAnswer::Yes) | None => 0,
    };
    let is_also = |term: &&Term| match &term.on {
        Scope::Narrow(Narrow::Category(category)) => shop.also.contains(&category.as_str()),
        Scope::Narrow(_) | Scope::Wide(_) => false,
    };
    let strictest = person.terms.iter().filter(is_also).max_by_key(strictness);
    let usual = nearest.as_ref().map_or(0, strictness);
    strictest.filter(|term| strictness(term) > usual).or(nearest)
}

/// The term for this shop, else for its code, else for its category.
fn most_specific<'a>(person: &'a PersonBook, shop: &Shop) -> Option<&'a Term> {
    let rank = |term: &Term| match &term.on {
        Scope::Narrow(narrow) => rank(narrow, shop),
        Scope::Wide(_) => None,
    };
    let ranked = person.terms.iter().filter_map(|term| Some((rank(term)?, term)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, term)| term)
}

/// Specificity of a term for the shop, lower is more specific; `None` when the term does not match.
fn rank(narrow: &Narrow, shop: &Shop) -> Option<(usize, usize)> {
    match narrow {
        Narrow::Shop(name) => shop.rank_of(name).map(|rank| (0, rank)),
        Narrow::ShopKey(key) => shop.rank_of_key(key).map(|rank| (0, rank)),
        Narrow::Code(code) => (code == shop.code).then_some((1, 0)),
        Narrow::Category(category) => (category == shop.category).then_some((2, 0)),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        books::{AuthorisationApproval, Presentment},
        programme::{OwnBlock, Programme},
        shops,
    };

    const NOON: i64 = 1_795_435_200; // Monday 2026-11-23 12:00 in London

    fn demo() -> Books {
        let text = include_str!("../../merchant-rules/demo.toml");
        Books::open(&Programme::read(text).unwrap()).unwrap()
    }

    fn ask(person: usize, shop: &'static Shop, amount_minor: i64) -> AuthorisationRequest {
        AuthorisationRequest {
            number: 99,
            person: Some(person),
            card: CardState::Active,
            shop,
            amount_minor,
            is_amount_controllable: true,
            fee_minor: 0,
            is_foreign: false,
            bought_at: NOON,
        }
    }

    /// A request at a till that accepts no partial approval.
    fn whole(person: usize, shop: &'static Shop, amount_minor: i64) -> AuthorisationRequest {
        AuthorisationRequest { is_amount_controllable: false, ..ask(person, shop, amount_minor) }
    }

    impl Books {
        /// The expected decision for a purchase that is made at the time of the request.
        fn verdict(&self, request: &AuthorisationRequest, at: i64) -> ExpectedDecision {
            self.decide(&AuthorisationRequest { bought_at: at, ..request.clone() }, at)
        }
    }

    fn no(reason: &'static str) -> ExpectedDecision {
        ExpectedDecision::Decline(BTreeSet::from([reason]))
    }

    #[test]
    fn noon_is_noon_on_the_story_day() {
        assert_eq!(demo().local(NOON).datetime().to_string(), "2026-11-23T12:00:00");
    }

    #[test]
    fn the_most_specific_term_answers() {
        let books = demo();
        assert_eq!(
            books.verdict(&ask(0, &shops::PETROL_STATIONS[0], 10_00), NOON),
            ExpectedDecision::Approve
        );
        assert_eq!(
            books.verdict(&ask(0, &shops::PETROL_STATIONS[0], 10_01), NOON),
            no("over_purchase")
        );
        assert_eq!(books.verdict(&ask(0, &shops::PHONE_SHOPS[0], 79_00), NOON), no("category_ask"));
        assert_eq!(
            books.verdict(&ask(1, &shops::THEORY_TEST, 11_50), NOON),
            ExpectedDecision::Approve
        );
        assert_eq!(books.verdict(&ask(1, &shops::COURSE, 11_50), NOON), no("category_ask"));
    }

    #[test]
    fn a_barred_category_is_the_funders_word_and_not_the_agreements() {
        assert_eq!(demo().verdict(&ask(1, &shops::BETTING_SHOP, 5_00), NOON), no("funder_rule"));
        assert_eq!(demo().verdict(&ask(0, &shops::OFF_LICENCE, 5_00), NOON), no("category_off"));
    }

    #[test]
    fn a_margin_is_no_reason_and_may_pay_for_more_of_the_same() {
        let text = include_str!("../../merchant-rules/demo.toml");
        let text = text.replacen("[programme]", "[programme]\nexchange_margin_percent = 10", 1);
        let mut books = Books::open(&Programme::read(&text).unwrap()).unwrap();
        books.mark_foreign(99);
        // Ana has 45.00. Without terms only the money decides.
        books.people[2].terms = Arc::default();
        let bus = |amount| ask(2, &shops::BUS, amount);
        books.hold(99, 2, &shops::BUS, 27_00, NOON);
        assert_eq!(books.people[2].pots[0].held_minor, 29_70);
        assert_eq!(books.verdict(&bus(18_01), NOON), ExpectedDecision::Part(18_00));
        assert_eq!(books.verdict(&bus(18_00), NOON), ExpectedDecision::Approve);
    }

    #[test]
    fn a_released_hold_gives_the_day_back() {
        let mut books = demo();
        books.hold(1, 1, &shops::SUPERMARKETS[0], 22_00, NOON);
        let again = whole(1, &shops::SUPERMARKETS[1], 21_00);
        assert_eq!(books.verdict(&again, NOON + 60), no("over_period"));
        assert_eq!(books.verdict(&again, NOON + 86_400), ExpectedDecision::Approve, "the next day");
        books.lower(1, 0);
        assert_eq!(books.verdict(&again, NOON + 60), ExpectedDecision::Approve);
    }

    #[test]
    fn a_week_begins_on_monday() {
        let mut books = demo();
        books.hold(1, 0, &shops::CASH_MACHINE, 15_00, NOON - 86_400);
        let cash = ask(0, &shops::CASH_MACHINE, 20_00);
        assert_eq!(books.verdict(&cash, NOON), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&cash, NOON - 3600 * 13), no("over_period"), "Sunday 23:00");
    }

    #[test]
    fn counts_gates_and_the_line_over_everything_apply_together() {
        let mut books = demo();
        for number in 1..=3 {
            books.hold(number, 2, &shops::CAFES[0], 3_00, NOON);
        }
        assert_eq!(books.verdict(&ask(2, &shops::CAFES[1], 3_00), NOON), no("too_many"));
        assert_eq!(books.verdict(&whole(2, &shops::CHEMISTS[0], 26_01), NOON), no("over_period"));
        let part = books.verdict(&ask(2, &shops::CHEMISTS[0], 26_01), NOON);
        assert_eq!(part, ExpectedDecision::Part(26_00));
        assert_eq!(books.verdict(&ask(2, &shops::BOOKS_ONLINE, 1_00), NOON), no("online_off"));
        let late = NOON + 11 * 3600;
        assert_eq!(books.verdict(&ask(2, &shops::CHEMISTS[0], 1_00), late), no("hours"));
    }

    #[test]
    fn a_shortfall_of_money_and_limits_on_amounts_leave_a_part() {
        let mut books = demo();
        books.hold(1, 1, &shops::FURNITURE, 60_00, NOON);
        assert_eq!(
            books.verdict(&ask(1, &shops::SHOE_SHOPS[0], 38_00), NOON),
            ExpectedDecision::Part(20_00)
        );
        assert_eq!(
            books.verdict(&ask(1, &shops::SHOE_SHOPS[0], 61_00), NOON),
            ExpectedDecision::Part(20_00)
        );
        let shoes = whole(1, &shops::SHOE_SHOPS[0], 61_00);
        assert_eq!(books.verdict(&shoes, NOON), no("over_purchase"));
        let fixed = whole(1, &shops::SHOE_SHOPS[0], 38_00);
        assert_eq!(books.verdict(&fixed, NOON), no("no_money"));
        let phone = ask(0, &shops::PHONE_SHOPS[0], 79_00);
        assert_eq!(books.verdict(&phone, NOON), no("category_ask"), "no part helps");
    }

    #[test]
    fn what_comes_back_gives_the_limit_of_its_day_back_and_the_count_stays() {
        let mut books = demo();
        let cafe = (2, &shops::CAFES[0]);
        for number in 1..=3 {
            books.hold(number, 2, &shops::CAFES[0], 9_00, NOON);
            books.capture(number, cafe, Presentment::of(9_00), PurchaseTimes::at_once(NOON));
        }
        let chemist = |amount| whole(2, &shops::CHEMISTS[0], amount);
        assert_eq!(books.verdict(&chemist(8_01), NOON), no("over_period"), "35.00 a day");
        books.refund(1, cafe, Presentment::of(9_00), PurchaseTimes::at_once(NOON));
        assert_eq!(books.verdict(&chemist(17_00), NOON), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&chemist(17_01), NOON), no("over_period"));
        assert_eq!(books.verdict(&ask(2, &shops::CAFES[0], 1_00), NOON), no("too_many"));
        let tomorrow = NOON + 86_400;
        books.refund(2, cafe, Presentment::of(9_00), PurchaseTimes::at_once(tomorrow));
        assert_eq!(books.verdict(&chemist(35_00), tomorrow), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&chemist(35_01), tomorrow), no("over_period"), "of yesterday");
    }

    #[test]
    fn a_purchase_counts_on_its_own_day_if_it_is_told_within_a_week() {
        let books = demo();
        let day =
            |bought_at: i64| books.day(PurchaseTimes { received_at: NOON, bought_at }).to_string();
        let week = 7 * 86_400;
        assert_eq!(day(NOON), "2026-11-23");
        assert_eq!(day(NOON - 86_400), "2026-11-22");
        assert_eq!(day(NOON - week), "2026-11-16");
        assert_eq!(day(NOON - week - 1), "2026-11-23");
        assert_eq!(day(NOON + 1), "2026-11-23", "it is still to come");
        let mut books = demo();
        books.hold(1, 1, &shops::SUPERMARKETS[0], 22_00, NOON - 86_400);
        let late = AuthorisationRequest {
            bought_at: NOON - 86_400,
            ..whole(1, &shops::SUPERMARKETS[1], 21_00)
        };
        assert_eq!(books.decide(&late, NOON), no("over_period"));
    }

    #[test]
    fn a_machines_own_fee_is_no_cash() {
        let books = demo();
        let cash = |amount, fee_minor| {
            books.verdict(
                &AuthorisationRequest { fee_minor, ..whole(0, &shops::CASH_MACHINE, amount) },
                NOON,
            )
        };
        assert_eq!(cash(21_75, 1_75), ExpectedDecision::Approve);
        assert_eq!(cash(21_76, 1_75), no("over_period"));
        assert_eq!(cash(20_01, 0), no("over_period"));
        let mut books = demo();
        books.people[0].is_partial_agreed = true;
        let part = |books: &Books, amount| {
            let request =
                AuthorisationRequest { fee_minor: 1_75, ..ask(0, &shops::CASH_MACHINE, amount) };
            books.verdict(&request, NOON)
        };
        assert_eq!(part(&books, 31_75), ExpectedDecision::Part(21_75));
        books.hold(1, 0, &shops::CASH_MACHINE, 19_99, NOON);
        assert_eq!(part(&books, 31_75), ExpectedDecision::Part(1_76));
        books.hold(2, 0, &shops::CASH_MACHINE, 1, NOON);
        assert_eq!(part(&books, 31_75), no("over_period"), "a fee for nothing");
    }

    #[test]
    fn tries_at_one_shop_of_which_nothing_was_claimed_are_one_use_of_an_ok() {
        let text = "[[person.permission]]\non = { code = \"4812\" }\nup_to = \"30.00\"\nuses = 1\n\
                    from = 2026-11-23T11:00:00Z\nends = 2026-11-30T11:00:00Z\n";
        let mut books = changed("exchange_margin_percent = 10", "");
        books.people[2].terms = Arc::new(vec![Term {
            on: Scope::Narrow(Narrow::Code("4812".to_owned())),
            answer: Some(TermAnswer::No),
            limits: Vec::new(),
            hours: None,
            own_block: None,
        }]);
        assert_eq!(books.verdict(&whole(2, &shops::PHONE_SHOPS[0], 1_00), NOON), no("place_off"));
        books.allowed = changed("", text).allowed;
        let shop = |number, shop, amount_minor| AuthorisationRequest {
            number,
            ..whole(2, shop, amount_minor)
        };
        let here = |number, amount| shop(number, &shops::PHONE_SHOPS[0], amount);
        let there = |number, amount| shop(number, &shops::PHONE_SHOPS[1], amount);
        let off =
            |also: &'static str| ExpectedDecision::Decline(BTreeSet::from(["place_off", also]));
        let abroad = AuthorisationRequest { is_foreign: true, ..here(1, 33_00) };
        assert_eq!(books.verdict(&abroad, NOON), ExpectedDecision::Approve);
        let dearer = AuthorisationRequest { amount_minor: 33_01, ..abroad };
        assert_eq!(books.verdict(&dearer, NOON), off("ok_small"));
        assert_eq!(books.verdict(&here(1, 30_01), NOON), off("ok_small"));
        let (whose, when) = ((2, &shops::PHONE_SHOPS[0]), PurchaseTimes::at_once(NOON));
        let approval = |amount_minor| AuthorisationApproval {
            request_number: 0,
            amount_minor,
            allowed: Some(0),
        };
        books.approve(1, whose, approval(20_00), when);
        assert_eq!(
            books.verdict(&here(1, 10_00), NOON),
            ExpectedDecision::Approve,
            "more of the same"
        );
        assert_eq!(books.verdict(&here(2, 10_00), NOON), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&here(2, 10_01), NOON), off("ok_held"));
        assert_eq!(books.verdict(&there(2, 1_00), NOON), off("ok_held"));
        books.approve(2, whose, approval(10_00), when);
        books.lower(1, 0);
        assert_eq!(
            books.verdict(&here(3, 20_00), NOON),
            ExpectedDecision::Approve,
            "one was given up"
        );
        books.capture(2, whose, Presentment::of(10_00), when);
        assert_eq!(books.verdict(&here(3, 1_00), NOON), off("ok_used"));
    }

    /// The demo programme with lines added to its `[programme]` table and at its end.
    fn changed(head: &str, rest: &str) -> Books {
        let text = include_str!("../../merchant-rules/demo.toml");
        let text = text.replacen("[programme]", &format!("[programme]\n{head}"), 1);
        Books::open(&Programme::read(&format!("{text}\n{rest}")).unwrap()).unwrap()
    }

    #[test]
    fn a_card_a_person_or_a_programme_that_is_stopped_pays_for_nothing() {
        use CardState::{
            Active, Expired, FrozenByPerson, FrozenByStaff, Lost, NotStarted, Replaced, Unknown,
        };
        let mut books = demo();
        for (card, reason) in [
            (NotStarted, "not_started"),
            (FrozenByPerson, "frozen_self"),
            (FrozenByStaff, "frozen_staff"),
            (Lost, "card_lost"),
            (Replaced, "old_card"),
            (Expired, "expired"),
            (Unknown, "unknown_card"),
        ] {
            let request = AuthorisationRequest { card, ..ask(0, &shops::NEWSAGENTS[0], 1_00) };
            assert_eq!(books.verdict(&request, NOON), no(reason));
        }
        let check = AuthorisationRequest { card: Active, ..ask(0, &shops::STREAMING, 0) };
        books.is_paused = true;
        assert_eq!(books.verdict(&check, NOON), no("paused"));
        books.people[0].is_ended = true;
        assert_eq!(books.verdict(&check, NOON), no("ended"));
    }

    #[test]
    fn more_than_one_country_may_be_home() {
        let at = |country: &'static str| -> &'static Shop {
            Box::leak(Box::new(Shop { country, ..shops::DINER_ABROAD }))
        };
        let verdict = |books: &Books, country| books.verdict(&ask(1, at(country), 2_00), NOON);
        let home = changed("home_countries = [\"JE\", \"PT\"]", "");
        let far = changed("unknown_country = \"abroad\"", "");
        for (country, at_home, far_away) in [
            ("GB", ExpectedDecision::Approve, ExpectedDecision::Approve),
            ("PT", ExpectedDecision::Approve, no("abroad_off")),
            ("FR", no("abroad_off"), no("abroad_off")),
            ("", ExpectedDecision::Approve, no("abroad_off")),
            ("GBR", ExpectedDecision::Approve, no("abroad_off")),
        ] {
            assert_eq!(verdict(&home, country), at_home, "{country}");
            assert_eq!(verdict(&far, country), far_away, "{country}");
        }
    }

    #[test]
    fn an_ok_of_the_file_is_for_so_many_purchases_of_so_much_until_it_ends() {
        let mut books = changed(
            "",
            "[[person.permission]]\non = { category = \"hobbies\" }\nup_to = \"9.00\"\nuses = 1\n\
             from = 2026-11-23T11:00:00Z\nends = 2026-11-23T13:00:00Z\n",
        );
        let mut terms = (*books.people[2].terms).clone();
        terms.push(Term {
            on: Scope::Narrow(Narrow::Category("hobbies".to_owned())),
            answer: Some(TermAnswer::No),
            limits: Vec::new(),
            hours: None,
            own_block: None,
        });
        books.people[2].terms = Arc::new(terms);
        let off =
            |also: &'static str| ExpectedDecision::Decline(BTreeSet::from(["category_off", also]));
        let gift =
            |number, amount| AuthorisationRequest { number, ..ask(2, &shops::GIFT_SHOP, amount) };
        assert_eq!(books.verdict(&gift(1, 9_00), NOON - 4000), no("category_off"));
        assert_eq!(books.verdict(&gift(1, 9_01), NOON), off("ok_small"));
        assert_eq!(books.verdict(&gift(1, 9_00), NOON + 3600), off("ok_over"));
        assert_eq!(books.verdict(&gift(1, 9_00), NOON), ExpectedDecision::Approve);
        let allowed = books.permission_for(&gift(1, 9_00), NOON);
        let approval = AuthorisationApproval { request_number: 0, amount_minor: 9_00, allowed };
        let (whose, when) = ((2, &shops::GIFT_SHOP), PurchaseTimes::at_once(NOON));
        books.approve(1, whose, approval, when);
        books.capture(1, whose, Presentment::of(9_00), when);
        assert_eq!(books.verdict(&gift(2, 1_00), NOON), off("ok_used"));
        let mut own = (*books.people[2].terms).clone();
        own.last_mut().unwrap().own_block = Some(OwnBlock { cooling_days: 1 });
        books.people[2].terms = Arc::new(own);
        books.purchases.clear();
        assert_eq!(books.verdict(&gift(3, 1_00), NOON), no("category_off"), "it has not cooled");
    }

    #[test]
    fn a_casino_with_rooms_is_a_hotel_and_gambling() {
        let casino: &'static Shop =
            Box::leak(Box::new(Shop { code: "7011", also: &["gambling"], ..shops::HOTEL }));
        let mut books = demo();
        assert_eq!(books.verdict(&ask(1, casino, 5_00), NOON), no("funder_rule"));
        for pot in &mut books.people[0].pots {
            pot.never = Arc::default();
        }
        assert_eq!(books.verdict(&ask(0, casino, 5_00), NOON), no("category_off"), "as agreed");
        assert_eq!(books.verdict(&ask(0, &shops::HOTEL, 5_00), NOON), ExpectedDecision::Approve);
    }

    #[test]
    fn hours_may_run_over_midnight() {
        let time = |hour| Time::new(hour, 0, 0, 0).unwrap();
        let night = Hours { from: time(22), to: time(6) };
        let day = Hours { from: time(6), to: time(22) };
        for (hour, is_night) in [(21, false), (22, true), (0, true), (5, true), (6, false)] {
            assert_eq!((night.contain(time(hour)), day.contain(time(hour))), (is_night, !is_night));
        }
    }

    #[test]
    fn money_that_is_still_to_come_is_not_there_yet() {
        let mut books = demo();
        let release = crate::programme::Release {
            at_once: crate::programme::MinorUnits(0),
            amount: crate::programme::MinorUnits(10_00),
            every: crate::programme::ReleaseInterval::Day,
            from: crate::stories::STORY_DAY,
        };
        let ana = &mut books.people[2];
        ana.terms = Arc::default();
        ana.pots[0].release = Some(Arc::new(release));
        let bus = |amount| AuthorisationRequest {
            is_amount_controllable: false,
            ..ask(2, &shops::BUS, amount)
        };
        assert_eq!(books.verdict(&bus(10_00), NOON), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&bus(10_01), NOON), no("not_yet"));
        assert_eq!(books.verdict(&bus(45_00), NOON + 4 * 86_400), ExpectedDecision::Approve);
        assert_eq!(books.verdict(&bus(45_01), NOON + 4 * 86_400), no("no_money"));
    }
}
