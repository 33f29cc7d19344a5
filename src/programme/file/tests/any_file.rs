//! Property tests: any file reads back as it was written.

use proptest::prelude::*;

use super::*;
use crate::domain::people::role::MemberState;
use crate::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use crate::domain::shop::table::{DescriptorPattern, ShopKind};
use crate::programme::file::cards::any_card;
use crate::programme::file::reader::AMOUNT_MINOR_MAX;
use crate::programme::file::terms::PERMISSION_USES_MAX;

/// A text as people write it, with characters that TOML must escape.
fn words() -> impl Strategy<Value = String> {
    "[A-Za-z0-9£é\u{1F600}\"'\\\\#=\\[\\]{}]\
     ([A-Za-z0-9 £é\"'\\\\#=,.\\[\\]{}]{0,30}[a-z\"\\\\])?"
}

fn slug() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9-]{0,8}"
}

fn a_date() -> impl Strategy<Value = Date> {
    (0..=9999_i16, 1..=12_i8, 1..=28_i8).prop_map(|(year, month, day)| date(year, month, day))
}

fn an_instant() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_000_i64).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

fn a_scope() -> impl Strategy<Value = (Scope, Option<String>)> {
    let shop = ("[A-Z][a-z \"\\\\]{0,10}[a-z]", any::<bool>()).prop_map(|(name, erased)| {
        let key = ShopKey::from_name(&name).unwrap();
        (Scope::Shop(key), (!erased).then_some(name))
    });
    let gates = [Gate::Cash, Gate::CashBack, Gate::Online, Gate::Abroad, Gate::Hours];
    let one_shop = ("[A-Z][a-z]{0,10}", "[A-Z][0-9]{3,8}").prop_map(|(name, number)| {
        let number = ShopKey::of_network(&number, None).unwrap();
        (Scope::OneShop(ShopKey::from_name(&name).unwrap(), number), None)
    });
    prop_oneof![
        shop,
        one_shop,
        "[0-9]{4}".prop_map(|code| (Scope::Code(code.parse().unwrap()), None)),
        slug().prop_map(|name| (Scope::Category(name.parse().unwrap()), None)),
        Just((Scope::EverythingElse, None)),
        Just((Scope::Everything, None)),
        proptest::sample::select(gates.to_vec()).prop_map(|gate| (Scope::Gate(gate), None)),
    ]
}

fn shops() -> impl Strategy<Value = Vec<Shop>> {
    let print = || ("[a-z]{2,8}( [a-z]{2,8})?", any::<bool>());
    let prints = || proptest::collection::vec(print(), 1..4);
    let codes = || proptest::collection::btree_set("[0-9]{4}", 0..20);
    let ids = proptest::collection::btree_set("[A-Z0-9]{4,15}", 0..3);
    let kind = proptest::sample::select(ShopKind::ALL.to_vec());
    let read = |(words, is_open): (String, bool)| {
        DescriptorPattern::parse(&if is_open { format!("{words} *") } else { words }).unwrap()
    };
    let shop = ("[A-Z][a-z]{2,8}", kind, prints(), prints(), codes(), codes(), ids).prop_map(
        move |(name, kind, prints, never, codes, not_codes, network_ids)| {
            let mut seen = BTreeSet::new();
            let read_codes =
                |codes: BTreeSet<String>| codes.iter().map(|code| code.parse().unwrap()).collect();
            let prints = prints.into_iter().map(read);
            Shop {
                name,
                kind,
                prints: prints.filter(|print| seen.insert(print.words().to_owned())).collect(),
                never: never.into_iter().map(read).collect(),
                codes: read_codes(codes),
                not_codes: read_codes(not_codes),
                network_ids,
            }
        },
    );
    proptest::option::of(shop).prop_map(|shop| shop.into_iter().collect())
}

fn a_limit(currency: Currency) -> impl Strategy<Value = Limit> {
    let period = || proptest::sample::select(Period::ALL.to_vec());
    let money = move |minor: i64| Money::from_minor(minor, currency);
    prop_oneof![
        (0..=AMOUNT_MINOR_MAX).prop_map(move |minor| Limit::PerPurchase(money(minor))),
        (period(), 0..=AMOUNT_MINOR_MAX)
            .prop_map(move |(per, minor)| Limit::Amount { per, most: money(minor) }),
        (period(), any::<u32>()).prop_map(|(per, most)| Limit::Count { per, most }),
    ]
}

/// A valid term: a random draft, adjusted where the rules for terms require it.
fn a_term(currency: Currency) -> impl Strategy<Value = ListedTerm> {
    let answer = proptest::sample::select(vec![TermAnswer::Yes, TermAnswer::Ask, TermAnswer::No]);
    let decides =
        proptest::sample::select(vec![Decider::Person, Decider::Together, Decider::Worker]);
    let limits = proptest::collection::vec(a_limit(currency), 0..3);
    let times = (0..86_400_i32, 0..86_400_i32, any::<bool>());
    let rest = (words(), a_date(), proptest::option::of(any::<u32>()), any::<bool>());
    (a_scope(), answer, decides, limits, times, rest).prop_map(
        |((scope, shop_name), answer, decides, limits, (from, to, whole), rest)| {
            let (reason, review_on, cooling_days, bare) = rest;
            let at = |second: i32| {
                let second = if whole { second / 60 * 60 } else { second };
                time(0, 0, 0, 0).wrapping_add(jiff::SignedDuration::from_secs(second.into()))
            };
            let (from, to) = (at(from), at(to));
            let to =
                if from == to { to.wrapping_add(jiff::SignedDuration::from_mins(1)) } else { to };
            let is_hours = scope == Scope::Gate(Gate::Hours);
            let answer = if scope == Scope::Everything { TermAnswer::Yes } else { answer };
            let limits = if is_hours { Vec::new() } else { limits };
            let mut said = BTreeSet::new();
            let kind = |limit: &Limit| {
                (matches!(limit, Limit::Count { .. }), limit.period().map(Period::word))
            };
            let limits: Vec<_> =
                limits.into_iter().filter(|limit| said.insert(kind(limit))).collect();
            let bare = bare && answer == TermAnswer::Yes && limits.is_empty();
            let restricts = answer != TermAnswer::Yes || !limits.is_empty();
            let term = Term::new(TermDraft {
                scope,
                answer,
                limits,
                hours: is_hours.then_some(Hours { from, to }),
                decides,
                reason: (!bare).then_some(reason),
                review_on: (!bare).then_some(review_on),
                cooling_days: cooling_days.filter(|_| restricts),
            });
            ListedTerm { term: term.unwrap(), shop_name }
        },
    )
}

fn a_list(currency: Currency) -> impl Strategy<Value = Vec<ListedTerm>> {
    proptest::collection::vec(a_term(currency), 0..6).prop_map(|mut terms| {
        let mut seen = BTreeSet::new();
        terms.retain(|listed| seen.insert(listed.term.scope().clone()));
        terms
    })
}

fn a_person(currency: Currency) -> impl Strategy<Value = Person> {
    let load = (slug(), 1..=1_000_000_i64);
    let only = proptest::collection::btree_set(slug(), 1..20);
    let loads = proptest::collection::vec(load, 0..8);
    let release =
        (0..=1_000_i64, 1..=1_000_i64, proptest::sample::select(ReleaseInterval::ALL.to_vec()));
    let release = proptest::option::of((release, a_date()));
    let only = proptest::option::of(only);
    let pot = (slug(), words(), only, any::<bool>(), release, loads, 0..=1000_i64);
    let names = proptest::collection::vec(words(), 1..4);
    let agreement = (a_date(), names, words(), any::<bool>(), a_list(currency));
    let permission = (
        proptest::option::of(any::<u128>()),
        a_scope(),
        1..=PERMISSION_USES_MAX,
        an_instant(),
        1..=AMOUNT_MINOR_MAX,
    );
    let parts = (
        proptest::collection::vec(any_card(), 0..3),
        proptest::collection::vec(pot, 0..4),
        proptest::option::of(agreement),
        proptest::collection::vec(permission, 0..3),
    );
    let who =
        (slug(), words(), proptest::option::of("\\+44 [0-9]{3} \\([0-9]{4}\\)-1"), any::<bool>());
    (who, parts).prop_map(
        move |((id, name, phone, ended), (cards, pots, agreement, permissions))| {
            let mut seen = BTreeSet::new();
            let cards = cards.into_iter().filter(|card| seen.insert(card.token.clone()));
            let mut seen = BTreeSet::new();
            let pots = pots.into_iter().filter(|pot| seen.insert(pot.0.clone()));
            let pots = pots.map(|(id, name, only, emergency, release, loads, spare)| {
                let mut seen = BTreeSet::new();
                let loads: Vec<_> =
                    loads.into_iter().filter(|load| seen.insert(load.0.clone())).collect();
                let sum: i64 = loads.iter().map(|load| load.1).sum();
                let only = only.map(|only| only.iter().map(|name| name.parse().unwrap()).collect());
                let (id, stream) = (id.parse().unwrap(), "homes".parse().unwrap());
                let load = |(id, minor): (String, i64)| Load {
                    id: id.parse().unwrap(),
                    amount: Money::from_minor(minor, currency),
                };
                Pot {
                    plan: PotPlan {
                        id,
                        stream,
                        name,
                        emergency: emergency && only.is_some(),
                        only,
                        release: release.map(|((at_once, amount, every), from)| {
                            let money = |minor| Money::from_minor(minor, currency);
                            ReleaseSchedule::new(money(at_once), money(amount), every, from)
                                .unwrap()
                        }),
                    },
                    allocated: Money::from_minor(sum + spare, currency),
                    loads: loads.into_iter().map(load).collect(),
                }
            });
            let mut seen = BTreeSet::new();
            let permissions =
                permissions.into_iter().filter(|p| p.0.is_none_or(|id| seen.insert(id)));
            let permissions =
                permissions.map(|(id, (scope, shop_name), uses, from, up_to)| PermissionDraft {
                    id: id.map(|id| PermissionId::new(uuid::Uuid::from_u128(id))),
                    scope,
                    shop_name,
                    up_to: Money::from_minor(up_to, currency),
                    uses,
                    from,
                    ends: from + jiff::SignedDuration::from_micros(1),
                });
            Person {
                id: id.parse().unwrap(),
                name,
                worker: "amina".parse().unwrap(),
                phone,
                state: if ended { PersonState::Ended } else { PersonState::Active },
                cards: cards.collect(),
                pots: pots.collect(),
                agreement: agreement.map(|(agreed_on, agreed_by, how, partial, terms)| {
                    AgreementDraft { agreed_on, agreed_by, how, partial, terms }
                }),
                permissions: permissions.collect(),
            }
        },
    )
}

fn some_hours() -> impl Strategy<Value = WorkingHours> {
    let days = proptest::collection::vec(0..7_i8, 1..8);
    (days, 0..86_399_i32, 0..86_399_i32).prop_map(|(days, one, other)| {
        let day = |offset: i8| jiff::civil::Weekday::from_monday_zero_offset(offset).unwrap();
        let days: Vec<_> = days.into_iter().map(day).collect();
        let at = |second: i32| {
            time(0, 0, 0, 0).wrapping_add(jiff::SignedDuration::from_secs(second.into()))
        };
        WorkingHours::new(&days, at(one.min(other)), at(one.max(other) + 1)).unwrap()
    })
}

fn ask_rules(currency: Currency) -> impl Strategy<Value = AskRules> {
    let sum = || proptest::option::of(0..=AMOUNT_MINOR_MAX);
    (1..=3_u32, [sum(), sum(), sum(), sum(), sum(), sum()]).prop_map(move |(answer_hours, sums)| {
        let money = |minor: Option<i64>| minor.map(|minor| Money::from_minor(minor, currency));
        AskRules {
            answer_hours,
            silence_up_to: money(sums[0]),
            fuel_food_up_to: money(sums[1]),
            interim_up_to: money(sums[2]),
            interim_week_up_to: money(sums[3]),
            worker_up_to: money(sums[4]),
            duty_up_to: money(sums[5]),
        }
    })
}

fn a_file() -> impl Strategy<Value = ProgrammeFile> {
    let currency = proptest::sample::select(vec!["GBP", "JPY", "KWD"]);
    let currency = currency.prop_map(|code| code.parse::<Currency>().unwrap());
    currency.prop_flat_map(|currency| {
        let flags = (any::<bool>(), any::<bool>(), 0..=MarginPercent::MAX);
        let rest = (words(), flags, proptest::option::of(an_instant()), shops());
        let answering = (some_hours(), ask_rules(currency));
        (rest, answering, a_list(currency), a_person(currency)).prop_map(
            move |((name, flags, until, shops), (hours, asks), start, person)| {
                let (paused, drains_first, margin) = flags;
                let mut file = kept(parsed(SMALL));
                file.settings.name = name;
                file.settings.currency = currency;
                file.settings.hours = hours;
                file.settings.asks = asks;
                let member_states = [MemberState::Active, MemberState::Ended];
                let states = [ProgrammeState::Running, ProgrammeState::Paused];
                file.settings.exchange_margin = MarginPercent::new(margin).unwrap();
                let others =
                    ["JE", "GG", "IM"].into_iter().take(usize::try_from(margin % 4).unwrap());
                file.settings.home.others = others.map(str::to_owned).collect();
                file.settings.home.unknown = UnknownCountry::ALL[usize::from(drains_first)];
                file.settings.state = states[usize::from(paused)];
                file.settings.streams[0].drains_first = drains_first;
                file.settings.connections[0].secrets[0].until = until;
                file.settings.start = start;
                file.settings.shops = shops;
                for member in &mut file.members {
                    member.name.clone_from(&file.settings.name);
                    let is_about = member.person.is_some();
                    member.person = is_about.then(|| person.id.clone());
                    member.conflicts = vec![person.id.clone()];
                    member.state = member_states[usize::from(paused)];
                }
                file.people = vec![person];
                file
            },
        )
    })
}

proptest! {
    /// Any file reads back as it was written.
    #[test]
    fn what_is_written_reads_back(file in a_file()) {
        let written = write(&file);
        prop_assert_eq!(parsed(&written), file, "{}", written);
    }

    /// A damaged file is read, or refused with problems on lines that it has.
    #[test]
    fn a_damaged_file_is_read_or_refused_with_a_line(
        at in 0..SMALL.len(),
        cut in 0..40_usize,
        put in "[\\[\\]{}=\"'#,a-z0-9 .\\n\u{0}é-]{0,6}",
    ) {
        let end = (at + cut).min(SMALL.len());
        let text = format!("{}{put}{}", &SMALL[..at], &SMALL[end..]);
        if let Err(found) = parse(&text, &some_categories) {
            prop_assert!(!found.problems.is_empty());
            let lines = text.split('\n').count();
            for problem in found.problems {
                prop_assert!((1..=lines).contains(&problem.line), "{}", problem);
            }
        }
    }
}
