//! Notifications about lists: one message per recipient, with its text and its parameters.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::agreement::proposal::{ConsentSide, Proposal, ProposalKind};
use crate::domain::id::{MessageId, ProgrammeId};
use crate::domain::people::recipient::Recipient;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{ListNotification, ListParameters, Words};
use crate::people::admitted_budget::AdmittedBudget;
use crate::platform::ids::NewIds;
use crate::store::NewMessage;

impl AdmittedBudget<'_> {
    /// Queues a message, which [`AdmittedBudget::close`] writes.
    pub(super) fn notify(
        &mut self,
        recipient: Recipient,
        notification: ListNotification,
        subject: &str,
        at: Option<Timestamp>,
        words: &str,
    ) {
        let name = self.access.actor.member.name.as_str();
        let parameters = ListParameters { zone: self.programme.zone(), name, at, words };
        let facts = MessageParameters::default()
            .text("by", name)
            .optional("at", at.map(|at| at.to_string()));
        let facts = if words.is_empty() { facts } else { facts.text("words", words) };
        self.pending_writes.messages.push(NewMessage {
            id: MessageId::new(self.context.ids.next(self.access.at)),
            programme: self.access.programme.clone(),
            budget: self.access.budget.clone(),
            kind: notification.kind(),
            subject: subject.to_owned(),
            body: Words::english().list_notification(notification, &parameters),
            created_at: self.access.at,
            recipient,
            facts: facts.to_text(),
            thread: None,
            due_at: at.filter(|_| notification.has_deadline()),
        });
    }

    /// Asks the sides whose consent is missing.
    pub(super) fn notify_required_sides(
        &mut self,
        proposal: &Proposal,
        sides: &BTreeSet<ConsentSide>,
        is_counter: bool,
    ) {
        let subject = proposal.id.to_string();
        let until = Some(proposal.open_until);
        for side in sides {
            let (person, staff) = if is_counter {
                (ListNotification::ListCountered, ListNotification::WorkerListCountered)
            } else {
                (ListNotification::ListProposed, ListNotification::WorkerListProposed)
            };
            let (recipient, notification) = match side {
                ConsentSide::Person => (Recipient::Person, person),
                ConsentSide::Worker => (Recipient::Worker, staff),
                ConsentSide::Manager => (Recipient::Manager, staff),
            };
            self.notify(recipient, notification, &subject, until, "");
        }
    }

    pub(super) fn notify_cooling_off(&mut self, proposal: &Proposal, from: Timestamp) {
        let subject = proposal.id.to_string();
        self.notify(Recipient::Person, ListNotification::ListCools, &subject, Some(from), "");
        if proposal.kind == ProposalKind::Together {
            self.notify(
                Recipient::Worker,
                ListNotification::WorkerListCools,
                &subject,
                Some(from),
                "",
            );
        }
    }

    /// Notifies `sides` that a proposal has expired. Other sides never knew of it.
    pub(super) fn notify_expired(&mut self, proposal: &Proposal, sides: &BTreeSet<ConsentSide>) {
        for side in sides {
            let (person, staff) =
                (ListNotification::ListRunOut, ListNotification::WorkerListRunOut);
            self.notify_ended(proposal, recipient(*side), person, staff);
        }
    }

    /// Notifies `recipient` that an account ended a proposal: with the notification `person` if it
    /// is the person, otherwise with `staff`.
    pub(super) fn notify_ended(
        &mut self,
        proposal: &Proposal,
        recipient: Recipient,
        person: ListNotification,
        staff: ListNotification,
    ) {
        let notification = if recipient == Recipient::Person { person } else { staff };
        self.notify(recipient, notification, &proposal.id.to_string(), None, "");
    }
}

/// The recipient of messages to a side.
pub(super) const fn recipient(side: ConsentSide) -> Recipient {
    match side {
        ConsentSide::Person => Recipient::Person,
        ConsentSide::Worker => Recipient::Worker,
        ConsentSide::Manager => Recipient::Manager,
    }
}

/// Messages to `sides` about a proposal that expired unanswered. They name nobody, because nobody
/// acted.
pub(super) fn expiry_messages(
    ids: &NewIds,
    programme: &ProgrammeId,
    proposal: &Proposal,
    sides: &BTreeSet<ConsentSide>,
    at: Timestamp,
) -> Vec<NewMessage> {
    let message = |side: &ConsentSide| {
        let parameters = ListParameters { zone: &TimeZone::UTC, name: "", at: None, words: "" };
        let notification = match side {
            ConsentSide::Person => ListNotification::ListRunOut,
            ConsentSide::Worker | ConsentSide::Manager => ListNotification::WorkerListRunOut,
        };
        NewMessage {
            id: MessageId::new(ids.next(at)),
            programme: programme.clone(),
            budget: proposal.budget.clone(),
            kind: notification.kind(),
            subject: proposal.id.to_string(),
            body: Words::english().list_notification(notification, &parameters),
            created_at: at,
            recipient: recipient(*side),
            facts: MessageParameters::default().to_text(),
            thread: None,
            due_at: None,
        }
    };
    sides.iter().map(message).collect()
}
