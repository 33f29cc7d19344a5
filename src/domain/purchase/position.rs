//! The order of an issuer's messages about one authorisation or dispute.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::domain::id::IssuerReference;
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// Whether a message announces its subject or updates it, by its own kind and not by its
    /// arrival.
    MessageKind {
        Created => "created",
        Updated => "updated",
    }
);

/// The position of a message in the issuer's order: the last one describes the current state.
///
/// The order depends on message content alone, because several messages may be created in one
/// second and event identifiers are random. A message that includes more ranks later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePosition {
    /// When the issuer created the message; whole seconds.
    pub at: Timestamp,
    pub kind: MessageKind,
    /// The number of authorisation requests answered by then.
    pub answers: u32,
    /// The number of captures and refunds that it lists.
    pub listed: u32,
    /// 0 while open, 1 when closed.
    pub over: u8,
    /// The message's identifier, for people; not part of the order.
    pub reference: IssuerReference,
}

/// Sort key of messages; messages with equal keys have the same content.
pub type MessageRank = (Timestamp, MessageKind, u32, u32, u8, IsFromIssuer, Reverse<i64>, u8);

/// Whether the issuer sent it. At an equal position the issuer's message outranks our own expiry.
type IsFromIssuer = bool;

impl MessagePosition {
    /// The rank of a message at this position with the amount `minor`; of two totals the lower
    /// ranks later, because it includes a reversal. `outcome` breaks the remaining ties.
    pub fn rank(&self, minor: i64, outcome: u8) -> MessageRank {
        let is_from_issuer = self.reference != IssuerReference::own();
        let Self { at, kind, answers, listed, over, reference: _ } = self;
        (*at, *kind, *answers, *listed, *over, is_from_issuer, Reverse(minor), outcome)
    }
}
