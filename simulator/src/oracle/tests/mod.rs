//! The decision as a whole in the demo programme, and the requests that all tests share.

mod limits;
mod permissions;
mod terms;

use std::sync::Arc;

use super::*;
use crate::{programme::Programme, shops};

const NOON: i64 = 1_795_435_200; // Monday 2026-11-23 12:00 in London

fn demo() -> Books {
    let text = include_str!("../../../../merchant-rules/demo.toml");
    Books::open(&Programme::read(text).unwrap()).unwrap()
}

/// The demo programme with lines added to its `[programme]` table and at its end.
fn changed(head: &str, rest: &str) -> Books {
    let text = include_str!("../../../../merchant-rules/demo.toml");
    let text = text.replacen("[programme]", &format!("[programme]\n{head}"), 1);
    Books::open(&Programme::read(&format!("{text}\n{rest}")).unwrap()).unwrap()
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
fn a_barred_category_is_the_funders_word_and_not_the_agreements() {
    assert_eq!(demo().verdict(&ask(1, &shops::BETTING_SHOP, 5_00), NOON), no("funder_rule"));
    assert_eq!(demo().verdict(&ask(0, &shops::OFF_LICENCE, 5_00), NOON), no("category_off"));
}

#[test]
fn a_margin_is_no_reason_and_may_pay_for_more_of_the_same() {
    let mut books = changed("exchange_margin_percent = 10", "");
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
