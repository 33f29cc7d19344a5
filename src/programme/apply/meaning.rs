//! Settings that decide what a listed term means, and how a change of them affects lists in force.
//!
//! A programme's own shops decide which tills a term about a shop covers, its home countries which
//! purchases a term about purchases abroad covers, and the merchant rules which codes a term about
//! a category covers. A list changes only with the consent of two people. A file is therefore
//! refused if it would change the meaning of a term about a shop or about purchases abroad, or
//! would take a code out of a category that somebody blocks for themselves. If a category gains or
//! loses a code otherwise, the people with a term about it are notified, because the rules are one
//! table for everybody.

use std::collections::{BTreeMap, BTreeSet};

use super::ApplyError;
use crate::domain::agreement::{Decider, Gate, Scope, TermAnswer};
use crate::domain::id::BudgetId;
use crate::domain::shop::merchant::{Category, Mcc, Merchant, MerchantRules, ShopCategories};
use crate::domain::shop::table::{Shop, ShopTable};
use crate::domain::shop::{ShopIdentity, ShopKey};
use crate::merchant_rules;
use crate::merchant_rules::{RulesTexts, moved_codes};
use crate::programme::file::Settings;
use crate::store::{ProgrammeRow, TermInForce, Tx};

/// How many people a refusal names.
const PEOPLE_NAMED_MAX: usize = 5;

/// How changed settings affect the terms in force.
#[derive(Debug, Default)]
pub(super) struct MeaningChanges {
    /// Why the file is refused, one message for each shop, country setting or code.
    pub(super) refusals: Vec<String>,
    /// The people to notify, with the names of the codes that move.
    pub(super) moved: BTreeMap<BudgetId, BTreeSet<String>>,
}

/// The settings and the merchant rules of one version.
pub(super) struct Meaning<'a> {
    pub(super) settings: &'a Settings,
    pub(super) rules: &'a MerchantRules,
}

impl MeaningChanges {
    /// Compares the version in force, with its parsed `settings`, and the one of the file.
    pub(super) async fn of(
        tx: &mut Tx,
        (in_force, settings): (&ProgrammeRow, &Settings),
        after: &Meaning<'_>,
    ) -> Result<Self, ApplyError> {
        let texts = RulesTexts { categories: &in_force.rules, shops: in_force.shops.as_deref() };
        let rules = merchant_rules::read(texts, &settings.shops).map_err(ApplyError::Rules)?;
        let before = Meaning { settings, rules: &rules };
        let terms = tx.terms_in_force(&after.settings.id).await?;
        let mut changes = Self::default();
        changes.add_shops(&before, after, &terms);
        changes.add_home(&before, after, &terms);
        changes.add_codes(&before, after, &terms);
        Ok(changes)
    }

    fn add_shops(&mut self, before: &Meaning<'_>, after: &Meaning<'_>, terms: &[TermInForce]) {
        let (old, new) = (&before.settings.shops, &after.settings.shops);
        let changed = old
            .iter()
            .filter(|shop| !new.contains(shop))
            .chain(new.iter().filter(|shop| !old.contains(shop)));
        let mut refused = BTreeSet::new();
        for shop in changed {
            let keys = keys_that_change(&shop.name, before.rules.shops(), after.rules.shops());
            let is_about = |term: &&TermInForce| term.scope.shops().any(|key| keys.contains(&key));
            let people = people_with(terms, is_about);
            if !people.is_empty() && refused.insert(&shop.name) {
                self.refusals.push(format!(
                    "shop {}: {} agreed a term about a shop whose tills this changes; propose \
                     them a term about the other shop, and give it a name of its own here",
                    shop.name,
                    named(&people)
                ));
            }
        }
    }

    fn add_home(&mut self, before: &Meaning<'_>, after: &Meaning<'_>, terms: &[TermInForce]) {
        if before.settings.home == after.settings.home {
            return;
        }
        let abroad = Scope::Gate(Gate::Abroad);
        let people = people_with(terms, |term| term.scope == abroad);
        if !people.is_empty() {
            self.refusals.push(format!(
                "programme {}: {} agreed a term about purchases abroad, which this changes; change \
                 their lists first",
                after.settings.id,
                named(&people)
            ));
        }
    }

    fn add_codes(&mut self, before: &Meaning<'_>, after: &Meaning<'_>, terms: &[TermInForce]) {
        for code in moved_codes(before.rules, after.rules) {
            let [old, new] = [before, after].map(|meaning| meaning.rules.kinds_of(Some(code)));
            let name = display_name(before.rules, code);
            for category in old.iter().filter(|category| new.iter().all(|kept| kept != *category)) {
                let scope = Scope::Category(category.clone());
                let is_own_block = |term: &&TermInForce| {
                    let is_own = term.decides == Decider::Person && term.answer == TermAnswer::No;
                    term.scope == scope && (is_own || term.cooling_days.is_some())
                };
                let people = people_with(terms, is_own_block);
                if !people.is_empty() {
                    self.refusals.push(format!(
                        "code {code} ({name}) leaves {category}, which {} blocks themselves; keep \
                         it there until they lift that block",
                        named(&people)
                    ));
                }
            }
            let has =
                |kinds: ShopCategories<'_>, of: &Category| kinds.iter().any(|kind| kind == of);
            let is_concerned = |term: &&TermInForce| {
                term.scope.category().is_some_and(|of| has(old, of) != has(new, of))
            };
            for budget in people_with(terms, is_concerned) {
                self.moved.entry(budget.clone()).or_default().insert(name.clone());
            }
        }
    }
}

fn display_name(rules: &MerchantRules, code: Mcc) -> String {
    rules.code_name(code).map_or_else(|| code.to_string(), str::to_owned)
}

/// The keys that a till of the shop called `name` has under one of two tables only. An own shop
/// replaces a shop of the same name, whose tills are compared too.
fn keys_that_change(name: &str, old: &ShopTable, new: &ShopTable) -> BTreeSet<ShopKey> {
    let key = ShopKey::from_name(name);
    let entries = old.list().shops.iter().chain(&new.list().shops);
    let entries = entries.filter(|shop| ShopKey::from_name(&shop.name) == key);
    let mut changed = BTreeSet::new();
    for merchant in entries.flat_map(tills_of) {
        let [was, is] = [old, new].map(|table| table.identify(&merchant));
        let keys =
            |identity: &ShopIdentity| -> BTreeSet<_> { identity.keys().iter().copied().collect() };
        changed.extend(keys(&was).symmetric_difference(&keys(&is)).copied());
    }
    changed
}

/// Tills that the entry of `shop` tells apart: each printed line by itself and under each code, and
/// each network identifier.
fn tills_of(shop: &Shop) -> Vec<Merchant> {
    let lines = shop.prints.iter().chain(&shop.never).map(|print| print.words().to_owned());
    let lines: Vec<_> = lines.chain([shop.name.to_lowercase()]).collect();
    let codes: Vec<_> = shop.codes.iter().chain(&shop.not_codes).copied().map(Some).collect();
    let mut tills = Vec::new();
    for line in &lines {
        for code in codes.iter().copied().chain([None]) {
            tills.push(Merchant::new(code, line));
            // Text that may follow an open pattern.
            tills.push(Merchant::new(code, &format!("{line} anything")));
        }
    }
    let by_network = |id: &String| Merchant::new(None, "anything").with_network_id(id);
    tills.extend(shop.network_ids.iter().map(by_network));
    tills
}

fn people_with<'t>(
    terms: &'t [TermInForce],
    is_meant: impl Fn(&&'t TermInForce) -> bool,
) -> BTreeSet<&'t BudgetId> {
    terms.iter().filter(is_meant).map(|term| &term.budget_id).collect()
}

fn named(people: &BTreeSet<&BudgetId>) -> String {
    let first: Vec<_> = people.iter().take(PEOPLE_NAMED_MAX).map(ToString::to_string).collect();
    match people.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
