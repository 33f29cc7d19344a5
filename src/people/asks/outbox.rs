//! What must be told and what was done, collected and written in one go.

use jiff::Timestamp;

use super::{LockedBudget, UseCaseContext};
use crate::domain::ask::EscalationStep;
use crate::domain::id::{ActId, MemberId, MessageId};
use crate::domain::people::recipient::{AT_ONCE, Recipient};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Assignee, Notification, NotificationParameters, Words};
use crate::people::members::{GrantedAccess, UseCaseError};
use crate::store::{ActRow, NewMessage, StoreError, Tx};

/// Who acts when a clock does.
const SYSTEM_MEMBER: &str = "sayso";

/// The acts and messages of one move.
pub(super) struct OutboxWriter<'a> {
    locked: &'a LockedBudget,
    context: UseCaseContext<'a>,
    at: Timestamp,
    /// What it is about: an ask, an appeal.
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

    /// Nothing but the programme's time zone.
    pub(super) fn parameters(&self) -> NotificationParameters<'a> {
        NotificationParameters::new(self.locked.programme.zone())
    }

    /// Notes what somebody did.
    pub(super) fn record_act(&mut self, access: &GrantedAccess, kind: &str, detail: &str) {
        self.acts.push(access.act_row(self.context.ids, kind, &self.subject, detail));
    }

    /// Notes what a clock did.
    pub(super) fn record_system_act(
        &mut self,
        kind: &str,
        detail: &str,
    ) -> Result<(), UseCaseError> {
        let member: MemberId =
            SYSTEM_MEMBER.parse().map_err(|_| UseCaseError::NotFound("member"))?;
        self.acts.push(ActRow {
            budget: self.locked.budget.clone(),
            id: ActId::new(self.context.ids.next(self.at)),
            member,
            kind: kind.to_owned(),
            subject: self.subject.clone(),
            detail: detail.to_owned(),
            acted_at: self.at,
        });
        Ok(())
    }

    /// Tells `notification`; `more` are facts for pages, beside those that the words were made from.
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
            matter: None,
            due_at: if notification == Notification::WorkerQuietWord {
                Some(AT_ONCE)
            } else {
                parameters.at.filter(|_| notification.has_deadline())
            },
        });
    }

    /// Writes it all.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.add_acts(&self.locked.programme_id, &self.acts).await?;
        tx.add_messages(&self.messages).await
    }
}

/// Who is told that it is their turn.
pub(super) const fn recipient_of(step: EscalationStep) -> Recipient {
    match step {
        EscalationStep::Worker | EscalationStep::Decided => Recipient::Worker,
        EscalationStep::Cover => Recipient::Duty,
        EscalationStep::Manager => Recipient::Manager,
    }
}

/// Whose turn it is, in words.
pub(super) fn who(locked: &LockedBudget, step: EscalationStep) -> Assignee<'_> {
    match step {
        EscalationStep::Worker | EscalationStep::Decided => Assignee::Named(locked.worker_name()),
        EscalationStep::Cover => Assignee::Duty,
        EscalationStep::Manager => Assignee::Manager,
    }
}
