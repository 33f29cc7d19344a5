//! The largest amount that a shop would be paid.

use proptest::prelude::*;

use sayso::domain::agreement::{Gate, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Decision, Facts, PurchaseContinuation,
};
use sayso::domain::decision::decide::decide;
use sayso::domain::decision::largest_payment::{is_paid, largest_payment, payable_rest};
use sayso::domain::money::limit::Limit;

use super::agreed;
use super::properties::{any_facts, any_request};
use crate::values::{
    a_draft, a_permission, a_request, ask, category, gbp, limited, no, pot, some_facts,
};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// It is paid, and a penny more is not, nor anything beyond.
    #[test]
    fn the_largest_amount_is_paid_and_a_penny_more_is_not(
        request in any_request(),
        facts in any_facts(),
        beyond in 1..400_00_i64,
    ) {
        let continues = PurchaseContinuation::Nothing;
        let facts = Facts { continues, original_attributes: None, margin: gbp(0), ..facts };
        let most = largest_payment(&request, &facts).unwrap();
        prop_assert!(most.is_zero() || is_paid(&request, &facts, most));
        let more = |minor| most.checked_add(gbp(minor)).unwrap();
        prop_assert!(!is_paid(&request, &facts, more(1)));
        prop_assert!(!is_paid(&request, &facts, more(beyond)));
    }
}

#[test]
fn all_that_is_left_is_paid_where_nothing_restricts() {
    let facts = some_facts();
    let left: i64 = facts.pots.values().map(|pot| pot.left.minor()).sum();
    assert_eq!(largest_payment(&a_request(), &facts), Ok(gbp(left)));
}

#[test]
fn a_limit_is_paid_to_the_penny() {
    for most in [1, 2, 3, 19_99, 20_00, 20_01] {
        let facts = agreed(|agreement| {
            let limits = vec![Limit::PerPurchase(gbp(most))];
            let everything = a_draft(Scope::Everything, TermAnswer::Yes);
            agreement.terms = vec![Term::new(TermDraft { limits, ..everything }).unwrap()];
        });
        assert_eq!(largest_payment(&a_request(), &facts), Ok(gbp(most)));
        assert!(is_paid(&a_request(), &facts, gbp(most)));
        assert!(!is_paid(&a_request(), &facts, gbp(most + 1)), "not even in part");
    }
}

/// How much more of a purchase with `so_far` would be paid, after an increment of £50.00 was
/// declined.
fn rest(mut facts: Facts, so_far: i64) -> Option<i64> {
    let request = AuthorisationRequest { amount: gbp(50_00), ..a_request() };
    let (so_far, counted_on) = (gbp(so_far), facts.moment.date);
    facts.continues = PurchaseContinuation::Open { so_far, counted_on };
    let Decision::Decline(reasons) = decide(&request, &facts) else { panic!("approved") };
    let rest = payable_rest(&request, &facts, &reasons)?;
    assert!(is_paid(&request, &facts, rest));
    Some(rest.minor())
}

#[test]
fn of_an_open_purchase_the_rest_is_named_only_if_it_would_be_paid() {
    let limit = Limit::PerPurchase(gbp(25_00));
    let facts = agreed(|agreement| agreement.terms.push(limited(Scope::Everything, limit)));
    assert_eq!(rest(facts.clone(), 15_00), Some(10_00));
    assert_eq!(rest(facts.clone(), 25_00), None, "all of it is used");
    let mut poor = facts.clone();
    poor.pots.insert(pot("week"), gbp(4_00).into());
    assert_eq!(rest(poor.clone(), 15_00), Some(4_00), "the pots have less");
    poor.pots.insert(pot("week"), gbp(0).into());
    assert_eq!(rest(poor, 15_00), None);
    let food = || Scope::Category(category("food"));
    let mut asks = agreed(|agreement| agreement.terms.push(ask(food())));
    asks.permissions.push(a_permission());
    assert_eq!(rest(asks.clone(), 12_00), Some(8_00), "the permission is up to £20.00");
    asks.permissions.clear();
    assert_eq!(rest(asks, 12_00), None);
}

#[test]
fn cash_back_of_the_template_is_not_asked_about() {
    let request = AuthorisationRequest { cash_back: gbp(5_00), ..a_request() };
    let facts = agreed(|agreement| agreement.terms.push(no(Scope::Gate(Gate::CashBack))));
    assert!(!largest_payment(&request, &facts).unwrap().is_zero());
}

#[test]
fn nothing_is_paid_by_a_frozen_card_or_without_money() {
    let mut frozen = some_facts();
    frozen.holder.as_mut().unwrap().card = CardState::FrozenByPerson;
    assert_eq!(largest_payment(&a_request(), &frozen), Ok(gbp(0)));
    let mut empty = some_facts();
    for pot in empty.pots.values_mut() {
        pot.left = gbp(0);
    }
    assert_eq!(largest_payment(&a_request(), &empty), Ok(gbp(0)));
    let no_pots = agreed(|agreement| agreement.pots.clear());
    assert_eq!(largest_payment(&a_request(), &no_pots), Ok(gbp(0)));
}
