//! Tests of text messages: their content, and what they leave out to be one message.

use super::*;

#[test]
fn every_text_message_is_one_message_and_still_gives_the_reason() {
    let (zone, pots) = (london(), some_pots());
    let words = Words::english();
    let purchase_context = a_long_situation(&zone, &pots);
    let payable = Some(gbp(WORST));
    for (new_card_last_four, till, payable) in [
        (None, PointOfSale::Nobody, None),
        (None, PointOfSale::Nobody, payable),
        (Some("1234"), PointOfSale::Nobody, payable),
        (None, PointOfSale::Pump, payable),
        (None, PointOfSale::Counter, payable),
    ] {
        let is_app_bill = till == PointOfSale::Counter;
        let so_far = new_card_last_four.map(|_| gbp(WORST - 1));
        let rest = so_far.and(payable);
        let purchase_context = PurchaseContext {
            so_far,
            rest,
            is_app_bill,
            till,
            payable,
            new_card_last_four,
            ..purchase_context
        };
        for reason in reasons(WORST) {
            for text in [
                words.text_message(&reason, &purchase_context),
                words.text_reply(&reason, &purchase_context),
            ] {
                let places = sms::septets(&text).expect("the basic alphabet");
                assert!(places <= 160, "{places}: {text}");
                assert_ne!(text, words.text(Phrase::NotPaidShort), "{reason:?}");
            }
        }
    }
}

#[test]
fn a_text_message_says_what_happened_whether_money_was_taken_and_what_to_do() {
    let (zone, pots) = (london(), some_pots());
    let words = Words::english();
    let dee = a_situation(&zone, &pots);
    let off = DeclineReason::CategoryOff { category: a_category() };
    let over = DeclineReason::OverPeriod {
        period: Period::Week,
        limit: gbp(30_00),
        left: gbp(12_50),
        until: Some(date(2025, 11, 23)),
    };
    let cases = [
        (
            words.text_message(&off, &dee),
            "Not paid. No money was taken. This kind of place is not on your list: Vets and pets. \
             Reply ASK to ask Amina for a one-time OK.",
        ),
        (
            words.text_message(&off, &PurchaseContext { is_sensitive: true, ..dee }),
            "Not paid. No money was taken. This kind of place is not on your list. \
             Reply ASK to ask Amina for a one-time OK.",
        ),
        (
            words.text_message(&over, &PurchaseContext { payable: Some(gbp(12_50)), ..dee }),
            "Not paid. No money was taken. You can spend up to £30 a week on this. \
             You have £12.50 left until Sun 23 November. Pay £12.50 or less, or reply ASK.",
        ),
        (
            words.text_reply(&DeclineReason::PlaceOff, &dee),
            "Not paid: £48 at Vet. No money was taken. This place is not on your list. \
             Reply ASK to ask Amina for a one-time OK.",
        ),
        (words.quiet_text(&dee), "Something about your card. Reply WHY or call Amina."),
    ];
    for (text, expected) in cases {
        assert_eq!(text, expected);
    }
}

#[test]
fn a_long_text_message_drops_the_place_first_and_then_its_kind() {
    let (zone, pots) = (london(), some_pots());
    let words = Words::english();
    let reason = DeclineReason::CategoryAsk { category: a_category() };
    let long = a_long_situation(&zone, &pots);
    let dee = PurchaseContext { place: Some("Vet"), ..long };
    assert_eq!(
        words.text_reply(&reason, &PurchaseContext { amount: gbp(1_00), ..dee }),
        "Not paid: £1 at Vet. No money was taken. You and Maximilienne agreed to ask first for \
         this: Second-hand and charity shops. Reply ASK to ask now."
    );
    let no_place = "Not paid: £12,345.67. No money was taken. You and Maximilienne agreed to ask \
                    first for this: Second-hand and charity shops. Reply ASK to ask now.";
    assert_eq!(words.text_reply(&reason, &long), no_place);
    // A shop's name in another alphabet would make the whole message cost more.
    let foreign = PurchaseContext { place: Some("Пекарня"), ..long };
    assert_eq!(words.text_reply(&reason, &foreign), no_place);
    let many = "Second-hand shops, charity shops, jumble sales and market stalls";
    assert_eq!(
        words.text_reply(&reason, &PurchaseContext { category_name: many, ..long }),
        "Not paid: £12,345.67. No money was taken. You and Maximilienne agreed to ask first for \
         this kind of place. Reply ASK to ask now."
    );
    assert_eq!(
        words.text_message(
            &DeclineReason::PlaceOff,
            &PurchaseContext { worker_name: "أمينة", ..long }
        ),
        "Not paid. No money was taken. This place is not on your list. \
         Reply ASK to ask your worker for a one-time OK."
    );
    let endless = DeclineReason::OverPurchase { limit: gbp(i64::MAX) };
    let endless = words.text_message(&endless, &PurchaseContext { amount: gbp(i64::MAX), ..long });
    assert!(sms::fits(&endless), "{endless}");
}
