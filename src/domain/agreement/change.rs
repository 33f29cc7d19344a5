//! What would change in a list, term by term: looser, tighter, the same, or some of both.
//!
//! A change is judged by what it does to purchases, not by what it says: a new term is compared
//! with whatever held for the same purchases before. What cannot be compared counts as both.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;

use crate::domain::agreement::{Agreement, Decider, Hours, Scope, Term, TermAnswer};
use crate::domain::id::PotId;
use crate::domain::money::limit::{Limit, find_duplicate_limit};
use crate::domain::money::{Currency, Money};
use crate::domain::pot::PotPlan;
use crate::domain::shop::merchant::MerchantRules;

/// How many terms a list has at most. Nobody reads more, and every decision looks at each.
pub const MAX_TERMS: usize = 200;

/// What an agreement says, apart from who agreed it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Whether a purchase may be paid in part.
    pub partial: bool,
    pub terms: Vec<Term>,
    /// In the order in which the person wants them used.
    pub pots: Vec<PotPlan>,
}

/// Why a list cannot take the place of another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("two terms are about {0}; keep one")]
    Twice(Scope),
    #[error("a list has at most {MAX_TERMS} terms; put some together")]
    TooLong,
    #[error("{0} has two limits of the same kind for the same period; keep one")]
    LimitTwice(Scope),
    #[error("a sum of {0} is in another currency than the money, or below nothing")]
    Sum(Scope),
    #[error(
        "{0} would be decided by the worker alone: every change of a list takes the person's yes, so \
         nothing on it is; write decides = \"together\""
    )]
    WorkerAlone(Scope),
    #[error("pots are added and taken away where their money is planned; a list orders them")]
    OtherPots,
}

impl Agreement {
    /// What it says, apart from who agreed it when.
    pub fn list(&self) -> List {
        List { partial: self.partial, terms: self.terms.clone(), pots: self.pots.clone() }
    }
}

impl List {
    /// Checks that this list can take the place of `before`. What is there already may stay as it is.
    pub fn check(&self, before: &Self, currency: Currency) -> Result<(), ListError> {
        if self.terms.len() > MAX_TERMS.max(before.terms.len()) {
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
            // A list from before this was refused goes on as it is.
            let is_kept = before.term(term.scope()) == Some(term);
            if term.decides() == Decider::Worker && !is_kept {
                return Err(ListError::WorkerAlone(term.scope().clone()));
            }
            let is_fair = |limit: &Limit| match limit {
                Limit::PerPurchase(most) | Limit::Amount { most, .. } => {
                    most.currency() == currency && most.minor() >= 0
                }
                Limit::Count { .. } => true,
            };
            if !term.limits().iter().all(is_fair) {
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

    /// Whether both say the same; the order of terms says nothing.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.partial == other.partial
            && self.pots == other.pots
            && self.terms.len() == other.terms.len()
            && self.terms.iter().all(|term| other.term(term.scope()) == Some(term))
    }

    /// The term about exactly `scope`.
    pub fn term(&self, scope: &Scope) -> Option<&Term> {
        self.terms.iter().find(|term| term.scope() == scope)
    }

    /// This list with those parts of `next` that `keys` name.
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

    /// What holds for the purchases that `scope` is about: its own term, or every term that can
    /// answer in its place. `None` is a plain yes.
    fn covering(&self, scope: &Scope, rules: &MerchantRules) -> Vec<Option<&Term>> {
        if let Some(term) = self.term(scope) {
            return vec![Some(term)];
        }
        let everything_else = self.term(&Scope::EverythingElse);
        match scope {
            Scope::Gate(_) | Scope::Everything | Scope::EverythingElse => vec![None],
            Scope::Category(_) => vec![everything_else],
            Scope::Code(code) => {
                let category = rules.category_of(Some(*code)).clone();
                vec![self.term(&Scope::Category(category)).or(everything_else)]
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

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TermKey {
    Term(Scope),
    /// Whether purchases may be paid in part.
    Partial,
    PotOrder,
    /// What a pot is called and what it pays for.
    Pot(PotId),
}

impl fmt::Display for TermKey {
    /// Writes the stored form: a scope's, or `partial`, `pot_order`, `pot:week`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(scope) => scope.fmt(f),
            Self::Partial => f.write_str("partial"),
            Self::PotOrder => f.write_str("pot_order"),
            Self::Pot(pot) => write!(f, "pot:{pot}"),
        }
    }
}

/// Text that is not the stored form of a part of a list.
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

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeDirection {
    /// Every purchase fares as before; only words, dates or who decides differ.
    Same,
    /// Nothing is paid that was not paid before.
    Tighter,
    /// Everything is paid that was paid before.
    Looser,
    /// Some of both, or nobody can tell.
    Mixed,
}

impl ChangeDirection {
    /// The direction of two changes together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, other) | (other, Self::Same) => other,
            (Self::Tighter, Self::Tighter) => Self::Tighter,
            (Self::Looser, Self::Looser) => Self::Looser,
            (Self::Tighter | Self::Looser | Self::Mixed, _) => Self::Mixed,
        }
    }

    /// Whether anything may be paid after it that was not paid before. What is mixed does.
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

/// One part of a list that differs from the list before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermChange {
    pub key: TermKey,
    /// The term before and after; none where there was or is none, and for pots.
    pub before: Option<Term>,
    pub after: Option<Term>,
    pub direction: ChangeDirection,
    /// Who decided before: together, unless every term that covered the same purchases says otherwise.
    pub decided: Decider,
    /// The longest cooling time that the person chose for what this would loosen.
    pub cooling_days: u32,
    /// The most that was possible at a time under each term that covered it, and that is now.
    was_possible: Vec<SpendingCeiling>,
    is_possible: SpendingCeiling,
}

/// The most that can be spent at a time without asking, from little to much.
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
    /// Whether more than `sum` at a time becomes possible that was not possible before.
    pub fn frees_more_than(&self, sum: Money) -> bool {
        self.direction.loosens()
            && self.is_possible.is_above(sum)
            && self.was_possible.iter().any(|was| !was.is_above(sum))
    }
}

/// What differs between two lists, part by part.
pub fn changes(before: &List, after: &List, rules: &MerchantRules) -> Vec<TermChange> {
    let scopes: BTreeSet<_> =
        before.terms.iter().chain(&after.terms).map(|term| term.scope().clone()).collect();
    let mut changes: Vec<_> =
        scopes.into_iter().filter_map(|scope| term_change(before, after, scope, rules)).collect();
    let plain = |key, direction| TermChange {
        key,
        before: None,
        after: None,
        direction,
        decided: Decider::Together,
        cooling_days: 0,
        was_possible: Vec::new(),
        is_possible: SpendingCeiling::Nothing,
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
    let covered = before.covering(&scope, rules);
    let covers = after.covering(&scope, rules);
    // A term of its own counts fewer purchases than one that covers more than it.
    let width = match (old, new) {
        (None, Some(_)) => ScopeWidth::Narrower,
        (Some(_), None) => ScopeWidth::Wider,
        (Some(_), Some(_)) | (None, None) => ScopeWidth::Same,
    };
    let mut direction = ChangeDirection::Same;
    let mut cooling_days = 0;
    for was in &covered {
        for is in &covers {
            let one = compare(*was, *is, width.under(*is));
            direction = direction.and(one);
            if one.loosens() {
                cooling_days = cooling_days.max(was.and_then(Term::cooling_days).unwrap_or(0));
            }
        }
    }
    let who = |term: Option<&Term>| term.map_or(Decider::Together, Term::decides);
    let mut deciders = covered.iter().copied().map(who);
    let first = deciders.next().unwrap_or(Decider::Together);
    let by_all = if deciders.all(|decider| decider == first) { first } else { Decider::Together };
    Some(TermChange {
        before: old.cloned(),
        after: new.cloned(),
        direction,
        decided: by_all,
        cooling_days,
        was_possible: covered.iter().map(|term| SpendingCeiling::under(*term)).collect(),
        is_possible: covers
            .iter()
            .map(|term| SpendingCeiling::under(*term))
            .max()
            .unwrap_or(SpendingCeiling::Nothing),
        key: TermKey::Term(scope),
    })
}

/// How many purchases the term after counts, beside the term before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScopeWidth {
    Same,
    Narrower,
    Wider,
    /// Others, from nothing: what was counted before counts there no more.
    Apart,
}

impl ScopeWidth {
    /// "Everything else" counts what no other term was about at the time: it begins anew for what a
    /// term that is taken away has counted.
    fn under(self, term: Option<&Term>) -> Self {
        let is_anew = term.is_some_and(|term| *term.scope() == Scope::EverythingElse);
        if self == Self::Wider && is_anew { Self::Apart } else { self }
    }

    /// Whether all that was counted before is counted after.
    const fn keeps_count(self) -> bool {
        matches!(self, Self::Same | Self::Wider)
    }

    const fn reversed(self) -> Self {
        match self {
            Self::Same => Self::Same,
            Self::Narrower => Self::Wider,
            Self::Wider => Self::Narrower,
            Self::Apart => Self::Apart,
        }
    }
}

/// Which way it is from one term to another one for a purchase that both are about. No term is a
/// plain yes.
fn compare(before: Option<&Term>, after: Option<&Term>, width: ScopeWidth) -> ChangeDirection {
    let rank = |term: Option<&Term>| match term.map(Term::answer) {
        None | Some(TermAnswer::Yes) => 0,
        Some(TermAnswer::Ask) => 1,
        Some(TermAnswer::No) => 2,
    };
    let direction = match (before.and_then(Term::hours), after.and_then(Term::hours)) {
        (None, None) => match rank(after).cmp(&rank(before)) {
            std::cmp::Ordering::Greater => ChangeDirection::Tighter,
            std::cmp::Ordering::Less => ChangeDirection::Looser,
            std::cmp::Ordering::Equal if rank(before) == 0 => {
                let limits = |term: Option<&Term>| term.map_or(Vec::new(), |t| t.limits().to_vec());
                compare_limits(&limits(before), &limits(after), width)
            }
            // A permission lifts the answer and the limits beside it together.
            std::cmp::Ordering::Equal => ChangeDirection::Same,
        },
        (was, is) => {
            let answers =
                ChangeDirection::of(rank(after) >= rank(before), rank(before) >= rank(after));
            answers.and(compare_hours(
                was.filter(|_| rank(before) > 0),
                is.filter(|_| rank(after) > 0),
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

/// Whether whoever keeps to `limit` keeps to `other` too, when the first counts as many purchases
/// as the second, fewer, or more.
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

/// From one set of hours in which the card works to another one; none is the whole day.
fn compare_hours(before: Option<Hours>, after: Option<Hours>) -> ChangeDirection {
    match (before, after) {
        (None, None) => ChangeDirection::Same,
        (None, Some(_)) => ChangeDirection::Tighter,
        (Some(_), None) => ChangeDirection::Looser,
        (Some(was), Some(is)) => ChangeDirection::of(lie_within(is, was), lie_within(was, is)),
    }
}

/// Whether all of `inner` is part of `outer`, over midnight too.
fn lie_within(inner: Hours, outer: Hours) -> bool {
    const DAY: i64 = 86_400_000_000_000;
    let after = |from: Time, to: Time| {
        let span = to.duration_since(from).as_nanos();
        i64::try_from(span).unwrap_or(0).rem_euclid(DAY)
    };
    let begins = after(outer.from, inner.from);
    let ends = begins.saturating_add(after(inner.from, inner.to));
    inner.from == inner.to || ends <= after(outer.from, outer.to)
}
