//! Safety without spying: who has the card, and what was talked about.

use jiff::Timestamp;
use jiff::civil::Date;

use super::id::{CustodyId, MemberId, TalkId};
use super::role::words;

/// After how many days a card that is not with the person is looked at again.
pub const CUSTODY_REVIEW_DAYS: i64 = 14;

words!(
    /// Who has the card.
    Holder {
        Person => "person",
        /// Somebody whom the person chose.
        Helper => "helper",
        /// The programme, because the person asked. They can have it back at any time.
        KeptSafe => "kept_safe",
    }
);

/// Who has the card since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    pub id: CustodyId,
    pub holder: Holder,
    /// Who it is, in the person's words.
    pub name: String,
    pub since: Timestamp,
    /// When it is looked at again; none while the person has it.
    pub review_on: Option<Date>,
}

/// A talk about safety, written down before anything is paused or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    pub id: TalkId,
    pub by: MemberId,
    pub concern: String,
    /// What the person wants.
    pub wants: String,
    /// Whether the person understood and agreed, and how that was found out.
    pub consent: String,
    /// What restricts less, and why it was or was not enough.
    pub options: String,
    pub next_step: String,
    pub at: Timestamp,
}
