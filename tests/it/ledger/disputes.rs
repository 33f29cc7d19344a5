//! A dispute by itself: what it keeps of the messages about it, and where its money is.

use sayso::domain::purchase::dispute::{
    Dispute, DisputeFunds, DisputeOutcome, provisional, recovered,
};

use super::report;
use crate::values::gbp;
use DisputeFunds::{Credited, TakenAgain};
use DisputeOutcome::{Lost, Open, Won};

/// A dispute after one message, one second after the request.
fn a_dispute(outcome: DisputeOutcome, funds: Option<DisputeFunds>, minor: i64) -> Dispute {
    Dispute::begin(&report((outcome, funds), minor, 1, "evt_known"))
}

#[test]
fn a_credit_is_provisional_until_the_dispute_is_won() {
    for (outcome, funds, expected) in [
        (Open, None, (0, 0)),
        (Open, Some(Credited), (10_00, 0)),
        (Open, Some(TakenAgain), (0, 0)),
        (Won, None, (0, 0)),
        (Won, Some(Credited), (0, 10_00)),
        (Won, Some(TakenAgain), (0, 0)),
        (Lost, None, (0, 0)),
        (Lost, Some(Credited), (10_00, 0)),
        (Lost, Some(TakenAgain), (0, 0)),
    ] {
        let disputes = [a_dispute(outcome, funds, 10_00)];
        let credits = [provisional, recovered].map(|of| of(&disputes, gbp(0).currency()));
        let (held, kept) = expected;
        assert_eq!(credits, [Ok(gbp(held)), Ok(gbp(kept))], "{outcome:?} {funds:?}");
    }
}

#[test]
fn credits_of_several_disputes_are_added_up() {
    let disputes = [
        a_dispute(Open, Some(Credited), 1_00),
        a_dispute(Won, Some(Credited), 2_00),
        a_dispute(Lost, Some(Credited), 4_00),
        a_dispute(Won, Some(Credited), 8_00),
        a_dispute(Open, None, 16_00),
    ];
    assert_eq!(provisional(&disputes, gbp(0).currency()), Ok(gbp(5_00)));
    assert_eq!(recovered(&disputes, gbp(0).currency()), Ok(gbp(10_00)));
}

/// Of two messages of one second, the one about the lower amount ranks later; then a lost dispute
/// ranks after a won one, and a reversed credit after a credit.
#[test]
fn outcome_and_funds_are_each_replaced_only_by_a_message_that_ranks_later() {
    let (known, new) = ("evt_known", "evt_new");
    for (before, after, minor, second, [outcome, funds]) in [
        ((Open, Credited), (Open, Some(Credited)), 10_00, 0, [known, known]),
        ((Open, Credited), (Open, Some(Credited)), 10_00, 1, [known, known]),
        ((Open, Credited), (Open, Some(Credited)), 10_00, 2, [new, new]),
        ((Open, Credited), (Open, None), 10_00, 2, [new, known]),
        ((Open, Credited), (Open, Some(Credited)), 9_99, 1, [new, known]),
        ((Open, Credited), (Open, Some(Credited)), 10_01, 1, [known, known]),
        ((Open, Credited), (Open, Some(TakenAgain)), 10_00, 1, [known, new]),
        ((Open, TakenAgain), (Open, Some(Credited)), 10_00, 1, [known, known]),
        ((Open, Credited), (Won, Some(TakenAgain)), 11_00, 0, [known, known]),
        ((Won, Credited), (Lost, Some(Credited)), 10_00, 1, [new, known]),
        ((Lost, Credited), (Won, Some(Credited)), 10_00, 1, [known, known]),
    ] {
        let mut dispute = a_dispute(before.0, Some(before.1), 10_00);
        let mut expected = dispute.clone();
        let message = report(after, minor, second, new);
        if outcome == new {
            expected.outcome = (message.outcome, message.position.clone());
            expected.amount = message.amount;
        }
        if funds == new {
            expected.funds = message.funds.map(|funds| (funds, message.position.clone()));
        }
        dispute.apply_report(&message);
        assert_eq!(dispute, expected, "{before:?} {message:?}");
    }
}

#[test]
fn the_first_funds_are_kept_even_if_their_message_is_older_than_the_outcome() {
    let mut dispute = a_dispute(Won, None, 10_00);
    let message = report((Open, Some(Credited)), 12_00, 0, "evt_new");
    dispute.apply_report(&message);
    assert_eq!(dispute.funds, Some((Credited, message.position)));
    assert_eq!((dispute.outcome.0, dispute.amount), (Won, gbp(10_00)));
}
