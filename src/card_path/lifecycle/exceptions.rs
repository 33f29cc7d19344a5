//! Exceptions for a person to review after an event. The id of an exception derives from its kind
//! and subject, so that it is noted once and a later event that explains it resolves it.

use super::change::{ChangeCause, PurchaseChange};
use super::context::LifecycleContext;
use super::purchase_message::{MatchStatus, MismatchReason, PurchaseMessage};
use crate::card_path::error::CardPathError;
use crate::domain::purchase::finding::{Finding, about, decided_without_us, findings};
use crate::domain::purchase::presentment::{EventBody, IssuerAnswer, PresentmentDirection};
use crate::domain::purchase::{ApprovedIncrement, IncrementState, Purchase};
use crate::store::{ExceptionRow, PendingWrites, ResolvedException, exception_id};

/// Noted when a hold expires by our own clock; resolved by any later event of the purchase.
pub(super) const NEVER_CONFIRMED: &str = "never_confirmed";
pub(super) const CAPTURE_NEVER_CAME: &str = "capture_never_came";

impl LifecycleContext<'_> {
    /// Notes the findings that are new, and resolves those that are gone.
    pub(super) fn note_findings(
        &self,
        change: &PurchaseChange<'_>,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let permissions = &self.book.permissions;
        let before = findings(change.before, permissions)?;
        let after = findings(change.after, permissions)?;
        let is_among = |all: &[Finding], one: &Finding| all.iter().any(|f| f.word() == one.word());
        // Money owed for a capture has its own exception, which implies an excess over the hold.
        let is_already_noted = |finding: &Finding| {
            matches!(finding, Finding::CapturedAboveHold { .. }) && change.is_more_owed()
        };
        let about = about(change.after);
        let new = after.iter().filter(|finding| !is_among(&before, finding));
        for finding in new.filter(|finding| !is_already_noted(finding)) {
            let detail = finding.detail(change.after);
            pending_writes.add_exception(self.note(change, finding.word(), about.clone(), detail));
        }
        for finding in before.iter().filter(|finding| !is_among(&after, finding)) {
            self.settle_exception(change, finding.word(), &about, pending_writes);
        }
        if matches!(change.cause, ChangeCause::Message(_)) && change.before.is_expired_by_us() {
            for kind in [NEVER_CONFIRMED, CAPTURE_NEVER_CAME] {
                self.settle_exception(change, kind, &about, pending_writes);
            }
        }
        Ok(())
    }

    /// Notes every request whose outcome at the issuer differs from our recorded response.
    ///
    /// A snapshot that reports an outcome notes the difference. A later snapshot resolves it if our
    /// approval was withdrawn meanwhile, because both outcomes are then declines.
    pub(super) fn note_answers(
        &self,
        change: &PurchaseChange<'_>,
        message: &PurchaseMessage<'_>,
        pending_writes: &mut PendingWrites,
    ) {
        let EventBody::Snapshot(report) = &message.event.event.body else { return };
        for (sequence, answer) in (0_u32..).zip(&report.answers) {
            let (kind, about) = decided_without_us(change.after, sequence);
            let Some(how) = differs(change.after, sequence, answer) else {
                let is_withdrawn = |p: &ApprovedIncrement| {
                    p.sequence == sequence && p.state == IncrementState::Withdrawn
                };
                if !answer.is_approved && change.after.increments.iter().any(is_withdrawn) {
                    self.settle_exception(change, kind, &about, pending_writes);
                }
                continue;
            };
            let reason = answer.reason.as_deref().unwrap_or("without a reason");
            let detail = format!("{how} ({reason}); question {sequence}");
            pending_writes.add_exception(self.note(change, kind, about, detail));
        }
    }

    /// Adds the exceptions of a presentment that are not findings of its purchase: a link that does
    /// not fit, an unknown card, and a capture for which the pots lacked money.
    pub(super) fn note_presentment(
        &self,
        change: &PurchaseChange<'_>,
        message: &PurchaseMessage<'_>,
        pending_writes: &mut PendingWrites,
    ) {
        let Some(presentment) = message.presentment() else { return };
        let about = format!("{}/{}", message.event.connection, presentment.reference);
        let purchase = format!("purchase {}", message.purchase);
        if let (
            MatchStatus::OwnPurchase | MatchStatus::Relinked | MatchStatus::KeptMismatch,
            Some(mismatch),
        ) = (message.match_status, message.mismatch)
        {
            let detail = mismatch_detail(mismatch, message);
            pending_writes.add_exception(self.note(
                change,
                "link_does_not_fit",
                about.clone(),
                detail,
            ));
        }
        if self.book.budget.is_house() {
            pending_writes.add_exception(self.note(
                change,
                "unknown_card",
                about.clone(),
                purchase.clone(),
            ));
        }
        if presentment.direction == PresentmentDirection::Capture && change.is_more_owed() {
            pending_writes.add_exception(self.note(change, "capture_above_money", about, purchase));
        }
    }

    /// Notes that a dispute took back money that the person had spent meanwhile.
    pub(super) fn note_dispute(
        &self,
        change: &PurchaseChange<'_>,
        message: &PurchaseMessage<'_>,
        pending_writes: &mut PendingWrites,
    ) {
        let EventBody::Dispute(report) = &message.event.event.body else { return };
        if change.is_more_owed() {
            let about = format!("{}/{}", message.event.connection, report.reference);
            let detail = format!("purchase {}", message.purchase);
            pending_writes.add_exception(self.note(change, "dispute_above_money", about, detail));
        }
    }

    /// An exception about the event itself, not about its purchase.
    pub(super) fn message_note(
        &self,
        message: &PurchaseMessage<'_>,
        kind: &str,
        detail: String,
    ) -> ExceptionRow {
        let event = message.event;
        let about = format!("{}/{}", event.connection, event.event.reference);
        ExceptionRow {
            programme_id: event.programme.clone(),
            exception_id: exception_id(&event.programme, kind, &about),
            budget_id: self.book.budget.clone(),
            kind: kind.to_owned(),
            subject: about.clone(),
            detail: if detail.is_empty() {
                format!("purchase {}", message.purchase)
            } else {
                detail
            },
            noted_at: event.received_at,
            about: Some(about),
        }
    }

    pub(super) fn note(
        &self,
        change: &PurchaseChange<'_>,
        kind: &str,
        about: String,
        detail: String,
    ) -> ExceptionRow {
        ExceptionRow {
            programme_id: self.book.programme.clone(),
            exception_id: exception_id(&self.book.programme, kind, &about),
            budget_id: self.book.budget.clone(),
            kind: kind.to_owned(),
            subject: subject(change),
            detail,
            noted_at: change.at,
            about: Some(about),
        }
    }

    fn settle_exception(
        &self,
        change: &PurchaseChange<'_>,
        kind: &str,
        about: &str,
        pending_writes: &mut PendingWrites,
    ) {
        pending_writes.resolved_exceptions.push(ResolvedException {
            programme_id: self.book.programme.clone(),
            exception_id: exception_id(&self.book.programme, kind, about),
            settled_at: change.at,
            settled_by: subject(change),
        });
    }
}

/// In what a presentment does not fit the purchase that it names, and where it was booked.
fn mismatch_detail(mismatch: MismatchReason, message: &PurchaseMessage<'_>) -> String {
    let named = message.presentment().and_then(|presentment| presentment.purchase.as_ref());
    let named = named.map(ToString::to_string).unwrap_or_default();
    let what = match mismatch {
        MismatchReason::Card => "its card is another person's than that of",
        MismatchReason::Shop => "its shop is another one than that of",
        MismatchReason::Currency => "its merchant's currency is another one than that of",
    };
    let booked_where = match message.match_status {
        MatchStatus::Relinked => format!("booked on {}, which it fits", message.purchase),
        MatchStatus::KeptMismatch => "booked there all the same: the same pots pay".to_owned(),
        MatchStatus::Matched | MatchStatus::Unlinked | MatchStatus::OwnPurchase => {
            "booked on its own".to_owned()
        }
    };
    format!("{what} purchase {named}; {booked_where}")
}

/// The event that changed the purchase; for an expiry, the purchase.
fn subject(change: &PurchaseChange<'_>) -> String {
    match change.cause {
        ChangeCause::Message(event) => format!("{}/{}", event.connection, event.event.reference),
        ChangeCause::Expiry => about(change.after),
    }
}

/// How the issuer's outcome differs from our response; `None` if it does not. An approval of zero
/// needs no approved increment of ours, because it holds nothing.
fn differs(purchase: &Purchase, sequence: u32, answer: &IssuerAnswer) -> Option<&'static str> {
    let kept = |p: &&ApprovedIncrement| p.sequence == sequence && p.state == IncrementState::Kept;
    let is_promised = purchase.increments.iter().any(|increment| kept(&increment));
    match (answer.is_approved, is_promised) {
        (true, false) if answer.amount.is_positive() => Some("approved, and not by us"),
        (false, true) => Some("refused, and we had approved it"),
        (true, _) if answer.is_without_us => Some("approved, and not because of our answer"),
        (false, false) if answer.is_without_us => Some("refused, and not because of our answer"),
        (true, _) | (false, false) => None,
    }
}
