//! Whom a message is for.

use jiff::Timestamp;

use crate::domain::id::{PersonId, WorkerId};
use crate::domain::people::role::{Actor, Role, stored_enum};

stored_enum!(
    /// Who is told. Which accounts these are is found when it is told.
    Recipient {
        Person => "person",
        /// The person's worker, or whoever covers for them.
        Worker => "worker",
        /// Whoever is on duty.
        Duty => "duty",
        Manager => "manager",
    }
);

/// When a message runs out that comes before everything else.
pub const AT_ONCE: Timestamp = Timestamp::UNIX_EPOCH;

/// What an account is told: whose messages it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// What this person is told.
    pub own: Option<PersonId>,
    /// What these workers are told, of all their people.
    pub workers: Vec<WorkerId>,
    pub is_on_duty: bool,
    pub is_manager: bool,
}

impl Actor {
    /// What this account is told now: by its role, its own people and those of whom it covers for, and
    /// its duty. Whoever is on duty is told, though their role is another one.
    pub fn mailbox(&self) -> InboxFilter {
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
