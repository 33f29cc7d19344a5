//! What one message, or our own clock, changed about one purchase: what exceptions and messages to
//! people are made from.

use jiff::Timestamp;

use crate::domain::purchase::Purchase;
use crate::ledger::record::event::ReceivedEvent;

/// A purchase before and after it was booked, in the same transaction.
#[derive(Debug)]
pub(super) struct PurchaseChange<'a> {
    /// As it was. Of a purchase that begins with this message: nothing has happened to it.
    pub(super) before: &'a Purchase,
    pub(super) after: &'a Purchase,
    pub(super) cause: ChangeCause<'a>,
    /// When it is booked.
    pub(super) at: Timestamp,
}

impl PurchaseChange<'_> {
    /// Whether the programme owes more for it than before, because no pot had the money.
    pub(super) const fn is_more_owed(&self) -> bool {
        self.after.exposure.minor() > self.before.exposure.minor()
    }
}

/// Why it changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChangeCause<'a> {
    Message(&'a ReceivedEvent),
    /// Its time ran out by our own clock.
    Expiry,
}
