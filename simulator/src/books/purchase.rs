//! One purchase in the books: its approvals, its snapshot and its draws.

use jiff::civil::Date;

use crate::shops::{PurchaseChannel, Shop};

/// One purchase, keyed by its number in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// Index into the books' people.
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    /// Where the card was used, according to the first message about the purchase.
    pub(crate) channel: PurchaseChannel,
    /// The local day on which all of it counts towards limits.
    pub(crate) day: Date,
    /// Percentage of the hold that is held in addition, because the exchange rate may change.
    margin_percent: i64,
    pub(crate) approvals: Vec<AuthorisationApproval>,
    /// The issuer's latest snapshot.
    snapshot: Option<AuthorisationSnapshot>,
    pub(crate) captured_minor: i64,
    /// Sum of the refunds, including what is in suspense.
    pub(crate) refunded_minor: i64,
    /// Sums of the captures and the refunds in the shop's own currency.
    pub(super) merchant_amount: MerchantAmounts,
    /// The exchange gain of the refunds, in minor units, and the pot that received it.
    pub(super) exchange: Option<(usize, i64)>,
    /// Fee of a cash machine, which is not part of the cash.
    pub(crate) fee_minor: i64,
    /// In the order in which the pots were drawn.
    pub(crate) draws: Vec<PotDraw>,
    /// Captured beyond what the pots held, and not refunded.
    pub(super) uncovered_minor: i64,
    /// Refunded beyond what was captured.
    pub(super) in_suspense_minor: i64,
}

/// The approval of one authorisation request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorisationApproval {
    /// Index among the purchase's authorisation requests: 0 for the first.
    pub(crate) request_number: usize,
    pub(crate) amount_minor: i64,
    /// Index of the permission without which the request would have been declined.
    pub(crate) allowed: Option<usize>,
}

/// Captured and refunded amounts in the shop's own currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MerchantAmounts {
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

/// The issuer's snapshot of a purchase, with the fields that order it. The last one in that order
/// is true, because snapshots arrive in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorisationSnapshot {
    /// Unix seconds.
    pub(crate) at: i64,
    /// Whether it is not the first snapshot of its purchase.
    pub(crate) is_update: bool,
    /// How many authorisation requests had been answered.
    pub(crate) answers: usize,
    /// How many captures it lists.
    pub(crate) captures_listed: usize,
    pub(crate) status: HoldStatus,
}

/// The status of a purchase at the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldStatus {
    /// The held amount, captures included, in minor units.
    Open(i64),
    /// The captured amount, with no more captures to come, in minor units.
    Closed(i64),
    Declined,
    Expired,
    Reversed,
}

impl AuthorisationSnapshot {
    pub(crate) const fn is_over(&self) -> bool {
        !matches!(self.status, HoldStatus::Open(_))
    }

    /// The held or captured total in minor units; `None` when nothing of the purchase is left.
    const fn total_minor(&self) -> Option<i64> {
        match self.status {
            HoldStatus::Open(total) | HoldStatus::Closed(total) => Some(total),
            HoldStatus::Declined | HoldStatus::Expired | HoldStatus::Reversed => None,
        }
    }

    /// Order among snapshots. Within one second the one that knows more requests and captures is
    /// later; among equals the one that holds less. The event type does not matter.
    fn order_key(&self) -> (i64, bool, usize, usize, bool, i64, u8) {
        let kind = match self.status {
            HoldStatus::Open(_) => 0,
            HoldStatus::Closed(_) => 1,
            HoldStatus::Declined => 2,
            HoldStatus::Expired => 3,
            HoldStatus::Reversed => 4,
        };
        let less = -self.total_minor().unwrap_or(0);
        (self.at, self.is_update, self.answers, self.captures_listed, self.is_over(), less, kind)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PotDraw {
    /// Index into the person's `pots`.
    pub(crate) pot: usize,
    pub(crate) held_minor: i64,
    pub(crate) spent_minor: i64,
    /// Sum of all captures from the pot, refunded or not.
    pub(crate) paid_minor: i64,
}

impl Purchase {
    pub(super) fn begin(
        (person, shop): (usize, &'static Shop),
        channel: PurchaseChannel,
        day: Date,
        margin_percent: i64,
    ) -> Self {
        Self {
            person,
            shop,
            channel,
            day,
            margin_percent,
            approvals: Vec::new(),
            snapshot: None,
            captured_minor: 0,
            refunded_minor: 0,
            merchant_amount: MerchantAmounts::default(),
            exchange: None,
            fee_minor: 0,
            draws: Vec::new(),
            uncovered_minor: 0,
            in_suspense_minor: 0,
        }
    }

    pub(super) fn apply_snapshot(&mut self, snapshot: AuthorisationSnapshot) {
        if self.snapshot.as_ref().is_none_or(|known| known.order_key() < snapshot.order_key()) {
            self.snapshot = Some(snapshot);
        }
    }

    /// Whether any approval used the permission.
    pub(super) fn uses(&self, allowed: usize) -> bool {
        self.approvals.iter().any(|approval| approval.allowed == Some(allowed))
    }

    /// Drops the use of permissions, because the purchase starts again after its hold was released.
    pub(super) fn forget_permissions(&mut self) {
        for approval in &mut self.approvals {
            approval.allowed = None;
        }
    }

    pub(crate) fn held_minor(&self) -> i64 {
        self.draws.iter().map(|draw| draw.held_minor).sum()
    }

    /// The hold without its margin, plus the captures. While it is above zero, the purchase counts
    /// as one.
    pub(crate) fn committed_minor(&self) -> i64 {
        self.held_minor() - self.margin_held_minor() + self.captured_minor
    }

    /// What counts towards limits: the committed amount without the refunds.
    pub(crate) fn counted_minor(&self) -> i64 {
        self.committed_minor() - self.refunded_minor.min(self.captured_minor)
    }

    /// Whether nothing was ever held or captured.
    pub(super) fn is_untouched(&self) -> bool {
        self.draws.is_empty() && self.captured_minor == 0
    }

    /// The part of the refunds beyond the captures that an exchange rate change explains; zero if
    /// the shop refunded more in its own currency than it had captured.
    pub(super) fn wanted_exchange_minor(&self) -> i64 {
        if self.merchant_amount.refunded > self.merchant_amount.captured || self.captured_minor == 0
        {
            return 0;
        }
        let margin_minor = (self.captured_minor * self.margin_percent + 99) / 100;
        (self.refunded_minor - self.captured_minor).clamp(0, margin_minor)
    }

    pub(super) const fn margin_percent(&self) -> i64 {
        self.margin_percent
    }

    /// The amount that should be held, margin included.
    pub(super) fn wanted_minor(&self) -> i64 {
        self.asked_minor() + self.margin_minor()
    }

    /// The margin that should be held because the exchange rate may change: a percentage of the
    /// hold, rounded up to a minor unit. Zero once nothing is to be held.
    pub(super) fn margin_minor(&self) -> i64 {
        let estimate_minor = match &self.snapshot {
            Some(snapshot) => match snapshot.status {
                HoldStatus::Open(total) => total + self.unconfirmed_minor(),
                HoldStatus::Closed(_)
                | HoldStatus::Declined
                | HoldStatus::Expired
                | HoldStatus::Reversed => self.unconfirmed_minor(),
            },
            None => self.unconfirmed_minor(),
        };
        if self.asked_minor() > 0 { (estimate_minor * self.margin_percent + 99) / 100 } else { 0 }
    }

    /// The part of the hold beyond the requested amount. An increment may use it.
    pub(crate) fn margin_held_minor(&self) -> i64 {
        (self.held_minor() - self.asked_minor()).max(0)
    }

    /// Sum of the approvals that the latest snapshot does not include yet.
    fn unconfirmed_minor(&self) -> i64 {
        let known = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.answers);
        let newer = self.approvals.iter().filter(|approval| approval.request_number >= known);
        newer.map(|approval| approval.amount_minor).sum()
    }

    /// The amount that should be held without margin: the snapshot's amount plus the approvals that
    /// it does not include, less the captures.
    fn asked_minor(&self) -> i64 {
        let unconfirmed = self.unconfirmed_minor();
        let reported = match self.snapshot.as_ref().map(|snapshot| snapshot.status) {
            Some(HoldStatus::Declined | HoldStatus::Expired | HoldStatus::Reversed) => {
                return unconfirmed;
            }
            Some(HoldStatus::Open(total) | HoldStatus::Closed(total)) => total,
            None => 0,
        };
        (reported + unconfirmed - self.captured_minor).max(0)
    }
}
