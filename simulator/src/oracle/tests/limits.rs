//! What counts towards a limit, and on which day.

use super::*;
use crate::books::{Presentment, PurchaseReference, PurchaseTimes};

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
fn what_comes_back_gives_the_limit_of_its_day_back_and_the_count_stays() {
    let mut books = demo();
    let cafe = |number, at| PurchaseReference::at_once(number, (2, &shops::CAFES[0]), at);
    for number in 1..=3 {
        books.hold(number, 2, &shops::CAFES[0], 9_00, NOON);
        books.capture(cafe(number, NOON), Presentment::of(9_00));
    }
    let chemist = |amount| whole(2, &shops::CHEMISTS[0], amount);
    assert_eq!(books.verdict(&chemist(8_01), NOON), no("over_period"), "35.00 a day");
    books.refund(cafe(1, NOON), Presentment::of(9_00));
    assert_eq!(books.verdict(&chemist(17_00), NOON), ExpectedDecision::Approve);
    assert_eq!(books.verdict(&chemist(17_01), NOON), no("over_period"));
    assert_eq!(books.verdict(&ask(2, &shops::CAFES[0], 1_00), NOON), no("too_many"));
    let tomorrow = NOON + 86_400;
    books.refund(cafe(2, tomorrow), Presentment::of(9_00));
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
