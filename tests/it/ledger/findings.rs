//! The exceptions of one purchase for finance to check: which they are, at every boundary, and how
//! they are written.

use sayso::domain::ask::permission::Permission;
use sayso::domain::card::CardState;
use sayso::domain::purchase::finding::{Finding, about, decided_without_us, findings};
use sayso::domain::purchase::hold::Hold;
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::domain::purchase::{ApprovedIncrement, IncrementState, Purchase};
use sayso::domain::shop::merchant::Mcc;

use super::{a_purchase, closed, open, permission, word};
use crate::values::{gbp, pot};
use IncrementState::{Kept, Withdrawn};

const GROCER: &str = "5411";
/// Tips: 20 % more is usual.
const RESTAURANT: &str = "5812";
/// One unit stands for a full tank: £150.00 more is usual.
const FUEL_PUMP: &str = "5542";

/// A purchase in person of which this was captured, without any message or approval.
fn captured(minor: i64) -> Purchase {
    Purchase { captured: gbp(minor), ..a_purchase("a") }
}

/// A purchase of which this was approved, in one request, and captured.
fn approved(minor: i64, captured_minor: i64) -> Purchase {
    Purchase { increments: vec![increment(0, minor, Kept, None)], ..captured(captured_minor) }
}

fn increment(
    sequence: u32,
    minor: i64,
    state: IncrementState,
    permission: Option<&Permission>,
) -> ApprovedIncrement {
    let permission = permission.map(|permission| permission.id);
    ApprovedIncrement { sequence, amount: gbp(minor), permission, state }
}

/// The same purchase at a merchant that prices in another currency: the margin is 7 %.
fn in_euro(mut purchase: Purchase) -> Purchase {
    purchase.apply_merchant_currency("EUR".parse().unwrap());
    purchase
}

/// The same purchase after the issuer's snapshot, which includes one request.
fn told(mut purchase: Purchase, status: AuthorisationStatus) -> Purchase {
    purchase.apply_snapshot(word(status, 1, 1, "evt_1"));
    purchase
}

/// The same purchase with this total authorised at some time before.
fn held_before(minor: i64, purchase: Purchase) -> Purchase {
    Purchase { most_held: gbp(minor), ..purchase }
}

/// The same purchase, of which the issuer approved this in messages about changes.
fn raised(minor: i64, purchase: Purchase) -> Purchase {
    Purchase { raised: gbp(minor), ..purchase }
}

fn at(mcc: &str, mut purchase: Purchase) -> Purchase {
    purchase.counted.mcc = Some(Mcc::parse(mcc).unwrap());
    purchase
}

/// The exceptions of `purchase` if the pots cover its hold.
fn found(purchase: Purchase, permissions: &[Permission]) -> Vec<Finding> {
    let held = purchase.requested_hold().unwrap();
    let holds = vec![Hold { held, ..Hold::empty(pot("week"), gbp(0)) }];
    findings(&Purchase { holds, ..purchase }, permissions).unwrap()
}

fn above(authorised: i64, excess: i64) -> Vec<Finding> {
    let (authorised, excess) = (gbp(authorised), gbp(excess));
    vec![Finding::CapturedAboveHold { authorised, excess }]
}

fn far_above(authorised: i64) -> Vec<Finding> {
    vec![Finding::CapturedFarAbove { authorised: gbp(authorised) }]
}

fn twice(authorised: i64) -> Vec<Finding> {
    vec![Finding::CapturedTwice { authorised: gbp(authorised) }]
}

fn beyond(ok: i64) -> Vec<Finding> {
    vec![Finding::CapturedBeyondPermission { ok: gbp(ok) }]
}

fn without_us(raised: i64, approved_total: i64) -> Finding {
    Finding::RaisedWithoutUs { raised: gbp(raised), approved_total: gbp(approved_total) }
}

#[test]
fn a_capture_may_exceed_the_approval_by_what_is_usual_and_is_far_above_beyond_twice_that() {
    for (mcc, approval, capture, expected) in [
        (GROCER, 10_00, 9_99, vec![]),
        (GROCER, 10_00, 10_00, vec![]),
        (GROCER, 10_00, 10_01, above(10_00, 0)),
        (GROCER, 10_00, 20_00, above(10_00, 0)),
        (GROCER, 10_00, 20_01, far_above(10_00)),
        (RESTAURANT, 10_00, 12_00, vec![]),
        (RESTAURANT, 10_00, 12_01, above(10_00, 2_00)),
        (RESTAURANT, 10_00, 20_00, above(10_00, 2_00)),
        (RESTAURANT, 10_00, 20_01, far_above(10_00)),
        (FUEL_PUMP, 1_00, 151_00, vec![]),
        (FUEL_PUMP, 1_00, 151_01, far_above(1_00)),
    ] {
        let purchase = at(mcc, approved(approval, capture));
        assert_eq!(found(purchase, &[]), expected, "{mcc} {approval} {capture}");
    }
}

#[test]
fn in_another_currency_the_margin_is_usual_too() {
    for (mcc, capture, expected) in [
        (GROCER, 10_70, vec![]),
        (GROCER, 10_71, above(10_00, 70)),
        (GROCER, 21_40, above(10_00, 70)),
        (GROCER, 21_41, far_above(10_00)),
        (RESTAURANT, 12_70, vec![]),
        (RESTAURANT, 12_71, above(10_00, 2_70)),
    ] {
        let purchase = in_euro(at(mcc, approved(10_00, capture)));
        assert_eq!(found(purchase, &[]), expected, "{mcc} {capture}");
    }
}

#[test]
fn a_higher_total_at_the_issuer_is_authorised_and_twice_is_that_of_our_approval() {
    let ours = |capture| held_before(15_00, approved(10_00, capture));
    let theirs = |capture| told(captured(capture), open(gbp(15_00)));
    let lower = |capture| held_before(5_00, approved(10_00, capture));
    for (purchase, expected) in [
        (ours(15_00), vec![]),
        (ours(15_01), above(15_00, 0)),
        (ours(20_00), above(15_00, 0)),
        (ours(20_01), far_above(10_00)),
        (theirs(15_00), vec![]),
        (theirs(15_01), above(15_00, 0)),
        (theirs(30_00), above(15_00, 0)),
        (theirs(30_01), far_above(15_00)),
        (lower(10_00), vec![]),
        (lower(10_01), above(10_00, 0)),
    ] {
        assert_eq!(found(purchase.clone(), &[]), expected, "{purchase:?}");
    }
}

#[test]
fn what_the_issuer_approved_beyond_us_and_the_usual_excess_is_reported_and_authorised() {
    let with = |mut others: Vec<Finding>, raised, approved| {
        others.push(without_us(raised, approved));
        others
    };
    for (purchase, expected) in [
        (raised(9_99, approved(10_00, 0)), vec![]),
        (raised(10_00, approved(10_00, 0)), vec![]),
        (raised(10_01, approved(10_00, 0)), with(vec![], 10_01, 10_00)),
        (raised(12_00, at(RESTAURANT, approved(10_00, 0))), vec![]),
        (raised(12_01, at(RESTAURANT, approved(10_00, 0))), with(vec![], 12_01, 10_00)),
        (raised(151_00, at(FUEL_PUMP, approved(1_00, 0))), vec![]),
        (raised(151_01, at(FUEL_PUMP, approved(1_00, 0))), with(vec![], 151_01, 1_00)),
        (raised(1, at(FUEL_PUMP, captured(0))), with(vec![], 1, 0)),
        (raised(15_00, approved(10_00, 15_00)), with(vec![], 15_00, 10_00)),
        (raised(15_00, approved(10_00, 15_01)), with(above(15_00, 0), 15_00, 10_00)),
        (raised(15_00, approved(10_00, 20_01)), with(far_above(10_00), 15_00, 10_00)),
        (raised(15_00, captured(30_00)), with(above(15_00, 0), 15_00, 0)),
        (raised(15_00, captured(30_01)), with(far_above(15_00), 15_00, 0)),
    ] {
        assert_eq!(found(purchase.clone(), &[]), expected, "{purchase:?}");
    }
}

#[test]
fn two_equal_captures_of_the_whole_amount_are_one_too_many() {
    for (largest, expected) in [
        (vec![20_00], above(10_00, 0)),
        (vec![10_00, 10_00], twice(10_00)),
        (vec![10_00, 9_99], above(10_00, 0)),
        (vec![10_01, 10_00], far_above(10_00)),
        (vec![9_99, 9_99], above(10_00, 0)),
        (vec![12_00, 12_00], twice(10_00)),
    ] {
        let mut purchase = approved(10_00, largest.iter().sum());
        purchase.anomalies.largest_captures = largest.iter().copied().map(gbp).collect();
        assert_eq!(found(purchase, &[]), expected, "{largest:?}");
    }
}

/// The margin of 7 % is 0.70 of 10.00.
#[test]
fn in_another_currency_two_captures_are_equal_within_the_margin() {
    for (largest, expected) in [
        ([10_70, 10_00], twice(10_00)),
        ([10_71, 10_00], above(10_00, 70)),
        ([9_30, 9_30], twice(10_00)),
        ([9_30, 9_29], above(10_00, 70)),
    ] {
        let mut purchase = in_euro(approved(10_00, largest.iter().sum()));
        purchase.anomalies.largest_captures = largest.map(gbp).to_vec();
        assert_eq!(found(purchase, &[]), expected, "{largest:?}");
    }
}

#[test]
fn a_capture_may_not_exceed_the_largest_permission_used_or_a_larger_sum_of_approvals() {
    let capped = |number, cap| Permission { cap: gbp(cap), ..permission(number) };
    let known = [capped(3, 50_00), capped(1, 12_00), capped(2, 14_00)];
    let [unused, twelve, fourteen] = &known;
    let unknown = permission(4);
    let one = [increment(0, 10_00, Kept, Some(twelve))];
    let both = [increment(0, 5_00, Kept, Some(fourteen)), increment(1, 5_00, Kept, Some(twelve))];
    let withdrawn = [increment(0, 10_00, Kept, None), increment(1, 1_00, Withdrawn, Some(twelve))];
    let more = [increment(0, 10_00, Kept, Some(twelve)), increment(1, 10_00, Kept, None)];
    let larger_withdrawn =
        [increment(0, 10_00, Kept, Some(twelve)), increment(1, 1_00, Withdrawn, Some(unused))];
    for (increments, capture, expected) in [
        (&one[..], 10_00, vec![]),
        (&one, 12_00, above(10_00, 0)),
        (&one, 12_01, beyond(12_00)),
        (&one, 20_01, beyond(12_00)),
        (&both, 14_00, above(10_00, 0)),
        (&both, 14_01, beyond(14_00)),
        (&withdrawn, 12_01, above(10_00, 0)),
        (&withdrawn, 20_01, far_above(10_00)),
        (&larger_withdrawn, 12_01, beyond(12_00)),
        (&more, 20_00, vec![]),
        (&more, 20_01, beyond(20_00)),
        (&[increment(0, 10_00, Kept, Some(&unknown))], 10_00, vec![]),
        (&[increment(0, 10_00, Kept, Some(&unknown))], 10_01, beyond(10_00)),
    ] {
        let increments = increments.to_vec();
        let purchase = Purchase { increments, ..captured(capture) };
        assert_eq!(found(purchase.clone(), &known), expected, "{purchase:?}");
    }
    // The margin of 7 % is 0.84 of 12.00.
    for (capture, expected) in [(12_84, above(10_00, 70)), (12_85, beyond(12_00))] {
        let purchase = in_euro(Purchase { increments: one.to_vec(), ..captured(capture) });
        assert_eq!(found(purchase, &known), expected, "{capture}");
    }
}

#[test]
fn a_capture_without_an_approval_that_stands_is_reported_with_its_most_specific_cause() {
    let stopped = |mut purchase: Purchase| {
        purchase.anomalies.stopped_card = Some(CardState::Lost);
        purchase
    };
    let declined = |purchase| told(purchase, AuthorisationStatus::Declined);
    let expired = |purchase| told(purchase, AuthorisationStatus::Expired);
    let withdrawn =
        || Purchase { increments: vec![increment(0, 10_00, Withdrawn, None)], ..captured(10_00) };
    let on_stopped = vec![Finding::CapturedOnStoppedCard(CardState::Lost)];
    let though_declined = vec![Finding::CapturedThoughDeclined];
    let not_heard_of = vec![Finding::CaptureBeforeAuthorisation];
    let by_issuer = vec![without_us(10_00, 0)];
    for (purchase, expected) in [
        (captured(0), vec![]),
        (stopped(captured(10_00)), on_stopped.clone()),
        (stopped(withdrawn()), on_stopped.clone()),
        (stopped(declined(captured(10_00))), on_stopped.clone()),
        (stopped(held_before(10_00, expired(captured(10_00)))), on_stopped),
        (stopped(approved(10_00, 10_00)), vec![]),
        (stopped(captured(0)), vec![]),
        (declined(captured(10_00)), though_declined.clone()),
        (declined(withdrawn()), though_declined),
        (declined(approved(10_00, 10_00)), vec![]),
        (declined(held_before(10_00, captured(10_00))), vec![]),
        (declined(raised(10_00, captured(10_00))), by_issuer.clone()),
        (declined(captured(0)), vec![]),
        (captured(10_00), not_heard_of.clone()),
        (withdrawn(), not_heard_of.clone()),
        (held_before(10_00, captured(10_00)), not_heard_of),
        (expired(captured(10_00)), vec![]),
        (told(captured(10_00), closed(10_00)), vec![]),
        (raised(10_00, captured(10_00)), by_issuer),
    ] {
        assert_eq!(found(purchase.clone(), &[]), expected, "{purchase:?}");
    }
}

#[test]
fn an_unlinked_capture_and_a_moved_one_are_not_compared_with_an_approval() {
    for (is_unlinked, is_moved, capture, expected) in [
        (true, false, 50_00, vec![Finding::CaptureWithoutAuthorisation]),
        (true, true, 50_00, vec![Finding::CaptureWithoutAuthorisation]),
        (true, false, 0, vec![]),
        (false, true, 50_00, vec![]),
        (false, false, 50_00, far_above(10_00)),
    ] {
        let mut purchase = approved(10_00, capture);
        purchase.anomalies.is_unlinked = is_unlinked;
        purchase.anomalies.is_moved = is_moved;
        assert_eq!(found(purchase, &[]), expected, "{is_unlinked} {is_moved} {capture}");
    }
}

#[test]
fn another_kind_of_shop_is_reported_unless_too_much_was_captured() {
    let mcc = Mcc::parse("5812").unwrap();
    for (capture, expected) in
        [(0, vec![]), (10_00, vec![Finding::CapturedAtOtherKind(mcc)]), (10_01, above(10_00, 0))]
    {
        let mut purchase = approved(10_00, capture);
        purchase.anomalies.other_kind = Some(mcc);
        assert_eq!(found(purchase, &[]), expected, "{capture}");
    }
}

#[test]
fn a_hold_that_the_pots_cannot_cover_is_reported_with_what_is_missing() {
    for (held, missing) in [(0, Some(10_00)), (9_99, Some(1)), (10_00, None), (10_01, None)] {
        let mut purchase = approved(10_00, 0);
        purchase.holds = vec![Hold { held: gbp(held), ..Hold::empty(pot("week"), gbp(0)) }];
        let expected = missing.map(|missing| Finding::HoldAboveMoney { missing: gbp(missing) });
        assert_eq!(findings(&purchase, &[]), Ok(expected.into_iter().collect()), "{held}");
    }
}

#[test]
fn a_reversed_purchase_that_was_captured_in_full_is_reported() {
    use AuthorisationStatus::{Expired, Reversed};

    let reversed = Finding::CapturedAfterReversal;
    let mut all = above(10_00, 0);
    all.push(reversed);
    for (purchase, expected) in [
        (told(approved(10_00, 9_99), Reversed), vec![]),
        (told(approved(10_00, 10_00), Reversed), vec![reversed]),
        (told(approved(10_00, 10_01), Reversed), all),
        (told(captured(10_00), Reversed), vec![reversed]),
        (told(captured(0), Reversed), vec![]),
        (told(approved(10_00, 10_00), Expired), vec![]),
        (told(approved(10_00, 10_00), open(gbp(10_00))), vec![]),
        (approved(10_00, 10_00), vec![]),
    ] {
        assert_eq!(found(purchase.clone(), &[]), expected, "{purchase:?}");
    }
}

#[test]
fn a_refund_beyond_the_captures_is_reported_unless_it_was_moved() {
    let unexplained = vec![Finding::RefundWithoutPurchase];
    for (suspense, is_moved, expected) in
        [(0, false, vec![]), (0, true, vec![]), (1, false, unexplained), (1, true, vec![])]
    {
        let mut purchase = approved(10_00, 10_00);
        purchase.suspense = gbp(suspense);
        purchase.anomalies.is_moved = is_moved;
        assert_eq!(found(purchase, &[]), expected, "{suspense} {is_moved}");
    }
}

#[test]
fn several_exceptions_come_in_a_fixed_order() {
    let mut purchase = told(raised(16_00, approved(10_00, 17_00)), AuthorisationStatus::Reversed);
    // The reversal does not include this one, so its amount is still held.
    purchase.increments.push(increment(1, 5_00, Kept, None));
    purchase.suspense = gbp(1);
    let mut expected = above(16_00, 0);
    expected.extend([
        Finding::HoldAboveMoney { missing: gbp(5_00) },
        Finding::CapturedAfterReversal,
        Finding::RefundWithoutPurchase,
        without_us(16_00, 15_00),
    ]);
    assert_eq!(findings(&purchase, &[]), Ok(expected));
}

#[test]
fn every_exception_has_its_stored_cause_and_its_details() {
    let [authorised, ok, excess, missing] = [10_00, 12_00, 70, 5].map(gbp);
    let (raised, approved_total) = (gbp(15_00), gbp(11_00));
    let purchase = Purchase { suspense: gbp(3_00), ..captured(25_50) };
    for (finding, cause, detail) in [
        (
            Finding::CaptureWithoutAuthorisation,
            "capture_without_question",
            "GBP 25.50 captured, and nobody asked us",
        ),
        (
            Finding::CapturedOnStoppedCard(CardState::FrozenByStaff),
            "captured_on_stopped_card",
            "GBP 25.50 captured, and the card is frozen_by_staff",
        ),
        (
            Finding::CapturedThoughDeclined,
            "captured_though_declined",
            "GBP 25.50 captured, and it was declined",
        ),
        (
            Finding::CaptureBeforeAuthorisation,
            "capture_before_authorisation",
            "GBP 25.50 captured, and the authorisation has not been heard of",
        ),
        (
            Finding::CapturedTwice { authorised },
            "captured_twice",
            "GBP 25.50 captured, each time all of GBP 10.00",
        ),
        (
            Finding::CapturedBeyondPermission { ok },
            "captured_beyond_ok",
            "GBP 25.50 captured, and the one-time OK was for GBP 12.00",
        ),
        (
            Finding::CapturedFarAbove { authorised },
            "captured_far_above",
            "GBP 25.50 captured, more than twice the GBP 10.00 approved",
        ),
        (
            Finding::CapturedAboveHold { authorised, excess },
            "captured_above_hold",
            "GBP 25.50 captured of GBP 10.00; GBP 0.70 more would be usual there",
        ),
        (
            Finding::CapturedAtOtherKind(Mcc::parse("5812").unwrap()),
            "captured_at_other_kind",
            "captured as 5812, authorised as 5411",
        ),
        (Finding::HoldAboveMoney { missing }, "hold_above_money", "the pots lack GBP 0.05"),
        (
            Finding::CapturedAfterReversal,
            "reversed_and_claimed",
            "GBP 25.50 captured, and it was reversed",
        ),
        (
            Finding::RefundWithoutPurchase,
            "refund_without_purchase",
            "GBP 3.00 came back beyond what was captured",
        ),
        (
            Finding::RaisedWithoutUs { raised, approved_total },
            "decided_without_us",
            "GBP 15.00 raised by the issuer, GBP 11.00 approved by us",
        ),
    ] {
        assert_eq!((finding.word(), finding.detail(&purchase).as_str()), (cause, detail));
    }
}

#[test]
fn another_kind_of_shop_is_compared_with_an_authorisation_without_a_code() {
    let mut purchase = captured(10_00);
    purchase.counted.mcc = None;
    let finding = Finding::CapturedAtOtherKind(Mcc::parse("5812").unwrap());
    assert_eq!(finding.detail(&purchase), "captured as 5812, authorised without a code");
}

#[test]
fn an_exception_names_the_connection_the_purchase_and_the_request() {
    let purchase = captured(10_00);
    assert_eq!(about(&purchase), "riverside-stripe/a");
    let expected = ("decided_without_us", "riverside-stripe/a#2".to_owned());
    assert_eq!(decided_without_us(&purchase, 2), expected);
}
