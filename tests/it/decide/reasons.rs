//! The smallest cause of each reason.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, time};

use sayso::domain::agreement::{Gate, Hours, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::ask::permission::{Permission, PermissionUsage};
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Decision, Facts, Presence, ProgrammeState, PurchaseContinuation,
    PurchaseKind,
};
use sayso::domain::decision::decide::decide;
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::decision::reason_code::ReasonCode;
use sayso::domain::money::Money;
use sayso::domain::money::limit::{CounterKey, Limit, LimitUsage};
use sayso::domain::people::person::PersonState;
use sayso::domain::pot::PotFunds;
use sayso::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use sayso::domain::shop::merchant::{Category, Mcc, Merchant};
use sayso::domain::time::period::{Moment, Period};

use super::{agreed, facts_with, reasons};
use crate::values::{
    a_draft, a_permission, a_request, a_stream, ask, category, gbp, limited, monday_morning, no,
    some_facts, yes,
};

pub(super) type Case = (AuthorisationRequest, Facts, Vec<DeclineReason>);

fn card(state: CardState) -> Facts {
    facts_with(|facts| facts.holder.as_mut().unwrap().card = state)
}

fn in_dollars() -> AuthorisationRequest {
    AuthorisationRequest { amount: Money::from_minor(10_00, "USD".parse().unwrap()), ..a_request() }
}

fn term(term: Term) -> Facts {
    agreed(|agreement| agreement.terms.push(term))
}

fn day_hours() -> Hours {
    Hours { from: time(6, 0, 0, 0), to: time(23, 0, 0, 0) }
}

fn only_by_day() -> Term {
    let scope = Scope::Gate(Gate::Hours);
    Term::new(TermDraft { hours: Some(day_hours()), ..a_draft(scope, TermAnswer::No) }).unwrap()
}

/// The list asks about food, and this permission was given.
fn given(permission: Permission) -> Facts {
    let mut facts = term(ask(Scope::Category(category("food"))));
    facts.permissions.push(permission);
    facts
}

fn used(term: Term, period: Period, amount: i64, purchases: u32) -> Facts {
    let scope = term.scope().clone();
    let first_day = period.first_day(monday_morning().date);
    let mut facts = agreed(|agreement| agreement.terms.push(term));
    let used = LimitUsage { amount: gbp(amount), purchases };
    facts.counters.insert(CounterKey { scope, period, first_day }, used);
    facts
}

fn about_the_card() -> Vec<Case> {
    use DeclineReason as Why;
    let barred = facts_with(|facts| {
        let mut stream = a_stream("homes");
        stream.never.insert(category("food"));
        facts.programme.streams = std::sync::Arc::new(vec![stream]);
    });
    let anothers = facts_with(|facts| facts.continues = PurchaseContinuation::OtherPerson);
    vec![
        (a_request(), anothers, vec![Why::Conflict]),
        (a_request(), facts_with(|facts| facts.holder = None), vec![Why::UnknownCard]),
        (a_request(), card(CardState::NotStarted), vec![Why::NotStarted]),
        (a_request(), card(CardState::FrozenByPerson), vec![Why::FrozenSelf]),
        (a_request(), card(CardState::FrozenByStaff), vec![Why::FrozenStaff]),
        (a_request(), card(CardState::Lost), vec![Why::CardLost]),
        (a_request(), card(CardState::Replaced), vec![Why::OldCard]),
        (a_request(), card(CardState::Expired), vec![Why::Expired]),
        (
            a_request(),
            facts_with(|facts| facts.holder.as_mut().unwrap().person = PersonState::Ended),
            vec![Why::Ended],
        ),
        (
            a_request(),
            facts_with(|facts| facts.programme.state = ProgrammeState::Paused),
            vec![Why::Paused],
        ),
        (in_dollars(), some_facts(), vec![Why::OtherCurrency]),
        (a_request(), barred, vec![Why::FunderRule { category: category("food") }, no_money(0)]),
    ]
}

/// The eligible pots lack money for £10.00.
fn no_money(left: i64) -> DeclineReason {
    DeclineReason::NoMoney { left: gbp(left), gap: gbp(10_00 - left), held_back: gbp(0) }
}

fn about_the_shop() -> Vec<Case> {
    use DeclineReason as Why;
    let food = Scope::Category(category("food"));
    let code = Scope::Code(Mcc::parse("5411").unwrap());
    let shop = Scope::Shop(a_request().merchant.shop_key().unwrap());
    let unsorted = facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        std::sync::Arc::make_mut(agreement).terms = vec![ask(Scope::EverythingElse)];
        facts.category = Category::unsorted();
    });
    let at_night = |mut facts: Facts| {
        facts.moment = Moment { time: time(23, 0, 0, 0), ..facts.moment };
        facts
    };
    let cash = AuthorisationRequest { kind: PurchaseKind::Cash, ..a_request() };
    let cash_back = AuthorisationRequest { cash_back: gbp(5_00), ..a_request() };
    let online = AuthorisationRequest { presence: Presence::Remote, ..a_request() };
    let abroad =
        AuthorisationRequest { merchant: a_request().merchant.in_country("IE"), ..a_request() };
    vec![
        (a_request(), term(no(shop)), vec![Why::PlaceOff]),
        (a_request(), term(ask(code)), vec![Why::PlaceOff]),
        (
            a_request(),
            term(no(food.clone())),
            vec![Why::CategoryOff { category: category("food") }],
        ),
        (a_request(), term(ask(food)), vec![Why::CategoryAsk { category: category("food") }]),
        (a_request(), unsorted, vec![Why::Unsorted]),
        (cash, term(no(Scope::Gate(Gate::Cash))), vec![Why::CashOff]),
        (cash_back, term(no(Scope::Gate(Gate::CashBack))), vec![Why::CashBackOff]),
        (online, term(no(Scope::Gate(Gate::Online))), vec![Why::OnlineOff]),
        (abroad, term(ask(Scope::Gate(Gate::Abroad))), vec![Why::AbroadOff]),
        (
            a_request(),
            at_night(term(only_by_day())),
            vec![Why::OutsideHours { hours: day_hours() }],
        ),
    ]
}

fn about_permissions_limits_and_money() -> Vec<Case> {
    use DeclineReason as Why;
    let asks = Why::CategoryAsk { category: category("food") };
    let ended_at = monday_morning().at; // the end of a permission is exclusive
    let week = Limit::Amount { per: Period::Week, most: gbp(40_00) };
    let twice = Limit::Count { per: Period::Day, most: 2 };
    let sunday = Some(Date::constant(2026, 11, 29));
    vec![
        (
            a_request(),
            given(Permission { uses_left: 0, ..a_permission() }),
            vec![Why::OkUsed, asks.clone()],
        ),
        (a_request(), given(held(15_00)), vec![Why::OkHeld { held: gbp(15_00) }, asks.clone()]),
        (
            a_request(),
            given(Permission { ends_at: ended_at, ..a_permission() }),
            vec![Why::OkOver { ended_at }, asks.clone()],
        ),
        (
            a_request(),
            given(Permission { cap: gbp(9_99), ..a_permission() }),
            vec![Why::OkSmall { cap: gbp(9_99) }, asks],
        ),
        (
            a_request(),
            agreed(|agreement| {
                let limit = Limit::PerPurchase(gbp(9_99));
                agreement.terms = vec![limited(Scope::EverythingElse, limit)];
            }),
            vec![Why::OverPurchase { limit: gbp(9_99) }],
        ),
        (
            a_request(),
            used(limited(Scope::Everything, week), Period::Week, 30_01, 4),
            vec![Why::OverPeriod {
                period: Period::Week,
                limit: gbp(40_00),
                left: gbp(9_99),
                until: sunday,
            }],
        ),
        (
            a_request(),
            used(limited(Scope::Everything, twice), Period::Day, 2_00, 2),
            vec![Why::TooMany {
                period: Period::Day,
                limit: 2,
                until: Some(Date::constant(2026, 11, 23)),
            }],
        ),
        (
            a_request(),
            facts_with(|facts| {
                facts.pots = BTreeMap::from([("week".parse().unwrap(), gbp(9_99).into())]);
            }),
            vec![no_money(9_99)],
        ),
        (a_request(), some_of_it_comes_tomorrow(), vec![not_yet()]),
    ]
}

/// A permission that is used by a hold without a capture.
fn held(minor: i64) -> Permission {
    let uses = PermissionUsage { open: gbp(minor), ..PermissionUsage::none(gbp(0).currency()) };
    Permission { uses_left: 0, uses: Some(uses), ..a_permission() }
}

/// A pot with £60.00, which releases £9.99 each day from today.
fn some_of_it_comes_tomorrow() -> Facts {
    let mut facts = agreed(|agreement| {
        let today = Date::constant(2026, 11, 23);
        agreement.pots[0].release =
            ReleaseSchedule::new(gbp(0), gbp(9_99), ReleaseInterval::Day, today);
    });
    let pot = PotFunds { loaded: Some(gbp(60_00)), ..gbp(60_00).into() };
    facts.pots = BTreeMap::from([("week".parse().unwrap(), pot)]);
    facts
}

fn not_yet() -> DeclineReason {
    DeclineReason::NotYet { left: gbp(9_99), comes: gbp(9_99), on: Date::constant(2026, 11, 24) }
}

/// Every reason with its smallest cause.
pub(super) fn cases() -> Vec<Case> {
    [about_the_card(), about_the_shop(), about_permissions_limits_and_money()].concat()
}

#[test]
fn each_reason_has_one_smallest_cause() {
    assert!(matches!(decide(&a_request(), &some_facts()), Decision::Approve(_)));
    for (request, facts, expected) in cases() {
        assert_eq!(reasons(&request, &facts), expected, "{facts:#?}");
    }
}

#[test]
fn every_reason_that_can_be_decided_is_among_the_cases() {
    let told: BTreeSet<_> =
        cases().iter().map(|(_, _, reasons)| reasons[0].code().as_str()).collect();
    // A failure of our own is never a decision.
    let decided = ReasonCode::ALL.iter().filter(|code| **code != ReasonCode::OurFault);
    assert_eq!(told, decided.map(|code| code.as_str()).collect());
}

#[test]
fn scenario_33_a_verification_is_answered_by_the_cards_state_only() {
    let nothing = AuthorisationRequest {
        amount: gbp(0),
        kind: PurchaseKind::Verification,
        presence: Presence::Remote,
        ..a_request()
    };
    let all_off = facts_with(|facts| {
        facts.pots.clear();
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        std::sync::Arc::make_mut(agreement).terms =
            vec![no(Scope::EverythingElse), no(Scope::Gate(Gate::Online))];
    });
    let Decision::Approve(approval) = decide(&nothing, &all_off) else { panic!("declined") };
    assert_eq!((approval.amount, approval.parts), (gbp(0), Vec::new()));
    for (_, facts, expected) in about_the_card() {
        if facts != some_facts() && expected.len() == 1 {
            assert_eq!(reasons(&nothing, &facts), expected, "{facts:?}");
        }
    }
}

#[test]
fn scenario_39_money_of_another_currency_is_declined_whatever_it_is_worth() {
    assert_eq!(reasons(&in_dollars(), &some_facts()), [DeclineReason::OtherCurrency]);
    let no_dollars = AuthorisationRequest {
        amount: Money::from_minor(0, "USD".parse().unwrap()),
        ..a_request()
    };
    assert_eq!(reasons(&no_dollars, &some_facts()), [DeclineReason::OtherCurrency]);
    let billed_here = AuthorisationRequest {
        transaction_amount: Money::from_minor(14_00, "USD".parse().unwrap()),
        ..a_request()
    };
    assert_eq!(reasons(&billed_here, &some_facts()), []);
}

fn said(scope: Scope, answer: TermAnswer) -> Term {
    Term::new(a_draft(scope, answer)).unwrap()
}

#[test]
fn scenario_49_a_shop_without_a_code_meets_the_lists_own_word_for_it() {
    let unknown = |merchant| AuthorisationRequest { merchant, ..a_request() };
    for request in [
        unknown(Merchant::new(None, "Sumup *Rug")),
        unknown(Merchant::new(Some(Mcc::parse("0000").unwrap()), "")),
    ] {
        for (answer, expected) in [
            (TermAnswer::Yes, vec![]),
            (TermAnswer::Ask, vec![DeclineReason::Unsorted]),
            (TermAnswer::No, vec![DeclineReason::Unsorted]),
        ] {
            for scope in [Scope::EverythingElse, Scope::Category(Category::unsorted())] {
                let mut facts = agreed(|agreement| agreement.terms = vec![said(scope, answer)]);
                facts.category = Category::unsorted();
                assert_eq!(reasons(&request, &facts), expected, "{facts:?}");
            }
        }
    }
    for malformed in ["", "541", "54111", "54l1", "-541", "５４１１"] {
        assert!(Mcc::parse(malformed).is_err(), "{malformed:?}");
    }
}

#[test]
fn scenario_35_each_way_of_taking_cash_meets_its_own_gate() {
    let at_a_machine = AuthorisationRequest { kind: PurchaseKind::Cash, ..a_request() };
    let at_a_till = AuthorisationRequest { cash_back: gbp(5_00), ..a_request() };
    for (gate, request, reason) in [
        (Gate::Cash, &at_a_machine, DeclineReason::CashOff),
        (Gate::CashBack, &at_a_till, DeclineReason::CashBackOff),
    ] {
        let facts = term(no(Scope::Gate(gate)));
        assert_eq!(reasons(request, &facts), [reason]);
        assert_eq!(reasons(&a_request(), &facts), [], "a plain purchase passes {gate:?}");
        let open = term(yes(Scope::Gate(gate)));
        assert_eq!(reasons(request, &open), []);
    }
    // The kinds are a closed set: an unknown word is not a kind.
    for word in ["", "quasi_cash", "advice", "tokenisation", "PURCHASE"] {
        assert_eq!(PurchaseKind::from_word(word), None, "{word}");
    }
}

#[test]
fn a_shop_in_no_known_country_is_not_abroad() {
    let facts = term(no(Scope::Gate(Gate::Abroad)));
    let nowhere = Merchant::new(Some(Mcc::parse("5411").unwrap()), "Corner Shop");
    let request = AuthorisationRequest { merchant: nowhere, ..a_request() };
    assert_eq!(reasons(&request, &facts), []);
}

#[test]
fn hours_are_local_and_may_run_over_midnight() {
    let night = Hours { from: time(20, 0, 0, 0), to: time(4, 0, 0, 0) };
    let scope = Scope::Gate(Gate::Hours);
    let at_night = TermDraft { hours: Some(night), ..a_draft(scope, TermAnswer::No) };
    let at_night = Term::new(at_night).unwrap();
    for (hour, minute, paid) in
        [(19, 59, false), (20, 0, true), (23, 59, true), (0, 0, true), (3, 59, true), (4, 0, false)]
    {
        let mut facts = term(at_night.clone());
        facts.moment.time = time(hour, minute, 0, 0);
        assert_eq!(reasons(&a_request(), &facts).is_empty(), paid, "{hour}:{minute}");
    }
}
