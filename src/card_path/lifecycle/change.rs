//! What one event, or an expiry, changed about one purchase: the source of exceptions and
//! notifications.

use jiff::Timestamp;

use crate::domain::purchase::Purchase;
use crate::ledger::record::event::ReceivedEvent;

/// A purchase before and after a booking, in the same transaction.
#[derive(Debug)]
pub(super) struct PurchaseChange<'a> {
    /// The purchase before the booking; a new one has no holds or captures yet.
    pub(super) before: &'a Purchase,
    pub(super) after: &'a Purchase,
    pub(super) cause: ChangeCause<'a>,
    /// When the change is booked.
    pub(super) at: Timestamp,
}

impl PurchaseChange<'_> {
    /// Whether the programme owes more for the purchase than before, because no pot had the money.
    pub(super) const fn is_more_owed(&self) -> bool {
        self.after.exposure.minor() > self.before.exposure.minor()
    }
}

/// Why the purchase changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChangeCause<'a> {
    Message(&'a ReceivedEvent),
    /// The hold expired by our own clock.
    Expiry,
}
