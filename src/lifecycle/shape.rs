//! What a later message is about, whatever its kind.

use jiff::Timestamp;

use crate::domain::authorisation::{AuthorisationRequest, PartialAmounts};
use crate::domain::id::{IssuerReference, PurchaseId, PurchaseReference};
use crate::domain::limit::Counted;
use crate::domain::money::{Currency, Money};
use crate::domain::period::Moment;
use crate::domain::presentment::{EventBody, Presentment, PurchaseReport};
use crate::domain::purchase::{Beginning, Place, Purchase};
use crate::ids::NewIds;
use crate::ledger::book::{Book, PurchaseKey};
use crate::programme::directory::Programme;
use crate::record::event::{EventState, ReceivedEvent};

/// A message about a purchase.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    pub(super) event: &'a ReceivedEvent,
    /// The purchase; a claim that belongs to none is a purchase of its own.
    pub(super) purchase: PurchaseReference,
    /// What it says about the purchase; a dispute says nothing.
    pub(super) about: Option<&'a PurchaseReport>,
    /// How the message is stored: one that was parked has its row already.
    pub(super) state: EventState,
    /// When it goes into the books: as it came, or later if it was parked.
    pub(super) booked_at: Timestamp,
}

impl<'a> Shape<'a> {
    /// The shape of `event`, if it names its purchase.
    pub(super) fn of(event: &'a ReceivedEvent) -> Option<Self> {
        let (purchase, about) = match &event.event.body {
            EventBody::Standing(report) => (report.purchase.clone(), &report.about),
            EventBody::HoldChange(report) => (report.purchase.clone(), &report.about),
            EventBody::Presentment(presentment) => {
                (presentment.purchase.clone().or_else(|| own(presentment))?, &presentment.about)
            }
            EventBody::Dispute(_) | EventBody::Unclear { .. } | EventBody::Other => return None,
        };
        let booked_at = event.received_at;
        Some(Self { event, purchase, about: Some(about), state: EventState::Booked, booked_at })
    }

    /// The shape of a dispute about `purchase`.
    pub(super) const fn disputed(event: &'a ReceivedEvent, purchase: PurchaseReference) -> Self {
        let booked_at = event.received_at;
        Self { event, purchase, about: None, state: EventState::Booked, booked_at }
    }

    /// The claim, if it is one.
    pub(super) fn presentment(&self) -> Option<&'a Presentment> {
        match &self.event.event.body {
            EventBody::Presentment(presentment) => Some(presentment),
            EventBody::Standing(_)
            | EventBody::HoldChange(_)
            | EventBody::Dispute(_)
            | EventBody::Unclear { .. }
            | EventBody::Other => None,
        }
    }

    /// The currency of the message.
    pub(super) fn currency(&self) -> Option<Currency> {
        match &self.event.event.body {
            EventBody::Dispute(report) => Some(report.amount.currency()),
            EventBody::Presentment(presentment) => Some(presentment.amount.currency()),
            EventBody::Standing(_)
            | EventBody::HoldChange(_)
            | EventBody::Unclear { .. }
            | EventBody::Other => self.about.map(|about| about.cash_back.currency()),
        }
    }

    /// Tells `purchase` the merchant's own currency, if the message does.
    pub(super) fn tell_currency(&self, purchase: &mut Purchase) {
        if let Some(theirs) = self.about.and_then(|about| about.merchant_currency) {
            purchase.hear_currency(theirs);
        }
    }

    /// The purchase's place in its book.
    pub(super) fn key(&self) -> PurchaseKey {
        (self.event.connection.clone(), self.purchase.clone())
    }

    /// A purchase that is known from this message only; none from a dispute.
    pub(super) fn new_purchase(
        &self,
        book: &Book,
        programme: &Programme,
        ids: &NewIds,
    ) -> Option<Purchase> {
        let about = self.about?;
        Some(Purchase::begin(Beginning {
            id: PurchaseId::new(ids.next(self.event.received_at)),
            budget: book.budget.clone(),
            connection: self.event.connection.clone(),
            reference: self.purchase.clone(),
            card: about.card.clone(),
            currency: book.currency,
            counted: self.counted(about, book, programme),
            place: Place::new(about.merchant.name()),
            margin: programme.settings.exchange_margin,
        }))
    }

    /// What the purchase counts as: as if it had been asked about when the message came.
    fn counted(&self, about: &PurchaseReport, book: &Book, programme: &Programme) -> Counted {
        let nothing = Money::zero(book.currency);
        let request = AuthorisationRequest {
            programme: self.event.programme.clone(),
            connection: self.event.connection.clone(),
            reference: self.event.event.reference.clone(),
            purchase: self.purchase.clone(),
            sequence: 0,
            card: about.card.clone(),
            amount: nothing,
            bought_at: None,
            cash_back: about.cash_back,
            atm_fee: nothing,
            transaction_amount: nothing,
            has_unread_price: false,
            kind: about.kind,
            presence: about.presence,
            partial: PartialAmounts::NotAllowed,
            merchant: about.merchant.clone(),
        };
        let moment = Moment::new(self.event.received_at, programme.zone());
        programme.counted(&request, book.agreement(), moment)
    }
}

/// A claim without a purchase is known by its own identifier.
fn own(presentment: &Presentment) -> Option<PurchaseReference> {
    let reference: &IssuerReference = &presentment.reference;
    reference.as_str().parse().ok()
}
