//! The simulator's own books: the money of every pot after each message.
//!
//! Deliberately simpler than a ledger. There are no postings: each pot has three running sums, and
//! each purchase records what it drew from which pot, its approvals, its latest snapshot, and the
//! local day on which it counts.

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

/// The expected state of one programme.
#[derive(Debug, Clone)]
pub struct Books {
    pub programme: String,
    pub currency: String,
    pub people: Vec<PersonBook>,
    /// Captured amounts that no pot could cover, in minor units.
    pub exposure_minor: i64,
    /// Refunded amounts that belong to no purchase, in minor units.
    pub suspense_minor: i64,
    pub(crate) zone: TimeZone,
    pub(crate) home: HomeCountries,
    pub(crate) is_paused: bool,
    margin_percent: i64,
    /// Numbers of the purchases whose shop prices in another currency.
    foreign: BTreeSet<usize>,
    /// Cash machine fees by purchase number, in minor units.
    fees: BTreeMap<usize, i64>,
    /// Shared, because a storm keeps several books that differ in few purchases.
    pub(crate) purchases: BTreeMap<usize, Arc<Purchase>>,
    /// Permissions: purchases that may be made although the terms refuse them.
    pub(crate) allowed: Vec<GrantedPermission>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonBook {
    pub person: String,
    pub pots: Vec<PotBook>,
    pub(crate) terms: Arc<Vec<Term>>,
    pub(crate) is_partial_agreed: bool,
    /// Whether they have frozen their own cards.
    pub(crate) is_frozen: bool,
    /// Whether they have left the programme.
    pub(crate) is_ended: bool,
}

/// When a message about a purchase was received, and when the issuer says that the purchase was
/// made. Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurchaseTimes {
    pub(crate) received_at: i64,
    pub(crate) bought_at: i64,
}

impl PurchaseTimes {
    /// Received at the moment of the purchase.
    pub(crate) const fn at_once(at: i64) -> Self {
        Self { received_at: at, bought_at: at }
    }
}

/// The purchase that a message is about, according to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurchaseReference {
    /// Number of the purchase in the plan.
    pub(crate) number: usize,
    /// Index into the books' people.
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    pub(crate) when: PurchaseTimes,
}

/// The amount of a capture or a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presentment {
    pub(crate) amount_minor: i64,
    /// In the shop's own currency; `None` when that is the card's.
    pub(crate) merchant_amount: Option<i64>,
}

impl Books {
    /// The books of a fresh gateway: only the loads of the programme file.
    ///
    /// # Errors
    /// When a pot names a stream that the file does not have.
    pub fn open(programme: &Programme) -> anyhow::Result<Self> {
        Self::open_for(programme, &programme.people)
    }

    /// The books of some of the programme's people. Their indices are those in `people`.
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

    /// Marks a purchase whose shop prices in another currency. Every message about it says so.
    pub(crate) fn mark_foreign(&mut self, number: usize) {
        self.foreign.insert(number);
    }

    /// Sets the fee that a cash machine adds to the purchase.
    pub(crate) fn set_fee(&mut self, number: usize, fee_minor: i64) {
        if fee_minor > 0 {
            self.fees.insert(number, fee_minor);
        }
    }

    /// Freezes or unfreezes the person's cards.
    pub(crate) fn freeze(&mut self, person: usize, is_frozen: bool) {
        if let Some(person) = self.people.get_mut(person) {
            person.is_frozen = is_frozen;
        }
    }

    /// The largest margin for an exchange rate change on `amount_minor`, rounded up to a minor
    /// unit.
    pub(crate) fn margin_of(&self, amount_minor: i64) -> i64 {
        (amount_minor * self.margin_percent + 99) / 100
    }

    /// Whether the two books answer every later message alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.exposure_minor == other.exposure_minor
            && self.suspense_minor == other.suspense_minor
            && self.people == other.people
            && self.purchases == other.purchases
    }

    /// The pots that pay on `date`, in order, each with its part: ordinary pots first, emergency
    /// pots only when those cannot cover the amount. The parts sum to less than `amount_minor` when
    /// the pots hold less.
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

    /// The pots that pay, each with its part of what is `available` in it.
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

    /// The pots that may pay at the shop, in the order in which they are drawn.
    pub(crate) fn eligible(&self, person: usize, shop: &Shop, date: Date) -> Vec<usize> {
        let Some(person) = self.people.get(person) else { return Vec::new() };
        let pots = person.pots.iter().enumerate();
        let mut pots: Vec<_> = pots.filter(|(_, pot)| pot.is_for(shop, date)).collect();
        pots.sort_by_key(|(_, pot)| (pot.is_emergency, !pot.drains_first));
        pots.into_iter().map(|(index, _)| index).collect()
    }

    /// The local day on which a purchase counts: that of the purchase if the message arrives within
    /// seven days, else that of the message.
    pub(crate) fn day(&self, when: PurchaseTimes) -> Date {
        const TOLD_WITHIN: i64 = 7 * 86_400;
        let is_fair = (0..=TOLD_WITHIN).contains(&(when.received_at - when.bought_at));
        self.local(if is_fair { when.bought_at } else { when.received_at }).date()
    }

    /// Books the approval of an authorisation request. A purchase with nothing held or captured
    /// starts again: it counts on this day, and its earlier use of permissions is dropped.
    pub(crate) fn approve(&mut self, on: PurchaseReference, approval: AuthorisationApproval) {
        let PurchaseReference { number, person, shop, when } = on;
        let (day, today) = (self.day(when), self.local(when.received_at).date());
        let purchase = self.purchase(on, shop.channel);
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

    /// Applies a snapshot from the issuer; only the latest one counts. Its hold is owed, so it also
    /// draws on money that is not released yet.
    pub(crate) fn apply_snapshot(
        &mut self,
        on: PurchaseReference,
        snapshot: AuthorisationSnapshot,
    ) {
        let PurchaseReference { number, person, shop, when } = on;
        let purchase = self.reported_purchase(on, shop.channel);
        purchase.apply_snapshot(snapshot);
        let missing = purchase.wanted_minor() - purchase.held_minor();
        let today = self.local(when.received_at).date();
        let parts = self.drain(person, shop, missing, today, PotBook::left_minor);
        self.adjust_hold(number, &parts);
    }

    /// Books a capture: from the hold, then the same pots, then other eligible pots, then exposure.
    /// A capture without an authorisation counts like one that had been authorised.
    pub(crate) fn capture(&mut self, on: PurchaseReference, presentment: Presentment) {
        let PurchaseReference { number, person, shop, when } = on;
        let purchase = self.reported_purchase(on, clearing_channel(shop));
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
        let purchase = self.purchase(on, shop.channel);
        purchase.uncovered_minor += rest;
        let in_suspense_minor = std::mem::take(&mut purchase.in_suspense_minor);
        self.suspense_minor -= in_suspense_minor;
        self.return_money(number, in_suspense_minor);
        self.move_exchange_gain(number);
        let parts = self.own_and_eligible(number, when.received_at);
        self.adjust_hold(number, &parts);
    }

    /// Books a refund: back to the pots in reverse order of drawing. What exceeds the captures and
    /// cannot be explained by an exchange rate change waits in suspense.
    pub(crate) fn refund(&mut self, on: PurchaseReference, presentment: Presentment) {
        let number = on.number;
        let purchase = self.reported_purchase(on, clearing_channel(on.shop));
        purchase.refunded_minor += presentment.amount_minor;
        purchase.merchant_amount.refunded += presentment.merchant_amount.unwrap_or(0);
        self.return_money(number, presentment.amount_minor);
        self.move_exchange_gain(number);
        let mut parts = self.own_and_eligible(number, on.when.received_at);
        let own = self.purchases.get(&number).map_or(0, |purchase| purchase.draws.len());
        parts.truncate(own);
        self.adjust_hold(number, &parts);
    }

    /// The purchase that a refund naming purchase `named` belongs to: that one if the shop matches;
    /// else the only other purchase at the shop with enough captured and not refunded; else `own`,
    /// a number of the refund's own.
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

    /// Moves an exchange gain from suspense into the pot that paid.
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

    /// What the purchase holds and has spent in each pot, by the pot's name, in minor units.
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

    /// What is left in the pots that the purchase has drawn from, then in every pot that may pay
    /// for it. Their order is that of drawing.
    fn own_and_eligible(&self, number: usize, at: i64) -> Vec<(usize, i64)> {
        let Some(purchase) = self.purchases.get(&number) else { return Vec::new() };
        let own = purchase.draws.iter().map(|draw| draw.pot);
        let date = self.local(at).date();
        let eligible = self.eligible(purchase.person, purchase.shop, date);
        own.chain(eligible).map(|pot| (pot, self.left_minor(purchase.person, pot))).collect()
    }

    /// The purchase that an issuer event is about. A purchase with nothing ever held or captured
    /// counts on the day and under the channel of this event.
    fn reported_purchase(
        &mut self,
        on: PurchaseReference,
        channel: PurchaseChannel,
    ) -> &mut Purchase {
        let day = self.day(on.when);
        let purchase = self.purchase(on, channel);
        if purchase.is_untouched() {
            (purchase.day, purchase.channel) = (day, channel);
            purchase.forget_permissions();
        }
        purchase
    }

    fn purchase(&mut self, on: PurchaseReference, channel: PurchaseChannel) -> &mut Purchase {
        let PurchaseReference { number, person, shop, when } = on;
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

    /// Adjusts the hold to the wanted amount: raises it from `parts` in their order, or lowers it
    /// in the pot that was drawn last. What no pot covers is not held.
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

    /// The only function that moves money: it updates the pot and the purchase's draw together.
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

/// The channel of a clearing message, which does not say whether the shop was online.
fn clearing_channel(shop: &Shop) -> PurchaseChannel {
    match shop.channel {
        PurchaseChannel::Online => PurchaseChannel::Counter,
        channel @ (PurchaseChannel::Counter | PurchaseChannel::CashMachine) => channel,
    }
}

#[cfg(test)]
mod tests;
