//! Dee's Monday, and what the shops make of it in the days after.

use super::{Act, InHand, Script, Share};
use crate::{programme::CardState, shops};

pub(super) fn tell(script: &mut Script<'_>) {
    let Some(card) = script.card("dee", CardState::Active) else { return };
    monday(script, &card);
    not_on_the_list(script, &card);
    what_shops_do_later(script, &card);
    answers_and_events_that_get_lost(script, &card);
    emergency(script, &card);
    if let Some(old) = script.card("dee", CardState::Replaced) {
        script.story = "a replaced card";
        let (at, amount) = (script.at(0, 9, 0, 600), script.pence(4_99, 8_99));
        script.buy(&old, at, &shops::STREAMING, amount);
    }
}

/// The persona's own day, in its order.
fn monday(script: &mut Script<'_>, card: &InHand) {
    script.story = "Dee's Monday";
    let (at, shop) = (script.at(0, 8, 20, 20), script.pick(&shops::NEWSAGENTS));
    let amount = script.pence(5_50, 7_00);
    let milk = script.buy(card, at, shop, amount);
    script.captured_overnight(milk);

    let (at, shop) = (script.at(0, 9, 5, 20), script.pick(&shops::LAUNDERETTES));
    let amount = script.pence(5_00, 6_00);
    let washing = script.buy(card, at, shop, amount);
    script.captured_overnight(washing);

    let (at, shop) = (script.at(0, 11, 10, 20), script.pick(&shops::VETS));
    let amount = script.pence(44_00, 52_00);
    let vet = script.buy(card, at, shop, amount);
    script.captured_overnight(vet);

    let (at, shop) = (script.at(0, 11, 55, 20), script.pick(&shops::PHONE_SHOPS));
    let amount = script.pence(69_00, 89_00);
    script.buy(card, at, shop, amount);

    let (at, shop) = (script.at(0, 13, 50, 20), script.pick(&shops::MARKET_STALLS));
    let amount = script.pence(10_00, 14_00);
    let rug = script.buy(card, at, shop, amount);
    script.captured_overnight(rug);

    let (at, shop) = (script.at(0, 15, 0, 20), script.pick(&shops::PETROL_STATIONS));
    let amount = script.pence(3_00, 5_00);
    let sandwich = script.buy(card, at, shop, amount);
    script.captured_overnight(sandwich);

    script.story = "cash";
    let at = script.at(0, 16, 0, 30);
    let cash = script.buy(card, at, &shops::CASH_MACHINE, 10_00);
    script.captured(at + 60, cash, Share::All);
    let at = script.at(0, 17, 0, 60);
    let amount = if script.pence(0, 1) == 0 { 15_00 } else { 20_00 };
    script.buy(card, at, &shops::CASH_MACHINE, amount);

    script.story = "half a refund, of two pots";
    let at = script.at(1, 10, 0, 120);
    script.push(at, vet, Act::Refund(Share::Half));
}

fn not_on_the_list(script: &mut Script<'_>, card: &InHand) {
    script.story = "not on the list";
    let (at, amount) = (script.at(0, 10, 0, 600), script.pence(5_00, 9_00));
    script.buy(card, at, &shops::OFF_LICENCE, amount);
    let (at, amount) = (script.at(0, 10, 0, 600), script.pence(16_00, 25_00));
    script.buy(card, at, &shops::UNSORTED, amount);
    let (at, shop) = (script.at(0, 10, 0, 600), script.pick(&shops::PETROL_STATIONS));
    let amount = script.pence(15_00, 22_00);
    script.buy(card, at, shop, amount);
}

fn what_shops_do_later(script: &mut Script<'_>, card: &InHand) {
    script.story = "a tip on top";
    let (at, shop) = (script.at(0, 12, 30, 60), script.pick(&shops::CAFES));
    let amount = script.pence(5_00, 6_50);
    let lunch = script.buy(card, at, shop, amount);
    let (at, tip) = (script.at(0, 18, 30, 60), script.pence(1_00, 1_50));
    script.captured(at, lunch, Share::More(tip));

    script.story = "two parcels";
    let (at, shop) = (script.at(0, 10, 0, 480), script.pick(&shops::DIY_SHOPS));
    let (amount, first) = (script.pence(28_00, 40_00), script.pence(9_00, 19_00));
    let paint = script.buy(card, at, shop, amount);
    let at = script.at(0, 21, 30, 30);
    script.push(at, paint, Act::Capture(Share::Exactly(first)));
    let at = script.at(2, 9, 0, 240);
    script.captured(at, paint, Share::All);

    script.story = "an order that shrinks";
    let (at, amount) = (script.at(0, 10, 0, 300), script.pence(24_00, 30_00));
    let chairs = script.buy(card, at, &shops::FURNITURE, amount);
    let (at, less) = (script.at(0, 18, 0, 60), script.pence(4_00, 8_00));
    script.push(at, chairs, Act::Lower(less));
    script.captured_overnight(chairs);

    script.story = "money kept aside";
    let (at, amount) = (script.at(0, 10, 0, 480), script.pence(2_00, 3_00));
    script.buy(card, at, &shops::BIKE_HIRE, amount);
}

fn answers_and_events_that_get_lost(script: &mut Script<'_>, card: &InHand) {
    script.story = "a lost answer";
    let (at, shop) = (script.at(0, 10, 0, 480), script.pick(&shops::SUPERMARKETS));
    let amount = script.pence(3_00, 4_50);
    let bread = script.buy(card, at, shop, amount);
    script.push(at, bread, Act::AskAgain);
    script.captured_overnight(bread);

    script.story = "an event delivered twice";
    let (at, shop) = (script.at(0, 10, 0, 480), script.pick(&shops::NEWSAGENTS));
    let amount = script.pence(2_00, 3_00);
    let paper = script.buy(card, at, shop, amount);
    let at = script.at(1, 2, 0, 180);
    script.push(at, paper, Act::Capture(Share::All));
    script.push(at, paper, Act::Repeat);
    script.push(at + 1, paper, Act::Close);
    script.push(at + 2, paper, Act::Repeat);
}

/// More food than the week's money can pay: the emergency pot pays the rest.
fn emergency(script: &mut Script<'_>, card: &InHand) {
    script.story = "emergency money";
    let (at, shop) = (script.at(0, 20, 30, 45), script.pick(&shops::SUPERMARKETS));
    let food = script.buy(card, at, shop, 25_00);
    script.captured_overnight(food);
}
