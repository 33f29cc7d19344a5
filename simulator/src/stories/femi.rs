//! Femi's Monday: two pots, a daily limit he chose himself, and money that runs out.

use super::{Act, InHand, Script, Share};
use crate::{programme::CardState, shops};

pub(super) fn tell(script: &mut Script<'_>) {
    let Some(card) = script.card("femi", CardState::Active) else { return };
    food(script, &card);
    theory_test(script, &card);
    two_pots(script, &card);
    taxi(script, &card);
    not_on_the_list(script, &card);
    money_runs_out(script, &card);
}

/// A hold that is given back counts no longer: the second shop fits the day, the third does not.
fn food(script: &mut Script<'_>, card: &InHand) {
    script.story = "a hold that is reversed";
    let (at, shop) = (script.at(0, 8, 0, 90), script.pick(&shops::SUPERMARKETS));
    let amount = script.pence(20_00, 22_00);
    let wrong = script.buy(card, at, shop, amount);
    let at = script.at(0, 9, 40, 60);
    script.push(at, wrong, Act::Reverse);

    script.story = "less than was kept aside";
    let (at, shop) = (script.at(0, 11, 0, 120), script.pick(&shops::SUPERMARKETS));
    let (amount, less) = (script.pence(18_00, 21_00), script.pence(1_00, 2_00));
    let delivery = script.buy(card, at, shop, amount);
    let (at, again) = (script.at(0, 15, 0, 120), script.pence(13_00, 15_00));
    script.buy(card, at, shop, again);
    let at = script.at(1, 2, 0, 180);
    script.captured(at, delivery, Share::Less(less));
}

/// Two tries were agreed, and courses are otherwise decided together.
fn theory_test(script: &mut Script<'_>, card: &InHand) {
    script.story = "two tries agreed";
    for hour in [10, 13, 16] {
        let at = script.at(0, hour, 0, 120);
        let test = script.buy(card, at, &shops::THEORY_TEST, 11_50);
        script.captured_overnight(test);
    }
}

fn two_pots(script: &mut Script<'_>, card: &InHand) {
    script.story = "one purchase, two pots";
    let (at, shop) = (script.at(0, 9, 0, 120), script.pick(&shops::CHEMISTS));
    let amount = script.pence(20_00, 26_00);
    let chemist = script.buy(card, at, shop, amount);
    script.captured_overnight(chemist);
    let (at, amount) = (script.at(0, 12, 0, 240), script.pence(31_00, 34_00));
    let gym = script.buy(card, at, &shops::GYM, amount);
    let at = script.at(1, 2, 0, 180);
    script.push(at, gym, Act::CloseAhead);
    script.push(at + 1, gym, Act::Capture(Share::All));

    script.story = "a refund that is too big";
    let (at, more) = (script.at(2, 11, 0, 240), script.pence(50, 1_50));
    script.push(at, chemist, Act::Refund(Share::More(more)));
}

/// A fare that grows while the hold is open, and is claimed three days later.
fn taxi(script: &mut Script<'_>, card: &InHand) {
    script.story = "an increment, captured late";
    let (at, shop) = (script.at(0, 9, 0, 420), script.pick(&shops::TAXIS));
    let (amount, more) = (script.pence(7_00, 8_00), script.pence(3_00, 4_00));
    let fare = script.buy(card, at, shop, amount);
    let later = script.pence(600, 2400);
    script.push(at + later, fare, Act::Raise(more));
    script.push(at + later + 2, fare, Act::Confirm);
    let at = script.at(3, 9, 0, 240);
    script.captured(at, fare, Share::All);
}

fn not_on_the_list(script: &mut Script<'_>, card: &InHand) {
    script.story = "not on the list";
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(25_00, 55_00));
    script.buy(card, at, &shops::COURSE, amount);
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(4_00, 9_00));
    script.buy(card, at, &shops::DINER_ABROAD, amount);
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(61_00, 79_00));
    script.buy(card, at, &shops::FURNITURE, amount);
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(2_00, 20_00));
    script.buy(card, at, &shops::BETTING_SHOP, amount);
}

fn money_runs_out(script: &mut Script<'_>, card: &InHand) {
    script.story = "a partial approval";
    let (at, shop) = (script.at(0, 19, 15, 45), script.pick(&shops::SHOE_SHOPS));
    let amount = script.pence(34_00, 44_00);
    let shoes = script.buy_in_part(card, at, shop, amount);
    script.captured_overnight(shoes);
    let at = script.at(0, 20, 5, 90);
    script.buy(card, at, &shops::BUS, 2_40);
}
