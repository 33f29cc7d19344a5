//! Personal pots: holding money back, opening own pots, and moving money between pots of one
//! stream. The person does all of it alone and at once, because it needs nobody's consent.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::id::{MessageId, PersonId, PostingId, PotId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::Capability;
use crate::domain::pot::PotPlan;
use crate::domain::pot::personal::{
    HoldBack, HoldBackError, HoldBackRelease, PersonalPotSettings, PotTransfer, PotTransferError,
    SavingsGoal, TransferEnd,
};
use crate::ledger::book::{Book, LedgerError, PostingCause, PotBalance};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::pot_transfers;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{GrantedAccess, Principal, UseCaseContext, UseCaseError};
use crate::store::{NewMessage, PotRow, Tx};

/// The most own pots that a person can ever open, closed ones included. Bounded because every
/// decision reads all of them.
pub const OWN_POTS_MAX: usize = 20;
/// The longest name of a pot, in characters.
const NAME_CHARS_MAX: usize = 60;

/// A request to hold back money of a pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldBackRequest {
    /// In minor units.
    pub amount: i64,
    /// The local date from which the money can be spent again; none until the person takes it back.
    pub until: Option<Date>,
    /// Days that must pass between the request to release it and the release.
    pub cooling_days: u32,
}

/// A request to open an own pot within an agreed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGoal {
    /// The agreed pot that the new pot is part of.
    pub of: PotId,
    pub name: String,
    /// The savings goal in minor units; none for no goal.
    pub sum: Option<i64>,
}

/// The current state of a pot, for its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotSnapshot {
    pub pot: PotId,
    /// The plan of the pot itself, or of the agreed pot that an own pot is part of.
    pub plan: PotPlan,
    pub balance: PotBalance,
    pub today: Date,
}

/// A change of one pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PotChange {
    /// Holds back money in the pot. The new amount replaces the one that was held back before.
    HoldBack(HoldBackRequest),
    /// Releases what is held back: at once, or after the cooling time that the person chose. After
    /// that time the person must ask for it again, because nothing takes effect by silence.
    TakeBack,
    /// Sets whether an own pot pays for purchases before the agreed pot that it is part of.
    SetPaying(bool),
    /// Closes an own pot and moves its balance to the agreed pot that it is part of. Closing it
    /// again moves what was refunded into the closed pot since.
    Close,
}

impl PotChange {
    /// The kind of the act, as stored.
    const fn word(self) -> &'static str {
        match self {
            Self::HoldBack(_) => "held_back",
            Self::TakeBack => "took_back",
            Self::SetPaying(true) => "pot_pays",
            Self::SetPaying(false) => "pot_keeps",
            Self::Close => "closed_pot",
        }
    }
}

/// Changes one pot of the person.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] for an amount, date or number of days out of range.
/// [`UseCaseError::Conflict`] when money would be released earlier than the person chose before;
/// when nothing is held back to be taken back; when the pot that is to pay is closed; and when the
/// pot that is to be closed has an open hold, or money of it is held back.
pub async fn change(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    pot: &PotId,
    change: PotChange,
) -> Result<PotSnapshot, UseCaseError> {
    let mut admitted = admit(tx, context, principal, person).await?;
    let own = admitted.own_pot(pot)?;
    let own = match change {
        PotChange::HoldBack(request) => admitted.hold_back(pot, own, request)?,
        PotChange::TakeBack => admitted.take_back(pot, own)?,
        PotChange::SetPaying(pays) => set_paying(own, pays)?,
        PotChange::Close => admitted.close_goal(pot, own)?,
    };
    admitted.save_own_pot(tx, pot, own).await?;
    admitted.close_private(tx, change.word(), pot.as_str()).await?;
    admitted.snapshot(pot)
}

fn set_paying(own: PersonalPotSettings, pays: bool) -> Result<PersonalPotSettings, UseCaseError> {
    let goal = own.goal.ok_or(UseCaseError::NotFound("pot of your own"))?;
    if goal.is_closed {
        return Err(PotTransferError::Closed.into());
    }
    Ok(PersonalPotSettings { goal: Some(SavingsGoal { pays, ..goal }), ..own })
}

/// Opens an own pot within an agreed one. It pays for nothing until
/// [`PotChange::SetPaying`] turns that on.
pub async fn open_goal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    wanted: &NewGoal,
) -> Result<PotSnapshot, UseCaseError> {
    let mut admitted = admit(tx, context, principal, person).await?;
    let name = checked_name(&wanted.name)?;
    let currency = admitted.programme.settings.currency;
    let sum = wanted.sum.map(|minor| Money::from_minor(minor, currency));
    if sum.is_some_and(|sum| !sum.is_positive()) {
        return Err(UseCaseError::invalid("sum", "say how much, or leave it out"));
    }
    let (parent, _) = admitted.pot(&wanted.of)?;
    if parent.id != wanted.of {
        return Err(UseCaseError::invalid("of", "a pot of your own is part of an agreed one"));
    }
    let mut balance = PotBalance::empty(parent.stream.clone(), Money::zero(currency));
    let id = admitted.free_pot_id()?;
    let goal = SavingsGoal { of: wanted.of.clone(), name, sum, pays: false, is_closed: false };
    balance.own.goal = Some(goal);
    let (programme, budget) = (admitted.access.programme.clone(), admitted.access.budget.clone());
    tx.put_pot(&programme, &budget, &id, &balance).await?;
    admitted.book_mut()?.pots.0.insert(id.clone(), balance);
    admitted.post_digest(&id)?;
    admitted.close_private(tx, "opened_pot", id.as_str()).await?;
    admitted.snapshot(&id)
}

/// Moves `amount` minor units between two pots of the person.
///
/// # Errors
///
/// [`UseCaseError::Invalid`] when the pots differ in stream or purpose; [`UseCaseError::Conflict`]
/// when `amount` is more than can be spent now, or the target is closed.
pub async fn move_money(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    (from, to): (&PotId, &PotId),
    amount: i64,
) -> Result<[PotSnapshot; 2], UseCaseError> {
    let mut admitted = admit(tx, context, principal, person).await?;
    let amount = Money::from_minor(amount, admitted.programme.settings.currency);
    admitted.move_money(from, to, amount)?;
    admitted.close_private(tx, "moved_money", &format!("{from}/{to}")).await?;
    Ok([admitted.snapshot(from)?, admitted.snapshot(to)?])
}

/// Locks the budget of `person` for an account with [`Capability::SteerMoney`].
async fn admit<'d>(
    tx: &mut Tx,
    context: UseCaseContext<'d>,
    principal: &Principal,
    person: &PersonId,
) -> Result<AdmittedBudget<'d>, UseCaseError> {
    AdmittedBudget::open(tx, context, principal, person, |_| Capability::SteerMoney).await
}

impl AdmittedBudget<'_> {
    fn book(&self) -> Result<&Book, UseCaseError> {
        Ok(&self.open_book()?.book)
    }

    fn book_mut(&mut self) -> Result<&mut Book, UseCaseError> {
        Ok(&mut self.open_book_mut()?.book)
    }

    /// The balance of a pot, with the plan of the pot itself or of the agreed pot that it is part
    /// of.
    fn pot(&self, pot: &PotId) -> Result<(&PotPlan, &PotBalance), UseCaseError> {
        let book = self.book()?;
        let balance = book.pots.0.get(pot).ok_or(UseCaseError::NotFound("pot"))?;
        let of = balance.own.goal.as_ref().map_or(pot, |goal| &goal.of);
        let plans = book.agreement().map_or(&[][..], |agreement| &agreement.pots);
        let plan = plans.iter().find(|plan| plan.id == *of).ok_or(UseCaseError::NotFound("pot"))?;
        Ok((plan, balance))
    }

    fn own_pot(&self, pot: &PotId) -> Result<PersonalPotSettings, UseCaseError> {
        Ok(self.pot(pot)?.1.own.clone())
    }

    /// The pot's name: the person's own for an own pot, otherwise the one in the list.
    fn name(&self, pot: &PotId) -> Result<String, UseCaseError> {
        let (plan, balance) = self.pot(pot)?;
        Ok(balance.own.goal.as_ref().map_or(&plan.name, |goal| &goal.name).clone())
    }

    fn snapshot(&self, pot: &PotId) -> Result<PotSnapshot, UseCaseError> {
        let (plan, balance) = self.pot(pot)?;
        let (plan, balance) = (plan.clone(), balance.clone());
        Ok(PotSnapshot { pot: pot.clone(), plan, balance, today: self.moment.date })
    }

    /// The first unused id of `own-1`, `own-2` and so on, up to [`OWN_POTS_MAX`].
    fn free_pot_id(&self) -> Result<PotId, UseCaseError> {
        let pots = &self.book()?.pots.0;
        let names = (1..=OWN_POTS_MAX).map(|number| format!("own-{number}"));
        let mut free = names.filter_map(|name| name.parse::<PotId>().ok());
        let most =
            || UseCaseError::Conflict(format!("{OWN_POTS_MAX} pots of your own are the most"));
        free.find(|name| !pots.contains_key(name)).ok_or_else(most)
    }

    fn cause(&self, kind: PostingKind, subject: String, record: Digest) -> PostingCause {
        let posting = PostingId::new(self.context.ids.next(self.access.at));
        PostingCause { posting, kind, subject, record, moment: self.moment }
    }

    fn hold_back(
        &mut self,
        pot: &PotId,
        own: PersonalPotSettings,
        request: HoldBackRequest,
    ) -> Result<PersonalPotSettings, UseCaseError> {
        let HoldBackRequest { amount, until, cooling_days } = request;
        let amount = Money::from_minor(amount, self.programme.settings.currency);
        let known = own.held_back.as_ref();
        let held = HoldBack::new(amount, until, cooling_days, known, self.moment.date)?;
        let notification =
            if held.until.is_some() { Notification::HeldBackUntil } else { Notification::HeldBack };
        let name = self.name(pot)?;
        self.notify_pot(notification, pot, &name, Some(amount), held.until, None);
        Ok(PersonalPotSettings { held_back: Some(held), ..own })
    }

    fn take_back(
        &mut self,
        pot: &PotId,
        own: PersonalPotSettings,
    ) -> Result<PersonalPotSettings, UseCaseError> {
        let held = own.held_back.filter(|held| held.is_active_on(self.moment.date));
        let held = held.ok_or(HoldBackError::NothingHeld)?;
        let amount = Some(held.amount);
        let (held_back, notification, from) = match held.take_back(self.access.at) {
            HoldBackRelease::Free => (None, Notification::HeldBackFree, None),
            HoldBackRelease::CoolingOff(held, from) => {
                (Some(held), Notification::HeldBackCools, Some(from))
            }
        };
        let name = self.name(pot)?;
        self.notify_pot(notification, pot, &name, amount, None, from);
        Ok(PersonalPotSettings { held_back, ..own })
    }

    fn close_goal(
        &mut self,
        pot: &PotId,
        own: PersonalPotSettings,
    ) -> Result<PersonalPotSettings, UseCaseError> {
        let goal = own.goal.ok_or(UseCaseError::NotFound("pot of your own"))?;
        let (_, balance) = self.pot(pot)?;
        let (held, left) = (balance.held, balance.left);
        if held.is_positive() {
            let what = format!("{held} of it is kept aside for a purchase: close it after that");
            return Err(UseCaseError::Conflict(what));
        }
        if own.held_back.is_some_and(|held| held.is_active_on(self.moment.date)) {
            return Err(UseCaseError::Conflict(
                "you hold some of it back: take that back first".to_owned(),
            ));
        }
        if left.is_positive() {
            self.move_money(pot, &goal.of, left)?;
        }
        let goal = SavingsGoal { pays: false, is_closed: true, ..goal };
        Ok(PersonalPotSettings { held_back: None, goal: Some(goal) })
    }

    fn move_money(&mut self, from: &PotId, to: &PotId, amount: Money) -> Result<(), UseCaseError> {
        let (plan, source) = self.pot(from)?;
        let date = self.moment.date;
        let spendable = source.in_pot(date).and_then(|in_pot| plan.spendable(&in_pot, date));
        let spendable = spendable.map_err(LedgerError::from)?;
        let is_closed =
            |balance: &PotBalance| balance.own.goal.as_ref().is_some_and(|goal| goal.is_closed);
        let source = TransferEnd { pot: from, plan, is_closed: is_closed(source) };
        let (plan, target) = self.pot(to)?;
        let target = TransferEnd { pot: to, plan, is_closed: is_closed(target) };
        let transfer = PotTransfer::new(source, target, amount, spendable)?;
        // No other record describes the transfer, so the digest covers the subject itself.
        let subject = format!("{from}/{to}");
        let cause =
            self.cause(PostingKind::PotTransfer, subject.clone(), Digest::of_text(&subject));
        self.book_mut()?.post(cause, pot_transfers(&transfer))?;
        Ok(())
    }

    async fn save_own_pot(
        &mut self,
        tx: &mut Tx,
        pot: &PotId,
        own: PersonalPotSettings,
    ) -> Result<(), UseCaseError> {
        tx.put_own_pot(&self.access.programme, &self.access.budget, pot, &own).await?;
        if let Some(balance) = self.book_mut()?.pots.0.get_mut(pot) {
            balance.own = own;
        }
        self.post_digest(pot)
    }

    /// Adds a posting without amounts to the chain, with the digest of the pot's current settings.
    fn post_digest(&mut self, pot: &PotId) -> Result<(), UseCaseError> {
        let balance = self.book()?.pots.0.get(pot).ok_or(UseCaseError::NotFound("pot"))?;
        let GrantedAccess { programme, budget, .. } = &self.access;
        let digest = PotRow::new(programme, budget, pot, balance).plan_digest();
        let cause = self.cause(PostingKind::Pot, pot.to_string(), digest);
        self.book_mut()?.post(cause, Vec::new())?;
        Ok(())
    }

    fn notify_pot(
        &mut self,
        notification: Notification,
        pot: &PotId,
        name: &str,
        amount: Option<Money>,
        on: Option<Date>,
        at: Option<Timestamp>,
    ) {
        let zone = self.programme.zone();
        let parameters = NotificationParameters {
            name: Some(name),
            amount,
            on,
            at,
            ..NotificationParameters::new(zone)
        };
        let facts = MessageParameters::default().text("pot", pot.as_str());
        let facts = amount.iter().fold(facts, |facts, amount| facts.money("amount", *amount));
        let facts = facts.optional("on", on.map(|on| on.to_string()));
        self.pending_writes.messages.push(NewMessage {
            id: MessageId::new(self.context.ids.next(self.access.at)),
            programme: self.access.programme.clone(),
            budget: self.access.budget.clone(),
            kind: notification.kind(),
            subject: pot.to_string(),
            body: Words::english().notification(notification, &parameters),
            created_at: self.access.at,
            recipient: Recipient::Person,
            facts: facts.optional("at", at.map(|at| at.to_string())).to_text(),
            thread: None,
            due_at: None,
        });
    }

    /// Closes the budget. The act has no amount, because that is private to the person.
    async fn close_private(
        &self,
        tx: &mut Tx,
        kind: &str,
        subject: &str,
    ) -> Result<(), UseCaseError> {
        self.close(tx, kind, subject, "").await
    }
}

fn checked_name(name: &str) -> Result<String, UseCaseError> {
    let name = name.trim();
    let is_valid = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if is_valid {
        Ok(name.to_owned())
    } else {
        Err(UseCaseError::invalid("name", format!("use 1 to {NAME_CHARS_MAX} characters")))
    }
}

impl From<HoldBackError> for UseCaseError {
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

impl From<PotTransferError> for UseCaseError {
    fn from(error: PotTransferError) -> Self {
        match error {
            PotTransferError::Nothing => Self::invalid("amount", error.to_string()),
            PotTransferError::SamePot
            | PotTransferError::OtherStream(..)
            | PotTransferError::DifferentPurpose => Self::invalid("to", error.to_string()),
            PotTransferError::TooMuch(_) | PotTransferError::Closed => {
                Self::Conflict(error.to_string())
            }
        }
    }
}
