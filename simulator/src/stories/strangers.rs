//! A card that the programme never gave out.

use super::{InHand, Script};
use crate::{programme::Card, shops};

pub(super) fn tell(script: &mut Script<'_>) {
    script.story = "a card nobody knows";
    let known = script.plan.purchases.first();
    let Some(connection) = known.map(|planned| planned.card.connection.clone()) else { return };
    let card = Card { connection, ..Card::of_nobody() };
    let (at, amount) = (script.at(0, 9, 0, 600), script.pence(5_00, 40_00));
    script.buy(&InHand { person: None, card }, at, &shops::GIFT_SHOP, amount);
}
