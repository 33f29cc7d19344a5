//! Overturning a decision after an appeal.

use jiff::Timestamp;

use super::LockedBudget;
use super::appealable::is_frozen;
use super::ask::{ResolvedSubject, subject_of_decision};
use crate::domain::agreement::Scope;
use crate::domain::agreement::proposal::{Consent, Proposal};
use crate::domain::ask::appeal::AppealSubject;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::ask::{
    Ask, AskRefusalReason, AskSubject, DEFAULT_PERMISSION_LIFETIME, GrantScope, effective_from,
};
use crate::domain::card::CardState;
use crate::domain::id::{AskId, CardToken, DecisionId, PauseId, PermissionId, ProposalId};
use crate::domain::money::Money;
use crate::domain::time::period::Moment;
use crate::ledger::book::Card;
use crate::ledger::record::decision::RecordedDecision;
use crate::people::members::{GrantedAccess, UseCaseContext, UseCaseError};
use crate::programme::card_pause::lift_pause;
use crate::programme::forced_change::{ForcedChangeReview, revert_forced_change};
use crate::store::{StoreError, Tx};

/// Overturns a decision. Returns the permission that replaces a refused ask or a decline; none for
/// pauses, frozen cards and forced changes.
pub(super) async fn overturn(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    about: &AppealSubject,
    words: &str,
) -> Result<Option<Permission>, UseCaseError> {
    let at = access.at;
    match about {
        AppealSubject::Ask(id) => {
            Ok(Some(permission_of_overturned_no(tx, locked, context, *id, at).await?))
        }
        AppealSubject::Decline(id) => {
            let recorded = declined_decision(tx, locked, *id).await?;
            let ResolvedSubject { scope, category, amount, refused_for, mcc, .. } =
                subject_of_decision(locked, &recorded, GrantScope::Place)?;
            if locked.is_barred(category.as_ref(), mcc, at) {
                return Err(funder_rule_error());
            }
            let wanted = AskSubject { scope: &scope, category: category.as_ref(), refused_for };
            let cooling = locked.cooling_days(wanted);
            Ok(Some(permission_of_people(context, scope, amount, at, cooling)))
        }
        AppealSubject::Version(id) => {
            revert_forced_list(tx, locked, context, access, *id, words).await?;
            Ok(None)
        }
        AppealSubject::Pause(id) => {
            lift_wrong_pause(tx, locked, *id, at).await?;
            Ok(None)
        }
        AppealSubject::Card(token) => {
            unfreeze(tx, locked, token).await?;
            Ok(None)
        }
    }
}

/// The permission that replaces a refusal on appeal. Ends the smaller one that was given, if any.
async fn permission_of_overturned_no(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    ask: AskId,
    at: Timestamp,
) -> Result<Permission, UseCaseError> {
    let ask = tx.ask(&locked.programme_id, &locked.budget, ask).await?;
    let ask = ask.ok_or(UseCaseError::NotFound("ask"))?;
    if is_funder_rule(tx, locked, &ask, at).await? {
        return Err(funder_rule_error());
    }
    if let Some(less) = ask.answer.as_ref().and_then(|answer| answer.permission) {
        tx.end_permission(&locked.programme_id, &locked.budget, less, at).await?;
    }
    let cooling = locked.cooling_days(ask.wanted());
    Ok(permission_of_people(context, ask.scope, ask.amount, at, cooling))
}

/// A one-time permission given by a human being, with the default lifetime.
fn permission_of_people(
    context: UseCaseContext<'_>,
    scope: Scope,
    cap: Money,
    at: Timestamp,
    cooling_days: Option<u32>,
) -> Permission {
    let ends_at = effective_from(at, cooling_days)
        .checked_add(DEFAULT_PERMISSION_LIFETIME)
        .unwrap_or(Timestamp::MAX);
    Permission { grantor: Grantor::People, ..one_time_permission(context, scope, cap, at, ends_at) }
}

/// Unfreezes a card that staff froze wrongly.
async fn unfreeze(
    tx: &mut Tx,
    locked: &LockedBudget,
    token: &CardToken,
) -> Result<(), UseCaseError> {
    let cards = tx.cards_of(&locked.programme_id, &locked.budget).await?;
    let frozen = cards.into_iter().filter(|card| card.token == *token && is_frozen(card));
    let free = |card: Card| Card { status: card.status.made(CardState::Active), ..card };
    let freed: Vec<_> = frozen.map(free).collect();
    Ok(tx.set_card_states(&locked.programme_id, &freed).await?)
}

/// A permission for one purchase, given by the programme.
pub(super) fn one_time_permission(
    context: UseCaseContext<'_>,
    scope: Scope,
    cap: Money,
    at: Timestamp,
    ends_at: Timestamp,
) -> Permission {
    let (id, grantor) = (PermissionId::new(context.ids.next(at)), Grantor::Programme);
    let uses = Some(PermissionUsage::none(cap.currency()));
    Permission { id, scope, cap, uses_left: 1, given_at: at, ends_at, grantor, uses }
}

/// Lifts a wrong pause, unless it is over.
async fn lift_wrong_pause(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: PauseId,
    at: Timestamp,
) -> Result<(), UseCaseError> {
    let pauses = tx.pauses_of(&locked.programme_id, &locked.budget).await?;
    match pauses.iter().find(|pause| pause.id == id && pause.over_at() > at) {
        Some(pause) => Ok(lift_pause(tx, &locked.programme_id, &locked.budget, pause, at).await?),
        None => Ok(()),
    }
}

/// Reverts a forced change that no law required, except parts that have changed again since.
async fn revert_forced_list(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    id: ProposalId,
    words: &str,
) -> Result<(), UseCaseError> {
    let (forced, _) =
        forced_proposal(tx, locked, id).await?.ok_or(UseCaseError::NotFound("decision"))?;
    let review = ForcedChangeReview { forced: &forced, by: &access.actor.member.name, why: words };
    let moment = Moment::new(access.at, locked.programme.zone());
    let agreements = context.directory.agreements();
    revert_forced_change(
        tx,
        &locked.programme_id,
        &locked.programme,
        agreements,
        context.ids,
        moment,
        review,
    )
    .await?;
    Ok(())
}

/// Whether a funder's rule is the cause, which nobody in the programme can change.
pub(super) async fn is_funder_rule(
    tx: &mut Tx,
    locked: &LockedBudget,
    ask: &Ask,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let reason = ask.answer.as_ref().and_then(|answer| answer.reason);
    Ok(reason == Some(AskRefusalReason::Law) || locked.is_ask_barred(tx, ask, at).await?)
}

fn funder_rule_error() -> UseCaseError {
    let what = "no money of this person may ever buy this; say where they can go next";
    UseCaseError::invalid("next_step", what)
}

/// The decision `id`, if it is about this budget.
pub(super) async fn declined_decision(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: DecisionId,
) -> Result<RecordedDecision, UseCaseError> {
    let recorded = tx.decisions_by_id(&locked.programme_id, &[id]).await?.pop();
    let recorded = recorded.filter(|recorded| recorded.budget == locked.budget);
    recorded.ok_or(UseCaseError::NotFound("decision"))
}

pub(super) async fn forced_proposal(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: ProposalId,
) -> Result<Option<(Proposal, Vec<Consent>)>, UseCaseError> {
    Ok(tx.proposal(&locked.programme_id, &locked.budget, id, locked.currency()).await?)
}
