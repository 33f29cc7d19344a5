//! Collects the acts and the outbox messages of a use case and writes them together.

use jiff::Timestamp;

use super::LockedBudget;
use crate::domain::ask::EscalationStep;
use crate::domain::id::{ActId, MemberId, MessageId};
use crate::domain::people::recipient::{Recipient, TOP_PRIORITY};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Assignee, Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, UseCaseContext, UseCaseError};
use crate::store::{ActRow, NewMessage, StoreError, Tx};

/// The member of acts that no account did, such as a timeout.
const SYSTEM_MEMBER: &str = "sayso";

/// The acts and messages of one use case.
pub(super) struct OutboxWriter<'a> {
    locked: &'a LockedBudget,
    context: UseCaseContext<'a>,
    at: Timestamp,
    /// The id of the ask, appeal or other record that they are about.
    subject: String,
    acts: Vec<ActRow>,
    messages: Vec<NewMessage>,
}

impl<'a> OutboxWriter<'a> {
    pub(super) fn new(
        locked: &'a LockedBudget,
        context: UseCaseContext<'a>,
        at: Timestamp,
        subject: String,
    ) -> Self {
        Self { locked, context, at, subject, acts: Vec::new(), messages: Vec::new() }
    }

    /// Parameters with only the time zone of the programme.
    pub(super) fn parameters(&self) -> NotificationParameters<'a> {
        NotificationParameters::new(self.locked.programme.zone())
    }

    /// Records an act of an account.
    pub(super) fn record_act(&mut self, access: &GrantedAccess, kind: &str, detail: &str) {
        self.acts.push(access.act_row(self.context.ids, kind, &self.subject, detail));
    }

    /// Records an act of the system, such as a timeout.
    pub(super) fn record_system_act(
        &mut self,
        kind: &str,
        detail: &str,
    ) -> Result<(), UseCaseError> {
        let member: MemberId =
            SYSTEM_MEMBER.parse().map_err(|_| UseCaseError::NotFound("member"))?;
        self.acts.push(ActRow {
            programme_id: self.locked.programme_id.clone(),
            budget_id: self.locked.budget.clone(),
            act_id: ActId::new(self.context.ids.next(self.at)),
            member_id: member,
            kind: kind.to_owned(),
            subject: self.subject.clone(),
            detail: detail.to_owned(),
            acted_at: self.at,
        });
        Ok(())
    }

    /// Queues a message. `more` are facts for pages, besides those that the text is made from.
    pub(super) fn notify(
        &mut self,
        recipient: Recipient,
        notification: Notification,
        parameters: &NotificationParameters<'_>,
        more: MessageParameters,
    ) {
        let who = parameters.assignee.map(|who| match who {
            Assignee::Named(name) => name,
            Assignee::Duty => "duty",
            Assignee::Manager => "manager",
        });
        let mut facts = more
            .text("about", self.subject.as_str())
            .optional("name", parameters.name)
            .optional("who", who)
            .optional("reason", parameters.reason.map(crate::domain::ask::AskRefusalReason::word))
            .optional("words", parameters.words)
            .optional("on", parameters.on.map(|date| date.to_string()));
        if let Some(at) = parameters.at {
            facts = facts.instant("at", at);
        }
        if let Some(amount) = parameters.amount {
            facts = facts.money("amount", amount);
        }
        self.messages.push(NewMessage {
            id: MessageId::new(self.context.ids.next(self.at)),
            programme: self.locked.programme_id.clone(),
            budget: self.locked.budget.clone(),
            kind: notification.kind(),
            subject: self.subject.clone(),
            body: Words::english().notification(notification, parameters),
            created_at: self.at,
            recipient,
            facts: facts.to_text(),
            thread: None,
            due_at: if notification == Notification::WorkerQuietWord {
                Some(TOP_PRIORITY)
            } else {
                parameters.at.filter(|_| notification.has_deadline())
            },
        });
    }

    /// Writes all acts and messages.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.add_acts(&self.acts).await?;
        tx.add_messages(&self.messages).await
    }
}

/// The recipient of messages to the assignee of `step`.
pub(super) const fn recipient_of(step: EscalationStep) -> Recipient {
    match step {
        EscalationStep::Worker | EscalationStep::Decided => Recipient::Worker,
        EscalationStep::Cover => Recipient::Duty,
        EscalationStep::Manager => Recipient::Manager,
    }
}

/// The assignee of `step`, for texts.
pub(super) fn who(locked: &LockedBudget, step: EscalationStep) -> Assignee<'_> {
    match step {
        EscalationStep::Worker | EscalationStep::Decided => Assignee::Named(locked.worker_name()),
        EscalationStep::Cover => Assignee::Duty,
        EscalationStep::Manager => Assignee::Manager,
    }
}
