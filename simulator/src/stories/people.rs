//! Actions of people besides buying: they ask, answer, appeal, and freeze their own cards.

use super::{PersonAction, StoryAction, StoryBuilder};
use crate::{programme::CardState, shops};

pub(super) fn add_stories(builder: &mut StoryBuilder<'_>) {
    asked_and_answered(builder);
    a_no_that_somebody_else_looks_at(builder);
    a_freeze_of_ones_own(builder);
}

/// Declined, asked for, granted and paid before the person leaves the shop.
fn asked_and_answered(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("dee", CardState::Active) else { return };
    builder.story = "refused, asked, answered, paid";
    let (at, shop) = (builder.at(0, 8, 45, 10), builder.pick(&shops::PHONE_SHOPS));
    let amount = builder.random_between(21_00, 29_00);
    let refused = builder.buy(&card, at, shop, amount);
    builder.push(at + 40, refused, StoryAction::PersonActs(PersonAction::Wish));
    let soon = builder.random_between(60, 150);
    builder.push(at + soon, refused, StoryAction::PersonActs(PersonAction::Yes));
    let paid = builder.buy(&card, at + soon + 5, shop, amount);
    builder.captured_overnight(paid);
}

/// The worker answers "not this time", and the manager changes that on appeal.
fn a_no_that_somebody_else_looks_at(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("femi", CardState::Active) else { return };
    builder.story = "a no that somebody else looks at";
    let (at, amount) = (builder.at(0, 8, 0, 30), builder.random_between(11_00, 13_00));
    let refused = builder.buy(&card, at, &shops::COURSE, amount);
    builder.push(at + 60, refused, StoryAction::PersonActs(PersonAction::Wish));
    builder.push(at + 300, refused, StoryAction::PersonActs(PersonAction::NotThisTime));
    builder.push(at + 400, refused, StoryAction::PersonActs(PersonAction::Appeal));
    builder.push(at + 1500, refused, StoryAction::PersonActs(PersonAction::Change));
    let paid = builder.buy(&card, at + 1800, &shops::COURSE, amount);
    builder.captured_overnight(paid);
}

fn a_freeze_of_ones_own(builder: &mut StoryBuilder<'_>) {
    let Some(card) = builder.card("ana", CardState::Active) else { return };
    builder.story = "a freeze of her own";
    let (at, amount) = (builder.at(0, 7, 0, 20), builder.random_between(80, 1_50));
    let number = builder.buy(&card, at, &shops::BUS, amount);
    builder.push(at + 60, number, StoryAction::PersonActs(PersonAction::Freeze));
    builder.buy(&card, at + 120, &shops::BUS, amount);
    builder.push(at + 180, number, StoryAction::PersonActs(PersonAction::Unfreeze));
    builder.captured_overnight(number);
}
