//! The simulator's own books: every pot's money after every message.
//!
//! Deliberately plainer than a ledger. There are no postings: each pot has three running sums, and
//! each purchase remembers what it drew from which pot, what was said about it, and on which local
//! day it counts.

mod allowed;
mod pot;
mod purchase;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use crate::{
    programme::{HomeCountries, Person, PersonState, Programme, Term},
    shop_identity,
    shops::{PurchaseChannel, Shop},
};

pub(crate) use allowed::{GrantedPermission, PermissionSubject};
pub use pot::PotBook;
pub(crate) use purchase::{
    AuthorisationApproval, AuthorisationSnapshot, HoldStatus, PotDraw, Purchase,
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
    pub(crate) home: HomeCountries,
    pub(crate) is_paused: bool,
    margin_percent: i64,
    /// The purchases that shops price in another currency.
    foreign: BTreeSet<usize>,
    /// What cash machines take for themselves of purchases.
    fees: BTreeMap<usize, i64>,
    /// Shared, because a storm keeps several books that differ in little.
    pub(crate) purchases: BTreeMap<usize, Arc<Purchase>>,
    /// What may be bought once although the list says otherwise.
    pub(crate) allowed: Vec<GrantedPermission>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonBook {
    pub person: String,
    pub pots: Vec<PotBook>,
    pub(crate) terms: Arc<Vec<Term>>,
    pub(crate) is_partial_agreed: bool,
    /// Whether they have stopped their cards themselves.
    pub(crate) is_frozen: bool,
    /// Whether they take part no longer.
    pub(crate) is_ended: bool,
}

/// When something about a purchase is heard, and when the issuer says that it was bought. Unix
/// seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurchaseTimes {
    pub(crate) received_at: i64,
    pub(crate) bought_at: i64,
}

impl PurchaseTimes {
    /// Heard as it is bought.
    pub(crate) const fn at_once(at: i64) -> Self {
        Self { received_at: at, bought_at: at }
    }
}

/// Money that a shop takes or gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presentment {
    pub(crate) amount_minor: i64,
    /// In the shop's own currency; none when that is the card's.
    pub(crate) merchant_amount: Option<i64>,
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
        shop_identity::load_own_shops(&programme.shops);
        let allowed = people.iter().enumerate().flat_map(|(index, person)| {
            person
                .permission
                .iter()
                .map(move |permission| GrantedPermission::of_file(index, permission))
        });
        let mut allowed: Vec<GrantedPermission> = allowed.collect();
        allowed.sort_by_key(GrantedPermission::precedence);
        let people = people.iter().map(|person| person_book(programme, person));
        Ok(Self {
            programme: programme.id.clone(),
            currency: programme.currency.clone(),
            people: people.collect::<anyhow::Result<_>>()?,
            exposure_minor: 0,
            suspense_minor: 0,
            zone: programme.zone.clone(),
            home: programme.home.clone(),
            is_paused: programme.is_paused,
            margin_percent: programme.exchange_margin_percent,
            foreign: BTreeSet::new(),
            fees: BTreeMap::new(),
            purchases: BTreeMap::new(),
            allowed,
        })
    }

    /// The shop of this purchase prices in another currency, and every message about it tells so.
    pub(crate) fn mark_foreign(&mut self, number: usize) {
        self.foreign.insert(number);
    }

    /// A cash machine takes so much of this purchase for itself.
    pub(crate) fn set_fee(&mut self, number: usize, fee_minor: i64) {
        if fee_minor > 0 {
            self.fees.insert(number, fee_minor);
        }
    }

    /// The person stops their cards, or lets them pay again.
    pub(crate) fn freeze(&mut self, person: usize, is_frozen: bool) {
        if let Some(person) = self.people.get_mut(person) {
            person.is_frozen = is_frozen;
        }
    }

    /// What may be kept aside beyond so much, because a rate may change.
    pub(crate) fn margin_of(&self, amount_minor: i64) -> i64 {
        (amount_minor * self.margin_percent + 99) / 100
    }

    /// Whether everything that a later message can touch is the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.exposure_minor == other.exposure_minor
            && self.suspense_minor == other.suspense_minor
            && self.people == other.people
            && self.purchases == other.purchases
    }

    /// Which pots would pay on `date`, in order: ordinary pots first, and emergency pots only when
    /// those cannot cover it. Covers less than `amount_minor` when there is less.
    pub(crate) fn cover(
        &self,
        person: usize,
        shop: &Shop,
        amount_minor: i64,
        date: Date,
    ) -> Vec<(usize, i64)> {
        let spendable = |pot: &PotBook| pot.spendable_minor(date);
        self.drain(person, shop, amount_minor, date, spendable)
    }

    /// As [`Books::cover`], for what is owed: from all that is left, let out or not.
    fn cover_owed(
        &self,
        person: usize,
        shop: &Shop,
        amount_minor: i64,
        date: Date,
    ) -> Vec<(usize, i64)> {
        self.drain(person, shop, amount_minor, date, PotBook::left_minor)
    }

    fn drain(
        &self,
        person: usize,
        shop: &Shop,
        amount_minor: i64,
        date: Date,
        available: impl Fn(&PotBook) -> i64,
    ) -> Vec<(usize, i64)> {
        let mut rest = amount_minor;
        let mut parts = Vec::new();
        for pot in self.eligible(person, shop, date) {
            let book = self.people.get(person).and_then(|person| person.pots.get(pot));
            let part = book.map_or(0, &available).min(rest);
            if part > 0 {
                parts.push((pot, part));
                rest -= part;
            }
        }
        parts
    }

    /// The pots that may pay at the shop, in the order in which they do.
    pub(crate) fn eligible(&self, person: usize, shop: &Shop, date: Date) -> Vec<usize> {
        let Some(person) = self.people.get(person) else { return Vec::new() };
        let pots = person.pots.iter().enumerate();
        let mut pots: Vec<_> = pots.filter(|(_, pot)| pot.is_for(shop, date)).collect();
        pots.sort_by_key(|(_, pot)| (pot.is_emergency, !pot.drains_first));
        pots.into_iter().map(|(index, _)| index).collect()
    }

    /// The local day on which a purchase counts: its own, if it is told within seven days.
    pub(crate) fn day(&self, when: PurchaseTimes) -> Date {
        const TOLD_WITHIN: i64 = 7 * 86_400;
        let is_fair = (0..=TOLD_WITHIN).contains(&(when.received_at - when.bought_at));
        self.local(if is_fair { when.bought_at } else { when.received_at }).date()
    }

    /// Money is kept aside for question number `question` of a purchase. One of which nothing is
    /// left begins anew: it counts on this day.
    pub(crate) fn approve(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        approval: AuthorisationApproval,
        when: PurchaseTimes,
    ) {
        let (day, today) = (self.day(when), self.local(when.received_at).date());
        let purchase = self.purchase(number, (person, shop), shop.channel, when);
        if purchase.committed_minor() == 0 {
            (purchase.day, purchase.channel) = (day, shop.channel);
            purchase.forget_permissions();
        }
        let kept_minor = purchase.margin_held_minor();
        let amount_minor = approval.amount_minor;
        purchase.approvals.push(approval);
        let more_minor = amount_minor + purchase.margin_minor() - kept_minor;
        let parts = self.cover(person, shop, more_minor, today);
        self.adjust_hold(number, &parts);
    }

    /// The issuer tells how the purchase stands; only its latest word counts.
    pub(crate) fn apply_snapshot(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        snapshot: AuthorisationSnapshot,
        when: PurchaseTimes,
    ) {
        let purchase = self.reported_purchase(number, (person, shop), shop.channel, when);
        purchase.apply_snapshot(snapshot);
        let missing = purchase.wanted_minor() - purchase.held_minor();
        let today = self.local(when.received_at).date();
        let parts = self.cover_owed(person, shop, missing, today);
        self.adjust_hold(number, &parts);
    }

    /// The merchant claims money: from the hold, then the same pots, then other pots, then
    /// exposure. A purchase that nobody was asked about counts as if it had been.
    pub(crate) fn capture(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        presentment: Presentment,
        when: PurchaseTimes,
    ) {
        let purchase = self.reported_purchase(number, (person, shop), clearing_channel(shop), when);
        purchase.captured_minor += presentment.amount_minor;
        purchase.merchant_amount.captured += presentment.merchant_amount.unwrap_or(0);
        let mut rest = presentment.amount_minor;
        for draw in purchase.draws.clone() {
            let part = draw.held_minor.min(rest);
            self.move_money(number, draw.pot, -part, part);
            rest -= part;
        }
        for (pot, left) in self.own_and_eligible(number, when.received_at) {
            let part = self.left_minor(person, pot).min(left).min(rest);
            self.move_money(number, pot, 0, part);
            rest -= part;
        }
        self.exposure_minor += rest;
        let purchase = self.purchase(number, (person, shop), shop.channel, when);
        purchase.uncovered_minor += rest;
        let in_suspense_minor = std::mem::take(&mut purchase.in_suspense_minor);
        self.suspense_minor -= in_suspense_minor;
        self.return_money(number, in_suspense_minor);
        self.move_exchange_gain(number);
        let parts = self.own_and_eligible(number, when.received_at);
        self.adjust_hold(number, &parts);
    }

    /// Money back to the pots it came from, last drawn first; what no capture and no other rate
    /// explains waits in suspense.
    pub(crate) fn refund(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        presentment: Presentment,
        when: PurchaseTimes,
    ) {
        let purchase = self.reported_purchase(number, (person, shop), clearing_channel(shop), when);
        purchase.refunded_minor += presentment.amount_minor;
        purchase.merchant_amount.refunded += presentment.merchant_amount.unwrap_or(0);
        self.return_money(number, presentment.amount_minor);
        self.move_exchange_gain(number);
        let mut parts = self.own_and_eligible(number, when.received_at);
        let own = self.purchases.get(&number).map_or(0, |purchase| purchase.draws.len());
        parts.truncate(own);
        self.adjust_hold(number, &parts);
    }

    /// The purchase that money back belongs to which names the purchase `named`: that one, if the shop
    /// fits; else the only other one at the shop of which so much is left; else `own`, one of its own.
    pub(crate) fn refund_target(
        &self,
        named: usize,
        own: usize,
        (person, shop): (usize, &'static Shop),
        amount_minor: i64,
    ) -> usize {
        let fits = self.purchases.get(&named).is_none_or(|known| known.shop.may_be_same_shop(shop));
        if fits {
            return named;
        }
        let could_be = |(number, purchase): &(&usize, &Arc<Purchase>)| {
            let paid =
                purchase.captured_minor - purchase.refunded_minor.min(purchase.captured_minor);
            let margin = (paid * purchase.margin_percent() + 99) / 100;
            let is_other = **number != named && purchase.person == person;
            is_other
                && purchase.shop.shares_name_with(shop)
                && paid > 0
                && amount_minor <= paid + margin
        };
        let mut fitting = self.purchases.iter().filter(could_be);
        match (fitting.next(), fitting.next()) {
            (Some((only, _)), None) => *only,
            (_, _) => own,
        }
    }

    /// A gain by another rate goes from suspense into the pot that paid.
    fn move_exchange_gain(&mut self, number: usize) {
        let Some(purchase) = self.purchases.get_mut(&number).map(Arc::make_mut) else { return };
        let is_minor = purchase.exchange.map_or(0, |(_, amount)| amount);
        let paid = purchase.draws.iter().find(|draw| draw.paid_minor > 0).map(|draw| draw.pot);
        let Some(pot) = purchase.exchange.map(|(pot, _)| pot).or(paid) else { return };
        let more = purchase.wanted_exchange_minor() - is_minor;
        let gained = more.min(purchase.in_suspense_minor).max(0);
        if gained == 0 {
            return;
        }
        purchase.exchange = Some((pot, is_minor + gained));
        purchase.in_suspense_minor -= gained;
        self.suspense_minor -= gained;
        let person = self.people.get_mut(purchase.person);
        if let Some(pot) = person.and_then(|person| person.pots.get_mut(pot)) {
            pot.loaded_minor += gained;
        }
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
    fn own_and_eligible(&self, number: usize, at: i64) -> Vec<(usize, i64)> {
        let Some(purchase) = self.purchases.get(&number) else { return Vec::new() };
        let own = purchase.draws.iter().map(|draw| draw.pot);
        let date = self.local(at).date();
        let eligible = self.eligible(purchase.person, purchase.shop, date);
        own.chain(eligible).map(|pot| (pot, self.left_minor(purchase.person, pot))).collect()
    }

    /// The purchase that the issuer tells of: one of which nothing was ever kept aside or claimed
    /// counts as this message says.
    fn reported_purchase(
        &mut self,
        number: usize,
        whose: (usize, &'static Shop),
        channel: PurchaseChannel,
        when: PurchaseTimes,
    ) -> &mut Purchase {
        let day = self.day(when);
        let purchase = self.purchase(number, whose, channel, when);
        if purchase.is_untouched() {
            (purchase.day, purchase.channel) = (day, channel);
            purchase.forget_permissions();
        }
        purchase
    }

    fn purchase(
        &mut self,
        number: usize,
        (person, shop): (usize, &'static Shop),
        channel: PurchaseChannel,
        when: PurchaseTimes,
    ) -> &mut Purchase {
        let day = self.day(when);
        let margin_percent = if self.foreign.contains(&number) { self.margin_percent } else { 0 };
        let fee_minor = self.fees.get(&number).copied().unwrap_or(0);
        let begin = || {
            let mut begun = Purchase::begin((person, shop), channel, day, margin_percent);
            begun.fee_minor = fee_minor;
            Arc::new(begun)
        };
        let purchase = self.purchases.entry(number).or_insert_with(begin);
        Arc::make_mut(purchase)
    }

    /// Holds what should be held: more from `parts` in their order, less from the pot that was
    /// drawn last. What no pot can cover is not held.
    fn adjust_hold(&mut self, number: usize, parts: &[(usize, i64)]) {
        let Some(purchase) = self.purchases.get(&number).cloned() else { return };
        let mut missing = purchase.wanted_minor() - purchase.held_minor();
        for (pot, most) in parts {
            let left = self.left_minor(purchase.person, *pot);
            let part = missing.min(*most).min(left).max(0);
            self.move_money(number, *pot, part, 0);
            missing -= part;
        }
        let mut surplus = (-missing).max(0);
        for draw in purchase.draws.iter().rev() {
            let part = draw.held_minor.min(surplus);
            self.move_money(number, draw.pot, -part, 0);
            surplus -= part;
        }
    }

    fn return_money(&mut self, number: usize, amount_minor: i64) {
        let Some(purchase) = self.purchases.get_mut(&number).map(Arc::make_mut) else { return };
        let mut rest = amount_minor;
        let part = purchase.uncovered_minor.min(rest);
        purchase.uncovered_minor -= part;
        self.exposure_minor -= part;
        rest -= part;
        for draw in purchase.draws.clone().iter().rev() {
            let part = draw.spent_minor.min(rest);
            self.move_money(number, draw.pot, 0, -part);
            rest -= part;
        }
        self.suspense_minor += rest;
        if let Some(purchase) = self.purchases.get_mut(&number) {
            Arc::make_mut(purchase).in_suspense_minor += rest;
        }
    }

    /// The one place that moves money: the pot and the purchase's draw change together.
    fn move_money(&mut self, number: usize, pot: usize, held: i64, spent: i64) {
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
            draw.paid_minor += spent.max(0);
        } else {
            let paid_minor = spent.max(0);
            purchase.draws.push(PotDraw { pot, held_minor: held, spent_minor: spent, paid_minor });
        }
    }
}

fn person_book(programme: &Programme, person: &Person) -> anyhow::Result<PersonBook> {
    let pots = person.pot.iter().map(|pot| {
        let stream = programme
            .streams
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
            never: Arc::new(stream.never.clone()),
            ends_on: stream.ends_on,
            drains_first: stream.drains_first,
            release: pot.release.clone().map(Arc::new),
        })
    });
    let agreement = person.agreement.as_ref();
    let own = agreement.map(|agreement| &agreement.term).filter(|terms| !terms.is_empty());
    let terms = own.unwrap_or(&programme.start).clone();
    Ok(PersonBook {
        person: person.id.clone(),
        pots: pots.collect::<anyhow::Result<_>>()?,
        terms: Arc::new(terms),
        is_partial_agreed: agreement.is_some_and(|agreement| agreement.partial),
        is_frozen: false,
        is_ended: person.state == PersonState::Ended,
    })
}

/// Clearing does not tell whether a shop was online.
fn clearing_channel(shop: &Shop) -> PurchaseChannel {
    match shop.channel {
        PurchaseChannel::Online => PurchaseChannel::Counter,
        channel @ (PurchaseChannel::Counter | PurchaseChannel::CashMachine) => channel,
    }
}

#[cfg(test)]
mod tests;
