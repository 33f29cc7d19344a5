//! Somebody else looks at a no: with a clock, and for essentials with a yes until they have.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::answer::within_own_limit;
use super::appealable::is_frozen;
use super::ask::{ResolvedSubject, subject_of_decision};
use super::outbox::OutboxWriter;
use super::{LockedBudget, UseCaseContext, optional_words};
use crate::domain::agreement::Scope;
use crate::domain::agreement::proposal::{Consent, Proposal};
use crate::domain::ask::appeal::{
    Appeal, AppealError, AppealFinding, AppealOutcome, AppealState, AppealSubject,
    INTERIM_LIMIT_WINDOW, InterimGrant, InterimLimits, InterimMeasure, MAX_OPEN_APPEALS,
    interim_cap,
};
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::ask::{
    ActorIdentity, Ask, AskRefusalReason, AskState, AskSubject, DEFAULT_PERMISSION_LIFETIME,
    GrantScope, Urgency, effective_from,
};
use crate::domain::card::CardState;
use crate::domain::id::{
    AppealId, AskId, BudgetId, CardToken, DecisionId, HumanId, PauseId, PermissionId, PersonId,
    ProgrammeId, ProposalId,
};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Moment;
use crate::ledger::book::Card;
use crate::ledger::record::decision::RecordedDecision;
use crate::ledger::record::facts::FactsRecord;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Assignee, Notification, NotificationParameters};
use crate::people::members::{
    ExistingAnswer, GrantedAccess, Principal, SeparationOfDuties, UseCaseError,
};
use crate::programme::card_pause::lift_pause;
use crate::programme::forced_change::{ForcedChangeReview, revert_forced_change};
use crate::store::{DueAppeal, Tx};

/// How much earlier than the refusal that it is about an ask can have been noted: clocks of two
/// gateways differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// A yes for now outlasts the answer by this, so that it never ends in front of a till.
const INTERIM_OUTLASTS: SignedDuration = SignedDuration::from_hours(1);

/// What somebody found who looked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealAnswerRequest {
    pub appeal: AppealId,
    /// None when it is changed; where to go next, outside of the programme, when it stays.
    pub next_step: Option<String>,
    /// Why, in words that the person reads.
    pub words: String,
}

/// What is decided about, as far as an appeal needs it.
struct AppealContext {
    decided_by: BTreeSet<HumanId>,
    urgency: Urgency,
    ask: Option<Ask>,
}

/// Asks that somebody else looks. The same thing is looked at once: asked again, it is the same
/// appeal.
pub async fn appeal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    about: AppealSubject,
    words: Option<&str>,
) -> Result<Appeal, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, Capability::Appeal, person).await?;
    let words = optional_words(words)?;
    let known = tx.appeals_about(&locked.programme_id, &locked.budget, &about.to_string()).await?;
    if let Some(known) = known.iter().find(|known| known.is_repeat()) {
        return Ok(known.clone());
    }
    let appeal_context = context_of(tx, &locked, &about, principal.at).await?;
    if tx.open_appeals(&locked.programme_id, &locked.budget).await? >= MAX_OPEN_APPEALS {
        let what = format!("{MAX_OPEN_APPEALS} appeals wait already; take one back first");
        return Err(UseCaseError::Conflict(what));
    }
    let answer_by = locked.clock().decide_by(principal.at, appeal_context.urgency);
    // Once: taken back and asked again, it waits for somebody's answer.
    let had_interim = known.iter().any(|known| known.interim == InterimMeasure::YesForNow);
    let interim =
        match interim_permission(tx, &locked, context, &appeal_context, principal.at, answer_by)
            .await?
        {
            Some(_) if had_interim => None,
            interim => interim,
        };
    if let Some(permission) = &interim {
        locked.grant(tx, permission).await?;
    }
    let member = &access.actor.member;
    let appeal = Appeal {
        id: AppealId::new(context.ids.next(principal.at)),
        budget: locked.budget.clone(),
        about: about.clone(),
        decided_by: appeal_context.decided_by,
        words,
        opened: ActorIdentity { member: member.id.clone(), human: member.human.clone() },
        opened_at: principal.at,
        interim: if interim.is_some() {
            InterimMeasure::YesForNow
        } else {
            InterimMeasure::AsItWas
        },
        permission: interim.as_ref().map(|permission| permission.id),
        answer_by,
        state: AppealState::Open,
        outcome: None,
    };
    tx.add_appeal(&locked.programme_id, &appeal).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, appeal.id.to_string());
    outbox.record_act(&access, "appealed", &about.to_string());
    let parameters = NotificationParameters {
        at: Some(answer_by),
        amount: interim.as_ref().map(|permission| permission.cap),
        ..outbox.parameters()
    };
    let notification =
        if interim.is_some() { Notification::AppealSentWithYes } else { Notification::AppealSent };
    outbox.notify(Recipient::Person, notification, &parameters, facts_of(&appeal));
    for recipient in [Recipient::Manager, Recipient::Duty] {
        outbox.notify(recipient, Notification::WorkerAppeal, &parameters, facts_of(&appeal));
    }
    outbox.write(tx).await?;
    Ok(appeal)
}

async fn context_of(
    tx: &mut Tx,
    locked: &LockedBudget,
    about: &AppealSubject,
    now: Timestamp,
) -> Result<AppealContext, UseCaseError> {
    let not_there = UseCaseError::NotFound("decision");
    match about {
        AppealSubject::Ask(id) => {
            let ask = tx.ask(&locked.programme_id, &locked.budget, *id).await?;
            let ask = ask.ok_or(not_there)?;
            let is_no = matches!(ask.state, AskState::NotThisTime | AskState::YesLess);
            let answer = ask.answer.as_ref().filter(|_| is_no);
            let no = answer.and_then(|answer| Some((answer.by.clone()?, answer.at)));
            let (by, at) = no.ok_or_else(|| UseCaseError::Conflict("it is not a no".to_owned()))?;
            check_not_too_late(about, at, now)?;
            Ok(AppealContext {
                decided_by: [by.human].into(),
                urgency: ask.urgency,
                ask: Some(ask),
            })
        }
        AppealSubject::Pause(id) => {
            let decider = tx.pause_decider(&locked.programme_id, &locked.budget, *id, now).await?;
            // Everything is stopped, essentials too: it is looked at the same day.
            let urgency = Urgency::Essential;
            Ok(AppealContext { decided_by: [decider.ok_or(not_there)?].into(), urgency, ask: None })
        }
        AppealSubject::Version(id) => {
            let (forced, consents) = forced_proposal(tx, locked, *id).await?.ok_or(not_there)?;
            let decided_by = forced.forced_by(&consents);
            let decided_by =
                decided_by.ok_or_else(|| UseCaseError::Conflict("no law forced it".to_owned()))?;
            Ok(AppealContext { decided_by, urgency: Urgency::Ordinary, ask: None })
        }
        AppealSubject::Refusal(id) => subject_of_refusal(tx, locked, *id, now).await,
        AppealSubject::Card(token) => {
            let cards = tx.cards_of(&locked.programme_id, &locked.budget).await?;
            let card = cards.iter().find(|card| card.token == *token).ok_or(not_there)?;
            if !is_frozen(card) {
                return Err(UseCaseError::Conflict("nobody of the staff froze it".to_owned()));
            }
            // Nobody wrote down who it was: the person's worker answers for it.
            let decided_by = tx.humans_of_worker(&locked.programme_id, &locked.worker).await?;
            Ok(AppealContext { decided_by, urgency: Urgency::Essential, ask: None })
        }
    }
}

fn check_not_too_late(
    about: &AppealSubject,
    decided_at: Timestamp,
    now: Timestamp,
) -> Result<(), UseCaseError> {
    match about.until(decided_at) {
        Some(until) if now >= until => {
            Err(UseCaseError::Conflict("it is too long ago to be looked at again".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

/// A till's no, that the list said and nobody was asked about. Whoever agreed to the list for the
/// staff set the rule, and is not the one who looks at it.
async fn subject_of_refusal(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: DecisionId,
    now: Timestamp,
) -> Result<AppealContext, UseCaseError> {
    let recorded = refused_decision(tx, locked, id).await?;
    let wanted = subject_of_decision(locked, &recorded, GrantScope::Place)?;
    check_not_too_late(&AppealSubject::Refusal(id), recorded.decided_at, now)?;
    let (programme, budget) = (&locked.programme_id, &locked.budget);
    let since = recorded.decided_at.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
    if tx.decisions_asked_about(programme, budget, since).await?.contains(&id) {
        let what = "somebody was asked about it: their answer is what can be looked at";
        return Err(UseCaseError::Conflict(what.to_owned()));
    }
    let facts = FactsRecord::from_text(&recorded.facts).ok();
    let version = facts.and_then(|facts| facts.agreement_version());
    let version = version.ok_or(UseCaseError::NotFound("decision"))?;
    let mut decided_by = tx.staff_who_agreed(programme, budget, version).await?;
    if decided_by.is_empty() {
        // It was agreed on paper: the worker wrote it down.
        decided_by = tx.humans_of_worker(programme, &locked.worker).await?;
    }
    let urgency = Urgency::of(wanted.category.as_ref());
    Ok(AppealContext { decided_by, urgency, ask: None })
}

/// A purchase of this person that was not paid.
async fn refused_decision(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: DecisionId,
) -> Result<RecordedDecision, UseCaseError> {
    let recorded = tx.decisions_by_id(&locked.programme_id, &[id]).await?.pop();
    let recorded = recorded.filter(|recorded| recorded.budget == locked.budget);
    recorded.ok_or(UseCaseError::NotFound("decision"))
}

async fn forced_proposal(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: ProposalId,
) -> Result<Option<(Proposal, Vec<Consent>)>, UseCaseError> {
    Ok(tx.proposal(&locked.programme_id, &locked.budget, id, locked.currency()).await?)
}

/// A small yes until somebody has looked: for essentials, unless the rule came with the money, or
/// the person has set it on themselves. Several of them come to no more than the programme says.
async fn interim_permission(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    appeal_context: &AppealContext,
    at: Timestamp,
    answer_by: Timestamp,
) -> Result<Option<Permission>, UseCaseError> {
    let Some(ask) = &appeal_context.ask else { return Ok(None) };
    let is_fair = ask.urgency == Urgency::Essential
        && ask.state == AskState::NotThisTime
        && !is_funder_rule(locked, ask, at)
        && locked.cooling_days(ask.wanted()).is_none();
    if !is_fair {
        return Ok(None);
    }
    let (rules, currency) = (&locked.programme.settings.asks, locked.currency());
    let limits = InterimLimits {
        each: rules.interim_up_to(currency),
        all: rules.interim_week_up_to(currency),
    };
    let before = interim_yeses(tx, locked, at).await?;
    let cap = interim_cap(&ask.scope, ask.amount, &before, limits, at);
    let cap = cap.map_err(|_| UseCaseError::invalid("about", "too much"))?;
    let ends_at = answer_by.checked_add(INTERIM_OUTLASTS).unwrap_or(answer_by);
    Ok(cap.map(|cap| one_time_permission(context, ask.scope.clone(), cap, at, ends_at)))
}

/// The yeses for now that may count against another one.
async fn interim_yeses(
    tx: &mut Tx,
    locked: &LockedBudget,
    at: Timestamp,
) -> Result<Vec<InterimGrant>, UseCaseError> {
    let since = at.checked_sub(INTERIM_LIMIT_WINDOW).unwrap_or(Timestamp::MIN);
    let appeals = tx.interim_appeals(&locked.programme_id, &locked.budget, since).await?;
    let yes = |appeal: Appeal| InterimGrant {
        is_waiting: appeal.is_open(),
        permission: locked.permissions.iter().find(|p| Some(p.id) == appeal.permission).cloned(),
        given_at: appeal.opened_at,
    };
    Ok(appeals.into_iter().map(yes).collect())
}

/// Whether the rule came with the money: nobody here can change it.
fn is_funder_rule(locked: &LockedBudget, ask: &Ask, at: Timestamp) -> bool {
    let reason = ask.answer.as_ref().and_then(|answer| answer.reason);
    reason == Some(AskRefusalReason::Law) || is_barred(locked, ask.category.as_ref(), at)
}

fn is_barred(locked: &LockedBudget, category: Option<&Category>, at: Timestamp) -> bool {
    category.is_some_and(|category| locked.is_barred(category, at))
}

fn funder_rule_error() -> UseCaseError {
    let what = "no money of this person may ever buy this; say where they can go next";
    UseCaseError::invalid("next_step", what)
}

/// What comes of an appeal that was right: the OK that a changed no becomes, if it becomes one.
async fn overturn(
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
        AppealSubject::Refusal(id) => {
            let recorded = refused_decision(tx, locked, *id).await?;
            let ResolvedSubject { scope, category, amount, refused_for, .. } =
                subject_of_decision(locked, &recorded, GrantScope::Place)?;
            if is_barred(locked, category.as_ref(), at) {
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

/// The OK that a changed no becomes, in the place of the smaller one that was given.
async fn permission_of_overturned_no(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    ask: AskId,
    at: Timestamp,
) -> Result<Permission, UseCaseError> {
    let ask = tx.ask(&locked.programme_id, &locked.budget, ask).await?;
    let ask = ask.ok_or(UseCaseError::NotFound("ask"))?;
    if is_funder_rule(locked, &ask, at) {
        return Err(funder_rule_error());
    }
    if let Some(less) = ask.answer.as_ref().and_then(|answer| answer.permission) {
        tx.end_permission(&locked.programme_id, &locked.budget, less, at).await?;
    }
    let cooling = locked.cooling_days(ask.wanted());
    Ok(permission_of_people(context, ask.scope, ask.amount, at, cooling))
}

/// An OK that somebody gave by name, for as long as usual.
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
    Permission { giver: Grantor::People, ..one_time_permission(context, scope, cap, at, ends_at) }
}

/// A card that nobody should have frozen works again.
async fn unfreeze(
    tx: &mut Tx,
    locked: &LockedBudget,
    token: &CardToken,
) -> Result<(), UseCaseError> {
    let cards = tx.cards_of(&locked.programme_id, &locked.budget).await?;
    let frozen = cards.into_iter().filter(|card| card.token == *token && is_frozen(card));
    let free = |card: Card| Card { standing: card.standing.made(CardState::Active), ..card };
    let freed: Vec<_> = frozen.map(free).collect();
    Ok(tx.set_card_states(&locked.programme_id, &locked.budget, &freed).await?)
}

/// An OK for one purchase, that nobody gave by name.
fn one_time_permission(
    context: UseCaseContext<'_>,
    scope: Scope,
    cap: Money,
    at: Timestamp,
    ends_at: Timestamp,
) -> Permission {
    let (id, giver) = (PermissionId::new(context.ids.next(at)), Grantor::Programme);
    let uses = Some(PermissionUsage::none(cap.currency()));
    Permission { id, scope, cap, uses_left: 1, given_at: at, ends_at, giver, uses }
}

/// An appeal before somebody who acts about it.
async fn load_appeal(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: AppealId,
) -> Result<Appeal, UseCaseError> {
    let appeal = tx.appeal(&locked.programme_id, &locked.budget, id).await?;
    appeal.ok_or(UseCaseError::NotFound("appeal"))
}

/// Says what came of looking again. A no that is changed is a permission from the next moment on.
/// The yes for now ends with the answer.
///
/// A pause that was wrong is lifted with the answer.
pub async fn answer_appeal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    request: &AppealAnswerRequest,
) -> Result<Appeal, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, Capability::AnswerAppeal, person).await?;
    let before = load_appeal(tx, &locked, request.appeal).await?;
    let words = optional_words(Some(&request.words))?.unwrap_or_default();
    let next_step = optional_words(request.next_step.as_deref())?;
    let finding = match &request.next_step {
        None => AppealFinding::Changed,
        Some(_) => AppealFinding::Kept { next_step: next_step.as_deref().unwrap_or_default() },
    };
    let member = &access.actor.member;
    let by = ActorIdentity { member: member.id.clone(), human: member.human.clone() };
    if before.is_same_answer(&by, finding, &words) {
        return Ok(before);
    }
    if let Some(outcome) = &before.outcome {
        let answer = existing_answer(before.state, outcome);
        return Err(access.already_answered(tx, Some(&outcome.by.member), answer).await?);
    }
    access.check_no_conflict()?;
    let permission = match finding {
        AppealFinding::Changed => {
            overturn(tx, &locked, context, &access, &before.about, &words).await?
        }
        AppealFinding::Kept { .. } => None,
    };
    if let Some(permission) = &permission {
        within_own_limit(&locked, &access, permission)?;
    }
    let id = permission.as_ref().map(|permission| permission.id);
    let after = before.answered(&by, finding, &words, principal.at, id).map_err(answer_error)?;
    if let Some(interim) = before.permission {
        tx.end_permission(&locked.programme_id, &locked.budget, interim, principal.at).await?;
    }
    if let Some(permission) = &permission {
        locked.grant(tx, permission).await?;
    }
    tx.update_appeal(&locked.programme_id, &before, &after).await?;
    notify_answered(tx, &locked, context, &access, &after, permission.as_ref()).await?;
    Ok(after)
}

/// The outcome that stands, for whoever says another one.
fn existing_answer(state: AppealState, outcome: &AppealOutcome) -> ExistingAnswer {
    ExistingAnswer {
        words: Some(outcome.words.clone()),
        next_step: outcome.next_step.clone(),
        ..ExistingAnswer::new(state.word(), outcome.at)
    }
}

/// Ends a pause that nobody should have begun. One that is over by now has ended already.
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

/// What no law forced goes back to what it was, as far as it is still what was made of it.
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

fn answer_error(error: AppealError) -> UseCaseError {
    match error {
        AppealError::OwnDecision => SeparationOfDuties::OwnDecision.into(),
        AppealError::OwnAppeal => SeparationOfDuties::OwnQuestion.into(),
        AppealError::Decided => UseCaseError::Conflict(error.to_string()),
        AppealError::NoWords => UseCaseError::invalid("words", error.to_string()),
        AppealError::NoNextStep => UseCaseError::invalid("next_step", error.to_string()),
    }
}

async fn notify_answered(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    access: &GrantedAccess,
    after: &Appeal,
    permission: Option<&Permission>,
) -> Result<(), UseCaseError> {
    let mut outbox = OutboxWriter::new(locked, context, access.at, after.id.to_string());
    outbox.record_act(access, "looked_again", after.state.word());
    let outcome = after.outcome.as_ref();
    let parameters = NotificationParameters {
        name: Some(&access.actor.member.name),
        words: outcome.map(|outcome| outcome.words.as_str()),
        amount: permission.map(|permission| permission.cap),
        at: permission.map(|permission| permission.ends_at),
        ..outbox.parameters()
    };
    let notification = match (after.state, permission) {
        (AppealState::Changed, Some(_)) => Notification::AppealYes,
        (AppealState::Changed, None) => Notification::AppealChanged,
        (_, _) => Notification::AppealKept,
    };
    let next_step = outcome.and_then(|outcome| outcome.next_step.clone());
    let facts = facts_of(after).optional("next_step", next_step);
    outbox.notify(Recipient::Person, notification, &parameters, facts.clone());
    outbox.notify(Recipient::Worker, Notification::WorkerAppealDone, &parameters, facts);
    Ok(outbox.write(tx).await?)
}

/// The person, or the advocate who opened it, does not want it looked at any more.
pub async fn take_back_appeal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AppealId,
) -> Result<Appeal, UseCaseError> {
    let locked =
        LockedBudget::lock(tx, context, &principal.programme, &BudgetId::of(person)).await?;
    let access = principal.admit(tx, Capability::Appeal, person).await?;
    let before = load_appeal(tx, &locked, id).await?;
    if before.state == AppealState::TakenBack {
        return Ok(before);
    }
    let member = &access.actor.member;
    if member.role != Role::Person && member.human != before.opened.human {
        return Err(UseCaseError::NotAllowed(
            "only the person takes back what somebody else opened",
        ));
    }
    let after = before.taken_back();
    let after = after.ok_or_else(|| UseCaseError::Conflict("it has been answered".to_owned()))?;
    if let Some(interim) = before.permission {
        tx.end_permission(&locked.programme_id, &locked.budget, interim, principal.at).await?;
    }
    tx.update_appeal(&locked.programme_id, &before, &after).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, id.to_string());
    outbox.record_act(&access, "took_back", "");
    let parameters = outbox.parameters();
    for recipient in [Recipient::Manager, Recipient::Duty] {
        outbox.notify(recipient, Notification::WorkerTakenBack, &parameters, facts_of(&after));
    }
    outbox.write(tx).await?;
    Ok(after)
}

/// Tells everybody when an appeal is late, and sets the next moment; says whether it was.
pub async fn escalate_overdue_appeal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    waiting: &DueAppeal,
    now: Timestamp,
) -> Result<bool, UseCaseError> {
    let locked = LockedBudget::lock(tx, context, programme, &waiting.budget).await?;
    let before = load_appeal(tx, &locked, waiting.id).await?;
    if !before.is_open() || before.answer_by > now {
        return Ok(false);
    }
    let after = Appeal { answer_by: locked.clock().next_reminder(now), ..before.clone() };
    tx.update_appeal(programme, &before, &after).await?;
    let mut outbox = OutboxWriter::new(&locked, context, now, before.id.to_string());
    outbox.record_system_act("stepped_up", "a second look is late")?;
    let parameters = NotificationParameters {
        assignee: Some(Assignee::Manager),
        at: Some(after.answer_by),
        ..outbox.parameters()
    };
    outbox.notify(Recipient::Person, Notification::AppealLate, &parameters, facts_of(&after));
    for recipient in [Recipient::Manager, Recipient::Duty] {
        outbox.notify(recipient, Notification::WorkerAppealLate, &parameters, facts_of(&after));
    }
    outbox.write(tx).await?;
    Ok(true)
}

/// What pages show of an appeal.
fn facts_of(appeal: &Appeal) -> MessageParameters {
    MessageParameters::default()
        .text("appeal", appeal.id.to_string())
        .text("state", appeal.state.word())
        .text("of", appeal.about.to_string())
        .text("interim", appeal.interim.word())
        .instant("answer_by", appeal.answer_by)
}
