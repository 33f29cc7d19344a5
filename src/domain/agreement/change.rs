//! The difference between two lists, part by part: looser, tighter, the same, or mixed.
//!
//! A change is judged by its effect on purchases, not by its text: a new term is compared with the
//! terms that covered the same purchases before. What cannot be compared counts as mixed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;

use crate::domain::agreement::{Agreement, Decider, Hours, Scope, Term, TermAnswer};
use crate::domain::id::PotId;
use crate::domain::money::limit::{Limit, find_duplicate_limit};
use crate::domain::money::{Currency, Money};
use crate::domain::pot::PotPlan;
use crate::domain::shop::merchant::{Category, MerchantRules};
use crate::domain::stored_enum::stored_enum;

/// The most terms that a list has, because people do not read more and every decision scans all of
/// them.
pub const TERMS_MAX: usize = 200;

/// The content of an agreement, without who agreed to it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Whether partial approvals are allowed.
    pub partial: bool,
    pub terms: Vec<Term>,
    /// In the order in which the person wants them used.
    pub pots: Vec<PotPlan>,
}

/// Why a list cannot replace another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("two terms are about {0}; keep one")]
    Twice(Scope),
    #[error("a list has at most {TERMS_MAX} terms; put some together")]
    TooLong,
    #[error("{0} has two limits of the same kind for the same period; keep one")]
    LimitTwice(Scope),
    #[error("a sum of {0} is in another currency than the money, or below nothing")]
    Sum(Scope),
    #[error(
        "{0} would be decided by the worker alone: every change of a list takes the person's yes, \
         so nothing on it is; write decides = \"together\""
    )]
    WorkerAlone(Scope),
    #[error("pots are added and taken away where their money is planned; a list orders them")]
    OtherPots,
}

impl Agreement {
    /// Its content, without who agreed to it and when.
    pub fn list(&self) -> List {
        List { partial: self.partial, terms: self.terms.clone(), pots: self.pots.clone() }
    }
}

impl List {
    /// Checks that this list can replace `before`. What `before` already has may stay: its length,
    /// and unchanged terms with duplicate limits or with a worker who decides alone.
    ///
    /// # Errors
    ///
    /// [`ListError`]: the first rule that this list breaks.
    pub fn check(&self, before: &Self, currency: Currency) -> Result<(), ListError> {
        if self.terms.len() > TERMS_MAX.max(before.terms.len()) {
            return Err(ListError::TooLong);
        }
        let mut seen = BTreeSet::new();
        for term in &self.terms {
            if find_duplicate_limit(term.limits()).is_some() && !before.terms.contains(term) {
                return Err(ListError::LimitTwice(term.scope().clone()));
            }
            if !seen.insert(term.scope().clone()) {
                return Err(ListError::Twice(term.scope().clone()));
            }
            // A term from before this rule may stay unchanged.
            let is_kept = before.term(term.scope()) == Some(term);
            if term.decides() == Decider::Worker && !is_kept {
                return Err(ListError::WorkerAlone(term.scope().clone()));
            }
            let is_valid = |limit: &Limit| match limit {
                Limit::PerPurchase(most) | Limit::Amount { most, .. } => {
                    most.currency() == currency && most.minor() >= 0
                }
                Limit::Count { .. } => true,
            };
            if !term.limits().iter().all(is_valid) {
                return Err(ListError::Sum(term.scope().clone()));
            }
        }
        let pots = |list: &Self| {
            let mut pots: Vec<_> =
                list.pots.iter().map(|pot| (pot.id.clone(), pot.stream.clone())).collect();
            pots.sort();
            pots
        };
        if pots(self) == pots(before) { Ok(()) } else { Err(ListError::OtherPots) }
    }

    /// Whether both lists have the same content. The order of terms does not matter.
    pub fn has_same_content(&self, other: &Self) -> bool {
        self.partial == other.partial
            && self.pots == other.pots
            && self.terms.len() == other.terms.len()
            && self.terms.iter().all(|term| other.term(term.scope()) == Some(term))
    }

    /// The term about exactly `scope`.
    pub fn term(&self, scope: &Scope) -> Option<&Term> {
        self.terms.iter().find(|term| term.scope() == scope)
    }

    /// This list, with the parts that `keys` name taken from `next`.
    #[must_use]
    pub fn with(&self, next: &Self, keys: &BTreeSet<TermKey>) -> Self {
        let mut list = self.clone();
        for key in keys {
            match key {
                TermKey::Partial => list.partial = next.partial,
                TermKey::Term(scope) => {
                    let place = list.terms.iter().position(|term| term.scope() == scope);
                    match (place, next.term(scope)) {
                        (Some(place), Some(term)) => {
                            if let Some(known) = list.terms.get_mut(place) {
                                *known = term.clone();
                            }
                        }
                        (Some(place), None) => drop(list.terms.remove(place)),
                        (None, Some(term)) => list.terms.push(term.clone()),
                        (None, None) => {}
                    }
                }
                TermKey::PotOrder => {
                    let place = |pot: &PotPlan| next.pots.iter().position(|n| n.id == pot.id);
                    list.pots.sort_by_key(place);
                }
                TermKey::Pot(id) => {
                    let new = next.pots.iter().find(|pot| pot.id == *id);
                    let known = list.pots.iter_mut().find(|pot| pot.id == *id);
                    if let Some((known, new)) = known.zip(new) {
                        *known = new.clone();
                    }
                }
            }
        }
        list
    }

    /// The terms that cover the purchases of `scope`: its own term, or every term that can apply in
    /// its place. `None` means a plain yes.
    fn covering(&self, scope: &Scope, rules: &MerchantRules) -> Vec<Option<&Term>> {
        if let Some(term) = self.term(scope) {
            return vec![Some(term)];
        }
        let everything_else = self.term(&Scope::EverythingElse);
        match scope {
            Scope::Gate(_) | Scope::Everything | Scope::EverythingElse => vec![None],
            Scope::Category(_) => vec![everything_else],
            // The code may sell other things too: a term on one of those applies where it is
            // stricter.
            Scope::Code(code) => {
                let sold = rules.kinds_of(Some(*code));
                let term = |category: &Category| self.term(&Scope::Category(category.clone()));
                let mut terms = vec![term(sold.category).or(everything_else)];
                terms.extend(sold.also.iter().filter_map(term).map(Some));
                terms
            }
            Scope::Shop(_) | Scope::OneShop(..) => {
                let by_kind =
                    |term: &&Term| matches!(term.scope(), Scope::Code(_) | Scope::Category(_));
                let mut terms: Vec<_> = self.terms.iter().filter(by_kind).map(Some).collect();
                terms.push(everything_else);
                terms
            }
        }
    }
}

/// A part of a list that changes separately.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TermKey {
    Term(Scope),
    /// Whether partial approvals are allowed.
    Partial,
    PotOrder,
    /// The properties of a pot, such as its name and what it pays for.
    Pot(PotId),
}

impl fmt::Display for TermKey {
    /// Writes the stored form: that of the scope, or `partial`, `pot_order`, `pot:week`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(scope) => scope.fmt(f),
            Self::Partial => f.write_str("partial"),
            Self::PotOrder => f.write_str("pot_order"),
            Self::Pot(pot) => write!(f, "pot:{pot}"),
        }
    }
}

/// The text is not the stored form of a part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a part of a list such as \"category:food\" or \"pot_order\"")]
pub struct ParseTermKeyError;

impl FromStr for TermKey {
    type Err = ParseTermKeyError;

    fn from_str(text: &str) -> Result<Self, ParseTermKeyError> {
        match text {
            "partial" => Ok(Self::Partial),
            "pot_order" => Ok(Self::PotOrder),
            _ => match text.strip_prefix("pot:") {
                Some(pot) => pot.parse().map(Self::Pot).map_err(|_| ParseTermKeyError),
                None => text.parse().map(Self::Term).map_err(|_| ParseTermKeyError),
            },
        }
    }
}

stored_enum!(
    /// The direction of a change.
    ChangeDirection {
        /// Every purchase is treated as before; only words, dates or deciders differ.
        Same => "same",
        /// Nothing can be paid that could not be paid before.
        Tighter => "less",
        /// Everything can still be paid that could be paid before.
        Looser => "more",
        /// Tighter for some purchases and looser for others, or not comparable.
        Mixed => "other",
    }
);

impl ChangeDirection {
    /// The direction of both changes together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, other) | (other, Self::Same) => other,
            (Self::Tighter, Self::Tighter) => Self::Tighter,
            (Self::Looser, Self::Looser) => Self::Looser,
            (Self::Tighter | Self::Looser | Self::Mixed, _) => Self::Mixed,
        }
    }

    /// Whether something may be paid that could not be paid before; true for [`Self::Mixed`] too.
    pub const fn loosens(self) -> bool {
        matches!(self, Self::Looser | Self::Mixed)
    }

    const fn of(is_no_looser: bool, is_no_tighter: bool) -> Self {
        match (is_no_looser, is_no_tighter) {
            (true, true) => Self::Same,
            (true, false) => Self::Tighter,
            (false, true) => Self::Looser,
            (false, false) => Self::Mixed,
        }
    }
}

/// A part that differs between two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermChange {
    pub key: TermKey,
    /// The terms before and after; none where there is no term, and for parts that are not terms.
    pub before: Option<Term>,
    pub after: Option<Term>,
    /// What decides purchases in the scope before and after, even if no term names the scope.
    pub effective_before: EffectiveTerm,
    pub effective_after: EffectiveTerm,
    pub direction: ChangeDirection,
    /// Who decided before: [`Decider::Together`], unless all terms that covered the same purchases
    /// name another decider.
    pub decided: Decider,
    /// The longest cooling time, in days, that the person chose for what this change loosens; 0 for
    /// none.
    pub cooling_days: u32,
    /// The ceiling of each term that covered it before, and the highest ceiling now.
    ceilings_before: Vec<SpendingCeiling>,
    ceiling_after: SpendingCeiling,
}

/// What decides purchases in a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectiveTerm {
    /// A term, about the scope or a wider one; none for a plain yes.
    One(Option<Term>),
    /// A different term for each kind of shop, and the kind of this one is not known.
    ByKind,
}

impl EffectiveTerm {
    fn of(list: &List, scope: &Scope, rules: &MerchantRules) -> Self {
        let mut covering = list.covering(scope, rules).into_iter();
        let first = covering.next().flatten();
        match scope {
            // Terms on what a code sells apply where they are stricter.
            Scope::Code(_) => {
                let mut strictest = first;
                for other in covering {
                    if strictness(other) > strictness(strictest) {
                        strictest = other;
                    }
                }
                Self::One(strictest.cloned())
            }
            Scope::Shop(_) | Scope::OneShop(..) => {
                let is_same = |other: Option<&Term>| {
                    compare(first, other, ScopeWidth::Same) == ChangeDirection::Same
                };
                if covering.all(is_same) { Self::One(first.cloned()) } else { Self::ByKind }
            }
            Scope::Category(_) | Scope::Gate(_) | Scope::Everything | Scope::EverythingElse => {
                Self::One(first.cloned())
            }
        }
    }
}

/// The most that can be spent at a time without an ask. Ordered from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SpendingCeiling {
    Nothing,
    /// In minor units.
    UpTo(i64),
    Any,
}

impl SpendingCeiling {
    fn under(term: Option<&Term>) -> Self {
        let Some(term) = term else { return Self::Any };
        if term.answer() != TermAnswer::Yes {
            return Self::Nothing;
        }
        let sums = term.limits().iter().filter_map(|limit| match limit {
            Limit::PerPurchase(most) | Limit::Amount { most, .. } => Some(most.minor()),
            Limit::Count { .. } => None,
        });
        sums.min().map_or(Self::Any, Self::UpTo)
    }

    const fn is_above(self, sum: Money) -> bool {
        match self {
            Self::Nothing => false,
            Self::UpTo(most) => most > sum.minor(),
            Self::Any => true,
        }
    }
}

impl TermChange {
    /// Whether more than `sum` at a time becomes possible where it was not possible before.
    pub fn frees_more_than(&self, sum: Money) -> bool {
        self.direction.loosens()
            && self.ceiling_after.is_above(sum)
            && self.ceilings_before.iter().any(|before| !before.is_above(sum))
    }
}

/// The parts that differ between two lists.
pub fn changes(before: &List, after: &List, rules: &MerchantRules) -> Vec<TermChange> {
    let scopes: BTreeSet<_> =
        before.terms.iter().chain(&after.terms).map(|term| term.scope().clone()).collect();
    let mut changes: Vec<_> =
        scopes.into_iter().filter_map(|scope| term_change(before, after, scope, rules)).collect();
    let plain = |key, direction| TermChange {
        key,
        before: None,
        after: None,
        effective_before: EffectiveTerm::One(None),
        effective_after: EffectiveTerm::One(None),
        direction,
        decided: Decider::Together,
        cooling_days: 0,
        ceilings_before: Vec::new(),
        ceiling_after: SpendingCeiling::Nothing,
    };
    if before.partial != after.partial {
        let direction =
            if after.partial { ChangeDirection::Looser } else { ChangeDirection::Tighter };
        changes.push(plain(TermKey::Partial, direction));
    }
    let order = |list: &List| list.pots.iter().map(|pot| pot.id.clone()).collect::<Vec<_>>();
    if order(before) != order(after) {
        let change = plain(TermKey::PotOrder, ChangeDirection::Same);
        changes.push(TermChange { decided: Decider::Person, ..change });
    }
    for pot in &before.pots {
        let new = after.pots.iter().find(|new| new.id == pot.id);
        if new.is_some_and(|new| new != pot) {
            changes.push(plain(TermKey::Pot(pot.id.clone()), ChangeDirection::Mixed));
        }
    }
    changes
}

fn term_change(
    before: &List,
    after: &List,
    scope: Scope,
    rules: &MerchantRules,
) -> Option<TermChange> {
    let (old, new) = (before.term(&scope), after.term(&scope));
    if old == new {
        return None;
    }
    let covered_before = before.covering(&scope, rules);
    let covered_after = after.covering(&scope, rules);
    // A specific term counts fewer purchases than a wider term that covers the same scope.
    let width = match (old, new) {
        (None, Some(_)) => ScopeWidth::Narrower,
        (Some(_), None) => ScopeWidth::Wider,
        (Some(_), Some(_)) | (None, None) => ScopeWidth::Same,
    };
    let mut direction = ChangeDirection::Same;
    let mut cooling_days = 0;
    for was in &covered_before {
        for is in &covered_after {
            let one = compare(*was, *is, width.under(*is));
            direction = direction.and(one);
            if one.loosens() {
                cooling_days = cooling_days.max(was.and_then(Term::cooling_days).unwrap_or(0));
            }
        }
    }
    let who = |term: Option<&Term>| term.map_or(Decider::Together, Term::decides);
    let mut deciders = covered_before.iter().copied().map(who);
    let first = deciders.next().unwrap_or(Decider::Together);
    let by_all = if deciders.all(|decider| decider == first) { first } else { Decider::Together };
    Some(TermChange {
        before: old.cloned(),
        after: new.cloned(),
        effective_before: EffectiveTerm::of(before, &scope, rules),
        effective_after: EffectiveTerm::of(after, &scope, rules),
        direction,
        decided: by_all,
        cooling_days,
        ceilings_before: covered_before.iter().map(|term| SpendingCeiling::under(*term)).collect(),
        ceiling_after: covered_after
            .iter()
            .map(|term| SpendingCeiling::under(*term))
            .max()
            .unwrap_or(SpendingCeiling::Nothing),
        key: TermKey::Term(scope),
    })
}

/// Which purchases the term after counts, compared with the term before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScopeWidth {
    Same,
    Narrower,
    Wider,
    /// It counts from zero: what was counted before is no longer counted.
    Restarted,
}

impl ScopeWidth {
    /// "Everything else" counts only purchases that no other term covered at the time, so that it
    /// counts from zero for those of a term that is removed.
    fn under(self, term: Option<&Term>) -> Self {
        let is_anew = term.is_some_and(|term| *term.scope() == Scope::EverythingElse);
        if self == Self::Wider && is_anew { Self::Restarted } else { self }
    }

    /// Whether everything counted before is still counted.
    const fn keeps_count(self) -> bool {
        matches!(self, Self::Same | Self::Wider)
    }

    const fn reversed(self) -> Self {
        match self {
            Self::Same => Self::Same,
            Self::Narrower => Self::Wider,
            Self::Wider => Self::Narrower,
            Self::Restarted => Self::Restarted,
        }
    }
}

/// 0 for a yes, 2 for a no. `None` means a plain yes.
fn strictness(term: Option<&Term>) -> u8 {
    match term.map(Term::answer) {
        None | Some(TermAnswer::Yes) => 0,
        Some(TermAnswer::Ask) => 1,
        Some(TermAnswer::No) => 2,
    }
}

/// The direction from one term to another for a purchase that both cover. `None` means a plain yes.
fn compare(before: Option<&Term>, after: Option<&Term>, width: ScopeWidth) -> ChangeDirection {
    let direction = match (before.and_then(Term::hours), after.and_then(Term::hours)) {
        (None, None) => match strictness(after).cmp(&strictness(before)) {
            std::cmp::Ordering::Greater => ChangeDirection::Tighter,
            std::cmp::Ordering::Less => ChangeDirection::Looser,
            std::cmp::Ordering::Equal if strictness(before) == 0 => {
                let limits = |term: Option<&Term>| term.map_or(Vec::new(), |t| t.limits().to_vec());
                compare_limits(&limits(before), &limits(after), width)
            }
            // Limits beside an ask or a no do not matter, because a permission lifts both together.
            std::cmp::Ordering::Equal => ChangeDirection::Same,
        },
        (was, is) => {
            let answers = ChangeDirection::of(
                strictness(after) >= strictness(before),
                strictness(before) >= strictness(after),
            );
            answers.and(compare_hours(
                was.filter(|_| strictness(before) > 0),
                is.filter(|_| strictness(after) > 0),
            ))
        }
    };
    let cooling = |term: Option<&Term>| term.and_then(Term::cooling_days).unwrap_or(0);
    direction.and(ChangeDirection::of(
        cooling(after) >= cooling(before),
        cooling(before) >= cooling(after),
    ))
}

fn compare_limits(before: &[Limit], after: &[Limit], width: ScopeWidth) -> ChangeDirection {
    let all_implied = |these: &[Limit], by: &[Limit], width: ScopeWidth| {
        these.iter().all(|limit| by.iter().any(|other| implies(other, limit, width)))
    };
    ChangeDirection::of(
        all_implied(before, after, width),
        all_implied(after, before, width.reversed()),
    )
}

/// Whether spending within `limit` is always within `other` too. `width` compares the purchases
/// that `limit` counts with those that `other` counts.
fn implies(limit: &Limit, other: &Limit, width: ScopeWidth) -> bool {
    match (limit, other) {
        (Limit::PerPurchase(most) | Limit::Amount { most, .. }, Limit::PerPurchase(others)) => {
            most.minor() <= others.minor()
        }
        (Limit::Amount { per, most }, Limit::Amount { per: other, most: others }) => {
            per == other && most.minor() <= others.minor() && width.keeps_count()
        }
        (Limit::Count { per, most }, Limit::Count { per: other, most: others }) => {
            per == other && most <= others && width.keeps_count()
        }
        (Limit::Count { .. }, Limit::PerPurchase(_) | Limit::Amount { .. })
        | (Limit::PerPurchase(_), Limit::Amount { .. } | Limit::Count { .. })
        | (Limit::Amount { .. }, Limit::Count { .. }) => false,
    }
}

/// The direction from one set of hours in which the card works to another. `None` means the whole
/// day.
fn compare_hours(before: Option<Hours>, after: Option<Hours>) -> ChangeDirection {
    match (before, after) {
        (None, None) => ChangeDirection::Same,
        (None, Some(_)) => ChangeDirection::Tighter,
        (Some(_), None) => ChangeDirection::Looser,
        (Some(was), Some(is)) => ChangeDirection::of(lie_within(is, was), lie_within(was, is)),
    }
}

/// Whether `inner` lies within `outer`, also across midnight.
fn lie_within(inner: Hours, outer: Hours) -> bool {
    const DAY_NANOSECONDS: i64 = 86_400_000_000_000;
    let after = |from: Time, to: Time| {
        let span = to.duration_since(from).as_nanos();
        i64::try_from(span).unwrap_or(0).rem_euclid(DAY_NANOSECONDS)
    };
    let begins = after(outer.from, inner.from);
    let ends = begins.saturating_add(after(inner.from, inner.to));
    inner.from == inner.to || ends <= after(outer.from, outer.to)
}
