//! Which term answers, and for which purchases.

use jiff::civil::Time;

use super::*;
use crate::programme::Hours;

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
    assert_eq!(books.verdict(&ask(1, &shops::THEORY_TEST, 11_50), NOON), ExpectedDecision::Approve);
    assert_eq!(books.verdict(&ask(1, &shops::COURSE, 11_50), NOON), no("category_ask"));
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
