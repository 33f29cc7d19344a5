//! The terms of an agreement that apply to a purchase, and those of them that refuse it.

use jiff::{Zoned, civil::Time};

use super::violation::{CheckStage, TermViolation};
use crate::{
    books::{Books, PersonBook, Purchase},
    programme::{HomeCountries, Hours, Narrow, Scope, Term, TermAnswer, Wide},
    shops::{PurchaseChannel, Shop},
};

/// The terms that apply to one purchase.
pub(super) struct ApplicableTerms<'a> {
    matched: Option<&'a Term>,
    gates: Vec<&'a Term>,
    everything: Vec<&'a Term>,
}

impl<'a> ApplicableTerms<'a> {
    pub(super) fn of(
        person: &'a PersonBook,
        shop: &Shop,
        home: &HomeCountries,
        now: &Zoned,
    ) -> Self {
        let wide =
            |wanted: Wide| person.terms.iter().filter(move |term| term.on == Scope::Wide(wanted));
        let mut gates = Vec::new();
        if shop.category == "cash" {
            gates.extend(wide(Wide::Cash));
        }
        if shop.channel == PurchaseChannel::Online {
            gates.extend(wide(Wide::Online));
        }
        if home.is_abroad(shop.country) {
            gates.extend(wide(Wide::Abroad));
        }
        gates.extend(
            wide(Wide::Hours)
                .filter(|term| term.hours.is_some_and(|hours| !hours.contain(now.time()))),
        );
        Self { matched: matched(person, shop), gates, everything: wide(Wide::Everything).collect() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'a Term> {
        let gates = self.gates.iter().chain(&self.everything).copied();
        self.matched.into_iter().chain(gates)
    }

    /// The terms that refuse the purchase or want it to be asked for.
    pub(super) fn violations(&self, shop: &Shop) -> Vec<TermViolation<'a>> {
        let refused = |term: &&Term| matches!(term.answer, Some(TermAnswer::Ask | TermAnswer::No));
        let gates = self.gates.iter().copied().filter(refused).filter_map(|term| {
            let reason = match term.on {
                Scope::Wide(Wide::Cash) => "cash_off",
                Scope::Wide(Wide::CashBack) => "cash_back_off",
                Scope::Wide(Wide::Online) => "online_off",
                Scope::Wide(Wide::Abroad) => "abroad_off",
                Scope::Wide(Wide::Hours) => "hours",
                Scope::Wide(Wide::Everything | Wide::EverythingElse) | Scope::Narrow(_) => {
                    return None;
                }
            };
            Some((reason, term))
        });
        let matched = self.matched.filter(refused).map(|term| {
            let reason = match (&term.on, term.answer) {
                (Scope::Narrow(Narrow::Shop(_) | Narrow::ShopKey(_) | Narrow::Code(_)), _) => {
                    "place_off"
                }
                (_, _) if shop.category == "unsorted" => "unsorted",
                (_, Some(TermAnswer::Ask)) => "category_ask",
                (_, Some(TermAnswer::Yes | TermAnswer::No) | None) => "category_off",
            };
            (reason, term)
        });
        let all = gates.chain(matched);
        let object = |(reason, term)| TermViolation {
            check: CheckStage::List,
            reason,
            term,
            leaves_minor: None,
        };
        all.map(object).collect()
    }
}

impl Hours {
    /// Whether a time of day is within the hours. Hours that end before they begin span midnight.
    pub(super) fn contain(self, time: Time) -> bool {
        if self.from <= self.to {
            time >= self.from && time < self.to
        } else {
            time >= self.from || time < self.to
        }
    }
}

/// The most specific term for the shop. A term on one of the shop's additional categories wins if
/// it is stricter, unless the most specific term names the shop or its code.
fn matched<'a>(person: &'a PersonBook, shop: &Shop) -> Option<&'a Term> {
    let mut wide = person.terms.iter();
    let nearest = most_specific(person, shop)
        .or_else(|| wide.find(|term| term.on == Scope::Wide(Wide::EverythingElse)));
    let is_named = nearest.is_some_and(|term| match &term.on {
        Scope::Narrow(narrow) => !matches!(narrow, Narrow::Category(_)),
        Scope::Wide(_) => false,
    });
    if is_named {
        return nearest;
    }
    let strictness = |term: &&Term| match term.answer {
        Some(TermAnswer::No) => 2,
        Some(TermAnswer::Ask) => 1,
        Some(TermAnswer::Yes) | None => 0,
    };
    let is_also = |term: &&Term| match &term.on {
        Scope::Narrow(Narrow::Category(category)) => shop.also.contains(&category.as_str()),
        Scope::Narrow(_) | Scope::Wide(_) => false,
    };
    let strictest = person.terms.iter().filter(is_also).max_by_key(strictness);
    let usual = nearest.as_ref().map_or(0, strictness);
    strictest.filter(|term| strictness(term) > usual).or(nearest)
}

/// The term for this shop, else for its code, else for its category.
fn most_specific<'a>(person: &'a PersonBook, shop: &Shop) -> Option<&'a Term> {
    let rank = |term: &Term| match &term.on {
        Scope::Narrow(narrow) => rank(narrow, shop),
        Scope::Wide(_) => None,
    };
    let ranked = person.terms.iter().filter_map(|term| Some((rank(term)?, term)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, term)| term)
}

/// Specificity of a term for the shop, lower is more specific; `None` when the term does not match.
fn rank(narrow: &Narrow, shop: &Shop) -> Option<(usize, usize)> {
    match narrow {
        Narrow::Shop(name) => shop.rank_of(name).map(|rank| (0, rank)),
        Narrow::ShopKey(key) => shop.rank_of_key(key).map(|rank| (0, rank)),
        Narrow::Code(code) => (code == shop.code).then_some((1, 0)),
        Narrow::Category(category) => (category == shop.category).then_some((2, 0)),
    }
}

impl Books {
    /// Whether a term is about a purchase.
    pub(super) fn covers(&self, person: &PersonBook, term: &Term, purchase: &Purchase) -> bool {
        self.is_within(person, &term.on, purchase.shop, purchase.channel)
    }

    /// Whether a purchase at the shop is one of those that `scope` is about.
    pub(super) fn is_within(
        &self,
        person: &PersonBook,
        scope: &Scope,
        shop: &Shop,
        channel: PurchaseChannel,
    ) -> bool {
        match scope {
            Scope::Narrow(narrow) => rank(narrow, shop).is_some(),
            Scope::Wide(Wide::Everything | Wide::Hours) => true,
            Scope::Wide(Wide::EverythingElse) => {
                matched(person, shop).is_none_or(|term| term.on == *scope)
            }
            Scope::Wide(Wide::Cash) => shop.category == "cash",
            Scope::Wide(Wide::CashBack) => false,
            Scope::Wide(Wide::Online) => channel == PurchaseChannel::Online,
            Scope::Wide(Wide::Abroad) => self.home.is_abroad(shop.country),
        }
    }
}
