//! What a purchase counts in, and the values that decisions are made from.

use sayso::domain::agreement::{Gate, Scope};
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Facts, PartialApproval, PurchaseContinuation, PurchaseKind,
};
use sayso::domain::money::Money;
use sayso::domain::money::limit::{CountingAttributes, Limit, find_duplicate_limit};
use sayso::domain::shop::ShopIdentity;
use sayso::domain::shop::home::HomeCountries;
use sayso::domain::time::period::Period;

use super::parts::payable;
use super::{agreed, approved};
use crate::values::{a_request, category, gbp, limited, monday_morning};

fn shop(text: &str) -> ShopIdentity {
    text.parse().unwrap()
}

fn counting_at(shop: ShopIdentity) -> CountingAttributes {
    let (on, home) = (monday_morning().date, HomeCountries::of("GB"));
    let food = category("food");
    CountingAttributes::new(&a_request(), shop, on, &food, &home, Scope::EverythingElse)
}

#[test]
fn a_shop_is_known_again_by_any_of_its_keys_and_not_without_one() {
    let keys = ShopIdentity::of([a_request().merchant.shop_key()]);
    let text = keys.to_string();
    let counted = counting_at(keys);
    assert_eq!(counted.shop_text(), text);
    assert!(text.len() > 3 && counted.is_at(&text));
    assert!(!counted.is_at("name:SOMEWHERE ELSE") && !counted.is_at("") && !counted.is_at("?"));
    assert!(!counting_at(shop("")).is_at(""), "two unknown shops are not one shop");
}

#[test]
fn a_shop_of_a_name_and_a_number_is_met_by_either() {
    let key = a_request().merchant.shop_key().unwrap();
    let other = sayso::domain::shop::merchant::Merchant::new(None, "ELSEWHERE").shop_key().unwrap();
    let counted = counting_at(ShopIdentity::of([Some(key)]));
    assert!(counted.is_within(&Scope::OneShop(key, other)));
    assert!(counted.is_within(&Scope::OneShop(other, key)));
    assert!(!counted.is_within(&Scope::OneShop(other, other)));
}

#[test]
fn a_second_limit_of_the_same_kind_and_period_is_found() {
    let (day, week) = (Period::Day, Period::Week);
    let amount = |per, minor| Limit::Amount { per, most: gbp(minor) };
    let count = |per, most| Limit::Count { per, most };
    let once = Limit::PerPurchase(gbp(1_00));
    let none = [once, amount(day, 1_00), amount(week, 1_00), count(day, 1), count(week, 1)];
    assert_eq!(find_duplicate_limit(&none), None);
    for again in [Limit::PerPurchase(gbp(2_00)), amount(week, 2_00), count(day, 2)] {
        let limits = [&none[..], &[again]].concat();
        assert_eq!(find_duplicate_limit(&limits), Some(&again));
    }
}

#[test]
fn a_price_is_foreign_by_its_currency_or_because_it_could_not_be_read() {
    let euros = Money::from_minor(12_00, "EUR".parse().unwrap());
    for (transaction_amount, has_unread_price, foreign) in [
        (gbp(10_00), false, false),
        (gbp(10_00), true, true),
        (euros, false, true),
        (euros, true, true),
    ] {
        let request = AuthorisationRequest { transaction_amount, has_unread_price, ..a_request() };
        assert_eq!(request.has_foreign_price(), foreign);
    }
}

#[test]
fn only_an_open_purchase_has_committed_money() {
    let (so_far, counted_on) = (gbp(5_00), monday_morning().date);
    assert_eq!(PurchaseContinuation::Open { so_far, counted_on }.so_far(), Some(so_far));
    assert_eq!(PurchaseContinuation::Nothing.so_far(), None);
    assert_eq!(PurchaseContinuation::OtherPerson.so_far(), None);
}

/// An increment is judged by the gates that its purchase passed and by those that it passes itself,
/// and by no others.
#[test]
fn an_increment_at_home_does_not_meet_a_limit_on_what_is_abroad() {
    let abroad = Scope::Gate(Gate::Abroad);
    let nothing = Limit::PerPurchase(gbp(0));
    let facts = agreed(|agreement| agreement.terms.push(limited(abroad.clone(), nothing)));
    let on = facts.moment.date;
    let facts = Facts {
        continues: PurchaseContinuation::Open { so_far: gbp(5_00), counted_on: on },
        original_attributes: Some(counting_at(shop(""))),
        ..facts
    };
    assert_eq!(approved(&a_request(), &facts).amount, a_request().amount);
}

/// Of a smaller amount, cash back counts as no more than all of it.
#[test]
fn a_smaller_amount_is_offered_with_the_cash_back_that_fits() {
    let cash_back = Scope::Gate(Gate::CashBack);
    let most = Limit::PerPurchase(gbp(6_00));
    let facts = agreed(|agreement| agreement.terms.push(limited(cash_back.clone(), most)));
    let request = AuthorisationRequest {
        amount: gbp(10_00),
        cash_back: gbp(8_00),
        kind: PurchaseKind::Purchase,
        partial: PartialApproval::NotAllowed,
        ..a_request()
    };
    assert_eq!(payable(&request, &facts), Some(gbp(6_00)));
}
