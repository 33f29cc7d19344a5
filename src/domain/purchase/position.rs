//! Where a message stands among all messages of its issuer about one authorisation or dispute.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::domain::id::IssuerReference;

/// Whether a message is the first about its subject, by its own kind and not by its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    Created,
    Updated,
}

impl MessageKind {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Created, Self::Updated].into_iter().find(|kind| kind.word() == word)
    }
}

/// The place of a snapshot in the issuer's order: the last one is true.
///
/// The order depends on the content of messages alone, because several may be made in one second
/// and event identifiers are random. A snapshot that knows more comes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePosition {
    /// When the issuer made the message, to the second.
    pub at: Timestamp,
    pub kind: MessageKind,
    /// How many questions had been answered by then.
    pub answers: u32,
    /// How many captures and refunds it lists.
    pub listed: u32,
    /// 0 while open, 1 when over.
    pub over: u8,
    /// The message, for people. It takes no part in the order.
    pub reference: IssuerReference,
}

/// Compares snapshots; the content of two that compare equal is the same.
pub type MessageRank = (Timestamp, MessageKind, u32, u32, u8, IsFromIssuer, Reverse<i64>, u8);

/// Whether an issuer said it. At the same place anything that an issuer says beats our own clock.
type IsFromIssuer = bool;

impl MessagePosition {
    /// The rank of a message at this position that says `minor` (of two totals the lower is later:
    /// a reversal is known there) and `outcome`, which breaks the last ties.
    pub fn rank(&self, minor: i64, outcome: u8) -> MessageRank {
        let is_from_issuer = self.reference != IssuerReference::own();
        let Self { at, kind, answers, listed, over, reference: _ } = self;
        (*at, *kind, *answers, *listed, *over, is_from_issuer, Reverse(minor), outcome)
    }
}
