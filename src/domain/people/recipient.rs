//! Recipients of messages.

use jiff::Timestamp;

use crate::domain::id::{PersonId, WorkerId};
use crate::domain::people::role::{Actor, Role};
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// The recipient of a message. The accounts are resolved when the message is read, because
    /// roles, cover and duty change.
    Recipient {
        Person => "person",
        /// The person's worker, or an account that covers for the worker.
        Worker => "worker",
        /// Every account that is on duty; see [`Actor::inbox_filter`].
        Duty => "duty",
        Manager => "manager",
    }
);

/// The `due_at` of a message that inboxes list before all others, because they sort by due time. It
/// is not shown as a deadline.
pub const TOP_PRIORITY: Timestamp = Timestamp::UNIX_EPOCH;

/// Which messages an account reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// The messages to this person.
    pub own: Option<PersonId>,
    /// The messages to these workers, about all their people.
    pub workers: Vec<WorkerId>,
    pub is_on_duty: bool,
    pub is_manager: bool,
}

impl Actor {
    /// The messages that this account receives now: by its role, its own caseload and that of the
    /// workers it covers for, and its duty.
    ///
    /// Accounts of [`Role::Duty`], [`Role::Worker`] and [`Role::Manager`] receive the messages to
    /// [`Recipient::Duty`] while they are on duty.
    pub fn inbox_filter(&self) -> InboxFilter {
        let member = &self.member;
        let own = || member.worker.iter().chain(&self.covers).cloned().collect();
        let staff = |workers, is_manager| InboxFilter {
            own: None,
            workers,
            is_on_duty: self.is_on_duty,
            is_manager,
        };
        match member.role {
            Role::Person => InboxFilter { own: member.person.clone(), ..InboxFilter::default() },
            Role::Worker => staff(own(), false),
            Role::Duty => staff(self.covers.clone(), false),
            Role::Manager => staff(self.covers.clone(), true),
            Role::Helper
            | Role::Advocate
            | Role::Planner
            | Role::Finance
            | Role::Operator
            | Role::Auditor => InboxFilter::default(),
        }
    }
}
