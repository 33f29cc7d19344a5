//! Limits by amount and by count in every period, exact to the penny.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};

use sayso::domain::agreement::{Gate, Scope};
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Facts, Presence, PurchaseContinuation, PurchaseKind,
};
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::money::limit::{CounterKey, Limit, LimitUsage};
use sayso::domain::shop::merchant::Mcc;
use sayso::domain::time::period::Period;

use super::{agreed, reasons};
use crate::values::{a_request, category, gbp, limited, some_facts, yes};

const PERIODS: [(Period, Option<Date>); 4] = [
    (Period::Day, Some(date(2026, 11, 23))),
    (Period::Week, Some(date(2026, 11, 29))),
    (Period::Month, Some(date(2026, 11, 30))),
    (Period::Agreement, None),
];

fn scopes() -> Vec<Scope> {
    vec![
        Scope::Shop(a_request().merchant.shop_key().unwrap()),
        Scope::Code(Mcc::parse("5411").unwrap()),
        Scope::Category(category("food")),
        Scope::EverythingElse,
        Scope::Everything,
    ]
}

/// Facts with `limit` on `scope`, of which this much is used today.
fn used(scope: &Scope, limit: Limit, amount: i64, purchases: u32) -> Facts {
    used_on(some_facts().moment.date, scope, limit, amount, purchases)
}

fn used_on(today: Date, scope: &Scope, limit: Limit, amount: i64, purchases: u32) -> Facts {
    let mut facts = agreed(|agreement| {
        agreement.terms.retain(|term| term.scope() != scope);
        agreement.terms.push(limited(scope.clone(), limit));
    });
    facts.moment.date = today;
    facts.counts_on = today;
    if let Some(period) = limit.period() {
        let key = CounterKey { scope: scope.clone(), period, first_day: period.first_day(today) };
        let used = LimitUsage { amount: gbp(amount), purchases };
        facts.counters = BTreeMap::from([(key, used)]);
    }
    facts
}

fn asking(minor: i64) -> AuthorisationRequest {
    AuthorisationRequest { amount: gbp(minor), ..a_request() }
}

#[test]
fn a_purchase_may_be_exactly_its_limit() {
    for scope in scopes() {
        let facts = used(&scope, Limit::PerPurchase(gbp(10_00)), 0, 0);
        assert_eq!(reasons(&asking(10_00), &facts), [], "{scope}");
        let over = DeclineReason::OverPurchase { limit: gbp(10_00) };
        assert_eq!(reasons(&asking(10_01), &facts), [over], "{scope}");
    }
}

#[test]
fn a_period_may_be_used_up_to_the_penny() {
    for scope in scopes() {
        for (per, until) in PERIODS {
            let limit = Limit::Amount { per, most: gbp(30_00) };
            let facts = used(&scope, limit, 20_00, 7);
            assert_eq!(reasons(&asking(10_00), &facts), [], "{scope} {per:?}");
            let over = |left| DeclineReason::OverPeriod {
                period: per,
                limit: gbp(30_00),
                left: gbp(left),
                until,
            };
            assert_eq!(reasons(&asking(10_01), &facts), [over(10_00)], "{scope} {per:?}");
            // A force post may have exceeded the limit: then zero is left, not a negative amount.
            let facts = used(&scope, limit, 45_00, 7);
            assert_eq!(reasons(&asking(1), &facts), [over(0)], "{scope} {per:?}");
        }
    }
}

#[test]
fn a_period_may_have_as_many_purchases_as_agreed() {
    for scope in scopes() {
        for (per, until) in PERIODS {
            let limit = Limit::Count { per, most: 3 };
            assert_eq!(reasons(&asking(1), &used(&scope, limit, 0, 2)), [], "{scope} {per:?}");
            let over = DeclineReason::TooMany { period: per, limit: 3, until };
            assert_eq!(reasons(&asking(1), &used(&scope, limit, 0, 3)), [over], "{scope} {per:?}");
        }
    }
}

#[test]
fn a_counter_of_another_period_or_scope_counts_nothing() {
    for (per, _) in PERIODS {
        let limit = Limit::Amount { per, most: gbp(10_00) };
        let mut facts = used(&Scope::Everything, limit, 0, 0);
        let today = facts.moment.date;
        let elsewhere = [
            (Scope::EverythingElse, per.first_day(today)),
            (Scope::Everything, date(2026, 10, 31)),
        ];
        for (scope, first_day) in elsewhere {
            let key = CounterKey { scope, period: per, first_day };
            facts.counters.insert(key, LimitUsage { amount: gbp(9_00), purchases: 9 });
        }
        assert_eq!(reasons(&asking(10_00), &facts), [], "{per:?}");
    }
}

#[test]
fn limits_of_a_way_of_paying_bind_only_those_who_pay_that_way() {
    let limit = Limit::PerPurchase(gbp(9_99));
    let abroad = a_request().merchant.in_country("FR");
    for (gate, request) in [
        (Gate::Cash, AuthorisationRequest { kind: PurchaseKind::Cash, ..a_request() }),
        (Gate::Online, AuthorisationRequest { presence: Presence::Remote, ..a_request() }),
        (Gate::Abroad, AuthorisationRequest { merchant: abroad, ..a_request() }),
    ] {
        let facts = agreed(|agreement| agreement.terms.push(limited(Scope::Gate(gate), limit)));
        assert_eq!(reasons(&a_request(), &facts), [], "{gate:?}");
        let over = DeclineReason::OverPurchase { limit: gbp(9_99) };
        assert_eq!(reasons(&request, &facts), [over], "{gate:?}");
    }
}

#[test]
fn a_limit_on_cash_back_counts_the_cash_only() {
    let cash_back = |minor| AuthorisationRequest { cash_back: gbp(minor), ..asking(30_00) };
    let scope = Scope::Gate(Gate::CashBack);
    for (limit, left) in [
        (Limit::PerPurchase(gbp(20_00)), None),
        (Limit::Amount { per: Period::Week, most: gbp(25_00) }, Some(20_00)),
    ] {
        let facts = used(&scope, limit, 5_00, 1);
        assert_eq!(reasons(&cash_back(20_00), &facts), [], "{limit:?}");
        let told = reasons(&cash_back(20_01), &facts);
        match left {
            None => assert_eq!(told, [DeclineReason::OverPurchase { limit: gbp(20_00) }]),
            Some(left) => assert!(
                matches!(&told[..], [DeclineReason::OverPeriod { left: l, .. }] if *l == gbp(left))
            ),
        }
    }
}

#[test]
fn the_limits_of_a_less_specific_term_do_not_bind() {
    let mut facts = used(&Scope::EverythingElse, Limit::PerPurchase(gbp(1)), 0, 0);
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    std::sync::Arc::make_mut(agreement).terms.push(yes(Scope::Category(category("food"))));
    assert_eq!(reasons(&a_request(), &facts), []);
}

#[test]
fn the_limits_on_everything_bind_beside_the_matched_terms() {
    let mut facts = used(&Scope::Category(category("food")), Limit::PerPurchase(gbp(5_00)), 0, 0);
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    let everything = limited(Scope::Everything, Limit::PerPurchase(gbp(6_00)));
    std::sync::Arc::make_mut(agreement).terms.push(everything);
    let over = |minor| DeclineReason::OverPurchase { limit: gbp(minor) };
    assert_eq!(reasons(&asking(6_01), &facts), [over(5_00), over(6_00)]);
    assert_eq!(reasons(&asking(6_00), &facts), [over(5_00)]);
    assert_eq!(reasons(&asking(5_00), &facts), []);
}

#[test]
fn scenario_45_a_month_ends_when_the_calendar_says() {
    for (today, last) in [
        (date(2028, 2, 29), date(2028, 2, 29)),
        (date(2028, 2, 1), date(2028, 2, 29)),
        (date(2027, 2, 28), date(2027, 2, 28)),
        (date(2026, 12, 31), date(2026, 12, 31)),
        (date(2027, 1, 31), date(2027, 1, 31)),
    ] {
        let limit = Limit::Amount { per: Period::Month, most: gbp(30_00) };
        let facts = used_on(today, &Scope::Everything, limit, 25_00, 1);
        let told = reasons(&a_request(), &facts);
        let is_told = matches!(
            told[..],
            [DeclineReason::OverPeriod { until: Some(until), .. }] if until == last
        );
        assert!(is_told, "{today}: {told:?}");

        // On the next day the same counter belongs to the month before.
        let mut tomorrow = facts;
        tomorrow.moment.date = last.tomorrow().unwrap();
        tomorrow.counts_on = tomorrow.moment.date;
        assert_eq!(reasons(&a_request(), &tomorrow), [], "{last}");
    }
}

fn continued(mut facts: Facts, so_far: i64) -> Facts {
    facts.continues =
        PurchaseContinuation::Open { so_far: gbp(so_far), counted_on: facts.moment.date };
    facts
}

#[test]
fn an_increment_counts_towards_the_whole_purchase() {
    let facts = continued(used(&Scope::Everything, Limit::PerPurchase(gbp(25_00)), 0, 0), 15_00);
    assert_eq!(reasons(&asking(10_00), &facts), []);
    let over = DeclineReason::OverPurchase { limit: gbp(25_00) };
    assert_eq!(reasons(&asking(10_01), &facts), [over]);
}

#[test]
fn an_increment_is_no_second_purchase() {
    for (per, _) in PERIODS {
        let limit = Limit::Count { per, most: 1 };
        let facts = continued(used(&Scope::Everything, limit, 15_00, 1), 15_00);
        assert_eq!(reasons(&asking(10_00), &facts), [], "{per:?}");
    }
}

#[test]
fn an_increment_is_counted_in_a_period_once() {
    // The counter includes the first £15.00 already; only the increment is added.
    let limit = Limit::Amount { per: Period::Day, most: gbp(25_00) };
    let facts = continued(used(&Scope::Everything, limit, 15_00, 1), 15_00);
    assert_eq!(reasons(&asking(10_00), &facts), []);
    assert_eq!(reasons(&asking(10_01), &facts).len(), 1);
}

#[test]
fn an_increment_with_cash_back_is_measured_by_its_cash() {
    let scope = Scope::Gate(Gate::CashBack);
    let facts = continued(used(&scope, Limit::PerPurchase(gbp(20_00)), 0, 0), 40_00);
    let request = AuthorisationRequest { cash_back: gbp(5_00), ..asking(10_00) };
    assert_eq!(reasons(&request, &facts), []);
}
