//! The plan of a storm, made from the seed alone: who buys what, and how the messages about it
//! travel. It contains no answers, so whether a move is possible is decided when it is due.

use std::collections::BTreeMap;

use anyhow::bail;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::lives::{self, PurchaseCount};
use crate::{
    issuers::{issuer_record::AmountShare, stripe::ForeignCurrency},
    programme::{Card, CardState, Programme},
    recorded::{RecordedOutcome, RecordedPurchase},
    shops::Shop,
};

/// Local times of day of the slots: around midnight and spread over the day, so that a gateway that
/// uses another time zone gets days wrong.
pub(super) const TIMES_OF_DAY: [(i8, i8); 5] = [(0, 4), (9, 30), (13, 15), (18, 45), (23, 56)];
/// Local days that a storm spans on a story's clock.
pub(super) const DAYS: usize = 4;
/// The number of slots of a story's clock.
pub(super) const SLOTS: usize = TIMES_OF_DAY.len() * DAYS;

/// All moves of a storm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StormPlan {
    pub(super) scripts: Vec<PersonScript>,
    pub(super) purchases: usize,
}

/// The moves of one person, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PersonScript {
    /// Index into the programme's people.
    pub(super) person: usize,
    pub(super) lives: Vec<PurchaseLife>,
    pub(super) moves: Vec<StormMove>,
}

/// One purchase, from the authorisation request to its last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PurchaseLife {
    /// Number among all purchases of the storm.
    pub(super) number: usize,
    /// Position in the order in which purchases begin at a given rate.
    pub(super) turn: usize,
    /// The kind of life, for messages.
    pub(super) story: &'static str,
    pub(super) card: Card,
    pub(super) shop: &'static Shop,
    pub(super) is_amount_controllable: bool,
    pub(super) foreign_currency: Option<ForeignCurrency>,
    /// The part of the amount that is the cash machine's own fee.
    pub(super) fee_minor: i64,
    /// Whether the issuer makes several snapshots with the same timestamp.
    pub(super) reuses_timestamps: bool,
    /// Whether the issuer approves without a usable response; else it declines.
    pub(super) approves_without_us: bool,
    /// The recorded outcome of a recorded purchase.
    pub(super) past: Option<PastOutcome>,
}

/// The recorded outcome of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PastOutcome {
    /// Line in the recorded file.
    pub(super) line: usize,
    pub(super) was_approved: bool,
}

/// One move. It is skipped when it has become impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StormMove {
    /// Index of the slot on a story's clock.
    pub(super) slot: usize,
    /// Index into the script's lives.
    pub(super) life: usize,
    pub(super) act: StormAction,
    pub(super) mode: DeliveryMode,
    /// Whether it is sent concurrently with the next move.
    pub(super) is_with_next: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StormAction {
    /// Authorisation request, or an increment of an open hold.
    Ask(RequestAmount),
    /// The issuer declines without a request, and reports it.
    Refuse(i64),
    /// The issuer reports the outcome of the request.
    Confirm,
    /// Lowers the hold by this amount.
    Lower(i64),
    /// Raises the hold to the final amount of an estimate.
    Finalise(i64),
    Reverse,
    /// Restores a reversed hold without a request.
    Revive(i64),
    Expire,
    Close,
    Capture(AmountShare),
    /// Capture of what was declined, has expired or was never requested, linked to the purchase or
    /// not.
    Force(i64),
    ForceUnlinked(i64),
    Refund(AmountShare),
    RefundUnlinked(i64),
    /// Full refund in the shop's own currency, which is this much more in the card's now.
    RefundAtAnotherRate(i64),
    /// Refund of half, which the issuer links to that other life.
    RefundMislinked(usize),
    /// The issuer approves without a request, and reports it later.
    StandIn(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestAmount {
    Exactly(i64),
    /// Six tenths of the person's money for this shop: enough for one purchase, not for two.
    MostOfBalance,
}

/// How a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryMode {
    Plain,
    /// Twice, the second time after the first response.
    Again,
    /// Twice concurrently.
    Twice,
    /// Requests only: the response is lost.
    AnswerLost,
    /// Requests only: the connection closes after this many milliseconds, before the response.
    BrokenOff(u64),
    /// Events only: sent after this many further moves of the person.
    Late(usize),
    /// Events only: sent now, and again after this many further moves.
    AgainLater(usize),
    /// Events only: never sent.
    Never,
}

impl StormPlan {
    /// Plans `purchases` purchases for the people who have a card on a connection.
    ///
    /// # Errors
    /// When nobody has one.
    pub(super) fn new(programme: &Programme, seed: u64, purchases: usize) -> anyhow::Result<Self> {
        programme.check_prices()?;
        let mut rng = StdRng::seed_from_u64(seed);
        let shoppers: Vec<_> = (0..programme.people.len())
            .filter(|index| !cards(programme, *index).is_empty())
            .collect();
        if shoppers.is_empty() {
            bail!("nobody in the programme has a card on a connection of Stripe's");
        }
        let mut counts = vec![purchases / shoppers.len(); shoppers.len()];
        for count in counts.iter_mut().take(purchases % shoppers.len()) {
            *count += 1;
        }
        let mut next = 0;
        let mut scripts = Vec::with_capacity(shoppers.len());
        for (person, count) in shoppers.into_iter().zip(counts) {
            let mut builder = ScriptBuilder::new(programme, person, &mut rng);
            builder.plan_lives(next..next + count);
            next += count;
            scripts.push(builder.finish());
        }
        assign_turns(&mut scripts, &mut rng);
        Ok(Self { scripts, purchases })
    }
}

impl StormPlan {
    /// Requests recorded purchases again in their recorded order. An approved purchase is captured
    /// at once; a refund comes at its recorded place.
    pub(super) fn of_past(rows: Vec<RecordedPurchase>) -> Self {
        let mut scripts: BTreeMap<usize, PersonScript> = BTreeMap::new();
        // Index of each row's purchase in its person's script.
        let mut places: Vec<usize> = Vec::with_capacity(rows.len());
        let mut purchases = 0;
        for row in rows {
            let person = row.person;
            let script = scripts.entry(person).or_insert_with(|| PersonScript {
                person,
                lives: Vec::new(),
                moves: Vec::new(),
            });
            let amount = row.amount_minor;
            let of = match row.outcome {
                RecordedOutcome::Refunded(Some(of)) => places.get(of).copied(),
                RecordedOutcome::Refunded(None)
                | RecordedOutcome::Approved
                | RecordedOutcome::Declined => None,
            };
            let life = of.unwrap_or(script.lives.len());
            places.push(life);
            let acts: &[StormAction] = match row.outcome {
                RecordedOutcome::Refunded(_) if of.is_some() => {
                    &[StormAction::Refund(AmountShare::Exactly(amount))]
                }
                RecordedOutcome::Refunded(_) => &[StormAction::RefundUnlinked(amount)],
                RecordedOutcome::Approved | RecordedOutcome::Declined => {
                    let ask = StormAction::Ask(RequestAmount::Exactly(amount));
                    &[
                        ask,
                        StormAction::Confirm,
                        StormAction::Capture(AmountShare::All),
                        StormAction::Close,
                    ]
                }
            };
            if of.is_none() {
                let was_approved = row.outcome == RecordedOutcome::Approved;
                let past = Some(PastOutcome { line: row.line, was_approved });
                script.lives.push(PurchaseLife {
                    past,
                    ..PurchaseLife::recorded(purchases, row.card, row.shop)
                });
                purchases += 1;
            }
            for act in acts.iter().copied() {
                let (slot, mode, is_with_next) = (0, DeliveryMode::Plain, false);
                script.moves.push(StormMove { slot, life, act, mode, is_with_next });
            }
        }
        Self { scripts: scripts.into_values().collect(), purchases }
    }
}

impl PurchaseLife {
    fn recorded(number: usize, card: Card, shop: &'static Shop) -> Self {
        Self {
            number,
            turn: number,
            story: "recorded",
            card,
            shop,
            is_amount_controllable: false,
            foreign_currency: None,
            fee_minor: 0,
            reuses_timestamps: false,
            approves_without_us: false,
            past: None,
        }
    }
}

/// Interleaves the purchases of all people, and keeps each person's own order.
fn assign_turns(scripts: &mut [PersonScript], rng: &mut StdRng) {
    let mut turns: Vec<(usize, u32, usize, usize)> = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let mut begun = vec![false; script.lives.len()];
        for (position, life) in script.moves.iter().map(|planned| planned.life).enumerate() {
            if begun.get_mut(life).is_some_and(|begun| !std::mem::replace(begun, true)) {
                turns.push((position, rng.random(), index, life));
            }
        }
    }
    turns.sort_unstable();
    for (turn, (_, _, index, life)) in turns.into_iter().enumerate() {
        let life = scripts.get_mut(index).and_then(|script| script.lives.get_mut(life));
        if let Some(life) = life {
            life.turn = turn;
        }
    }
}

fn cards(programme: &Programme, person: usize) -> Vec<&Card> {
    let cards = programme.people.get(person).map_or(&[][..], |person| &person.card);
    cards.iter().filter(|card| programme.connection(&card.connection).is_some()).collect()
}

/// Builds the script of one person.
pub(super) struct ScriptBuilder<'a> {
    cards: Vec<&'a Card>,
    rng: &'a mut StdRng,
    script: PersonScript,
    /// Moves with the slot and the tick that order them.
    timed_moves: Vec<(usize, u32, StormMove)>,
    /// Position of the life being planned.
    slot: usize,
    tick: u32,
}

impl<'a> ScriptBuilder<'a> {
    fn new(programme: &'a Programme, person: usize, rng: &'a mut StdRng) -> Self {
        Self {
            cards: cards(programme, person),
            rng,
            script: PersonScript { person, lives: Vec::new(), moves: Vec::new() },
            timed_moves: Vec::new(),
            slot: 0,
            tick: 0,
        }
    }

    fn plan_lives(&mut self, mut numbers: std::ops::Range<usize>) {
        while let Some(number) = numbers.next() {
            self.begin();
            if lives::plan_life(self, number, !numbers.is_empty()) == PurchaseCount::Two {
                numbers.next();
            }
        }
    }

    fn finish(mut self) -> PersonScript {
        self.timed_moves.sort_by_key(|(slot, tick, _)| (*slot, *tick));
        self.script.moves = self.timed_moves.into_iter().map(|(_, _, planned)| planned).collect();
        self.script
    }

    fn begin(&mut self) {
        self.slot = self.rng.random_range(0..SLOTS);
        self.tick = self.rng.random();
    }

    /// Begins a purchase at the shop, nearly always with an active card.
    pub(super) fn life(
        &mut self,
        number: usize,
        story: &'static str,
        shop: &'static Shop,
    ) -> usize {
        let card = self.card();
        let (is_amount_controllable, approves_without_us) = (self.one_in(3), self.one_in(2));
        self.script.lives.push(PurchaseLife {
            number,
            turn: 0,
            story,
            card,
            shop,
            is_amount_controllable,
            foreign_currency: None,
            fee_minor: 0,
            reuses_timestamps: false,
            approves_without_us,
            past: None,
        });
        self.script.lives.len() - 1
    }

    pub(super) fn life_mut(&mut self, life: usize) -> Option<&mut PurchaseLife> {
        self.script.lives.get_mut(life)
    }

    /// One of the person's cards, nearly always an active one.
    fn card(&mut self) -> Card {
        let is_odd = self.one_in(40);
        let fitting = self.cards.iter().filter(|card| (card.state == CardState::Active) != is_odd);
        let fitting: Vec<_> = fitting.collect();
        let card = fitting.choose(self.rng).copied().or_else(|| self.cards.first());
        card.map_or_else(Card::unissued, |card| (*card).clone())
    }

    /// True with a probability of one in `of`.
    pub(super) fn one_in(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    /// An amount from `least` to `most`, both inclusive.
    pub(super) fn random_between(&mut self, least: i64, most: i64) -> i64 {
        self.rng.random_range(least..=most)
    }

    pub(super) fn pick<T: Copy>(&mut self, some: &[T]) -> Option<T> {
        some.choose(self.rng).copied()
    }

    /// Advances by up to `most` slots.
    pub(super) fn wait(&mut self, most: usize) {
        let slots = self.rng.random_range(0..=most);
        let later = (self.slot + slots).min(SLOTS - 1);
        if later > self.slot {
            (self.slot, self.tick) = (later, self.rng.random());
        }
    }

    pub(super) fn push_request(&mut self, life: usize, amount: RequestAmount) {
        let mode = match self.rng.random_range(0..100) {
            0..6 => DeliveryMode::Again,
            6..12 => DeliveryMode::Twice,
            12..16 => DeliveryMode::AnswerLost,
            16..20 => DeliveryMode::BrokenOff(self.rng.random_range(1..16)),
            _ => DeliveryMode::Plain,
        };
        self.push(life, StormAction::Ask(amount), mode);
    }

    pub(super) fn push_event(&mut self, life: usize, act: StormAction) {
        let moves = self.rng.random_range(1..8);
        let mode = match self.rng.random_range(0..100) {
            0..5 => DeliveryMode::Again,
            5..10 => DeliveryMode::Twice,
            10..20 => DeliveryMode::Late(moves),
            20..25 => DeliveryMode::AgainLater(moves),
            25..27 => DeliveryMode::Never,
            _ => DeliveryMode::Plain,
        };
        self.push(life, act, mode);
    }

    /// An event that is sent after some further moves of the person.
    pub(super) fn push_late_event(&mut self, life: usize, act: StormAction) {
        let moves = self.rng.random_range(2..9);
        self.push(life, act, DeliveryMode::Late(moves));
    }

    pub(super) fn push_plain_event(&mut self, life: usize, act: StormAction) {
        self.push(life, act, DeliveryMode::Plain);
    }

    fn push(&mut self, life: usize, act: StormAction, mode: DeliveryMode) {
        let is_with_next = self.one_in(6);
        self.push_move(StormMove { slot: self.slot, life, act, mode, is_with_next });
    }

    /// Two concurrent authorisation requests.
    pub(super) fn race(&mut self, one: usize, other: usize, amount: RequestAmount) {
        let (slot, act, mode) = (self.slot, StormAction::Ask(amount), DeliveryMode::Plain);
        self.timed_moves.push((
            slot,
            self.tick,
            StormMove { slot, life: one, act, mode, is_with_next: true },
        ));
        self.push_move(StormMove { slot, life: other, act, mode, is_with_next: false });
    }

    fn push_move(&mut self, planned: StormMove) {
        self.timed_moves.push((self.slot, self.tick, planned));
        // Leaves room for moves of other purchases in between.
        let room = (u32::MAX - self.tick) / 4;
        self.tick += self.rng.random_range(0..=room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> StormPlan {
        let text = include_str!("../../../merchant-rules/demo.toml");
        StormPlan::new(&Programme::read(text).unwrap(), seed, 900).unwrap()
    }

    #[test]
    fn the_same_seed_plans_the_same_storm_and_another_does_not() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_purchase_has_a_number_and_a_turn_of_its_own() {
        let plan = plan(1);
        let of = |what: fn(&PurchaseLife) -> usize| {
            let lives = plan.scripts.iter().flat_map(|script| &script.lives);
            lives.map(what).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(of(|life| life.number), (0..900).collect());
        assert_eq!(of(|life| life.turn), (0..900).collect());
    }

    #[test]
    fn time_only_passes_forwards() {
        for script in plan(1).scripts {
            assert!(script.moves.is_sorted_by_key(|planned| planned.slot));
        }
    }

    #[test]
    fn every_life_is_lived() {
        let lives: std::collections::BTreeSet<_> =
            plan(1).scripts.iter().flat_map(|s| &s.lives).map(|life| life.story).collect();
        assert_eq!(lives.len(), lives::STORIES, "{lives:?}");
    }
}
