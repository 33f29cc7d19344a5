//! Ana's Monday and Tuesday: limits by count and by day, hours that she set herself, one pot.

use super::{AmountShare, HeldCard, StoryAction, StoryBuilder};
use crate::{programme::CardState, shops};

pub(super) fn add_stories(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("ana", CardState::Active) else { return };
    saving_for_a_bed(builder, &card);
    her_own_rules(builder, &card);
    down_to_nothing(builder, &card);
}

/// Eats out four times in a week; the limit is three.
fn saving_for_a_bed(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "three times a week";
    for hour in [8, 11, 14, 17] {
        let (at, shop) = (builder.at(0, hour, 0, 150), builder.pick(&shops::CAFES));
        let amount = builder.random_between(3_00, 4_00);
        let cup = builder.buy(card, at, shop, amount);
        builder.captured_overnight(cup);
    }
}

fn her_own_rules(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a day's limit";
    let (at, shop) = (builder.at(0, 9, 0, 480), builder.pick(&shops::SUPERMARKETS));
    let amount = builder.random_between(8_00, 10_00);
    let food = builder.buy(card, at, shop, amount);
    builder.captured_overnight(food);
    let (at, shop) = (builder.at(0, 19, 40, 120), builder.pick(&shops::CHEMISTS));
    let amount = builder.random_between(20_00, 22_00);
    builder.buy(card, at, shop, amount);

    builder.story = "not online";
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(4_00, 9_00));
    builder.buy(card, at, &shops::BOOKS_ONLINE, amount);

    builder.story = "not at night";
    let (at, shop) = (builder.at(0, 23, 1, 55), builder.pick(&shops::TAXIS));
    let amount = builder.random_between(5_00, 9_00);
    builder.buy(card, at, shop, amount);
}

/// A bus fare captured without an authorisation request, then purchases until the money runs out.
fn down_to_nothing(builder: &mut StoryBuilder<'_>, card: &HeldCard) {
    builder.story = "a charge nobody was asked about";
    let (at, number) = (builder.at(1, 7, 0, 60), builder.plan_purchase(card, &shops::BUS));
    builder.push(at, number, StoryAction::Force(2_40));

    builder.story = "more than there was";
    let (at, shop) = (builder.at(1, 11, 0, 240), builder.pick(&shops::SHOE_SHOPS));
    let (amount, more) = (builder.random_between(27_00, 30_00), builder.random_between(50, 1_50));
    let shoes = builder.buy(card, at, shop, amount);
    builder.accept_part(shoes);
    let at = builder.at(2, 2, 0, 180);
    builder.captured(at, shoes, AmountShare::More(more));

    builder.story = "a refund nobody can place";
    let (at, amount) = (builder.at(2, 10, 0, 300), builder.random_between(6_00, 8_00));
    let number = builder.plan_purchase(card, &shops::GIFT_SHOP);
    builder.push(at, number, StoryAction::RefundUnlinked(amount));
}
