//! Issuer events after the authorisation. They are booked and cannot be declined.

use jiff::Timestamp;

use crate::domain::decision::authorisation::{Presence, PurchaseKind};
use crate::domain::id::{CardToken, IssuerReference, PurchaseReference};
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::dispute::DisputeReport;
use crate::domain::purchase::position::{MessagePosition, MessageRank};
use crate::domain::shop::merchant::Merchant;
use crate::domain::stored_enum::stored_enum;

/// One issuer event, mapped to our terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerEvent {
    /// The event's identifier. The same event may arrive any number of times.
    pub reference: IssuerReference,
    /// The issuer's own name for the kind of event.
    pub kind: String,
    pub body: EventBody,
}

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    /// The current status of an authorisation.
    Snapshot(Box<AuthorisationSnapshot>),
    /// A change of a hold, relative to its current amount.
    HoldChange(Box<HoldChange>),
    /// A capture or a refund in clearing.
    Presentment(Box<Presentment>),
    /// A dispute of a capture, or its funds.
    Dispute(Box<DisputeReport>),
    /// A genuine event that could not be decoded. Stored whole, for manual checking.
    Unclear {
        /// The deviation from the issuer's documentation.
        why: String,
    },
    /// A kind of event that the ledger does not use. Stored whole.
    Other,
}

/// The attributes of a purchase that every message about it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseReport {
    pub card: CardToken,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub cash_back: Money,
    /// The cash machine operator's own fee.
    pub atm_fee: Money,
    /// The merchant's currency, if the message states it.
    pub merchant_currency: Option<Currency>,
    /// The amount of a presentment in the merchant's currency; `None` if the message does not state
    /// it exactly.
    pub merchant_amount: Option<Money>,
    pub merchant: Merchant,
    /// When the purchase was made by the issuer's clock; for a capture without authorisation, when
    /// it was cleared.
    pub bought_at: Option<Timestamp>,
}

/// A snapshot of an authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationSnapshot {
    pub purchase: PurchaseReference,
    pub about: PurchaseReport,
    pub status: AuthorisationStatus,
    pub position: MessagePosition,
    /// All requests answered so far, by us or the issuer, in order of their sequence number.
    pub answers: Vec<IssuerAnswer>,
}

/// The response that the merchant received to one authorisation request, as the issuer reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerAnswer {
    pub is_approved: bool,
    /// The requested amount.
    pub amount: Money,
    /// The issuer's code for who decided and why.
    pub reason: Option<String>,
    /// Whether the issuer states that it did not use our response: none arrived in time, or its own
    /// funds were insufficient.
    pub is_without_us: bool,
}

/// The status of an authorisation at the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorisationStatus {
    /// The issuer holds `total` for the merchant; increments and captures are included.
    Open { total: Money },
    /// The merchant has claimed `claimed` in total and will claim no more. The part not captured
    /// yet stays held, because its capture is on the way.
    Closed { claimed: Money },
    /// The merchant reversed it.
    Reversed,
    /// The hold expired at the issuer. A late capture may still arrive.
    Expired,
    /// Declined by us or by another party.
    Declined,
}

impl AuthorisationStatus {
    /// The word that is stored.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Closed { .. } => "closed",
            Self::Reversed => "reversed",
            Self::Expired => "expired",
            Self::Declined => "declined",
        }
    }

    /// The total of an open or closed authorisation, captures included.
    pub const fn total(&self) -> Option<Money> {
        match self {
            Self::Open { total } => Some(*total),
            Self::Closed { claimed } => Some(*claimed),
            Self::Reversed | Self::Expired | Self::Declined => None,
        }
    }

    /// The rank of a snapshot with this status at `position`.
    pub fn rank(&self, position: &MessagePosition) -> MessageRank {
        let outcome = match self {
            Self::Open { .. } => 0,
            Self::Closed { .. } => 1,
            Self::Declined => 2,
            Self::Expired => 3,
            Self::Reversed => 4,
        };
        position.rank(self.total().map_or(0, Money::minor), outcome)
    }

    /// Parses a stored word; `amount` is the total of an open or closed authorisation.
    pub fn from_word(word: &str, amount: Money) -> Option<Self> {
        let (open, closed) = (Self::Open { total: amount }, Self::Closed { claimed: amount });
        [open, closed, Self::Reversed, Self::Expired, Self::Declined]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

/// A change of a hold, from issuers that send one message per change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldChange {
    pub purchase: PurchaseReference,
    pub about: PurchaseReport,
    pub change: HoldAdjustment,
}

/// The direction of the change. Amounts are above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldAdjustment {
    /// The issuer approved this additional amount, with or without our approval.
    Raised {
        by: Money,
    },
    Lowered {
        by: Money,
    },
}

/// A capture or refund in clearing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentment {
    /// The issuer's identifier of this presentment. It is booked once, however often it arrives.
    pub reference: IssuerReference,
    /// The purchase that the issuer links it to, if any.
    pub purchase: Option<PurchaseReference>,
    pub about: PurchaseReport,
    pub direction: PresentmentDirection,
    /// Above zero, in the card's currency.
    pub amount: Money,
    /// The part of the hold released together with this capture, if the issuer sends changes
    /// instead of snapshots: the rest, at the last capture.
    pub releases: Option<Money>,
}

stored_enum!(
    /// The direction in which a presentment moves money.
    PresentmentDirection {
        Capture => "capture",
        Refund => "refund",
    }
);
