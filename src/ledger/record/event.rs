//! Issuers' later messages and presentments as rows.

use jiff::Timestamp;

use super::row::{CanonicalHasher, Digest, Table, Value, columns, text_value};
use crate::domain::id::{ConnectionId, ProgrammeId};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::presentment::{IssuerEvent, Presentment};

/// One row per message of an issuer, stored whole.
pub const ISSUER_EVENT: Table = Table {
    name: "issuer_event",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "kind", Erasable "body",
        Text "body_digest", Number "received_at", Text "state",
    ],
};

/// One row per claim or refund that was booked.
pub const PRESENTMENT: Table = Table {
    name: "presentment",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "event_reference",
        Text "budget_id", Text "purchase_id", Text "purchase_reference", Text "direction",
        Text "currency", Number "amount_minor",
        Number "booked_at",
    ],
};

/// One message of an issuer, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub event: IssuerEvent,
    /// The raw body, as text.
    pub text: String,
    pub received_at: Timestamp,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// It is in the books.
    Booked,
    /// It is stored whole, and means nothing to the books.
    StoredOnly,
    /// It was stored whole before the claim that it is about, and is booked once that is there.
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

    /// The row of the `presentment` that this message tells, once it is known whose it is.
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

/// What the chain vouches for when it books a presentment: the message and what it claimed.
pub fn presentment_digest(event: Digest, presentment: &[Value]) -> Digest {
    let mut canonical = CanonicalHasher::new("presentment with event");
    canonical.digest(event);
    canonical.row(&PRESENTMENT, presentment);
    canonical.finish()
}
