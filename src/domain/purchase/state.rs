//! The display state of a purchase, as a pure function of our responses and the purchase.

use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::DisputeOutcome;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// The state of a purchase in lists.
    PurchaseState {
        /// Declined by us or by the issuer.
        NotPaid => "not_paid",
        /// Our approval was withdrawn because the issuer did not receive it in time.
        TakenBack => "taken_back",
        /// The merchant only verified the card.
        Checked => "checked",
        /// Held, and nothing is captured yet.
        Held => "held",
        /// Less is held than was approved, and nothing is captured yet.
        Lowered => "lowered",
        /// Captured.
        Paid => "paid",
        /// Held or captured, although we approved none of it.
        ApprovedWithoutUs => "approved_without_us",
        /// A part of the captured amount was refunded.
        PartlyGivenBack => "partly_given_back",
        /// Reversed before capture, or refunded in full.
        GivenBack => "given_back",
        /// The hold expired without a capture.
        Expired => "expired",
        /// Disputed by the person; not decided yet.
        Disputed => "disputed",
        /// The dispute was decided for the person.
        Won => "won",
        /// The dispute was decided for the merchant.
        Lost => "lost",
        /// A refund that matches no known purchase.
        RefundWithoutPurchase => "refund_without_purchase",
    }
);

stored_enum!(
    /// A [`PurchaseState`] reduced to a few values.
    PurchaseOutcome {
        Paid => "paid",
        NotPaid => "not_paid",
        TakenBack => "taken_back",
        GivenBack => "given_back",
        Expired => "expired",
        Checked => "checked",
    }
);

impl PurchaseState {
    /// Reduces the state to a few values.
    pub const fn outcome(self) -> PurchaseOutcome {
        match self {
            Self::NotPaid => PurchaseOutcome::NotPaid,
            Self::TakenBack => PurchaseOutcome::TakenBack,
            Self::Checked => PurchaseOutcome::Checked,
            Self::Held
            | Self::Lowered
            | Self::Paid
            | Self::ApprovedWithoutUs
            | Self::PartlyGivenBack
            | Self::Disputed
            | Self::Lost => PurchaseOutcome::Paid,
            Self::GivenBack | Self::Won | Self::RefundWithoutPurchase => PurchaseOutcome::GivenBack,
            Self::Expired => PurchaseOutcome::Expired,
        }
    }
}

/// Our recorded response to one authorisation request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedAnswer {
    /// An approved verification without an amount; a purchase keeps no increment for it.
    Checked,
    Approved,
    /// Approved, then withdrawn because the issuer did not receive it in time.
    Withdrawn,
    Declined,
}

/// The state that follows from our responses, in any order, and the `purchase`. The purchase exists
/// once something was held for it, or the issuer has sent an event about it.
pub fn state_of(
    answers: &[RecordedAnswer],
    purchase: Option<&Purchase>,
) -> Result<PurchaseState, MoneyError> {
    match purchase {
        Some(purchase) if purchase.captured.is_positive() => taken(purchase),
        Some(purchase) => not_taken(answers, purchase),
        None => Ok(only_answered(answers).unwrap_or(PurchaseState::NotPaid)),
    }
}

/// The refunded amount that is attributed to this purchase and not in suspense.
pub fn attributed_refunds(purchase: &Purchase) -> Result<Money, MoneyError> {
    purchase.refunded.saturating_sub(purchase.suspense)
}

/// The cost so far: held or captured, less attributed refunds and won disputes. Negative only if
/// more was refunded than captured.
pub fn cost(purchase: &Purchase) -> Result<Money, MoneyError> {
    let cost = purchase.held()?.checked_add(purchase.captured)?;
    cost.checked_sub(attributed_refunds(purchase)?)?.checked_sub(purchase.recovered)
}

fn taken(purchase: &Purchase) -> Result<PurchaseState, MoneyError> {
    let is = |outcome| purchase.disputes.iter().any(|dispute| dispute.outcome.0 == outcome);
    let back = attributed_refunds(purchase)?;
    Ok(if is(DisputeOutcome::Open) {
        PurchaseState::Disputed
    } else if back.minor() >= purchase.captured.minor() {
        PurchaseState::GivenBack
    } else if is(DisputeOutcome::Won) {
        PurchaseState::Won
    } else if is(DisputeOutcome::Lost) {
        PurchaseState::Lost
    } else if back.is_positive() {
        PurchaseState::PartlyGivenBack
    } else if purchase.approved_total()?.is_positive() {
        PurchaseState::Paid
    } else {
        PurchaseState::ApprovedWithoutUs
    })
}

fn not_taken(answers: &[RecordedAnswer], purchase: &Purchase) -> Result<PurchaseState, MoneyError> {
    let (asked, approved_total) = (purchase.requested_hold()?, purchase.approved_total()?);
    if asked.is_positive() {
        return Ok(if !approved_total.is_positive() {
            PurchaseState::ApprovedWithoutUs
        } else if asked.minor() < approved_total.minor() {
            PurchaseState::Lowered
        } else {
            PurchaseState::Held
        });
    }
    if purchase.refunded.is_positive() {
        return Ok(PurchaseState::RefundWithoutPurchase);
    }
    let is_withdrawn = !purchase.increments.is_empty() && !approved_total.is_positive();
    Ok(match purchase.snapshot.as_ref().map(|snapshot| snapshot.status) {
        Some(AuthorisationStatus::Declined) if is_withdrawn => PurchaseState::TakenBack,
        Some(AuthorisationStatus::Declined) => PurchaseState::NotPaid,
        _ if is_withdrawn => PurchaseState::TakenBack,
        Some(AuthorisationStatus::Expired) => PurchaseState::Expired,
        Some(
            AuthorisationStatus::Open { .. }
            | AuthorisationStatus::Closed { .. }
            | AuthorisationStatus::Reversed,
        )
        | None => {
            if is_nothing(purchase, answers) {
                // An authorisation without an amount.
                PurchaseState::Checked
            } else if is_ever_held(purchase, approved_total) {
                PurchaseState::GivenBack
            } else {
                only_answered(answers).unwrap_or(PurchaseState::GivenBack)
            }
        }
    })
}

/// Whether anything was ever to be held, by us or by the issuer.
const fn is_ever_held(purchase: &Purchase, approved_total: Money) -> bool {
    approved_total.is_positive() || purchase.raised.is_positive() || !purchase.holds.is_empty()
}

fn is_nothing(purchase: &Purchase, answers: &[RecordedAnswer]) -> bool {
    let is_check =
        purchase.counted.kind == crate::domain::decision::authorisation::PurchaseKind::Verification;
    is_check && purchase.holds.is_empty() && !answers.contains(&RecordedAnswer::Declined)
}

/// The state by our responses alone; `None` without any that is conclusive.
fn only_answered(answers: &[RecordedAnswer]) -> Option<PurchaseState> {
    let is = |wanted| answers.contains(&wanted);
    if is(RecordedAnswer::Checked) {
        Some(PurchaseState::Checked)
    } else if is(RecordedAnswer::Declined) {
        Some(PurchaseState::NotPaid)
    } else if is(RecordedAnswer::Withdrawn) {
        Some(PurchaseState::TakenBack)
    } else {
        None
    }
}
