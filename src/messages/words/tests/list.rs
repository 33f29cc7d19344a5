//! Tests of the texts about lists.

use super::*;
use crate::domain::agreement::change::{List, TermKey, changes};
use crate::domain::agreement::{Decider, Gate, Term, TermAnswer, TermDraft};
use crate::domain::money::limit::Limit;
use crate::domain::shop::merchant::{CategoryRule, MerchantRules};

fn some_particular<'a>(zone: &'a TimeZone, name: &'a str, words: &'a str) -> ListParameters<'a> {
    ListParameters { zone, name, at: Some("2026-09-30T11:45:00Z".parse().unwrap()), words }
}

#[test]
fn what_is_told_about_a_list_is_one_text_message_that_the_person_can_read() {
    let zone = london();
    let mut texts = Vec::new();
    for notification in ListNotification::ALL {
        let dee = some_particular(&zone, "Amina", "Someone has your PIN.");
        let text = Words::english().list_notification(*notification, &dee);
        assert!(text.ends_with('.') && !text.contains(['{', '\n', '!']), "{text}");
        assert_plain(&text);
        assert_calm(&text, &["PIN"]);
        texts.push(text);
    }
    assert_readable(&texts);
    let long = "W".repeat(49) + ".";
    assert!(Words::is_short_enough(&long));
    assert!(!Words::is_short_enough(&format!("W{long}")));
    for name in ["Christopher-James Maximilienne", "أمينة", ""] {
        for notification in ListNotification::ALL {
            let text = Words::english()
                .list_notification(*notification, &some_particular(&zone, name, &long));
            assert!(sms::fits(&text), "{notification:?}: {text}");
            assert!(!text.contains("  ") && !text.starts_with(' '), "{text}");
        }
    }
}

#[test]
fn a_pause_says_who_why_until_and_how_to_have_it_looked_at() {
    let zone = london();
    let pause = some_particular(&zone, "Amina", "Someone has your PIN.");
    assert_eq!(
        Words::english().list_notification(ListNotification::PauseBegun, &pause),
        "Amina paused your card until 12:45pm on Wed 30 September. Why: Someone has your PIN. \
         Reply LOOK to have someone else look at it."
    );
}

/// Fake display names of a programme.
struct FakeNames;

impl DisplayNames for FakeNames {
    fn scope(&self, scope: &Scope) -> Option<String> {
        matches!(scope, Scope::Category(_)).then(|| "Food and corner shops".to_owned())
    }

    fn pot(&self, pot: &PotId) -> String {
        pot.to_string()
    }
}

fn a_term(scope: Scope, answer: TermAnswer, limits: Vec<Limit>) -> Term {
    let hours = (scope == Scope::Gate(Gate::Hours))
        .then(|| Hours { from: time(6, 0, 0, 0), to: time(23, 0, 0, 0) });
    Term::new(TermDraft {
        scope,
        answer,
        limits,
        hours,
        decides: Decider::Together,
        reason: Some("We talked about it.".to_owned()),
        review_on: Some(date(2027, 1, 1)),
        cooling_days: None,
    })
    .unwrap()
}

#[test]
fn a_term_reads_as_people_say_it() {
    let food = || Scope::Category(Category::parse("food").unwrap());
    let limits = vec![
        Limit::PerPurchase(gbp(15_00)),
        Limit::Amount { per: Period::Day, most: gbp(30_00) },
        Limit::Amount { per: Period::Agreement, most: gbp(300_00) },
        Limit::Count { per: Period::Week, most: 1 },
        Limit::Count { per: Period::Month, most: 3 },
    ];
    for (term, expected) in [
        (a_term(food(), TermAnswer::Yes, Vec::new()), "Yes"),
        (a_term(food(), TermAnswer::Ask, vec![Limit::PerPurchase(gbp(5_00))]), "Ask first"),
        (a_term(food(), TermAnswer::No, Vec::new()), "No"),
        (a_term(Scope::Gate(Gate::Hours), TermAnswer::No, Vec::new()), "From 6am to 11pm"),
        (
            a_term(food(), TermAnswer::Yes, limits),
            "Yes, up to £15 each time, up to £30 a day, up to £300 in all, one time a week, \
             3 times a month",
        ),
    ] {
        assert_eq!(Words::english().term(Some(&term)), expected);
    }
    assert_eq!(Words::english().term(None), "Yes");
}

#[test]
fn every_part_of_a_list_has_a_name_and_every_change_a_word() {
    let unsorted = CategoryRule {
        category: Category::unsorted(),
        name: "Not sorted".to_owned(),
        line: String::new(),
        note: String::new(),
        start: crate::domain::shop::merchant::DefaultAnswer::Yes,
        is_sensitive: false,
        codes: BTreeMap::new(),
        also: BTreeSet::new(),
        ranges: Vec::new(),
    };
    let rules = MerchantRules::new(vec![unsorted], String::new()).unwrap();
    let scopes = [
        Scope::Code("5541".parse().unwrap()),
        Scope::Category(Category::parse("food").unwrap()),
        Scope::EverythingElse,
        Scope::Everything,
        Scope::Gate(Gate::Cash),
        Scope::Gate(Gate::CashBack),
        Scope::Gate(Gate::Online),
        Scope::Gate(Gate::Abroad),
        Scope::Gate(Gate::Hours),
    ];
    let before = List { partial: false, terms: Vec::new(), pots: Vec::new() };
    let limit = || vec![Limit::PerPurchase(gbp(5_00))];
    let terms = scopes.map(|scope| {
        if scope == Scope::Everything {
            a_term(scope, TermAnswer::Yes, limit())
        } else {
            a_term(scope, TermAnswer::No, Vec::new())
        }
    });
    let after = List { partial: true, terms: terms.into(), pots: Vec::new() };
    let changes = changes(&before, &after, &rules);
    assert_eq!(changes.len(), 10);
    let lines = Words::english().change_lines(&changes, &FakeNames);
    let about: BTreeSet<_> = lines.iter().map(|line| line.about.clone()).collect();
    assert_eq!(about.len(), lines.len(), "{about:?}");
    for line in &lines {
        let way = if line.key == TermKey::Partial { "more" } else { "less" };
        assert_eq!((line.way.word(), line.way_text.as_str()), (way, way), "{line:?}");
        for word in line.about.to_lowercase().split(' ') {
            assert!(!BANNED.iter().any(|banned| word.starts_with(banned)), "{line:?}");
        }
    }
}
