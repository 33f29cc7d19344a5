//! Which purchase a claim belongs to. The purchase that it names is a hint: issuers guess it.

use std::collections::BTreeSet;

use super::context::LifecycleContext;
use super::purchase_message::PurchaseMessage;
use crate::domain::id::{BudgetId, CardToken, ProgrammeId, PurchaseReference};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::excess::usual_excess;
use crate::domain::purchase::presentment::PresentmentDirection;
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::merchant::{Mcc, Merchant, ShopCategories};
use crate::ledger::book::PurchaseKey;
use crate::store::{StoreError, Tx};

/// The most links of a budget's chain that are looked at for the purchase that a claim fits.
const LINKS_MOST: u32 = 500;

/// How far the purchase that a message is booked on is the one that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchStatus {
    Matched,
    /// It names none.
    Unlinked,
    /// It fits no known purchase, and is one of its own.
    OwnPurchase,
    /// Booked on the only purchase that it fits.
    Relinked,
    /// It does not fit, and stays where it is: the pots that pay may all pay for it.
    KeptMismatch,
}

/// Why a claim does not fit the purchase that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MismatchReason {
    /// The card is another person's.
    Card,
    Shop,
    /// The merchant claims in another currency than before, and in neither is the card.
    Currency,
}

/// A shop as far as claims are compared with purchases.
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

    /// Whether one shop may have sent both: names differ between authorisation and clearing.
    pub(super) fn may_match(&self, other: &Self) -> bool {
        let is_nameless = self.shop.is_empty() || other.shop.is_empty();
        // A name that was erased cannot be compared.
        let may_share_a_word = match (&self.first_word, &other.first_word) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        is_nameless || self.is_same(other) || (self.mcc == other.mcc && may_share_a_word)
    }

    /// Whether both are the same shop for certain.
    fn is_same(&self, other: &Self) -> bool {
        self.shop.overlaps(&other.shop)
    }
}

/// The letters of a name's first word that has any, in capitals.
fn first_word(name: &str) -> Option<String> {
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let words = name.split_whitespace().map(letters);
    words.map(|word| word.to_uppercase()).find(|word| !word.is_empty())
}

/// What is known of a purchase that a claim names.
#[derive(Debug, Clone)]
pub(super) struct NamedPurchase {
    pub(super) budget: BudgetId,
    pub(super) card: Option<CardToken>,
    pub(super) shop: ShopMatcher,
    /// In which the merchant has claimed, if it is not that of the card.
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

    /// What the first message about a purchase says of it.
    pub(super) fn first(message: &PurchaseMessage<'_>, owner: Option<&BudgetId>) -> Self {
        let about = message.about;
        Self {
            budget: owner.cloned().unwrap_or_else(BudgetId::house),
            card: about.map(|about| about.card.clone()),
            shop: ShopMatcher::of_message(message),
            foreign_currency: foreign_currency_of_claim(message),
        }
    }
}

/// What does not fit between a claim and the purchase that it names, if anything. `owner` is whose
/// the claim's card is; a card that replaces another one is the same person's.
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
        .zip(foreign_currency_of_claim(message))
        .is_some_and(|(one, two)| one != two);
    is_other.then_some(MismatchReason::Currency)
}

/// The merchant's own currency of what was captured, if it is not that of the card.
fn foreign_currency_of(purchase: &Purchase) -> Option<Currency> {
    purchase.merchant_sums.map(|sums| sums.captured.currency())
}

/// The merchant's own currency of a claim, if it is not that of the card.
fn foreign_currency_of_claim(message: &PurchaseMessage<'_>) -> Option<Currency> {
    let claim = message.presentment()?;
    let theirs = claim.about.merchant_amount?.currency();
    Some(theirs).filter(|theirs| *theirs != claim.amount.currency())
}

/// A claim that does not fit the purchase that it names, and where else it may belong.
#[derive(Debug)]
pub(super) struct RelinkOptions {
    pub(super) mismatch: MismatchReason,
    /// Whose the purchase is that it names.
    pub(super) named_budget: BudgetId,
    /// Purchases of the same shop, in the budget of the claim's card.
    pub(super) candidates: BTreeSet<PurchaseReference>,
}

/// Purchases of `budget` at the shop of a claim, on the connection of the claim: the latest ones.
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
    let links = tx.links_since(programme, budget, jiff::Timestamp::MIN, LINKS_MOST).await?;
    let ids: BTreeSet<_> = links.iter().filter_map(|link| link.purchase).collect();
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
    /// Where a claim that does not fit is booked in this budget, which is that of its card.
    pub(super) fn relink<'a>(
        &self,
        message: &PurchaseMessage<'a>,
        relink_options: &RelinkOptions,
    ) -> Result<Option<PurchaseMessage<'a>>, MoneyError> {
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
            return Ok(Some(message.moved_to(only.clone())));
        }
        if relink_options.mismatch != MismatchReason::Card && self.may_keep_link(message) {
            return Ok(Some(PurchaseMessage {
                match_status: MatchStatus::KeptMismatch,
                ..message.clone()
            }));
        }
        Ok(message.as_own_purchase())
    }

    /// Whether every pot that may pay for the named purchase may pay for what the claim is, too: so
    /// no other funder's money moves if the claim stays where it is. Money back never stays.
    fn may_keep_link(&self, message: &PurchaseMessage<'_>) -> bool {
        let is_capture = message
            .presentment()
            .is_some_and(|claim| claim.direction == PresentmentDirection::Capture);
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

/// Whether a claim could be one of `purchase`: a capture of what is still open, a refund of what was
/// captured and has not come back.
fn could_match(purchase: &Purchase, message: &PurchaseMessage<'_>) -> Result<bool, MoneyError> {
    let Some(claim) = message.presentment() else { return Ok(false) };
    let is_same = ShopMatcher::of_purchase(purchase).is_same(&ShopMatcher::of_message(message));
    let is_other = foreign_currency_of(purchase)
        .zip(foreign_currency_of_claim(message))
        .is_some_and(|(a, b)| a != b);
    if !is_same || is_other || purchase.currency != claim.amount.currency() {
        return Ok(false);
    }
    let most = match claim.direction {
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
    Ok(most.is_positive() && claim.amount.minor() <= most.minor())
}

/// `sum`, and what another exchange rate may make of `base`.
fn with_exchange_margin(purchase: &Purchase, sum: Money, base: Money) -> Result<Money, MoneyError> {
    if base.is_zero() { Ok(base) } else { sum.checked_add(purchase.margin.on(base)?) }
}
