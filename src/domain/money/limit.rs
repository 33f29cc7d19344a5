//! Limits that an agreement's term sets, and the counters that say how much of one is used.

use jiff::civil::Date;

use crate::domain::agreement::{Agreement, Gate, Scope};
use crate::domain::decision::authorisation::{AuthorisationRequest, Presence, PurchaseKind};
use crate::domain::money::{Money, MoneyError};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::home::HomeCountries;
use crate::domain::shop::merchant::{Category, Mcc};
use crate::domain::time::period::Period;

/// The most that a term allows. Amounts and counts are never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// One purchase may be up to this.
    PerPurchase(Money),
    /// All purchases of one period together may be up to this.
    Amount { per: Period, most: Money },
    /// One period may have up to this many purchases.
    Count { per: Period, most: u32 },
}

impl Limit {
    /// The period over which the limit counts; none for a single purchase.
    pub const fn period(&self) -> Option<Period> {
        match self {
            Self::PerPurchase(_) => None,
            Self::Amount { per, .. } | Self::Count { per, .. } => Some(*per),
        }
    }
}

/// The first of `limits` that says again what an earlier one says, of the same period: one sum and
/// one number of purchases for each.
pub fn find_duplicate_limit(limits: &[Limit]) -> Option<&Limit> {
    let kind = |limit: &Limit| (matches!(limit, Limit::Count { .. }), limit.period());
    let is_again = |(place, limit): &(usize, &Limit)| {
        limits.iter().take(*place).any(|earlier| kind(earlier) == kind(limit))
    };
    limits.iter().enumerate().find(is_again).map(|(_, limit)| limit)
}

/// Which counter: one scope in one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    pub scope: Scope,
    pub period: Period,
    /// The period's first local day.
    pub first_day: Date,
}

/// What has been used of a scope in one period, open holds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUsage {
    pub amount: Money,
    pub purchases: u32,
}

impl LimitUsage {
    /// Nothing used yet.
    pub const fn nothing(amount: Money) -> Self {
        Self { amount: Money::zero(amount.currency()), purchases: 0 }
    }
}

/// What a purchase is, as far as counting goes: fixed when it is first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountingAttributes {
    /// The local day on which it counts, whatever happens to it later.
    pub on: Date,
    /// By what the shop is known.
    pub shop: ShopIdentity,
    pub mcc: Option<Mcc>,
    pub category: Category,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub abroad: Abroad,
    pub cash_back: Money,
    /// What a cash machine takes for itself: it is no cash.
    pub atm_fee: Money,
    /// The term that it fell under.
    pub matched: Scope,
}

/// Whether the shop is in another country than the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abroad {
    No,
    Yes,
}

impl CountingAttributes {
    /// What is counted of `request` at `shop`, in a programme that is at `home` there, under the term
    /// `matched`.
    pub fn new(
        request: &AuthorisationRequest,
        shop: ShopIdentity,
        on: Date,
        category: &Category,
        home: &HomeCountries,
        matched: Scope,
    ) -> Self {
        let abroad = request.passes(Gate::Abroad, home);
        Self {
            on,
            shop,
            mcc: request.merchant.mcc(),
            category: category.clone(),
            kind: request.kind,
            presence: request.presence,
            abroad: if abroad { Abroad::Yes } else { Abroad::No },
            cash_back: request.cash_back,
            atm_fee: request.atm_fee,
            matched,
        }
    }

    /// What the shop is known by, as text; empty if nothing is known of it.
    pub fn shop_text(&self) -> String {
        self.shop.to_string()
    }

    /// Whether this is at the shop that is known by `text`: of a shop of which nothing is known,
    /// nobody can tell.
    pub fn is_at(&self, text: &str) -> bool {
        text.parse::<ShopIdentity>().is_ok_and(|there| self.shop.overlaps(&there))
    }

    /// Whether `scope` is about this purchase.
    pub fn is_within(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Shop(shop) => self.shop.is(shop),
            Scope::OneShop(name, number) => self.shop.is(name) || self.shop.is(number),
            Scope::Code(code) => self.mcc == Some(*code),
            Scope::Category(category) => *category == self.category,
            Scope::EverythingElse => self.matched == Scope::EverythingElse,
            Scope::Everything | Scope::Gate(Gate::Hours) => true,
            Scope::Gate(Gate::Cash) => self.kind == PurchaseKind::Cash,
            Scope::Gate(Gate::CashBack) => self.cash_back.is_positive(),
            Scope::Gate(Gate::Online) => self.presence == Presence::Remote,
            Scope::Gate(Gate::Abroad) => self.abroad == Abroad::Yes,
        }
    }

    /// The counters that `agreement` keeps and that this purchase counts in.
    pub fn counters(&self, agreement: &Agreement) -> Vec<CounterKey> {
        let mut keys: Vec<_> = agreement
            .terms
            .iter()
            .filter(|term| self.is_within(term.scope()))
            .flat_map(|term| term.limits().iter().map(move |limit| (term.scope(), limit)))
            .filter_map(|(scope, limit)| limit.period().map(|period| self.counter(scope, period)))
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// The counter of `scope` in the `period` in which this purchase counts.
    pub fn counter(&self, scope: &Scope, period: Period) -> CounterKey {
        CounterKey { scope: scope.clone(), period, first_day: period.first_day(self.on) }
    }

    /// Whether this purchase counts in `key`.
    pub fn counts_in(&self, key: &CounterKey) -> bool {
        self.is_within(&key.scope) && key.period.first_day(self.on) == key.first_day
    }

    /// How much a purchase may come to of which `counted` may count in `scope`.
    pub fn amount_from_counted(&self, scope: &Scope, counted: Money) -> Result<Money, MoneyError> {
        if *scope == Scope::Gate(Gate::Cash) {
            counted.checked_add(self.atm_fee)
        } else {
            Ok(counted)
        }
    }

    /// How much of a purchase of `amount` counts in `scope`: in the gates for cash, the cash only.
    /// Everywhere else a machine's own fee counts too.
    pub fn amount_counted_in(&self, scope: &Scope, amount: Money) -> Result<Money, MoneyError> {
        match scope {
            Scope::Gate(Gate::CashBack) => amount.least(self.cash_back),
            Scope::Gate(Gate::Cash) => amount.saturating_sub(self.atm_fee),
            Scope::Gate(Gate::Online | Gate::Abroad | Gate::Hours)
            | Scope::Shop(_)
            | Scope::OneShop(..)
            | Scope::Code(_)
            | Scope::Category(_)
            | Scope::EverythingElse
            | Scope::Everything => Ok(amount),
        }
    }
}
