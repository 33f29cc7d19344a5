//! Safety without spying: who has the card, and what was talked about.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{CustodyId, MemberId, TalkId};
use crate::domain::people::role::stored_enum;

/// After how many days a card that is not with the person is looked at again.
pub const CUSTODY_REVIEW_DAYS: i64 = 14;
/// How long a talk can be the reason for a no.
const TALK_VALID_FOR_REFUSAL: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a talk can be what came before a pause.
const TALK_VALID_FOR_PAUSE: SignedDuration = SignedDuration::from_hours(7 * 24);

stored_enum!(
    /// Who has the card.
    CardCustodian {
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
    pub holder: CardCustodian,
    /// Who it is, in the person's words.
    pub name: String,
    pub since: Timestamp,
    /// When it is looked at again; none while the person has it.
    pub review_on: Option<Date>,
}

impl Custody {
    /// Whether somebody else than the person has the card.
    pub fn is_elsewhere(&self) -> bool {
        self.holder != CardCustodian::Person
    }

    /// Whether it is to be looked at again on `today`. A late look takes nothing away.
    pub fn is_due(&self, today: Date) -> bool {
        self.review_on.is_some_and(|on| on <= today)
    }
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

impl Talk {
    /// Whether a no for safety can rest on it at `now`.
    pub fn counts_for_a_no(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= TALK_VALID_FOR_REFUSAL
    }

    /// Whether it is what came before a pause that begins at `now`.
    pub fn counts_for_a_pause(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= TALK_VALID_FOR_PAUSE
    }
}
