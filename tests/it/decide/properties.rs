//! Properties of every decision, over random facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, time};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use sayso::domain::agreement::{Gate, Hours, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, CardholderFacts, Decision, Facts, PartialApproval, Presence,
    ProgrammeState, PurchaseContinuation, PurchaseKind,
};
use sayso::domain::decision::decide::decide;
use sayso::domain::id::PermissionId;
use sayso::domain::money::Money;
use sayso::domain::money::limit::{CounterKey, CountingAttributes, Limit, LimitUsage};
use sayso::domain::money::margin::MarginPercent;
use sayso::domain::money::stream::Stream;
use sayso::domain::people::person::PersonState;
use sayso::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use sayso::domain::pot::{PotFunds, PotPlan};
use sayso::domain::shop::home::HomeCountries;
use sayso::domain::shop::merchant::{Category, Mcc, Merchant};
use sayso::domain::shop::{ShopIdentity, ShopKey};
use sayso::domain::time::period::{Moment, Period};
use sayso::ledger::record::facts::{FactsRecord, ReplayVersions};

use super::agreed;
use crate::values::{
    a_draft, a_permission, a_pot, a_request, a_stream, an_agreement, category, gbp, limited,
    monday_morning, pot, some_facts,
};

const CATEGORIES: [&str; 3] = ["food", "alcohol", "pets"];
const STREAMS: [&str; 3] = ["homes", "health", "gift"];
const POTS: [&str; 4] = ["week", "pets", "moving-in", "emergency"];

fn scopes() -> Vec<Scope> {
    let mut scopes = vec![
        Scope::Shop(ShopKey::from_name("Corner Shop").unwrap()),
        Scope::Code(Mcc::parse("5411").unwrap()),
        Scope::Category(category("food")),
        Scope::Category(category("alcohol")),
        Scope::EverythingElse,
        Scope::Everything,
    ];
    scopes.extend(Gate::ALL.iter().copied().map(Scope::Gate));
    scopes
}

fn a_category() -> impl Strategy<Value = Category> {
    select(CATEGORIES.as_slice()).prop_map(category)
}

fn some_categories() -> impl Strategy<Value = BTreeSet<Category>> {
    vec(a_category(), 0..3).prop_map(|names| names.into_iter().collect())
}

prop_compose! {
    pub(super) fn any_request()(
        minor in 1..=120_00_i64,
        cash_back in prop_oneof![Just(0), 1..=60_00_i64],
        kind in select(vec![PurchaseKind::Purchase, PurchaseKind::Cash]),
        presence in select(vec![Presence::InPerson, Presence::Remote]),
        partial in select(vec![PartialApproval::Allowed, PartialApproval::NotAllowed]),
        mcc in select(vec![None, Some("5411"), Some("0742")]),
        name in select(vec!["Corner Shop 12", "Elsewhere", ""]),
        country in select(vec!["GB", "IE", ""]),
    ) -> AuthorisationRequest {
        let mcc = mcc.map(|mcc| Mcc::parse(mcc).unwrap());
        AuthorisationRequest {
            amount: gbp(minor),
            cash_back: gbp(cash_back.min(minor)),
            transaction_amount: gbp(minor),
            kind,
            presence,
            partial,
            merchant: Merchant::new(mcc, name).in_country(country),
            ..a_request()
        }
    }
}

fn any_limit() -> impl Strategy<Value = Limit> {
    let period = || select(Period::ALL);
    prop_oneof![
        (0..=150_00_i64).prop_map(|minor| Limit::PerPurchase(gbp(minor))),
        (period(), 0..=200_00_i64).prop_map(|(per, minor)| Limit::Amount { per, most: gbp(minor) }),
        (period(), 0..5_u32).prop_map(|(per, most)| Limit::Count { per, most }),
    ]
}

prop_compose! {
    fn any_term(scope: Scope)(
        answer in prop_oneof![
            3 => Just(TermAnswer::Yes),
            1 => Just(TermAnswer::Ask),
            1 => Just(TermAnswer::No),
        ],
        limits in vec(any_limit(), 0..2),
        cooling in option::of(0..3_u32),
        from in 0..24_i8,
        to in 0..24_i8,
    ) -> Term {
        let is_hours = scope == Scope::Gate(Gate::Hours);
        let answer = if scope == Scope::Everything { TermAnswer::Yes } else { answer };
        let hours = Hours { from: time(from, 0, 0, 0), to: time(to, 0, 0, 0) };
        Term::new(TermDraft {
            limits: if is_hours { Vec::new() } else { limits },
            hours: is_hours.then_some(hours),
            cooling_days: cooling.filter(|_| answer == TermAnswer::No),
            ..a_draft(scope.clone(), answer)
        })
        .unwrap()
    }
}

fn any_terms() -> impl Strategy<Value = Vec<Term>> {
    let chosen = |scope| option::weighted(0.35, any_term(scope));
    let terms: Vec<_> = scopes().into_iter().map(chosen).collect();
    terms.prop_map(|terms| terms.into_iter().flatten().collect())
}

prop_compose! {
    fn any_stream(id: &'static str)(
        never in some_categories(),
        ends in option::weighted(0.2, select(vec![22, 23, 24_i8])),
        drains_first: bool,
    ) -> Stream {
        let ends_on = ends.map(|day| Date::constant(2026, 11, day));
        Stream { never, ends_on, drains_first, ..a_stream(id) }
    }
}

prop_compose! {
    fn any_release()(
        at_once in prop_oneof![Just(0_i64), 1..=20_00_i64],
        amount in 1..=40_00_i64,
        every in select(ReleaseInterval::ALL),
        days_ago in -3..=40_i64,
    ) -> ReleaseSchedule {
        let from = monday_morning().date.checked_sub(days_ago.days()).unwrap();
        ReleaseSchedule::new(gbp(at_once), gbp(amount), every, from).unwrap()
    }
}

/// A pot with staged release, of which nothing is held or spent.
fn staged(minor: i64) -> PotFunds {
    PotFunds { loaded: Some(gbp(minor)), ..gbp(minor).into() }
}

prop_compose! {
    fn any_pots()(
        chosen in vec(
            (
                select(STREAMS.as_slice()),
                option::weighted(0.3, some_categories()),
                any::<bool>(),
                option::weighted(0.3, any_release()),
            ),
            0..=4,
        ),
    ) -> Vec<PotPlan> {
        let plan = |(id, (stream, only, emergency, release)): (&&str, _)| {
            PotPlan { only, emergency, release, ..a_pot(id, stream) }
        };
        POTS.iter().zip(chosen).map(plan).collect()
    }
}

prop_compose! {
    fn any_permission(id: u128)(
        scope in select(scopes()),
        cap in 1..=150_00_i64,
        uses_left in 0..3_u32,
        given_days_ago in 0..4_i64,
        is_given in any::<bool>(),
        ends_in_hours in -1..=2_i64,
        open in option::of(0..=60_00_i64),
        captured in prop_oneof![3 => Just(0_u32), 1 => 1..3_u32],
    ) -> Permission {
        let later = |hours| {
            monday_morning().at.checked_add(SignedDuration::from_hours(hours)).unwrap()
        };
        Permission {
            id: PermissionId::new(uuid::Uuid::from_u128(id)),
            scope,
            cap: gbp(cap),
            uses_left: uses_left.into(),
            given_at: later(-24 * given_days_ago),
            ends_at: later(ends_in_hours),
            grantor: if is_given { Grantor::People } else { Grantor::Programme },
            uses: open.map(|open| PermissionUsage {
                open: gbp(open),
                open_at: BTreeMap::new(),
                captured,
            }),
        }
    }
}

fn any_counters() -> impl Strategy<Value = BTreeMap<CounterKey, LimitUsage>> {
    let key = (select(scopes()), select(Period::ALL)).prop_map(|(scope, period)| CounterKey {
        scope,
        period,
        first_day: period.first_day(monday_morning().date),
    });
    let used = (0..=150_00_i64, 0..5_u32)
        .prop_map(|(minor, purchases)| LimitUsage { amount: gbp(minor), purchases });
    btree_map(key, used, 0..8)
}

prop_compose! {
    pub(super) fn any_facts()(
        (card, person, state) in (
            prop_oneof![9 => Just(CardState::Active), 1 => select(CardState::ALL)],
            prop_oneof![19 => Just(PersonState::Active), 1 => Just(PersonState::Ended)],
            prop_oneof![
                19 => Just(ProgrammeState::Running),
                1 => Just(ProgrammeState::Paused),
            ],
        ),
        streams in STREAMS.map(any_stream),
        (terms, pots, partial) in (any_terms(), any_pots(), any::<bool>()),
        category in a_category(),
        permissions in (option::of(any_permission(1)), option::of(any_permission(2))),
        counters in any_counters(),
        (left, gone) in (vec(0..=90_00_i64, 4), vec(0..=60_00_i64, 4)),
        (held_back, own) in (
            option::weighted(0.3, 1..=50_00_i64), option::weighted(0.3, 0..=30_00_i64),
        ),
        (so_far, margin) in (
            option::weighted(0.2, 1..=60_00_i64),
            prop_oneof![3 => Just(0_i64), 1 => 1..=5_00_i64],
        ),
        hour in 0..24_i8,
    ) -> Facts {
        let mut agreement = an_agreement();
        agreement.terms = terms;
        agreement.partial = partial;
        let in_pots = pots.iter().zip(left.into_iter().zip(gone)).map(|(plan, (left, gone))| {
            let loaded = plan.release.as_ref().map(|_| gbp(left + gone));
            let held_back = held_back.filter(|_| left % 2 == 0).map(gbp);
            (plan.id.clone(), PotFunds { loaded, held_back, ..gbp(left).into() })
        });
        let own = own.map(|left| {
            let pot_of_week = PotFunds { part_of: Some(pot("week")), ..gbp(left).into() };
            (pot("own-1"), pot_of_week)
        });
        let in_pots = in_pots.chain(own).collect();
        agreement.pots = pots;
        let mut facts = some_facts();
        let permissions: Vec<_> = permissions.0.into_iter().chain(permissions.1).collect();
        let is_open = |p: &&Permission| {
            let open = p.uses.as_ref().is_some_and(|uses| uses.open.is_positive());
            open && p.cap.minor() % 2 == 0
        };
        let held_here = permissions.iter().filter(is_open).map(|p| p.id).collect();
        let original_attributes = so_far.filter(|minor| minor % 2 == 0).map(|minor| {
            let began = Scope::Category(self::category(CATEGORIES[usize::from(minor % 4 == 0)]));
            let (on, home) = (monday_morning().date, HomeCountries::of("GB"));
            let about = self::category("alcohol");
            let shop = ShopIdentity::of([a_request().merchant.shop_key()]);
            CountingAttributes::new(&a_request(), shop, on, &about, &home, began)
        });
        facts.programme.state = state;
        facts.programme.streams = Arc::new(streams.to_vec());
        Facts {
            moment: Moment { time: time(hour, 30, 0, 0), ..monday_morning() },
            holder: Some(CardholderFacts { card, person, agreement: Arc::new(agreement) }),
            category,
            permissions,
            held_here,
            exchange: MarginPercent::new(u32::try_from(margin % 9).unwrap()).unwrap(),
            original_attributes,
            counters,
            pots: in_pots,
            margin: gbp(margin),
            continues: so_far.map_or(PurchaseContinuation::Nothing, |minor| {
                PurchaseContinuation::Open { so_far: gbp(minor), counted_on: monday_morning().date }
            }),
            ..facts
        }
    }
}

/// A restriction: something is forbidden or taken away.
#[derive(Debug, Clone)]
enum Restriction {
    List(Tightening),
    Card(CardState),
    Person,
    Paused,
    Bar(usize, Category),
    EndStream(usize),
    /// The pot of this index pays only for this category.
    Only(usize, Category),
    TakeMoney(usize, i64),
    NoPot(usize),
    NoPermission(usize),
    SmallerCap(usize),
    Use(usize),
    MoreCounted(Period),
    NoPartial,
}

/// A change to the terms that allows less than before.
#[derive(Debug, Clone)]
enum Tightening {
    /// The term of this index becomes one step stricter.
    Stricter(usize),
    /// The term of this index gets an additional limit.
    Limit(usize, Limit),
    /// The term of this index becomes the person's own block.
    OwnBlock(usize),
    Gate(Gate),
}

fn any_tightening() -> impl Strategy<Value = Tightening> {
    prop_oneof![
        (0..11_usize).prop_map(Tightening::Stricter),
        (0..11_usize, any_limit()).prop_map(|(index, limit)| Tightening::Limit(index, limit)),
        (0..11_usize).prop_map(Tightening::OwnBlock),
        select(Gate::ALL).prop_map(Tightening::Gate),
    ]
}

fn any_restriction() -> impl Strategy<Value = Restriction> {
    use Restriction as R;
    prop_oneof![
        4 => any_tightening().prop_map(R::List),
        1 => select(CardState::ALL).prop_map(R::Card),
        1 => Just(R::Person),
        1 => Just(R::Paused),
        1 => (0..3_usize, a_category()).prop_map(|(index, category)| R::Bar(index, category)),
        1 => (0..3_usize).prop_map(R::EndStream),
        1 => (0..4_usize, a_category()).prop_map(|(index, category)| R::Only(index, category)),
        1 => (0..4_usize, 1..=90_00_i64).prop_map(|(index, minor)| R::TakeMoney(index, minor)),
        1 => (0..4_usize).prop_map(R::NoPot),
        1 => (0..2_usize).prop_map(R::NoPermission),
        1 => (0..2_usize).prop_map(R::SmallerCap),
        1 => (0..2_usize).prop_map(R::Use),
        1 => select(Period::ALL).prop_map(R::MoreCounted),
        1 => Just(R::NoPartial),
    ]
}

fn draft_of(term: &Term) -> TermDraft {
    TermDraft {
        limits: term.limits().to_vec(),
        hours: term.hours(),
        cooling_days: term.cooling_days(),
        ..a_draft(term.scope().clone(), term.answer())
    }
}

/// Changes the term of this index, unless the result would be invalid.
fn rewrite(terms: &mut [Term], index: usize, change: impl FnOnce(&mut TermDraft)) {
    let Some(term) = terms.get_mut(index) else { return };
    let mut draft = draft_of(term);
    change(&mut draft);
    if let Ok(changed) = Term::new(draft) {
        *term = changed;
    }
}

fn tighten(terms: &mut Vec<Term>, tightening: &Tightening) {
    match tightening {
        Tightening::Stricter(index) => rewrite(terms, *index, |draft| {
            draft.answer =
                if draft.answer == TermAnswer::Yes { TermAnswer::Ask } else { TermAnswer::No };
        }),
        Tightening::Limit(index, limit) => {
            rewrite(terms, *index, |draft| draft.limits.push(*limit));
        }
        Tightening::OwnBlock(index) => rewrite(terms, *index, |draft| {
            draft.answer = TermAnswer::No;
            draft.cooling_days = Some(draft.cooling_days.unwrap_or(0) + 1);
        }),
        Tightening::Gate(gate) => {
            let scope = Scope::Gate(*gate);
            match terms.iter().position(|term| *term.scope() == scope) {
                Some(index) => rewrite(terms, index, |draft| draft.answer = TermAnswer::No),
                None if *gate == Gate::Hours => {
                    let hours = Some(Hours { from: time(9, 0, 0, 0), to: time(17, 0, 0, 0) });
                    let draft = TermDraft { hours, ..a_draft(scope, TermAnswer::No) };
                    terms.push(Term::new(draft).unwrap());
                }
                None => terms.push(Term::new(a_draft(scope, TermAnswer::No)).unwrap()),
            }
        }
    }
}

fn restrict(facts: &mut Facts, restriction: &Restriction) {
    let holder = facts.holder.as_mut().unwrap();
    let agreement = Arc::make_mut(&mut holder.agreement);
    let streams = Arc::make_mut(&mut facts.programme.streams);
    match restriction {
        Restriction::List(tightening) => tighten(&mut agreement.terms, tightening),
        // An active card may be frozen; a frozen one is not activated.
        Restriction::Card(state) => {
            if holder.card == CardState::Active {
                holder.card = *state;
            }
        }
        Restriction::Person => holder.person = PersonState::Ended,
        Restriction::Paused => facts.programme.state = ProgrammeState::Paused,
        Restriction::Bar(index, category) => {
            streams[*index].never.insert(category.clone());
        }
        Restriction::EndStream(index) => streams[*index].ends_on = Some(Date::MIN),
        Restriction::Only(index, category) => {
            if let Some(pot) = agreement.pots.get_mut(*index) {
                let one = BTreeSet::from([category.clone()]);
                pot.only = Some(match pot.only.take() {
                    Some(only) => only.intersection(&one).cloned().collect(),
                    None => one,
                });
            }
        }
        Restriction::TakeMoney(index, minor) => {
            if let Some(left) = facts.pots.get_mut(&pot(POTS[*index])) {
                left.left = left.left.saturating_sub(gbp(*minor)).unwrap();
            }
        }
        Restriction::NoPot(index) => agreement.pots.retain(|plan| plan.id != pot(POTS[*index])),
        Restriction::NoPermission(index) => {
            if *index < facts.permissions.len() {
                facts.permissions.remove(*index);
            }
        }
        Restriction::SmallerCap(index) => {
            if let Some(permission) = facts.permissions.get_mut(*index) {
                permission.cap = gbp(permission.cap.minor() / 2);
            }
        }
        Restriction::Use(index) => {
            if let Some(permission) = facts.permissions.get_mut(*index) {
                permission.uses_left = permission.uses_left.saturating_sub(1);
            }
        }
        Restriction::MoreCounted(period) => {
            for (key, used) in &mut facts.counters {
                if key.period == *period {
                    used.amount = used.amount.checked_add(gbp(10_00)).unwrap();
                    used.purchases += 1;
                }
            }
        }
        Restriction::NoPartial => agreement.partial = false,
    }
}

fn is_approval(decision: &Decision) -> bool {
    matches!(decision, Decision::Approve(_))
}

/// The versions for a replay of the facts, with the programme running.
fn versions(facts: &Facts) -> ReplayVersions {
    let mut programme = facts.programme.clone();
    programme.state = ProgrammeState::Running;
    let agreement = facts.holder.as_ref().map(|holder| Arc::clone(&holder.agreement));
    ReplayVersions { programme, agreement }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An approval holds exactly its amount, in pots that may pay, within their balances.
    #[test]
    fn scenario_48_an_approval_holds_what_it_says_where_it_may(
        request in any_request(),
        facts in any_facts(),
    ) {
        let Decision::Approve(approval) = decide(&request, &facts) else { return Ok(()) };
        let holder = facts.holder.as_ref().unwrap();
        let held: i64 = approval.parts.iter().map(|part| part.amount.minor()).sum();
        prop_assert!(held >= approval.amount.minor());
        let most = request.amount.minor() + facts.margin.minor();
        prop_assert!(held <= most);
        if held < most {
            // The eligible pots are then empty: a larger amount would be declined.
            let more = AuthorisationRequest { amount: gbp(most), ..request.clone() };
            let margin = gbp(0);
            let facts = Facts { margin, ..facts.clone() };
            let whole = decide(&more, &facts);
            prop_assert!(!matches!(whole, Decision::Approve(all) if all.amount == more.amount));
        }
        prop_assert!(approval.amount.is_positive());
        prop_assert!(approval.amount.minor() <= request.amount.minor());
        if approval.amount != request.amount {
            prop_assert_eq!(request.partial, PartialApproval::Allowed);
            prop_assert!(holder.agreement.partial);
            prop_assert!(approval.amount.minor() >= request.cash_back.minor());
        }
        let pots: BTreeSet<_> = approval.parts.iter().map(|part| &part.pot).collect();
        prop_assert_eq!(pots.len(), approval.parts.len(), "no pot twice");
        for part in &approval.parts {
            prop_assert!(part.amount.is_positive());
            let pot = &facts.pots[&part.pot];
            let of = pot.part_of.as_ref().unwrap_or(&part.pot);
            let plan = holder.agreement.pots.iter().find(|plan| plan.id == *of).unwrap();
            let wanted = pot.left.minor() - pot.held_back.map_or(0, Money::minor);
            prop_assert!(part.amount.minor() <= wanted);
            if let (Some(release), Some(loaded)) = (&plan.release, pot.loaded) {
                let unreleased = release.unreleased(loaded, facts.moment.date).unwrap().minor();
                prop_assert!(part.amount.minor() <= wanted - unreleased);
            }
            prop_assert!(plan.only.as_ref().is_none_or(|only| only.contains(&facts.category)));
            let stream = facts.programme.streams.iter().find(|s| s.id == plan.stream).unwrap();
            prop_assert!(!stream.never.contains(&facts.category));
            prop_assert!(stream.ends_on.is_none_or(|last| last >= facts.moment.date));
        }
        prop_assert_eq!(holder.card, CardState::Active);
        prop_assert_eq!(facts.programme.state, ProgrammeState::Running);
        if let Some(used) = approval.permission {
            let permission = facts.permissions.iter().find(|p| p.id == used).unwrap();
            prop_assert!(permission.ends_at > facts.moment.at);
            let hundredths = 100 + i64::from(facts.exchange.number());
            let most = (permission.cap.minor() * hundredths).div_euclid(100) + 1;
            let held = permission.uses.as_ref().map_or(0, |uses| uses.open.minor());
            if permission.uses_left > 0 {
                prop_assert!(request.amount.minor() <= most);
            } else {
                prop_assert!(facts.held_here.contains(&used));
                prop_assert!(request.amount.minor() + held <= most);
            }
        }
    }

    /// The same facts lead to the same decision, now and after a round trip through the record.
    #[test]
    fn scenario_57_the_record_of_the_facts_decides_the_same(
        request in any_request(),
        facts in any_facts(),
        known: bool,
    ) {
        let holder = facts.holder.clone().filter(|_| known);
        let facts = Facts { holder, ..facts };
        let decision = decide(&request, &facts);
        prop_assert_eq!(&decide(&request, &facts.clone()), &decision);
        let text = FactsRecord::new(&facts).to_text();
        let replayed = FactsRecord::from_text(&text).unwrap().facts(versions(&facts)).unwrap();
        prop_assert_eq!(&replayed, &facts);
        prop_assert_eq!(&decide(&request, &replayed), &decision);
        prop_assert_eq!(FactsRecord::new(&replayed).to_text(), text);
    }

    /// No restriction turns a decline into an approval.
    #[test]
    fn a_restriction_never_turns_a_decline_into_an_approval(
        request in any_request(),
        facts in any_facts(),
        restrictions in vec(any_restriction(), 1..4),
    ) {
        let before = decide(&request, &facts);
        let mut restricted = facts.clone();
        for restriction in &restrictions {
            restrict(&mut restricted, restriction);
        }
        let after = decide(&request, &restricted);
        prop_assert!(is_approval(&before) || !is_approval(&after), "{:?} {:?}", before, after);
    }

    /// Amounts at the limit of 64 bits are decided like any other.
    #[test]
    fn scenario_41_no_amount_panics(
        asked in (i64::MAX - 3)..=i64::MAX,
        so_far in (i64::MAX - 3)..=i64::MAX,
        counted in (i64::MAX - 3)..=i64::MAX,
        facts in any_facts(),
    ) {
        let mut facts = facts;
        facts.continues =
        PurchaseContinuation::Open { so_far: gbp(so_far), counted_on: facts.moment.date };
        for used in facts.counters.values_mut() {
            used.amount = gbp(counted);
        }
        for left in facts.pots.values_mut() {
            *left = gbp(asked).into();
        }
        for amount in [asked, 1] {
            let request = AuthorisationRequest { amount: gbp(amount), ..a_request() };
            if let Decision::Approve(approval) = decide(&request, &facts) {
                prop_assert_eq!(approval.amount, request.amount);
            }
        }
    }
}

/// The facts of a purchase of Femi's: four pots, six counters, and a permission in use.
#[test]
fn the_facts_of_a_persons_purchase_are_under_a_kilobyte() {
    let mut facts = agreed(|agreement| {
        let release =
            ReleaseSchedule::new(gbp(0), gbp(60_00), ReleaseInterval::Week, monday_morning().date);
        let plan = |id| PotPlan { release: release.clone(), ..a_pot(id, "homes") };
        agreement.pots = POTS.into_iter().map(plan).collect();
        let limit = Limit::Count { per: Period::Agreement, most: 2 };
        agreement.terms.push(limited(scopes()[0].clone(), limit));
    });
    facts.pots = POTS.iter().map(|id| (pot(id), staged(3_120_00))).collect();
    facts.permissions.push(a_permission());
    facts.continues =
        PurchaseContinuation::Open { so_far: gbp(1_250_00), counted_on: facts.moment.date };
    let precise: Timestamp = "2026-11-23T08:30:00.123456789Z".parse().unwrap();
    facts.moment.at = precise;
    facts.moment.time = time(8, 30, 0, 123_456_789);
    for (scope, period) in [
        (scopes()[0].clone(), Period::Agreement),
        (Scope::Category(category("food")), Period::Week),
        (Scope::EverythingElse, Period::Month),
        (Scope::Gate(Gate::Online), Period::Month),
        (Scope::Everything, Period::Day),
        (Scope::Everything, Period::Week),
    ] {
        let key = CounterKey { scope, period, first_day: period.first_day(facts.moment.date) };
        facts.counters.insert(key, LimitUsage { amount: gbp(1_000_00), purchases: 120 });
    }
    let text = FactsRecord::new(&facts).to_text();
    assert!(text.len() < 1024, "{} bytes: {text}", text.len());
}
