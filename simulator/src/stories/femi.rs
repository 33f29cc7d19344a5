//! Femi's Monday: two pots, a daily limit that he set himself, and money that runs out.

use super::{AmountShare, HeldCard, StoryAction, StoryBuilder};
use crate::{programme::CardState, shops};

pub(super) fn add_stories(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("femi", CardState::Active) else { return };
    food(builder, &card);
    theory_test(builder, &card);
    two_pots(builder, &card);
    taxi(builder, &card);
    not_on_the_list(builder, &card);
    money_runs_out(builder, &card);
}

/// A reversed hold frees the daily limit: the second shop fits, the third does not.
fn food(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a hold that is reversed";
    let (at, shop) = (builder.at(0, 8, 0, 90), builder.pick(&shops::SUPERMARKETS));
    let amount = builder.random_between(20_00, 22_00);
    let wrong = builder.buy(card, at, shop, amount);
    let at = builder.at(0, 9, 40, 60);
    builder.push(at, wrong, StoryAction::Reverse);

    builder.story = "less than was kept aside";
    let (at, shop) = (builder.at(0, 11, 0, 120), builder.pick(&shops::SUPERMARKETS));
    let (amount, less) = (builder.random_between(18_00, 21_00), builder.random_between(1_00, 2_00));
    let delivery = builder.buy(card, at, shop, amount);
    let (at, again) = (builder.at(0, 15, 0, 120), builder.random_between(13_00, 15_00));
    builder.buy(card, at, shop, again);
    let at = builder.at(1, 2, 0, 180);
    builder.captured(at, delivery, AmountShare::Less(less));
}

/// Two tests are agreed. Other courses need to be asked for.
fn theory_test(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "two tries agreed";
    for hour in [10, 13, 16] {
        let at = builder.at(0, hour, 0, 120);
        let test = builder.buy(card, at, &shops::THEORY_TEST, 11_50);
        builder.captured_overnight(test);
    }
}

fn two_pots(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "one purchase, two pots";
    let (at, shop) = (builder.at(0, 9, 0, 120), builder.pick(&shops::CHEMISTS));
    let amount = builder.random_between(20_00, 26_00);
    let chemist = builder.buy(card, at, shop, amount);
    builder.captured_overnight(chemist);
    let (at, amount) = (builder.at(0, 12, 0, 240), builder.random_between(31_00, 34_00));
    let gym = builder.buy(card, at, &shops::GYM, amount);
    let at = builder.at(1, 2, 0, 180);
    builder.push(at, gym, StoryAction::CloseAhead);
    builder.push(at + 1, gym, StoryAction::Capture(AmountShare::All));

    builder.story = "a refund that is too big";
    let (at, more) = (builder.at(2, 11, 0, 240), builder.random_between(50, 1_50));
    builder.push(at, chemist, StoryAction::Refund(AmountShare::More(more)));
}

/// An increment while the hold is open, and a capture three days later.
fn taxi(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "an increment, captured late";
    let (at, shop) = (builder.at(0, 9, 0, 420), builder.pick(&shops::TAXIS));
    let (amount, more) = (builder.random_between(7_00, 8_00), builder.random_between(3_00, 4_00));
    let fare = builder.buy(card, at, shop, amount);
    let later = builder.random_between(600, 2400);
    builder.push(at + later, fare, StoryAction::Raise(more));
    builder.push(at + later + 2, fare, StoryAction::Confirm);
    let at = builder.at(3, 9, 0, 240);
    builder.captured(at, fare, AmountShare::All);
}

fn not_on_the_list(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "not on the list";
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(25_00, 55_00));
    builder.buy(card, at, &shops::COURSE, amount);
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(4_00, 9_00));
    builder.buy(card, at, &shops::DINER_ABROAD, amount);
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(61_00, 79_00));
    builder.buy(card, at, &shops::FURNITURE, amount);
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(2_00, 20_00));
    builder.buy(card, at, &shops::BETTING_SHOP, amount);
}

fn money_runs_out(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a partial approval";
    let (at, shop) = (builder.at(0, 19, 15, 45), builder.pick(&shops::SHOE_SHOPS));
    let amount = builder.random_between(34_00, 44_00);
    let shoes = builder.buy(card, at, shop, amount);
    builder.accept_part(shoes);
    builder.captured_overnight(shoes);
    let at = builder.at(0, 20, 5, 90);
    builder.buy(card, at, &shops::BUS, 2_40);
}
