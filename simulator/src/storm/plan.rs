//! The plan of a storm, made from the seed alone: who buys what, and how the messages about it
//! travel. What is answered is not in it, so what can happen is found out on the way.

use std::collections::BTreeMap;

use anyhow::bail;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::lives::{self, Numbers};
use crate::{
    issuers::{file::Share, stripe::Foreign},
    programme::{Card, CardState, Programme},
    recorded::{Outcome, Recorded},
    shops::Shop,
};

/// The local times of day at which a storm on a story's clock lets things happen: around midnight,
/// and spread over the day, so that no other zone's days are the same days.
pub(super) const TIMES_OF_DAY: [(i8, i8); 5] = [(0, 4), (9, 30), (13, 15), (18, 45), (23, 56)];
/// How many local days a storm lasts on a story's clock.
pub(super) const DAYS: usize = 4;
/// All moments at which things happen.
pub(super) const SLOTS: usize = TIMES_OF_DAY.len() * DAYS;

/// Everything that is going to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) scripts: Vec<Script>,
    pub(super) purchases: usize,
}

/// What happens to one person, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// Index into the programme's people.
    pub(super) person: usize,
    pub(super) lives: Vec<Life>,
    pub(super) moves: Vec<Move>,
}

/// One purchase, from the till to its last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    /// Its number among all purchases of the storm.
    pub(super) number: usize,
    /// Its place in the order in which purchases are to begin, at a rate.
    pub(super) turn: usize,
    /// What kind of life it is, in words.
    pub(super) story: &'static str,
    pub(super) card: Card,
    pub(super) shop: &'static Shop,
    pub(super) is_amount_controllable: bool,
    pub(super) priced_in: Option<Foreign>,
    /// What of it a cash machine takes for itself.
    pub(super) fee_minor: i64,
    /// Whether the issuer makes several snapshots of it in one second.
    pub(super) is_hasty: bool,
    /// What the issuer does when no answer comes: approve without us, or decline.
    pub(super) approves_without_us: bool,
    /// What came of it in the past, if it is one of the past.
    pub(super) past: Option<Before>,
}

/// What came of a purchase of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    /// Where it was recorded.
    pub(super) line: usize,
    pub(super) was_approved: bool,
}

/// One thing that happens, if it still can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// Index into the moments of a story's clock.
    pub(super) slot: usize,
    /// Index into the script's lives.
    pub(super) life: usize,
    pub(super) act: Act,
    pub(super) way: Way,
    /// Whether it is sent at the same time as the next one.
    pub(super) is_with_next: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// May this be spent, or this much more?
    Ask(Amount),
    /// The issuer refuses by itself, and tells.
    Refuse(i64),
    /// What the issuer made of our answer.
    Confirm,
    /// The shop keeps this much less aside.
    Lower(i64),
    /// The final amount of an estimate.
    Finalise(i64),
    Reverse,
    /// What was given back is kept aside again, unasked.
    Revive(i64),
    Expire,
    Close,
    Capture(Share),
    /// A claim of what was refused, or expired, or never asked about: on the purchase, or not.
    Force(i64),
    ForceUnlinked(i64),
    Refund(Share),
    RefundUnlinked(i64),
    /// All of it in the shop's own currency, which is this much more now.
    RefundAtAnotherRate(i64),
    /// Half of it, and the issuer takes it for money back for that other life.
    RefundMisfit(usize),
    /// The issuer approves by itself, and tells later.
    StandIn(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Exactly(i64),
    /// Six tenths of all that the person has for this shop: money for one, and not for two.
    MostOfAll,
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// Twice, the second after the first was answered.
    Again,
    /// Twice at once.
    Twice,
    /// A question: its answer gets lost.
    AnswerLost,
    /// A question: the connection breaks off while it is decided, after so many milliseconds.
    BrokenOff(u64),
    /// An event: told only after so many further moves of the person.
    Late(usize),
    /// An event: told now, and once more after so many further moves.
    AgainLater(usize),
    /// An event: never told.
    Never,
}

impl Plan {
    /// Plans `purchases` for the people of the programme who have a card on a connection.
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
            let mut teller = Teller::new(programme, person, &mut rng);
            teller.tell(next..next + count);
            next += count;
            scripts.push(teller.finish());
        }
        give_turns(&mut scripts, &mut rng);
        Ok(Self { scripts, purchases })
    }
}

impl Plan {
    /// Asks about recorded purchases again, in the order in which they were made. What is approved
    /// is claimed at once, and money back comes when it came then.
    pub(super) fn of_past(rows: Vec<Recorded>) -> Self {
        let mut scripts: BTreeMap<usize, Script> = BTreeMap::new();
        // Where each row's purchase stands in its person's script.
        let mut places: Vec<usize> = Vec::with_capacity(rows.len());
        let mut purchases = 0;
        for row in rows {
            let person = row.person;
            let script = scripts.entry(person).or_insert_with(|| Script {
                person,
                lives: Vec::new(),
                moves: Vec::new(),
            });
            let amount = row.amount_minor;
            let of = match row.outcome {
                Outcome::Refunded(Some(of)) => places.get(of).copied(),
                Outcome::Refunded(None) | Outcome::Approved | Outcome::Declined => None,
            };
            let life = of.unwrap_or(script.lives.len());
            places.push(life);
            let acts: &[Act] = match row.outcome {
                Outcome::Refunded(_) if of.is_some() => &[Act::Refund(Share::Exactly(amount))],
                Outcome::Refunded(_) => &[Act::RefundUnlinked(amount)],
                Outcome::Approved | Outcome::Declined => {
                    let ask = Act::Ask(Amount::Exactly(amount));
                    &[ask, Act::Confirm, Act::Capture(Share::All), Act::Close]
                }
            };
            if of.is_none() {
                let was_approved = row.outcome == Outcome::Approved;
                let past = Some(Before { line: row.line, was_approved });
                script.lives.push(Life { past, ..Life::recorded(purchases, row.card, row.shop) });
                purchases += 1;
            }
            for act in acts.iter().copied() {
                let (slot, way, is_with_next) = (0, Way::Plain, false);
                script.moves.push(Move { slot, life, act, way, is_with_next });
            }
        }
        Self { scripts: scripts.into_values().collect(), purchases }
    }
}

impl Life {
    fn recorded(number: usize, card: Card, shop: &'static Shop) -> Self {
        Self {
            number,
            turn: number,
            story: "recorded",
            card,
            shop,
            is_amount_controllable: false,
            priced_in: None,
            fee_minor: 0,
            is_hasty: false,
            approves_without_us: false,
            past: None,
        }
    }
}

/// Shuffles the purchases of all people into one order, each person's own order kept.
fn give_turns(scripts: &mut [Script], rng: &mut StdRng) {
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

/// Tells the lives of one person's purchases.
pub(super) struct Teller<'a> {
    cards: Vec<&'a Card>,
    rng: &'a mut StdRng,
    script: Script,
    /// Moves with the place in time that they were given.
    told: Vec<(usize, u32, Move)>,
    /// Where the life that is being told stands.
    slot: usize,
    tick: u32,
}

impl<'a> Teller<'a> {
    fn new(programme: &'a Programme, person: usize, rng: &'a mut StdRng) -> Self {
        Self {
            cards: cards(programme, person),
            rng,
            script: Script { person, lives: Vec::new(), moves: Vec::new() },
            told: Vec::new(),
            slot: 0,
            tick: 0,
        }
    }

    fn tell(&mut self, mut numbers: std::ops::Range<usize>) {
        while let Some(number) = numbers.next() {
            self.begin();
            if lives::tell(self, number, !numbers.is_empty()) == Numbers::Two {
                numbers.next();
            }
        }
    }

    fn finish(mut self) -> Script {
        self.told.sort_by_key(|(slot, tick, _)| (*slot, *tick));
        self.script.moves = self.told.into_iter().map(|(_, _, planned)| planned).collect();
        self.script
    }

    fn begin(&mut self) {
        self.slot = self.rng.random_range(0..SLOTS);
        self.tick = self.rng.random();
    }

    /// Begins a purchase at that shop with a card that works, or with any.
    pub(super) fn life(
        &mut self,
        number: usize,
        story: &'static str,
        shop: &'static Shop,
    ) -> usize {
        let card = self.card();
        let (is_amount_controllable, approves_without_us) = (self.chance(3), self.chance(2));
        self.script.lives.push(Life {
            number,
            turn: 0,
            story,
            card,
            shop,
            is_amount_controllable,
            priced_in: None,
            fee_minor: 0,
            is_hasty: false,
            approves_without_us,
            past: None,
        });
        self.script.lives.len() - 1
    }

    pub(super) fn life_mut(&mut self, life: usize) -> Option<&mut Life> {
        self.script.lives.get_mut(life)
    }

    /// One of the person's cards: one that works, nearly always.
    fn card(&mut self) -> Card {
        let is_odd = self.chance(40);
        let fitting = self.cards.iter().filter(|card| (card.state == CardState::Active) != is_odd);
        let fitting: Vec<_> = fitting.collect();
        let card = fitting.choose(self.rng).copied().or_else(|| self.cards.first());
        card.map_or_else(Card::of_nobody, |card| (*card).clone())
    }

    /// One in so many.
    pub(super) fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    /// An amount between the two, both included.
    pub(super) fn pence(&mut self, least: i64, most: i64) -> i64 {
        self.rng.random_range(least..=most)
    }

    pub(super) fn pick<T: Copy>(&mut self, some: &[T]) -> Option<T> {
        some.choose(self.rng).copied()
    }

    /// Lets up to so many moments pass.
    pub(super) fn wait(&mut self, most: usize) {
        let slots = self.rng.random_range(0..=most);
        let later = (self.slot + slots).min(SLOTS - 1);
        if later > self.slot {
            (self.slot, self.tick) = (later, self.rng.random());
        }
    }

    pub(super) fn ask(&mut self, life: usize, amount: Amount) {
        let way = match self.rng.random_range(0..100) {
            0..6 => Way::Again,
            6..12 => Way::Twice,
            12..16 => Way::AnswerLost,
            16..20 => Way::BrokenOff(self.rng.random_range(1..16)),
            _ => Way::Plain,
        };
        self.push(life, Act::Ask(amount), way);
    }

    pub(super) fn say(&mut self, life: usize, act: Act) {
        let moves = self.rng.random_range(1..8);
        let way = match self.rng.random_range(0..100) {
            0..5 => Way::Again,
            5..10 => Way::Twice,
            10..20 => Way::Late(moves),
            20..25 => Way::AgainLater(moves),
            25..27 => Way::Never,
            _ => Way::Plain,
        };
        self.push(life, act, way);
    }

    /// Told only when the person has done other things.
    pub(super) fn say_late(&mut self, life: usize, act: Act) {
        let moves = self.rng.random_range(2..9);
        self.push(life, act, Way::Late(moves));
    }

    pub(super) fn say_plainly(&mut self, life: usize, act: Act) {
        self.push(life, act, Way::Plain);
    }

    fn push(&mut self, life: usize, act: Act, way: Way) {
        let is_with_next = self.chance(6);
        self.push_move(Move { slot: self.slot, life, act, way, is_with_next });
    }

    /// Two questions at the very same time.
    pub(super) fn race(&mut self, one: usize, other: usize, amount: Amount) {
        let (slot, act, way) = (self.slot, Act::Ask(amount), Way::Plain);
        self.told.push((slot, self.tick, Move { slot, life: one, act, way, is_with_next: true }));
        self.push_move(Move { slot, life: other, act, way, is_with_next: false });
    }

    fn push_move(&mut self, planned: Move) {
        self.told.push((self.slot, self.tick, planned));
        // Room for what happens to other purchases in between.
        let room = (u32::MAX - self.tick) / 4;
        self.tick += self.rng.random_range(0..=room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        let text = include_str!("../../../merchant-rules/demo.toml");
        Plan::new(&Programme::read(text).unwrap(), seed, 900).unwrap()
    }

    #[test]
    fn the_same_seed_plans_the_same_storm_and_another_does_not() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_purchase_has_a_number_and_a_turn_of_its_own() {
        let plan = plan(1);
        let of = |what: fn(&Life) -> usize| {
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
