//! The help level that the person chooses: a ready-made change of their own list. Nobody else can
//! choose it, and what was agreed with the worker does not change.

use jiff::civil::Date;

use super::{ProposalProgress, ProposalRequest};
use crate::domain::agreement::change::{List, TermKey};
use crate::domain::agreement::proposal::{ConsentGranularity, ConsentSession};
use crate::domain::agreement::{Decider, Scope, Term, TermAnswer, TermDraft};
use crate::domain::id::PersonId;
use crate::domain::money::Money;
use crate::domain::money::limit::Limit;
use crate::domain::people::role::Capability;
use crate::people::admitted_budget::AdmittedBudget;
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::store::Tx;

/// How much help the person wants with their money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpLevel {
    /// The choices "I do it" and "with a hand". The second changes who is notified, not the list.
    Alone,
    /// A purchase above a threshold needs a one-time OK.
    Together {
        above: Money,
        /// Days that must pass between asking to end this level and its end.
        cooling_days: u32,
        /// When the person and the worker review it.
        review_on: Date,
    },
}

/// Changes the person's list to the chosen help level. More help starts at once, less help after
/// the cooling time that the person chose.
pub async fn choose_help(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    help: HelpLevel,
    words: String,
    session: ConsentSession,
) -> Result<ProposalProgress, UseCaseError> {
    let mut admitted =
        AdmittedBudget::open(tx, context, principal, person, |_| Capability::SteerMoney).await?;
    let now = admitted.agreement()?.list();
    let without_help = now.with(&admitted.agreed_list(tx).await?, &[everything_key()].into());
    let list = match help {
        HelpLevel::Alone => without_help,
        HelpLevel::Together { above, cooling_days, review_on } => {
            with_approval_threshold(&without_help, above, cooling_days, review_on, &words)?
        }
    };
    admitted
        .create_proposal(
            tx,
            ProposalRequest { list, words, parts: ConsentGranularity::Whole, session },
            None,
        )
        .await
}

const fn everything_key() -> TermKey {
    TermKey::Term(Scope::Everything)
}

/// `list` with a one-time OK required for every purchase above a threshold. A lower threshold and a
/// longer cooling time that the list already has are kept.
fn with_approval_threshold(
    list: &List,
    above: Money,
    cooling_days: u32,
    review_on: Date,
    words: &str,
) -> Result<List, UseCaseError> {
    let known = list.term(&Scope::Everything);
    let mut limits = known.map_or_else(Vec::new, |term| term.limits().to_vec());
    let per_purchase_limit = |limit: &Limit| match limit {
        Limit::PerPurchase(most) => Some(most.minor()),
        Limit::Amount { .. } | Limit::Count { .. } => None,
    };
    let known_threshold = limits.iter().filter_map(per_purchase_limit).min();
    if known_threshold.is_none_or(|known| above.minor() < known) {
        limits.retain(|limit| per_purchase_limit(limit).is_none());
        limits.push(Limit::PerPurchase(above));
    }
    let known_cooling = known.and_then(Term::cooling_days).unwrap_or(0);
    let term = Term::new(TermDraft {
        scope: Scope::Everything,
        answer: TermAnswer::Yes,
        limits,
        hours: None,
        decides: known.map_or(Decider::Person, Term::decides),
        reason: Some(words.trim().to_owned()),
        review_on: Some(review_on),
        cooling_days: Some(cooling_days.max(known_cooling)).filter(|days| *days > 0),
    });
    let term = term.map_err(|error| UseCaseError::invalid("words", error.to_string()))?;
    let only = List { partial: list.partial, terms: vec![term], pots: list.pots.clone() };
    Ok(list.with(&only, &[everything_key()].into()))
}
