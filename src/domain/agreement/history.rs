//! The versions of a list over time: what was agreed together, and how old each restriction is.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::agreement::change::{List, TermKey, changes};
use crate::domain::agreement::proposal::ProposalKind;
use crate::domain::agreement::{Agreement, Decider, Scope, Term, TermAnswer};
use crate::domain::shop::merchant::MerchantRules;

/// One version that is or was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementVersion {
    pub agreement: Arc<Agreement>,
    /// The local day on which it started.
    pub started_on: Date,
}

/// The list agreed with the worker, after `after` has replaced `before`.
///
/// It takes over each part that changed, except from a version that the person made alone
/// ([`ProposalKind::Own`]).
pub fn agreed_after(
    agreed: List,
    before: &List,
    after: &List,
    kind: Option<ProposalKind>,
    rules: &MerchantRules,
) -> List {
    if kind == Some(ProposalKind::Own) {
        return agreed;
    }
    let keys = changes(before, after, rules).into_iter().map(|change| change.key).collect();
    agreed.with(after, &keys)
}

/// `now` without the parts that a law changed (from `before` to `forced`), except parts that have
/// been changed again since.
pub fn without_forced(now: &List, before: &List, forced: &List, rules: &MerchantRules) -> List {
    let keys = |from: &List, to: &List| -> BTreeSet<TermKey> {
        changes(from, to, rules).into_iter().map(|change| change.key).collect()
    };
    let mut still = keys(before, forced);
    let since = keys(forced, now);
    still.retain(|key| !since.contains(key));
    now.with(before, &still)
}

/// A restriction in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    pub scope: Scope,
    pub decides: Decider,
    pub reason: String,
    /// The day since which the same scope has been restricted without a break.
    pub since: Date,
    pub days: i32,
    pub review_on: Option<Date>,
    /// Whether its review is overdue, which never stops spending.
    pub is_overdue: bool,
    /// Whether the person set it on themselves, with a cooling time.
    pub is_own: bool,
}

/// Every restriction in force on `today`, oldest first.
pub fn restrictions(history: &[AgreementVersion], today: Date) -> Vec<Restriction> {
    let Some(now) = history.last() else { return Vec::new() };
    let restriction = |term: &Term| {
        let restricts_since = history
            .iter()
            .rev()
            .take_while(|v| v.agreement.terms.iter().any(|t| same_restriction(t, term)))
            .last()
            .map_or(now.started_on, |version| version.started_on);
        Restriction {
            scope: term.scope().clone(),
            decides: term.decides(),
            reason: term.reason().unwrap_or_default().to_owned(),
            since: restricts_since,
            days: today.since(restricts_since).map_or(0, |span| span.get_days()),
            review_on: term.review_on(),
            is_overdue: term.review_on().is_some_and(|on| on < today),
            is_own: term.cooling_days().is_some(),
        }
    };
    let mut all: Vec<_> =
        now.agreement.terms.iter().filter(|term| restricts(term)).map(restriction).collect();
    all.sort_by(|a, b| (a.since, &a.scope).cmp(&(b.since, &b.scope)));
    all
}

fn restricts(term: &Term) -> bool {
    term.answer() != TermAnswer::Yes || !term.limits().is_empty()
}

fn same_restriction(term: &Term, other: &Term) -> bool {
    term.scope() == other.scope() && restricts(term)
}
