//! The book of one budget while its row is locked: read from the store, changed in memory by
//! [postings](super::postings), and written back in the same database transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::account::Account;
use super::posting::{ChainHead, Posting, PostingContent, PostingKind, PostingRows, Transfer};
use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::Permission;
use crate::domain::card::CardStatus;
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, PermissionId, PostingId, PotId, ProgrammeId, PurchaseId,
    PurchaseReference, StreamId,
};
use crate::domain::money::limit::{CounterKey, LimitUsage};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::people::person::PersonState;
use crate::domain::pot::PotFunds;
use crate::domain::pot::personal::PersonalPotSettings;
use crate::domain::purchase::Purchase;
use crate::domain::time::period::{Moment, earliest_day};
use crate::ledger::record::purchase::{hold_rows, purchase_digest, purchase_row};
use crate::ledger::record::row::{Digest, Value};

/// Why a posting cannot be made. Nothing has been written to the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error("pot {0} is not in this budget")]
    NoSuchPot(PotId),
    #[error("pot {0} would go below nothing")]
    BelowNothing(PotId),
    #[error("money of pot {0} would go to another funder's pot")]
    AcrossStreams(PotId),
    #[error("purchase {0} is not in this book")]
    NoSuchPurchase(PurchaseReference),
}

/// Identifies a purchase: the connection and the issuer's reference.
pub type PurchaseKey = (ConnectionId, PurchaseReference);

/// The figures of one pot. `allocated` is the amount promised by the funder; the other amounts come
/// from postings alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotBalance {
    pub stream: StreamId,
    pub allocated: Money,
    pub loaded: Money,
    pub held: Money,
    pub spent: Money,
    pub left: Money,
    /// Received from other pots of this person, less what was moved to them. Included in `loaded`.
    pub moved: Money,
    /// The person's own settings.
    pub own: PersonalPotSettings,
}

impl PotBalance {
    /// A pot without any postings.
    pub fn empty(stream: StreamId, allocated: Money) -> Self {
        let nothing = Money::zero(allocated.currency());
        Self {
            stream,
            allocated,
            loaded: nothing,
            held: nothing,
            spent: nothing,
            left: nothing,
            moved: nothing,
            own: PersonalPotSettings::default(),
        }
    }

    /// The amount loaded by the funder.
    pub fn funded(&self) -> Result<Money, MoneyError> {
        self.loaded.checked_sub(self.moved)
    }

    /// The figures that determine what can be spent on `date`.
    pub fn in_pot(&self, date: Date) -> Result<PotFunds, MoneyError> {
        Ok(PotFunds {
            left: self.left,
            loaded: Some(self.funded()?),
            held_back: self.own.held_back_on(date),
            part_of: self.own.goal.as_ref().map(|goal| goal.of.clone()),
        })
    }
}

/// The pots of one budget.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pots(pub BTreeMap<PotId, PotBalance>);

impl Pots {
    /// The amount that `pot` has left; zero if there is no such pot.
    pub fn left(&self, pot: &PotId, currency: Currency) -> Money {
        self.0.get(pot).map_or(Money::zero(currency), |balance| balance.left)
    }

    /// Applies `transfer` to the pots among its accounts.
    ///
    /// # Errors
    ///
    /// A pot is missing, would become negative, or would send money to a pot of another stream. The
    /// pots may then be partly changed.
    pub fn apply(&mut self, transfer: &Transfer) -> Result<(), LedgerError> {
        let amount = transfer.amount();
        let is_pot_transfer = self.is_pot_transfer(transfer)?;
        if let Some((pot, balance)) = self.balance_mut(transfer.from())? {
            if is_pot_transfer {
                balance.loaded = balance.loaded.checked_sub(amount)?;
                balance.moved = balance.moved.checked_sub(amount)?;
            }
            let source = held_or_left(transfer.from(), balance);
            *source = source.checked_sub(amount)?;
            if source.minor() < 0 {
                return Err(LedgerError::BelowNothing(pot));
            }
            if is_spending_account(transfer.to()) {
                balance.spent = balance.spent.checked_add(amount)?;
            }
            if *transfer.to() == Account::Exchange {
                balance.loaded = balance.loaded.checked_sub(amount)?;
            }
        }
        if let Some((_, balance)) = self.balance_mut(transfer.to())? {
            let target = held_or_left(transfer.to(), balance);
            *target = target.checked_add(amount)?;
            if is_spending_account(transfer.from()) {
                balance.spent = balance.spent.checked_sub(amount)?;
            }
            if is_pot_transfer
                || matches!(transfer.from(), Account::StreamFunds(_) | Account::Exchange)
            {
                balance.loaded = balance.loaded.checked_add(amount)?;
            }
            if is_pot_transfer {
                balance.moved = balance.moved.checked_add(amount)?;
            }
        }
        Ok(())
    }

    /// Whether `transfer` goes from pot to pot; both must be of the same stream.
    fn is_pot_transfer(&self, transfer: &Transfer) -> Result<bool, LedgerError> {
        let (Account::PotLeft(from), Account::PotLeft(to)) = (transfer.from(), transfer.to())
        else {
            return Ok(false);
        };
        let [stream, other] = [from, to].map(|pot| self.0.get(pot).map(|known| &known.stream));
        if stream == other { Ok(true) } else { Err(LedgerError::AcrossStreams(from.clone())) }
    }

    fn balance_mut(
        &mut self,
        account: &Account,
    ) -> Result<Option<(PotId, &mut PotBalance)>, LedgerError> {
        match account {
            Account::PotLeft(pot) | Account::PotHeld(pot) => {
                let balance = self.0.get_mut(pot);
                let balance = balance.ok_or_else(|| LedgerError::NoSuchPot(pot.clone()))?;
                Ok(Some((pot.clone(), balance)))
            }
            Account::StreamFunds(_)
            | Account::Clearing(_)
            | Account::Exposure
            | Account::Suspense
            | Account::Disputed
            | Account::Exchange => Ok(None),
        }
    }
}

/// The balance that `account` stands for.
fn held_or_left<'a>(account: &Account, balance: &'a mut PotBalance) -> &'a mut Money {
    if matches!(account, Account::PotHeld(_)) { &mut balance.held } else { &mut balance.left }
}

/// Whether money sent to this account counts as spent, and money from it as given back.
const fn is_spending_account(account: &Account) -> bool {
    matches!(account, Account::Clearing(_) | Account::Suspense | Account::Disputed)
}

/// A card of the budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub connection: ConnectionId,
    pub token: CardToken,
    pub status: CardStatus,
    pub last_four: String,
}

/// The person whose budget it is, and the agreement in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetOwner {
    pub name: String,
    pub worker: String,
    pub state: PersonState,
    pub agreement: Arc<Agreement>,
    pub cards: Vec<Card>,
}

/// How one purchase uses permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PurchasePermissionUse {
    permissions: BTreeSet<PermissionId>,
    /// The committed amount, if nothing was captured; otherwise `None`.
    pub open: Option<Money>,
    /// The stored form of the shop's identity.
    pub shop: String,
}

impl PurchasePermissionUse {
    /// The usage by `purchase` in its current state.
    pub fn of(purchase: &Purchase) -> Result<Self, MoneyError> {
        let permissions = purchase.permissions()?;
        if permissions.is_empty() {
            return Ok(Self::default());
        }
        let open = if purchase.captured.is_zero() { Some(purchase.committed()?) } else { None };
        Ok(Self { permissions, open, shop: purchase.counted.shop_text() })
    }

    /// Whether the purchase uses `permission`.
    pub fn uses(&self, permission: PermissionId) -> bool {
        self.permissions.contains(&permission)
    }
}

/// The book of one locked budget.
#[derive(Debug)]
pub struct Book {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub currency: Currency,
    /// `None` for the house budget.
    pub owner: Option<BudgetOwner>,
    pub pots: Pots,
    /// The purchases that were requested from the store; others are not loaded.
    pub purchases: BTreeMap<PurchaseKey, Purchase>,
    /// The requested counters that exist.
    pub counters: BTreeMap<CounterKey, LimitUsage>,
    pub permissions: Vec<Permission>,
    head: ChainHead,
    stored_head: ChainHead,
    changes: BookChanges,
}

/// The changes to write back.
#[derive(Debug, Default)]
pub struct BookChanges {
    pub postings: Vec<Posting>,
    /// The rows of `postings`, in the same order.
    pub posting_rows: Vec<PostingRows>,
    pub pots: BTreeSet<PotId>,
    /// The changed purchases with their rows, because the chain's digest covers exactly these rows.
    pub purchases: BTreeMap<PurchaseKey, PurchaseRows>,
    pub counters: BTreeSet<CounterKey>,
    pub permissions: BTreeSet<PermissionId>,
}

/// What one purchase contributes to counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CounterContribution {
    amount: Money,
    /// Whether it counts in limits on the number of purchases; stays true after a full refund.
    counts_as_purchase: bool,
}

impl CounterContribution {
    fn of(purchase: &Purchase) -> Result<Self, MoneyError> {
        let counts_as_purchase = purchase.committed()?.is_positive();
        Ok(Self { amount: purchase.counted_amount()?, counts_as_purchase })
    }
}

/// The stored rows of a purchase and its holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseRows {
    pub purchase: Vec<Value>,
    pub holds: Vec<Vec<Value>>,
}

/// The event that a posting books, and the record that proves it.
#[derive(Debug, Clone)]
pub struct PostingCause {
    pub posting: PostingId,
    pub kind: PostingKind,
    pub subject: String,
    /// The digest of the stored rows that the posting books.
    pub record: Digest,
    pub moment: Moment,
}

impl Book {
    /// The book of `budget`, whose chain ends at `head`. The store fills in the rest.
    pub fn new(
        programme: ProgrammeId,
        budget: BudgetId,
        currency: Currency,
        head: ChainHead,
    ) -> Self {
        Self {
            programme,
            budget,
            currency,
            owner: None,
            pots: Pots::default(),
            purchases: BTreeMap::new(),
            counters: BTreeMap::new(),
            permissions: Vec::new(),
            head,
            stored_head: head,
            changes: BookChanges::default(),
        }
    }

    /// The head of the chain in the store.
    pub const fn stored_head(&self) -> ChainHead {
        self.stored_head
    }

    /// The head of the chain including postings that are not written yet.
    pub const fn head(&self) -> ChainHead {
        self.head
    }

    /// The changes to write back.
    pub const fn changes(&self) -> &BookChanges {
        &self.changes
    }

    /// Applies `transfers` and appends a posting that changes no purchase.
    pub fn post(
        &mut self,
        cause: PostingCause,
        transfers: Vec<Transfer>,
    ) -> Result<(), LedgerError> {
        for transfer in &transfers {
            self.pots.apply(transfer)?;
        }
        self.link(cause, None, transfers);
        Ok(())
    }

    /// Changes one purchase with `act`, which applies and returns its transfers; then updates limit
    /// counters and permissions, and appends the posting.
    pub fn change(
        &mut self,
        key: &PurchaseKey,
        cause: PostingCause,
        act: impl FnOnce(&mut Purchase, &mut Pots) -> Result<Vec<Transfer>, LedgerError>,
    ) -> Result<(), LedgerError> {
        let purchase = self.purchases.get_mut(key);
        let purchase = purchase.ok_or_else(|| LedgerError::NoSuchPurchase(key.1.clone()))?;
        let before = CounterContribution::of(purchase)?;
        let given_back = purchase.given_back()?;
        let used_before = PurchasePermissionUse::of(purchase)?;
        let transfers = act(purchase, &mut self.pots)?;
        purchase.credit_limits(given_back)?;
        purchase.extend_expiry(cause.moment.at)?;
        let purchase = purchase.clone();
        self.count(&purchase, before, CounterContribution::of(&purchase)?, cause.moment.date)?;
        self.use_permissions(&used_before, &PurchasePermissionUse::of(&purchase)?)?;
        let row = purchase_row(&self.programme, &purchase);
        let holds = hold_rows(&self.programme, &purchase);
        let digest = purchase_digest(&row, &holds);
        self.changes.purchases.insert(key.clone(), PurchaseRows { purchase: row, holds });
        self.link(cause, Some((purchase.id, digest)), transfers);
        Ok(())
    }

    fn link(
        &mut self,
        cause: PostingCause,
        purchase: Option<(PurchaseId, Digest)>,
        transfers: Vec<Transfer>,
    ) {
        for account in transfers.iter().flat_map(|transfer| [transfer.from(), transfer.to()]) {
            if let Account::PotLeft(pot) | Account::PotHeld(pot) = account {
                self.changes.pots.insert(pot.clone());
            }
        }
        let entry = PostingContent {
            id: cause.posting,
            kind: cause.kind,
            subject: cause.subject,
            record: cause.record,
            purchase,
            at: cause.moment.at,
            transfers,
        };
        let (posting, rows) =
            Posting::link_with_rows(&self.programme, &self.budget, self.head, entry);
        self.head = posting.head();
        self.changes.posting_rows.push(rows);
        self.changes.postings.push(posting);
    }

    /// Updates the counters of the agreement in force: the amount by the change of what counts
    /// towards limits, the number of purchases by whether anything is committed.
    fn count(
        &mut self,
        purchase: &Purchase,
        before: CounterContribution,
        after: CounterContribution,
        today: Date,
    ) -> Result<(), LedgerError> {
        let Some(owner) = &self.owner else { return Ok(()) };
        if before == after {
            return Ok(());
        }
        for key in purchase.counted.counters(&owner.agreement) {
            let was = purchase.counted.amount_counted_in(&key.scope, before.amount)?;
            let is = purchase.counted.amount_counted_in(&key.scope, after.amount)?;
            // The start of an agreement version creates every counter above zero of a period that
            // can still receive reports. A missing counter is therefore zero and can be created,
            // but only for such a period, and only by a purchase that did not count before:
            // otherwise the counter would lack what has already counted.
            let is_current = key.first_day >= key.period.first_day(earliest_day(today));
            let may_begin = is_current && before.amount.is_zero() && !before.counts_as_purchase;
            let known = self.counters.get(&key).copied();
            let Some(used) = known.or(may_begin.then_some(LimitUsage::nothing(after.amount)))
            else {
                continue;
            };
            let amount = used.amount.checked_add(is)?.checked_sub(was)?;
            let purchases = match (before.counts_as_purchase, after.counts_as_purchase) {
                (false, true) => used.purchases.saturating_add(1),
                (true, false) => used.purchases.saturating_sub(1),
                (true, true) | (false, false) => used.purchases,
            };
            self.counters.insert(key.clone(), LimitUsage { amount, purchases });
            self.changes.counters.insert(key);
        }
        Ok(())
    }

    /// Updates the permissions: each purchase uses a permission once, and returns the use when
    /// nothing of the purchase is committed any more.
    fn use_permissions(
        &mut self,
        before: &PurchasePermissionUse,
        after: &PurchasePermissionUse,
    ) -> Result<(), LedgerError> {
        for permission in &mut self.permissions {
            let (was, is) = (before.uses(permission.id), after.uses(permission.id));
            if (was, before) == (is, after) || !(was || is) {
                continue;
            }
            let left = permission.uses_left;
            permission.uses_left = match (was, is) {
                (false, true) => left.saturating_sub(1),
                (true, false) => left.saturating_add(1),
                (true, true) | (false, false) => left,
            };
            if let Some(uses) = &mut permission.uses {
                if was {
                    uses.take(&before.shop, before.open)?;
                }
                if is {
                    uses.add(&after.shop, after.open)?;
                }
            }
            self.changes.permissions.insert(permission.id);
        }
        Ok(())
    }

    /// The card with `token`, if it belongs to this budget.
    pub fn card(&self, connection: &ConnectionId, token: &CardToken) -> Option<&Card> {
        let cards = &self.owner.as_ref()?.cards;
        cards.iter().find(|card| card.connection == *connection && card.token == *token)
    }

    /// The agreement in force; `None` for the house budget.
    pub fn agreement(&self) -> Option<&Agreement> {
        self.owner.as_ref().map(|owner| &*owner.agreement)
    }

    /// Balances on `date` of every pot that may pay. `loaded` is kept only for pots with staged
    /// release; no other rule reads it.
    pub fn in_pots(&self, date: Date) -> Result<BTreeMap<PotId, PotFunds>, MoneyError> {
        let plans = self.agreement().map_or(&[][..], |agreement| &agreement.pots);
        let in_pot = |(id, balance): (&PotId, &PotBalance)| {
            let plan = plans.iter().find(|plan| plan.id == *id);
            let is_staged = plan.is_some_and(|plan| plan.release.is_some());
            let pot = balance.in_pot(date)?;
            Ok((id.clone(), PotFunds { loaded: pot.loaded.filter(|_| is_staged), ..pot }))
        };
        let pays = |balance: &PotBalance| balance.own.goal.as_ref().is_none_or(|goal| goal.pays);
        self.pots.0.iter().filter(|(_, balance)| pays(balance)).map(in_pot).collect()
    }
}
