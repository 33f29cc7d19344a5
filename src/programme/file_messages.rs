//! Notifications of what a file changes for a person.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, MessageId, PersonId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Member, Role};
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{Notification, NotificationParameters, Words};
use crate::platform::ids::NewIds;
use crate::programme::file::Settings;
use crate::store::NewMessage;

/// One notification for the sum of all loads that one file brings a person.
pub(super) fn money_added(
    ids: &NewIds,
    now: Timestamp,
    programme: &ProgrammeId,
    budget: &BudgetId,
    added: Money,
) -> NewMessage {
    NewMessage {
        id: MessageId::new(ids.next(now)),
        programme: programme.clone(),
        budget: budget.clone(),
        kind: "money-added",
        subject: budget.to_string(),
        body: Words::english().money_added(added),
        created_at: now,
        recipient: Recipient::Person,
        facts: MessageParameters::default().money("amount", added).to_text(),
        matter: None,
        due_at: None,
    }
}

/// Tells `person` of the account `member`, which a file adds: their own, or that of somebody who
/// helps them.
pub(super) fn account_added(
    ids: &NewIds,
    now: Timestamp,
    settings: &Settings,
    person: &PersonId,
    member: &Member,
) -> NewMessage {
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
    let parameters = NotificationParameters {
        name: Some(&member.name),
        ..NotificationParameters::new(&settings.zone)
    };
    NewMessage {
        id: MessageId::new(ids.next(now)),
        programme: settings.id.clone(),
        budget: BudgetId::of(person),
        kind: notification.kind(),
        subject: member.id.to_string(),
        body: Words::english().notification(notification, &parameters),
        created_at: now,
        recipient: Recipient::Person,
        facts: MessageParameters::default().text("name", member.name.as_str()).to_text(),
        matter: None,
        due_at: None,
    }
}
