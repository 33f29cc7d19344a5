//! Stored rows of issuer events and presentments.

use jiff::Timestamp;

use super::row::{CanonicalHasher, Digest, Table, Value, columns, text_value};
use crate::domain::id::{ConnectionId, ProgrammeId};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::presentment::{IssuerEvent, Presentment};

/// One row per issuer event, stored whole.
pub const ISSUER_EVENT: Table = Table {
    name: "issuer_event",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "kind", Erasable "body",
        Text "body_digest", Number "received_at", Text "state",
    ],
};

/// One row per booked capture or refund.
pub const PRESENTMENT: Table = Table {
    name: "presentment",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "event_reference",
        Text "budget_id", Text "purchase_id", Text "purchase_reference", Text "direction",
        Text "currency", Number "amount_minor",
        Number "booked_at",
    ],
};

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

/// How an event was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Booked in the ledger.
    Booked,
    /// Stored only; the ledger does not use it.
    StoredOnly,
    /// Stored before the presentment that it is about; booked when that arrives.
    Parked,
}

impl EventState {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::StoredOnly => "kept",
            Self::Parked => "parked",
        }
    }
}

impl ReceivedEvent {
    /// The row to store.
    pub fn row(&self, state: EventState) -> Vec<Value> {
        vec![
            text_value(&self.programme),
            text_value(&self.connection),
            text_value(&self.event.reference),
            self.event.kind.as_str().into(),
            self.text.as_str().into(),
            Digest::of_text(&self.text).into(),
            self.received_at.into(),
            state.word().into(),
        ]
    }

    /// The row of the `presentment` in this event, once its purchase is known.
    pub fn presentment_row(&self, presentment: &Presentment, purchase: &Purchase) -> Vec<Value> {
        vec![
            text_value(&self.programme),
            text_value(&self.connection),
            text_value(&presentment.reference),
            text_value(&self.event.reference),
            text_value(&purchase.budget),
            text_value(purchase.id),
            text_value(&purchase.reference),
            presentment.direction.word().into(),
            presentment.amount.currency().code().into(),
            presentment.amount.into(),
            self.received_at.into(),
        ]
    }
}

/// The digest that the chain records for a booked presentment: the event and the presentment's row.
pub fn presentment_digest(event: Digest, presentment: &[Value]) -> Digest {
    let mut canonical = CanonicalHasher::new("presentment with event");
    canonical.digest(event);
    canonical.row(&PRESENTMENT, presentment);
    canonical.finish()
}
