//! The facts of one decision, read from the locked book.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::{continues, increment, open_purchase, purchase_key, touched};
use crate::domain::agreement::{Scope, Term};
use crate::domain::ask::permission::Permission;
use crate::domain::card::CardState;
use crate::domain::decision::authorisation::{
    AuthorisationRequest, CardholderFacts, Facts, KnownShop,
};
use crate::domain::decision::decide::VERSION;
use crate::domain::id::{PermissionId, PotId};
use crate::domain::money::Money;
use crate::domain::money::limit::{CounterKey, CountingAttributes};
use crate::domain::money::margin::{Margin, MarginPercent};
use crate::domain::pot::PotFunds;
use crate::domain::purchase::Purchase;
use crate::domain::shop::ShopKey;
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, LedgerError, PurchasePermissionUse};
use crate::programme::directory::Programme;

/// Where the facts come from: the book of one budget, and the settings that decide.
#[derive(Clone, Copy)]
pub(super) struct FactSources<'a> {
    pub(super) book: &'a Book,
    pub(super) programme: &'a Programme,
    /// What the request counts as if it begins a purchase.
    pub(super) counted: &'a CountingAttributes,
    /// The state of the card at the moment of the request; `None` for an unknown card.
    pub(super) card: Option<CardState>,
}

impl FactSources<'_> {
    /// The facts of `request` at `moment`. The book must hold the purchase that the request names,
    /// and the counters that the request touches.
    pub(super) fn facts(
        self,
        request: &AuthorisationRequest,
        moment: Moment,
    ) -> Result<Facts, LedgerError> {
        let holder = self.book.owner.as_ref().zip(self.card).map(|(owner, card)| CardholderFacts {
            card,
            person: owner.state,
            agreement: Arc::clone(&owner.agreement),
        });
        let open = open_purchase(self.book, request);
        let fresh = self.counted;
        let original = open.map(|purchase| &purchase.counted);
        let (touched, is_known) = (touched(fresh, original), holder.is_some());
        let counts = |key: &CounterKey| touched.iter().any(|counted| counted.counts_in(key));
        let counters = self.book.counters.iter().filter(|(key, _)| counts(key));
        let (permissions, held_here) =
            if is_known { self.permissions(open, moment)? } else { Default::default() };
        let home = &self.programme.settings.home;
        let is_placed = request.merchant.country().is_some();
        Ok(Facts {
            rules_version: VERSION,
            moment,
            programme: self.programme.facts(),
            pots: if is_known { self.in_pots(open, moment.date)? } else { BTreeMap::new() },
            margin: self.margin(request, open.is_some()),
            exchange: self.exchange(request, open),
            permissions,
            held_here,
            counters: counters.map(|(key, used)| (key.clone(), *used)).collect(),
            holder,
            counts_on: fresh.on,
            category: fresh.category.clone(),
            also: self.programme.rules.kinds_of(request.merchant.mcc()).also.to_vec(),
            shop: Some(self.known_shop()),
            unknown_country: (!is_placed).then_some(home.unknown),
            continues: continues(open)?,
            original_attributes: original.cloned(),
        })
    }

    /// The shop, by those of its keys that a term or a permission names. Other keys are left out,
    /// so that the facts stay short and give the same decision after the name was erased.
    fn known_shop(self) -> KnownShop {
        let terms = self.book.agreement().map_or(&[][..], |agreement| &agreement.terms);
        let scopes =
            terms.iter().map(Term::scope).chain(self.book.permissions.iter().map(|p| &p.scope));
        let named: Vec<ShopKey> = scopes.flat_map(Scope::shops).collect();
        KnownShop {
            identity: self.counted.shop.only(|key| named.contains(key)),
            table: self.programme.rules.shops().version().to_owned(),
        }
    }

    /// The permissions about this purchase, and those of them whose open holds are all at its shop.
    fn permissions(
        self,
        open: Option<&Purchase>,
        moment: Moment,
    ) -> Result<(Vec<Permission>, BTreeSet<PermissionId>), LedgerError> {
        let fresh = self.counted;
        let is_within = |scope: &Scope| {
            fresh.is_within(scope) || open.is_some_and(|open| open.counted.is_within(scope))
        };
        let used = open.map(PurchasePermissionUse::of).transpose()?;
        let (mut about, mut here) = (Vec::new(), BTreeSet::new());
        for known in &self.book.permissions {
            if known.given_at > moment.at || !is_within(&known.scope) {
                continue;
            }
            let mut permission = known.clone();
            if let Some(used) = used.as_ref().filter(|used| used.uses(known.id)) {
                // A permission that this purchase already uses covers its increments too.
                permission.uses_left = permission.uses_left.saturating_add(1);
                if let Some(uses) = &mut permission.uses {
                    uses.take(&used.shop, used.open)?;
                }
            }
            if let Some(uses) = &mut permission.uses {
                let shops = std::mem::take(&mut uses.open_at);
                if !shops.is_empty() && shops.keys().all(|shop| fresh.is_at(shop)) {
                    here.insert(known.id);
                }
            }
            about.push(permission);
        }
        // Keep the live permissions, and the newest even if it is spent: its reason may be shown.
        let latest = about.last().map(|p| p.id);
        about.retain(|p| p.is_live(moment.at) || Some(p.id) == latest);
        here.retain(|id| about.iter().any(|p| p.id == *id));
        Ok((about, here))
    }

    /// The exchange margin that a permission covers beyond its cap; none unless the price is
    /// foreign. An open purchase keeps the percentage that it began with.
    fn exchange(self, request: &AuthorisationRequest, open: Option<&Purchase>) -> MarginPercent {
        if request.has_foreign_price() {
            let agreed = self.programme.settings.exchange_margin;
            open.map_or(agreed, |purchase| purchase.margin.percent())
        } else {
            MarginPercent::NONE
        }
    }

    /// Balances of the pots for this request. The margin that `open` holds beyond its requested
    /// amount is added back, because an increment may use it.
    fn in_pots(
        self,
        open: Option<&Purchase>,
        date: Date,
    ) -> Result<BTreeMap<PotId, PotFunds>, LedgerError> {
        let mut pots = self.book.in_pots(date)?;
        for part in open.map(Purchase::margin_parts).transpose()?.unwrap_or_default() {
            if let Some(pot) = pots.get_mut(&part.pot) {
                pot.left = pot.left.checked_add(part.amount)?;
            }
        }
        Ok(pots)
    }

    /// The margin to hold if all of `request` is approved. An open purchase keeps the percentage
    /// that the programme had agreed when it began.
    fn margin(self, request: &AuthorisationRequest, is_open: bool) -> Money {
        let currency = self.book.currency;
        let known = self.book.purchases.get(&purchase_key(request));
        let agreed = self.programme.settings.exchange_margin;
        let mut margin = match known {
            Some(purchase) if is_open => purchase.margin,
            Some(purchase) => purchase.margin.with_percent(agreed),
            None => Margin::agreed(agreed),
        };
        if request.has_foreign_price() {
            margin = margin.held();
        }
        // A request in another currency than the programme's is declined, so its margin is zero.
        if !margin.is_held() || request.amount.currency() != currency {
            return Money::zero(currency);
        }
        let beyond = match known {
            Some(purchase) => {
                let mut then = purchase.clone();
                then.margin = margin;
                then.margin_including(increment(request, request.amount, None))
            }
            None => margin.on(request.amount),
        };
        // On overflow, the maximum: more than any pot has.
        beyond.unwrap_or(Money::from_minor(i64::MAX, currency))
    }
}
