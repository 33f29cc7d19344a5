//! The state of a person, as far as a decision depends on it.

use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// Whether the person's budget may be used.
    PersonState {
        Active => "active",
        /// The budget has ended: new purchases are declined, but later messages are still booked.
        Ended => "ended",
    }
);
