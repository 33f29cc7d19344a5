//! A year of everyday purchases: everybody buys everywhere, without faults.

use super::{AmountShare, StoryAction, StoryBuilder, StoryPlan};
use crate::{
    programme::{CardState, Programme},
    shops::{self, Shop},
};

const DAYS: i64 = 365;
/// Purchases of each person per day: more than two thousand in the year for six people.
const PURCHASES_PER_DAY: usize = 1;

/// Shops by kind.
static SHOPS: [&[Shop]; 20] = [
    &shops::NEWSAGENTS,
    &shops::SUPERMARKETS,
    &shops::LAUNDERETTES,
    &shops::VETS,
    &shops::PHONE_SHOPS,
    &shops::MARKET_STALLS,
    &shops::PETROL_STATIONS,
    &shops::CAFES,
    &shops::DIY_SHOPS,
    &shops::CHEMISTS,
    &shops::TAXIS,
    &shops::SHOE_SHOPS,
    std::slice::from_ref(&shops::OFF_LICENCE),
    std::slice::from_ref(&shops::UNSORTED),
    std::slice::from_ref(&shops::BUS),
    std::slice::from_ref(&shops::THEORY_TEST),
    std::slice::from_ref(&shops::COURSE),
    std::slice::from_ref(&shops::BOOKS_ONLINE),
    std::slice::from_ref(&shops::CASH_MACHINE),
    std::slice::from_ref(&shops::DINER_ABROAD),
];

impl StoryPlan {
    /// Plans a year for everybody in the programme with an active card.
    ///
    /// # Errors
    /// As [`StoryPlan::new`].
    pub(crate) fn year(programme: &Programme, seed: u64) -> anyhow::Result<Self> {
        Self::build(programme, seed, |builder| {
            builder.story = "a year";
            for person in &programme.people {
                let Some(card) = builder.card(&person.id, CardState::Active) else { continue };
                for day in 0..DAYS {
                    for _ in 0..PURCHASES_PER_DAY {
                        let (at, amount) =
                            (builder.at(day, 6, 30, 17 * 60), builder.random_between(80, 14_00));
                        let kind = builder.pick_kind();
                        let shop = builder.pick(kind);
                        let number = builder.plan_purchase(&card, shop);
                        builder.push(at, number, StoryAction::Ask(amount));
                        builder.push(at + 3600, number, StoryAction::Capture(AmountShare::All));
                    }
                }
            }
        })
    }
}

impl StoryBuilder<'_> {
    fn pick_kind(&mut self) -> &'static [Shop] {
        let index = self.index(SHOPS.len());
        SHOPS.get(index).copied().unwrap_or(&shops::NEWSAGENTS)
    }
}
