use std::collections::BTreeSet;

use jiff::civil::{date, time};

use super::*;
use crate::domain::agreement::{Hours, Scope};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Period;

mod list;
mod notification;
mod text_messages;
mod tills;

const AUDIENCES: [Audience; 3] = [Audience::Person, Audience::Worker, Audience::Finance];

/// The commands of a text message. A reply may name no other.
const COMMANDS: &[&str] = &[
    "BAL",
    "LIST",
    "LAST",
    "WHY",
    "ASK",
    "FREEZE",
    "UNFREEZE",
    "CALL",
    "LOOK",
    "CAN",
    "POTS",
    "NEXT",
    "WHO",
    "STATUS",
    "SHOP",
    "CHANGE",
    "LIMIT",
    "LOST",
    "EMERGENCY",
    "STATEMENT",
    "LESS",
    "LEAVE",
    "ABOUT",
    "MENU",
];

/// The beginnings of words that blame, or that are jargon of the card industry.
const BANNED: &[&str] = &[
    "allowed",
    "authori",
    "balance",
    "beneficiar",
    "block",
    "category",
    "configur",
    "decline",
    "denied",
    "deny",
    "eligib",
    "exceed",
    "fail",
    "forbid",
    "fraud",
    "invalid",
    "limit",
    "merchant",
    "permi",
    "policy",
    "prohibit",
    "refus",
    "reject",
    "restrict",
    "suspend",
    "transaction",
    "unauthori",
    "via",
    "violat",
];

const WORST: i64 = 12_345_67;

fn gbp(minor: i64) -> Money {
    Money::from_minor(minor, "GBP".parse().unwrap())
}

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn some_pots() -> BTreeMap<PotId, String> {
    [("pets", "pets"), ("week", "your week")]
        .map(|(id, name)| (id.parse().unwrap(), name.to_owned()))
        .into()
}

/// A purchase of £48 at a vet; change only what the test is about.
fn a_situation<'a>(
    zone: &'a TimeZone,
    pot_names: &'a BTreeMap<PotId, String>,
) -> PurchaseContext<'a> {
    PurchaseContext {
        person_name: "Dee",
        worker_name: "Amina",
        amount: gbp(48_00),
        so_far: None,
        rest: None,
        place: Some("Vet"),
        category_name: "Vets and pets",
        is_sensitive: false,
        hides_card: false,
        is_app_bill: false,
        till: PointOfSale::Nobody,
        payable: None,
        card_last_four: "5678",
        new_card_last_four: None,
        zone,
        pot_names,
    }
}

/// A purchase with the longest names and amounts that occur in practice.
fn a_long_situation<'a>(
    zone: &'a TimeZone,
    pot_names: &'a BTreeMap<PotId, String>,
) -> PurchaseContext<'a> {
    PurchaseContext {
        person_name: "Christopher-James",
        worker_name: "Maximilienne",
        amount: gbp(WORST),
        place: Some("Wednesbury Road Second-hand Furniture"),
        category_name: "Second-hand and charity shops",
        new_card_last_four: Some("1234"),
        ..a_situation(zone, pot_names)
    }
}

fn a_category() -> Category {
    Category::parse("pets").unwrap()
}

/// Every decline reason, with each variant of its fields.
fn reasons(amount: i64) -> Vec<DeclineReason> {
    use DeclineReason as R;
    let money = gbp(amount);
    let until = Some(date(2026, 9, 30)); // a Wednesday in September: the longest date there is
    let mut reasons = vec![
        R::UnknownCard,
        R::NotStarted,
        R::FrozenSelf,
        R::FrozenStaff,
        R::CardLost,
        R::OldCard,
        R::Expired,
        R::Ended,
        R::Paused,
        R::OtherCurrency,
        R::FunderRule { category: a_category() },
        R::PlaceOff,
        R::CategoryOff { category: a_category() },
        R::CategoryAsk { category: a_category() },
        R::Unsorted,
        R::CashOff,
        R::CashBackOff,
        R::OnlineOff,
        R::AbroadOff,
        R::OutsideHours { hours: Hours { from: time(6, 45, 0, 0), to: time(22, 45, 0, 0) } },
        R::OkUsed,
        R::OkHeld { held: money },
        R::OkOver { ended_at: "2026-09-30T11:45:00Z".parse().unwrap() },
        R::OkSmall { cap: money },
        R::OverPurchase { limit: money },
        R::NoMoney { left: money, gap: money, held_back: gbp(0) },
        R::NoMoney { left: money, gap: money, held_back: money },
        R::NoMoney { left: gbp(0), gap: money, held_back: gbp(0) },
        R::NotYet { left: money, comes: money, on: date(2026, 9, 30) },
        R::NotYet { left: gbp(0), comes: money, on: date(2026, 9, 30) },
        R::Conflict,
        R::OurFault,
    ];
    for &period in Period::ALL {
        let until = until.filter(|_| period != Period::Agreement);
        for left in [money, gbp(0)] {
            reasons.push(R::OverPeriod { period, limit: money, left, until });
        }
        for limit in [1, 20] {
            reasons.push(R::TooMany { period, limit, until });
        }
    }
    reasons
}

fn an_approval(amount: i64, parts: &[(&str, i64)]) -> Approval {
    let part =
        |(pot, minor): &(&str, i64)| PotPart { pot: pot.parse().unwrap(), amount: gbp(*minor) };
    Approval {
        amount: gbp(amount),
        parts: parts.iter().map(part).collect(),
        matched: Scope::EverythingElse,
        permission: None,
    }
}

/// Every text that a person can read.
fn texts_to_the_person(amount: i64, purchase_context: &PurchaseContext<'_>) -> Vec<String> {
    let words = Words::english();
    let mut texts = vec![words.quiet_text(purchase_context), words.text(Phrase::NotPaidShort)];
    for reason in reasons(amount) {
        for (new_card_last_four, till, payable) in [
            (None, PointOfSale::Nobody, None),
            (None, PointOfSale::Counter, Some(gbp(amount))),
            (None, PointOfSale::Pump, Some(gbp(amount))),
            (Some("1234"), PointOfSale::Nobody, Some(gbp(amount))),
        ] {
            let hides_card = amount == WORST && new_card_last_four.is_some();
            let purchase_context = PurchaseContext {
                hides_card,
                till,
                payable,
                new_card_last_four,
                ..*purchase_context
            };
            let next = words.what_next(&reason, &purchase_context);
            texts.push(format!(
                "{} {next}",
                words.why(&reason, Audience::Person, &purchase_context)
            ));
            texts.push(words.text_message(&reason, &purchase_context));
            texts.push(words.text_reply(&reason, &purchase_context));
        }
    }
    for place in [None, purchase_context.place] {
        let purchase_context = PurchaseContext { place, ..*purchase_context };
        for approval in [
            an_approval(48_00, &[("pets", 40_00), ("week", 8_00)]),
            an_approval(48_00, &[("pets", 48_00)]),
            an_approval(0, &[]),
            an_approval(30_00, &[("pets", 30_00)]),
        ] {
            texts.push(words.paid(&approval, Audience::Person, &purchase_context));
        }
        texts.extend(events().map(|event| words.event(event, Audience::Person, &purchase_context)));
    }
    texts
}

fn events() -> [PurchaseEvent; 5] {
    let amount = gbp(35_00);
    [
        PurchaseEvent::KeptAside { amount, until: Some(date(2025, 11, 21)) },
        PurchaseEvent::KeptAside { amount, until: None },
        PurchaseEvent::Captured { amount },
        PurchaseEvent::GivenBack { amount },
        PurchaseEvent::MoneyBack { amount },
    ]
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").map(str::trim)
}

/// Asserts that a ten-year-old can read `texts`.
fn assert_readable(texts: &[String]) {
    let (mut letters, mut words, mut said) = (0, 0, 0);
    for sentence in texts.iter().flat_map(|text| sentences(text)) {
        let length = sentence.split_whitespace().count();
        assert!(length <= 15, "{length} words: {sentence}");
        letters += sentence.chars().filter(|letter| letter.is_alphanumeric()).count();
        words += length;
        said += 1;
    }
    // The Automated Readability Index, in hundredths: 4.71 letters a word + 0.5 words a sentence
    // - 21.43. Five is what a ten-year-old can read.
    let index = (471 * letters / words + 50 * words / said).saturating_sub(2143);
    assert!(index <= 500, "{index}");
}

/// Asserts that `text` neither blames nor uses jargon of the card industry.
fn assert_plain(text: &str) {
    for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
        assert!(!BANNED.iter().any(|banned| word.starts_with(banned)), "{word:?} in: {text}");
    }
}

/// Asserts that every word in capitals is a command, or one of `others`.
fn assert_calm(text: &str, others: &[&str]) {
    for word in text.split(|letter: char| !letter.is_alphanumeric()) {
        let shouts = word.len() > 2 && word.chars().all(|letter| letter.is_ascii_uppercase());
        let is_known = COMMANDS.contains(&word) || others.contains(&word);
        assert!(!shouts || is_known, "{word} in: {text}");
    }
}

#[test]
fn every_reason_has_every_text_for_every_audience() {
    let (zone, pots) = (london(), some_pots());
    let codes: BTreeSet<_> = reasons(1).iter().map(DeclineReason::code).collect();
    assert_eq!(codes, ReasonCode::ALL.iter().copied().collect());
    for purchase_context in [a_situation(&zone, &pots), a_long_situation(&zone, &pots)] {
        for is_sensitive in [false, true] {
            let purchase_context = PurchaseContext { is_sensitive, ..purchase_context };
            for reason in reasons(48_00) {
                // A missing argument fails in `fill`.
                for audience in AUDIENCES {
                    let why = Words::english().why(&reason, audience, &purchase_context);
                    assert!(why.ends_with('.') && !why.contains(['{', '\n']), "{reason:?}: {why}");
                }
                let next = Words::english().what_next(&reason, &purchase_context);
                assert!(next.ends_with('.') && !next.contains(['{', '\n']), "{reason:?}: {next}");
            }
        }
    }
}

#[test]
fn the_person_can_read_it() {
    let (zone, pots) = (london(), some_pots());
    assert_readable(&texts_to_the_person(12_00, &a_situation(&zone, &pots)));
}

#[test]
fn no_text_to_the_person_blames_or_uses_our_words() {
    let (zone, pots) = (london(), some_pots());
    for text in texts_to_the_person(12_00, &a_situation(&zone, &pots)) {
        assert_plain(&text);
        assert!(!text.contains('!'), "{text}");
    }
}

#[test]
fn every_word_in_capitals_is_a_command() {
    let (zone, pots) = (london(), some_pots());
    for text in texts_to_the_person(12_00, &a_situation(&zone, &pots)) {
        assert_calm(&text, &[]);
    }
}

#[test]
fn only_those_who_may_read_where_it_was() {
    let (zone, pots) = (london(), some_pots());
    let words = Words::english();
    let purchase_context = PurchaseContext {
        person_name: "Zelda",
        place: Some("Bet Place"),
        category_name: "Betting",
        is_sensitive: true,
        ..a_situation(&zone, &pots)
    };
    for reason in reasons(48_00) {
        let started = words.text_message(&reason, &purchase_context);
        let worker = words.why(&reason, Audience::Worker, &purchase_context);
        let finance = words.why(&reason, Audience::Finance, &purchase_context);
        assert!(!finance.contains("Zelda"), "{finance}");
        for text in [started, worker, finance] {
            assert!(!text.contains("Bet"), "{text}");
        }
    }
    let approval = an_approval(48_00, &[("pets", 48_00)]);
    for audience in [Audience::Worker, Audience::Finance] {
        assert!(!words.paid(&approval, audience, &purchase_context).contains("Bet"));
        for event in events() {
            assert!(!words.event(event, audience, &purchase_context).contains("Bet"));
        }
    }
    let off = DeclineReason::CategoryOff { category: a_category() };
    assert_eq!(
        words.why(&off, Audience::Person, &purchase_context),
        "This kind of place is not on your list: Betting.",
        "on her own page she may read it"
    );
}

#[test]
fn the_same_reason_reads_differently_for_each_audience() {
    let (zone, pots) = (london(), some_pots());
    let dee = a_situation(&zone, &pots);
    let reason = DeclineReason::OverPeriod {
        period: Period::Week,
        limit: gbp(30_00),
        left: gbp(12_50),
        until: Some(date(2025, 11, 23)),
    };
    let [person, worker, finance] = AUDIENCES.map(|a| Words::english().why(&reason, a, &dee));
    assert_eq!(
        person,
        "You can spend up to £30 a week on this. You have £12.50 left until Sunday 23 November."
    );
    assert_eq!(
        worker,
        "Dee can spend £30 a week on this, with £12.50 left until Sunday 23 November. \
         £48 was not paid."
    );
    assert_eq!(
        finance,
        "Over the limit of £30 a week, with £12.50 left until Sunday 23 November. \
         £48 asked, nothing held."
    );
}

#[test]
fn counted_limits_and_times_read_as_people_say_them() {
    let (zone, pots) = (london(), some_pots());
    let dee = a_situation(&zone, &pots);
    let why = |reason| Words::english().why(&reason, Audience::Person, &dee);
    let too_many = |limit| DeclineReason::TooMany {
        period: Period::Day,
        limit,
        until: Some(date(2025, 11, 18)),
    };
    assert_eq!(why(too_many(1)), "You can buy this one time a day. You have done that.");
    assert_eq!(why(too_many(3)), "You can buy this 3 times a day. You have done that.");
    let today = DeclineReason::OverPeriod {
        period: Period::Day,
        limit: gbp(20_00),
        left: gbp(5_00),
        until: Some(date(2025, 11, 18)),
    };
    assert_eq!(
        why(today),
        "You can spend up to £20 a day on this. You have £5 left today, Tuesday 18 November."
    );
    assert_eq!(
        Words::english().what_next(&too_many(3), &dee),
        "It starts again on Wednesday 19 November. Or reply ASK."
    );
    let ended_at = "2025-07-18T13:15:00Z".parse().unwrap();
    assert_eq!(
        why(DeclineReason::OkOver { ended_at }),
        "Your one-time OK ended at 2:15pm on Friday 18 July."
    );
    let hours = Hours { from: time(6, 0, 0, 0), to: time(23, 0, 0, 0) };
    assert_eq!(why(DeclineReason::OutsideHours { hours }), "Your card works from 6am to 11pm.");
}

#[test]
fn a_payment_says_which_pots_paid() {
    use Audience::{Finance, Person, Worker};
    let (zone, pots) = (london(), some_pots());
    let dee = a_situation(&zone, &pots);
    let split = an_approval(48_00, &[("pets", 40_00), ("week", 8_00)]);
    let one = an_approval(48_00, &[("pets", 48_00)]);
    let part = an_approval(30_00, &[("pets", 30_00)]);
    let check = an_approval(0, &[]);
    let nothing = PurchaseContext { amount: gbp(0), ..dee };
    let unknown_pot = an_approval(48_00, &[("pets", 40_00), ("gone", 8_00)]);
    for (approval, audience, purchase_context, expected) in [
        (&split, Person, dee, "£48 at Vet. £40 from pets, £8 from your week."),
        (&split, Worker, dee, "Dee paid £48. £40 from pets, £8 from your week."),
        (&split, Finance, dee, "£48 held. £40 from pets, £8 from your week."),
        (&one, Person, dee, "£48 at Vet, from pets."),
        (&one, Person, PurchaseContext { place: None, ..dee }, "£48 paid, from pets."),
        (
            &part,
            Person,
            dee,
            "We paid £30 of £48 at Vet. £30 from pets. You can pay the other £18 another way.",
        ),
        (&part, Worker, dee, "Dee paid £30 of £48. £30 from pets. £18 was not paid."),
        (&part, Finance, dee, "£30 held of £48 asked. £30 from pets."),
        (&check, Person, nothing, "Vet checked your card. No money was taken."),
        (&check, Worker, nothing, "A shop checked Dee's card. No money was taken."),
        (&check, Finance, nothing, "Card check. Nothing held."),
        (&unknown_pot, Person, dee, "£48 at Vet. £40 from pets, £8 from another pot."),
    ] {
        assert_eq!(Words::english().paid(approval, audience, &purchase_context), expected);
    }
}

#[test]
fn what_comes_after_is_one_line() {
    let (zone, pots) = (london(), some_pots());
    let dee = a_situation(&zone, &pots);
    let lines = events().map(|event| Words::english().event(event, Audience::Person, &dee));
    assert_eq!(
        lines,
        [
            "The shop asked us to keep £35 for it. \
             If it takes nothing, you get it back on Friday 21 November.",
            "The shop asked us to keep £35 for it. It may take less.",
            "Vet took £35.",
            "The shop did not take £35. You can spend it again.",
            "Vet gave you £35 back.",
        ]
    );
    for audience in [Audience::Worker, Audience::Finance] {
        for event in events() {
            let line = Words::english().event(event, audience, &dee);
            assert!(line.contains("£35") && !line.contains("Vet"), "{line}");
        }
    }
}
