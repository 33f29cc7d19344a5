//! Sequences of messages about one purchase.

use std::collections::BTreeSet;

use jiff::civil::date;

use sayso::domain::agreement::Scope;
use sayso::domain::card::{CardState, CardStatus};
use sayso::domain::money::Money;
use sayso::domain::money::limit::CounterKey;
use sayso::domain::purchase::IssuerSnapshot;
use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome};
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::domain::time::period::Period;
use sayso::ledger::book::{Card, LedgerError};
use sayso::ledger::posting::PostingKind;

use super::{BookFixture, USES, closed, key, open, permission, report, word};
use crate::values::{gbp, monday_morning, pot};

/// Held, captured, exposure and suspense of a purchase.
fn state(fixture: &BookFixture, name: &str) -> [i64; 4] {
    let p = fixture.purchase(name);
    [p.held().unwrap(), p.captured, p.exposure, p.suspense].map(Money::minor)
}

#[test]
fn scenario_15_a_capture_before_its_question_is_counted_once() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.capture("a", 10_00);
    assert_eq!(fixture.figures("week"), [60_00, 0, 10_00, 50_00]);
    assert!(fixture.approve("a", 0, 10_00).is_empty(), "what was captured is not held again");
    assert!(fixture.hear("a", word(open(gbp(10_00)), 0, 1, "evt_1")).is_empty());
    assert!(fixture.hear("a", word(closed(10_00), 1, 1, "evt_2")).is_empty());
    assert_eq!(fixture.figures("week"), [60_00, 0, 10_00, 50_00]);
}

#[test]
fn scenario_18_several_captures_share_one_hold() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 30_00);
    fixture.capture("a", 10_00);
    assert_eq!(state(&fixture, "a"), [20_00, 10_00, 0, 0]);
    fixture.capture("a", 15_00);
    assert_eq!(state(&fixture, "a"), [5_00, 25_00, 0, 0]);
    fixture.hear("a", word(closed(25_00), 1, 1, "evt_1"));
    assert_eq!(state(&fixture, "a"), [0, 25_00, 0, 0]);
    fixture.capture("a", 5_00); // late
    assert_eq!(fixture.figures("week"), [60_00, 0, 30_00, 30_00]);
}

#[test]
fn scenario_19_a_repeated_snapshot_moves_nothing() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 10_00);
    let raised = word(open(gbp(15_00)), 1, 1, "evt_1");
    assert_eq!(fixture.hear("a", raised.clone()), ["pot:week:left -> pot:week:held 500"]);
    assert!(fixture.hear("a", raised).is_empty());
    assert!(fixture.hear("a", word(open(gbp(90_00)), 0, 1, "evt_0")).is_empty(), "an older word");
    assert_eq!(state(&fixture, "a"), [15_00, 0, 0, 0]);
}

#[test]
fn scenario_20_a_reversal_gives_back_only_what_is_still_held() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 30_00);
    fixture.capture("a", 20_00);
    fixture.hear("a", word(AuthorisationStatus::Reversed, 1, 1, "evt_1"));
    assert_eq!(fixture.figures("week"), [60_00, 0, 20_00, 40_00]);
}

#[test]
fn scenario_21_reversals_never_give_back_more_than_is_held() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 30_00);
    fixture.hold_changed("a", 30_00);
    assert_eq!(fixture.hold_changed("a", -10_00), ["pot:week:held -> pot:week:left 1000"]);
    assert_eq!(fixture.hold_changed("a", -30_00), ["pot:week:held -> pot:week:left 2000"]);
    assert!(fixture.hold_changed("a", -30_00).is_empty());
    assert_eq!(fixture.figures("week"), [60_00, 0, 0, 60_00]);
}

#[test]
fn scenario_22_a_hold_that_was_nothing_for_a_moment_is_held_again() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 30_00);
    fixture.hear("a", word(open(gbp(0)), 1, 1, "evt_1"));
    assert_eq!(state(&fixture, "a"), [0, 0, 0, 0]);
    fixture.hear("a", word(open(gbp(30_00)), 2, 1, "evt_2"));
    assert_eq!(state(&fixture, "a"), [30_00, 0, 0, 0]);
}

#[test]
fn scenario_23_and_24_an_increment_is_held_once_whoever_tells_of_it() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 10_00);
    fixture.approve("a", 1, 5_00);
    assert_eq!(state(&fixture, "a"), [15_00, 0, 0, 0]);
    // A snapshot from before the second response does not remove its hold.
    fixture.hear("a", word(open(gbp(10_00)), 1, 1, "evt_1"));
    assert_eq!(state(&fixture, "a"), [15_00, 0, 0, 0]);
    fixture.hear("a", word(open(gbp(15_00)), 2, 2, "evt_2"));
    assert_eq!(state(&fixture, "a"), [15_00, 0, 0, 0]);
    fixture.hear("a", word(open(gbp(12_00)), 3, 2, "evt_3"));
    assert_eq!(state(&fixture, "a"), [12_00, 0, 0, 0]);
}

#[test]
fn a_capture_comes_out_of_an_increment_that_the_issuer_has_not_spoken_of_yet() {
    let mut fixture = BookFixture::new(&[("week", 90_00)]);
    fixture.approve("a", 0, 50_00);
    fixture.hear("a", word(open(gbp(50_00)), 1, 1, "evt_1"));
    fixture.approve("a", 1, 20_00);
    assert_eq!(state(&fixture, "a"), [70_00, 0, 0, 0]);
    fixture.capture("a", 70_00);
    assert_eq!(fixture.figures("week"), [90_00, 0, 70_00, 20_00]);
}

#[test]
fn a_capture_that_uses_up_the_hold_leaves_a_later_approval_held() {
    let mut fixture = BookFixture::new(&[("pets", 30_00), ("week", 30_00)]);
    fixture.hear("a", word(closed(30_00), 1, 1, "evt_1"));
    fixture.approve("a", 1, 30_00);
    fixture.capture("a", 30_00); // of the closed part, not of the later approval
    assert_eq!(state(&fixture, "a"), [30_00, 30_00, 0, 0]);
    assert_eq!(fixture.figures("week"), [30_00, 30_00, 0, 0]);
}

#[test]
fn a_hold_that_was_short_is_filled_by_the_refund_of_its_own_purchase() {
    // The issuer's hold is kept, whether the refund or the snapshot comes first.
    let snapshot = || word(open(gbp(100_00)), 1, 1, "evt_1");
    let mut early = BookFixture::new(&[("week", 60_00)]);
    early.hear("a", snapshot());
    early.capture("a", 50_00);
    early.refund("a", 20_00);
    let mut late = BookFixture::new(&[("week", 60_00)]);
    late.capture("a", 50_00);
    late.refund("a", 20_00);
    late.hear("a", snapshot());
    assert_eq!(late.figures("week"), [60_00, 30_00, 30_00, 0]);
    assert_eq!(early.figures("week"), late.figures("week"));
}

#[test]
fn scenario_31_what_a_dispute_loses_comes_out_of_its_own_hold_before_the_programme_owes() {
    let mut fixture = BookFixture::new(&[("week", 30_00)]);
    fixture.hear("a", word(open(gbp(50_00)), 0, 1, "evt_1"));
    fixture.capture("a", 20_00);
    assert_eq!(state(&fixture, "a"), [10_00, 20_00, 0, 0]);
    fixture.dispute(
        "a",
        &report((DisputeOutcome::Won, Some(DisputeFunds::Credited)), 20_00, 1, "evt_2"),
    );
    assert_eq!(fixture.figures("week"), [30_00, 30_00, 0, 0], "what was short is held now");
    fixture.dispute(
        "a",
        &report((DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain)), 20_00, 2, "evt_3"),
    );
    assert_eq!(state(&fixture, "a"), [10_00, 20_00, 0, 0], "as if there had been no dispute");
}

#[test]
fn a_counter_goes_down_in_the_period_in_which_the_purchase_counted() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    let everything = |period: Period, on| CounterKey {
        scope: Scope::Everything,
        period,
        first_day: period.first_day(on),
    };
    let today = monday_morning().date;
    let then = super::a_purchase("early").counted.on;
    fixture.approve("early", 0, 10_00);
    fixture.approve("late", 0, 3_00);
    let counted = |fixture: &BookFixture, key| {
        fixture.book.counters.get(&key).map(|used| used.amount.minor())
    };
    assert_eq!(counted(&fixture, everything(Period::Week, today)), Some(3_00));
    assert_eq!(counted(&fixture, everything(Period::Week, then)), Some(10_00), "told in time");
    assert_eq!(counted(&fixture, everything(Period::Agreement, today)), Some(13_00));
    fixture.hear("early", word(AuthorisationStatus::Reversed, 1, 1, "evt_1"));
    assert_eq!(counted(&fixture, everything(Period::Week, then)), Some(0));
    assert_eq!(counted(&fixture, everything(Period::Week, today)), Some(3_00));
    assert_eq!(counted(&fixture, everything(Period::Agreement, today)), Some(3_00));
}

/// A refund must not create a counter that does not exist, as after a change of the list, because
/// its amount would be negative.
#[test]
fn a_counter_is_not_begun_by_what_counted_before() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 10_00);
    fixture.approve("b", 0, 10_00);
    fixture.book.counters.clear();
    fixture.hear("a", word(AuthorisationStatus::Reversed, 1, 1, "evt_1"));
    assert_eq!(fixture.figures("week"), [60_00, 10_00, 0, 50_00]);
    assert!(fixture.book.counters.is_empty(), "{:?}", fixture.book.counters);
}

/// Its amount is zero, but limits on the number of purchases counted it.
#[test]
fn a_counter_is_not_begun_by_a_purchase_that_was_refunded() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.capture("a", 10_00);
    fixture.refund("a", 10_00);
    fixture.book.counters.clear();
    fixture.capture("a", 5_00);
    assert!(fixture.book.counters.is_empty(), "{:?}", fixture.book.counters);
}

#[test]
fn a_counter_of_a_period_that_is_over_is_not_begun() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.add("a");
    let purchase = fixture.book.purchases.get_mut(&key("a")).unwrap();
    purchase.counted.on = date(2026, 10, 23); // a month ago
    fixture.capture("a", 10_00);
    let counted = fixture.book.counters.iter();
    let counted: Vec<_> = counted
        .map(|(key, used)| (&key.scope, key.period, used.amount.minor(), used.purchases))
        .collect();
    assert_eq!(counted, [(&Scope::Everything, Period::Agreement, 10_00, 1)]);
}

#[test]
fn scenario_44_a_refund_gives_the_limit_back_and_the_purchase_still_counts() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 10_00);
    fixture.capture("a", 10_00);
    let used = |fixture: &BookFixture| {
        let used = fixture.book.counters.values();
        used.map(|used| (used.amount.minor(), used.purchases)).collect::<BTreeSet<_>>()
    };
    assert_eq!(used(&fixture), BTreeSet::from([(10_00, 1)]));
    fixture.refund("a", 4_00);
    assert_eq!(used(&fixture), BTreeSet::from([(6_00, 1)]));
    fixture.refund("a", 10_00);
    assert_eq!(used(&fixture), BTreeSet::from([(0, 1)]), "no more than was captured");
    assert_eq!(fixture.figures("week"), [60_00, 0, 0, 60_00]);
}

/// The counter is charged again when the dispute is lost after all.
#[test]
fn a_dispute_won_gives_the_limit_back_until_it_is_lost() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 10_00);
    fixture.capture("a", 10_00);
    let net =
        |fixture: &BookFixture| fixture.book.purchases[&key("a")].counted_amount().unwrap().minor();
    fixture.dispute(
        "a",
        &report((DisputeOutcome::Open, Some(DisputeFunds::Credited)), 10_00, 1, "evt_1"),
    );
    assert_eq!(net(&fixture), 10_00, "it is not known yet whose the money is");
    fixture.dispute(
        "a",
        &report((DisputeOutcome::Won, Some(DisputeFunds::Credited)), 10_00, 2, "evt_2"),
    );
    assert_eq!(net(&fixture), 0);
    fixture.dispute(
        "a",
        &report((DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain)), 10_00, 3, "evt_3"),
    );
    assert_eq!(net(&fixture), 10_00);
}

/// Refunds booked before limits followed them do not lower counters that never included them.
#[test]
fn a_refund_from_before_gives_no_limit_back_in_hindsight() {
    let mut purchase = super::a_purchase("a");
    purchase.captured = gbp(20_00);
    purchase.refunded = gbp(8_00);
    let before = purchase.given_back().unwrap();
    purchase.refunded = gbp(11_00);
    purchase.credit_limits(before).unwrap();
    assert_eq!(purchase.limit_back, gbp(3_00));
}

/// The pot has spent most of the gain on another purchase when a dispute recovers money. Only what
/// is left is returned, and the rest once the pot has money again and another message arrives.
#[test]
fn a_gain_that_was_spent_goes_back_once_its_pot_has_money_again() {
    let exchange = |fixture: &BookFixture| {
        fixture.purchase("a").exchange.as_ref().map_or(0, |part| part.amount.minor())
    };
    let mut fixture = BookFixture::new(&[("week", 20_00)]);
    fixture.apply_merchant_currency("a");
    fixture.capture("a", 20_00);
    fixture.refund("a", 21_40);
    assert_eq!((fixture.figures("week"), exchange(&fixture)), ([21_40, 0, 0, 21_40], 1_40));
    fixture.capture("b", 21_00);

    let won = report((DisputeOutcome::Won, Some(DisputeFunds::Credited)), 5_00, 1, "evt_1");
    assert_eq!(
        fixture.dispute("a", &won),
        [
            "clearing:riverside-stripe -> suspense 500",
            "pot:week:left -> exchange 40",
            "exchange -> suspense 40",
        ]
    );
    assert_eq!(fixture.figures("week"), [21_00, 0, 21_00, 0], "the other purchase stays paid");
    assert_eq!((exchange(&fixture), state(&fixture, "a")), (1_00, [0, 20_00, 0, 5_40]));
    assert_eq!(state(&fixture, "b"), [0, 21_00, 0, 0]);

    assert!(fixture.dispute("a", &won).is_empty(), "there is nothing to take");
    fixture.load("week", 3_00);
    assert_eq!(exchange(&fixture), 1_00, "a load is no message about the purchase");
    let closing = word(closed(20_00), 2, 1, "evt_2");
    assert_eq!(
        fixture.hear("a", closing.clone()),
        ["pot:week:left -> exchange 100", "exchange -> suspense 100"]
    );
    assert_eq!(fixture.figures("week"), [23_00, 0, 21_00, 2_00]);
    assert_eq!((exchange(&fixture), state(&fixture, "a")), (0, [0, 20_00, 0, 6_40]));
    assert!(fixture.hear("a", closing).is_empty(), "once");
}

/// Regardless of the order of partial captures and refunds, the exchange gain goes to the pot that
/// paid, and what the margin does not explain goes to suspense.
#[test]
fn a_gain_by_exchange_does_not_depend_on_the_order() {
    let events = [("capture", 12_00), ("capture", 8_00), ("refund", 20_60), ("refund", 1_20)];
    for order in permutations(&events) {
        let mut fixture = BookFixture::new(&[("week", 60_00)]);
        fixture.approve("a", 0, 20_00);
        fixture
            .book
            .purchases
            .get_mut(&key("a"))
            .unwrap()
            .apply_merchant_currency("EUR".parse().unwrap());
        for (what, minor) in &order {
            match *what {
                "capture" => fixture.capture("a", *minor),
                _ => fixture.refund("a", *minor),
            };
        }
        // The margin of 7 % explains 1.40 of 20.00; 0.40 is not explained.
        assert_eq!(fixture.figures("week"), [61_40, 0, 0, 61_40], "{order:?}");
        let purchase = &fixture.book.purchases[&key("a")];
        assert_eq!(purchase.suspense, gbp(40), "{order:?}");
    }
}

/// A gain that filled a hold that the pot could not cover goes back to suspense when a dispute
/// recovers the money: the pot never has more than was loaded.
#[test]
fn a_gain_that_is_held_goes_back_when_a_dispute_is_won() {
    let won = (DisputeOutcome::Won, Some(DisputeFunds::Credited));
    for order in permutations(&["snapshot", "capture", "refund", "dispute"]) {
        let mut fixture = BookFixture::new(&[("week", 9_75)]);
        fixture.apply_merchant_currency("a");
        for what in &order {
            match *what {
                "snapshot" => fixture.hear("a", word(open(gbp(34_31)), 1, 2, "evt_1")),
                "capture" => fixture.capture("a", 10_15),
                "refund" => fixture.refund("a", 14_18),
                _ => fixture.dispute("a", &report(won, 37_60, 1, "evt_2")),
            };
        }
        assert_eq!(fixture.figures("week"), [9_75, 9_75, 0, 0], "{order:?}");
        assert_eq!(fixture.purchase("a").suspense, gbp(41_63), "{order:?}");
    }
}

/// What the foreign currency explains of a refund fills the hold that the pot could not cover.
#[test]
fn a_gain_that_a_message_about_the_hold_reveals_is_held_at_once() {
    let mut fixture = BookFixture::new(&[("week", 10_00)]);
    fixture.capture("a", 10_00);
    fixture.refund("a", 10_50);
    fixture.hear("a", word(open(gbp(50_00)), 1, 1, "evt_1"));
    assert_eq!(state(&fixture, "a"), [10_00, 10_00, 0, 50]);
    assert_eq!(
        fixture.apply_merchant_currency("a"),
        [
            "suspense -> exchange 50",
            "exchange -> pot:week:left 50",
            "pot:week:left -> pot:week:held 50",
        ]
    );
    assert_eq!(fixture.figures("week"), [10_50, 10_50, 0, 0]);
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for rest in permutations(rest) {
        for at in 0..=rest.len() {
            all.push([&rest[..at], std::slice::from_ref(first), &rest[at..]].concat());
        }
    }
    all
}

/// Among snapshots with the same timestamp the one with more requests and captures wins, in every
/// order and under every id.
#[test]
fn in_one_second_the_snapshot_that_knows_more_is_true() {
    let at = monday_morning().at;
    let told = |kind, status: AuthorisationStatus, answers, listed| {
        let over = u8::from(!matches!(status, AuthorisationStatus::Open { .. }));
        (status, (kind, answers, listed, over))
    };
    let (created, updated) = (MessageKind::Created, MessageKind::Updated);
    // Each one knows less than the next one.
    let snapshots = [
        told(created, open(gbp(20_00)), 1, 0),
        told(updated, open(gbp(12_00)), 1, 0),
        told(updated, open(gbp(9_00)), 1, 0),
        told(updated, open(gbp(30_00)), 2, 0),
        told(updated, open(gbp(30_00)), 2, 1),
        told(updated, closed(30_00), 2, 1),
        told(updated, closed(25_00), 2, 1),
        told(updated, AuthorisationStatus::Expired, 2, 1),
        told(updated, AuthorisationStatus::Reversed, 2, 1),
    ];
    for first in 0..snapshots.len() {
        for last in first..snapshots.len().min(first + 4) {
            let some = &snapshots[first..=last];
            for order in permutations(&(0..some.len()).collect::<Vec<_>>()) {
                for names in permutations(&["evt_a", "evt_b", "evt_c", "evt_d"]) {
                    let mut purchase = super::a_purchase("a");
                    for number in &order {
                        let (status, (kind, answers, listed, over)) = some[*number];
                        let reference = names[*number].parse().unwrap();
                        let position =
                            MessagePosition { at, kind, answers, listed, over, reference };
                        purchase.apply_snapshot(IssuerSnapshot { status, position });
                    }
                    let word = purchase.snapshot.unwrap().status;
                    assert_eq!(word, snapshots[last].0, "{order:?} {names:?}");
                }
            }
        }
    }
}

/// The same for a dispute: its outcome, and where its money is.
#[test]
fn in_one_second_a_dispute_stands_as_its_content_says() {
    let told = [
        (MessageKind::Created, DisputeOutcome::Open, None),
        (MessageKind::Updated, DisputeOutcome::Open, Some(DisputeFunds::Credited)),
        (MessageKind::Updated, DisputeOutcome::Won, Some(DisputeFunds::Credited)),
        (MessageKind::Updated, DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain)),
    ];
    for order in permutations(&[0, 1, 2, 3]) {
        for names in permutations(&["evt_a", "evt_b", "evt_c", "evt_d"]) {
            let mut purchase = super::a_purchase("a");
            for number in &order {
                let (kind, outcome, funds) = told[*number];
                let mut report = report((outcome, funds), 10_00, 0, names[*number]);
                report.position.kind = kind;
                purchase.apply_dispute(&report);
            }
            let dispute = &purchase.disputes[0];
            let funds = dispute.funds.as_ref().map(|(funds, _)| *funds);
            assert_eq!(
                (dispute.outcome.0, funds),
                (DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain))
            );
        }
    }
}

/// The gateway's own expiry never overrides an issuer's message of the same second, or a later one.
#[test]
fn our_own_expiry_gives_way_to_what_the_issuer_knows() {
    let known = word(open(gbp(20_00)), 1, 1, "evt_z");
    let later = [
        (closed(20_00), 1),
        (AuthorisationStatus::Reversed, 0),
        (AuthorisationStatus::Declined, 0),
        (AuthorisationStatus::Expired, 0),
    ];
    for (status, listed) in later {
        for name in ["evt_a", "zzz"] {
            let mut told = word(status, 1, 1, name);
            told.position.listed = listed;
            let mut purchase = super::a_purchase("a");
            purchase.apply_snapshot(known.clone());
            purchase.expire();
            assert!(purchase.is_expired_by_us());
            purchase.apply_snapshot(told);
            assert_eq!(purchase.snapshot.unwrap().status, status, "{name}");
        }
    }
    let mut purchase = super::a_purchase("a");
    purchase.apply_snapshot(known.clone());
    purchase.expire();
    purchase.apply_snapshot(known);
    assert!(purchase.is_expired_by_us(), "what was known before changes nothing");
}

fn uses(fixture: &BookFixture) -> Vec<i64> {
    fixture.book.permissions.iter().map(|permission| permission.uses_left).collect()
}

#[test]
fn a_permission_is_given_back_when_nothing_of_its_purchase_is_left() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.book.permissions = vec![permission(1)];
    fixture.approve_by("a", 0, 10_00, Some(permission(1).id));
    assert_eq!(uses(&fixture), [USES - 1]);
    fixture.hear("a", word(open(gbp(5_00)), 1, 1, "evt_1"));
    assert_eq!(uses(&fixture), [USES - 1], "a part is still held");
    fixture.hear("a", word(AuthorisationStatus::Reversed, 2, 1, "evt_2"));
    assert_eq!(uses(&fixture), [USES]);
    fixture.capture("a", 10_00);
    assert_eq!(uses(&fixture), [USES - 1], "it was bought after all");
    fixture.refund("a", 10_00);
    assert_eq!(uses(&fixture), [USES - 1], "a refund does not undo the purchase");
}

#[test]
fn an_increment_uses_up_the_permission_that_allowed_it() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.book.permissions = vec![permission(1), permission(2)];
    fixture.approve_by("a", 0, 10_00, Some(permission(1).id));
    fixture.approve_by("a", 1, 10_00, Some(permission(2).id));
    assert_eq!(uses(&fixture), [USES - 1, USES - 1]);
    fixture.approve_by("a", 2, 10_00, Some(permission(2).id));
    assert_eq!(uses(&fixture), [USES - 1, USES - 1], "one purchase is one use");
    fixture.hear("a", word(AuthorisationStatus::Reversed, 1, 3, "evt_1"));
    assert_eq!(uses(&fixture), [USES, USES]);
}

#[test]
fn an_increment_that_is_withdrawn_gives_its_own_permission_back() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.book.permissions = vec![permission(1), permission(2)];
    fixture.approve_by("a", 0, 10_00, Some(permission(1).id));
    fixture.approve_by("a", 1, 10_00, Some(permission(2).id));
    fixture.withdraw("a", 1);
    assert_eq!(uses(&fixture), [USES - 1, USES]);
    fixture.withdraw("a", 0);
    assert_eq!(uses(&fixture), [USES, USES]);
}

#[test]
fn only_the_permission_that_a_purchase_uses_is_written_back() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.book.permissions = vec![permission(1), permission(2)];
    fixture.approve_by("a", 0, 10_00, Some(permission(2).id));
    assert_eq!(fixture.book.changes().permissions, BTreeSet::from([permission(2).id]));
}

#[test]
fn a_card_is_found_by_its_connection_and_its_token() {
    let card = |connection: &str, token: &str| Card {
        connection: connection.parse().unwrap(),
        token: token.parse().unwrap(),
        status: CardStatus::lasting(CardState::Active),
        last_four: "4242".to_owned(),
    };
    let cards = vec![card("stripe", "one"), card("stripe", "two"), card("other", "one")];
    let mut book = BookFixture::new(&[]).book;
    book.owner.as_mut().unwrap().cards.clone_from(&cards);
    for known in &cards {
        assert_eq!(book.card(&known.connection, &known.token), Some(known));
    }
    let unknown = card("other", "two");
    assert_eq!(book.card(&unknown.connection, &unknown.token), None);
    book.owner = None;
    assert_eq!(book.card(&cards[0].connection, &cards[0].token), None, "the house has no cards");
}

#[test]
fn what_is_not_in_the_book_is_refused() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    let cause = fixture.cause(PostingKind::Capture);
    let unknown = fixture.book.change(&key("b"), cause, |_, _| Ok(Vec::new()));
    assert!(matches!(unknown, Err(LedgerError::NoSuchPurchase(_))));

    let stream = "homes".parse().unwrap();
    let cause = fixture.cause(PostingKind::Load);
    let load = sayso::ledger::postings::load_transfers(&stream, &pot("nowhere"), gbp(1));
    assert_eq!(fixture.book.post(cause, load), Err(LedgerError::NoSuchPot(pot("nowhere"))));
}

#[test]
fn no_pot_goes_below_nothing() {
    use sayso::ledger::account::Account;
    use sayso::ledger::posting::Transfer;

    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    let (left, held) = (Account::PotLeft(pot("week")), Account::PotHeld(pot("week")));
    for (from, to, minor) in [(&left, &held, 60_01), (&held, &left, 1)] {
        let cause = fixture.cause(PostingKind::Decision);
        let transfer = Transfer::new(from.clone(), to.clone(), gbp(minor)).unwrap();
        let mut pots = fixture.book.pots.clone();
        assert_eq!(pots.apply(&transfer), Err(LedgerError::BelowNothing(pot("week"))));
        let mut book_of_its_own = BookFixture::new(&[("week", 60_00)]).book;
        assert!(book_of_its_own.post(cause, vec![transfer]).is_err());
        assert_eq!(book_of_its_own.changes().postings.len(), 1, "only the load is linked");
    }
}

#[test]
fn scenario_38_a_margin_is_held_beyond_what_is_asked_and_claims_come_out_of_both() {
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 20_00);
    assert_eq!(fixture.apply_merchant_currency("a"), ["pot:week:left -> pot:week:held 140"]);
    assert!(fixture.apply_merchant_currency("a").is_empty(), "once");
    // The snapshot concerns the requested amount, and changes nothing.
    assert!(fixture.hear("a", word(open(gbp(20_00)), 1, 1, "evt_1")).is_empty());
    assert_eq!(fixture.approve("a", 1, 5_01), ["pot:week:left -> pot:week:held 537"]);
    assert_eq!(
        state(&fixture, "a"),
        [26_77, 0, 0, 0],
        "25.01 and 7 % of all of it, rounded up once"
    );
    fixture.capture("a", 15_00);
    assert_eq!(state(&fixture, "a"), [11_77, 15_00, 0, 0]);
    // Everything requested is captured, so no margin is held any more.
    fixture.capture("a", 11_50);
    assert_eq!(state(&fixture, "a"), [0, 26_50, 0, 0]);
    assert_eq!(fixture.figures("week"), [60_00, 0, 26_50, 33_50]);
}

#[test]
fn scenario_38_what_is_finally_claimed_or_given_up_has_no_margin() {
    for (status, held) in [
        (closed(20_61), 20_61),
        (AuthorisationStatus::Reversed, 0),
        (AuthorisationStatus::Expired, 0),
        (AuthorisationStatus::Declined, 0),
        (open(gbp(0)), 0),
        (open(gbp(10_00)), 10_70),
    ] {
        let mut fixture = BookFixture::new(&[("week", 60_00)]);
        fixture.approve("a", 0, 20_00);
        fixture.apply_merchant_currency("a");
        fixture.hear("a", word(status, 1, 1, "evt_1"));
        assert_eq!(state(&fixture, "a"), [held, 0, 0, 0], "{status:?}");
    }
    // For issuers that report changes: the last capture releases the rest of the hold and the
    // margin.
    let mut fixture = BookFixture::new(&[("week", 60_00)]);
    fixture.approve("a", 0, 20_00);
    fixture.apply_merchant_currency("a");
    fixture.hold_changed("a", 20_00);
    fixture.hold_changed("a", -43);
    assert_eq!(state(&fixture, "a"), [20_94, 0, 0, 0]);
    fixture.capture("a", 19_57);
    assert_eq!(state(&fixture, "a"), [0, 19_57, 0, 0]);
}

#[test]
fn scenario_38_a_margin_takes_what_there_is_and_counts_in_no_limit() {
    let mut fixture = BookFixture::new(&[("pets", 15_00), ("week", 5_50)]);
    fixture.approve("a", 0, 20_00);
    fixture.apply_merchant_currency("a");
    // 21.40 should be held, but only 20.50 is available.
    assert_eq!(state(&fixture, "a"), [20_50, 0, 0, 0]);
    assert_eq!(fixture.purchase("a").target_hold().unwrap(), gbp(21_40));
    let today = CounterKey {
        scope: Scope::Everything,
        period: Period::Day,
        first_day: monday_morning().date,
    };
    assert_eq!(fixture.book.counters[&today].amount, gbp(20_00));
    // An increment may use the margin, so that a margin never causes a decline.
    assert!(fixture.approve("a", 1, 50).is_empty(), "it is held already");
    assert_eq!(fixture.book.counters[&today].amount, gbp(20_50));
    fixture.capture("a", 20_40);
    assert_eq!(state(&fixture, "a"), [10, 20_40, 0, 0]);
    assert_eq!(fixture.book.counters[&today].amount, gbp(20_50));
}
