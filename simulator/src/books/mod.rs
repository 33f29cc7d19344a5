//! The simulator's own books: every pot's money after every message.
//!
//! Deliberately plainer than a ledger. There are no postings: each pot has three running sums, and
//! each purchase remembers what it drew from which pot, what was said about it, and on which local
//! day it counts.

mod purchase;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::{
    programme::{Person, Programme, Term},
    shops::{Shop, Till},
};

pub(crate) use purchase::{Draw, Promise, Purchase, Word};

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
    margin_percent: i64,
    /// The purchases that shops price in another currency.
    foreign: BTreeSet<usize>,
    /// Shared, because a storm keeps several books that differ in little.
    pub(crate) purchases: BTreeMap<usize, Arc<Purchase>>,
    /// What may be bought once although the list says otherwise.
    allowed: Vec<Allowed>,
}

/// One purchase that was agreed apart from the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    pub(crate) most_minor: i64,
    pub(crate) is_used: bool,
}

impl Allowed {
    fn is_at(&self, person: usize, shop: &Shop) -> bool {
        self.person == person && self.shop.descriptor == shop.descriptor
    }

    fn pays(&self, person: usize, shop: &Shop, amount_minor: i64) -> bool {
        !self.is_used && self.is_at(person, shop) && amount_minor <= self.most_minor
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonBook {
    pub person: String,
    pub pots: Vec<PotBook>,
    pub(crate) terms: Arc<Vec<Term>>,
    pub(crate) is_partial_agreed: bool,
    /// Whether they have stopped their cards themselves.
    pub(crate) is_frozen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotBook {
    pub pot: Arc<str>,
    pub name: Arc<str>,
    pub allocated_minor: i64,
    pub loaded_minor: i64,
    pub held_minor: i64,
    pub spent_minor: i64,
    pub(crate) is_emergency: bool,
    pub(crate) only: Option<Arc<Vec<String>>>,
    pub(crate) never: Arc<Vec<String>>,
}

impl PotBook {
    pub fn left_minor(&self) -> i64 {
        self.loaded_minor - self.held_minor - self.spent_minor
    }

    /// The law of the money: what the stream may never buy.
    pub(crate) fn is_barred(&self, category: &str) -> bool {
        self.never.iter().any(|never| never == category)
    }

    /// Whether the pot was agreed for the category, whatever the law says.
    pub(crate) fn is_agreed_for(&self, category: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == category))
    }

    fn is_for(&self, category: &str) -> bool {
        !self.is_barred(category) && self.is_agreed_for(category)
    }
}

impl Books {
    /// The books of a fresh gateway: what the file loads, and nothing else.
    ///
    /// # Errors
    /// When a pot names a stream that the file does not have.
    pub fn open(programme: &Programme) -> anyhow::Result<Self> {
        Self::open_for(programme, &programme.people)
    }

    /// The books of some of the programme's people only, numbered as they are given.
    ///
    /// # Errors
    /// As [`Books::open`].
    pub(crate) fn open_for(programme: &Programme, people: &[Person]) -> anyhow::Result<Self> {
        let people = people.iter().map(|person| person_book(programme, person));
        Ok(Self {
            programme: programme.id.clone(),
            currency: programme.currency.clone(),
            people: people.collect::<anyhow::Result<_>>()?,
            exposure_minor: 0,
            suspense_minor: 0,
            zone: programme.zone.clone(),
            country: programme.country.clone(),
            margin_percent: programme.exchange_margin_percent,
            foreign: BTreeSet::new(),
            purchases: BTreeMap::new(),
            allowed: Vec::new(),
        })
    }

    /// The shop of this purchase prices in another currency, and every message about it tells so.
    pub(crate) fn price_abroad(&mut self, number: usize) {
        self.foreign.insert(number);
    }

    /// Two people agreed on one purchase.
    pub(crate) fn allow(&mut self, allowed: Allowed) {
        self.allowed.push(allowed);
    }

    /// Whether a purchase was agreed apart from the list, and was not made yet.
    pub(crate) fn is_allowed(&self, person: usize, shop: &Shop, amount_minor: i64) -> bool {
        self.allowed.iter().any(|allowed| allowed.pays(person, shop, amount_minor))
    }

    /// Whether one was agreed there, and was made.
    pub(crate) fn was_allowed(&self, person: usize, shop: &Shop) -> bool {
        self.allowed.iter().any(|allowed| allowed.is_used && allowed.is_at(person, shop))
    }

    /// The person stops their cards, or lets them pay again.
    pub(crate) fn freeze(&mut self, person: usize, is_frozen: bool) {
        if let Some(person) = self.people.get_mut(person) {
            person.is_frozen = is_frozen;
        }
    }

    /// Whether everything that a later message can touch is the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.exposure_minor == other.exposure_minor
            && self.suspense_minor == other.suspense_minor
            && self.people == other.people
            && self.purchases == other.purchases
    }

    /// Which pots would pay, in order: ordinary pots first, and emergency pots only when those
    /// cannot cover it. Covers less than `amount_minor` when there is less.
    pub(crate) fn cover(
        &self,
        person: usize,
        category: &str,
        amount_minor: i64,
    ) -> Vec<(usize, i64)> {
        let mut rest = amount_minor;
        let mut parts = Vec::new();
        for pot in self.eligible(person, category) {
            let part = self.left_minor(person, pot).min(rest);
            if part > 0 {
                parts.push((pot, part));
                rest -= part;
            }
        }
        parts
    }

    /// The pots that may pay for the category, in the order in which they do.
    fn eligible(&self, person: usize, category: &str) -> Vec<usize> {
        let Some(person) = self.people.get(person) else { return Vec::new() };
        let of_kind = |is_emergency: bool| {
            let pots = person.pots.iter().enumerate();
            pots.filter(move |(_, pot)| pot.is_emergency == is_emergency && pot.is_for(category))
                .map(|(index, _)| index)
        };
        of_kind(false).chain(of_kind(true)).collect()
    }

    /// Money is kept aside for question number `question` of a purchase. One of which nothing is
    /// left begins anew: it counts on this day.
    pub(crate) fn approve(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        promise: Promise,
        at: i64,
    ) {
        let day = self.local(at).date();
        let purchase = self.purchase(number, (person, shop), shop.till, at);
        if purchase.committed_minor() == 0 {
            (purchase.day, purchase.till) = (day, shop.till);
        }
        let kept_minor = purchase.margin_held_minor();
        let amount_minor = promise.amount_minor;
        purchase.promises.push(promise);
        let more_minor = promise.amount_minor + purchase.margin_minor() - kept_minor;
        let parts = self.cover(person, shop.category, more_minor);
        self.settle(number, &parts);
        let pays = |allowed: &&mut Allowed| allowed.pays(person, shop, amount_minor);
        if let Some(allowed) = self.allowed.iter_mut().find(pays) {
            allowed.is_used = true;
        }
    }

    /// The issuer tells how the purchase stands; only its latest word counts.
    pub(crate) fn hear(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        word: Word,
        at: i64,
    ) {
        let purchase = self.purchase(number, (person, shop), shop.till, at);
        purchase.hear(word);
        let missing = purchase.wanted_minor() - purchase.held_minor();
        let parts = self.cover(person, shop.category, missing);
        self.settle(number, &parts);
    }

    /// The merchant claims money: from the hold, then the same pots, then other pots, then
    /// exposure. A purchase that nobody was asked about counts as if it had been, on this day.
    pub(crate) fn capture(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        amount_minor: i64,
        at: i64,
    ) {
        let purchase = self.purchase(number, (person, shop), clearing_till(shop), at);
        purchase.captured_minor += amount_minor;
        let mut rest = amount_minor;
        for draw in purchase.draws.clone() {
            let part = draw.held_minor.min(rest);
            self.shift(number, draw.pot, -part, part);
            rest -= part;
        }
        for (pot, left) in self.own_and_eligible(number) {
            let part = self.left_minor(person, pot).min(left).min(rest);
            self.shift(number, pot, 0, part);
            rest -= part;
        }
        self.exposure_minor += rest;
        let purchase = self.purchase(number, (person, shop), shop.till, at);
        purchase.over_minor += rest;
        let waiting_minor = std::mem::take(&mut purchase.waiting_minor);
        self.suspense_minor -= waiting_minor;
        self.give_back(number, waiting_minor);
        let parts = self.own_and_eligible(number);
        self.settle(number, &parts);
    }

    /// Money back to the pots it came from, last drawn first; what no capture explains waits in
    /// suspense.
    pub(crate) fn refund(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        amount_minor: i64,
        at: i64,
    ) {
        self.purchase(number, (person, shop), clearing_till(shop), at);
        self.give_back(number, amount_minor);
        let mut parts = self.own_and_eligible(number);
        let own = self.purchases.get(&number).map_or(0, |purchase| purchase.draws.len());
        parts.truncate(own);
        self.settle(number, &parts);
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
            .filter_map(|(draw, amount)| Some((pots.get(draw.pot)?.name.to_string(), amount)))
            .collect()
    }

    pub(crate) fn local(&self, at: i64) -> Zoned {
        Timestamp::from_second(at).unwrap_or_default().to_zoned(self.zone.clone())
    }

    fn left_minor(&self, person: usize, pot: usize) -> i64 {
        let pots = self.people.get(person).map(|person| &person.pots);
        pots.and_then(|pots| pots.get(pot)).map_or(0, PotBook::left_minor)
    }

    /// What is left in the pots that the purchase has drawn from, then in all that may pay for it.
    fn own_and_eligible(&self, number: usize) -> Vec<(usize, i64)> {
        let Some(purchase) = self.purchases.get(&number) else { return Vec::new() };
        let own = purchase.draws.iter().map(|draw| draw.pot);
        let eligible = self.eligible(purchase.person, purchase.shop.category);
        own.chain(eligible).map(|pot| (pot, self.left_minor(purchase.person, pot))).collect()
    }

    fn purchase(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        till: Till,
        at: i64,
    ) -> &mut Purchase {
        let day = self.local(at).date();
        let margin_percent = if self.foreign.contains(&number) { self.margin_percent } else { 0 };
        let begin = || Arc::new(Purchase::begin((person, shop), till, day, margin_percent));
        let purchase = self.purchases.entry(number).or_insert_with(begin);
        Arc::make_mut(purchase)
    }

    /// Holds what should be held: more from `parts` in their order, less from the pot that was
    /// drawn last. What no pot can cover is not held.
    fn settle(&mut self, number: usize, parts: &[(usize, i64)]) {
        let Some(purchase) = self.purchases.get(&number).cloned() else { return };
        let mut missing = purchase.wanted_minor() - purchase.held_minor();
        for (pot, most) in parts {
            let left = self.left_minor(purchase.person, *pot);
            let part = missing.min(*most).min(left).max(0);
            self.shift(number, *pot, part, 0);
            missing -= part;
        }
        let mut surplus = (-missing).max(0);
        for draw in purchase.draws.iter().rev() {
            let part = draw.held_minor.min(surplus);
            self.shift(number, draw.pot, -part, 0);
            surplus -= part;
        }
    }

    fn give_back(&mut self, number: usize, amount_minor: i64) {
        let Some(purchase) = self.purchases.get_mut(&number).map(Arc::make_mut) else { return };
        let mut rest = amount_minor;
        let part = purchase.over_minor.min(rest);
        purchase.over_minor -= part;
        self.exposure_minor -= part;
        rest -= part;
        for draw in purchase.draws.clone().iter().rev() {
            let part = draw.spent_minor.min(rest);
            self.shift(number, draw.pot, 0, -part);
            rest -= part;
        }
        self.suspense_minor += rest;
        if let Some(purchase) = self.purchases.get_mut(&number) {
            Arc::make_mut(purchase).waiting_minor += rest;
        }
    }

    /// The one place that moves money: the pot and the purchase's draw change together.
    fn shift(&mut self, number: usize, pot: usize, held: i64, spent: i64) {
        if held == 0 && spent == 0 {
            return;
        }
        let Some(purchase) = self.purchases.get_mut(&number).map(Arc::make_mut) else { return };
        let pots = self.people.get_mut(purchase.person).map(|person| &mut person.pots);
        let Some(book) = pots.and_then(|pots| pots.get_mut(pot)) else { return };
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

fn person_book(programme: &Programme, person: &Person) -> anyhow::Result<PersonBook> {
    let pots = person.pot.iter().map(|pot| {
        let never = programme
            .never
            .get(&pot.stream)
            .with_context(|| format!("pot {} has no stream {}", pot.id, pot.stream))?;
        Ok(PotBook {
            pot: pot.id.as_str().into(),
            name: pot.name.as_str().into(),
            allocated_minor: pot.allocated.0,
            loaded_minor: pot.loads.iter().map(|load| load.amount.0).sum(),
            held_minor: 0,
            spent_minor: 0,
            is_emergency: pot.emergency,
            only: pot.only.clone().map(Arc::new),
            never: Arc::new(never.clone()),
        })
    });
    let agreement = person.agreement.as_ref();
    let terms = agreement.map_or(&programme.start, |agreement| &agreement.term).clone();
    Ok(PersonBook {
        person: person.id.clone(),
        pots: pots.collect::<anyhow::Result<_>>()?,
        terms: Arc::new(terms),
        is_partial_agreed: agreement.is_some_and(|agreement| agreement.partial),
        is_frozen: false,
    })
}

/// Clearing does not tell whether a shop was online.
fn clearing_till(shop: &Shop) -> Till {
    match shop.till {
        Till::Online => Till::Counter,
        till @ (Till::Counter | Till::CashMachine) => till,
    }
}

#[cfg(test)]
mod tests;
