//! Purchases with a card that the programme never issued.

use super::{HeldCard, StoryBuilder};
use crate::{programme::Card, shops};

pub(super) fn add_stories(builder: &mut StoryBuilder<'_>) {
    builder.story = "a card nobody knows";
    let known = builder.plan.purchases.first();
    let Some(connection) = known.map(|planned| planned.card.connection.clone()) else { return };
    let card = Card { connection, ..Card::unissued() };
    let (at, amount) = (builder.at(0, 9, 0, 600), builder.random_between(5_00, 40_00));
    builder.buy(&HeldCard { person: None, card }, at, &shops::GIFT_SHOP, amount);
}
