//! The decision: reasons and their order, limits, permissions, and which pots pay.

mod calendar;
mod counting;
mod facts_record;
mod golden;
mod largest_payment;
mod limits;
mod order;
mod parts;
mod permissions;
mod pots;
mod properties;
mod reasons;

use std::sync::Arc;

use sayso::domain::agreement::Agreement;
use sayso::domain::decision::authorisation::{Approval, AuthorisationRequest, Decision, Facts};
use sayso::domain::decision::decide::decide;
use sayso::domain::decision::reason::DeclineReason;

use crate::values::some_facts;

/// The facts of an approved purchase, with `change` applied.
fn facts_with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = some_facts();
    change(&mut facts);
    facts
}

/// The facts of an approved purchase, with `change` applied to the agreement.
fn agreed(change: impl FnOnce(&mut Agreement)) -> Facts {
    facts_with(|facts| {
        let holder = facts.holder.as_mut().unwrap();
        change(Arc::make_mut(&mut holder.agreement));
    })
}

/// All reasons, the main one first; empty for an approval.
fn reasons(request: &AuthorisationRequest, facts: &Facts) -> Vec<DeclineReason> {
    match decide(request, facts) {
        Decision::Approve(_) => Vec::new(),
        Decision::Decline(reasons) => reasons.iter().cloned().collect(),
    }
}

/// # Panics
/// If the purchase is declined.
fn approved(request: &AuthorisationRequest, facts: &Facts) -> Approval {
    match decide(request, facts) {
        Decision::Approve(approval) => approval,
        Decision::Decline(reasons) => panic!("declined: {reasons:?}"),
    }
}

/// What each pot pays, in order.
fn split(approval: &Approval) -> Vec<(&str, i64)> {
    approval.parts.iter().map(|part| (part.pot.as_str(), part.amount.minor())).collect()
}
