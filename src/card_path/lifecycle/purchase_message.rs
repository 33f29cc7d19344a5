//! An event about a purchase, in one shape for all kinds.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::decision::authorisation::{AuthorisationRequest, PartialApproval};
use crate::domain::id::{PostingId, PurchaseId, PurchaseReference};
use crate::domain::money::limit::CountingAttributes;
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::presentment::{EventBody, Presentment, PurchaseReport};
use crate::domain::purchase::{MerchantDescriptor, NewPurchase, Purchase};
use crate::domain::shop::{ShopIdentity, ShopKey};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, PurchaseKey};
use crate::ledger::record::event::{EventState, ReceivedEvent};
use crate::merchant_rules::built_in_shops;
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};

/// An event about a purchase.
#[derive(Debug, Clone)]
pub(super) struct PurchaseMessage<'a> {
    pub(super) event: &'a ReceivedEvent,
    /// The purchase; a presentment that belongs to none is a purchase of its own.
    pub(super) purchase: PurchaseReference,
    /// What the event reports about the purchase; `None` for a dispute.
    pub(super) about: Option<&'a PurchaseReport>,
    /// What the shop is known by.
    pub(super) shop: ShopIdentity,
    /// How the event is stored; a parked one has its row already.
    pub(super) state: EventState,
    /// When the event is booked: on receipt, or later if it was parked.
    pub(super) booked_at: Timestamp,
    /// The posting that will book the event.
    pub(super) posting: PostingId,
    /// Whether `purchase` is the one that a presentment names.
    pub(super) match_status: MatchStatus,
    /// What does not fit the named purchase; `None` if everything fits.
    pub(super) mismatch: Option<MismatchReason>,
    /// Whether we declined the only known request of the purchase.
    pub(super) is_declined: bool,
    /// Sequences of the requests of the purchase that we declined ourselves, for a snapshot with
    /// declines.
    pub(super) own_declines: BTreeSet<u32>,
}

/// Whether a presentment is booked on the purchase that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchStatus {
    Matched,
    /// It names no purchase.
    Unlinked,
    /// It fits no known purchase, and is booked as one of its own.
    OwnPurchase,
    /// It is booked on the only other purchase that it fits.
    Relinked,
    /// It does not fit, but stays on the named purchase, because the pots that pay there may all
    /// pay for it.
    KeptMismatch,
}

/// Why a presentment does not fit the purchase that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MismatchReason {
    /// The card is another person's.
    Card,
    Shop,
    /// The merchant's currency differs from the earlier one, and neither is the card's.
    Currency,
}

impl<'a> PurchaseMessage<'a> {
    /// The message of `event`; `None` if it names no purchase itself, such as a dispute.
    pub(super) fn of(event: &'a ReceivedEvent, ids: &NewIds) -> Option<Self> {
        let (purchase, about) = match &event.event.body {
            EventBody::Snapshot(report) => (report.purchase.clone(), &report.about),
            EventBody::HoldChange(report) => (report.purchase.clone(), &report.about),
            EventBody::Presentment(presentment) => (
                presentment
                    .purchase
                    .clone()
                    .unwrap_or_else(|| PurchaseReference::of_presentment(&presentment.reference)),
                &presentment.about,
            ),
            EventBody::Dispute(_) | EventBody::Unclear { .. } | EventBody::Other => return None,
        };
        let mut message = Self::of_dispute(event, purchase, ids);
        message.about = Some(about);
        message.shop = ShopIdentity::of([about.merchant.shop_key()]);
        if message.presentment().is_some_and(|presentment| presentment.purchase.is_none()) {
            message.match_status = MatchStatus::Unlinked;
        }
        Some(message)
    }

    /// Identifies the shop by the programme's table of shops. The latest table in memory suffices,
    /// because a presentment is compared with what the purchase was known by when it began.
    pub(super) fn with_known_shop(mut self, directory: &Directory) -> Self {
        if let Some(about) = self.about {
            let programme = directory.latest(&self.event.programme);
            let shops = programme.as_ref().map_or(built_in_shops().as_ref(), |p| p.rules.shops());
            let (shop, merchant) = (shops.identify(&about.merchant), &about.merchant);
            // A network number does not identify a shop of the table, because two may share a till.
            let number = ShopKey::of_network(merchant.network_id(), merchant.mcc());
            let is_known = shops.recognise(merchant).is_some();
            self.shop = shop.only(|key| !is_known || Some(*key) != number);
        }
        self
    }

    /// The message of a dispute about `purchase`.
    pub(super) fn of_dispute(
        event: &'a ReceivedEvent,
        purchase: PurchaseReference,
        ids: &NewIds,
    ) -> Self {
        Self {
            event,
            purchase,
            about: None,
            shop: ShopIdentity::default(),
            state: EventState::Booked,
            booked_at: event.received_at,
            posting: PostingId::new(ids.next(event.received_at)),
            match_status: MatchStatus::Matched,
            mismatch: None,
            is_declined: false,
            own_declines: BTreeSet::new(),
        }
    }

    /// The presentment moved to another purchase.
    pub(super) fn moved_to(&self, purchase: &PurchaseReference, match_status: MatchStatus) -> Self {
        Self { purchase: purchase.clone(), match_status, ..self.clone() }
    }

    /// The presentment, if the event is one.
    pub(super) fn presentment(&self) -> Option<&'a Presentment> {
        match &self.event.event.body {
            EventBody::Presentment(presentment) => Some(presentment),
            EventBody::Snapshot(_)
            | EventBody::HoldChange(_)
            | EventBody::Dispute(_)
            | EventBody::Unclear { .. }
            | EventBody::Other => None,
        }
    }

    /// The billing currency of the event, if it reports one.
    pub(super) fn currency(&self) -> Option<Currency> {
        match &self.event.event.body {
            EventBody::Dispute(report) => Some(report.amount.currency()),
            EventBody::Presentment(presentment) => Some(presentment.amount.currency()),
            EventBody::Snapshot(_)
            | EventBody::HoldChange(_)
            | EventBody::Unclear { .. }
            | EventBody::Other => self.about.map(|about| about.cash_back.currency()),
        }
    }

    /// Applies the merchant's currency to `purchase`, if the event reports it.
    pub(super) fn note_currency(&self, purchase: &mut Purchase) {
        if let Some(theirs) = self.about.and_then(|about| about.merchant_currency) {
            purchase.apply_merchant_currency(theirs);
        }
    }

    /// The key of the purchase in its book.
    pub(super) fn key(&self) -> PurchaseKey {
        (self.event.connection.clone(), self.purchase.clone())
    }

    /// A purchase that is known from this event only; `None` for a dispute.
    pub(super) fn new_purchase(&self, book: &Book, programme: &Programme) -> Option<Purchase> {
        let about = self.about?;
        Some(Purchase::begin(NewPurchase {
            // The first posting has the same id: the list of purchases finds the first link by it.
            id: PurchaseId::new(self.posting.uuid()),
            budget: book.budget.clone(),
            connection: self.event.connection.clone(),
            reference: self.purchase.clone(),
            card: about.card.clone(),
            currency: book.currency,
            counted: self.counted(about, book, programme),
            place: MerchantDescriptor::new(about.merchant.name()),
            margin: programme.settings.exchange_margin,
        }))
    }

    /// The counting attributes of the purchase, computed as for an authorisation request.
    pub(super) fn counted(
        &self,
        about: &PurchaseReport,
        book: &Book,
        programme: &Programme,
    ) -> CountingAttributes {
        let nothing = Money::zero(book.currency);
        let request = AuthorisationRequest {
            programme: self.event.programme.clone(),
            connection: self.event.connection.clone(),
            reference: self.event.event.reference.clone(),
            purchase: self.purchase.clone(),
            sequence: 0,
            card: about.card.clone(),
            amount: nothing,
            bought_at: about.bought_at,
            cash_back: about.cash_back,
            atm_fee: about.atm_fee,
            transaction_amount: nothing,
            has_unread_price: false,
            kind: about.kind,
            presence: about.presence,
            partial: PartialApproval::NotAllowed,
            merchant: about.merchant.clone(),
        };
        let moment = Moment::new(self.event.received_at, programme.zone());
        programme.counted(&request, book.agreement(), moment)
    }
}
