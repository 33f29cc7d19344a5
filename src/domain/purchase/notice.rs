//! Notifications to the person about a purchase after its authorisation, derived by comparing the
//! purchase before and after a message. Expected changes cause none: a capture of the held amount,
//! and the end of a hold that was captured.

use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::{Dispute, DisputeOutcome};
use crate::domain::purchase::issuer_decline::IssuerDecline;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::state::attributed_refunds;

/// One notification to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseNotice {
    /// The issuer declined it.
    RefusedByIssuer(IssuerDecline),
    /// Money is held again after it was released.
    Kept {
        amount: Money,
    },
    /// Money is held although we approved none of it, or less.
    HeldWithoutApproval {
        amount: Money,
    },
    /// The held amount decreased.
    Lowered {
        keeps: Money,
        freed: Money,
    },
    /// The merchant reversed it.
    GivenBack {
        freed: Money,
    },
    /// The hold expired.
    HoldExpired {
        freed: Money,
    },
    /// The merchant captured less than was held, and will capture no more.
    CapturedLess {
        took: Money,
        freed: Money,
    },
    /// The merchant captured more than it had requested.
    CapturedMore {
        took: Money,
        asked: Money,
    },
    /// A capture after the hold had ended, or without any approval of ours.
    PaidAfterAll {
        took: Money,
    },
    /// A stopped card caused a capture or a hold that we did not approve.
    StoppedCardPaid {
        amount: Money,
    },
    MoneyBack {
        amount: Money,
    },
    /// A refund that matches no known purchase.
    RefundUnmatched {
        amount: Money,
    },
    DisputeOpened {
        amount: Money,
    },
    DisputeWon {
        amount: Money,
    },
    DisputeLost {
        amount: Money,
    },
}

/// Context of the message that changed the purchase.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoticeContext<'a> {
    /// The issuer's own declines of which the person was not notified yet.
    pub refused: &'a [IssuerDecline],
    /// Whether the card is stopped now: frozen, lost, replaced or expired.
    pub is_card_stopped: bool,
}

/// The notifications to the person about the change from `before` to `after`.
pub fn notices(
    before: &Purchase,
    after: &Purchase,
    around: NoticeContext<'_>,
) -> Result<Vec<PurchaseNotice>, MoneyError> {
    // Several attempts at one till cause one notification, about the last of them.
    let refused = around.refused.last().copied().map(PurchaseNotice::RefusedByIssuer);
    let moved = [refused, moved(before, after, around)?, returned(before, after)?];
    let disputes = after.disputes.iter().filter_map(|dispute| disputed(before, dispute));
    Ok(moved.into_iter().flatten().chain(disputes).collect())
}

/// The captured amount plus the amount still to be captured.
fn expected(purchase: &Purchase) -> Result<Money, MoneyError> {
    purchase.requested_hold()?.checked_add(purchase.captured)
}

fn moved(
    before: &Purchase,
    after: &Purchase,
    around: NoticeContext<'_>,
) -> Result<Option<PurchaseNotice>, MoneyError> {
    let (was, is) = (expected(before)?, expected(after)?);
    let (more, freed) = (is.saturating_sub(was)?, was.saturating_sub(is)?);
    let took_now = after.captured.saturating_sub(before.captured)?;
    if is_by_the_rate(after, was, more, freed)? {
        return Ok(None);
    }
    let approved_total = after.approved_total()?;
    if more.is_positive() {
        return Ok(Some(if !approved_total.is_positive() && around.is_card_stopped {
            PurchaseNotice::StoppedCardPaid { amount: more }
        } else if took_now.is_positive() && before.requested_hold()?.is_positive() {
            PurchaseNotice::CapturedMore { took: after.captured, asked: was }
        } else if took_now.is_positive() {
            PurchaseNotice::PaidAfterAll { took: took_now }
        } else if approved_total.minor() < is.minor() {
            PurchaseNotice::HeldWithoutApproval { amount: more }
        } else {
            PurchaseNotice::Kept { amount: after.requested_hold()? }
        }));
    }
    let status = after.snapshot.as_ref().map(|snapshot| snapshot.status);
    let is_refused = status == Some(AuthorisationStatus::Declined) && !around.refused.is_empty();
    if !freed.is_positive() || is_refused {
        return Ok(None);
    }
    let keeps = after.requested_hold()?;
    Ok(Some(if keeps.is_positive() {
        PurchaseNotice::Lowered { keeps, freed }
    } else if after.captured.is_positive() {
        PurchaseNotice::CapturedLess { took: after.captured, freed }
    } else if status == Some(AuthorisationStatus::Expired) {
        PurchaseNotice::HoldExpired { freed }
    } else {
        PurchaseNotice::GivenBack { freed }
    }))
}

/// Whether the change is within the agreed exchange rate margin, so that only the rate has changed.
fn is_by_the_rate(
    after: &Purchase,
    was: Money,
    more: Money,
    freed: Money,
) -> Result<bool, MoneyError> {
    let margin = after.margin.on(was)?;
    let difference = more.checked_add(freed)?;
    Ok(after.captured.is_positive() && difference.minor() <= margin.minor())
}

fn returned(before: &Purchase, after: &Purchase) -> Result<Option<PurchaseNotice>, MoneyError> {
    let back = attributed_refunds(after)?.saturating_sub(attributed_refunds(before)?)?;
    if back.is_positive() {
        return Ok(Some(PurchaseNotice::MoneyBack { amount: back }));
    }
    let aside = after.suspense.saturating_sub(before.suspense)?;
    // For a known purchase the capture may merely be late; the person is notified when it arrives.
    let is_nobodys = !expected(after)?.is_positive();
    Ok((aside.is_positive() && is_nobodys)
        .then_some(PurchaseNotice::RefundUnmatched { amount: aside }))
}

fn disputed(before: &Purchase, dispute: &Dispute) -> Option<PurchaseNotice> {
    let known = before.disputes.iter().find(|known| known.reference == dispute.reference);
    let (outcome, amount) = (dispute.outcome.0, dispute.amount);
    let is_news = known.is_none_or(|known| known.outcome.0 != outcome);
    is_news.then_some(match outcome {
        DisputeOutcome::Open => PurchaseNotice::DisputeOpened { amount },
        DisputeOutcome::Won => PurchaseNotice::DisputeWon { amount },
        DisputeOutcome::Lost => PurchaseNotice::DisputeLost { amount },
    })
}

impl PurchaseNotice {
    /// Whether the worker on duty is notified too.
    pub const fn is_for_duty(&self) -> bool {
        matches!(self, Self::StoppedCardPaid { .. })
    }

    /// The issuer's decline, if the notification is about one.
    pub const fn refused(&self) -> Option<IssuerDecline> {
        if let Self::RefusedByIssuer(refused) = self { Some(*refused) } else { None }
    }
}
