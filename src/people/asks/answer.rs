//! Answers asks: once, and by a human being other than the one who asked. A yes takes effect at
//! once.

use jiff::Timestamp;

use super::ask::facts_of;
use super::change::{AskAnswerRequest, LockedAsk};
use super::outbox::who;
use super::{LockedBudget, optional_words};
use crate::domain::ask::permission::Permission;
use crate::domain::ask::{
    Ask, AskRefusalReason, AskReply, AskReplyError, AskReplySubmission, AskReview, AskReviewError,
    AskState, EscalationStep, effective_from,
};
use crate::domain::id::{AskId, PermissionId, PersonId};
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

impl LockedAsk<'_> {
    pub(super) async fn mark_seen(self, tx: &mut Tx) -> Result<Ask, UseCaseError> {
        let Some(seen) = self.ask.seen() else { return Ok(self.ask) };
        self.save(tx, &seen).await?;
        let mut outbox = self.outbox();
        outbox.record_act(&self.access, "saw", "");
        outbox.write(tx).await?;
        Ok(seen)
    }

    pub(super) async fn answer(
        self,
        tx: &mut Tx,
        request: &AskAnswerRequest,
    ) -> Result<Ask, UseCaseError> {
        let Self { context, locked, access, ask } = &self;
        let words = optional_words(request.words.as_deref())?;
        let cooling_days = locked.cooling_days(ask.wanted());
        let is_out_of_hours = !locked.working().is_open(access.at);
        let is_emergency = access.actor.member.role == Role::Duty || is_out_of_hours;
        let given = AskReplySubmission {
            by: self.by(),
            reply: &request.reply,
            words,
            at: access.at,
            permission: PermissionId::new(context.ids.next(access.at)),
            cooling_days,
            review_on: is_emergency.then(|| locked.working().next_working_day(access.at)),
        };
        if ask.is_same_answer(&given) {
            return Ok(self.ask);
        }
        access.check_no_conflict()?;
        let (after, permission) = match ask.answered(&given) {
            Ok(answered) => answered,
            Err(AskReplyError::Decided) => return Err(self.already_answered(tx).await?),
            Err(error) => return Err(reply_error(error)),
        };
        if request.reply == AskReply::NotThisTime(AskRefusalReason::Safety) {
            require_talk(tx, locked, access.at).await?;
        }
        if let Some(permission) = &permission {
            self.check_yes(tx, permission).await?;
            locked.grant(tx, permission).await?;
        }
        self.save(tx, &after).await?;
        self.notify_answered(tx, &after, permission.as_ref(), cooling_days).await?;
        Ok(after)
    }

    /// The error with the recorded answer.
    async fn already_answered(&self, tx: &mut Tx) -> Result<UseCaseError, UseCaseError> {
        let ask = &self.ask;
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
        self.access.already_answered(tx, by, answer).await
    }

    /// Refuses a yes that the funders' rules or the account's own limit forbid.
    async fn check_yes(&self, tx: &mut Tx, permission: &Permission) -> Result<(), UseCaseError> {
        if self.locked.is_ask_barred(tx, &self.ask, self.access.at).await? {
            return Err(UseCaseError::invalid(
                "reply",
                "no money of this person may ever buy this; the only answer is law_of_money",
            ));
        }
        within_own_limit(&self.locked, &self.access, permission)
    }

    async fn notify_answered(
        &self,
        tx: &mut Tx,
        after: &Ask,
        permission: Option<&Permission>,
        cooling_days: Option<u32>,
    ) -> Result<(), UseCaseError> {
        let access = &self.access;
        let mut outbox = self.outbox();
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

    pub(super) async fn review(
        self,
        tx: &mut Tx,
        words: Option<&str>,
    ) -> Result<Ask, UseCaseError> {
        let words = optional_words(words)?;
        let review = AskReview { by: self.by(), at: self.access.at, words };
        if let Some(known) = self.ask.answer.as_ref().and_then(|answer| answer.review.as_ref()) {
            if known.by == review.by && known.words == review.words {
                return Ok(self.ask);
            }
            let words = known.words.clone();
            let answer = ExistingAnswer { words, ..ExistingAnswer::new(LOOKED, known.at) };
            return Err(self.access.already_answered(tx, Some(&known.by.member), answer).await?);
        }
        self.access.check_no_conflict()?;
        let after = self.ask.with_review(review.clone()).map_err(|error| match error {
            AskReviewError::Nothing | AskReviewError::Looked => {
                UseCaseError::Conflict(error.to_string())
            }
            AskReviewError::Own => SeparationOfDuties::OwnDecision.into(),
        })?;
        self.save(tx, &after).await?;
        let mut outbox = self.outbox();
        outbox.record_act(&self.access, LOOKED, review.words.as_deref().unwrap_or_default());
        outbox.write(tx).await?;
        Ok(after)
    }

    pub(super) async fn pass_on(
        self,
        tx: &mut Tx,
        words: Option<&str>,
    ) -> Result<Ask, UseCaseError> {
        let words = optional_words(words)?;
        if self.ask.is_open() && self.ask.step == EscalationStep::Manager {
            return Ok(self.ask);
        }
        let Some(after) = self.ask.escalated() else {
            return Err(self.already_answered(tx).await?);
        };
        self.save(tx, &after).await?;
        let mut outbox = self.outbox();
        outbox.record_act(&self.access, "passed_on", words.as_deref().unwrap_or_default());
        let parameters = NotificationParameters {
            name: Some(&self.access.actor.member.name),
            assignee: Some(who(&self.locked, EscalationStep::Manager)),
            at: Some(after.answer_by),
            ..outbox.parameters()
        };
        let facts = || facts_of(&after);
        outbox.notify(Recipient::Person, Notification::AskPassedOn, &parameters, facts());
        outbox.notify(Recipient::Manager, Notification::WorkerWaiting, &parameters, facts());
        outbox.write(tx).await?;
        Ok(after)
    }
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
    let act = Capability::AnswerAsk;
    let locked_ask = LockedAsk::lock(tx, context, principal, person, id, act).await?;
    let words = optional_words(Some(words))?;
    let words = words.ok_or_else(|| UseCaseError::invalid("words", "say what the idea is"))?;
    let access = &locked_ask.access;
    let mut outbox = locked_ask.outbox();
    outbox.record_act(access, "suggested", &words);
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
