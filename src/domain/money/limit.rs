//! Limits of an agreement's terms, and the counters that record their usage.
//!
//! `agreement/mod.rs`, this file and `decision/authorisation.rs` form a circle: a term carries its
//! [`Limit`]s, a counter belongs to the [`Scope`] of a term and counts an [`AuthorisationRequest`],
//! and a decision has counters among its facts, with permissions (`ask/permission.rs`) and decline
//! reasons (`decision/reason.rs`) that name scopes and hours of terms. Limits and counters stay in
//! one file, because a limit means what its counter counts.

use jiff::civil::Date;

use crate::domain::agreement::{Agreement, Gate, Scope};
use crate::domain::decision::authorisation::{AuthorisationRequest, Presence, PurchaseKind};
use crate::domain::money::{Money, MoneyError};
use crate::domain::shop::ShopIdentity;
use crate::domain::shop::home::HomeCountries;
use crate::domain::shop::merchant::{Category, Mcc};
use crate::domain::stored_enum::stored_enum;
use crate::domain::time::period::Period;

/// A spending limit of a term. Amounts and counts are never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Maximum amount of one purchase.
    PerPurchase(Money),
    /// Maximum total amount of all purchases in one period.
    Amount { per: Period, most: Money },
    /// Maximum number of purchases in one period.
    Count { per: Period, most: u32 },
}

impl Limit {
    /// The period over which the limit counts; `None` for a limit per purchase.
    pub const fn period(&self) -> Option<Period> {
        match self {
            Self::PerPurchase(_) => None,
            Self::Amount { per, .. } | Self::Count { per, .. } => Some(*per),
        }
    }
}

/// The first of `limits` that repeats the kind and the period of an earlier one; each period has at
/// most one amount limit and one count limit.
pub fn find_duplicate_limit(limits: &[Limit]) -> Option<&Limit> {
    let kind = |limit: &Limit| (matches!(limit, Limit::Count { .. }), limit.period());
    let is_again = |(place, limit): &(usize, &Limit)| {
        limits.iter().take(*place).any(|earlier| kind(earlier) == kind(limit))
    };
    limits.iter().enumerate().find(is_again).map(|(_, limit)| limit)
}

/// Identifies a counter: one scope in one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    pub scope: Scope,
    pub period: Period,
    /// The first local day of the period.
    pub first_day: Date,
}

/// Amount and number of purchases counted for a scope in one period, open holds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUsage {
    pub amount: Money,
    pub purchases: u32,
}

impl LimitUsage {
    /// Zero usage, in the currency of `amount`.
    pub const fn nothing(amount: Money) -> Self {
        Self { amount: Money::zero(amount.currency()), purchases: 0 }
    }
}

/// The attributes that decide in which counters a purchase counts. Fixed when it is first recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountingAttributes {
    /// The local day on which the purchase counts, even if later messages carry another day.
    pub on: Date,
    pub shop: ShopIdentity,
    pub mcc: Option<Mcc>,
    pub category: Category,
    pub kind: PurchaseKind,
    pub presence: Presence,
    pub abroad: Abroad,
    pub cash_back: Money,
    /// The cash machine operator's own fee; it does not count as cash.
    pub atm_fee: Money,
    /// The scope of the term that the purchase matched.
    pub matched: Scope,
}

stored_enum!(
    /// Whether the shop is outside the programme's home countries.
    Abroad {
        No => "no",
        Yes => "yes",
    }
);

impl CountingAttributes {
    /// The counting attributes of `request` at `shop`, matched by the term with scope `matched`.
    /// `home` lists the countries that are not abroad.
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

    /// The stored form of the shop identity; empty if no key is known.
    pub fn shop_text(&self) -> String {
        self.shop.to_string()
    }

    /// Whether the purchase is at the shop with the stored identity `text`. False if either shop
    /// has no key, because then identity cannot be established.
    pub fn is_at(&self, text: &str) -> bool {
        text.parse::<ShopIdentity>().is_ok_and(|there| self.shop.overlaps(&there))
    }

    /// Whether the purchase falls under `scope`.
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

    /// The counters of `agreement` in which this purchase counts.
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

    /// The counter of `scope` for the `period` that contains the day of this purchase.
    pub fn counter(&self, scope: &Scope, period: Period) -> CounterKey {
        CounterKey { scope: scope.clone(), period, first_day: period.first_day(self.on) }
    }

    /// Whether this purchase counts in `key`.
    pub fn counts_in(&self, key: &CounterKey) -> bool {
        self.is_within(&key.scope) && key.period.first_day(self.on) == key.first_day
    }

    /// The purchase amount that a limit allows if at most `counted` may count in `scope`: for cash,
    /// the operator's fee comes on top.
    pub fn amount_from_counted(&self, scope: &Scope, counted: Money) -> Result<Money, MoneyError> {
        if *scope == Scope::Gate(Gate::Cash) {
            counted.checked_add(self.atm_fee)
        } else {
            Ok(counted)
        }
    }

    /// The part of `amount` that counts in `scope`. Cash gates count the cash only, without the
    /// operator's fee; every other scope counts the whole amount.
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
