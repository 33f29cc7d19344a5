//! The simulator's own books: every pot's money after every message.
//!
//! Deliberately plainer than a ledger. There are no postings: each pot has three running sums, and
//! each purchase remembers what it drew from which pot.
//!
//! Where the contract leaves a choice, the books take one and the stories keep away from the other:
//! an over-capture and a charge without an authorisation do not count towards limits, and a refund
//! does not give anything back to them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::tz::TimeZone;

use crate::{
    programme::{Programme, Term},
    shops::Shop,
};

/// All that must be true of one programme.
#[derive(Debug, Clone)]
pub struct Books {
    pub programme: String,
    pub currency: String,
    pub people: Vec<PersonBook>,
    /// What merchants were paid above all that the pots held.
    pub exposure_minor: i64,
    /// Money back that belongs to no purchase.
    pub suspense_minor: i64,
    pub(crate) zone: TimeZone,
    pub(crate) country: String,
    pub(crate) purchases: BTreeMap<usize, Purchase>,
}

#[derive(Debug, Clone)]
pub struct PersonBook {
    pub person: String,
    pub pots: Vec<PotBook>,
    pub(crate) terms: Vec<Term>,
    pub(crate) is_partial_agreed: bool,
}

#[derive(Debug, Clone)]
pub struct PotBook {
    pub pot: String,
    pub name: String,
    pub allocated_minor: i64,
    pub loaded_minor: i64,
    pub held_minor: i64,
    pub spent_minor: i64,
    pub(crate) is_emergency: bool,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) never: Vec<String>,
}

/// One purchase, under the number that the plan gave it.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    /// Index into `people`.
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    /// In the order in which the pots were drawn.
    pub(crate) draws: Vec<Draw>,
    /// What was approved, when; lowered when money is released.
    pub(crate) counted: Vec<Counted>,
    over_minor: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Draw {
    /// Index into the person's `pots`.
    pub(crate) pot: usize,
    pub(crate) held_minor: i64,
    pub(crate) spent_minor: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) amount_minor: i64,
}

impl PotBook {
    pub fn left_minor(&self) -> i64 {
        self.loaded_minor - self.held_minor - self.spent_minor
    }

    /// The law of the money: what the stream may never buy.
    pub(crate) fn is_barred(&self, category: &str) -> bool {
        self.never.iter().any(|never| never == category)
    }

    fn is_for(&self, category: &str) -> bool {
        !self.is_barred(category)
            && self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == category))
    }
}

impl Purchase {
    pub(crate) fn held_minor(&self) -> i64 {
        self.draws.iter().map(|draw| draw.held_minor).sum()
    }

    pub(crate) fn counted_minor(&self) -> i64 {
        self.counted.iter().map(|counted| counted.amount_minor).sum()
    }
}

impl Books {
    /// The books of a fresh gateway: what the file loads, and nothing else.
    ///
    /// # Errors
    /// When a pot names a stream that the file does not have.
    pub fn open(programme: &Programme) -> anyhow::Result<Self> {
        let people = programme.people.iter().map(|person| {
            let pots = person.pot.iter().map(|pot| {
                let never = programme
                    .never
                    .get(&pot.stream)
                    .with_context(|| format!("pot {} has no stream {}", pot.id, pot.stream))?;
                Ok(PotBook {
                    pot: pot.id.clone(),
                    name: pot.name.clone(),
                    allocated_minor: pot.allocated.0,
                    loaded_minor: pot.loads.iter().map(|load| load.amount.0).sum(),
                    held_minor: 0,
                    spent_minor: 0,
                    is_emergency: pot.emergency,
                    only: pot.only.clone(),
                    never: never.clone(),
                })
            });
            let agreement = person.agreement.as_ref();
            Ok(PersonBook {
                person: person.id.clone(),
                pots: pots.collect::<anyhow::Result<_>>()?,
                terms: agreement.map_or(&programme.start, |agreement| &agreement.term).clone(),
                is_partial_agreed: agreement.is_some_and(|agreement| agreement.partial),
            })
        });
        Ok(Self {
            programme: programme.id.clone(),
            currency: programme.currency.clone(),
            people: people.collect::<anyhow::Result<_>>()?,
            exposure_minor: 0,
            suspense_minor: 0,
            zone: programme.zone.clone(),
            country: programme.country.clone(),
            purchases: BTreeMap::new(),
        })
    }

    /// Which pots would pay, in order: ordinary pots first, and emergency pots only when those
    /// cannot cover it. Covers less than `amount_minor` when there is less.
    pub(crate) fn cover(
        &self,
        person: usize,
        category: &str,
        amount_minor: i64,
    ) -> Vec<(usize, i64)> {
        let Some(person) = self.people.get(person) else { return Vec::new() };
        let mut rest = amount_minor;
        let mut parts = Vec::new();
        for wants_emergency in [false, true] {
            for (index, pot) in person.pots.iter().enumerate() {
                let part = pot.left_minor().min(rest);
                if pot.is_emergency == wants_emergency && pot.is_for(category) && part > 0 {
                    parts.push((index, part));
                    rest -= part;
                }
            }
        }
        parts
    }

    /// Money is kept aside for an approved request, or for an approved increment of one.
    pub(crate) fn hold(
        &mut self,
        number: usize,
        person: usize,
        shop: &'static Shop,
        amount_minor: i64,
        at: i64,
    ) {
        let parts = self.cover(person, shop.category, amount_minor);
        self.purchase_entry(number, person, shop).counted.push(Counted { at, amount_minor });
        for (pot, part) in parts {
            self.shift(number, pot, part, 0);
        }
    }

    /// The merchant claims money: from the hold, then the same pots, then other pots, then exposure.
    pub(crate) fn capture(&mut self, number: usize, amount_minor: i64) {
        let Some(purchase) = self.purchases.get(&number) else { return };
        let (person, category) = (purchase.person, purchase.shop.category);
        let drawn = purchase.draws.clone();
        let mut rest = amount_minor;
        for draw in &drawn {
            let part = draw.held_minor.min(rest);
            self.shift(number, draw.pot, -part, part);
            rest -= part;
        }
        for draw in &drawn {
            let part = self.left_minor(person, draw.pot).min(rest);
            self.shift(number, draw.pot, 0, part);
            rest -= part;
        }
        for (pot, part) in self.cover(person, category, rest) {
            self.shift(number, pot, 0, part);
            rest -= part;
        }
        self.exposure_minor += rest;
        if let Some(purchase) = self.purchases.get_mut(&number) {
            purchase.over_minor += rest;
        }
    }

    /// A charge that nobody was asked about: paid like an over-capture with no hold.
    pub(crate) fn force(
        &mut self,
        number: usize,
        person: usize,
        shop: &'static Shop,
        amount_minor: i64,
    ) {
        self.purchase_entry(number, person, shop);
        self.capture(number, amount_minor);
    }

    /// Lowers the hold to `to_minor`; 0 gives all of it back. What is released stops counting.
    pub(crate) fn lower(&mut self, number: usize, to_minor: i64) {
        let Some(purchase) = self.purchases.get_mut(&number) else { return };
        let mut released = (purchase.held_minor() - to_minor).max(0);
        let mut uncount = released;
        for counted in purchase.counted.iter_mut().rev() {
            let part = counted.amount_minor.min(uncount);
            counted.amount_minor -= part;
            uncount -= part;
        }
        for draw in purchase.draws.clone().iter().rev() {
            let part = draw.held_minor.min(released);
            self.shift(number, draw.pot, -part, 0);
            released -= part;
        }
    }

    /// Money back to the pots it came from, last drawn first; what no capture explains waits in
    /// suspense.
    pub(crate) fn refund(&mut self, number: usize, amount_minor: i64) {
        let mut rest = amount_minor;
        if let Some(purchase) = self.purchases.get_mut(&number) {
            let part = purchase.over_minor.min(rest);
            purchase.over_minor -= part;
            self.exposure_minor -= part;
            rest -= part;
            for draw in purchase.draws.clone().iter().rev() {
                let part = draw.spent_minor.min(rest);
                self.shift(number, draw.pot, 0, -part);
                rest -= part;
            }
        }
        self.suspense_minor += rest;
    }

    /// What the purchase holds or has spent, pot by pot, in words: "£40.00 from pets, …".
    pub(crate) fn parts(&self, number: usize) -> Vec<(String, i64)> {
        let Some(purchase) = self.purchases.get(&number) else { return Vec::new() };
        let pots = self.people.get(purchase.person).map_or(&[][..], |person| &person.pots);
        purchase
            .draws
            .iter()
            .map(|draw| (draw, draw.held_minor + draw.spent_minor))
            .filter(|(_, amount_minor)| *amount_minor > 0)
            .filter_map(|(draw, amount)| Some((pots.get(draw.pot)?.name.clone(), amount)))
            .collect()
    }

    fn left_minor(&self, person: usize, pot: usize) -> i64 {
        let pots = self.people.get(person).map(|person| &person.pots);
        pots.and_then(|pots| pots.get(pot)).map_or(0, PotBook::left_minor)
    }

    fn purchase_entry(
        &mut self,
        number: usize,
        person: usize,
        shop: &'static Shop,
    ) -> &mut Purchase {
        self.purchases.entry(number).or_insert_with(|| Purchase {
            person,
            shop,
            draws: Vec::new(),
            counted: Vec::new(),
            over_minor: 0,
        })
    }

    /// The one place that moves money: the pot and the purchase's draw change together.
    fn shift(&mut self, number: usize, pot: usize, held: i64, spent: i64) {
        let Some(purchase) = self.purchases.get_mut(&number) else { return };
        let pots = self.people.get_mut(purchase.person).map(|person| &mut person.pots);
        let Some(book) = pots.and_then(|pots| pots.get_mut(pot)) else { return };
        if held == 0 && spent == 0 {
            return;
        }
        book.held_minor += held;
        book.spent_minor += spent;
        if let Some(draw) = purchase.draws.iter_mut().find(|draw| draw.pot == pot) {
            draw.held_minor += held;
            draw.spent_minor += spent;
        } else {
            purchase.draws.push(Draw { pot, held_minor: held, spent_minor: spent });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shops;

    const DEE: usize = 0;
    const ANA: usize = 2;

    fn demo() -> Books {
        let text = include_str!("../../merchant-rules/demo.toml");
        Books::open(&Programme::read(text).unwrap()).unwrap()
    }

    /// (held, spent, left) of each of the person's pots.
    fn pots(books: &Books, person: usize) -> Vec<(i64, i64, i64)> {
        let pots = &books.people[person].pots;
        pots.iter().map(|pot| (pot.held_minor, pot.spent_minor, pot.left_minor())).collect()
    }

    #[test]
    fn a_vet_is_paid_from_two_pots_in_order() {
        let mut books = demo();
        books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
        assert_eq!(books.parts(1), [("pets".to_owned(), 40_00), ("your week".to_owned(), 8_00)]);
        books.capture(1, 48_00);
        assert_eq!(pots(&books, DEE)[0], (0, 40_00, 0));
        assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
    }

    #[test]
    fn half_a_refund_fills_the_pot_that_was_drawn_last_first() {
        let mut books = demo();
        books.hold(1, DEE, &shops::VETS[0], 48_00, 0);
        books.capture(1, 48_00);
        books.refund(1, 24_00);
        assert_eq!(pots(&books, DEE)[0], (0, 24_00, 16_00));
        assert_eq!(pots(&books, DEE)[2], (0, 0, 63_90));
        books.refund(1, 30_00);
        assert_eq!(books.suspense_minor, 6_00, "only 24.00 was left to refund");
    }

    #[test]
    fn an_over_capture_takes_the_pot_then_exposure() {
        let mut books = demo();
        books.hold(1, ANA, &shops::CAFES[0], 44_00, 0);
        books.capture(1, 46_50);
        assert_eq!(pots(&books, ANA), [(0, 45_00, 0)]);
        assert_eq!(books.exposure_minor, 1_50);
    }

    #[test]
    fn emergency_money_is_the_last_and_only_for_its_categories() {
        let mut books = demo();
        assert_eq!(books.cover(DEE, "food", 63_90), [(2, 63_90)]);
        assert_eq!(books.cover(DEE, "food", 70_00), [(2, 63_90), (3, 6_10)]);
        assert_eq!(books.cover(DEE, "clothes", 70_00), [(2, 63_90)]);
        books.hold(1, DEE, &shops::NEWSAGENTS[0], 70_00, 0);
        assert_eq!(pots(&books, DEE)[3], (6_10, 0, 13_90));
    }

    #[test]
    fn a_released_rest_stops_counting_and_a_late_capture_still_pays() {
        let mut books = demo();
        books.hold(1, DEE, &shops::NEWSAGENTS[0], 9_00, 0);
        books.capture(1, 7_00);
        books.lower(1, 0);
        assert_eq!(pots(&books, DEE)[2], (0, 7_00, 56_90));
        assert_eq!(books.purchases[&1].counted_minor(), 7_00);
        books.capture(1, 1_00);
        assert_eq!(pots(&books, DEE)[2], (0, 8_00, 55_90));
    }

    #[test]
    fn a_charge_nobody_was_asked_about_is_paid() {
        let mut books = demo();
        books.force(1, ANA, &shops::BUS, 2_40);
        assert_eq!(pots(&books, ANA), [(0, 2_40, 42_60)]);
    }
}
