//! The issuer's file of one purchase: what it knows, and the messages that follow from that.

use serde_json::{Value, json};

use super::stripe::{Answered, Authorisation, Link, Moved, Reached, Status};
use crate::{
    books::{Claim, Stands, Word},
    report::Kind,
};

const CREATED: &str = "issuing_authorization.created";
const UPDATED: &str = "issuing_authorization.updated";
const TRANSACTION: &str = "issuing_transaction.created";

/// What the issuer knows of one purchase.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) authorisation: Authorisation,
    pub(crate) captured_minor: i64,
    /// How much of the history has been told.
    confirmed: usize,
    /// What was approved in all: a shop may still claim it when the issuer holds it no longer.
    approved_minor: i64,
    /// When the last snapshot was made.
    told_at: i64,
    /// Whether several snapshots may be made in one second.
    pub(crate) is_hasty: bool,
}

/// One event, before it has an id.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) amount_minor: i64,
    /// Unix seconds.
    pub(crate) created: i64,
    pub(crate) object: Value,
    pub(crate) previous: Option<Value>,
    pub(crate) news: News,
}

/// What a message says, for the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// How the purchase stands.
    Word(Word),
    Capture(Link, Claim),
    Refund(Link, Claim),
}

/// How much of what is still kept aside, or of what was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    Half,
    Exactly(i64),
    More(i64),
    Less(i64),
}

impl Share {
    pub(crate) fn of(self, amount_minor: i64) -> i64 {
        match self {
            Self::All => amount_minor,
            Self::Half => amount_minor / 2,
            Self::Exactly(exactly) => exactly.min(amount_minor),
            Self::More(more) => amount_minor + more,
            Self::Less(less) => (amount_minor - less).max(0),
        }
    }
}

impl File {
    pub(crate) fn new(authorisation: Authorisation) -> Self {
        Self {
            authorisation,
            captured_minor: 0,
            confirmed: 0,
            approved_minor: 0,
            told_at: i64::MIN,
            is_hasty: false,
        }
    }

    /// Whether something is kept aside and more could be asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.authorisation.amount_minor > 0 && self.authorisation.status == Status::Pending
    }

    /// What is kept aside and not claimed yet.
    pub(crate) fn rest_minor(&self) -> i64 {
        (self.authorisation.amount_minor - self.captured_minor).max(0)
    }

    /// What the shop may still claim, kept aside or not.
    fn claimable_minor(&self) -> i64 {
        (self.approved_minor - self.captured_minor).max(0)
    }

    /// Writes down what came of a question for `asked_minor`, of which `approved_minor` was
    /// approved.
    pub(crate) fn answer(
        &mut self,
        asked_minor: i64,
        approved_minor: i64,
        outcome: Reached,
        at: i64,
    ) {
        let is_approved = outcome.is_approved();
        let amount_minor = if is_approved { approved_minor } else { asked_minor };
        self.authorisation.history.push(Answered { amount_minor, at, outcome });
        if is_approved {
            self.authorisation.amount_minor += approved_minor;
            self.approved_minor += approved_minor;
            self.authorisation.status = Status::Pending;
        }
    }

    /// What a message says was there before it.
    fn amount_before(&self, before_minor: i64) -> Value {
        json!({ "amount": self.authorisation.theirs(before_minor) })
    }

    /// What became of the questions since it was last told; none when nothing did.
    pub(crate) fn confirm(&mut self, at: i64) -> Option<Message> {
        let history = &self.authorisation.history;
        let last = history.get(self.confirmed..)?.last()?.clone();
        let is_first = self.confirmed == 0;
        self.confirmed = history.len();
        if !is_first {
            let raised = if last.outcome.is_approved() { last.amount_minor } else { 0 };
            let previous = self.amount_before(self.authorisation.amount_minor - raised);
            return Some(self.updated(Kind::Confirmed, last.amount_minor, previous, at));
        }
        if !last.outcome.is_approved() {
            self.authorisation.status = Status::Closed;
        }
        let message = self.updated(Kind::Confirmed, last.amount_minor, Value::Null, at);
        let news = match message.news {
            News::Word(word) => News::Word(Word { is_update: false, ..word }),
            news @ (News::Capture(..) | News::Refund(..)) => news,
        };
        Some(Message { name: CREATED, previous: None, news, ..message })
    }

    /// The issuer refused before it asked us.
    pub(crate) fn refuse(&mut self, amount_minor: i64, at: i64) -> Option<Message> {
        self.answer(amount_minor, 0, Reached::Refused, at);
        let message = self.confirm(at)?;
        Some(Message { kind: Kind::RefusedByIssuer, ..message })
    }

    /// The shop keeps this much less aside.
    pub(crate) fn lower(&mut self, less: i64, at: i64) -> Option<Message> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() || less <= 0 || less >= self.rest_minor() {
            return None;
        }
        self.authorisation.amount_minor = before - less;
        self.approved_minor = self.approved_minor.min(self.authorisation.amount_minor);
        Some(self.updated(Kind::Lowered, less, self.amount_before(before), at))
    }

    /// The final amount of an estimate, as at a fuel pump: nobody is asked again.
    pub(crate) fn finalise(&mut self, total_minor: i64, at: i64) -> Option<Message> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() || total_minor <= before {
            return None;
        }
        self.authorisation.amount_minor = total_minor;
        self.approved_minor = total_minor;
        let more = total_minor - before;
        Some(self.updated(Kind::RaisedUnasked, more, self.amount_before(before), at))
    }

    /// The shop gives all of it back before claiming anything.
    pub(crate) fn reverse(&mut self, at: i64) -> Option<Message> {
        self.undo(Status::Reversed, Kind::GivenBack, at)
    }

    /// Its time has run out. The shop may still claim it.
    pub(crate) fn expire(&mut self, at: i64) -> Option<Message> {
        self.undo(Status::Expired, Kind::Expired, at)
    }

    fn undo(&mut self, status: Status, kind: Kind, at: i64) -> Option<Message> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() {
            return None;
        }
        self.authorisation.amount_minor = 0;
        self.authorisation.status = status;
        if status == Status::Reversed {
            self.approved_minor = self.captured_minor;
        }
        let before_theirs = self.authorisation.theirs(before);
        let previous = json!({ "amount": before_theirs, "status": "pending" });
        Some(self.updated(kind, before, previous, at))
    }

    /// What was given back is kept aside again, and nobody is asked.
    pub(crate) fn revive(&mut self, amount_minor: i64, at: i64) -> Option<Message> {
        if self.authorisation.status != Status::Reversed || self.captured_minor > 0 {
            return None;
        }
        self.authorisation.amount_minor = amount_minor;
        self.approved_minor = amount_minor;
        self.authorisation.status = Status::Pending;
        let previous = json!({ "amount": 0, "status": "reversed" });
        Some(self.updated(Kind::RaisedUnasked, amount_minor, previous, at))
    }

    /// Nothing more will be claimed.
    pub(crate) fn close(&mut self, at: i64) -> Option<Message> {
        if !self.is_open() {
            return None;
        }
        self.authorisation.status = Status::Closed;
        let captured = self.captured_minor;
        Some(self.updated(Kind::Closed, captured, json!({ "status": "pending" }), at))
    }

    /// The shop claims a share of what it may still claim; none when that is nothing.
    pub(crate) fn capture(&mut self, id: &str, share: Share, at: i64) -> Option<Message> {
        let claimable = self.claimable_minor();
        let amount_minor = if claimable > 0 { share.of(claimable) } else { 0 };
        if amount_minor <= 0 {
            return None;
        }
        Some(self.claim(id, amount_minor, Kind::Captured, at))
    }

    /// A claim of money that was refused, or that nobody was asked about.
    pub(crate) fn force(&mut self, id: &str, amount_minor: i64, link: Link, at: i64) -> Message {
        match link {
            Link::Linked => self.claim(id, amount_minor, Kind::ChargedUnasked, at),
            Link::Unlinked => self.moved(id, Moved::Capture, amount_minor, link, at),
        }
    }

    fn claim(&mut self, id: &str, amount_minor: i64, kind: Kind, at: i64) -> Message {
        let message = self.moved(id, Moved::Capture, amount_minor, Link::Linked, at);
        self.authorisation.transactions.push(message.object.clone());
        self.captured_minor += amount_minor;
        Message { kind, ..message }
    }

    /// Money back for a share of what was claimed; none when nothing was.
    pub(crate) fn refund(&self, id: &str, share: Share, link: Link, at: i64) -> Option<Message> {
        let amount_minor = share.of(self.captured_minor);
        let is_some = self.captured_minor > 0 && amount_minor > 0;
        is_some.then(|| self.moved(id, Moved::Refund, amount_minor, link, at))
    }

    /// All that was claimed comes back in the shop's own currency, at another rate: this much more, or
    /// less, in the card's.
    pub(crate) fn refund_at_another_rate(
        &self,
        id: &str,
        more_minor: i64,
        at: i64,
    ) -> Option<Message> {
        let priced = self.authorisation.priced(self.captured_minor);
        let amounts = (self.captured_minor + more_minor, priced);
        let is_some = self.captured_minor > 0 && amounts.0 > 0;
        is_some.then(|| self.moved_as(id, Moved::Refund, amounts, Link::Linked, at))
    }

    /// The issuer approves without asking, and has not told yet.
    pub(crate) fn stand_in(&mut self, amount_minor: i64, at: i64) {
        self.answer(amount_minor, amount_minor, Reached::StoodIn, at);
    }

    /// Money back that names no purchase, whatever was claimed.
    pub(crate) fn refund_unlinked(&self, id: &str, amount_minor: i64, at: i64) -> Message {
        self.moved(id, Moved::Refund, amount_minor, Link::Unlinked, at)
    }

    fn moved(&self, id: &str, moved: Moved, amount_minor: i64, link: Link, at: i64) -> Message {
        let priced = self.authorisation.priced(amount_minor);
        self.moved_as(id, moved, (amount_minor, priced), link, at)
    }

    /// Money that moves, with what it is in the shop's own currency.
    fn moved_as(
        &self,
        id: &str,
        moved: Moved,
        (amount_minor, priced): (i64, i64),
        link: Link,
        at: i64,
    ) -> Message {
        let is_foreign = self.authorisation.priced_in.is_some();
        let claim = Claim { amount_minor, priced: is_foreign.then_some(priced) };
        let (kind, news) = match moved {
            Moved::Capture => (Kind::ChargedUnasked, News::Capture(link, claim)),
            Moved::Refund => (Kind::Refunded, News::Refund(link, claim)),
        };
        let amounts = (amount_minor, priced);
        let object = self.authorisation.transaction(id, moved, amounts, at, link);
        let (name, previous) = (TRANSACTION, None);
        Message { name, kind, amount_minor, created: at, object, previous, news }
    }

    /// A snapshot of how it stands. No two are made in the same second, so that their time orders
    /// them, unless the file is a hasty one.
    fn updated(&mut self, kind: Kind, amount_minor: i64, previous: Value, at: i64) -> Message {
        let after = if self.is_hasty { self.told_at } else { self.told_at.saturating_add(1) };
        self.told_at = at.max(after);
        let authorisation = &self.authorisation;
        let stands = match authorisation.status {
            Status::Reversed => Stands::Reversed,
            Status::Expired => Stands::Expired,
            Status::Pending | Status::Closed if !authorisation.is_approved() => Stands::Declined,
            Status::Pending => Stands::Open(authorisation.amount_minor),
            Status::Closed => Stands::Closed(self.captured_minor),
        };
        let word = Word {
            at: self.told_at,
            is_update: true,
            answers: authorisation.history.len(),
            listed: authorisation.transactions.len(),
            stands,
        };
        Message {
            name: UPDATED,
            kind,
            amount_minor,
            created: self.told_at,
            object: authorisation.snapshot(),
            previous: Some(previous),
            news: News::Word(word),
        }
    }
}
