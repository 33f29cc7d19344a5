//! A purchase by itself: what it keeps of the messages about it, and what follows from that.

use sayso::domain::decision::authorisation::PurchaseContinuation;
use sayso::domain::id::PermissionId;
use sayso::domain::money::Money;
use sayso::domain::money::margin::{Margin, MarginPercent};
use sayso::domain::purchase::hold::Hold;
use sayso::domain::purchase::presentment::{AuthorisationStatus, PresentmentDirection};
use sayso::domain::purchase::{ApprovedIncrement, IncrementState, MerchantSums};
use sayso::domain::shop::merchant::Mcc;

use super::{a_purchase, closed, open, permission, word};
use crate::values::{gbp, monday_morning, pot};

fn eur(minor: i64) -> Money {
    Money::from_minor(minor, "EUR".parse().unwrap())
}

fn increment(
    sequence: u32,
    state: IncrementState,
    permission: Option<PermissionId>,
) -> ApprovedIncrement {
    ApprovedIncrement { sequence, amount: gbp(10_00), permission, state }
}

#[test]
fn the_largest_total_of_any_open_snapshot_is_kept_whatever_the_order() {
    let mut purchase = a_purchase("a");
    // The second one is older than the first one.
    for (status, second, most) in [
        (open(gbp(20_00)), 1, 20_00),
        (open(gbp(30_00)), 0, 30_00),
        (open(gbp(10_00)), 2, 30_00),
        (closed(40_00), 3, 30_00),
        (AuthorisationStatus::Reversed, 4, 30_00),
    ] {
        purchase.apply_snapshot(word(status, second, 1, "evt_1"));
        assert_eq!(purchase.most_held, gbp(most), "{status:?}");
    }
}

#[test]
fn a_decline_is_remembered_after_later_snapshots() {
    let mut purchase = a_purchase("a");
    for (status, second, is_declined) in [
        (open(gbp(20_00)), 1, false),
        (AuthorisationStatus::Declined, 0, true),
        (open(gbp(10_00)), 2, true),
    ] {
        purchase.apply_snapshot(word(status, second, 1, "evt_1"));
        assert_eq!(purchase.anomalies.is_declined, is_declined, "{status:?}");
    }
}

#[test]
fn a_snapshot_with_the_content_of_the_known_one_does_not_replace_it() {
    let mut purchase = a_purchase("a");
    let known = word(open(gbp(20_00)), 1, 1, "evt_b");
    purchase.apply_snapshot(known.clone());
    for event in ["evt_a", "evt_c"] {
        purchase.apply_snapshot(word(open(gbp(20_00)), 1, 1, event));
        assert_eq!(purchase.snapshot, Some(known.clone()), "{event}");
    }
}

#[test]
fn the_two_largest_captures_are_kept_the_larger_one_first() {
    let mut purchase = a_purchase("a");
    for (minor, largest) in [
        (5_00, vec![5_00]),
        (9_00, vec![9_00, 5_00]),
        (7_00, vec![9_00, 7_00]),
        (1_00, vec![9_00, 7_00]),
        (9_00, vec![9_00, 9_00]),
    ] {
        purchase.record_capture(gbp(minor));
        let kept: Vec<_> =
            purchase.anomalies.largest_captures.iter().map(|amount| amount.minor()).collect();
        assert_eq!(kept, largest, "after {minor}");
    }
}

#[test]
fn amounts_in_the_first_foreign_currency_of_the_merchant_are_added_up() {
    let usd = |minor| Money::from_minor(minor, "USD".parse().unwrap());
    let mut purchase = a_purchase("a");
    for (direction, amount, sums) in [
        (PresentmentDirection::Capture, gbp(3_00), None),
        (PresentmentDirection::Capture, eur(12_00), Some((12_00, 0))),
        (PresentmentDirection::Refund, eur(4_00), Some((12_00, 4_00))),
        (PresentmentDirection::Capture, usd(50_00), Some((12_00, 4_00))),
        (PresentmentDirection::Refund, gbp(3_00), Some((12_00, 4_00))),
        (PresentmentDirection::Capture, eur(8_00), Some((20_00, 4_00))),
        (PresentmentDirection::Refund, eur(1_00), Some((20_00, 5_00))),
    ] {
        purchase.add_merchant_amount(direction, amount).unwrap();
        let sums = sums.map(|(captured, refunded)| MerchantSums {
            captured: eur(captured),
            refunded: eur(refunded),
        });
        assert_eq!(purchase.merchant_sums, sums, "{direction:?} {amount:?}");
    }
}

/// The margin of 7 % is 1.40 of 20.00.
#[test]
fn an_exchange_rate_explains_a_refund_up_to_the_margin_unless_the_merchant_refunded_more() {
    for (captured, refunded, recovered, merchant, difference) in [
        (20_00, 19_00, 0, None, 0),
        (20_00, 20_00, 0, None, 0),
        (20_00, 21_00, 0, None, 1_00),
        (20_00, 25_00, 0, None, 1_40),
        (20_00, 21_00, 0, Some((23_00, 22_99)), 1_00),
        (20_00, 21_00, 0, Some((23_00, 23_00)), 1_00),
        (20_00, 21_00, 0, Some((23_00, 23_01)), 0),
        (20_00, 21_00, 1, None, 0),
        (20_00, 21_00, 1, Some((23_00, 23_00)), 0),
        (0, 21_00, 0, None, 0),
    ] {
        let mut purchase = a_purchase("a");
        purchase.apply_merchant_currency("EUR".parse().unwrap());
        purchase.captured = gbp(captured);
        purchase.refunded = gbp(refunded);
        purchase.recovered = gbp(recovered);
        purchase.merchant_sums = merchant.map(|(captured, refunded)| MerchantSums {
            captured: eur(captured),
            refunded: eur(refunded),
        });
        assert_eq!(purchase.exchange_difference(), Ok(gbp(difference)), "{purchase:?}");
    }
}

#[test]
fn only_an_expiry_by_our_own_clock_is_ours() {
    let mut purchase = a_purchase("a");
    assert!(!purchase.is_expired_by_us(), "no snapshot");
    purchase.apply_snapshot(word(AuthorisationStatus::Expired, 1, 1, "evt_1"));
    assert!(!purchase.is_expired_by_us(), "the issuer's own expiry");
    purchase.expire();
    assert!(purchase.is_expired_by_us());
}

#[test]
fn a_hold_is_expired_from_the_second_of_its_expiry_on() {
    let mut purchase = a_purchase("a");
    let [before, at, after] =
        ["2026-11-30T08:29:59Z", "2026-11-30T08:30:00Z", "2026-11-30T08:30:01Z"]
            .map(|text| text.parse().unwrap());
    assert!(!purchase.is_expired(after), "nothing is held");
    purchase.expires_at = Some(at);
    assert_eq!([before, at, after].map(|now| purchase.is_expired(now)), [false, true, true]);
}

/// A grocer's hold lasts 7 days, and a hotel's 31.
#[test]
fn the_last_activity_is_one_lifetime_before_the_expiry() {
    for (mcc, expires_at) in [
        ("5411", Some("2026-11-30T08:30:00Z")),
        ("7011", Some("2026-12-24T08:30:00Z")),
        ("5411", None),
    ] {
        let mut purchase = a_purchase("a");
        purchase.counted.mcc = Some(Mcc::parse(mcc).unwrap());
        purchase.expires_at = expires_at.map(|text| text.parse().unwrap());
        let expected = expires_at.map(|_| monday_morning().at);
        assert_eq!(purchase.last_activity_at(), expected, "{mcc} {expires_at:?}");
    }
}

#[test]
fn a_purchase_is_untouched_until_something_is_held_or_captured() {
    let emptied = || Hold::empty(pot("week"), gbp(0));
    for (holds, captured, is_untouched) in [
        (vec![], 0, true),
        (vec![emptied()], 0, false),
        (vec![], 1, false),
        (vec![emptied()], 1, false),
    ] {
        let mut purchase = a_purchase("a");
        purchase.holds = holds;
        purchase.captured = gbp(captured);
        assert_eq!(purchase.is_untouched(), is_untouched, "{purchase:?}");
    }
}

#[test]
fn an_approval_that_stands_is_unconfirmed_until_the_issuer_has_counted_it_or_raised_the_hold() {
    use IncrementState::{Kept, Withdrawn};

    for (increments, answers, raised, is_unconfirmed) in [
        (vec![], None, 0, false),
        (vec![Kept], None, 0, true),
        (vec![Kept], Some(0), 0, true),
        (vec![Kept], Some(1), 0, false),
        (vec![Kept, Kept], Some(1), 0, true),
        (vec![Kept, Kept], Some(2), 0, false),
        (vec![Kept, Withdrawn], Some(1), 0, false),
        (vec![Withdrawn], None, 0, false),
        (vec![Kept], None, 1, false),
    ] {
        let mut purchase = a_purchase("a");
        purchase.increments =
            (0..).zip(increments).map(|(number, state)| increment(number, state, None)).collect();
        purchase.snapshot = answers.map(|answers| word(open(gbp(10_00)), 1, answers, "evt_1"));
        purchase.raised = gbp(raised);
        assert_eq!(purchase.is_unconfirmed(), is_unconfirmed, "{purchase:?}");
    }
}

#[test]
fn a_restart_counts_anew_and_uses_no_permission_of_an_earlier_approval() {
    use IncrementState::{Kept, Withdrawn};

    let three_percent = MarginPercent::new(3).unwrap();
    let counted = a_purchase("cash").counted;
    let mut purchase = a_purchase("a");
    purchase.apply_merchant_currency("EUR".parse().unwrap());
    purchase.increments = vec![
        increment(0, Withdrawn, Some(permission(1).id)),
        increment(1, Kept, Some(permission(2).id)),
    ];
    purchase.restart(counted.clone(), three_percent);
    assert_eq!(purchase.counted, counted);
    assert_eq!(purchase.margin, Margin::agreed(three_percent).held(), "the currency stays known");
    assert_eq!(purchase.increments, [increment(0, Withdrawn, None), increment(1, Kept, None)]);
}

#[test]
fn only_an_increment_of_an_open_purchase_has_an_amount_so_far() {
    let opened =
        PurchaseContinuation::Open { so_far: gbp(12_34), counted_on: monday_morning().date };
    for (continues, so_far) in [
        (opened, Some(gbp(12_34))),
        (PurchaseContinuation::Nothing, None),
        (PurchaseContinuation::OtherPerson, None),
    ] {
        assert_eq!(continues.so_far(), so_far, "{continues:?}");
    }
}
