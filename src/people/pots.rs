//! Money that people steer alone, at once: they hold some of it back, open pots in their own words,
//! and move money between pots of one stream. Nobody is asked, and nobody else decides about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::id::{BudgetId, MessageId, PersonId, PostingId, PotId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Act;
use crate::domain::pot::PotPlan;
use crate::domain::pot::own::{
    End, Goal, HeldBack, HoldBackError, Move, MoveError, OwnPot, TakenBack,
};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, Cause, LedgerError, PotBalance};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::moved;
use crate::ledger::record::own_pot::own_pot_text;
use crate::ledger::record::particulars::Particulars;
use crate::ledger::record::row::Digest;
use crate::messages::words::{News, Particular, Words};
use crate::people::members::{ActError, Acting, Admitted};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Additions, BookWanted, Books, NewMessage, Tx, pot_plan_digest};

/// The most pots of their own that somebody ever opens: a decision reads them all.
pub const OWN_POTS_MOST: usize = 20;
/// The longest name of a pot, in characters.
const NAME_CHARS_MAX: usize = 60;

/// How somebody wants to hold money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// In minor units.
    pub amount: i64,
    /// The local day on which it is there again; none until they take it back.
    pub until: Option<Date>,
    /// How many days it outlasts a wish to take it back.
    pub cooling_days: u32,
}

/// A pot that somebody wants of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGoal {
    /// The agreed pot that it is to be part of.
    pub of: PotId,
    pub name: String,
    /// What they want to have in it, in minor units.
    pub sum: Option<i64>,
}

/// A pot as it is now, for its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub pot: PotId,
    /// The agreed pot that it is, or is part of.
    pub plan: PotPlan,
    pub balance: PotBalance,
    pub today: Date,
}

/// Holds money of a pot back, in the place of what was held back of it before.
pub async fn hold_back(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    pot: &PotId,
    wish: Wish,
) -> Result<Shown, ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let amount = Money::from_minor(wish.amount, purse.programme.settings.currency);
    let own = purse.own(pot)?;
    let known = own.held_back.as_ref();
    let held = HeldBack::new(amount, wish.until, wish.cooling_days, known, purse.moment.date)?;
    let news = if held.until.is_some() { News::HeldBackUntil } else { News::HeldBack };
    let name = purse.name(pot)?;
    purse.tell(news, pot, &name, Some(amount), held.until, None);
    purse.put_own(tx, pot, OwnPot { held_back: Some(held), ..own }).await?;
    purse.close(tx, "held_back", pot.as_str()).await?;
    purse.shown(pot)
}

/// Takes held money back: at once, or when the time has passed that the person chose.
pub async fn take_back(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    pot: &PotId,
) -> Result<Shown, ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let own = purse.own(pot)?;
    let held = own.held_back.clone().filter(|held| held.holds_on(purse.moment.date));
    let held = held.ok_or(HoldBackError::NothingHeld)?;
    let (held_back, news, from) = match held.take_back(acting.at) {
        TakenBack::Free => (None, News::HeldBackFree, None),
        TakenBack::Cools(held, from) => (Some(held), News::HeldBackCools, Some(from)),
    };
    let name = purse.name(pot)?;
    purse.tell(news, pot, &name, Some(held.amount), None, from);
    purse.put_own(tx, pot, OwnPot { held_back, ..own }).await?;
    purse.close(tx, "took_back", pot.as_str()).await?;
    purse.shown(pot)
}

/// Opens a pot of the person's own within an agreed one. It pays nothing until they say so.
pub async fn open_goal(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    wanted: &NewGoal,
) -> Result<Shown, ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let name = checked_name(&wanted.name)?;
    let currency = purse.programme.settings.currency;
    let sum = wanted.sum.map(|minor| Money::from_minor(minor, currency));
    if sum.is_some_and(|sum| !sum.is_positive()) {
        return Err(ActError::invalid("sum", "say how much, or leave it out"));
    }
    let (parent, _) = purse.pot(&wanted.of)?;
    if parent.id != wanted.of {
        return Err(ActError::invalid("of", "a pot of your own is part of an agreed one"));
    }
    let mut balance = PotBalance::empty(parent.stream.clone(), Money::zero(currency));
    let id = purse.free_name()?;
    let goal = Goal { of: wanted.of.clone(), name, sum, pays: false, is_closed: false };
    balance.own.goal = Some(goal);
    let (programme, budget) = (purse.admitted.programme.clone(), purse.admitted.budget.clone());
    tx.put_pot(&programme, &budget, &id, &balance).await?;
    purse.book_mut()?.pots.0.insert(id.clone(), balance);
    purse.vouch(&id)?;
    purse.close(tx, "opened_pot", id.as_str()).await?;
    purse.shown(&id)
}

/// Says whether a pot of the person's own pays now, before the pot that it is part of.
pub async fn let_pay(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    pot: &PotId,
    pays: bool,
) -> Result<Shown, ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let own = purse.own(pot)?;
    let goal = own.goal.clone().ok_or(ActError::NotThere("pot of your own"))?;
    if goal.is_closed {
        return Err(MoveError::Closed.into());
    }
    purse.put_own(tx, pot, OwnPot { goal: Some(Goal { pays, ..goal }), ..own }).await?;
    purse.close(tx, if pays { "pot_pays" } else { "pot_keeps" }, pot.as_str()).await?;
    purse.shown(pot)
}

/// Moves money between two pots of the person and of one stream: what can be spent, and no more.
pub async fn move_money(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    (from, to): (&PotId, &PotId),
    amount: i64,
) -> Result<[Shown; 2], ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let amount = Money::from_minor(amount, purse.programme.settings.currency);
    purse.move_money(from, to, amount)?;
    purse.close(tx, "moved_money", &format!("{from}/{to}")).await?;
    Ok([purse.shown(from)?, purse.shown(to)?])
}

/// Closes a pot of the person's own: its money goes back to where it is part of. Done again, it
/// brings back what a shop has given back into it since.
pub async fn close_goal(
    tx: &mut Tx,
    desk: (&Directory, &NewIds),
    acting: &Acting,
    person: &PersonId,
    pot: &PotId,
) -> Result<Shown, ActError> {
    let mut purse = Purse::open(tx, desk, acting, person).await?;
    let own = purse.own(pot)?;
    let goal = own.goal.ok_or(ActError::NotThere("pot of your own"))?;
    let (_, balance) = purse.pot(pot)?;
    let (held, left) = (balance.held, balance.left);
    if held.is_positive() {
        let what = format!("{held} of it is kept aside for a purchase: close it after that");
        return Err(ActError::Conflict(what));
    }
    if own.held_back.is_some_and(|held| held.holds_on(purse.moment.date)) {
        return Err(ActError::Conflict(
            "you hold some of it back: take that back first".to_owned(),
        ));
    }
    if left.is_positive() {
        purse.move_money(pot, &goal.of, left)?;
    }
    let goal = Goal { pays: false, is_closed: true, ..goal };
    purse.put_own(tx, pot, OwnPot { held_back: None, goal: Some(goal) }).await?;
    purse.close(tx, "closed_pot", pot.as_str()).await?;
    purse.shown(pot)
}

/// A locked budget with its person before it.
struct Purse<'d> {
    ids: &'d NewIds,
    admitted: Admitted,
    books: Books,
    programme: Arc<Programme>,
    moment: Moment,
    additions: Additions,
}

impl<'d> Purse<'d> {
    async fn open(
        tx: &mut Tx,
        (directory, ids): (&Directory, &'d NewIds),
        acting: &Acting,
        person: &PersonId,
    ) -> Result<Self, ActError> {
        let wanted = BookWanted {
            programme: acting.programme.clone(),
            budget: BudgetId::of(person),
            purchases: BTreeSet::new(),
        };
        let books = tx.open_books(&[wanted], directory.agreements()).await?;
        let admitted = acting.admit(tx, Act::SteerMoney, person).await?;
        let version = books
            .settings_version(&admitted.programme, &admitted.budget)
            .ok_or(ActError::NotThere("person"))?;
        let programme = directory.version(&admitted.programme, version).await?;
        let moment = Moment::new(acting.at, programme.zone());
        Ok(Self { ids, admitted, books, programme, moment, additions: Additions::default() })
    }

    fn book(&self) -> Result<&Book, ActError> {
        let open = self.books.get(&self.admitted.programme, &self.admitted.budget);
        open.map(|open| &open.book).ok_or(ActError::NotThere("person"))
    }

    fn book_mut(&mut self) -> Result<&mut Book, ActError> {
        let open = self.books.get_mut(&self.admitted.programme, &self.admitted.budget);
        open.map(|open| &mut open.book).ok_or(ActError::NotThere("person"))
    }

    /// A pot, and the agreed pot that it is, or is part of.
    fn pot(&self, pot: &PotId) -> Result<(&PotPlan, &PotBalance), ActError> {
        let book = self.book()?;
        let balance = book.pots.0.get(pot).ok_or(ActError::NotThere("pot"))?;
        let of = balance.own.goal.as_ref().map_or(pot, |goal| &goal.of);
        let plans = book.agreement().map_or(&[][..], |agreement| &agreement.pots);
        let plan = plans.iter().find(|plan| plan.id == *of).ok_or(ActError::NotThere("pot"))?;
        Ok((plan, balance))
    }

    fn own(&self, pot: &PotId) -> Result<OwnPot, ActError> {
        Ok(self.pot(pot)?.1.own.clone())
    }

    /// What a pot is called: in the person's words, or in those of the list.
    fn name(&self, pot: &PotId) -> Result<String, ActError> {
        let (plan, balance) = self.pot(pot)?;
        Ok(balance.own.goal.as_ref().map_or(&plan.name, |goal| &goal.name).clone())
    }

    fn shown(&self, pot: &PotId) -> Result<Shown, ActError> {
        let (plan, balance) = self.pot(pot)?;
        let (plan, balance) = (plan.clone(), balance.clone());
        Ok(Shown { pot: pot.clone(), plan, balance, today: self.moment.date })
    }

    /// A name that no pot of this budget has.
    fn free_name(&self) -> Result<PotId, ActError> {
        let pots = &self.book()?.pots.0;
        let names = (1..=OWN_POTS_MOST).map(|number| format!("own-{number}"));
        let mut free = names.filter_map(|name| name.parse::<PotId>().ok());
        let most = || ActError::Conflict(format!("{OWN_POTS_MOST} pots of your own are the most"));
        free.find(|name| !pots.contains_key(name)).ok_or_else(most)
    }

    fn cause(&self, kind: PostingKind, subject: String, record: Digest) -> Cause {
        let posting = PostingId::new(self.ids.next(self.admitted.at));
        Cause { posting, kind, subject, record, moment: self.moment }
    }

    fn move_money(&mut self, from: &PotId, to: &PotId, amount: Money) -> Result<(), ActError> {
        let (plan, source) = self.pot(from)?;
        let date = self.moment.date;
        let spendable = source.in_pot(date).and_then(|in_pot| plan.spendable(&in_pot, date));
        let spendable = spendable.map_err(LedgerError::from)?;
        let is_closed =
            |balance: &PotBalance| balance.own.goal.as_ref().is_some_and(|goal| goal.is_closed);
        let source = End { pot: from, plan, is_closed: is_closed(source) };
        let (plan, target) = self.pot(to)?;
        let target = End { pot: to, plan, is_closed: is_closed(target) };
        let moving = Move::new(source, target, amount, spendable)?;
        // Nobody else says that it moved: the posting vouches for its own words.
        let subject = format!("{from}/{to}");
        let cause = self.cause(PostingKind::Move, subject.clone(), Digest::of_text(&subject));
        self.book_mut()?.post(cause, moved(&moving))?;
        Ok(())
    }

    async fn put_own(&mut self, tx: &mut Tx, pot: &PotId, own: OwnPot) -> Result<(), ActError> {
        tx.put_own_pot(&self.admitted.programme, &self.admitted.budget, pot, &own).await?;
        if let Some(balance) = self.book_mut()?.pots.0.get_mut(pot) {
            balance.own = own;
        }
        self.vouch(pot)
    }

    /// Has a posting say what a pot is now. It moves nothing.
    fn vouch(&mut self, pot: &PotId) -> Result<(), ActError> {
        let balance = self.book()?.pots.0.get(pot).ok_or(ActError::NotThere("pot"))?;
        let Admitted { programme, budget, .. } = &self.admitted;
        let (stream, allocated) = (balance.stream.as_str(), balance.allocated);
        let own = own_pot_text(&balance.own);
        let digest = pot_plan_digest(programme, budget, pot, stream, allocated, own);
        let cause = self.cause(PostingKind::Pot, pot.to_string(), digest);
        self.book_mut()?.post(cause, Vec::new())?;
        Ok(())
    }

    fn tell(
        &mut self,
        news: News,
        pot: &PotId,
        name: &str,
        amount: Option<Money>,
        on: Option<Date>,
        at: Option<Timestamp>,
    ) {
        let zone = self.programme.zone();
        let particular = Particular { name: Some(name), amount, on, at, ..Particular::new(zone) };
        let facts = Particulars::default().text("pot", pot.as_str());
        let facts = amount.iter().fold(facts, |facts, amount| facts.money("amount", *amount));
        let facts = facts.optional("on", on.map(|on| on.to_string()));
        self.additions.messages.push(NewMessage {
            id: MessageId::new(self.ids.next(self.admitted.at)),
            programme: self.admitted.programme.clone(),
            budget: self.admitted.budget.clone(),
            kind: news.kind(),
            subject: pot.to_string(),
            body: Words::english().news(news, &particular),
            created_at: self.admitted.at,
            recipient: Recipient::Person,
            facts: facts.optional("at", at.map(|at| at.to_string())).to_text(),
            matter: None,
            due_at: None,
        });
    }

    /// Writes what was done. How much it was about is the person's own.
    async fn close(&self, tx: &mut Tx, kind: &str, subject: &str) -> Result<(), ActError> {
        let act = self.admitted.act(self.ids, kind, subject, "");
        tx.add_acts(&self.admitted.programme, &[act]).await?;
        tx.close_books(&self.books.all(), &self.additions).await?;
        Ok(())
    }
}

fn checked_name(name: &str) -> Result<String, ActError> {
    let name = name.trim();
    let is_fair = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if is_fair {
        Ok(name.to_owned())
    } else {
        Err(ActError::invalid("name", format!("use 1 to {NAME_CHARS_MAX} characters")))
    }
}

impl From<HoldBackError> for ActError {
    fn from(error: HoldBackError) -> Self {
        match error {
            HoldBackError::Nothing => Self::invalid("amount", error.to_string()),
            HoldBackError::NotLater => Self::invalid("until", error.to_string()),
            HoldBackError::TooLong => Self::invalid("cooling_days", error.to_string()),
            HoldBackError::Cooling | HoldBackError::NothingHeld => {
                Self::Conflict(error.to_string())
            }
        }
    }
}

impl From<MoveError> for ActError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Nothing => Self::invalid("amount", error.to_string()),
            MoveError::SamePot | MoveError::OtherStream(..) | MoveError::OtherThings => {
                Self::invalid("to", error.to_string())
            }
            MoveError::TooMuch(_) | MoveError::Closed => Self::Conflict(error.to_string()),
        }
    }
}
