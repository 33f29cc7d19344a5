//! Safety: who holds the card, and recorded safety talks.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{CustodyId, MemberId, TalkId};
use crate::domain::stored_enum::stored_enum;

/// After how many days the custody of a card that is not with the person is reviewed.
pub const CUSTODY_REVIEW_DAYS: i64 = 14;
/// How long a talk can justify the refusal of an ask.
const TALK_VALID_FOR_REFUSAL: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long after a talk a pause can begin.
const TALK_VALID_FOR_PAUSE: SignedDuration = SignedDuration::from_hours(7 * 24);

stored_enum!(
    /// Who holds the card.
    CardCustodian {
        Person => "person",
        /// Somebody chosen by the person.
        Helper => "helper",
        /// The programme, at the person's request. They can have it back at any time.
        KeptSafe => "kept_safe",
    }
);

/// Who holds the card, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    pub id: CustodyId,
    pub holder: CardCustodian,
    /// The holder, in the person's words.
    pub name: String,
    pub since: Timestamp,
    /// When the custody is reviewed; none while the person holds the card.
    pub review_on: Option<Date>,
}

impl Custody {
    /// Whether somebody other than the person holds the card.
    pub fn is_elsewhere(&self) -> bool {
        self.holder != CardCustodian::Person
    }

    /// Whether the review is due on `today`. An overdue review restricts nothing.
    pub fn is_due(&self, today: Date) -> bool {
        self.review_on.is_some_and(|on| on <= today)
    }
}

/// A safety talk, recorded before anything is paused or refused for safety.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    pub id: TalkId,
    pub by: MemberId,
    pub concern: String,
    /// What the person wants.
    pub wants: String,
    /// Whether the person understood and agreed, and how that was established.
    pub consent: String,
    /// The less restrictive options, and why each was or was not enough.
    pub options: String,
    pub next_step: String,
    pub at: Timestamp,
}

impl Talk {
    /// Whether an ask can be refused at `now` because of this talk.
    pub fn counts_for_a_no(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= TALK_VALID_FOR_REFUSAL
    }

    /// Whether a pause that begins at `now` can rest on this talk.
    pub fn counts_for_a_pause(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= TALK_VALID_FOR_PAUSE
    }
}
