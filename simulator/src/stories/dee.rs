//! Dee's Monday, and the captures and refunds of the days after.

use super::{AmountShare, HeldCard, StoryAction, StoryBuilder};
use crate::{programme::CardState, shops};

pub(super) fn add_stories(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("dee", CardState::Active) else { return };
    monday(builder, &card);
    not_on_the_list(builder, &card);
    what_shops_do_later(builder, &card);
    answers_and_events_that_get_lost(builder, &card);
    emergency(builder, &card);
    if let Some(old) = builder.card("dee", CardState::Replaced) {
        builder.story = "a replaced card";
        let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(4_99, 8_99));
        builder.buy(&old, at, &shops::STREAMING, amount);
    }
}

/// The persona's day, in order.
fn monday(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "Dee's Monday";
    let (at, shop) = (builder.at(0, 8, 20, 20), builder.pick(&shops::NEWSAGENTS));
    let amount = builder.random_between(5_50, 7_00);
    let milk = builder.buy(card, at, shop, amount);
    builder.captured_overnight(milk);

    let (at, shop) = (builder.at(0, 9, 5, 20), builder.pick(&shops::LAUNDERETTES));
    let amount = builder.random_between(5_00, 6_00);
    let washing = builder.buy(card, at, shop, amount);
    builder.captured_overnight(washing);

    let (at, shop) = (builder.at(0, 11, 10, 20), builder.pick(&shops::VETS));
    let amount = builder.random_between(44_00, 52_00);
    let vet = builder.buy(card, at, shop, amount);
    builder.captured_overnight(vet);

    let (at, shop) = (builder.at(0, 11, 55, 20), builder.pick(&shops::PHONE_SHOPS));
    let amount = builder.random_between(69_00, 89_00);
    builder.buy(card, at, shop, amount);

    let (at, shop) = (builder.at(0, 13, 50, 20), builder.pick(&shops::MARKET_STALLS));
    let amount = builder.random_between(10_00, 14_00);
    let rug = builder.buy(card, at, shop, amount);
    builder.captured_overnight(rug);

    let (at, shop) = (builder.at(0, 15, 0, 20), builder.pick(&shops::PETROL_STATIONS));
    let amount = builder.random_between(3_00, 5_00);
    let sandwich = builder.buy(card, at, shop, amount);
    builder.captured_overnight(sandwich);

    builder.story = "cash";
    let at = builder.at(0, 16, 0, 30);
    let cash = builder.buy(card, at, &shops::CASH_MACHINE, 10_00);
    builder.captured(at + 60, cash, AmountShare::All);
    let at = builder.at(0, 17, 0, 60);
    let amount = if builder.random_between(0, 1) == 0 { 15_00 } else { 20_00 };
    builder.buy(card, at, &shops::CASH_MACHINE, amount);

    builder.story = "half a refund, of two pots";
    let at = builder.at(1, 10, 0, 120);
    builder.push(at, vet, StoryAction::Refund(AmountShare::Half));
}

fn not_on_the_list(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "not on the list";
    let (at, amount) = (builder.at(0, 10, 0, 600), builder.random_between(5_00, 9_00));
    builder.buy(card, at, &shops::OFF_LICENCE, amount);
    let (at, amount) = (builder.at(0, 10, 0, 600), builder.random_between(16_00, 25_00));
    builder.buy(card, at, &shops::UNSORTED, amount);
    let (at, shop) = (builder.at(0, 10, 0, 600), builder.pick(&shops::PETROL_STATIONS));
    let amount = builder.random_between(15_00, 22_00);
    builder.buy(card, at, shop, amount);
}

fn what_shops_do_later(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a tip on top";
    let (at, shop) = (builder.at(0, 12, 30, 60), builder.pick(&shops::CAFES));
    let amount = builder.random_between(5_00, 6_50);
    let lunch = builder.buy(card, at, shop, amount);
    let (at, tip) = (builder.at(0, 18, 30, 60), builder.random_between(1_00, 1_50));
    builder.captured(at, lunch, AmountShare::More(tip));

    builder.story = "two parcels";
    let (at, shop) = (builder.at(0, 10, 0, 480), builder.pick(&shops::DIY_SHOPS));
    let (amount, first) =
        (builder.random_between(28_00, 40_00), builder.random_between(9_00, 19_00));
    let paint = builder.buy(card, at, shop, amount);
    let at = builder.at(0, 21, 30, 30);
    builder.push(at, paint, StoryAction::Capture(AmountShare::Exactly(first)));
    let at = builder.at(2, 9, 0, 240);
    builder.captured(at, paint, AmountShare::All);

    builder.story = "an order that shrinks";
    let (at, amount) = (builder.at(0, 10, 0, 300), builder.random_between(24_00, 30_00));
    let chairs = builder.buy(card, at, &shops::FURNITURE, amount);
    let (at, less) = (builder.at(0, 18, 0, 60), builder.random_between(4_00, 8_00));
    builder.push(at, chairs, StoryAction::Lower(less));
    builder.captured_overnight(chairs);

    builder.story = "money kept aside";
    let (at, amount) = (builder.at(0, 10, 0, 480), builder.random_between(2_00, 3_00));
    builder.buy(card, at, &shops::BIKE_HIRE, amount);
}

fn answers_and_events_that_get_lost(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a lost answer";
    let (at, shop) = (builder.at(0, 10, 0, 480), builder.pick(&shops::SUPERMARKETS));
    let amount = builder.random_between(3_00, 4_50);
    let bread = builder.buy(card, at, shop, amount);
    builder.push(at, bread, StoryAction::AskAgain);
    builder.captured_overnight(bread);

    builder.story = "an event delivered twice";
    let (at, shop) = (builder.at(0, 10, 0, 480), builder.pick(&shops::NEWSAGENTS));
    let amount = builder.random_between(2_00, 3_00);
    let paper = builder.buy(card, at, shop, amount);
    let at = builder.at(1, 2, 0, 180);
    builder.push(at, paper, StoryAction::Capture(AmountShare::All));
    builder.push(at, paper, StoryAction::Repeat);
    builder.push(at + 1, paper, StoryAction::Close);
    builder.push(at + 2, paper, StoryAction::Repeat);
}

/// Groceries beyond the week's money: the emergency pot pays the rest.
fn emergency(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "emergency money";
    let (at, shop) = (builder.at(0, 20, 30, 45), builder.pick(&shops::SUPERMARKETS));
    let food = builder.buy(card, at, shop, 25_00);
    builder.captured_overnight(food);
}
