//! What a person is told about a purchase after the answer: found by comparing the purchase before
//! and after one message was booked. What is usual stays silent: a claim of what was held, and the
//! end of a hold that was claimed.

use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::{Dispute, DisputeOutcome};
use crate::domain::purchase::issuer_decline::IssuerDecline;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::state::attributed_refunds;

/// Something that the person hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseNotice {
    /// The card company refused it.
    RefusedByIssuer(IssuerDecline),
    /// Money is kept aside again that had been given back.
    Kept {
        amount: Money,
    },
    /// Money is kept aside, and we approved none or not all of it.
    KeptWithoutUs {
        amount: Money,
    },
    /// Less is kept aside than before.
    Lowered {
        keeps: Money,
        freed: Money,
    },
    /// The shop gave it up.
    GivenBack {
        freed: Money,
    },
    /// Its time ran out.
    RanOut {
        freed: Money,
    },
    /// The shop took less than was held, and takes no more.
    TookLess {
        took: Money,
        freed: Money,
    },
    /// The shop took more than it had asked for.
    TookMore {
        took: Money,
        asked: Money,
    },
    /// The shop took money that was not held for it any more, or that we never approved.
    PaidAfterAll {
        took: Money,
    },
    /// Money is gone, or kept aside, by a card that was stopped.
    StoppedCardPaid {
        amount: Money,
    },
    MoneyBack {
        amount: Money,
    },
    /// It came back, and nobody knows for which purchase.
    MoneyAside {
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

/// What else is known when a message about a purchase is booked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoticeContext<'a> {
    /// What of it the issuer refused by itself, as far as nobody was told yet.
    pub refused: &'a [IssuerDecline],
    /// Whether its card is frozen, lost or ended now.
    pub is_card_stopped: bool,
}

/// What the person hears of what happened to a purchase.
pub fn notices(
    before: &Purchase,
    after: &Purchase,
    around: NoticeContext<'_>,
) -> Result<Vec<PurchaseNotice>, MoneyError> {
    // Several tries at one till are one matter.
    let refused = around.refused.last().copied().map(PurchaseNotice::RefusedByIssuer);
    let moved = [refused, moved(before, after, around)?, returned(before, after)?];
    let disputes = after.disputes.iter().filter_map(|dispute| disputed(before, dispute));
    Ok(moved.into_iter().flatten().chain(disputes).collect())
}

/// What the shop has taken, and may still take.
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
            PurchaseNotice::TookMore { took: after.captured, asked: was }
        } else if took_now.is_positive() {
            PurchaseNotice::PaidAfterAll { took: took_now }
        } else if approved_total.minor() < is.minor() {
            PurchaseNotice::KeptWithoutUs { amount: more }
        } else {
            PurchaseNotice::Kept { amount: after.requested_hold()? }
        }));
    }
    let standing = after.snapshot.as_ref().map(|word| word.standing);
    let is_refused = standing == Some(AuthorisationStatus::Declined) && !around.refused.is_empty();
    if !freed.is_positive() || is_refused {
        return Ok(None);
    }
    let keeps = after.requested_hold()?;
    Ok(Some(if keeps.is_positive() {
        PurchaseNotice::Lowered { keeps, freed }
    } else if after.captured.is_positive() {
        PurchaseNotice::TookLess { took: after.captured, freed }
    } else if standing == Some(AuthorisationStatus::Expired) {
        PurchaseNotice::RanOut { freed }
    } else {
        PurchaseNotice::GivenBack { freed }
    }))
}

/// Whether nothing but the exchange rate has changed: what was agreed to be kept for that covers it.
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
    // The claim of a purchase that is known may only be late; then it is told.
    let is_nobodys = !expected(after)?.is_positive();
    Ok((aside.is_positive() && is_nobodys).then_some(PurchaseNotice::MoneyAside { amount: aside }))
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
    /// Whether somebody on duty hears of it too.
    pub const fn is_for_duty(&self) -> bool {
        matches!(self, Self::StoppedCardPaid { .. })
    }

    /// What the issuer refused, if it is about that.
    pub const fn refused(&self) -> Option<IssuerDecline> {
        if let Self::RefusedByIssuer(refused) = self { Some(*refused) } else { None }
    }
}
