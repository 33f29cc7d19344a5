//! Appeals: another human being reviews a decision by a deadline.

use super::overturn::{
    declined_decision, forced_proposal, is_funder_rule, one_time_permission, overturn,
};
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::answer::within_own_limit;
use super::appealable::is_frozen;
use super::ask::subject_of_decision;
use super::outbox::OutboxWriter;
use super::{LockedBudget, optional_words};
use crate::domain::ask::appeal::{
    Appeal, AppealError, AppealFinding, AppealOutcome, AppealState, AppealSubject,
    INTERIM_LIMIT_WINDOW, InterimGrant, InterimLimits, InterimMeasure, OPEN_APPEALS_MAX,
    interim_cap,
};
use crate::domain::ask::permission::Permission;
use crate::domain::ask::{ActorIdentity, Ask, AskState, GrantScope, Urgency};
use crate::domain::id::{AppealId, BudgetId, DecisionId, HumanId, PersonId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::ledger::record::facts::FactsRecord;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Assignee, Notification, NotificationParameters};
use crate::people::members::{
    ExistingAnswer, GrantedAccess, Principal, SeparationOfDuties, UseCaseContext, UseCaseError,
};
use crate::store::{DueAppeal, Tx};

/// How much earlier than its decline an ask may be recorded, because clocks of gateways differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// How long an interim permission outlasts the deadline, so that it does not expire at a till.
const INTERIM_OUTLASTS: SignedDuration = SignedDuration::from_hours(1);

/// The finding of the reviewer of an appeal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealAnswerRequest {
    pub appeal: AppealId,
    /// Where the person can turn next outside the programme, if the decision is kept; none if it is
    /// changed.
    pub next_step: Option<String>,
    /// The reason, in words that the person reads.
    pub words: String,
}

/// What an appeal needs to know about the decision.
struct AppealedDecision {
    decided_by: BTreeSet<HumanId>,
    urgency: Urgency,
    ask: Option<Ask>,
}

/// Opens an appeal, or returns the earlier one that this would repeat ([`Appeal::is_repeat`]).
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
    let known = tx.appeals_about(&locked.programme_id, &locked.budget, &about).await?;
    if let Some(known) = known.iter().find(|known| known.is_repeat()) {
        return Ok(known.clone());
    }
    let appealed = context_of(tx, &locked, &about, principal.at).await?;
    if tx.open_appeals(&locked.programme_id, &locked.budget).await? >= OPEN_APPEALS_MAX {
        let what = format!("{OPEN_APPEALS_MAX} appeals wait already; take one back first");
        return Err(UseCaseError::Conflict(what));
    }
    let answer_by = locked.clock().decide_by(principal.at, appealed.urgency);
    // Only one per subject: otherwise, taking back and appealing again would renew it.
    let had_interim = known.iter().any(|known| known.interim == InterimMeasure::YesForNow);
    let interim =
        match interim_permission(tx, &locked, context, &appealed, principal.at, answer_by).await? {
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
        decided_by: appealed.decided_by,
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
) -> Result<AppealedDecision, UseCaseError> {
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
            Ok(AppealedDecision {
                decided_by: [by.human].into(),
                urgency: ask.urgency,
                ask: Some(ask),
            })
        }
        AppealSubject::Pause(id) => {
            let decider = tx.pause_decider(&locked.programme_id, &locked.budget, *id, now).await?;
            // A pause stops essentials too, so its appeal is due the same day.
            let urgency = Urgency::Essential;
            Ok(AppealedDecision {
                decided_by: [decider.ok_or(not_there)?].into(),
                urgency,
                ask: None,
            })
        }
        AppealSubject::Version(id) => {
            let (forced, consents) = forced_proposal(tx, locked, *id).await?.ok_or(not_there)?;
            let decided_by = forced.forced_by(&consents);
            let decided_by =
                decided_by.ok_or_else(|| UseCaseError::Conflict("no law forced it".to_owned()))?;
            Ok(AppealedDecision { decided_by, urgency: Urgency::Ordinary, ask: None })
        }
        AppealSubject::Decline(id) => subject_of_decline(tx, locked, *id, now).await,
        AppealSubject::Card(token) => {
            let cards = tx.cards_of(&locked.programme_id, &locked.budget).await?;
            let card = cards.iter().find(|card| card.token == *token).ok_or(not_there)?;
            if !is_frozen(card) {
                return Err(UseCaseError::Conflict("nobody of the staff froze it".to_owned()));
            }
            // Who froze it is not recorded, so the worker of the person counts as the decider.
            let decided_by = tx.humans_of_worker(&locked.programme_id, &locked.worker).await?;
            Ok(AppealedDecision { decided_by, urgency: Urgency::Essential, ask: None })
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

/// A decline that the list caused and no ask is about. The staff who agreed to the list decided on
/// it, so they cannot review it.
async fn subject_of_decline(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: DecisionId,
    now: Timestamp,
) -> Result<AppealedDecision, UseCaseError> {
    let recorded = declined_decision(tx, locked, id).await?;
    let wanted = subject_of_decision(locked, &recorded, GrantScope::Place)?;
    check_not_too_late(&AppealSubject::Decline(id), recorded.decided_at, now)?;
    let (programme, budget) = (&locked.programme_id, &locked.budget);
    let since = recorded.decided_at.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
    if tx.decisions_with_asks(programme, budget, since).await?.contains(&id) {
        let what = "somebody was asked about it: their answer is what can be looked at";
        return Err(UseCaseError::Conflict(what.to_owned()));
    }
    let facts = FactsRecord::from_text(&recorded.facts).ok();
    let version = facts.and_then(|facts| facts.agreement_version());
    let version = version.ok_or(UseCaseError::NotFound("decision"))?;
    let mut decided_by = tx.staff_who_agreed(programme, budget, version).await?;
    if decided_by.is_empty() {
        // A list agreed on paper names no staff account; the worker recorded it.
        decided_by = tx.humans_of_worker(programme, &locked.worker).await?;
    }
    let urgency = Urgency::of(wanted.category.as_ref());
    Ok(AppealedDecision { decided_by, urgency, ask: None })
}

/// A small permission until the answer, for a refused ask about essentials. None if a funder's rule
/// or a block of the person's own is the cause, or if the limits of the programme are used up.
async fn interim_permission(
    tx: &mut Tx,
    locked: &LockedBudget,
    context: UseCaseContext<'_>,
    appealed: &AppealedDecision,
    at: Timestamp,
    answer_by: Timestamp,
) -> Result<Option<Permission>, UseCaseError> {
    let Some(ask) = &appealed.ask else { return Ok(None) };
    let is_fair = ask.urgency == Urgency::Essential
        && ask.state == AskState::NotThisTime
        && locked.cooling_days(ask.wanted()).is_none();
    if !is_fair || is_funder_rule(tx, locked, ask, at).await? {
        return Ok(None);
    }
    let (rules, currency) = (&locked.programme.settings.asks, locked.currency());
    let limits = InterimLimits {
        each: rules.interim_up_to(currency),
        all: rules.interim_week_up_to(currency),
    };
    let before = interim_grants(tx, locked, at).await?;
    let cap = interim_cap(&ask.scope, ask.amount, &before, limits, at);
    let cap = cap.map_err(|_| UseCaseError::invalid("about", "too much"))?;
    let ends_at = answer_by.checked_add(INTERIM_OUTLASTS).unwrap_or(answer_by);
    Ok(cap.map(|cap| one_time_permission(context, ask.scope.clone(), cap, at, ends_at)))
}

/// Earlier interim permissions, which may count against the limits of a new one.
async fn interim_grants(
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

async fn load_appeal(
    tx: &mut Tx,
    locked: &LockedBudget,
    id: AppealId,
) -> Result<Appeal, UseCaseError> {
    let appeal = tx.appeal(&locked.programme_id, &locked.budget, id).await?;
    appeal.ok_or(UseCaseError::NotFound("appeal"))
}

/// Answers an appeal. If a refusal is changed, a permission is granted at once; a wrong pause is
/// lifted. The interim permission ends. Idempotent; fails with [`UseCaseError::AlreadyAnswered`] if
/// the recorded outcome differs.
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

/// The recorded outcome, for an account that sends a different one.
fn existing_answer(state: AppealState, outcome: &AppealOutcome) -> ExistingAnswer {
    ExistingAnswer {
        words: Some(outcome.words.clone()),
        next_step: outcome.next_step.clone(),
        ..ExistingAnswer::new(state.word(), outcome.at)
    }
}

fn answer_error(error: AppealError) -> UseCaseError {
    match error {
        AppealError::OwnDecision => SeparationOfDuties::OwnDecision.into(),
        AppealError::OwnAppeal => SeparationOfDuties::OwnAsk.into(),
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

/// Takes back an open appeal. The person may take back any, others only what they opened
/// themselves. Idempotent.
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

/// Notifies all sides of an overdue appeal and sets its next reminder. False if not overdue.
pub async fn remind_of_overdue_appeal(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    programme: &ProgrammeId,
    waiting: &DueAppeal,
    now: Timestamp,
) -> Result<bool, UseCaseError> {
    let locked = LockedBudget::lock(tx, context, programme, &waiting.budget_id).await?;
    let before = load_appeal(tx, &locked, waiting.appeal_id).await?;
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

/// The facts about an appeal, for pages.
fn facts_of(appeal: &Appeal) -> MessageParameters {
    MessageParameters::default()
        .text("appeal", appeal.id.to_string())
        .text("state", appeal.state.word())
        .text("of", appeal.about.to_string())
        .text("interim", appeal.interim.word())
        .instant("answer_by", appeal.answer_by)
}
