//! Notifications of what a file changes for a person.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MessageId, PersonId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Member, Role};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::platform::ids::NewIds;
use crate::programme::file::Settings;
use crate::store::NewMessage;

/// Writes the notifications of one file.
pub(super) struct FileMessages<'a> {
    pub(super) ids: &'a NewIds,
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
}

impl FileMessages<'_> {
    /// The sum of all loads that the file brings a person.
    pub(super) fn money_added(&self, budget: &BudgetId, added: Money) -> NewMessage {
        let body = Words::english().money_added(added);
        let parameters = MessageParameters::default().money("amount", added);
        self.message(budget, "money-added", budget.to_string(), body, &parameters)
    }

    /// The account `member`, which the file adds: the person's own, or that of somebody who helps
    /// them.
    pub(super) fn account_added(&self, person: &PersonId, member: &Member) -> NewMessage {
        let notification = match member.role {
            Role::Person => Notification::AccountFiled,
            Role::Helper
            | Role::Advocate
            | Role::Planner
            | Role::Worker
            | Role::Duty
            | Role::Manager
            | Role::Finance
            | Role::Operator
            | Role::Auditor => Notification::HelperFiled,
        };
        let subject = member.id.to_string();
        self.named(&BudgetId::of(person), notification, subject, &member.name)
    }

    /// The codes called `names`, which leave or join a category of the person's list. The message
    /// names up to three of them.
    pub(super) fn codes_moved(&self, budget: &BudgetId, names: &BTreeSet<String>) -> NewMessage {
        let subject = self.settings.id.to_string();
        let first: Vec<_> = names.iter().take(3).map(String::as_str).collect();
        self.named(budget, Notification::CodesMoved, subject, &first.join(", "))
    }

    fn named(
        &self,
        budget: &BudgetId,
        notification: Notification,
        subject: String,
        name: &str,
    ) -> NewMessage {
        let parameters = NotificationParameters {
            name: Some(name),
            ..NotificationParameters::new(&self.settings.zone)
        };
        let body = Words::english().notification(notification, &parameters);
        let parameters = MessageParameters::default().text("name", name);
        self.message(budget, notification.kind(), subject, body, &parameters)
    }

    fn message(
        &self,
        budget: &BudgetId,
        kind: &'static str,
        subject: String,
        body: String,
        parameters: &MessageParameters,
    ) -> NewMessage {
        NewMessage {
            id: MessageId::new(self.ids.next(self.now)),
            programme: self.settings.id.clone(),
            budget: budget.clone(),
            kind,
            subject,
            body,
            created_at: self.now,
            recipient: Recipient::Person,
            facts: parameters.to_text(),
            thread: None,
            due_at: None,
        }
    }
}
