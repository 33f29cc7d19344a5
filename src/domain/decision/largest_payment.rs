//! The largest amount that a shop would be paid.

use super::authorisation::{AuthorisationRequest, Decision, DeclineReasons, Facts};
use super::decide::decide;
use super::reason::DeclineReason;
use crate::domain::money::{Money, MoneyError};

/// The largest amount that [`decide`] approves in full for `request`, whatever amount it has; zero
/// if it approves none.
///
/// `facts` must be of a purchase in the programme's currency that begins with `request`, because
/// the margin for exchange rates is a fact, and follows from the amount.
///
/// # Errors
///
/// [`MoneyError`] if the funds exceed 64 bits or are not in the currency of the request.
pub fn largest_payment(request: &AuthorisationRequest, facts: &Facts) -> Result<Money, MoneyError> {
    let currency = request.amount.currency();
    let funds = Money::sum(currency, facts.pots.values().map(|pot| pot.left))?;
    // Every amount up to `paid` is approved, and none from `declined` on.
    let (mut paid, mut declined) = (0_i64, funds.minor().saturating_add(1));
    for _ in 0..i64::BITS {
        let amount = paid.midpoint(declined);
        if amount == paid {
            break;
        }
        if is_paid(request, facts, Money::from_minor(amount, currency)) {
            paid = amount;
        } else {
            declined = amount;
        }
    }
    Ok(Money::from_minor(paid, currency))
}

/// How much more of an open purchase would be approved, if the declined increment exceeds a limit
/// or a permission for the purchase as a whole; `None` if nothing more would be.
///
/// [`DeclineReasons::payable`] does not subtract what the purchase has used, so it is mostly `None`
/// for an increment.
pub fn payable_rest(
    request: &AuthorisationRequest,
    facts: &Facts,
    reasons: &DeclineReasons,
) -> Option<Money> {
    let so_far = facts.continues.so_far()?;
    let (DeclineReason::OverPurchase { limit: most } | DeclineReason::OkSmall { cap: most }) =
        reasons.first
    else {
        return None;
    };
    let rest = || most.saturating_sub(so_far).ok().filter(|rest| rest.is_positive());
    reasons.payable.or_else(|| rest().filter(|rest| is_paid(request, facts, *rest)))
}

/// Whether all of `amount` would be approved.
pub fn is_paid(request: &AuthorisationRequest, facts: &Facts, amount: Money) -> bool {
    matches!(decide(&with_amount(request, amount), facts), Decision::Approve(approval)
        if approval.amount == amount)
}

/// The request for another amount, all of it for goods.
pub fn with_amount(request: &AuthorisationRequest, amount: Money) -> AuthorisationRequest {
    let cash_back = Money::zero(amount.currency());
    AuthorisationRequest { amount, cash_back, ..request.clone() }
}
