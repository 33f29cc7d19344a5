//! Which purchase a presentment belongs to. The one that it names is a hint, because issuers guess
//! it.

use std::collections::BTreeSet;

use super::context::LifecycleContext;
use super::purchase_message::{MatchStatus, MismatchReason, PurchaseMessage};
use crate::domain::id::{BudgetId, CardToken, ProgrammeId, PurchaseReference};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::excess::usual_excess;
use crate::domain::purchase::presentment::PresentmentDirection;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::{Mcc, Merchant, ShopCategories};
use crate::ledger::book::PurchaseKey;
use crate::store::{StoreError, Tx};

/// The most links of a budget's chain that are searched for a purchase that a presentment fits.
const LINKS_MAX: u32 = 500;

/// The attributes by which the shops of presentments and purchases are compared.
#[derive(Debug, Clone, Default)]
pub(super) struct ShopMatcher {
    shop: ShopIdentity,
    mcc: Option<Mcc>,
    first_word: Option<String>,
}

impl ShopMatcher {
    pub(super) fn of_message(message: &PurchaseMessage<'_>) -> Self {
        let merchant = message.about.map(|about| &about.merchant);
        Self {
            shop: message.shop.clone(),
            mcc: merchant.and_then(Merchant::mcc),
            first_word: merchant.and_then(|merchant| first_word(merchant.name())),
        }
    }

    pub(super) fn of_purchase(purchase: &Purchase) -> Self {
        Self {
            shop: purchase.counted.shop.clone(),
            mcc: purchase.counted.mcc,
            first_word: purchase.place.name.as_deref().and_then(first_word),
        }
    }

    /// Whether both may be the same shop. Its name may differ between authorisation and clearing.
    pub(super) fn may_match(&self, other: &Self) -> bool {
        let is_nameless = self.shop.is_empty() || other.shop.is_empty();
        // An erased name cannot be compared.
        let may_share_a_word = match (&self.first_word, &other.first_word) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        is_nameless || self.is_same(other) || (self.mcc == other.mcc && may_share_a_word)
    }

    /// Whether both are certainly the same shop.
    fn is_same(&self, other: &Self) -> bool {
        self.shop.overlaps(&other.shop)
    }
}

/// The letters of the first word that has any, in upper case.
fn first_word(name: &str) -> Option<String> {
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let words = name.split_whitespace().map(letters);
    words.map(|word| word.to_uppercase()).find(|word| !word.is_empty())
}

/// What is known of the purchase that a presentment names.
#[derive(Debug, Clone)]
pub(super) struct NamedPurchase {
    pub(super) budget: BudgetId,
    pub(super) card: Option<CardToken>,
    pub(super) shop: ShopMatcher,
    /// The merchant's currency of earlier captures, if it is not the card's.
    pub(super) foreign_currency: Option<Currency>,
}

impl NamedPurchase {
    pub(super) fn of(purchase: &Purchase) -> Self {
        Self {
            budget: purchase.budget.clone(),
            card: Some(purchase.card.clone()),
            shop: ShopMatcher::of_purchase(purchase),
            foreign_currency: foreign_currency_of(purchase),
        }
    }

    /// The purchase as the first message about it reports it.
    pub(super) fn first(message: &PurchaseMessage<'_>, owner: Option<&BudgetId>) -> Self {
        let about = message.about;
        Self {
            budget: owner.cloned().unwrap_or_else(BudgetId::house),
            card: about.map(|about| about.card.clone()),
            shop: ShopMatcher::of_message(message),
            foreign_currency: foreign_currency_of_presentment(message),
        }
    }
}

/// What does not fit between a presentment and the purchase that it names, if anything. `owner` is
/// the budget of the presentment's card; a replacement card has the same budget.
pub(super) fn mismatch(
    message: &PurchaseMessage<'_>,
    named: &NamedPurchase,
    owner: Option<&BudgetId>,
) -> Option<MismatchReason> {
    message.presentment()?;
    let about = message.about?;
    let is_same_card = named.card.as_ref() == Some(&about.card);
    if !is_same_card && owner.is_some_and(|owner| *owner != named.budget) {
        return Some(MismatchReason::Card);
    }
    let claimed = ShopMatcher::of_message(message);
    if !named.shop.may_match(&claimed) {
        return Some(MismatchReason::Shop);
    }
    let is_other = named
        .foreign_currency
        .zip(foreign_currency_of_presentment(message))
        .is_some_and(|(one, two)| one != two);
    is_other.then_some(MismatchReason::Currency)
}

/// The merchant's currency of what was captured, if it is not the card's.
fn foreign_currency_of(purchase: &Purchase) -> Option<Currency> {
    purchase.merchant_sums.map(|sums| sums.captured.currency())
}

/// The merchant's currency of a presentment, if it is not the card's.
fn foreign_currency_of_presentment(message: &PurchaseMessage<'_>) -> Option<Currency> {
    let presentment = message.presentment()?;
    let theirs = presentment.about.merchant_amount?.currency();
    Some(theirs).filter(|theirs| *theirs != presentment.amount.currency())
}

/// A presentment that does not fit the purchase that it names, and where else it may belong.
#[derive(Debug)]
pub(super) struct RelinkOptions {
    pub(super) mismatch: MismatchReason,
    /// The budget of the named purchase.
    pub(super) named_budget: BudgetId,
    /// Purchases that it may be booked on instead, all in the budget of its
    /// [`BookingTask`](super::BookingTask).
    pub(super) candidates: BTreeSet<PurchaseReference>,
    /// What it is booked as if it fits no other: a purchase of its own.
    pub(super) own: PurchaseReference,
}

/// The other purchases of `budget` at the shop and on the connection of a presentment, from the
/// newest [`LINKS_MAX`] links of its chain.
pub(super) async fn candidates(
    tx: &mut Tx,
    programme: &ProgrammeId,
    budget: &BudgetId,
    message: &PurchaseMessage<'_>,
) -> Result<BTreeSet<PurchaseReference>, StoreError> {
    if message.about.is_none() {
        return Ok(BTreeSet::new());
    }
    let claimed = ShopMatcher::of_message(message);
    let links = tx.links_since(programme, budget, jiff::Timestamp::MIN, LINKS_MAX).await?;
    let ids: BTreeSet<_> = links.iter().filter_map(|link| link.purchase_id).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let purchases = tx.purchases_by_id(programme, &ids).await?;
    let is_one = |purchase: &&Purchase| {
        purchase.connection == message.event.connection
            && purchase.reference != message.purchase
            && ShopMatcher::of_purchase(purchase).is_same(&claimed)
    };
    Ok(purchases.iter().filter(is_one).map(|purchase| purchase.reference.clone()).collect())
}

impl LifecycleContext<'_> {
    /// The message of a presentment that does not fit, with the purchase of this budget on which it
    /// is booked.
    pub(super) fn relink<'a>(
        &self,
        message: &PurchaseMessage<'a>,
        relink_options: &RelinkOptions,
    ) -> Result<PurchaseMessage<'a>, MoneyError> {
        let mut matching = BTreeSet::new();
        for candidate in &relink_options.candidates {
            let key: PurchaseKey = (message.event.connection.clone(), candidate.clone());
            if let Some(purchase) = self.book.purchases.get(&key)
                && could_match(purchase, message)?
            {
                matching.insert(candidate);
            }
        }
        let mut only = matching.into_iter();
        if let (Some(only), None) = (only.next(), only.next()) {
            return Ok(message.moved_to(only, MatchStatus::Relinked));
        }
        if relink_options.mismatch != MismatchReason::Card && self.may_keep_link(message) {
            return Ok(message.moved_to(&message.purchase, MatchStatus::KeptMismatch));
        }
        Ok(message.moved_to(&relink_options.own, MatchStatus::OwnPurchase))
    }

    /// Whether every pot that may pay for the named purchase may also pay at the presentment's
    /// shop, so that no other funder's money moves if the link stays. Never for a refund.
    fn may_keep_link(&self, message: &PurchaseMessage<'_>) -> bool {
        let is_capture = message
            .presentment()
            .is_some_and(|presentment| presentment.direction == PresentmentDirection::Capture);
        let (Some(owner), Some(about)) = (&self.book.owner, message.about) else { return false };
        let Some(purchase) = self.book.purchases.get(&message.key()) else { return false };
        let streams = &self.programme.settings.streams;
        let today =
            crate::domain::time::period::Moment::new(message.booked_at, self.programme.zone()).date;
        let rules = &self.programme.rules;
        let pots = |kinds| {
            let order = owner.agreement.drain_order(streams, kinds, today);
            order.iter().map(|plan| plan.id.clone()).collect::<BTreeSet<_>>()
        };
        let claimed = pots(rules.kinds_of(about.merchant.mcc()));
        let also = rules.kinds_of(purchase.counted.mcc).also;
        let mut paying = pots(ShopCategories { category: &purchase.counted.category, also });
        paying.extend(purchase.holds.iter().map(|hold| hold.pot.clone()));
        is_capture && paying.is_subset(&claimed)
    }
}

/// Whether a presentment could belong to `purchase`: a capture up to the open amount with the usual
/// excess, or a refund up to what was captured and not given back; each with the exchange margin.
fn could_match(purchase: &Purchase, message: &PurchaseMessage<'_>) -> Result<bool, MoneyError> {
    let Some(presentment) = message.presentment() else { return Ok(false) };
    let is_same = ShopMatcher::of_purchase(purchase).is_same(&ShopMatcher::of_message(message));
    let is_other = foreign_currency_of(purchase)
        .zip(foreign_currency_of_presentment(message))
        .is_some_and(|(a, b)| a != b);
    if !is_same || is_other || purchase.currency != presentment.amount.currency() {
        return Ok(false);
    }
    let most = match presentment.direction {
        PresentmentDirection::Capture => {
            let open = purchase.requested_hold()?;
            let excess = usual_excess(purchase.counted.mcc, purchase.counted.presence, open)?;
            with_exchange_margin(purchase, open.checked_add(excess)?, open)?
        }
        PresentmentDirection::Refund => {
            let paid = purchase.captured.saturating_sub(purchase.given_back()?)?;
            with_exchange_margin(purchase, paid, paid)?
        }
    };
    Ok(most.is_positive() && presentment.amount.minor() <= most.minor())
}

/// `sum` and the exchange margin on `base`; zero if `base` is zero.
fn with_exchange_margin(purchase: &Purchase, sum: Money, base: Money) -> Result<Money, MoneyError> {
    if base.is_zero() { Ok(base) } else { sum.checked_add(purchase.margin.on(base)?) }
}
