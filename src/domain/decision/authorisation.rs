//! Authorisation requests, the facts that a decision is made from, and the decision itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::agreement::{Agreement, Gate, Scope};
use crate::domain::ask::permission::Permission;
use crate::domain::card::CardState;
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{
    CardToken, ConnectionId, IssuerReference, PermissionId, PotId, ProgrammeId, PurchaseReference,
};
use crate::domain::money::limit::{CounterKey, CountingAttributes, LimitUsage};
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::stream::Stream;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::people::person::PersonState;
use crate::domain::pot::{PotFunds, PotPart};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::home::{HomeCountries, UnknownCountry};
use crate::domain::shop::merchant::{Category, Mcc, Merchant, ShopCategories};
use crate::domain::stored_enum::stored_enum;
use crate::domain::time::period::Moment;

/// An issuer's request to approve a purchase, or an increment of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationRequest {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    /// Identifies this message. Idempotency key together with `programme` and `connection`.
    pub reference: IssuerReference,
    /// Identifies the purchase; shared by all later messages about it.
    pub purchase: PurchaseReference,
    /// Position of this request among all requests about the purchase: 0 for the first.
    pub sequence: u32,
    pub card: CardToken,
    /// The amount requested *in addition* to what earlier requests already hold, in billing
    /// currency.
    pub amount: Money,
    /// When the purchase was made by the issuer's clock; `None` if the message does not say.
    /// Excluded from the content digest, because a retry may carry another time.
    pub bought_at: Option<Timestamp>,
    /// The part of `amount` that is cash back.
    pub cash_back: Money,
    /// The part of `amount` that is the cash machine operator's own fee; it does not count as cash.
    pub atm_fee: Money,
    /// The price in the merchant's own currency; equals `amount` if that price could not be
    /// decoded.
    pub transaction_amount: Money,
    /// Whether the merchant's price is in another currency and could not be decoded.
    pub has_unread_price: bool,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub partial: PartialApproval,
    pub merchant: Merchant,
}

stored_enum!(
    /// The kind of transaction. A kind that no rule covers is declined, never guessed.
    PurchaseKind {
        Purchase => "purchase",
        /// Cash from a machine or over a counter.
        Cash => "cash",
        /// Account verification without a purchase; the amount is zero.
        Verification => "verification",
    }
);

stored_enum!(
    /// Whether the card was present.
    Presence {
        InPerson => "in_person",
        /// Online, by phone or by post: card not present.
        Remote => "remote",
    }
);

/// Whether issuer and terminal support partial approval: an approved amount below the requested
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialApproval {
    Allowed,
    NotAllowed,
}

/// All inputs of one decision, read in one database transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version of the decision rules to apply:
    /// [`VERSION`](crate::domain::decision::decide::VERSION) at the time the facts were gathered.
    pub rules_version: u32,
    /// When the request arrived, in the programme's time zone.
    pub moment: Moment,
    pub programme: ProgrammeFacts,
    /// The card and its holder; `None` for an unknown card.
    pub holder: Option<CardholderFacts>,
    /// The local day on which a new purchase counts towards limits: the day of the purchase, if the
    /// issuer sends its time. See [`Moment::day_of`].
    pub counts_on: Date,
    /// The category of the merchant's MCC under the programme's merchant rules.
    pub category: Category,
    /// Further categories that a shop with that MCC may sell.
    pub also: Vec<Category>,
    /// The identified shop; `None` for decisions recorded before the shop table existed.
    pub shop: Option<KnownShop>,
    /// How the shop's country was classified if it is unknown; `None` if it is known.
    pub unknown_country: Option<UnknownCountry>,
    /// Permissions that may apply to this purchase, in order of [`Permission::precedence`].
    pub permissions: Vec<Permission>,
    /// The permissions whose open holds are all at this shop.
    pub held_here: BTreeSet<PermissionId>,
    /// The counters of the terms that apply to this purchase; a missing counter counts as zero.
    pub counters: BTreeMap<CounterKey, LimitUsage>,
    /// The funds of each pot for this purchase. The margin that the open purchase already holds is
    /// included in what is left, because an increment may use it.
    pub pots: BTreeMap<PotId, PotFunds>,
    /// The exchange rate margin to hold beyond the requested amount if all of it is approved; less
    /// is held if the pots have less.
    pub margin: Money,
    /// The programme's exchange rate margin for a price in another currency; none for a price in
    /// the billing currency. A permission covers its cap plus this margin.
    pub exchange: MarginPercent,
    /// Whether an earlier request about the same purchase was approved.
    pub continues: PurchaseContinuation,
    /// The counting attributes that an open purchase began with; `None` for a new one and for facts
    /// of rules version 1, which did not record them.
    pub original_attributes: Option<CountingAttributes>,
}

/// The shop as the shop table identified it at the time of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownShop {
    /// Only the keys that the agreement or a permission refers to, because no other key can change
    /// the decision.
    pub identity: ShopIdentity,
    /// The version of the shop table.
    pub table: String,
}

/// Whether a request continues a purchase that already counts towards limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseContinuation {
    /// A new purchase.
    Nothing,
    /// An increment of an open purchase, which holds or has captured `so_far`.
    Open {
        so_far: Money,
        /// The local day on which the purchase began.
        counted_on: Date,
    },
    /// The purchase reference belongs to another person's budget.
    OtherPerson,
}

impl PurchaseContinuation {
    /// What an open purchase holds or has captured; `None` otherwise.
    pub const fn so_far(self) -> Option<Money> {
        match self {
            Self::Open { so_far, .. } => Some(so_far),
            Self::Nothing | Self::OtherPerson => None,
        }
    }
}

impl Facts {
    /// All categories that the shop may sell.
    pub fn kinds(&self) -> ShopCategories<'_> {
        ShopCategories { category: &self.category, also: &self.also }
    }

    /// The identity of the shop of `request`. Without [`Facts::shop`] it is the merchant's printed
    /// name alone.
    pub fn shop_of(&self, request: &AuthorisationRequest) -> ShopIdentity {
        match &self.shop {
            Some(known) => known.identity.clone(),
            None => ShopIdentity::of([request.merchant.shop_key()]),
        }
    }

    /// The local day on which the purchase counts: for an increment, the day on which the purchase
    /// began.
    pub const fn counted_on(&self) -> Date {
        match self.continues {
            PurchaseContinuation::Nothing | PurchaseContinuation::OtherPerson => self.counts_on,
            PurchaseContinuation::Open { counted_on, .. } => counted_on,
        }
    }
}

/// The programme's settings that a decision depends on. Immutable per version, except for `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeFacts {
    pub version: u32,
    pub state: ProgrammeState,
    pub currency: Currency,
    pub home: HomeCountries,
    pub streams: Arc<Vec<Stream>>,
}

/// Whether the programme approves purchases at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgrammeState {
    Running,
    Paused,
}

/// The card and the person that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardholderFacts {
    pub card: CardState,
    pub person: PersonState,
    /// The agreement version in force. Immutable.
    pub agreement: Arc<Agreement>,
}

/// The response to an authorisation request. An approval always states how much each pot holds.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Approve(Approval),
    /// The first reason is shown to the person; all reasons are recorded.
    Decline(DeclineReasons),
}

/// What an approval holds, and in which pots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The approved amount: the requested amount, or less for a partial approval. Zero for a
    /// verification.
    pub amount: Money,
    /// The amounts to hold, in drain order. They sum to `amount` plus as much of the margin as the
    /// pots have.
    pub parts: Vec<PotPart>,
    /// The scope of the term that the purchase matched.
    pub matched: Scope,
    /// The permission that the approval uses, if it needs one.
    pub permission: Option<PermissionId>,
}

/// Why a purchase was declined: at least one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclineReasons {
    pub first: DeclineReason,
    pub others: Vec<DeclineReason>,
    /// The largest amount that would be approved at the same shop, if amounts are the only reasons.
    pub payable: Option<Money>,
}

impl Approval {
    /// The margin: what the parts hold beyond the approved amount.
    pub fn margin(&self) -> Result<Money, MoneyError> {
        let currency = self.amount.currency();
        let held = Money::sum(currency, self.parts.iter().map(|part| part.amount))?;
        held.saturating_sub(self.amount)
    }
}

impl DeclineReasons {
    /// A single reason.
    pub const fn only(reason: DeclineReason) -> Self {
        Self { first: reason, others: Vec::new(), payable: None }
    }

    /// Keeps the order of `reasons`; `None` for an empty list.
    pub fn from_list(reasons: Vec<DeclineReason>) -> Option<Self> {
        let mut reasons = reasons.into_iter();
        let first = reasons.next()?;
        Some(Self { first, others: reasons.collect(), payable: None })
    }

    /// All reasons, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &DeclineReason> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Where the person pays; determines what they can do after a partial or declined payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointOfSale {
    /// A fuel pump: it requests a fixed amount above the usual sale, and accepts no other.
    Pump,
    /// A staffed till, where the person can ask to split the payment.
    Counter,
    /// Online, by phone or at a cash machine: nobody can be asked.
    Nobody,
}

impl AuthorisationRequest {
    /// Where the person pays, derived from MCC, kind and presence.
    pub fn point_of_sale(&self) -> PointOfSale {
        /// Automated fuel dispensers (ISO 18245).
        const PUMP: u16 = 5542;

        match (self.merchant.mcc().map(Mcc::number), self.kind, self.presence) {
            (Some(PUMP), _, _) => PointOfSale::Pump,
            (_, PurchaseKind::Purchase, Presence::InPerson) => PointOfSale::Counter,
            (_, _, _) => PointOfSale::Nobody,
        }
    }

    /// Whether the merchant's price is in another currency than the card's billing currency.
    pub fn has_foreign_price(&self) -> bool {
        self.has_unread_price || self.transaction_amount.currency() != self.amount.currency()
    }

    /// Whether `gate` applies to this purchase; `home` lists the countries that are not abroad.
    pub fn passes(&self, gate: Gate, home: &HomeCountries) -> bool {
        match gate {
            Gate::Cash => self.kind == PurchaseKind::Cash,
            Gate::CashBack => self.cash_back.is_positive(),
            Gate::Online => self.presence == Presence::Remote,
            Gate::Abroad => home.is_abroad(self.merchant.country()),
            Gate::Hours => true,
        }
    }
}
