//! The issuer's record of one purchase, and the events that it sends about it.

use serde_json::{Value, json};

use super::stripe::{
    AuthorisationLink, RequestHistoryEntry, RequestOutcome, StripeAuthorisation, StripeStatus,
    TransactionType,
};
use crate::{
    books::{AuthorisationSnapshot, HoldStatus, Presentment},
    report::MessageKind,
};

const CREATED: &str = "issuing_authorization.created";
const UPDATED: &str = "issuing_authorization.updated";
const TRANSACTION: &str = "issuing_transaction.created";

/// The issuer's state of one purchase.
#[derive(Debug, Clone)]
pub(crate) struct IssuerRecord {
    pub(crate) authorisation: StripeAuthorisation,
    pub(crate) captured_minor: i64,
    /// How many entries of the request history have been reported.
    confirmed_count: usize,
    /// Sum of the approvals. A shop may capture it even after the hold has expired.
    approved_minor: i64,
    /// Time of the last snapshot.
    snapshot_at: i64,
    /// Whether several snapshots may have the same timestamp.
    pub(crate) reuses_timestamps: bool,
}

/// An event without its id.
#[derive(Debug, Clone)]
pub(crate) struct IssuerMessage {
    pub(crate) name: &'static str,
    pub(crate) kind: MessageKind,
    pub(crate) amount_minor: i64,
    /// Unix seconds.
    pub(crate) created: i64,
    pub(crate) object: Value,
    pub(crate) previous: Option<Value>,
    pub(crate) content: MessageContent,
}

/// What an event means for the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageContent {
    /// The status of the purchase.
    AuthorisationSnapshot(AuthorisationSnapshot),
    Capture(AuthorisationLink, Presentment),
    Refund(AuthorisationLink, Presentment),
}

/// A share of the open hold, or of the captured amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmountShare {
    All,
    Half,
    Exactly(i64),
    More(i64),
    Less(i64),
}

impl AmountShare {
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

impl IssuerRecord {
    pub(crate) fn new(authorisation: StripeAuthorisation) -> Self {
        Self {
            authorisation,
            captured_minor: 0,
            confirmed_count: 0,
            approved_minor: 0,
            snapshot_at: i64::MIN,
            reuses_timestamps: false,
        }
    }

    /// Whether there is a hold that an increment could raise.
    pub(crate) fn is_open(&self) -> bool {
        self.authorisation.amount_minor > 0 && self.authorisation.status == StripeStatus::Pending
    }

    /// The part of the hold that is not captured yet.
    pub(crate) fn rest_minor(&self) -> i64 {
        (self.authorisation.amount_minor - self.captured_minor).max(0)
    }

    /// The amount that the shop may still capture, held or not.
    fn claimable_minor(&self) -> i64 {
        (self.approved_minor - self.captured_minor).max(0)
    }

    /// Records the outcome of an authorisation request for `asked_minor`, of which `approved_minor`
    /// was approved.
    pub(crate) fn answer(
        &mut self,
        asked_minor: i64,
        approved_minor: i64,
        outcome: RequestOutcome,
        at: i64,
    ) {
        let is_approved = outcome.is_approved();
        let amount_minor = if is_approved { approved_minor } else { asked_minor };
        self.authorisation.history.push(RequestHistoryEntry { amount_minor, at, outcome });
        if is_approved {
            self.authorisation.amount_minor += approved_minor;
            self.approved_minor += approved_minor;
            self.authorisation.status = StripeStatus::Pending;
        }
    }

    /// The `previous_attributes` of an event that changed the amount.
    fn amount_before(&self, before_minor: i64) -> Value {
        json!({ "amount": self.authorisation.stripe_amount(before_minor) })
    }

    /// Reports the outcomes of the requests since the last report; `None` without any.
    pub(crate) fn confirm(&mut self, at: i64) -> Option<IssuerMessage> {
        let history = &self.authorisation.history;
        let last = history.get(self.confirmed_count..)?.last()?.clone();
        let is_first = self.confirmed_count == 0;
        self.confirmed_count = history.len();
        if !is_first {
            let raised = if last.outcome.is_approved() { last.amount_minor } else { 0 };
            let previous = self.amount_before(self.authorisation.amount_minor - raised);
            return Some(self.updated(MessageKind::Confirmed, last.amount_minor, previous, at));
        }
        if !last.outcome.is_approved() {
            self.authorisation.status = StripeStatus::Closed;
        }
        let message = self.updated(MessageKind::Confirmed, last.amount_minor, Value::Null, at);
        let content = match message.content {
            MessageContent::AuthorisationSnapshot(snapshot) => {
                MessageContent::AuthorisationSnapshot(AuthorisationSnapshot {
                    is_update: false,
                    ..snapshot
                })
            }
            content @ (MessageContent::Capture(..) | MessageContent::Refund(..)) => content,
        };
        Some(IssuerMessage { name: CREATED, previous: None, content, ..message })
    }

    /// The issuer declines without sending an authorisation request.
    pub(crate) fn refuse(&mut self, amount_minor: i64, at: i64) -> Option<IssuerMessage> {
        self.answer(amount_minor, 0, RequestOutcome::Refused, at);
        let message = self.confirm(at)?;
        Some(IssuerMessage { kind: MessageKind::RefusedByIssuer, ..message })
    }

    /// Lowers the hold by `less`; `None` when it cannot.
    pub(crate) fn lower(&mut self, less: i64, at: i64) -> Option<IssuerMessage> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() || less <= 0 || less >= self.rest_minor() {
            return None;
        }
        self.authorisation.amount_minor = before - less;
        self.approved_minor = self.approved_minor.min(self.authorisation.amount_minor);
        Some(self.updated(MessageKind::Lowered, less, self.amount_before(before), at))
    }

    /// Raises the hold to the final amount of an estimate, as at a fuel pump, without an
    /// authorisation request.
    pub(crate) fn finalise(&mut self, total_minor: i64, at: i64) -> Option<IssuerMessage> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() || total_minor <= before {
            return None;
        }
        self.authorisation.amount_minor = total_minor;
        self.approved_minor = total_minor;
        let more = total_minor - before;
        Some(self.updated(MessageKind::RaisedUnasked, more, self.amount_before(before), at))
    }

    /// Reverses the whole hold before any capture.
    pub(crate) fn reverse(&mut self, at: i64) -> Option<IssuerMessage> {
        self.undo(StripeStatus::Reversed, MessageKind::GivenBack, at)
    }

    /// Expires the hold. The shop may still capture it.
    pub(crate) fn expire(&mut self, at: i64) -> Option<IssuerMessage> {
        self.undo(StripeStatus::Expired, MessageKind::Expired, at)
    }

    fn undo(&mut self, status: StripeStatus, kind: MessageKind, at: i64) -> Option<IssuerMessage> {
        let before = self.authorisation.amount_minor;
        if !self.is_open() {
            return None;
        }
        self.authorisation.amount_minor = 0;
        self.authorisation.status = status;
        if status == StripeStatus::Reversed {
            self.approved_minor = self.captured_minor;
        }
        let before_theirs = self.authorisation.stripe_amount(before);
        let previous = json!({ "amount": before_theirs, "status": "pending" });
        Some(self.updated(kind, before, previous, at))
    }

    /// Restores a reversed hold without an authorisation request.
    pub(crate) fn revive(&mut self, amount_minor: i64, at: i64) -> Option<IssuerMessage> {
        if self.authorisation.status != StripeStatus::Reversed || self.captured_minor > 0 {
            return None;
        }
        self.authorisation.amount_minor = amount_minor;
        self.approved_minor = amount_minor;
        self.authorisation.status = StripeStatus::Pending;
        let previous = json!({ "amount": 0, "status": "reversed" });
        Some(self.updated(MessageKind::RaisedUnasked, amount_minor, previous, at))
    }

    /// Closes the authorisation: there are no more captures.
    pub(crate) fn close(&mut self, at: i64) -> Option<IssuerMessage> {
        if !self.is_open() {
            return None;
        }
        self.authorisation.status = StripeStatus::Closed;
        let captured = self.captured_minor;
        Some(self.updated(MessageKind::Closed, captured, json!({ "status": "pending" }), at))
    }

    /// Captures a share of what the shop may still capture; `None` when that is zero.
    pub(crate) fn capture(
        &mut self,
        id: &str,
        share: AmountShare,
        at: i64,
    ) -> Option<IssuerMessage> {
        let claimable = self.claimable_minor();
        let amount_minor = if claimable > 0 { share.of(claimable) } else { 0 };
        if amount_minor <= 0 {
            return None;
        }
        Some(self.present(id, amount_minor, MessageKind::Captured, at))
    }

    /// Captures an amount that was declined or never requested.
    pub(crate) fn force(
        &mut self,
        id: &str,
        amount_minor: i64,
        link: AuthorisationLink,
        at: i64,
    ) -> IssuerMessage {
        match link {
            AuthorisationLink::Linked => {
                self.present(id, amount_minor, MessageKind::ChargedUnasked, at)
            }
            AuthorisationLink::Unlinked => {
                self.transaction(id, TransactionType::Capture, amount_minor, link, at)
            }
        }
    }

    fn present(
        &mut self,
        id: &str,
        amount_minor: i64,
        kind: MessageKind,
        at: i64,
    ) -> IssuerMessage {
        let message = self.transaction(
            id,
            TransactionType::Capture,
            amount_minor,
            AuthorisationLink::Linked,
            at,
        );
        self.authorisation.transactions.push(message.object.clone());
        self.captured_minor += amount_minor;
        IssuerMessage { kind, ..message }
    }

    /// Refunds a share of the captured amount; `None` when nothing was captured.
    pub(crate) fn refund(
        &self,
        id: &str,
        share: AmountShare,
        link: AuthorisationLink,
        at: i64,
    ) -> Option<IssuerMessage> {
        let amount_minor = share.of(self.captured_minor);
        let is_some = self.captured_minor > 0 && amount_minor > 0;
        is_some.then(|| self.transaction(id, TransactionType::Refund, amount_minor, link, at))
    }

    /// Refunds the captured amount of the shop's own currency at another exchange rate:
    /// `more_minor` more or less in the card's currency.
    pub(crate) fn refund_at_another_rate(
        &self,
        id: &str,
        more_minor: i64,
        at: i64,
    ) -> Option<IssuerMessage> {
        let merchant_amount = self.authorisation.merchant_amount(self.captured_minor);
        let amounts = (self.captured_minor + more_minor, merchant_amount);
        let is_some = self.captured_minor > 0 && amounts.0 > 0;
        is_some.then(|| {
            self.transaction_with_merchant_amount(
                id,
                TransactionType::Refund,
                amounts,
                AuthorisationLink::Linked,
                at,
            )
        })
    }

    /// The issuer approves without an authorisation request, and reports it later.
    pub(crate) fn stand_in(&mut self, amount_minor: i64, at: i64) {
        self.answer(amount_minor, amount_minor, RequestOutcome::StoodIn, at);
    }

    /// A refund that names no purchase, regardless of any capture.
    pub(crate) fn refund_unlinked(&self, id: &str, amount_minor: i64, at: i64) -> IssuerMessage {
        self.transaction(id, TransactionType::Refund, amount_minor, AuthorisationLink::Unlinked, at)
    }

    fn transaction(
        &self,
        id: &str,
        transaction_type: TransactionType,
        amount_minor: i64,
        link: AuthorisationLink,
        at: i64,
    ) -> IssuerMessage {
        let merchant_amount = self.authorisation.merchant_amount(amount_minor);
        self.transaction_with_merchant_amount(
            id,
            transaction_type,
            (amount_minor, merchant_amount),
            link,
            at,
        )
    }

    /// A capture or a refund with its amount in the shop's own currency.
    fn transaction_with_merchant_amount(
        &self,
        id: &str,
        transaction_type: TransactionType,
        (amount_minor, merchant_amount): (i64, i64),
        link: AuthorisationLink,
        at: i64,
    ) -> IssuerMessage {
        let is_foreign = self.authorisation.foreign_currency.is_some();
        let presentment =
            Presentment { amount_minor, merchant_amount: is_foreign.then_some(merchant_amount) };
        let (kind, content) = match transaction_type {
            TransactionType::Capture => {
                (MessageKind::ChargedUnasked, MessageContent::Capture(link, presentment))
            }
            TransactionType::Refund => {
                (MessageKind::Refunded, MessageContent::Refund(link, presentment))
            }
        };
        let amounts = (amount_minor, merchant_amount);
        let object = self.authorisation.transaction(id, transaction_type, amounts, at, link);
        let (name, previous) = (TRANSACTION, None);
        IssuerMessage { name, kind, amount_minor, created: at, object, previous, content }
    }

    /// A snapshot of the current state. Each gets a later timestamp than the one before, so that
    /// the timestamps order them, unless `reuses_timestamps` is set.
    fn updated(
        &mut self,
        kind: MessageKind,
        amount_minor: i64,
        previous: Value,
        at: i64,
    ) -> IssuerMessage {
        let after = if self.reuses_timestamps {
            self.snapshot_at
        } else {
            self.snapshot_at.saturating_add(1)
        };
        self.snapshot_at = at.max(after);
        let authorisation = &self.authorisation;
        let status = match authorisation.status {
            StripeStatus::Reversed => HoldStatus::Reversed,
            StripeStatus::Expired => HoldStatus::Expired,
            StripeStatus::Pending | StripeStatus::Closed if !authorisation.is_approved() => {
                HoldStatus::Declined
            }
            StripeStatus::Pending => HoldStatus::Open(authorisation.amount_minor),
            StripeStatus::Closed => HoldStatus::Closed(self.captured_minor),
        };
        let snapshot = AuthorisationSnapshot {
            at: self.snapshot_at,
            is_update: true,
            answers: authorisation.history.len(),
            captures_listed: authorisation.transactions.len(),
            status,
        };
        IssuerMessage {
            name: UPDATED,
            kind,
            amount_minor,
            created: self.snapshot_at,
            object: authorisation.snapshot(),
            previous: Some(previous),
            content: MessageContent::AuthorisationSnapshot(snapshot),
        }
    }
}
