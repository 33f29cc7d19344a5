//! Which pots pay, in which order, and how much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::date;

use sayso::domain::agreement::Scope;
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Facts, PartialApproval, PurchaseContinuation,
};
use sayso::domain::decision::decide::decide;
use sayso::domain::decision::reason::DeclineReason;
use sayso::domain::id::PotId;
use sayso::domain::money::limit::Limit;
use sayso::domain::money::stream::Stream;
use sayso::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use sayso::domain::pot::{PotFunds, PotPlan};
use sayso::ledger::record::facts::{FactsRecord, ReplayVersions};

use super::{approved, facts_with, reasons, split};
use crate::values::{a_pot, a_request, a_stream, category, gbp, limited, pot};

/// Dee's pots: the week, pets, and emergencies.
fn dees_pots() -> Facts {
    facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).pots = vec![
            PotPlan { only: Some(BTreeSet::from([category("pets")])), ..a_pot("pets", "homes") },
            a_pot("week", "homes"),
            PotPlan {
                only: Some(BTreeSet::from([category("food")])),
                emergency: true,
                ..a_pot("emergency", "homes")
            },
        ];
        facts.pots = money(&[("pets", 40_00), ("week", 63_90), ("emergency", 20_00)]);
    })
}

fn money(pots: &[(&str, i64)]) -> BTreeMap<PotId, PotFunds> {
    pots.iter().map(|(id, minor)| (pot(id), gbp(*minor).into())).collect()
}

/// One pot for each stream, in this order, with £8.00 in each.
fn pots_of(streams: Vec<Stream>) -> Facts {
    facts_with(|facts| {
        let pots: Vec<_> = streams.iter().map(|s| a_pot(s.id.as_str(), s.id.as_str())).collect();
        facts.pots = pots.iter().map(|plan| (plan.id.clone(), gbp(8_00).into())).collect();
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).pots = pots;
        facts.programme.streams = Arc::new(streams);
    })
}

fn asking(minor: i64) -> AuthorisationRequest {
    AuthorisationRequest { amount: gbp(minor), ..a_request() }
}

fn about(name: &str, mut facts: Facts) -> Facts {
    facts.category = category(name);
    facts
}

#[test]
fn scenario_48_one_purchase_drains_pots_in_the_persons_order() {
    let facts = about("pets", dees_pots());
    assert_eq!(split(&approved(&asking(48_00), &facts)), [("pets", 40_00), ("week", 8_00)]);
    assert_eq!(split(&approved(&asking(40_00), &facts)), [("pets", 40_00)]);
    assert_eq!(split(&approved(&asking(1_03_90), &facts)), [("pets", 40_00), ("week", 63_90)]);
    let short = DeclineReason::NoMoney { left: gbp(1_03_90), gap: gbp(1), held_back: gbp(0) };
    assert_eq!(reasons(&asking(1_03_91), &facts), [short]);
}

#[test]
fn the_emergency_pot_pays_only_when_the_others_are_short_and_only_for_essentials() {
    let food = dees_pots();
    assert_eq!(split(&approved(&asking(63_90), &food)), [("week", 63_90)]);
    assert_eq!(split(&approved(&asking(70_00), &food)), [("week", 63_90), ("emergency", 6_10)]);
    let fun = about("fun", dees_pots());
    let short = DeclineReason::NoMoney { left: gbp(63_90), gap: gbp(6_10), held_back: gbp(0) };
    assert_eq!(reasons(&asking(70_00), &fun), [short]);
}

#[test]
fn an_emergency_pot_comes_last_wherever_it_stands() {
    let mut facts = dees_pots();
    let drains_first = Stream { drains_first: true, ..a_stream("homes") };
    facts.programme.streams = Arc::new(vec![drains_first]);
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    Arc::make_mut(agreement).pots.rotate_right(1);
    assert_eq!(split(&approved(&asking(70_00), &facts)), [("week", 63_90), ("emergency", 6_10)]);
}

#[test]
fn streams_that_drain_first_go_first() {
    let facts = pots_of(vec![
        a_stream("homes"),
        Stream { drains_first: true, ..a_stream("health") },
        a_stream("gift"),
    ]);
    let approval = approved(&asking(20_00), &facts);
    assert_eq!(split(&approval), [("health", 8_00), ("homes", 8_00), ("gift", 4_00)]);
}

#[test]
fn a_barred_pot_does_not_count() {
    let barred = Stream { never: BTreeSet::from([category("food")]), ..a_stream("homes") };
    let facts = pots_of(vec![barred.clone(), a_stream("gift")]);
    assert_eq!(split(&approved(&asking(8_00), &facts)), [("gift", 8_00)]);
    let short = DeclineReason::NoMoney { left: gbp(8_00), gap: gbp(1), held_back: gbp(0) };
    assert_eq!(reasons(&asking(8_01), &facts), [short]);
    let other = about("fun", facts);
    assert_eq!(split(&approved(&asking(8_01), &other)), [("homes", 8_00), ("gift", 1)]);

    let law = DeclineReason::FunderRule { category: category("food") };
    let all_barred = pots_of(vec![barred]);
    assert_eq!(reasons(&a_request(), &all_barred)[0], law);
}

#[test]
fn money_that_has_ended_does_not_count() {
    let today = facts_with(|_| {}).moment.date;
    let last_day = Stream { ends_on: Some(today), ..a_stream("homes") };
    let over = Stream { ends_on: Some(today.yesterday().unwrap()), ..a_stream("health") };
    let facts = pots_of(vec![over.clone(), last_day]);
    assert_eq!(split(&approved(&asking(8_00), &facts)), [("homes", 8_00)]);
    let law = DeclineReason::FunderRule { category: category("food") };
    assert_eq!(reasons(&asking(8_00), &pots_of(vec![over]))[0], law);
}

#[test]
fn a_pot_of_a_stream_that_nobody_knows_does_not_pay() {
    let mut facts = pots_of(vec![a_stream("homes"), a_stream("gift")]);
    facts.programme.streams = Arc::new(vec![a_stream("gift")]);
    assert_eq!(split(&approved(&asking(8_00), &facts)), [("gift", 8_00)]);
}

#[test]
fn a_pot_for_other_things_does_not_hide_the_funders_rule() {
    // Funder rules let the pets pot pay for alcohol, but it was never agreed for that. The funder
    // rule of the week's pot is the reason, and more money in that pot would not help.
    let barred = Stream { never: BTreeSet::from([category("alcohol")]), ..a_stream("homes") };
    let mut facts = about("alcohol", pots_of(vec![a_stream("gift"), barred]));
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    Arc::make_mut(agreement).pots[0].only = Some(BTreeSet::from([category("pets")]));
    let law = DeclineReason::FunderRule { category: category("alcohol") };
    assert_eq!(reasons(&a_request(), &facts)[0], law);
}

#[test]
fn a_person_without_pots_has_no_money() {
    let facts = pots_of(Vec::new());
    let short = DeclineReason::NoMoney { left: gbp(0), gap: gbp(10_00), held_back: gbp(0) };
    assert_eq!(reasons(&a_request(), &facts), [short]);
}

fn partly(agreed: bool, left: i64) -> Facts {
    facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).partial = agreed;
        facts.pots = money(&[("week", left)]);
    })
}

#[test]
fn scenario_34_a_part_is_paid_only_where_till_and_agreement_allow_it() {
    let till = |partial| AuthorisationRequest { partial, ..a_request() };
    let short = DeclineReason::NoMoney { left: gbp(7_00), gap: gbp(3_00), held_back: gbp(0) };
    for (partial, agreed, pays) in [
        (PartialApproval::Allowed, true, true),
        (PartialApproval::Allowed, false, false),
        (PartialApproval::NotAllowed, true, false),
        (PartialApproval::NotAllowed, false, false),
    ] {
        let facts = partly(agreed, 7_00);
        if pays {
            let approval = approved(&till(partial), &facts);
            assert_eq!((approval.amount, split(&approval)), (gbp(7_00), vec![("week", 7_00)]));
        } else {
            assert_eq!(reasons(&till(partial), &facts), std::slice::from_ref(&short));
        }
    }
    let broke = partly(true, 0);
    assert_eq!(reasons(&till(PartialApproval::Allowed), &broke).len(), 1, "nothing is no part");
    let rich = partly(true, 60_00);
    assert_eq!(approved(&till(PartialApproval::Allowed), &rich).amount, gbp(10_00));
}

#[test]
fn a_part_never_goes_below_the_cash_that_is_handed_out() {
    let request = AuthorisationRequest {
        partial: PartialApproval::Allowed,
        cash_back: gbp(6_00),
        ..a_request()
    };
    assert_eq!(approved(&request, &partly(true, 6_00)).amount, gbp(6_00));
    assert_eq!(reasons(&request, &partly(true, 5_99)).len(), 1);
}

#[test]
fn a_part_fits_the_limits_too_and_by_the_first_rules_never_did() {
    let request = AuthorisationRequest { partial: PartialApproval::Allowed, ..a_request() };
    for left in [7_00, 60_00] {
        let mut facts = partly(true, left);
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        let limit = limited(Scope::Everything, Limit::PerPurchase(gbp(8_00)));
        Arc::make_mut(agreement).terms.push(limit);
        assert_eq!(approved(&request, &facts).amount, gbp(left.min(8_00)));
        facts.rules_version = 1;
        let over = DeclineReason::OverPurchase { limit: gbp(8_00) };
        assert_eq!(reasons(&request, &facts), [over], "{left}");
    }
}

#[test]
fn scenario_41_sums_that_do_not_fit_are_declined_and_never_panic() {
    let most = i64::MAX;
    for asked in [1, most - 1, most] {
        for (a, b) in [(most, most), (most, 1), (most - 1, 1), (0, 0)] {
            for so_far in [0, 1, most] {
                let mut facts = pots_of(vec![a_stream("homes"), a_stream("gift")]);
                facts.pots = money(&[("homes", a), ("gift", b)]);
                facts.continues = PurchaseContinuation::Open {
                    so_far: gbp(so_far),
                    counted_on: facts.moment.date,
                };
                let agreement = &mut facts.holder.as_mut().unwrap().agreement;
                let limit = limited(Scope::Everything, Limit::PerPurchase(gbp(most)));
                Arc::make_mut(agreement).terms.push(limit);
                let told = reasons(&asking(asked), &facts);
                let fits = asked.checked_add(so_far).is_some();
                assert_eq!(told.is_empty(), fits && a != 0, "{asked} {a} {b} {so_far}: {told:?}");
            }
        }
    }
}

#[test]
fn a_sum_that_does_not_fit_hides_no_other_reason() {
    let mut facts = facts_with(|facts| facts.holder.as_mut().unwrap().card = CardState::Lost);
    facts.continues =
        PurchaseContinuation::Open { so_far: gbp(i64::MAX), counted_on: facts.moment.date };
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    let limit = limited(Scope::Everything, Limit::PerPurchase(gbp(8_00)));
    Arc::make_mut(agreement).terms.push(limit);
    assert_eq!(reasons(&a_request(), &facts)[0], DeclineReason::CardLost);
}

#[test]
fn scenario_57_of_two_pots_that_match_the_agreed_order_decides_and_is_recorded() {
    let facts = pots_of(vec![a_stream("homes"), a_stream("gift")]);
    let mut reordered = facts.clone();
    let agreement = &mut reordered.holder.as_mut().unwrap().agreement;
    let agreement = Arc::make_mut(agreement);
    agreement.version = 4;
    agreement.pots.reverse();

    let then = decide(&a_request(), &facts);
    assert_eq!(split(&approved(&a_request(), &facts)), [("homes", 8_00), ("gift", 2_00)]);
    assert_eq!(split(&approved(&a_request(), &reordered)), [("gift", 8_00), ("homes", 2_00)]);

    // The record names the version that decided, also after the order has changed.
    let record = FactsRecord::from_text(&FactsRecord::new(&facts).to_text()).unwrap();
    assert_eq!((record.programme_version(), record.agreement_version()), (1, Some(3)));
    let agreement = facts.holder.as_ref().map(|holder| Arc::clone(&holder.agreement));
    let versions = ReplayVersions { programme: facts.programme.clone(), agreement };
    assert_eq!(decide(&a_request(), &record.facts(versions).unwrap()), then);
}

#[test]
fn a_record_from_before_money_came_in_stages_decides_the_same() {
    let text = r#"{"at":"2026-11-23T08:30:00Z","date":"2026-11-23","time":"08:30:00",
        "programme_version":1,"holder":{"card":"active","person":"active","agreement":3},
        "category":"food","left":[["week",999]]}"#;
    let facts = facts_with(|facts| facts.pots = money(&[("week", 9_99)]));
    let agreement = facts.holder.as_ref().map(|holder| Arc::clone(&holder.agreement));
    let versions = ReplayVersions { programme: facts.programme.clone(), agreement };
    let replayed = FactsRecord::from_text(text).unwrap().facts(versions).unwrap();
    assert_eq!(replayed.pots, facts.pots);
    let short = DeclineReason::NoMoney { left: gbp(9_99), gap: gbp(1), held_back: gbp(0) };
    assert_eq!(reasons(&a_request(), &replayed), [short]);
}

/// A pot that releases £20.00 each week since last Monday, with `gone` of its £100.00 held or
/// spent.
fn week_of_stages(gone: i64) -> Facts {
    facts_with(|facts| {
        let plan = |id: &str, amount| PotPlan {
            release: ReleaseSchedule::new(
                gbp(0),
                gbp(amount),
                ReleaseInterval::Week,
                date(2026, 11, 16),
            ),
            ..a_pot(id, "homes")
        };
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).pots =
            vec![plan("week", 20_00), plan("pets", 5_00), a_pot("emergency", "homes")];
        let pot = |left, loaded| PotFunds { loaded: Some(gbp(loaded)), ..gbp(left).into() };
        facts.pots = money(&[("emergency", 1_00)]);
        facts.pots.insert(crate::values::pot("week"), pot(100_00 - gone, 100_00));
        facts.pots.insert(crate::values::pot("pets"), pot(15_00, 15_00));
    })
}

#[test]
fn what_is_not_let_out_yet_pays_nothing_and_the_day_it_comes_is_told() {
    // Two stages have begun: 40.00 and 10.00 are released, and 1.00 is in the emergency pot.
    let facts = week_of_stages(0);
    assert_eq!(
        split(&approved(&asking(51_00), &facts)),
        [("week", 40_00), ("pets", 10_00), ("emergency", 1_00)]
    );
    let monday = date(2026, 11, 30);
    let told = |facts: &Facts, asked| reasons(&asking(asked), facts);
    let not_yet =
        |left, comes| DeclineReason::NotYet { left: gbp(left), comes: gbp(comes), on: monday };
    assert_eq!(told(&facts, 51_01), [not_yet(51_00, 25_00)]);
    assert_eq!(told(&week_of_stages(39_00), 12_01), [not_yet(12_00, 25_00)]);
    // A capture has taken half of the next stage too.
    assert_eq!(told(&week_of_stages(50_00), 11_01), [not_yet(11_00, 15_00)]);
}

/// Facts of Monday 23 November with two pots, each of which releases an amount a week since Monday
/// 16 November or `days` days later, and has nothing left that is released.
fn waiting(pots: [(&str, i64, i8); 2]) -> Facts {
    facts_with(|facts| {
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        let plan = |(id, amount, days): (&str, i64, i8)| {
            let from = date(2026, 11, 16 + days);
            let release = ReleaseSchedule::new(gbp(0), gbp(amount), ReleaseInterval::Week, from);
            PotPlan { release, ..a_pot(id, "homes") }
        };
        // From Monday on two of nine stages have begun, from a later day on only one.
        let funds = |(id, amount, days): (&str, i64, i8)| {
            let left = if days == 0 { 7 * amount } else { 8 * amount };
            let funds = PotFunds { loaded: Some(gbp(9 * amount)), ..gbp(left).into() };
            (pot(id), funds)
        };
        Arc::make_mut(agreement).pots = pots.map(plan).to_vec();
        facts.pots = BTreeMap::from(pots.map(funds));
    })
}

#[test]
fn the_release_that_comes_first_is_told_and_those_of_one_day_together() {
    for (week, pets, comes, day) in [
        ((20_00, 0), (5_00, 0), 25_00, 30),
        ((20_00, 0), (5_00, 1), 5_00, 24),
        ((20_00, 1), (5_00, 0), 20_00, 24),
        ((20_00, 1), (5_00, 2), 20_00, 24),
        ((20_00, 2), (5_00, 1), 5_00, 24),
        ((20_00, 2), (5_00, 2), 25_00, 25),
    ] {
        let facts = waiting([("week", week.0, week.1), ("pets", pets.0, pets.1)]);
        let (left, comes, on) = (gbp(0), gbp(comes), date(2026, 11, day));
        let not_yet = DeclineReason::NotYet { left, comes, on };
        assert_eq!(reasons(&a_request(), &facts), [not_yet], "{week:?} {pets:?}");
    }
}

/// Money that the person holds back is there sooner than the next release.
#[test]
fn held_back_money_that_covers_the_gap_is_told_before_a_release() {
    for (held_back, covers) in [(9_99, false), (10_00, true), (10_01, true)] {
        let mut facts = waiting([("week", 20_00, 0), ("pets", 5_00, 0)]);
        let agreement = &mut facts.holder.as_mut().unwrap().agreement;
        Arc::make_mut(agreement).pots.push(a_pot("emergency", "homes"));
        let funds = PotFunds { held_back: Some(gbp(held_back)), ..gbp(held_back).into() };
        facts.pots.insert(pot("emergency"), funds);
        let told = reasons(&a_request(), &facts);
        let (left, gap, held_back) = (gbp(0), gbp(10_00), gbp(held_back));
        let no_money = DeclineReason::NoMoney { left, gap, held_back };
        assert_eq!(told == [no_money], covers, "{held_back}: {told:?}");
    }
}

#[test]
fn scenario_38_a_margin_is_held_where_there_is_money_and_never_a_reason() {
    let asks = |left: i64, margin: i64| {
        facts_with(|facts| {
            facts.pots = money(&[("week", left)]);
            facts.margin = gbp(margin);
        })
    };
    for (left, held) in [(60_00, 10_50), (10_50, 10_50), (10_49, 10_49), (10_00, 10_00)] {
        let approval = approved(&a_request(), &asks(left, 50));
        assert_eq!(approval.amount, gbp(10_00), "what was asked is what is answered");
        assert_eq!(split(&approval), [("week", held)]);
        assert_eq!(approval.margin(), Ok(gbp(held - 10_00)));
    }
    let short = DeclineReason::NoMoney { left: gbp(9_99), gap: gbp(1), held_back: gbp(0) };
    assert_eq!(reasons(&a_request(), &asks(9_99, 50)), [short]);
    // A limit counts the price without the margin.
    let mut facts = asks(60_00, 50);
    let agreement = &mut facts.holder.as_mut().unwrap().agreement;
    let limit = limited(Scope::Everything, Limit::PerPurchase(gbp(10_00)));
    Arc::make_mut(agreement).terms.push(limit);
    assert_eq!(approved(&a_request(), &facts).amount, gbp(10_00));
    // A partial approval of all that is left has no money for a margin.
    let part = AuthorisationRequest { partial: PartialApproval::Allowed, ..a_request() };
    let mut facts = partly(true, 7_00);
    facts.margin = gbp(50);
    let approval = approved(&part, &facts);
    assert_eq!((approval.amount, split(&approval)), (gbp(7_00), vec![("week", 7_00)]));
    // An amount that overflows exceeds every pot.
    assert_eq!(reasons(&a_request(), &asks(60_00, i64::MAX)).len(), 1);
}
