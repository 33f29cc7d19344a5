//! Partial approvals: what limits and money leave of the amount, and the reasons where no part is
//! possible.

use sayso::domain::agreement::{Gate, Scope};
use sayso::domain::ask::permission::{Permission, PermissionUsage};
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Decision, Facts, PartialApproval, PurchaseContinuation, PurchaseKind,
};
use sayso::domain::decision::decide::decide;
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::money::Money;
use sayso::domain::money::limit::{CounterKey, CountingAttributes, Limit, LimitUsage};
use sayso::domain::money::margin::MarginPercent;
use sayso::domain::shop::ShopIdentity;
use sayso::domain::time::period::Period;

use super::{agreed, approved, reasons, split};
use crate::values::{a_permission, a_request, ask, category, gbp, limited, monday_morning, pot};

fn food() -> Scope {
    Scope::Category(category("food"))
}

/// Partial approval is agreed, with £20.00 per purchase and £25.00 a week for food, £10.00 of
/// that used, and £60.00 in the pot.
fn limits() -> Facts {
    let mut facts = agreed(|agreement| {
        agreement.partial = true;
        let week = Limit::Amount { per: Period::Week, most: gbp(25_00) };
        agreement.terms.push(limited(food(), Limit::PerPurchase(gbp(20_00))));
        agreement.terms.push(limited(Scope::Everything, week));
    });
    let first_day = Period::Week.first_day(monday_morning().date);
    let key = CounterKey { scope: Scope::Everything, period: Period::Week, first_day };
    facts.counters.insert(key, LimitUsage { amount: gbp(10_00), purchases: 1 });
    facts
}

fn asking(minor: i64) -> AuthorisationRequest {
    let partial = PartialApproval::Allowed;
    AuthorisationRequest { amount: gbp(minor), partial, ..a_request() }
}

pub(super) fn payable(request: &AuthorisationRequest, facts: &Facts) -> Option<Money> {
    match decide(request, facts) {
        Decision::Approve(approval) => panic!("approved: {approval:?}"),
        Decision::Decline(reasons) => reasons.payable,
    }
}

#[test]
fn limits_on_amounts_leave_a_part_and_the_least_of_all_is_paid() {
    let mut facts = limits();
    assert_eq!(approved(&asking(99_00), &facts).amount, gbp(15_00), "the week leaves least");
    let used = facts.counters.values_mut().next().unwrap();
    used.amount = gbp(1_00);
    assert_eq!(approved(&asking(99_00), &facts).amount, gbp(20_00), "one purchase may be less");
    facts.pots.insert(pot("week"), gbp(7_30).into());
    let approval = approved(&asking(99_00), &facts);
    assert_eq!((approval.amount, split(&approval)), (gbp(7_30), vec![("week", 7_30)]));
    assert_eq!(approved(&asking(6_00), &facts).amount, gbp(6_00), "all of what is within");
}

#[test]
fn no_part_is_paid_where_none_is_taken_or_agreed_or_left() {
    let whole = AuthorisationRequest { partial: PartialApproval::NotAllowed, ..asking(99_00) };
    let over = reasons(&whole, &limits());
    assert_eq!(over.len(), 3, "both limits, and the pot: {over:?}");
    assert_eq!(payable(&whole, &limits()), Some(gbp(15_00)), "what helps at the till");
    let mut not_agreed = limits();
    let holder = not_agreed.holder.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut holder.agreement).partial = false;
    assert_eq!(reasons(&asking(99_00), &not_agreed).len(), 3);
    let mut used_up = limits();
    used_up.counters.values_mut().next().unwrap().amount = gbp(25_00);
    assert!(!reasons(&asking(99_00), &used_up).is_empty());
    assert_eq!(payable(&asking(99_00), &used_up), None);
    // Cash back is paid in full or not at all.
    let cash = AuthorisationRequest { cash_back: gbp(15_01), ..asking(40_00) };
    assert!(!reasons(&cash, &limits()).is_empty());
    let cash = AuthorisationRequest { cash_back: gbp(15_00), ..cash };
    assert_eq!(approved(&cash, &limits()).amount, gbp(15_00));
}

#[test]
fn a_limit_on_how_often_and_a_word_of_the_list_leave_no_part() {
    let mut facts = limits();
    let holder = facts.holder.as_mut().unwrap();
    let agreement = std::sync::Arc::make_mut(&mut holder.agreement);
    agreement
        .terms
        .push(limited(Scope::Gate(Gate::Online), Limit::Count { per: Period::Day, most: 0 }));
    let online = AuthorisationRequest {
        presence: sayso::domain::decision::authorisation::Presence::Remote,
        ..asking(99_00)
    };
    assert_eq!(approved(&asking(99_00), &facts).amount, gbp(15_00));
    let told = reasons(&online, &facts);
    assert!(told.iter().any(|r| matches!(r, DeclineReason::TooMany { .. })), "{told:?}");
    assert_eq!(payable(&online, &facts), None, "nothing helps but another way of paying");
    let mut asks = limits();
    let holder = asks.holder.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut holder.agreement).terms[1] = ask(food());
    assert_eq!(reasons(&asking(12_00), &asks).len(), 1);
    assert_eq!(payable(&asking(12_00), &asks), None);
}

#[test]
fn an_ok_lifts_limits_before_they_leave_a_part() {
    let mut facts = limits();
    facts.permissions.push(Permission { cap: gbp(40_00), ..a_permission() });
    let approval = approved(&asking(40_00), &facts);
    assert_eq!((approval.amount, approval.permission), (gbp(40_00), Some(a_permission().id)));
    let approval = approved(&asking(40_01), &facts);
    assert_eq!((approval.amount, approval.permission), (gbp(15_00), None), "it is too small");
    facts.pots.insert(pot("week"), gbp(18_00).into());
    let approval = approved(&asking(40_00), &facts);
    assert_eq!((approval.amount, approval.permission), (gbp(18_00), Some(a_permission().id)));
}

#[test]
fn a_part_of_a_foreign_price_holds_its_own_margin() {
    let mut facts = limits();
    facts.exchange = MarginPercent::new(5).unwrap();
    facts.margin = gbp(4_95);
    let approval = approved(&asking(99_00), &facts);
    assert_eq!((approval.amount, split(&approval)), (gbp(15_00), vec![("week", 15_75)]));
    // An increment: all of the margin held so far remains.
    facts.continues = PurchaseContinuation::Open { so_far: gbp(4_00), counted_on: facts.counts_on };
    facts.margin = gbp(5_15);
    let approval = approved(&asking(99_00), &facts);
    assert_eq!(approval.amount, gbp(15_00));
    let margin = approval.margin().unwrap().minor();
    assert!((95..=96).contains(&margin), "5 % of £19.00: {margin}");
}

#[test]
fn by_the_rules_of_the_first_version_limits_refuse_all_of_it() {
    let facts = Facts { rules_version: 1, ..limits() };
    assert_eq!(reasons(&asking(99_00), &facts).len(), 2);
    assert_eq!(payable(&asking(99_00), &facts), None);
}

#[test]
fn holds_at_one_shop_are_one_use_of_an_ok_as_long_as_it_holds_them() {
    let with = |held: i64, captured, is_here| {
        let mut facts = agreed(|agreement| agreement.terms.push(ask(food())));
        let uses = PermissionUsage {
            open: gbp(held),
            captured,
            ..PermissionUsage::none(gbp(0).currency())
        };
        facts.permissions.push(Permission { uses_left: 0, uses: Some(uses), ..a_permission() });
        if is_here {
            facts.held_here.insert(a_permission().id);
        }
        facts
    };
    let asks = DeclineReason::CategoryAsk { category: category("food") };
    let held = |minor| vec![DeclineReason::OkHeld { held: gbp(minor) }, asks.clone()];
    let request = a_request(); // £10.00, and the permission is up to £20.00
    assert_eq!(approved(&request, &with(10_00, 0, true)).permission, Some(a_permission().id));
    assert_eq!(reasons(&request, &with(10_01, 0, true)), held(10_01));
    assert_eq!(reasons(&request, &with(3_00, 0, false)), held(3_00), "at another shop");
    let used = vec![DeclineReason::OkUsed, asks.clone()];
    assert_eq!(reasons(&request, &with(3_00, 1, true)), used, "something was captured");
    let more = AuthorisationRequest { amount: gbp(20_01), ..request.clone() };
    let small = vec![DeclineReason::OkSmall { cap: gbp(20_00) }, asks.clone()];
    assert_eq!(reasons(&more, &with(3_00, 0, true)), small, "though nothing were held");
    let mut over = with(3_00, 0, true);
    let ended_at = over.moment.at;
    over.permissions[0].ends_at = ended_at;
    assert_eq!(reasons(&request, &over), vec![DeclineReason::OkOver { ended_at }, asks.clone()]);
    // A permission from before uses were counted is used up by its first purchase.
    let mut before = with(3_00, 0, true);
    before.permissions[0].uses = None;
    assert_eq!(reasons(&request, &before), used);
}

#[test]
fn an_ok_covers_what_a_foreign_price_may_have_moved() {
    let mut facts = agreed(|agreement| agreement.terms.push(ask(food())));
    facts.permissions.push(a_permission());
    let asking = |minor| AuthorisationRequest { amount: gbp(minor), ..a_request() };
    facts.exchange = MarginPercent::new(5).unwrap();
    assert_eq!(approved(&asking(21_00), &facts).permission, Some(a_permission().id));
    let small = DeclineReason::OkSmall { cap: gbp(20_00) };
    assert_eq!(reasons(&asking(21_01), &facts)[0], small);
    facts.exchange = MarginPercent::NONE;
    assert_eq!(reasons(&asking(20_01), &facts)[0], small);
    assert_eq!(payable(&asking(20_01), &facts), Some(gbp(20_00)));
}

#[test]
fn more_of_an_open_purchase_is_judged_by_what_it_was_and_by_what_it_is() {
    let eating = Scope::Category(category("eating"));
    let day = Limit::Amount { per: Period::Day, most: gbp(30_00) };
    let mut facts = agreed(|agreement| {
        agreement.terms.push(limited(food(), day));
        agreement.terms.push(limited(eating.clone(), day));
    });
    let on = facts.moment.date.yesterday().unwrap();
    facts.continues = PurchaseContinuation::Open { so_far: gbp(5_00), counted_on: on };
    let home = facts.programme.home.clone();
    let shop = ShopIdentity::of([a_request().merchant.shop_key()]);
    let original =
        CountingAttributes::new(&a_request(), shop, on, &category("eating"), &home, eating.clone());
    facts.original_attributes = Some(original);
    let mut count = |scope: &Scope, minor| {
        let key = CounterKey { scope: scope.clone(), period: Period::Day, first_day: on };
        facts.counters.insert(key, LimitUsage { amount: gbp(minor), purchases: 1 });
        reasons(&a_request(), &facts)
    };
    assert_eq!(count(&eating, 20_00), []);
    let over = |left| {
        let (period, limit, until) = (Period::Day, gbp(30_00), Some(on));
        vec![DeclineReason::OverPeriod { period, limit, left: gbp(left), until }]
    };
    assert_eq!(count(&eating, 20_01), over(9_99), "by the kind that it began with");
    assert_eq!(count(&eating, 5_00), []);
    assert_eq!(count(&food(), 20_02), over(9_98), "by the kind that the shop says now");
}

#[test]
fn what_a_machine_takes_for_itself_is_no_cash() {
    let cash = Scope::Gate(Gate::Cash);
    let week = Limit::Amount { per: Period::Week, most: gbp(20_00) };
    let facts = agreed(|agreement| agreement.terms.push(limited(cash.clone(), week)));
    let with_fee = AuthorisationRequest {
        amount: gbp(21_75),
        atm_fee: gbp(1_75),
        kind: PurchaseKind::Cash,
        ..a_request()
    };
    assert_eq!(approved(&with_fee, &facts).amount, gbp(21_75));
    let more = AuthorisationRequest { atm_fee: gbp(1_74), ..with_fee.clone() };
    assert_eq!(reasons(&more, &facts).len(), 1);
    let everything = agreed(|agreement| agreement.terms.push(limited(Scope::Everything, week)));
    assert_eq!(reasons(&with_fee, &everything).len(), 1, "it is money all the same");
}

/// A part that only covers the fee would cost money and pay out no cash.
#[test]
fn no_part_is_a_machines_fee_alone() {
    let limit = Limit::PerPurchase(gbp(20_00));
    let week = Limit::Amount { per: Period::Week, most: gbp(20_00) };
    let cash = Scope::Gate(Gate::Cash);
    let mut facts = agreed(|agreement| {
        agreement.partial = true;
        agreement.terms.push(limited(Scope::Everything, limit));
        agreement.terms.push(limited(cash.clone(), week));
    });
    let machine =
        AuthorisationRequest { atm_fee: gbp(1_75), kind: PurchaseKind::Cash, ..asking(31_75) };
    assert_eq!(approved(&machine, &facts).amount, gbp(20_00));
    let first_day = Period::Week.first_day(monday_morning().date);
    let key = CounterKey { scope: cash, period: Period::Week, first_day };
    let used = LimitUsage { amount: gbp(19_99), purchases: 1 };
    facts.counters.insert(key.clone(), used);
    assert_eq!(approved(&machine, &facts).amount, gbp(1_76));
    facts.counters.insert(key.clone(), LimitUsage { amount: gbp(20_00), ..used });
    assert!(!reasons(&machine, &facts).is_empty(), "a limit leaves the fee alone");
    facts.counters.remove(&key);
    facts.pots.insert(pot("week"), gbp(1_75).into());
    assert!(!reasons(&machine, &facts).is_empty(), "the pot has the fee alone");
}
