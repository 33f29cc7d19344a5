//! The content of the demo's file, and reading back what was written.

mod any_file;
mod mistakes;

use std::collections::BTreeSet;

use jiff::civil::{date, time};

use crate::domain::agreement::{Decider, Gate, Hours, TermAnswer, TermDraft};
use crate::domain::card::CardState;
use crate::domain::money::limit::Limit;
use crate::domain::shop::ShopKey;
use crate::domain::shop::home::UnknownCountry;
use crate::domain::shop::merchant::Mcc;
use crate::domain::time::period::Period;

use super::*;

const DEMO: &str = include_str!("../../../../merchant-rules/demo.toml");

/// Everything that a file can say, in few lines. The cases in `mistakes` count its line numbers.
const SMALL: &str = include_str!("small.toml");

fn some_categories(category: &Category) -> bool {
    ["food", "gambling", "pets", "phone"].contains(&category.as_str())
}

fn problems(text: &str) -> Vec<FileProblem> {
    parse(text, &some_categories).map_or_else(|found| found.problems, |_| Vec::new())
}

fn parsed(text: &str) -> ProgrammeFile {
    match parse(text, &|_: &Category| true) {
        Ok(file) => file,
        Err(problems) => panic!("{problems}\n\n{text}"),
    }
}

fn pounds(minor: i64) -> Money {
    Money::from_minor(minor, "GBP".parse().unwrap())
}

#[test]
fn a_given_secret_is_never_shown() {
    let file = parsed(SMALL);
    assert!(matches!(file.settings.connections[0].secrets[0].value, SecretValue::Given(_)));
    for text in [format!("{file:?}"), write(&file), write_settings(&file.settings)] {
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
}

#[test]
fn a_margin_that_is_left_out_is_none() {
    assert_eq!(parsed(SMALL).settings.exchange_margin, MarginPercent::NONE);
    for percent in [0, 1, 25] {
        let line = format!("country = \"GB\"\nexchange_margin_percent = {percent}");
        let settings = parsed(&SMALL.replacen("country = \"GB\"", &line, 1)).settings;
        assert_eq!(settings.exchange_margin.number(), percent);
        let written = write_settings(&settings);
        assert_eq!(
            written.contains("exchange_margin_percent"),
            percent > 0,
            "as files were before"
        );
    }
}

#[test]
fn home_is_the_country_alone_unless_the_file_says_more() {
    let home = parsed(SMALL).settings.home;
    assert_eq!(home, HomeCountries::of("GB"));
    assert!(!write_settings(&parsed(SMALL).settings).contains("home_countries"), "as before");
    let line = "country = \"GB\"\nhome_countries = [\"JE\", \"IM\"]\nunknown_country = \"abroad\"";
    let settings = parsed(&SMALL.replacen("country = \"GB\"", line, 1)).settings;
    let others = vec!["JE".to_owned(), "IM".to_owned()];
    let unknown = UnknownCountry::Abroad;
    assert_eq!(settings.home, HomeCountries { others, unknown, ..HomeCountries::of("GB") });
    assert!(write_settings(&settings).contains("home_countries = ["));
}

#[test]
fn a_person_without_terms_has_the_start_list() {
    let mut file = parsed(DEMO);
    let mut dee = file.people.remove(0);
    assert_eq!(dee.terms(&file.settings.start).len(), 9);
    dee.agreement.as_mut().unwrap().terms.clear();
    assert_eq!(dee.terms(&file.settings.start), file.settings.start);
    dee.agreement = None;
    assert_eq!(dee.terms(&file.settings.start), file.settings.start);
}

/// `file` with the secrets of a written file.
fn kept(mut file: ProgrammeFile) -> ProgrammeFile {
    for connection in &mut file.settings.connections {
        for secret in &mut connection.secrets {
            secret.value = SecretValue::Kept;
        }
    }
    file
}

#[test]
fn the_demo_and_the_small_file_read_back_as_they_were() {
    for text in [DEMO, SMALL] {
        let file = kept(parsed(text));
        let written = write(&file);
        assert_eq!(parsed(&written), file, "{written}");
        assert_eq!(write(&parsed(&written)), written, "writing twice is writing once");
        // The written file has the fields of the original in the same order, except for three that
        // it may leave out or add.
        let fields = |text: &str| -> Vec<String> {
            let keys = text.lines().filter(|line| line.starts_with("[[") || line.contains(" = "));
            keys.map(|line| line.split(" = ").next().unwrap().to_owned()).collect()
        };
        let (ours, theirs) = (fields(&written), fields(text));
        let together = |keys: &[String]| -> Vec<String> {
            keys.iter()
                .filter(|key| !["decides", "own_block", "state"].contains(&&***key))
                .cloned()
                .collect()
        };
        assert_eq!(together(&ours), together(&theirs));
    }
}

#[test]
fn the_parts_read_back_as_they_were() {
    let file = parsed(DEMO);
    let any = |_: &Category| true;
    let settings = parse_settings(&write_settings(&file.settings), &any).unwrap();
    let mut without_secrets = file.settings.clone();
    without_secrets.connections[0].secrets.clear();
    assert_eq!(settings, without_secrets);
    for person in &file.people {
        assert_eq!(parse_person(&write_person(person), &settings, &any).as_ref(), Ok(person));
    }
    assert!(parse_person("", &settings, &any).is_err());
    let mut fewer = settings.clone();
    fewer.streams.clear();
    let dee = &file.people[0];
    let kept = parse_person(&write_person(dee), &fewer, &any);
    assert_eq!(kept.as_ref(), Ok(dee), "a stream that was dropped meanwhile");
    let two: String = file.people.iter().map(write_person).collect();
    assert!(parse_person(&two, &settings, &any).is_err());
}

#[test]
fn the_demo_says_what_dee_agreed() {
    let file = parsed(DEMO);
    let settings = &file.settings;
    assert_eq!(settings.id.as_str(), "riverside");
    assert_eq!(settings.zone.iana_name(), Some("Europe/London"));
    assert_eq!(settings.state, ProgrammeState::Running);
    assert_eq!(settings.connections[0].deadline_ms, 2000);
    assert_eq!(settings.streams[1].ends_on, Some(date(2027, 3, 31)));
    assert_eq!(settings.start.len(), 1);
    let ids: Vec<_> = file.people.iter().map(|person| person.id.as_str()).collect();
    assert_eq!(ids, ["dee", "femi", "ana"]);

    let dee = &file.people[0];
    assert_eq!((dee.name.as_str(), dee.worker.as_str()), ("Dee", "amina"));
    assert_eq!((dee.state, &dee.phone), (PersonState::Active, &None));
    let cards: Vec<_> =
        dee.cards.iter().map(|card| (card.last_four.as_str(), card.state)).collect();
    assert_eq!(cards, [("5678", CardState::Active), ("1234", CardState::Replaced)]);
    assert_eq!(dee.cards[0].token.as_str(), "ic_1DemoDee00000000001");
    let pots: Vec<_> = dee
        .pots
        .iter()
        .map(|pot| {
            let loads: i64 = pot.loads.iter().map(|load| load.amount.minor()).sum();
            let only = pot.plan.only.as_ref().map_or(0, BTreeSet::len);
            (pot.plan.id.as_str(), pot.allocated.minor(), loads, only, pot.plan.emergency)
        })
        .collect();
    assert_eq!(
        pots,
        [
            ("pets", 160_00, 40_00, 1, false),
            ("moving-in", 150_00, 150_00, 5, false),
            ("week", 3120_00, 63_90, 0, false),
            ("emergency", 80_00, 20_00, 5, true),
        ]
    );
    assert_eq!(dee.pots[2].plan.only, None);

    let agreement = dee.agreement.as_ref().unwrap();
    assert_eq!(agreement.agreed_on, date(2026, 11, 16));
    assert_eq!(agreement.agreed_by, ["Dee", "Amina"]);
    assert_eq!(agreement.terms.len(), 9);
    let first = Term::new(TermDraft {
        scope: Scope::Category("gambling".parse().unwrap()),
        answer: TermAnswer::No,
        limits: Vec::new(),
        hours: None,
        decides: Decider::Person,
        reason: Some("Dee asked for this.".to_owned()),
        review_on: Some(date(2027, 2, 16)),
        cooling_days: Some(7),
    });
    assert_eq!(agreement.terms[0], ListedTerm { term: first.unwrap(), shop_name: None });
    let fuel = &agreement.terms[5].term;
    assert_eq!(*fuel.scope(), Scope::Code(Mcc::parse("5541").unwrap()));
    assert_eq!(fuel.limits(), [Limit::PerPurchase(pounds(10_00))]);
    let cash = &agreement.terms[6].term;
    assert_eq!(*cash.scope(), Scope::Gate(Gate::Cash));
    assert_eq!(cash.limits(), [Limit::Amount { per: Period::Week, most: pounds(20_00) }]);

    let femi = file.people[1].agreement.as_ref().unwrap();
    let test = &femi.terms[2];
    assert_eq!(test.shop_name.as_deref(), Some("Theory Test Centre"));
    assert_eq!(*test.term.scope(), Scope::Shop(ShopKey::from_name("Theory Test Centre").unwrap()));
    assert_eq!(test.term.limits(), [Limit::Count { per: Period::Agreement, most: 2 }]);
    let ana = file.people[2].agreement.as_ref().unwrap();
    let hours = Hours { from: time(6, 0, 0, 0), to: time(23, 0, 0, 0) };
    assert_eq!(ana.terms[1].term.hours(), Some(hours));
    assert_eq!(*ana.terms[3].term.scope(), Scope::Everything);
}
