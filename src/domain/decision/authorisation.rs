//! A question of an issuer, what is known when it is asked, and the answer.

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
use crate::domain::time::period::Moment;

/// The issuer asks: may this be spent?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationRequest {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    /// Names this message. The idempotency key, with programme and connection.
    pub reference: IssuerReference,
    /// Names the purchase, shared with all later messages about it.
    pub purchase: PurchaseReference,
    /// How many questions about this purchase came before: 0 for the first.
    pub sequence: u32,
    pub card: CardToken,
    /// What is asked *in addition* to what earlier answers already hold. Billing amount.
    pub amount: Money,
    /// When the issuer says that it was bought; none when it does not say. No part of what is
    /// asked: a repeat may say another time.
    pub bought_at: Option<Timestamp>,
    /// The part of `amount` that is cash handed out with a purchase.
    pub cash_back: Money,
    /// The part of `amount` that a cash machine takes for itself: it is no cash.
    pub atm_fee: Money,
    /// What the merchant asked in its own currency; `amount` where nobody here can read that.
    pub transaction_amount: Money,
    /// Whether the merchant asked in another currency in which nobody here can read its price.
    pub has_unread_price: bool,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub partial: PartialApproval,
    pub merchant: Merchant,
}

/// What sort of purchase it is. A sort that no rule knows is declined, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseKind {
    Purchase,
    /// Notes and coins from a machine or a counter.
    Cash,
    /// Nothing is bought: the shop only checks that the card is good. The amount is zero.
    Verification,
}

impl PurchaseKind {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Cash => "cash",
            Self::Verification => "verification",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Purchase, Self::Cash, Self::Verification].into_iter().find(|k| k.word() == word)
    }
}

/// Whether the card itself was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    InPerson,
    /// Online, by phone or by post.
    Remote,
}

impl Presence {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InPerson => "in_person",
            Self::Remote => "remote",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::InPerson, Self::Remote].into_iter().find(|presence| presence.word() == word)
    }
}

/// Whether the issuer and the till take an answer below the amount that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialApproval {
    Allowed,
    NotAllowed,
}

/// All that one decision depends on, read in one database transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version of the rules of decision that judge them: [`VERSION`](crate::domain::decision::decide::VERSION)
    /// when they were gathered.
    pub rules_version: u32,
    /// When the question arrived, in the programme's time zone.
    pub moment: Moment,
    pub programme: ProgrammeFacts,
    /// The card and who holds it; none for a card we do not know.
    pub holder: Option<CardholderFacts>,
    /// The local day on which a new purchase counts in limits: that of the purchase, if the issuer
    /// says when it was. See [`Moment::day_of`].
    pub counts_on: Date,
    /// The category of the merchant's code, by the merchant rules of the programme.
    pub category: Category,
    /// What else a shop with that code may sell.
    pub also: Vec<Category>,
    /// Which shop it is; none for a question that was decided before there was a table of shops.
    pub shop: Option<KnownShop>,
    /// What the shop was taken for because its country is not known.
    pub unknown_country: Option<UnknownCountry>,
    /// Permissions about this purchase, in the order in which they were given.
    pub permissions: Vec<Permission>,
    /// Those whose open holds are all at this shop.
    pub held_here: BTreeSet<PermissionId>,
    /// The counters of the terms that this purchase touches; a missing one counts nothing.
    pub counters: BTreeMap<CounterKey, LimitUsage>,
    /// What is in each pot for this purchase; what the purchase itself holds beyond what was asked
    /// of it is part of what is left.
    pub pots: BTreeMap<PotId, PotFunds>,
    /// What is to be held beyond what is asked if all of it is approved, where there is so much.
    pub margin: Money,
    /// The programme's margin for what a price in another currency may move by; none where the
    /// price is in ours. A permission covers so much more.
    pub exchange: MarginPercent,
    /// Whether an earlier question about the same purchase was approved.
    pub continues: PurchaseContinuation,
    /// What an open purchase counts as since it began; none for a new one. Version 1 did not know.
    pub begun_as: Option<CountingAttributes>,
}

/// Which shop a purchase was at, as the table of shops said at the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownShop {
    /// The keys by which the agreement or a permission knows the shop. What else it is known by
    /// changes nothing.
    pub identity: ShopIdentity,
    /// The version of the table.
    pub table: String,
}

/// Whether a question is about a purchase that already counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseContinuation {
    /// It is a new purchase.
    Nothing,
    /// The purchase is open, and holds or has cost this much so far.
    Open {
        so_far: Money,
        /// The local day on which the purchase began.
        counted_on: Date,
    },
    /// It is a purchase of somebody else, as far as we know.
    OtherPerson,
}

impl PurchaseContinuation {
    /// What an open purchase holds or has cost; none for a new one.
    pub const fn so_far(self) -> Option<Money> {
        match self {
            Self::Open { so_far, .. } => Some(so_far),
            Self::Nothing | Self::OtherPerson => None,
        }
    }
}

impl Facts {
    /// All that the shop may sell.
    pub fn kinds(&self) -> ShopCategories<'_> {
        ShopCategories { category: &self.category, also: &self.also }
    }

    /// By what the shop of `request` is known.
    pub fn shop_of(&self, request: &AuthorisationRequest) -> ShopIdentity {
        match &self.shop {
            Some(known) => known.identity.clone(),
            None => ShopIdentity::of([request.merchant.shop_key()]),
        }
    }

    /// The day on which the purchase counts: its own, or that on which an open one began.
    pub const fn counted_on(&self) -> Date {
        match self.continues {
            PurchaseContinuation::Nothing | PurchaseContinuation::OtherPerson => self.counts_on,
            PurchaseContinuation::Open { counted_on, .. } => counted_on,
        }
    }
}

/// The programme's part of the facts. Immutable by version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeFacts {
    pub version: u32,
    pub state: ProgrammeState,
    pub currency: Currency,
    pub home: HomeCountries,
    pub streams: Arc<Vec<Stream>>,
}

/// Whether the programme pays at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgrammeState {
    Running,
    Paused,
}

/// The card's and the person's part of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardholderFacts {
    pub card: CardState,
    pub person: PersonState,
    /// The version in force. Immutable.
    pub agreement: Arc<Agreement>,
}

/// The answer to an authorisation request. An approval always says what it holds, and where.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Approve(Approval),
    /// The first reason is the one told; all that failed are recorded.
    Decline(DeclineReasons),
}

/// What an approval holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What is answered: the amount asked, or less where a part is allowed. Zero for a verification.
    pub amount: Money,
    /// Where it is held, in the order in which pots were drained. Sums to `amount`, and as much of
    /// the margin as there is.
    pub parts: Vec<PotPart>,
    /// The term that the purchase fell under.
    pub matched: Scope,
    /// The permission that it used up, if any.
    pub permission: Option<PermissionId>,
}

/// Why a purchase was declined: at least one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclineReasons {
    pub first: DeclineReason,
    pub others: Vec<DeclineReason>,
    /// What would be paid at the same place, if nothing but amounts is in the way.
    pub payable: Option<Money>,
}

impl Approval {
    /// What is held beyond what is answered.
    pub fn margin(&self) -> Result<Money, MoneyError> {
        let currency = self.amount.currency();
        let held = Money::sum(currency, self.parts.iter().map(|part| part.amount))?;
        held.saturating_sub(self.amount)
    }
}

impl DeclineReasons {
    /// One reason alone.
    pub const fn only(reason: DeclineReason) -> Self {
        Self { first: reason, others: Vec::new(), payable: None }
    }

    /// Keeps the order of `reasons`; none if there are none.
    pub fn from_list(reasons: Vec<DeclineReason>) -> Option<Self> {
        let mut reasons = reasons.into_iter();
        let first = reasons.next()?;
        Some(Self { first, others: reasons.collect(), payable: None })
    }

    /// All reasons, the told one first.
    pub fn iter(&self) -> impl Iterator<Item = &DeclineReason> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Where somebody stands who pays less than was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointOfSale {
    /// A fuel pump that asks for more than anybody wants, and takes no other sum.
    Pump,
    /// A shop where somebody can be asked for two payments.
    Counter,
    /// On a page, by phone, at a cash machine: there is nobody to ask.
    Nobody,
}

impl AuthorisationRequest {
    /// Where the person stands who pays.
    pub fn point_of_sale(&self) -> PointOfSale {
        /// Automated fuel dispensers (ISO 18245).
        const PUMP: u16 = 5542;

        match (self.merchant.mcc().map(Mcc::number), self.kind, self.presence) {
            (Some(PUMP), _, _) => PointOfSale::Pump,
            (_, PurchaseKind::Purchase, Presence::InPerson) => PointOfSale::Counter,
            (_, _, _) => PointOfSale::Nobody,
        }
    }

    /// Whether the merchant asks in another currency than the card is billed in.
    pub fn has_foreign_price(&self) -> bool {
        self.has_unread_price || self.transaction_amount.currency() != self.amount.currency()
    }

    /// Whether `gate` applies to this purchase, in a programme that is at `home` there.
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
