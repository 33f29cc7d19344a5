//! One-off permissions: what they lift, and what nothing lifts.

use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::civil::time;

use sayso::domain::agreement::{Agreement, Gate, Hours, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::ask::permission::Permission;
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Facts, Presence, ProgrammeState, PurchaseContinuation,
};
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::id::PermissionId;
use sayso::domain::money::limit::{CounterKey, Limit, LimitUsage};
use sayso::domain::people::person::PersonState;
use sayso::domain::shop::merchant::Mcc;
use sayso::domain::time::period::Period;

use super::{agreed, approved, facts_with, reasons};
use crate::values::{
    a_draft, a_permission, a_request, ask, category, gbp, limited, monday_morning, no,
};

fn number(n: u128) -> PermissionId {
    PermissionId::new(uuid::Uuid::from_u128(n))
}

/// Facts with the tests' permission, and `change` applied to the agreement.
fn permitted(change: impl FnOnce(&mut Agreement)) -> Facts {
    let mut facts = agreed(change);
    facts.permissions.push(a_permission());
    facts
}

fn asking(minor: i64) -> AuthorisationRequest {
    AuthorisationRequest { amount: gbp(minor), ..a_request() }
}

fn food() -> Scope {
    Scope::Category(category("food"))
}

#[test]
fn an_ok_lifts_an_ask_and_a_no_and_is_used() {
    for term in [ask(food()), no(food()), no(Scope::Code(Mcc::parse("5411").unwrap()))] {
        let facts = permitted(|agreement| agreement.terms.push(term));
        assert_eq!(approved(&asking(20_00), &facts).permission, Some(a_permission().id));
    }
}

#[test]
fn an_ok_lifts_the_ways_of_paying() {
    let hours = Some(Hours { from: time(20, 0, 0, 0), to: time(4, 0, 0, 0) });
    let hours = TermDraft { hours, ..a_draft(Scope::Gate(Gate::Hours), TermAnswer::No) };
    let facts = permitted(|agreement| {
        agreement.terms.extend([no(Scope::Gate(Gate::Online)), Term::new(hours).unwrap()]);
    });
    let request = AuthorisationRequest { presence: Presence::Remote, ..a_request() };
    assert_eq!(approved(&request, &facts).permission, Some(a_permission().id));
}

#[test]
fn an_ok_lifts_limits_up_to_its_cap() {
    for limit in [
        Limit::PerPurchase(gbp(1)),
        Limit::Amount { per: Period::Week, most: gbp(1) },
        Limit::Count { per: Period::Day, most: 1 },
    ] {
        let mut facts =
            permitted(|agreement| agreement.terms.push(limited(Scope::Everything, limit)));
        let first_day = Period::Day.first_day(facts.moment.date);
        let key = CounterKey { scope: Scope::Everything, period: Period::Day, first_day };
        facts.counters.insert(key, LimitUsage { amount: gbp(0), purchases: 1 });
        assert_eq!(approved(&asking(20_00), &facts).permission, Some(a_permission().id));
        let told = reasons(&asking(20_01), &facts);
        assert_eq!(told[0], DeclineReason::OkSmall { cap: gbp(20_00) }, "{limit:?}");
        assert_eq!(told.len(), 2, "{limit:?}");
    }
}

#[test]
fn an_ok_is_not_used_where_none_is_needed() {
    let facts = permitted(|_| {});
    assert_eq!(approved(&a_request(), &facts).permission, None);
}

#[test]
fn an_ok_for_something_else_does_not_help_and_is_not_spoken_of() {
    let asks = DeclineReason::CategoryAsk { category: category("food") };
    for scope in [
        Scope::Category(category("phone")),
        Scope::Code(Mcc::parse("5812").unwrap()),
        Scope::Shop(sayso::domain::shop::ShopKey::from_name("Elsewhere").unwrap()),
        Scope::EverythingElse, // the food term applies here
        Scope::Gate(Gate::Cash),
    ] {
        let mut facts = agreed(|agreement| agreement.terms.push(ask(food())));
        facts.permissions.push(Permission { scope: scope.clone(), ..a_permission() });
        assert_eq!(reasons(&a_request(), &facts), std::slice::from_ref(&asks), "{scope}");
    }
}

#[test]
fn an_ok_never_lifts_the_card_the_person_or_the_programme() {
    let changes: [fn(&mut Facts); 3] = [
        |facts| facts.holder.as_mut().unwrap().card = CardState::FrozenByPerson,
        |facts| facts.holder.as_mut().unwrap().person = PersonState::Ended,
        |facts| facts.programme.state = ProgrammeState::Paused,
    ];
    for change in changes {
        let mut facts = permitted(|agreement| agreement.terms.push(ask(food())));
        change(&mut facts);
        assert_eq!(reasons(&a_request(), &facts).len(), 1, "only what the OK cannot lift is left");
    }
}

#[test]
fn an_ok_never_lifts_the_law_of_the_money() {
    let mut facts = permitted(|agreement| agreement.terms.push(ask(food())));
    let mut streams = facts.programme.streams.to_vec();
    streams[0].never.insert(category("food"));
    facts.programme.streams = Arc::new(streams);
    let law = DeclineReason::FunderRule { category: category("food") };
    assert_eq!(reasons(&a_request(), &facts)[0], law);
}

#[test]
fn an_ok_makes_no_money() {
    let mut facts = permitted(|agreement| agreement.terms.push(ask(food())));
    facts.pots = [("week".parse().unwrap(), gbp(3_00).into())].into();
    let short = DeclineReason::NoMoney { left: gbp(3_00), gap: gbp(7_00), held_back: gbp(0) };
    assert_eq!(reasons(&a_request(), &facts), [short]);
}

#[test]
fn an_own_block_stands_until_it_has_cooled() {
    let block = TermDraft { cooling_days: Some(7), ..a_draft(food(), TermAnswer::No) };
    let block = Term::new(block).unwrap();
    let now = monday_morning().at;
    let week_ago = now.checked_sub((7 * 24).hours()).unwrap();
    let almost = week_ago.checked_add(1.microseconds()).unwrap();
    for (given_at, lifts) in [(week_ago, true), (almost, false), (now, false)] {
        let mut facts = agreed(|agreement| agreement.terms.push(block.clone()));
        facts.permissions.push(Permission { given_at, ..a_permission() });
        let told = reasons(&a_request(), &facts);
        let off = DeclineReason::CategoryOff { category: category("food") };
        assert_eq!(told, if lifts { vec![] } else { vec![off] }, "{given_at}");
    }
}

#[test]
fn one_own_block_is_enough_to_stand() {
    // The permission lifts a refusal of the list, but not the person's own block on online
    // purchases.
    let block = a_draft(Scope::Gate(Gate::Online), TermAnswer::No);
    let block = Term::new(TermDraft { cooling_days: Some(1), ..block }).unwrap();
    let facts = permitted(|agreement| agreement.terms.extend([no(food()), block]));
    let online = AuthorisationRequest { presence: Presence::Remote, ..a_request() };
    assert_eq!(reasons(&online, &facts).len(), 2);
    assert_eq!(reasons(&a_request(), &facts), []);
}

#[test]
fn a_cooling_time_beyond_the_calendar_never_ends_and_never_panics() {
    let block = TermDraft { cooling_days: Some(u32::MAX), ..a_draft(food(), TermAnswer::No) };
    let facts = permitted(|agreement| agreement.terms.push(Term::new(block).unwrap()));
    assert_eq!(reasons(&a_request(), &facts).len(), 1);
}

#[test]
fn the_oldest_ok_that_helps_is_used() {
    let at = |hour: &str| format!("2026-11-23T{hour}:00Z").parse().unwrap();
    let facts = facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).terms.push(ask(food()));
        facts.permissions = vec![
            Permission { id: number(1), uses_left: 0, given_at: at("05:00"), ..a_permission() },
            Permission { id: number(2), cap: gbp(1), given_at: at("06:00"), ..a_permission() },
            Permission { id: number(3), given_at: at("07:00"), ..a_permission() },
            Permission { id: number(4), given_at: at("08:00"), ..a_permission() },
        ];
    });
    assert_eq!(approved(&a_request(), &facts).permission, Some(number(3)));
}

#[test]
fn the_newest_ok_says_why_none_helps() {
    let facts = facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).terms.push(ask(food()));
        facts.permissions = vec![
            Permission { id: number(1), cap: gbp(1), ..a_permission() },
            Permission { id: number(2), uses_left: 0, ..a_permission() },
        ];
    });
    assert_eq!(reasons(&a_request(), &facts)[0], DeclineReason::OkUsed);
}

#[test]
fn an_increment_stays_within_the_cap_of_the_whole_purchase() {
    let mut facts = permitted(|agreement| agreement.terms.push(ask(food())));
    facts.continues =
        PurchaseContinuation::Open { so_far: gbp(12_00), counted_on: facts.moment.date };
    assert_eq!(approved(&asking(8_00), &facts).permission, Some(a_permission().id));
    let told = reasons(&asking(8_01), &facts);
    assert_eq!(told[0], DeclineReason::OkSmall { cap: gbp(20_00) });
}
