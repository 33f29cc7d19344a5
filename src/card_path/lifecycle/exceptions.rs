//! What somebody should look at after a message. Each exception is named by its cause and by what it
//! is about, so it is noted once, and a later message that explains it settles it.

use super::LifecycleError;
use super::change::{ChangeCause, PurchaseChange};
use super::context::LifecycleContext;
use super::links::{Link, Misfit};
use super::shape::Shape;
use crate::domain::purchase::finding::{Finding, about, decided_without_us, findings};
use crate::domain::purchase::presentment::{Direction, EventBody, IssuerAnswer};
use crate::domain::purchase::{Promise, PromiseState, Purchase};
use crate::store::{Additions, Note, Settled, exception_id};

/// Noted when our own clock gives a hold back; settled by whatever comes after that.
pub(super) const NEVER_CONFIRMED: &str = "never_confirmed";
pub(super) const CAPTURE_NEVER_CAME: &str = "capture_never_came";

impl LifecycleContext<'_> {
    /// Notes what is to be looked at now and was not before, and settles what no longer is.
    pub(super) fn note_findings(
        &self,
        change: &PurchaseChange<'_>,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let permissions = &self.book.permissions;
        let before = findings(change.before, permissions)?;
        let after = findings(change.after, permissions)?;
        let is_among = |all: &[Finding], one: &Finding| all.iter().any(|f| f.word() == one.word());
        // That money is owed for a capture says that it was above the hold.
        let is_said = |finding: &Finding| {
            matches!(finding, Finding::CapturedAboveHold { .. }) && change.is_more_owed()
        };
        let about = about(change.after);
        let new = after.iter().filter(|finding| !is_among(&before, finding));
        for finding in new.filter(|finding| !is_said(finding)) {
            let detail = finding.detail(change.after);
            additions.note(self.note(change, finding.word(), about.clone(), detail));
        }
        for finding in before.iter().filter(|finding| !is_among(&after, finding)) {
            self.settle_exception(change, finding.word(), &about, additions);
        }
        if matches!(change.cause, ChangeCause::Message(_)) && change.before.is_ended_by_us() {
            for kind in [NEVER_CONFIRMED, CAPTURE_NEVER_CAME] {
                self.settle_exception(change, kind, &about, additions);
            }
        }
        Ok(())
    }

    /// Notes every question that the issuer answered otherwise than we did, by our own records.
    ///
    /// A question is judged by the first snapshot that knows of its answer; a later one that finds
    /// both answers alike settles what was noted before our own was recorded.
    pub(super) fn note_answers(
        &self,
        change: &PurchaseChange<'_>,
        shape: &Shape<'_>,
        additions: &mut Additions,
    ) {
        let EventBody::Standing(report) = &shape.event.event.body else { return };
        for (sequence, answer) in (0_u32..).zip(&report.answers) {
            let (kind, about) = decided_without_us(change.after, sequence);
            let Some(how) = differs(change.after, sequence, answer) else {
                let is_withdrawn =
                    |p: &Promise| p.sequence == sequence && p.state == PromiseState::Withdrawn;
                if !answer.is_approved && change.after.promises.iter().any(is_withdrawn) {
                    self.settle_exception(change, kind, &about, additions);
                }
                continue;
            };
            let reason = answer.reason.as_deref().unwrap_or("without a reason");
            let detail = format!("{how} ({reason}); question {sequence}");
            additions.note(self.note(change, kind, about, detail));
        }
    }

    /// Notes what only the message itself tells.
    pub(super) fn note_presentment(
        &self,
        change: &PurchaseChange<'_>,
        shape: &Shape<'_>,
        additions: &mut Additions,
    ) {
        let Some(presentment) = shape.presentment() else { return };
        let about = format!("{}/{}", shape.event.connection, presentment.reference);
        let purchase = format!("purchase {}", shape.purchase);
        if let (Link::Misfit | Link::MisfitMoved | Link::MisfitKept, Some(misfit)) =
            (shape.link, shape.misfit)
        {
            let detail = misfit_detail(misfit, shape);
            additions.note(self.note(change, "link_does_not_fit", about.clone(), detail));
        }
        if self.book.budget.is_house() {
            additions.note(self.note(change, "unknown_card", about.clone(), purchase.clone()));
        }
        if presentment.direction == Direction::Capture && change.is_more_owed() {
            additions.note(self.note(change, "capture_above_money", about, purchase));
        }
    }

    /// Notes that a dispute took money again which the person had spent meanwhile.
    pub(super) fn note_dispute(
        &self,
        change: &PurchaseChange<'_>,
        shape: &Shape<'_>,
        additions: &mut Additions,
    ) {
        let EventBody::Dispute(report) = &shape.event.event.body else { return };
        if change.is_more_owed() {
            let about = format!("{}/{}", shape.event.connection, report.reference);
            let detail = format!("purchase {}", shape.purchase);
            additions.note(self.note(change, "dispute_above_money", about, detail));
        }
    }

    /// A note about the message itself, not about its purchase.
    pub(super) fn message_note(
        &self,
        shape: &Shape<'_>,
        kind: &'static str,
        detail: String,
    ) -> Note {
        let event = shape.event;
        let about = format!("{}/{}", event.connection, event.event.reference);
        Note {
            id: exception_id(&event.programme, kind, &about),
            programme: event.programme.clone(),
            budget: self.book.budget.clone(),
            kind,
            about: about.clone(),
            subject: about,
            detail: if detail.is_empty() { format!("purchase {}", shape.purchase) } else { detail },
            noted_at: event.received_at,
        }
    }

    pub(super) fn note(
        &self,
        change: &PurchaseChange<'_>,
        kind: &'static str,
        about: String,
        detail: String,
    ) -> Note {
        Note {
            id: exception_id(&self.book.programme, kind, &about),
            programme: self.book.programme.clone(),
            budget: self.book.budget.clone(),
            kind,
            about,
            subject: subject(change),
            detail,
            noted_at: change.at,
        }
    }

    fn settle_exception(
        &self,
        change: &PurchaseChange<'_>,
        kind: &str,
        about: &str,
        additions: &mut Additions,
    ) {
        additions.settled.push(Settled {
            id: exception_id(&self.book.programme, kind, about),
            programme: self.book.programme.clone(),
            by: subject(change),
            at: change.at,
        });
    }
}

/// What of a claim does not fit the purchase that it names, and where it was booked.
fn misfit_detail(misfit: Misfit, shape: &Shape<'_>) -> String {
    let named = shape.presentment().and_then(|claim| claim.purchase.as_ref());
    let named = named.map(ToString::to_string).unwrap_or_default();
    let what = match misfit {
        Misfit::Card => "its card is another person's than that of",
        Misfit::Shop => "its shop is another one than that of",
        Misfit::Currency => "its merchant's currency is another one than that of",
    };
    let place = match shape.link {
        Link::MisfitMoved => format!("booked on {}, which it fits", shape.purchase),
        Link::MisfitKept => "booked there all the same: the same pots pay".to_owned(),
        Link::Fits | Link::None | Link::Misfit => "booked on its own".to_owned(),
    };
    format!("{what} purchase {named}; {place}")
}

/// The message that changed the purchase; without one, the purchase.
fn subject(change: &PurchaseChange<'_>) -> String {
    match change.cause {
        ChangeCause::Message(event) => format!("{}/{}", event.connection, event.event.reference),
        ChangeCause::Expiry => about(change.after),
    }
}

/// How the issuer's answer differs from ours. A check of the card for nothing needs no yes of ours
/// that is kept.
fn differs(purchase: &Purchase, sequence: u32, answer: &IssuerAnswer) -> Option<&'static str> {
    let kept = |p: &&Promise| p.sequence == sequence && p.state == PromiseState::Kept;
    let is_promised = purchase.promises.iter().any(|promise| kept(&promise));
    match (answer.is_approved, is_promised) {
        (true, false) if answer.amount.is_positive() => Some("approved, and not by us"),
        (false, true) => Some("refused, and we had approved it"),
        (true, _) if answer.is_without_us => Some("approved, and not because of our answer"),
        (false, false) if answer.is_without_us => Some("refused, and not because of our answer"),
        (true, _) | (false, false) => None,
    }
}
