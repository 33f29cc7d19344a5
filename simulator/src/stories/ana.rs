//! Ana's Monday and Tuesday: limits by count and by day, hours of her own, one pot.

use super::{Act, InHand, Script, Share};
use crate::{programme::CardState, shops};

pub(super) fn tell(script: &mut Script<'_>) {
    let Some(card) = script.card("ana", CardState::Active) else { return };
    saving_for_a_bed(script, &card);
    her_own_rules(script, &card);
    down_to_nothing(script, &card);
}

/// Three times eating out a week; the fourth is one too many.
fn saving_for_a_bed(script: &mut Script<'_>, card: &InHand) {
    script.story = "three times a week";
    for hour in [8, 11, 14, 17] {
        let (at, shop) = (script.at(0, hour, 0, 150), script.pick(&shops::CAFES));
        let amount = script.pence(3_00, 4_00);
        let cup = script.buy(card, at, shop, amount);
        script.captured_overnight(cup);
    }
}

fn her_own_rules(script: &mut Script<'_>, card: &InHand) {
    script.story = "a day's limit";
    let (at, shop) = (script.at(0, 9, 0, 480), script.pick(&shops::SUPERMARKETS));
    let amount = script.pence(8_00, 10_00);
    let food = script.buy(card, at, shop, amount);
    script.captured_overnight(food);
    let (at, shop) = (script.at(0, 19, 40, 120), script.pick(&shops::CHEMISTS));
    let amount = script.pence(20_00, 22_00);
    script.buy(card, at, shop, amount);

    script.story = "not online";
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(4_00, 9_00));
    script.buy(card, at, &shops::BOOKS_ONLINE, amount);

    script.story = "not at night";
    let (at, shop) = (script.at(0, 23, 1, 55), script.pick(&shops::TAXIS));
    let amount = script.pence(5_00, 9_00);
    script.buy(card, at, shop, amount);
}

/// A bus that charged without asking, then the last of the money, and a little more.
fn down_to_nothing(script: &mut Script<'_>, card: &InHand) {
    script.story = "a charge nobody was asked about";
    let (at, number) = (script.at(1, 7, 0, 60), script.plan_purchase(card, &shops::BUS));
    script.push(at, number, Act::Force(2_40));

    script.story = "more than there was";
    let (at, shop) = (script.at(1, 11, 0, 240), script.pick(&shops::SHOE_SHOPS));
    let (amount, more) = (script.pence(27_00, 30_00), script.pence(50, 1_50));
    let shoes = script.buy_in_part(card, at, shop, amount);
    let at = script.at(2, 2, 0, 180);
    script.captured(at, shoes, Share::More(more));

    script.story = "a refund nobody can place";
    let (at, amount) = (script.at(2, 10, 0, 300), script.pence(6_00, 8_00));
    let number = script.plan_purchase(card, &shops::GIFT_SHOP);
    script.push(at, number, Act::RefundUnlinked(amount));
}
