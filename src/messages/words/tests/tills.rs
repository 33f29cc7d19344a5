//! Tests of the texts at a till: what helps there, and what must not be named there.

use super::*;

#[test]
fn at_a_till_that_takes_no_part_the_text_says_what_does_help() {
    let (zone, pots) = (london(), some_pots());
    let short = DeclineReason::NoMoney { left: gbp(8_50), gap: gbp(2_70), held_back: gbp(0) };
    let over = DeclineReason::OverPurchase { limit: gbp(40_00) };
    let said = |reason: &DeclineReason, till, payable: i64| {
        let payable = Some(gbp(payable)).filter(|payable| payable.is_positive());
        let dee =
            PurchaseContext { till, payable, amount: gbp(11_20), ..a_situation(&zone, &pots) };
        Words::english().text_message(reason, &dee)
    };
    assert_eq!(
        said(&short, PointOfSale::Counter, 8_50),
        "Not paid. No money was taken. You have £8.50 for this. This was £11.20. \
         Ask for £8.50 on this card and the rest another way."
    );
    assert_eq!(
        said(&over, PointOfSale::Pump, 30_00),
        "Not paid. No money was taken. One purchase can be up to £40. This was £11.20. \
         Pay inside, up to £30."
    );
    let nobody_to_ask = said(&short, PointOfSale::Nobody, 8_50);
    assert!(nobody_to_ask.contains("Pay £8.50 or less."), "{nobody_to_ask}");
}

#[test]
fn the_text_names_an_amount_to_pay_only_if_it_would_be_paid() {
    let (zone, pots) = (london(), some_pots());
    let (period, limit) = (Period::Week, gbp(60_00));
    let (left, until) = (gbp(40_00), Some(date(2025, 11, 23)));
    let cases = [
        (
            DeclineReason::OverPurchase { limit: left },
            "Pay £8.50 or less, or reply ASK.",
            "Reply ASK to ask Amina for a one-time OK.",
        ),
        (
            DeclineReason::OverPeriod { period, limit, left, until },
            "Pay £8.50 or less, or reply ASK.",
            "Reply ASK to ask for more.",
        ),
        (
            DeclineReason::OkSmall { cap: left },
            "Pay £8.50 or less, or reply ASK to ask again.",
            "Reply ASK to ask Amina again.",
        ),
        (
            DeclineReason::NoMoney { left, gap: gbp(8_00), held_back: gbp(0) },
            "Pay £8.50 or less. Reply NEXT to see when more money comes.",
            "Reply NEXT to see when more money comes.",
        ),
        (
            DeclineReason::NotYet { left, comes: gbp(20_00), on: date(2025, 11, 24) },
            "Pay £8.50 or less, or wait until then.",
            "You can try again then.",
        ),
    ];
    for (reason, with_amount, without) in cases {
        let next = |till, payable| {
            let dee = PurchaseContext { till, payable, ..a_situation(&zone, &pots) };
            Words::english().what_next(&reason, &dee)
        };
        assert_eq!(next(PointOfSale::Nobody, Some(gbp(8_50))), with_amount);
        for till in [PointOfSale::Nobody, PointOfSale::Counter, PointOfSale::Pump] {
            assert_eq!(next(till, None), without);
        }
    }
}

#[test]
fn of_a_purchase_that_was_paid_in_part_the_text_says_what_is_left() {
    let (zone, pots) = (london(), some_pots());
    let said = |reason: &DeclineReason, so_far: i64, rest: Option<i64>| {
        let (so_far, rest) = (Some(gbp(so_far)), rest.map(gbp));
        let dee = PurchaseContext { so_far, rest, amount: gbp(5_00), ..a_situation(&zone, &pots) };
        Words::english().text_message(reason, &dee)
    };
    assert_eq!(
        said(&DeclineReason::OkSmall { cap: gbp(30_00) }, 28_00, Some(2_00)),
        "Not paid. No money was taken. Your one-time OK was up to £30, and £28 is used. \
         You can pay £2 more, or reply ASK."
    );
    let over = DeclineReason::OverPurchase { limit: gbp(150_00) };
    assert_eq!(
        said(&over, 148_50, Some(1_50)),
        "Not paid. No money was taken. One purchase can be up to £150, and £148.50 is used. \
         You can pay £1.50 more, or reply ASK."
    );
    let none_left = said(&over, 150_00, None);
    assert!(none_left.ends_with("£150 is used. Reply ASK to ask for more."), "{none_left}");
}

#[test]
fn a_card_that_somebody_else_has_is_not_named() {
    let (zone, pots) = (london(), some_pots());
    for reason in reasons(48_00) {
        for new_card_last_four in [None, Some("1234")] {
            let (hides_card, dee) = (true, a_situation(&zone, &pots));
            let purchase_context = PurchaseContext { hides_card, new_card_last_four, ..dee };
            let words = Words::english();
            let mut texts = vec![words.text_message(&reason, &purchase_context)];
            texts.push(words.text_reply(&reason, &purchase_context));
            texts.push(words.what_next(&reason, &purchase_context));
            texts.extend(AUDIENCES.map(|audience| words.why(&reason, audience, &purchase_context)));
            for text in texts {
                assert!(!text.contains("5678") && !text.contains("1234"), "{text}");
            }
        }
    }
}

#[test]
fn a_bill_of_an_app_shop_is_told_as_one() {
    let (zone, pots) = (london(), some_pots());
    let dee = PurchaseContext { is_app_bill: true, ..a_situation(&zone, &pots) };
    assert_eq!(
        Words::english().why(&DeclineReason::AbroadOff, Audience::Person, &dee),
        "This is an app shop's bill from another country. Your card is not set for that."
    );
}
