//! What people do beside buying: they ask, answer, appeal, and freeze a card of their own.

use super::{Act, Deed, Script};
use crate::{programme::CardState, shops};

pub(super) fn tell(script: &mut Script<'_>) {
    asked_and_answered(script);
    a_no_that_somebody_else_looks_at(script);
    a_freeze_of_ones_own(script);
}

/// Refused, asked, answered, paid: before anybody has left the shop.
fn asked_and_answered(script: &mut Script<'_>) {
    let Some(card) = script.card("dee", CardState::Active) else { return };
    script.story = "refused, asked, answered, paid";
    let (at, shop) = (script.at(0, 8, 45, 10), script.pick(&shops::PHONE_SHOPS));
    let amount = script.pence(21_00, 29_00);
    let refused = script.buy(&card, at, shop, amount);
    script.push(at + 40, refused, Act::Does(Deed::Wish));
    let soon = script.pence(60, 150);
    script.push(at + soon, refused, Act::Does(Deed::Yes));
    let paid = script.buy(&card, at + soon + 5, shop, amount);
    script.captured_overnight(paid);
}

/// Not this time, and why; somebody else finds otherwise.
fn a_no_that_somebody_else_looks_at(script: &mut Script<'_>) {
    let Some(card) = script.card("femi", CardState::Active) else { return };
    script.story = "a no that somebody else looks at";
    let (at, amount) = (script.at(0, 8, 0, 30), script.pence(11_00, 13_00));
    let refused = script.buy(&card, at, &shops::COURSE, amount);
    script.push(at + 60, refused, Act::Does(Deed::Wish));
    script.push(at + 300, refused, Act::Does(Deed::NotThisTime));
    script.push(at + 400, refused, Act::Does(Deed::Appeal));
    script.push(at + 1500, refused, Act::Does(Deed::Change));
    let paid = script.buy(&card, at + 1800, &shops::COURSE, amount);
    script.captured_overnight(paid);
}

fn a_freeze_of_ones_own(script: &mut Script<'_>) {
    let Some(card) = script.card("ana", CardState::Active) else { return };
    script.story = "a freeze of her own";
    let (at, amount) = (script.at(0, 7, 0, 20), script.pence(80, 1_50));
    let number = script.buy(&card, at, &shops::BUS, amount);
    script.push(at + 60, number, Act::Does(Deed::Freeze));
    script.buy(&card, at + 120, &shops::BUS, amount);
    script.push(at + 180, number, Act::Does(Deed::Unfreeze));
    script.captured_overnight(number);
}
