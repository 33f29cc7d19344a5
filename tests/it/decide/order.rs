//! Checks run in a fixed order, the most specific term applies, and every failed check is recorded.

use std::sync::Arc;

use jiff::civil::{Date, time};

use sayso::domain::agreement::{Gate, Hours, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::ask::permission::Permission;
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Facts, Presence, ProgrammeState, PurchaseKind,
};
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::money::limit::Limit;
use sayso::domain::people::person::PersonState;
use sayso::domain::shop::merchant::Mcc;
use sayso::domain::time::period::Period;

use super::{agreed, approved, facts_with, reasons};
use crate::values::{a_draft, a_permission, a_request, category, gbp, no, yes};

const NIGHT: Hours = Hours { from: time(20, 0, 0, 0), to: time(4, 0, 0, 0) };

/// Cash with cash back, from another country and by phone: every check fails.
fn everything_wrong() -> (AuthorisationRequest, Facts) {
    let request = AuthorisationRequest {
        kind: PurchaseKind::Cash,
        cash_back: gbp(1_00),
        presence: Presence::Remote,
        merchant: a_request().merchant.in_country("IE"),
        ..a_request()
    };
    let with_limits =
        |scope, answer, limits| Term::new(TermDraft { limits, ..a_draft(scope, answer) }).unwrap();
    let hours =
        TermDraft { hours: Some(NIGHT), ..a_draft(Scope::Gate(Gate::Hours), TermAnswer::No) };
    let purchase = |minor| Limit::PerPurchase(gbp(minor));
    let facts = facts_with(|facts| {
        facts.programme.state = ProgrammeState::Paused;
        let mut streams = facts.programme.streams.to_vec();
        streams[0].never.insert(category("food"));
        facts.programme.streams = Arc::new(streams);
        facts.permissions.push(Permission { cap: gbp(1), ..a_permission() });
        let holder = facts.holder.as_mut().unwrap();
        holder.card = CardState::Lost;
        holder.person = PersonState::Ended;
        // In reverse, because the order of the file must not matter.
        Arc::make_mut(&mut holder.agreement).terms = vec![
            with_limits(Scope::Everything, TermAnswer::Yes, vec![purchase(5)]),
            Term::new(hours).unwrap(),
            no(Scope::Gate(Gate::Abroad)),
            no(Scope::Gate(Gate::Online)),
            with_limits(Scope::Gate(Gate::CashBack), TermAnswer::Ask, vec![purchase(4)]),
            with_limits(Scope::Gate(Gate::Cash), TermAnswer::Ask, vec![purchase(3)]),
            with_limits(
                Scope::EverythingElse,
                TermAnswer::Ask,
                vec![
                    purchase(2),
                    Limit::Amount { per: Period::Agreement, most: gbp(9) },
                    Limit::Count { per: Period::Month, most: 0 },
                ],
            ),
        ];
    });
    (request, facts)
}

#[test]
fn all_reasons_are_kept_in_the_order_of_the_checks() {
    use DeclineReason as Why;
    let (request, facts) = everything_wrong();
    let over = |minor| Why::OverPurchase { limit: gbp(minor) };
    let expected = [
        // The card, the person, the programme.
        Why::CardLost,
        Why::Ended,
        Why::Paused,
        // Funder rules.
        Why::FunderRule { category: category("food") },
        // The agreement, and why a permission does not lift its refusal.
        Why::OkSmall { cap: gbp(1) },
        Why::CategoryAsk { category: category("food") },
        Why::CashOff,
        Why::CashBackOff,
        Why::OnlineOff,
        Why::AbroadOff,
        Why::OutsideHours { hours: NIGHT },
        // Limits: of the shop's term, of the payment methods, of everything.
        over(2),
        Why::OverPeriod { period: Period::Agreement, limit: gbp(9), left: gbp(9), until: None },
        Why::TooMany { period: Period::Month, limit: 0, until: Some(Date::constant(2026, 11, 30)) },
        over(3),
        over(4),
        over(5),
        // The money.
        Why::NoMoney { left: gbp(0), gap: gbp(10_00), held_back: gbp(0) },
    ];
    assert_eq!(reasons(&request, &facts), expected);
}

#[test]
fn without_the_earlier_reasons_the_next_one_is_told() {
    let (request, mut facts) = everything_wrong();
    let holder = facts.holder.as_mut().unwrap();
    holder.card = CardState::Active;
    assert_eq!(reasons(&request, &facts)[0], DeclineReason::Ended);
    facts.holder.as_mut().unwrap().person = PersonState::Active;
    assert_eq!(reasons(&request, &facts)[0], DeclineReason::Paused);
    facts.programme.state = ProgrammeState::Running;
    assert!(matches!(reasons(&request, &facts)[0], DeclineReason::FunderRule { .. }));
}

#[test]
fn the_most_specific_term_speaks() {
    let scopes = [
        Scope::Shop(a_request().merchant.shop_key().unwrap()),
        Scope::Code(Mcc::parse("5411").unwrap()),
        Scope::Category(category("food")),
        Scope::EverythingElse,
    ];
    for speaker in 0..scopes.len() {
        // The most specific term allows and all others refuse, in any order of the file.
        let mut terms: Vec<_> = scopes[speaker + 1..].iter().cloned().map(no).collect();
        terms.push(yes(scopes[speaker].clone()));
        let approval = approved(&a_request(), &agreed(|agreement| agreement.terms = terms));
        assert_eq!(approval.matched, scopes[speaker]);

        let mut terms: Vec<_> = scopes[speaker + 1..].iter().cloned().map(yes).collect();
        terms.push(no(scopes[speaker].clone()));
        let facts = agreed(|agreement| agreement.terms = terms);
        assert_eq!(reasons(&a_request(), &facts).len(), 1, "{}", scopes[speaker]);
    }
}

#[test]
fn a_term_about_another_shop_says_nothing() {
    let mut elsewhere = a_request();
    elsewhere.merchant = sayso::domain::shop::merchant::Merchant::new(
        Some(Mcc::parse("5812").unwrap()),
        "Other Place",
    );
    let facts = agreed(|agreement| {
        agreement.terms = vec![
            no(Scope::Shop(elsewhere.merchant.shop_key().unwrap())),
            no(Scope::Code(Mcc::parse("5812").unwrap())),
            no(Scope::Category(category("eating"))),
            yes(Scope::EverythingElse),
        ];
    });
    assert_eq!(approved(&a_request(), &facts).matched, Scope::EverythingElse);
}

#[test]
fn what_no_term_forbids_is_allowed() {
    let facts = agreed(|agreement| agreement.terms.clear());
    assert_eq!(approved(&a_request(), &facts).matched, Scope::EverythingElse);
}
