//! How a purchase stands, for lists: a pure function of what we decided and of the purchase.

use crate::domain::money::{Money, MoneyError};
use crate::domain::people::role::stored_enum;
use crate::domain::purchase::Purchase;
use crate::domain::purchase::dispute::DisputeOutcome;
use crate::domain::purchase::presentment::AuthorisationStatus;

stored_enum!(
    /// How a purchase stands.
    PurchaseState {
        /// We refused it, or the card company did.
        NotPaid => "not_paid",
        /// Our approval came too late and was taken back.
        TakenBack => "taken_back",
        /// The shop only checked the card.
        Checked => "checked",
        /// Money is kept aside for it, and the shop has taken none yet.
        Held => "held",
        /// Less is kept aside than was approved, and the shop has taken none yet.
        Lowered => "lowered",
        /// The shop has taken its money.
        Paid => "paid",
        /// Money is kept aside or was taken, though we approved none of it.
        ApprovedWithoutUs => "approved_without_us",
        /// A part of what was taken came back.
        PartlyGivenBack => "partly_given_back",
        /// The shop gave it up, or all of what was taken came back.
        GivenBack => "given_back",
        /// Its time ran out, and nothing was taken.
        Expired => "expired",
        /// The person says that it is wrong; nothing has been found out yet.
        Disputed => "disputed",
        /// The card company found that the person was right.
        Won => "won",
        /// The card company found that the shop was right.
        Lost => "lost",
        /// Money came back that belongs to no known purchase.
        RefundWithoutPurchase => "refund_without_purchase",
    }
);

stored_enum!(
    /// A state in one of few words.
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
    /// The state in one of few words.
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

/// What we answered to one question, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedAnswer {
    /// A check of the card without an amount, which a purchase keeps nothing of.
    Checked,
    Approved,
    /// Approved, and taken back because the answer came too late.
    Withdrawn,
    Declined,
}

/// How the purchase stands of which these are our answers, in any order; the purchase is there once
/// something was held for it, or the issuer has told of it.
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

/// What came back of a purchase, as far as it is known to belong to it.
pub fn attributed_refunds(purchase: &Purchase) -> Result<Money, MoneyError> {
    purchase.refunded.saturating_sub(purchase.suspense)
}

/// What a purchase has cost so far: held or taken, less what came back of it. Below nothing only if
/// more came back than was taken.
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
    Ok(match purchase.snapshot.as_ref().map(|word| word.standing) {
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
                // An authorisation that was never about money.
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

/// How it stands by our answers alone; none without any.
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
