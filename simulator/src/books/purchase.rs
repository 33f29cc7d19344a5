//! One purchase in the books: what was said about it, and what it drew.

use jiff::civil::Date;

use crate::shops::{PurchaseChannel, Shop};

/// One purchase, under the number that the plan gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// Index into the books' people.
    pub(crate) person: usize,
    pub(crate) shop: &'static Shop,
    /// Where the card was used, as far as the first message about it told.
    pub(crate) channel: PurchaseChannel,
    /// The local day on which it counts towards limits, all of it.
    pub(crate) day: Date,
    /// How many hundredths are kept aside besides, because the exchange rate may change.
    margin_percent: i64,
    pub(crate) approvals: Vec<AuthorisationApproval>,
    /// The issuer's latest word.
    snapshot: Option<AuthorisationSnapshot>,
    pub(crate) captured_minor: i64,
    /// What came back, wherever it went.
    pub(crate) refunded_minor: i64,
    /// Captures that named this purchase and did not fit it.
    pub(super) elsewhere_minor: i64,
    /// What the shop took and gave back in its own currency.
    pub(super) merchant_amount: MerchantAmounts,
    /// What came back beyond what was captured because the rate had changed, and the pot that has it.
    pub(super) exchange: Option<(usize, i64)>,
    /// What a cash machine takes for itself: it is no cash.
    pub(crate) fee_minor: i64,
    /// In the order in which the pots were drawn.
    pub(crate) draws: Vec<PotDraw>,
    /// Captured beyond all pots, and not given back.
    pub(super) uncovered_minor: i64,
    /// Given back beyond what was captured.
    pub(super) in_suspense_minor: i64,
}

/// What was approved of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorisationApproval {
    /// The number of the question: 0 for the first.
    pub(crate) request_number: usize,
    pub(crate) amount_minor: i64,
    /// The number of the OK without which it would not have been.
    pub(crate) allowed: Option<usize>,
}

/// What was captured and refunded in the shop's own currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MerchantAmounts {
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

/// The issuer's snapshot of a purchase, at its place among the others: the last one is true,
/// whenever and in whatever order they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorisationSnapshot {
    /// Unix seconds.
    pub(crate) at: i64,
    /// Whether it is not the first about its purchase.
    pub(crate) is_update: bool,
    /// How many questions had been answered.
    pub(crate) answers: usize,
    /// How many captures it lists.
    pub(crate) captures_listed: usize,
    pub(crate) status: HoldStatus,
}

/// How a purchase stands at the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldStatus {
    /// So much is held, captures included.
    Open(i64),
    /// So much was claimed, and no more will be.
    Closed(i64),
    Declined,
    Expired,
    Reversed,
}

impl AuthorisationSnapshot {
    pub(crate) const fn is_over(&self) -> bool {
        !matches!(self.status, HoldStatus::Open(_))
    }

    /// What is held, or was claimed, in total; none once it was undone.
    const fn total_minor(&self) -> Option<i64> {
        match self.status {
            HoldStatus::Open(total) | HoldStatus::Closed(total) => Some(total),
            HoldStatus::Declined | HoldStatus::Expired | HoldStatus::Reversed => None,
        }
    }

    /// Of two made in the same second the one is later that knows more; of two that know as much the
    /// one that holds less. The event that told it has no say.
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
    /// All that was ever claimed of it, given back or not.
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
            elsewhere_minor: 0,
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

    /// Whether any of it was approved by the OK of that number.
    pub(super) fn uses(&self, allowed: usize) -> bool {
        self.approvals.iter().any(|approval| approval.allowed == Some(allowed))
    }

    /// It begins anew: what was approved before, and given back, has used nothing.
    pub(super) fn forget_permissions(&mut self) {
        for approval in &mut self.approvals {
            approval.allowed = None;
        }
    }

    pub(crate) fn held_minor(&self) -> i64 {
        self.draws.iter().map(|draw| draw.held_minor).sum()
    }

    /// What is kept aside of what was asked, and what was claimed: while it is anything, the purchase
    /// counts as one.
    pub(crate) fn committed_minor(&self) -> i64 {
        self.held_minor() - self.margin_held_minor() + self.captured_minor
    }

    /// What counts towards limits: what is committed, without what came back.
    pub(crate) fn counted_minor(&self) -> i64 {
        self.committed_minor() - self.refunded_minor.min(self.captured_minor)
    }

    /// Whether nothing was ever kept aside or claimed.
    pub(super) fn is_untouched(&self) -> bool {
        self.draws.is_empty() && self.captured_minor == 0
    }

    /// What came back beyond what was captured, as far as another rate explains it; nothing where the
    /// shop gave more back in its own currency than it had taken.
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

    /// What should be kept aside: what is asked, and its margin.
    pub(super) fn wanted_minor(&self) -> i64 {
        self.asked_minor() + self.margin_minor()
    }

    /// What should be kept aside because the rate may change: hundredths of all that is asked, up to
    /// a whole penny, until nothing is asked any more or the shop has told its last claim.
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

    /// What is kept aside beyond what is asked. More of the same purchase may use it.
    pub(crate) fn margin_held_minor(&self) -> i64 {
        (self.held_minor() - self.asked_minor()).max(0)
    }

    /// What was approved of questions that the issuer's word does not know of.
    fn unconfirmed_minor(&self) -> i64 {
        let known = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.answers);
        let newer = self.approvals.iter().filter(|approval| approval.request_number >= known);
        newer.map(|approval| approval.amount_minor).sum()
    }

    /// What is asked to be kept aside: what the issuer's word says, and what was approved of questions
    /// that the word does not know of, less what was claimed.
    fn asked_minor(&self) -> i64 {
        let unconfirmed = self.unconfirmed_minor();
        let reported = match self.snapshot.as_ref().map(|snapshot| snapshot.status) {
            Some(HoldStatus::Declined | HoldStatus::Expired | HoldStatus::Reversed) => {
                return unconfirmed;
            }
            Some(HoldStatus::Open(total)) => total,
            Some(HoldStatus::Closed(claimed)) => (claimed - self.elsewhere_minor).max(0),
            None => 0,
        };
        (reported + unconfirmed - self.captured_minor).max(0)
    }
}
