//! The plan of a play: the moves of all stories in order of time, made from the seed alone.
//!
//! A story contains the actions of people and shops, but no expected answers: those come from the
//! books.

mod ana;
mod dee;
mod femi;
mod people;
mod strangers;
mod year;

use anyhow::{Context as _, bail};
use jiff::civil::{Date, date};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

pub(crate) use crate::issuers::issuer_record::AmountShare;
use crate::{
    programme::{Card, CardState, Programme},
    shops::Shop,
};

/// The Monday on which the stories begin.
pub(crate) const STORY_DAY: Date = date(2026, 11, 23);

const DAY: i64 = 86_400;

/// All moves of a play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoryPlan {
    /// In order of time.
    pub(crate) moves: Vec<StoryMove>,
    /// By purchase number.
    pub(crate) purchases: Vec<PlannedPurchase>,
}

/// One purchase, before any authorisation request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPurchase {
    /// Index into the programme's people; `None` for a card that the programme never issued.
    pub(crate) person: Option<usize>,
    pub(crate) card: Card,
    pub(crate) shop: &'static Shop,
    pub(crate) is_amount_controllable: bool,
}

/// One message to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoryMove {
    /// Unix seconds on the story's clock.
    pub(crate) at: i64,
    pub(crate) story: &'static str,
    /// The number of the purchase.
    pub(crate) number: usize,
    pub(crate) act: StoryAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoryAction {
    /// Authorisation request for this amount in minor units.
    Ask(i64),
    /// The last authorisation request with the same bytes, as if the response had been lost.
    AskAgain,
    /// Increment by this amount in minor units.
    Raise(i64),
    /// The issuer reports the outcome of the authorisation request.
    Confirm,
    /// Lowers the hold by this amount.
    Lower(i64),
    /// Reverses the whole hold before any capture.
    Reverse,
    Capture(AmountShare),
    /// Closes the authorisation: there are no more captures.
    Close,
    /// Like `Close`, but its event is sent before that of the capture that caused it.
    CloseAhead,
    /// Capture without an authorisation request.
    Force(i64),
    Refund(AmountShare),
    /// Refund that names no purchase.
    RefundUnlinked(i64),
    /// Sends the last event of this purchase again.
    Repeat,
    /// A person acts through the API.
    PersonActs(PersonAction),
}

/// Actions of people about a purchase, or because of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PersonAction {
    /// The person asks for what was declined.
    Wish,
    /// The worker grants the ask.
    Yes,
    /// The worker answers "not this time".
    NotThisTime,
    /// The person appeals against that answer.
    Appeal,
    /// The manager changes that answer to a yes.
    Change,
    /// The person freezes their own card.
    Freeze,
    /// The person unfreezes their own card.
    Unfreeze,
}

/// Who takes part in a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Participants {
    /// Shops and the issuer.
    Shops,
    /// The people of the programme too, each with an account.
    WithPeople,
}

impl StoryPlan {
    /// Plans every story whose person is in the programme.
    ///
    /// # Errors
    /// When the programme has none of these people.
    pub(crate) fn new(
        programme: &Programme,
        seed: u64,
        participants: Participants,
    ) -> anyhow::Result<Self> {
        Self::build(programme, seed, |builder| {
            dee::add_stories(builder);
            femi::add_stories(builder);
            ana::add_stories(builder);
            if !builder.plan.moves.is_empty() {
                strangers::add_stories(builder);
            }
            if participants == Participants::WithPeople {
                people::add_stories(builder);
            }
        })
    }

    fn build(
        programme: &Programme,
        seed: u64,
        add_stories: impl FnOnce(&mut StoryBuilder<'_>),
    ) -> anyhow::Result<Self> {
        let midnight = STORY_DAY
            .to_zoned(programme.zone.clone())
            .context("the story day has no beginning in this time zone")?
            .timestamp()
            .as_second();
        let mut builder = StoryBuilder {
            programme,
            rng: StdRng::seed_from_u64(seed),
            midnight,
            story: "",
            plan: Self { moves: Vec::new(), purchases: Vec::new() },
        };
        programme.check_prices()?;
        add_stories(&mut builder);
        if builder.plan.moves.is_empty() {
            bail!("no story fits: the stories are about dee, femi and ana, with cards of Stripe's");
        }
        let mut plan = builder.plan;
        plan.moves.sort_by_key(|planned| planned.at);
        Ok(plan)
    }
}

/// Builds a plan, story by story.
struct StoryBuilder<'a> {
    programme: &'a Programme,
    rng: StdRng,
    midnight: i64,
    story: &'static str,
    plan: StoryPlan,
}

/// A card and its holder.
#[derive(Debug, Clone)]
struct HeldCard {
    person: Option<usize>,
    card: Card,
}

impl StoryBuilder<'_> {
    /// The person's card in that state, on a connection of this issuer.
    fn card(&self, id: &str, state: CardState) -> Option<HeldCard> {
        let index = self.programme.people.iter().position(|person| person.id == id)?;
        let card = self.programme.people.get(index)?.card.iter().find(|card| {
            card.state == state && self.programme.connection(&card.connection).is_some()
        })?;
        Some(HeldCard { person: Some(index), card: card.clone() })
    }

    fn index(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count.max(1))
    }

    fn pick(&mut self, shops: &'static [Shop]) -> &'static Shop {
        let index = self.index(shops.len());
        shops.get(index).or_else(|| shops.first()).unwrap_or(&crate::shops::BUS)
    }

    /// An amount from `least` to `most`, both inclusive.
    fn random_between(&mut self, least: i64, most: i64) -> i64 {
        self.rng.random_range(least..=most)
    }

    /// A random time within `spread` minutes after the given one, `days` after the story's Monday.
    fn at(&mut self, days: i64, hour: i64, minute: i64, spread: i64) -> i64 {
        let seconds = self.rng.random_range(0..spread.max(1) * 60);
        self.midnight + days * DAY + hour * 3600 + minute * 60 + seconds
    }

    fn push(&mut self, at: i64, number: usize, act: StoryAction) {
        self.plan.moves.push(StoryMove { at, story: self.story, number, act });
    }

    fn plan_purchase(&mut self, held_card: &HeldCard, shop: &'static Shop) -> usize {
        self.plan.purchases.push(PlannedPurchase {
            person: held_card.person,
            card: held_card.card.clone(),
            shop,
            is_amount_controllable: false,
        });
        self.plan.purchases.len() - 1
    }

    /// A purchase: the authorisation request, and 1 to 3 seconds later the issuer's report of its
    /// outcome.
    fn buy(
        &mut self,
        held_card: &HeldCard,
        at: i64,
        shop: &'static Shop,
        amount_minor: i64,
    ) -> usize {
        let number = self.plan_purchase(held_card, shop);
        self.push(at, number, StoryAction::Ask(amount_minor));
        let soon = self.rng.random_range(1..=3);
        self.push(at + soon, number, StoryAction::Confirm);
        number
    }

    /// Moves the purchase to a till that accepts a partial approval.
    fn accept_part(&mut self, number: usize) {
        if let Some(planned) = self.plan.purchases.get_mut(number) {
            planned.is_amount_controllable = true;
        }
    }

    /// A capture, and one second later the closing event.
    fn captured(&mut self, at: i64, number: usize, share: AmountShare) {
        self.push(at, number, StoryAction::Capture(share));
        self.push(at + 1, number, StoryAction::Close);
    }

    /// A capture in the batch of the following night.
    fn captured_overnight(&mut self, number: usize) {
        let at = self.at(1, 2, 0, 180);
        self.captured(at, number, AmountShare::All);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> StoryPlan {
        let text = include_str!("../../../merchant-rules/demo.toml");
        StoryPlan::new(&Programme::read(text).unwrap(), seed, Participants::WithPeople).unwrap()
    }

    #[test]
    fn the_same_seed_tells_the_same_day() {
        assert_eq!(plan(7), plan(7));
    }

    #[test]
    fn another_seed_tells_another_day() {
        let (one, other) = (plan(7), plan(8));
        let order = |plan: &StoryPlan| plan.moves.iter().map(|m| m.number).collect::<Vec<_>>();
        let shops =
            |plan: &StoryPlan| plan.purchases.iter().map(|p| p.shop.name).collect::<Vec<_>>();
        let amounts = |plan: &StoryPlan| plan.moves.iter().map(|m| m.act).collect::<Vec<_>>();
        assert_ne!(order(&one), order(&other), "stories interleave differently");
        assert_ne!(shops(&one), shops(&other));
        assert_ne!(amounts(&one), amounts(&other));
    }

    #[test]
    fn nothing_is_told_about_a_purchase_before_it_is_asked() {
        for seed in 0..50 {
            let mut seen = std::collections::BTreeSet::new();
            for planned in plan(seed).moves {
                let begins = matches!(
                    planned.act,
                    StoryAction::Ask(_) | StoryAction::Force(_) | StoryAction::RefundUnlinked(_)
                );
                assert_eq!(seen.insert(planned.number), begins, "seed {seed}: {planned:?}");
            }
        }
    }

    #[test]
    fn a_programme_without_the_people_of_the_stories_is_refused() {
        let text = include_str!("../../../merchant-rules/demo.toml")
            .replace("riverside-stripe\"\ntoken", "other\"\ntoken");
        assert!(StoryPlan::new(&Programme::read(&text).unwrap(), 1, Participants::Shops).is_err());
    }
}
