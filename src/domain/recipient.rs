//! Whom a message is for.

use super::role::words;

words!(
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
