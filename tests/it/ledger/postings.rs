//! The table of postings: the transfers of each event.

use sayso::domain::pot::personal::{PotTransfer, TransferEnd};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::ledger::posting::PostingKind;
use sayso::ledger::postings::pot_transfers;

use super::{BookFixture, closed, open, word};
use crate::values::{a_pot, gbp};

const TWO_POTS: [(&str, i64); 2] = [("pets", 40_00), ("week", 60_00)];

#[test]
fn a_load_moves_stream_funds_to_the_pot() {
    let fixture = BookFixture::new(&TWO_POTS);
    let postings = &fixture.book.changes().postings;
    let moved: Vec<_> =
        postings.iter().flat_map(|p| &p.entry.transfers).map(super::shown).collect();
    assert_eq!(moved, ["stream:homes -> pot:pets:left 4000", "stream:homes -> pot:week:left 6000"]);
    assert_eq!(fixture.figures("pets"), [40_00, 0, 0, 40_00]);
}

#[test]
fn a_pot_transfer_moves_what_one_pot_has_left_to_the_other() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    let plans = ["pets", "week"].map(|id| a_pot(id, "homes"));
    let [pets, week] =
        plans.each_ref().map(|plan| TransferEnd { pot: &plan.id, plan, is_closed: false });
    let moved = pot_transfers(&PotTransfer::new(pets, week, gbp(15_00), gbp(40_00)).unwrap());
    let shown: Vec<_> = moved.iter().map(super::shown).collect();
    assert_eq!(shown, ["pot:pets:left -> pot:week:left 1500"]);
    let cause = fixture.cause(PostingKind::PotTransfer);
    fixture.book.post(cause, moved).unwrap();
    fixture.check();
    assert_eq!(fixture.figures("pets"), [25_00, 0, 0, 25_00]);
    assert_eq!(fixture.figures("week"), [75_00, 0, 0, 75_00]);
}

#[test]
fn an_approval_holds_in_the_pots_that_pay() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    assert_eq!(
        fixture.approve("vet", 0, 48_00),
        ["pot:pets:left -> pot:pets:held 4000", "pot:week:left -> pot:week:held 800"]
    );
    assert_eq!(fixture.figures("pets"), [40_00, 40_00, 0, 0]);
    assert_eq!(fixture.figures("week"), [60_00, 8_00, 0, 52_00]);
}

#[test]
fn a_capture_moves_what_is_held_to_the_issuer() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    fixture.approve("vet", 0, 48_00);
    assert_eq!(
        fixture.capture("vet", 48_00),
        [
            "pot:pets:held -> clearing:riverside-stripe 4000",
            "pot:week:held -> clearing:riverside-stripe 800",
        ]
    );
    assert_eq!(fixture.figures("pets"), [40_00, 0, 40_00, 0]);
    assert_eq!(fixture.figures("week"), [60_00, 0, 8_00, 52_00]);
}

#[test]
fn scenario_16_a_lower_capture_keeps_the_rest_until_the_issuer_lets_go() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    fixture.approve("vet", 0, 48_00);
    assert_eq!(fixture.capture("vet", 30_00), ["pot:pets:held -> clearing:riverside-stripe 3000"]);
    // More captures are expected: the rest stays held.
    assert!(fixture.hear("vet", word(open(gbp(48_00)), 1, 1, "evt_1")).is_empty());
    assert_eq!(fixture.purchase("vet").held().unwrap(), gbp(18_00));
    // It was the last one: the rest is released, from the pot that was drawn last.
    assert_eq!(
        fixture.hear("vet", word(closed(30_00), 2, 1, "evt_2")),
        ["pot:week:held -> pot:week:left 800", "pot:pets:held -> pot:pets:left 1000"]
    );
    assert_eq!(fixture.figures("pets"), [40_00, 0, 30_00, 10_00]);
    assert_eq!(fixture.figures("week"), [60_00, 0, 0, 60_00]);
}

#[test]
fn scenario_17_a_higher_capture_takes_own_pots_then_others_then_the_programme() {
    let mut fixture = BookFixture::new(&[("pets", 10_00), ("week", 20_00), ("gift", 5_00)]);
    fixture.approve("fuel", 0, 8_00);
    assert_eq!(
        fixture.capture("fuel", 40_00),
        [
            "pot:pets:held -> clearing:riverside-stripe 800",
            "pot:pets:left -> clearing:riverside-stripe 200",
            "pot:week:left -> clearing:riverside-stripe 2000",
            "pot:gift:left -> clearing:riverside-stripe 500",
            "exposure -> clearing:riverside-stripe 500",
        ]
    );
    assert_eq!(fixture.purchase("fuel").exposure, gbp(5_00));
    // Money that the person gets later does not pay for it.
    fixture.load("week", 9_00);
    assert_eq!(fixture.figures("week"), [29_00, 0, 20_00, 9_00]);
    assert_eq!(fixture.purchase("fuel").exposure, gbp(5_00));
}

#[test]
fn a_higher_capture_stays_with_the_pots_that_pay_already() {
    let mut fixture = BookFixture::new(&[("pets", 0), ("week", 20_00)]);
    fixture.approve("fuel", 0, 8_00);
    fixture.load("pets", 20_00);
    assert_eq!(
        fixture.capture("fuel", 9_00),
        [
            "pot:week:held -> clearing:riverside-stripe 800",
            "pot:week:left -> clearing:riverside-stripe 100",
        ]
    );
}

#[test]
fn a_reversal_and_an_expiry_give_the_hold_back() {
    for status in
        [AuthorisationStatus::Reversed, AuthorisationStatus::Expired, AuthorisationStatus::Declined]
    {
        let mut fixture = BookFixture::new(&TWO_POTS);
        fixture.approve("vet", 0, 48_00);
        assert_eq!(
            fixture.hear("vet", word(status, 1, 1, "evt_1")),
            ["pot:week:held -> pot:week:left 800", "pot:pets:held -> pot:pets:left 4000"],
            "{status:?}"
        );
        assert_eq!(fixture.figures("pets"), [40_00, 0, 0, 40_00]);
    }
}

#[test]
fn a_withdrawal_gives_the_hold_back() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    fixture.approve("vet", 0, 10_00);
    assert_eq!(fixture.withdraw("vet", 0), ["pot:pets:held -> pot:pets:left 1000"]);
}

#[test]
fn a_force_post_takes_what_the_pots_have_and_then_the_programme() {
    let mut fixture = BookFixture::new(&[("week", 6_00)]);
    assert_eq!(
        fixture.capture("ferry", 8_50),
        [
            "pot:week:left -> clearing:riverside-stripe 600",
            "exposure -> clearing:riverside-stripe 250",
        ]
    );
    let mut empty = BookFixture::new(&[("week", 0)]);
    assert_eq!(empty.capture("ferry", 8_50), ["exposure -> clearing:riverside-stripe 850"]);
}

#[test]
fn a_late_capture_after_expiry_is_a_capture_without_a_hold() {
    let mut fixture = BookFixture::new(&[("week", 10_00)]);
    fixture.approve("hotel", 0, 10_00);
    fixture.hear("hotel", word(AuthorisationStatus::Expired, 1, 1, "evt_1"));
    assert_eq!(
        fixture.capture("hotel", 10_00),
        ["pot:week:left -> clearing:riverside-stripe 1000"]
    );
}

#[test]
fn a_refund_goes_back_to_the_pots_last_drawn_first() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    fixture.approve("vet", 0, 48_00);
    fixture.capture("vet", 48_00);
    assert_eq!(
        fixture.refund("vet", 20_00),
        [
            "clearing:riverside-stripe -> pot:week:left 800",
            "clearing:riverside-stripe -> pot:pets:left 1200",
        ]
    );
    assert_eq!(fixture.figures("pets"), [40_00, 0, 28_00, 12_00]);
    // The second half and more than was left: the excess goes to suspense.
    assert_eq!(
        fixture.refund("vet", 30_00),
        [
            "clearing:riverside-stripe -> pot:pets:left 2800",
            "clearing:riverside-stripe -> suspense 200",
        ]
    );
    assert_eq!(fixture.refund("vet", 1_00), ["clearing:riverside-stripe -> suspense 100"]);
    assert_eq!(fixture.figures("week"), [60_00, 0, 0, 60_00]);
}

#[test]
fn a_refund_pays_the_programme_first_what_it_had_to_owe() {
    let mut fixture = BookFixture::new(&[("week", 6_00)]);
    fixture.capture("ferry", 8_50);
    assert_eq!(
        fixture.refund("ferry", 4_00),
        [
            "clearing:riverside-stripe -> exposure 250",
            "clearing:riverside-stripe -> pot:week:left 150"
        ]
    );
}

#[test]
fn scenario_25_a_refund_without_a_purchase_is_never_free_cash() {
    let mut fixture = BookFixture::new(&TWO_POTS);
    assert_eq!(fixture.refund("unknown", 5_00), ["clearing:riverside-stripe -> suspense 500"]);
    assert_eq!(fixture.figures("pets"), [40_00, 0, 0, 40_00]);
    assert_eq!(fixture.figures("week"), [60_00, 0, 0, 60_00]);
    // Its capture arrives late: the suspense goes to the pot that pays.
    assert_eq!(
        fixture.capture("unknown", 8_00),
        ["pot:pets:left -> clearing:riverside-stripe 800", "suspense -> pot:pets:left 500",]
    );
    assert_eq!(fixture.purchase("unknown").suspense, gbp(0));
}
