//! The state of a purchase and its cost, the lifetime of its holds, and the order of the messages
//! about it.

use jiff::SignedDuration;

use sayso::domain::decision::authorisation::PurchaseKind;
use sayso::domain::id::IssuerReference;
use sayso::domain::purchase::dispute::{Dispute, DisputeOutcome};
use sayso::domain::purchase::hold::{HOLD_LIFETIMES, Hold, lifetime};
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::domain::purchase::state::{
    PurchaseOutcome, PurchaseState, RecordedAnswer, attributed_refunds, cost, state_of,
};
use sayso::domain::purchase::{ApprovedIncrement, IncrementState, Purchase};
use sayso::domain::shop::merchant::Mcc;

use super::{a_purchase, closed, open, report, word};
use crate::values::{gbp, monday_morning, pot};

/// An approval as the first response.
fn approval(minor: i64, state: IncrementState) -> Vec<ApprovedIncrement> {
    vec![ApprovedIncrement { sequence: 0, amount: gbp(minor), permission: None, state }]
}

fn approved(minor: i64) -> Vec<ApprovedIncrement> {
    if minor == 0 { Vec::new() } else { approval(minor, IncrementState::Kept) }
}

/// What one pot once held for a purchase and holds no more.
fn a_spent_hold() -> Hold {
    Hold::empty(pot("week"), gbp(0))
}

#[test]
fn every_state_has_an_outcome() {
    use PurchaseOutcome as O;
    use PurchaseState as S;
    let outcomes = [
        (S::NotPaid, O::NotPaid),
        (S::TakenBack, O::TakenBack),
        (S::Checked, O::Checked),
        (S::Held, O::Paid),
        (S::Lowered, O::Paid),
        (S::Paid, O::Paid),
        (S::ApprovedWithoutUs, O::Paid),
        (S::PartlyGivenBack, O::Paid),
        (S::GivenBack, O::GivenBack),
        (S::Expired, O::Expired),
        (S::Disputed, O::Paid),
        (S::Won, O::GivenBack),
        (S::Lost, O::Paid),
        (S::RefundWithoutPurchase, O::GivenBack),
    ];
    assert_eq!(outcomes.map(|(state, _)| state), PurchaseState::ALL);
    for (state, outcome) in outcomes {
        assert_eq!(state.outcome(), outcome, "{state:?}");
    }
}

#[test]
fn without_a_purchase_a_check_outweighs_a_decline_and_a_decline_a_withdrawal() {
    use PurchaseState as S;
    use RecordedAnswer as A;
    for (answers, state) in [
        (&[][..], S::NotPaid),
        (&[A::Approved], S::NotPaid),
        (&[A::Declined], S::NotPaid),
        (&[A::Withdrawn], S::TakenBack),
        (&[A::Withdrawn, A::Approved], S::TakenBack),
        (&[A::Withdrawn, A::Declined], S::NotPaid),
        (&[A::Checked], S::Checked),
        (&[A::Declined, A::Checked], S::Checked),
        (&[A::Withdrawn, A::Checked], S::Checked),
    ] {
        assert_eq!(state_of(answers, None), Ok(state), "{answers:?}");
    }
}

#[test]
fn a_hold_is_compared_with_what_we_approved() {
    use PurchaseState as S;
    for (we_approved, total, refunded, state) in [
        (0, 20_00, 0, S::ApprovedWithoutUs),
        (20_00, 19_99, 0, S::Lowered),
        (20_00, 20_00, 0, S::Held),
        (20_00, 20_01, 0, S::Held),
        (20_00, 20_00, 5_00, S::Held),
    ] {
        let purchase = Purchase {
            increments: approved(we_approved),
            snapshot: Some(word(open(gbp(total)), 1, 1, "evt_1")),
            refunded: gbp(refunded),
            suspense: gbp(refunded),
            ..a_purchase("a")
        };
        let answers = [RecordedAnswer::Declined];
        assert_eq!(state_of(&answers, Some(&purchase)), Ok(state), "{we_approved} {total}");
    }
}

#[test]
fn a_purchase_that_holds_nothing_is_as_its_last_snapshot_and_our_approvals_say() {
    use AuthorisationStatus as Status;
    use IncrementState::{Kept, Withdrawn};
    use PurchaseState as S;
    let nothing = open(gbp(0));
    for (status, increment, state) in [
        (None, None, S::GivenBack),
        (None, Some(Withdrawn), S::TakenBack),
        (Some(Status::Declined), None, S::NotPaid),
        (Some(Status::Declined), Some(Kept), S::NotPaid),
        (Some(Status::Declined), Some(Withdrawn), S::TakenBack),
        (Some(Status::Expired), None, S::Expired),
        (Some(Status::Expired), Some(Kept), S::Expired),
        (Some(Status::Expired), Some(Withdrawn), S::TakenBack),
        (Some(Status::Reversed), None, S::GivenBack),
        (Some(Status::Reversed), Some(Kept), S::GivenBack),
        (Some(Status::Reversed), Some(Withdrawn), S::TakenBack),
        (Some(nothing), None, S::GivenBack),
        (Some(nothing), Some(Kept), S::GivenBack),
        (Some(nothing), Some(Withdrawn), S::TakenBack),
        (Some(closed(0)), Some(Kept), S::GivenBack),
        (Some(closed(0)), Some(Withdrawn), S::TakenBack),
    ] {
        let purchase = Purchase {
            increments: increment.map(|state| approval(20_00, state)).unwrap_or_default(),
            snapshot: status.map(|status| word(status, 1, 1, "evt_1")),
            ..a_purchase("a")
        };
        assert_eq!(state_of(&[], Some(&purchase)), Ok(state), "{status:?}, {increment:?}");
    }
}

#[test]
fn our_responses_count_only_for_a_purchase_that_never_held_anything() {
    use PurchaseState as S;
    use RecordedAnswer as A;
    let reversed = || Some(word(AuthorisationStatus::Reversed, 1, 1, "evt_1"));
    let untouched = Purchase { snapshot: reversed(), ..a_purchase("a") };
    for (answers, state) in [
        (&[][..], S::GivenBack),
        (&[A::Approved], S::GivenBack),
        (&[A::Declined], S::NotPaid),
        (&[A::Withdrawn], S::TakenBack),
        (&[A::Checked], S::Checked),
    ] {
        assert_eq!(state_of(answers, Some(&untouched)), Ok(state), "{answers:?}");
    }
    for (name, purchase) in [
        (
            "approved by us",
            Purchase { increments: approved(20_00), snapshot: reversed(), ..a_purchase("a") },
        ),
        ("held", Purchase { holds: vec![a_spent_hold()], ..a_purchase("a") }),
        (
            "approved by the issuer",
            Purchase { raised: gbp(20_00), lowered: gbp(20_00), ..a_purchase("a") },
        ),
    ] {
        assert_eq!(state_of(&[A::Declined], Some(&purchase)), Ok(S::GivenBack), "{name}");
    }
}

#[test]
fn a_verification_that_held_nothing_and_was_not_declined_is_a_check() {
    use PurchaseKind as Kind;
    use PurchaseState as S;
    use RecordedAnswer as A;
    for (kind, holds, answers, state) in [
        (Kind::Verification, vec![], &[][..], S::Checked),
        (Kind::Verification, vec![], &[A::Approved], S::Checked),
        (Kind::Verification, vec![], &[A::Declined], S::NotPaid),
        (Kind::Verification, vec![a_spent_hold()], &[], S::GivenBack),
        (Kind::Verification, vec![a_spent_hold()], &[A::Declined], S::GivenBack),
        (Kind::Purchase, vec![], &[], S::GivenBack),
        (Kind::Cash, vec![], &[], S::GivenBack),
    ] {
        let mut purchase = Purchase { holds, ..a_purchase("a") };
        purchase.counted.kind = kind;
        assert_eq!(state_of(answers, Some(&purchase)), Ok(state), "{purchase:?}, {answers:?}");
    }
}

#[test]
fn a_refund_without_hold_or_capture_is_one_without_a_purchase() {
    let purchase = Purchase {
        increments: approval(20_00, IncrementState::Withdrawn),
        snapshot: Some(word(AuthorisationStatus::Declined, 1, 1, "evt_1")),
        refunded: gbp(1),
        suspense: gbp(1),
        ..a_purchase("a")
    };
    assert_eq!(state_of(&[], Some(&purchase)), Ok(PurchaseState::RefundWithoutPurchase));
}

#[test]
fn a_captured_purchase_is_disputed_then_given_back_then_won_or_lost() {
    use DisputeOutcome::{Lost, Open, Won};
    use PurchaseState as S;
    for (we_approved, refunded, suspense, outcomes, state) in [
        (20_00, 0, 0, &[][..], S::Paid),
        (0, 0, 0, &[], S::ApprovedWithoutUs),
        (20_00, 1, 0, &[], S::PartlyGivenBack),
        (20_00, 19_99, 0, &[], S::PartlyGivenBack),
        (20_00, 20_00, 0, &[], S::GivenBack),
        (20_00, 25_00, 5_00, &[], S::GivenBack),
        (20_00, 25_00, 5_01, &[], S::PartlyGivenBack),
        (20_00, 5_00, 5_00, &[], S::Paid),
        (0, 5_00, 0, &[], S::PartlyGivenBack),
        (20_00, 0, 0, &[Open], S::Disputed),
        (20_00, 20_00, 0, &[Open], S::Disputed),
        (20_00, 0, 0, &[Won, Open], S::Disputed),
        (20_00, 0, 0, &[Won], S::Won),
        (20_00, 5_00, 0, &[Won], S::Won),
        (20_00, 20_00, 0, &[Won], S::GivenBack),
        (20_00, 0, 0, &[Lost, Won], S::Won),
        (20_00, 0, 0, &[Lost], S::Lost),
        (20_00, 5_00, 0, &[Lost], S::Lost),
        (20_00, 20_00, 0, &[Lost], S::GivenBack),
    ] {
        let dispute = |outcome| Dispute::begin(&report((outcome, None), 20_00, 1, "evt_1"));
        let purchase = Purchase {
            increments: approved(we_approved),
            captured: gbp(20_00),
            refunded: gbp(refunded),
            suspense: gbp(suspense),
            disputes: outcomes.iter().copied().map(dispute).collect(),
            ..a_purchase("a")
        };
        let shown = format!("{we_approved}, {refunded} less {suspense}, {outcomes:?}");
        assert_eq!(state_of(&[], Some(&purchase)), Ok(state), "{shown}");
    }
}

#[test]
fn the_cost_is_what_is_held_or_captured_less_what_came_back_for_the_purchase() {
    for (held, captured, refunded, suspense, recovered, back, expected) in [
        (0, 0, 0, 0, 0, 0, 0),
        (3_00, 20_00, 6_00, 1_00, 4_00, 5_00, 14_00),
        (3_00, 0, 0, 0, 0, 0, 3_00),
        (0, 0, 20_00, 20_00, 0, 0, 0),
        (0, 5_00, 7_00, 0, 0, 7_00, -2_00),
    ] {
        let purchase = Purchase {
            holds: vec![
                Hold { held: gbp(held), ..a_spent_hold() },
                Hold { pot: pot("rent"), ..a_spent_hold() },
            ],
            captured: gbp(captured),
            refunded: gbp(refunded),
            suspense: gbp(suspense),
            recovered: gbp(recovered),
            ..a_purchase("a")
        };
        assert_eq!(attributed_refunds(&purchase), Ok(gbp(back)), "{purchase:?}");
        assert_eq!(cost(&purchase), Ok(gbp(expected)), "{purchase:?}");
    }
}

#[test]
fn a_hold_lasts_a_week_or_31_days_by_the_code_of_the_merchant() {
    let [week, month] = [168, 744].map(SignedDuration::from_hours);
    assert_eq!(HOLD_LIFETIMES, [week, month]);
    assert_eq!(lifetime(None), week);
    for code in ["2999", "4000", "4410", "4512", "5411", "7013", "7032", "7511", "7514", "7520"] {
        assert_eq!(lifetime(Some(Mcc::parse(code).unwrap())), week, "{code}");
    }
    for code in
        ["3000", "3500", "3999", "4411", "4511", "7011", "7012", "7033", "7512", "7513", "7519"]
    {
        assert_eq!(lifetime(Some(Mcc::parse(code).unwrap())), month, "{code}");
    }
}

#[test]
fn an_empty_share_of_a_pot_has_zero_amounts_and_what_is_refunded_is_not_spent() {
    let empty = Hold::empty(pot("week"), gbp(20_00));
    let nothing = Hold { pot: pot("week"), held: gbp(0), captured: gbp(0), refunded: gbp(0) };
    assert_eq!(empty, nothing);
    let hold = Hold { held: gbp(9_00), captured: gbp(20_00), refunded: gbp(6_00), ..empty };
    assert_eq!(hold.spent(), Ok(gbp(14_00)));
}

fn position(reference: IssuerReference) -> MessagePosition {
    MessagePosition {
        at: monday_morning().at,
        kind: MessageKind::Created,
        answers: 0,
        listed: 0,
        over: 0,
        reference,
    }
}

/// Each message ranks after all before it, by one part of its rank, although all less significant
/// parts would say otherwise.
#[test]
fn messages_are_ordered_by_time_then_by_what_they_include() {
    let own = || position(IssuerReference::own());
    let issuers = || position("evt_1".parse().unwrap());
    let later = monday_morning().at.checked_add(SignedDuration::from_secs(1)).unwrap();
    let ranks = [
        own().rank(20_00, 0),
        own().rank(20_00, 1),
        own().rank(10_00, 0),
        issuers().rank(20_00, 0),
        MessagePosition { over: 1, ..own() }.rank(20_00, 0),
        MessagePosition { listed: 1, ..own() }.rank(20_00, 0),
        MessagePosition { answers: 1, ..own() }.rank(20_00, 0),
        MessagePosition { kind: MessageKind::Updated, ..own() }.rank(20_00, 0),
        MessagePosition { at: later, ..own() }.rank(20_00, 0),
    ];
    for pair in ranks.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
    let other = position("evt_2".parse().unwrap());
    assert_eq!(issuers().rank(20_00, 0), other.rank(20_00, 0), "identifiers are not ordered");
}

#[test]
fn at_one_position_a_lower_total_ranks_later_and_then_the_more_final_status() {
    let at = position("evt_1".parse().unwrap());
    let ranks = [
        open(gbp(20_00)),
        closed(20_00),
        open(gbp(10_00)),
        open(gbp(0)),
        closed(0),
        AuthorisationStatus::Declined,
        AuthorisationStatus::Expired,
        AuthorisationStatus::Reversed,
    ]
    .map(|status| status.rank(&at));
    for pair in ranks.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
    assert_eq!(open(gbp(20_00)).rank(&at), at.rank(20_00, 0));
    assert_eq!(AuthorisationStatus::Reversed.rank(&at), at.rank(0, 4));
}

#[test]
fn a_status_is_read_back_from_its_word_and_total() {
    for (status, word, total) in [
        (open(gbp(20_00)), "open", Some(gbp(20_00))),
        (closed(20_00), "closed", Some(gbp(20_00))),
        (AuthorisationStatus::Reversed, "reversed", None),
        (AuthorisationStatus::Expired, "expired", None),
        (AuthorisationStatus::Declined, "declined", None),
    ] {
        assert_eq!((status.word(), status.total()), (word, total), "{status:?}");
        assert_eq!(AuthorisationStatus::from_word(word, gbp(20_00)), Some(status));
    }
    for unknown in ["", "Open", "pending"] {
        assert_eq!(AuthorisationStatus::from_word(unknown, gbp(20_00)), None, "{unknown:?}");
    }
}
