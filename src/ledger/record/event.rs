//! Stored rows of issuer events and presentments.

use jiff::Timestamp;

use super::column::{Erasable, word_columns};
use super::row::{CanonicalHasher, Digest, Value};
use super::table::{Record as _, record};
use crate::domain::id::{
    BudgetId, ConnectionId, IssuerReference, ProgrammeId, PurchaseId, PurchaseReference,
};
use crate::domain::money::Currency;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::presentment::{IssuerEvent, Presentment, PresentmentDirection};
use crate::domain::stored_enum::stored_enum;

record! {
    /// One row per issuer event, stored whole.
    pub struct IssuerEventRow in "issuer_event" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub reference: IssuerReference,
        /// The issuer's own name for the kind of event.
        pub kind: String,
        /// The raw body, as text; `None` after erasure.
        pub body: Erasable<Option<String>>,
        pub body_digest: Digest,
        pub received_at: Timestamp,
        pub state: EventState,
    }
}

record! {
    /// One row per booked capture or refund.
    pub struct PresentmentRow in "presentment" key(programme_id, connection_id, reference) {
        pub programme_id: ProgrammeId,
        pub connection_id: ConnectionId,
        pub reference: IssuerReference,
        /// The issuer event that reported it.
        pub event_reference: IssuerReference,
        pub budget_id: BudgetId,
        pub purchase_id: PurchaseId,
        pub purchase_reference: PurchaseReference,
        pub direction: PresentmentDirection,
        pub currency: Currency,
        pub amount_minor: i64,
        pub booked_at: Timestamp,
    }
}

/// An issuer event as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub event: IssuerEvent,
    /// The raw body, as text.
    pub text: String,
    pub received_at: Timestamp,
}

stored_enum!(
    /// How an event was processed.
    EventState {
        /// Booked in the ledger.
        Booked => "booked",
        /// Stored only; the ledger does not use it.
        StoredOnly => "kept",
        /// Arrived before the presentment that it is about; booked once the presentment is booked.
        Parked => "parked",
    }
);

word_columns!(EventState);

impl ReceivedEvent {
    /// The row to store.
    pub fn row(&self, state: EventState) -> Vec<Value> {
        let row = IssuerEventRow {
            programme_id: self.programme.clone(),
            connection_id: self.connection.clone(),
            reference: self.event.reference.clone(),
            kind: self.event.kind.clone(),
            body: Erasable(Some(self.text.clone())),
            body_digest: Digest::of_text(&self.text),
            received_at: self.received_at,
            state,
        };
        row.into_row()
    }

    /// The row of the `presentment` in this event, once its purchase is known.
    pub fn presentment_row(&self, presentment: &Presentment, purchase: &Purchase) -> Vec<Value> {
        let row = PresentmentRow {
            programme_id: self.programme.clone(),
            connection_id: self.connection.clone(),
            reference: presentment.reference.clone(),
            event_reference: self.event.reference.clone(),
            budget_id: purchase.budget.clone(),
            purchase_id: purchase.id,
            purchase_reference: purchase.reference.clone(),
            direction: presentment.direction,
            currency: presentment.amount.currency(),
            amount_minor: presentment.amount.minor(),
            booked_at: self.received_at,
        };
        row.into_row()
    }
}

/// The digest that the chain records for a booked presentment: the event and the presentment's row.
pub fn presentment_digest(event: Digest, presentment: &[Value]) -> Digest {
    let mut canonical = CanonicalHasher::new("presentment with event");
    canonical.digest(event);
    canonical.row(PresentmentRow::TABLE, presentment);
    canonical.finish()
}
