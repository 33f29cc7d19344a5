//! What issuers tell us later. We record it; we cannot refuse it.

use jiff::Timestamp;

use crate::domain::decision::authorisation::{Presence, PurchaseKind};
use crate::domain::id::{CardToken, IssuerReference, PurchaseReference};
use crate::domain::money::{Currency, Money};
use crate::domain::purchase::dispute::DisputeReport;
use crate::domain::purchase::position::{MessagePosition, MessageRank};
use crate::domain::shop::merchant::Merchant;

/// One later message of an issuer, in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerEvent {
    /// The message's own identifier: the same event may arrive any number of times.
    pub reference: IssuerReference,
    /// The issuer's word for the kind of event, as spelled by the issuer.
    pub kind: String,
    pub body: EventBody,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    /// How an authorisation stands now: a snapshot.
    Snapshot(Box<AuthorisationSnapshot>),
    /// By how much a hold changes: a delta.
    HoldChange(Box<HoldChange>),
    /// The merchant claims, or gives back, money.
    Presentment(Box<Presentment>),
    /// Money moves because a claim is disputed.
    Dispute(Box<DisputeReport>),
    /// It is genuine and could not be understood: stored whole, for somebody to look at.
    Unclear {
        /// What was not as the issuer documents it.
        why: String,
    },
    /// A kind of event that means nothing to the books. Stored whole.
    Other,
}

/// What every message about a purchase says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseReport {
    pub card: CardToken,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub cash_back: Money,
    /// What a cash machine takes for itself.
    pub atm_fee: Money,
    /// The merchant's own currency, as far as the message tells it.
    pub merchant_currency: Option<Currency>,
    /// What a presentment is in the merchant's own currency; none where the message does not tell
    /// it exactly.
    pub merchant_amount: Option<Money>,
    pub merchant: Merchant,
    /// When the purchase, or the clearing of one that nobody asked about, was made by the issuer's
    /// clock.
    pub bought_at: Option<Timestamp>,
}

/// A snapshot of an authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationSnapshot {
    pub purchase: PurchaseReference,
    pub about: PurchaseReport,
    pub standing: AuthorisationStatus,
    pub position: MessagePosition,
    /// Every question that was answered so far, whoever answered it; the first one first.
    pub answers: Vec<IssuerAnswer>,
}

/// What the shop was answered to one question, as the issuer tells it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerAnswer {
    pub is_approved: bool,
    /// What was asked.
    pub amount: Money,
    /// Who decided and why, in the issuer's own word.
    pub reason: Option<String>,
    /// Whether the issuer says that it went by no answer of ours, because it had none in time or
    /// could not pay.
    pub is_without_us: bool,
}

/// How an authorisation stands at the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorisationStatus {
    /// The issuer holds `total` for the merchant, all increments and captures included.
    Open { total: Money },
    /// The merchant has claimed `claimed`, and will claim no more. What of it has not reached us yet
    /// stays held: its capture is on the way.
    Closed { claimed: Money },
    /// The merchant gave it up.
    Reversed,
    /// Its time ran out. A late capture may still come.
    Expired,
    /// It was refused, by us or by somebody else.
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

    /// What it holds in total, captures included.
    pub const fn total(&self) -> Option<Money> {
        match self {
            Self::Open { total } => Some(*total),
            Self::Closed { claimed } => Some(*claimed),
            Self::Reversed | Self::Expired | Self::Declined => None,
        }
    }

    /// Where a snapshot that says this stands among others at `position`.
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

    /// Reads a stored word; `amount` is what an open one holds, or a closed one has claimed.
    pub fn from_word(word: &str, amount: Money) -> Option<Self> {
        let (open, closed) = (Self::Open { total: amount }, Self::Closed { claimed: amount });
        [open, closed, Self::Reversed, Self::Expired, Self::Declined]
            .into_iter()
            .find(|standing| standing.word() == word)
    }
}

/// A change to a hold, as issuers tell it that send one message per change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldChange {
    pub purchase: PurchaseReference,
    pub about: PurchaseReport,
    pub change: HoldAdjustment,
}

/// Which way a hold changes. Amounts are above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldAdjustment {
    /// The issuer approved this much more, with or without asking us.
    Raised {
        by: Money,
    },
    Lowered {
        by: Money,
    },
}

/// Money claimed or given back in clearing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentment {
    /// The issuer's identifier of this claim: it is booked once, however often it is told.
    pub reference: IssuerReference,
    /// The purchase it belongs to, as far as the issuer knows.
    pub purchase: Option<PurchaseReference>,
    pub about: PurchaseReport,
    pub direction: PresentmentDirection,
    /// Above zero, in the card's currency.
    pub amount: Money,
    /// What the issuer gives back of the hold besides, if it sends changes and not snapshots: the
    /// rest, when this claim is the last.
    pub releases: Option<Money>,
}

/// Which way a presentment moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresentmentDirection {
    Capture,
    Refund,
}

impl PresentmentDirection {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }
}
