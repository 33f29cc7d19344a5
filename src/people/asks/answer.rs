//! Answers asks: once, and by another human being than the one who asked. A yes takes effect at
//! once.

use jiff::Timestamp;

use super::ask::facts_of;
use super::outbox::{OutboxWriter, who};
use super::{LockedBudget, optional_words};
use crate::domain::ask::permission::Permission;
use crate::domain::ask::{
    ActorIdentity, Ask, AskRefusalReason, AskReply, AskReplyError, AskReplySubmission, AskReview,
    AskReviewError, AskState, EscalationStep, effective_from,
};
use crate::domain::id::{AskId, BudgetId, PermissionId, PersonId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Capability, Role};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters};
use crate::people::members::{
    ExistingAnswer, GrantedAccess, Principal, SeparationOfDuties, UseCaseContext, UseCaseError,
};
use crate::store::Tx;

/// The kind of the act of reviewing a yes, as stored.
const LOOKED: &str = "looked_at";

/// An answer to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAnswerRequest {
    pub ask: AskId,
    pub reply: AskReply,
    /// An optional comment, which the person reads with the answer.
    pub words: Option<String>,
}

/// An ask in its locked budget, with the access of an account that may answer it.
struct LockedAsk {
    locked: LockedBudget,
    access: GrantedAccess,
    ask: Ask,
    by: ActorIdentity,
}

async fn lock_ask(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
) -> Result<LockedAsk, UseCaseError> {
    let budget = BudgetId::of(person);
    let locked = LockedBudget::lock(tx, context, &principal.programme, &budget).await?;
    let access = principal.admit(tx, Capability::AnswerAsk, person).await?;
    let ask = tx.ask(&locked.programme_id, &locked.budget, id).await?;
    let ask = ask.ok_or(UseCaseError::NotFound("ask"))?;
    let member = &access.actor.member;
    let by = ActorIdentity { member: member.id.clone(), human: member.human.clone() };
    Ok(LockedAsk { locked, access, ask, by })
}

/// Marks an ask as seen by an account that may answer it, which the person can see. Idempotent.
pub async fn mark_seen(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
) -> Result<Ask, UseCaseError> {
    let LockedAsk { locked, access, ask, .. } =
        lock_ask(tx, context, principal, person, id).await?;
    let Some(seen) = ask.seen() else { return Ok(ask) };
    tx.update_ask(&locked.programme_id, &ask, &seen).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, id.to_string());
    outbox.record_act(&access, "saw", "");
    outbox.write(tx).await?;
    Ok(seen)
}

/// Answers an ask. A yes is a permission that every gateway applies at once, or after the cooling
/// days of a block that the person set on themselves. Idempotent; of two different answers the
/// first counts.
///
/// # Errors
///
/// [`UseCaseError::SeparationOfDuties`] over the account's own limit, with a conflict of interest,
/// or for the account's own ask; [`UseCaseError::AlreadyAnswered`] with the recorded answer, if it
/// differs; [`UseCaseError::Invalid`] for a no for safety without a recent talk.
pub async fn answer(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    request: &AskAnswerRequest,
) -> Result<Ask, UseCaseError> {
    let locked_ask = lock_ask(tx, context, principal, person, request.ask).await?;
    let LockedAsk { locked, access, ask, by } = &locked_ask;
    let words = optional_words(request.words.as_deref())?;
    let cooling_days = locked.cooling_days(ask.wanted());
    let is_out_of_hours = !locked.working().is_open(principal.at);
    let is_emergency = access.actor.member.role == Role::Duty || is_out_of_hours;
    let given = AskReplySubmission {
        by: by.clone(),
        reply: &request.reply,
        words,
        at: principal.at,
        permission: PermissionId::new(context.ids.next(principal.at)),
        cooling_days,
        review_on: is_emergency.then(|| locked.working().next_working_day(principal.at)),
    };
    if ask.is_same_answer(&given) {
        return Ok(ask.clone());
    }
    access.check_no_conflict()?;
    let answered = ask.answered(&given);
    let (after, permission) = match answered {
        Ok(answered) => answered,
        Err(AskReplyError::Decided) => return Err(ask_already_answered(tx, access, ask).await?),
        Err(error) => return Err(reply_error(error)),
    };
    if request.reply == AskReply::NotThisTime(AskRefusalReason::Safety) {
        require_talk(tx, locked, principal.at).await?;
    }
    if let Some(permission) = &permission {
        check_yes(&locked_ask, permission)?;
        locked.grant(tx, permission).await?;
    }
    tx.update_ask(&locked.programme_id, ask, &after).await?;
    notify_answered(tx, context, &locked_ask, &after, permission.as_ref(), cooling_days).await?;
    Ok(after)
}

fn reply_error(error: AskReplyError) -> UseCaseError {
    match error {
        AskReplyError::OwnAsk => SeparationOfDuties::OwnAsk.into(),
        AskReplyError::Decided => UseCaseError::Conflict(error.to_string()),
        AskReplyError::NotUpTo => UseCaseError::invalid("up_to", error.to_string()),
        AskReplyError::NoGroup => UseCaseError::invalid("reach", error.to_string()),
        AskReplyError::Ends => UseCaseError::invalid("ends_at", error.to_string()),
        AskReplyError::TalkTime => UseCaseError::invalid("by", error.to_string()),
    }
}

/// The error with the recorded answer.
async fn ask_already_answered(
    tx: &mut Tx,
    access: &GrantedAccess,
    ask: &Ask,
) -> Result<UseCaseError, UseCaseError> {
    let (said, answer) = (ask.state.word(), ask.answer.as_ref());
    let by = answer.and_then(|answer| answer.by.as_ref()).map(|by| &by.member);
    let answer = match answer {
        Some(answer) => ExistingAnswer {
            reason: answer.reason.map(AskRefusalReason::word),
            words: answer.words.clone(),
            up_to: answer.up_to,
            scope: answer.scope.as_ref().map(ToString::to_string),
            ends_at: answer.ends_at,
            ..ExistingAnswer::new(said, answer.at)
        },
        None => ExistingAnswer::new(said, ask.asked_at),
    };
    access.already_answered(tx, by, answer).await
}

/// Refuses a no for safety without a recent recorded talk.
async fn require_talk(
    tx: &mut Tx,
    locked: &LockedBudget,
    at: Timestamp,
) -> Result<(), UseCaseError> {
    let latest = tx.talks_of(&locked.programme_id, &locked.budget, None, 1).await?;
    if latest.iter().any(|talk| talk.counts_for_a_no(at)) {
        return Ok(());
    }
    Err(UseCaseError::invalid("reason", "talk first, and write down what was said"))
}

/// Refuses a yes that the funders' rules or the account's own limit forbid.
fn check_yes(locked_ask: &LockedAsk, permission: &Permission) -> Result<(), UseCaseError> {
    let LockedAsk { locked, access, ask, .. } = locked_ask;
    let is_barred = |category| locked.is_barred(category, access.at);
    if ask.category.as_ref().is_some_and(is_barred) {
        return Err(UseCaseError::invalid(
            "reply",
            "no money of this person may ever buy this; the only answer is law_of_money",
        ));
    }
    within_own_limit(locked, access, permission)
}

/// Refuses a permission above what this account may give alone.
pub(super) fn within_own_limit(
    locked: &LockedBudget,
    access: &GrantedAccess,
    permission: &Permission,
) -> Result<(), UseCaseError> {
    let most = own_limit(locked, access);
    if most.is_some_and(|most| permission.cap.minor() > most.minor()) {
        return Err(SeparationOfDuties::OverYourLimit.into());
    }
    Ok(())
}

/// The most that this account may approve alone; none for no limit.
fn own_limit(locked: &LockedBudget, access: &GrantedAccess) -> Option<Money> {
    let member = &access.actor.member;
    let own = member.answer_limit_minor.map(|minor| Money::from_minor(minor, locked.currency()));
    let rules = &locked.programme.settings.asks;
    own.or(match member.role {
        Role::Worker => rules.worker_up_to,
        Role::Duty => rules.duty_up_to,
        Role::Person
        | Role::Helper
        | Role::Advocate
        | Role::Planner
        | Role::Manager
        | Role::Finance
        | Role::Operator
        | Role::Auditor => None,
    })
}

async fn notify_answered(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    locked_ask: &LockedAsk,
    after: &Ask,
    permission: Option<&Permission>,
    cooling_days: Option<u32>,
) -> Result<(), UseCaseError> {
    let LockedAsk { locked, access, .. } = locked_ask;
    let mut outbox = OutboxWriter::new(locked, context, access.at, after.id.to_string());
    let answer = after.answer.as_ref();
    let parameters = NotificationParameters {
        name: Some(&access.actor.member.name),
        amount: permission.map(|permission| permission.cap),
        reason: answer.and_then(|answer| answer.reason),
        words: answer.and_then(|answer| answer.words.as_deref()),
        ..outbox.parameters()
    };
    let (notification, at) = match (after.state, permission) {
        (AskState::Yes | AskState::YesLess, Some(_)) if cooling_days.is_some() => {
            (Notification::AskYesLater, effective_from(access.at, cooling_days))
        }
        (AskState::YesLess, Some(permission)) => (Notification::AskYesLess, permission.ends_at),
        (AskState::Yes, Some(permission)) => (Notification::AskYes, permission.ends_at),
        (AskState::TalkFirst, _) => (Notification::AskTalkFirst, after.answer_by),
        (_, _) => (Notification::AskNotThisTime, after.answer_by),
    };
    let detail = parameters.reason.map_or(after.state.word(), |reason| reason.word());
    outbox.record_act(access, "answered", detail);
    let parameters = NotificationParameters { at: Some(at), ..parameters };
    outbox.notify(Recipient::Person, notification, &parameters, facts_of(after));
    if let Some(on) = answer.and_then(|answer| answer.review_on) {
        outbox.record_system_act("to_be_looked_at", &on.to_string())?;
        let review = NotificationParameters { on: Some(on), ..outbox.parameters() };
        outbox.notify(Recipient::Worker, Notification::WorkerReview, &review, facts_of(after));
    }
    Ok(outbox.write(tx).await?)
}

/// Records the review of a yes that was given out of hours, by duty staff, or by a rule of the
/// programme. Another human being than the one who asked and the one who answered must review it.
/// Idempotent for the same account and words.
///
/// # Errors
///
/// [`UseCaseError::AlreadyAnswered`] with the recorded review, if it differs;
/// [`UseCaseError::SeparationOfDuties`] for a human being who asked or answered.
pub async fn review_answer(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
    words: Option<&str>,
) -> Result<Ask, UseCaseError> {
    let LockedAsk { locked, access, ask, by } =
        lock_ask(tx, context, principal, person, id).await?;
    let words = optional_words(words)?;
    let review = AskReview { by, at: principal.at, words };
    if let Some(known) = ask.answer.as_ref().and_then(|answer| answer.review.as_ref()) {
        if known.by == review.by && known.words == review.words {
            return Ok(ask);
        }
        let answer =
            ExistingAnswer { words: known.words.clone(), ..ExistingAnswer::new(LOOKED, known.at) };
        return Err(access.already_answered(tx, Some(&known.by.member), answer).await?);
    }
    access.check_no_conflict()?;
    let after = ask.with_review(review.clone()).map_err(|error| match error {
        AskReviewError::Nothing | AskReviewError::Looked => {
            UseCaseError::Conflict(error.to_string())
        }
        AskReviewError::Own => SeparationOfDuties::OwnDecision.into(),
    })?;
    tx.update_ask(&locked.programme_id, &ask, &after).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, id.to_string());
    outbox.record_act(&access, LOOKED, review.words.as_deref().unwrap_or_default());
    outbox.write(tx).await?;
    Ok(after)
}

/// Escalates an ask to the manager, because it is over the account's own limit or because of a
/// conflict of interest. The deadlines promised to the person do not change, and the person is
/// notified.
pub async fn pass_on(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
    words: Option<&str>,
) -> Result<Ask, UseCaseError> {
    let LockedAsk { locked, access, ask, .. } =
        lock_ask(tx, context, principal, person, id).await?;
    let words = optional_words(words)?;
    if ask.is_open() && ask.step == EscalationStep::Manager {
        return Ok(ask);
    }
    let Some(after) = ask.escalated() else {
        return Err(ask_already_answered(tx, &access, &ask).await?);
    };
    tx.update_ask(&locked.programme_id, &ask, &after).await?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, id.to_string());
    outbox.record_act(&access, "passed_on", words.as_deref().unwrap_or_default());
    let parameters = NotificationParameters {
        name: Some(&access.actor.member.name),
        assignee: Some(who(&locked, EscalationStep::Manager)),
        at: Some(after.answer_by),
        ..outbox.parameters()
    };
    outbox.notify(Recipient::Person, Notification::AskPassedOn, &parameters, facts_of(&after));
    outbox.notify(Recipient::Manager, Notification::WorkerWaiting, &parameters, facts_of(&after));
    outbox.write(tx).await?;
    Ok(after)
}

/// Sends the person a suggestion about an ask. It is not an answer: the ask stays open and its
/// deadlines do not change.
pub async fn suggest(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
    id: AskId,
    words: &str,
) -> Result<(), UseCaseError> {
    let LockedAsk { locked, access, .. } = lock_ask(tx, context, principal, person, id).await?;
    let words = optional_words(Some(words))?;
    let words = words.ok_or_else(|| UseCaseError::invalid("words", "say what the idea is"))?;
    let mut outbox = OutboxWriter::new(&locked, context, principal.at, id.to_string());
    outbox.record_act(&access, "suggested", &words);
    let parameters = NotificationParameters {
        name: Some(&access.actor.member.name),
        words: Some(&words),
        ..outbox.parameters()
    };
    outbox.notify(
        Recipient::Person,
        Notification::Suggestion,
        &parameters,
        MessageParameters::default(),
    );
    Ok(outbox.write(tx).await?)
}
