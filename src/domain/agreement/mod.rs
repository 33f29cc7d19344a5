//! The agreement: the versioned list that a person and their worker both agreed to.

pub mod change;
pub mod history;
pub mod proposal;

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};

use crate::domain::id::BudgetId;
use crate::domain::money::limit::Limit;
use crate::domain::money::stream::Stream;
use crate::domain::pot::PotPlan;
use crate::domain::shop::merchant::{Category, Mcc, Merchant, ShopCategories};
use crate::domain::shop::table::ShopTable;
use crate::domain::shop::{ShopIdentity, ShopKey};
use crate::domain::stored_enum::stored_enum;

/// What a term is about, ordered from the most to the least specific.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One shop, by its name.
    Shop(ShopKey),
    /// One shop that the shop table does not know: matched by its name or by its network's number,
    /// because its terminal may send another name each time.
    OneShop(ShopKey, ShopKey),
    /// One merchant category code.
    Code(Mcc),
    /// One everyday category.
    Category(Category),
    /// Every purchase that no more specific term covers.
    EverythingElse,
    /// A way of paying, whatever the shop.
    Gate(Gate),
    /// Every purchase. Carries limits only.
    Everything,
}

impl Scope {
    /// The scope of a term or permission for the shop of `merchant` alone: a shop of the table;
    /// otherwise its name or its network identifier, because either may change between purchases.
    /// `None` for a shop with neither.
    pub fn for_merchant(merchant: &Merchant, shops: &ShopTable) -> Option<Self> {
        let shop = shops.identify(merchant);
        let first = shop.first()?;
        let number = ShopKey::of_network(merchant.network_id(), merchant.mcc());
        match number.filter(|number| *number != first && shop.is(number)) {
            Some(number) if !shops.has_name(&first) => Some(Self::OneShop(first, number)),
            Some(_) | None => Some(Self::Shop(first)),
        }
    }

    /// As [`Self::for_merchant`], for the shop of a purchase: `known` are the keys recorded when it
    /// began, and `printed` is the name printed then.
    pub fn for_purchase(
        known: &ShopIdentity,
        mcc: Option<Mcc>,
        printed: Option<&str>,
        shops: &ShopTable,
    ) -> Option<Self> {
        let printed = printed.unwrap_or_default();
        let named = shops.identify(&Merchant::new(mcc, printed));
        if let Some(first) = named.first().filter(|key| shops.has_name(key)) {
            return Some(Self::Shop(first));
        }
        let first = known.first().or_else(|| named.first())?;
        let other = known.keys().last().filter(|last| {
            **last != first && Some(**last) != ShopKey::from_name(printed) && !printed.is_empty()
        });
        Some(other.map_or(Self::Shop(first), |number| Self::OneShop(first, *number)))
    }

    /// The keys of the shop, if the scope is one shop.
    pub fn shops(&self) -> impl Iterator<Item = ShopKey> {
        let (one, other) = match self {
            Self::Shop(shop) => (Some(*shop), None),
            Self::OneShop(name, number) => (Some(*name), Some(*number)),
            Self::Code(_)
            | Self::Category(_)
            | Self::EverythingElse
            | Self::Gate(_)
            | Self::Everything => (None, None),
        };
        one.into_iter().chain(other)
    }

    /// The category, if the scope is a category.
    pub const fn category(&self) -> Option<&Category> {
        match self {
            Self::Category(category) => Some(category),
            Self::Shop(_)
            | Self::OneShop(..)
            | Self::Code(_)
            | Self::EverythingElse
            | Self::Gate(_)
            | Self::Everything => None,
        }
    }
}

impl fmt::Display for Scope {
    /// Writes the stored form: `category:food`, `gate:cash`, `everything_else`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shop(shop) => write!(f, "shop:{shop}"),
            Self::OneShop(name, number) => write!(f, "shop:{name}+{number}"),
            Self::Code(code) => write!(f, "code:{code}"),
            Self::Category(category) => write!(f, "category:{category}"),
            Self::EverythingElse => f.write_str("everything_else"),
            Self::Gate(gate) => write!(f, "gate:{}", gate.word()),
            Self::Everything => f.write_str("everything"),
        }
    }
}

/// The text is not the stored form of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope such as \"category:food\"")]
pub struct ParseScopeError;

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let scope = match text.split_once(':') {
            Some(("shop", shop)) => shop_scope(shop),
            Some(("code", code)) => Mcc::parse(code).ok().map(Self::Code),
            Some(("category", category)) => Category::parse(category).ok().map(Self::Category),
            Some(("gate", gate)) => Gate::from_word(gate).map(Self::Gate),
            None if text == "everything_else" => Some(Self::EverythingElse),
            None if text == "everything" => Some(Self::Everything),
            Some(_) | None => None,
        };
        scope.ok_or(ParseScopeError)
    }
}

fn shop_scope(text: &str) -> Option<Scope> {
    let key = |text| ShopKey::parse(text).ok();
    match text.split_once('+') {
        Some((name, number)) => Some(Scope::OneShop(key(name)?, key(number)?)),
        None => key(text).map(Scope::Shop),
    }
}

stored_enum!(
    /// A way of paying that an agreement can restrict apart from the shop.
    Gate {
        /// Cash withdrawals.
        Cash => "cash",
        /// Cash on top of a purchase.
        CashBack => "cash_back",
        /// Purchases without the card being present.
        Online => "online",
        /// A shop in another country.
        Abroad => "abroad",
        /// Purchases outside the hours of the term.
        Hours => "hours",
    }
);

stored_enum!(
    /// The answer of a term: yes, ask first, or no. Ordered from the loosest to the strictest.
    TermAnswer {
        Yes => "yes",
        Ask => "ask",
        No => "no",
    }
);

stored_enum!(
    /// Who decides about a term, as the person and the worker agreed.
    Decider {
        Person => "person",
        Together => "together",
        Worker => "worker",
    }
);

/// The hours in which the card works: `from` is inclusive, `to` is exclusive. Hours with `to`
/// before `from` run over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: Time,
    pub to: Time,
}

impl Hours {
    /// Whether `time` is within the hours.
    pub fn contain(self, time: Time) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&time)
        } else {
            time >= self.from || time < self.to
        }
    }
}

/// One line of an agreement.
///
/// Built by [`Term::new`], so that every restriction has a reason and a review date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term(TermDraft);

/// The content of a term before it is validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermDraft {
    pub scope: Scope,
    pub answer: TermAnswer,
    pub limits: Vec<Limit>,
    pub hours: Option<Hours>,
    pub decides: Decider,
    pub reason: Option<String>,
    pub review_on: Option<Date>,
    /// For a block that the person set on themselves: how many days it still holds after they ask
    /// to lift it.
    pub cooling_days: Option<u32>,
}

/// Why a term is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    #[error("a restriction needs a reason")]
    NoReason,
    #[error("a restriction needs a date on which it is reviewed (review_on)")]
    NoReview,
    #[error("\"everything\" carries limits only: its answer is yes; use \"everything_else\"")]
    EverythingIsLimitsOnly,
    #[error("\"hours\" needs hours (from and to), and only it has them")]
    HoursOnlyOnHours,
    #[error("\"hours\" carries no limits: put them on \"everything\"")]
    HoursHaveNoLimits,
    #[error("only a restriction can be a block on oneself (own_block)")]
    OwnBlockRestricts,
}

impl Term {
    /// Validates `draft`.
    ///
    /// # Errors
    ///
    /// [`TermError`]: the first rule that `draft` breaks.
    pub fn new(draft: TermDraft) -> Result<Self, TermError> {
        let is_about_hours = draft.scope == Scope::Gate(Gate::Hours);
        let restricts = draft.answer != TermAnswer::Yes || !draft.limits.is_empty();
        if restricts && draft.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
            return Err(TermError::NoReason);
        }
        if restricts && draft.review_on.is_none() {
            return Err(TermError::NoReview);
        }
        if draft.scope == Scope::Everything && draft.answer != TermAnswer::Yes {
            return Err(TermError::EverythingIsLimitsOnly);
        }
        if draft.hours.is_some() != is_about_hours {
            return Err(TermError::HoursOnlyOnHours);
        }
        if is_about_hours && !draft.limits.is_empty() {
            return Err(TermError::HoursHaveNoLimits);
        }
        if draft.cooling_days.is_some() && !restricts {
            return Err(TermError::OwnBlockRestricts);
        }
        Ok(Self(draft))
    }

    /// The same term about `scope`. Both scopes must be one shop.
    #[must_use]
    pub fn about(self, scope: Scope) -> Self {
        Self(TermDraft { scope, ..self.0 })
    }

    /// What the term is about.
    pub const fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The answer of the term.
    pub const fn answer(&self) -> TermAnswer {
        self.0.answer
    }

    /// The limits on amounts and on numbers of purchases.
    pub fn limits(&self) -> &[Limit] {
        &self.0.limits
    }

    /// The hours of an hours term.
    pub const fn hours(&self) -> Option<Hours> {
        self.0.hours
    }

    /// Who decides about it.
    pub const fn decides(&self) -> Decider {
        self.0.decides
    }

    /// Why it restricts, in words for the person.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// When the term is reviewed. An overdue review never stops spending.
    pub const fn review_on(&self) -> Option<Date> {
        self.0.review_on
    }

    /// How many days a block that the person set on themselves still holds after they ask to lift
    /// it.
    pub const fn cooling_days(&self) -> Option<u32> {
        self.0.cooling_days
    }
}

/// One version of one person's agreement. It is immutable: the next version replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub budget: BudgetId,
    /// 1 for the first version.
    pub version: u32,
    pub agreed_on: Date,
    /// The names of those who agreed.
    pub agreed_by: Vec<String>,
    /// Where it was agreed, how long that took, and who was present.
    pub how: String,
    /// Whether partial approvals are allowed where the issuer and the terminal support them.
    pub partial: bool,
    pub terms: Vec<Term>,
    /// The pots, in the order in which the person wants them used.
    pub pots: Vec<PotPlan>,
}

impl Agreement {
    /// The most specific term for a purchase at `shop` under the code `mcc`: by this shop, this
    /// code, this category, or everything else.
    ///
    /// If no term names the shop or the code, a term about another category that the shop may sell
    /// applies instead where it is stricter, because nobody can tell which of them was bought.
    pub fn matched(
        &self,
        mcc: Option<Mcc>,
        shop: &ShopIdentity,
        kinds: ShopCategories<'_>,
    ) -> Option<&Term> {
        let rank = |term: &Term| match term.scope() {
            Scope::Shop(key) => shop.rank(key).map(|rank| (0, rank)),
            Scope::OneShop(name, number) => {
                let rank = shop.rank(name).or_else(|| shop.rank(number))?;
                Some((0, rank))
            }
            Scope::Code(code) => (mcc == Some(*code)).then_some((1, 0)),
            Scope::Category(about) => (about == kinds.category).then_some((2, 0)),
            Scope::EverythingElse => Some((3, 0)),
            Scope::Gate(_) | Scope::Everything => None,
        };
        let ranked = self.terms.iter().filter_map(|term| rank(term).map(|rank| (rank, term)));
        let matched = ranked.min_by_key(|(rank, _)| *rank);
        if kinds.also.is_empty() || matched.is_some_and(|((rank, _), _)| rank < 2) {
            return matched.map(|(_, term)| term);
        }
        let is_about =
            |term: &&Term| term.scope().category().is_some_and(|about| kinds.also.contains(about));
        let strictness = |term: &Term| term.answer();
        let matched = matched.map(|(_, term)| term);
        let stricter = self.terms.iter().filter(is_about).max_by_key(|term| strictness(term));
        let usual = matched.map_or(TermAnswer::Yes, strictness);
        stricter.filter(|term| strictness(term) > usual).or(matched)
    }

    /// The term about `gate`, if one was agreed.
    pub fn gate(&self, gate: Gate) -> Option<&Term> {
        self.terms.iter().find(|term| *term.scope() == Scope::Gate(gate))
    }

    /// The pots that may pay for a purchase of `kinds` on `date`, in the order in which they are
    /// used.
    ///
    /// Pots whose stream must be used first come first, then the others in the person's order;
    /// emergency pots come last. A pot is left out if its stream may not buy one of the kinds,
    /// whatever was agreed.
    pub fn drain_order(
        &self,
        streams: &[Stream],
        kinds: ShopCategories<'_>,
        date: Date,
    ) -> Vec<&PotPlan> {
        let stream_of = |pot: &PotPlan| streams.iter().find(|stream| stream.id == pot.stream);
        let may_buy = |stream: &Stream| kinds.iter().all(|kind| stream.may_buy(kind, date));
        let pays =
            |pot: &&PotPlan| pot.pays_for(kinds.category) && stream_of(pot).is_some_and(may_buy);
        let mut pots: Vec<_> = self.pots.iter().filter(pays).collect();
        let goes_first = |pot: &PotPlan| stream_of(pot).is_some_and(|s| s.drains_first);
        // The sort is stable, so that it keeps the person's order.
        pots.sort_by_key(|pot| (pot.emergency, !goes_first(pot)));
        pots
    }

    /// A category that bars the purchase, because none of the streams may buy all of `kinds` on
    /// `date`. Neither the agreement nor a permission lifts that.
    ///
    /// Only pots that were agreed for the category count, because no other pot can pay; if there is
    /// none, all pots count.
    pub fn barred<'a>(
        &self,
        streams: &[Stream],
        kinds: ShopCategories<'a>,
        date: Date,
    ) -> Option<&'a Category> {
        let barred_by = |pot: &PotPlan| {
            let stream = streams.iter().find(|stream| stream.id == pot.stream);
            kinds.iter().find(|kind| !stream.is_some_and(|stream| stream.may_buy(kind, date)))
        };
        let agreed: Vec<_> = self.pots.iter().filter(|pot| pot.pays_for(kinds.category)).collect();
        let relevant = if agreed.is_empty() { self.pots.iter().collect() } else { agreed };
        let barred: Option<Vec<_>> = relevant.into_iter().map(barred_by).collect();
        barred?.into_iter().next()
    }

    /// The term about every purchase, if one was agreed.
    pub fn everything(&self) -> Option<&Term> {
        self.terms.iter().find(|term| *term.scope() == Scope::Everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> TermDraft {
        TermDraft {
            scope: Scope::EverythingElse,
            answer: TermAnswer::Yes,
            limits: Vec::new(),
            hours: None,
            decides: Decider::Together,
            reason: None,
            review_on: None,
            cooling_days: None,
        }
    }

    #[test]
    fn a_restriction_needs_a_reason_and_a_review() {
        let no = TermDraft { answer: TermAnswer::No, ..draft() };
        assert_eq!(Term::new(no.clone()), Err(TermError::NoReason));
        let because = TermDraft { reason: Some("Dee asked for this.".to_owned()), ..no };
        assert_eq!(Term::new(because.clone()), Err(TermError::NoReview));
        let blank = TermDraft { reason: Some("  ".to_owned()), ..because.clone() };
        assert_eq!(Term::new(blank), Err(TermError::NoReason));
        let whole = TermDraft { review_on: Some(Date::constant(2027, 2, 16)), ..because };
        assert!(Term::new(whole).is_ok());
        assert!(Term::new(draft()).is_ok(), "a plain yes needs neither");
    }

    #[test]
    fn hours_may_run_over_midnight() {
        let day = Hours { from: Time::constant(6, 0, 0, 0), to: Time::constant(23, 0, 0, 0) };
        let night = Hours { from: day.to, to: day.from };
        for (hour, minute, in_day) in [(5, 59, false), (6, 0, true), (22, 59, true), (23, 0, false)]
        {
            let time = Time::constant(hour, minute, 0, 0);
            assert_eq!((day.contain(time), night.contain(time)), (in_day, !in_day), "{time}");
        }
    }
}
