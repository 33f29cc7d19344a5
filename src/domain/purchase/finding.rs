//! Exceptions of one purchase for finance to check, as a pure function of its state: so neither
//! order nor repetition of messages can hide or duplicate one.

use crate::domain::ask::permission::Permission;
use crate::domain::card::CardState;
use crate::domain::money::{Money, MoneyError};
use crate::domain::purchase::excess::usual_excess;
use crate::domain::purchase::presentment::AuthorisationStatus;
use crate::domain::purchase::{ApprovedIncrement, IncrementState, Purchase};
use crate::domain::shop::merchant::Mcc;

/// One exception. A purchase has at most one about its captures: the most specific one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A capture that names no authorisation.
    CaptureWithoutAuthorisation,
    /// Captured on a stopped card ([`CardState::is_stopped`]), and no approval of ours stands.
    CapturedOnStoppedCard(CardState),
    CapturedThoughDeclined,
    /// Captured before any message about the authorisation arrived.
    CaptureBeforeAuthorisation,
    /// Two captures of the whole amount each.
    CapturedTwice {
        authorised: Money,
    },
    CapturedBeyondPermission {
        ok: Money,
    },
    /// More than twice what we approved, and more than the usual excess of this kind of shop.
    CapturedFarAbove {
        authorised: Money,
    },
    /// More than the authorised amount plus the usual excess of this kind of shop.
    CapturedAboveHold {
        authorised: Money,
        excess: Money,
    },
    /// Captured under an MCC of another category than the authorisation's.
    CapturedAtOtherKind(Mcc),
    /// The issuer holds more than the pots could cover.
    HoldAboveMoney {
        missing: Money,
    },
    /// Reversed, and still captured in full.
    CapturedAfterReversal,
    /// More was refunded than captured.
    RefundWithoutPurchase,
    /// The issuer approved more than we did; for issuers that send changes instead of snapshots.
    RaisedWithoutUs {
        raised: Money,
        approved_total: Money,
    },
}

impl Finding {
    /// The stored cause.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CaptureWithoutAuthorisation => "capture_without_question",
            Self::CapturedOnStoppedCard(_) => "captured_on_stopped_card",
            Self::CapturedThoughDeclined => "captured_though_declined",
            Self::CaptureBeforeAuthorisation => "capture_before_authorisation",
            Self::CapturedTwice { .. } => "captured_twice",
            Self::CapturedBeyondPermission { .. } => "captured_beyond_ok",
            Self::CapturedFarAbove { .. } => "captured_far_above",
            Self::CapturedAboveHold { .. } => "captured_above_hold",
            Self::CapturedAtOtherKind(_) => "captured_at_other_kind",
            Self::HoldAboveMoney { .. } => "hold_above_money",
            Self::CapturedAfterReversal => "reversed_and_claimed",
            Self::RefundWithoutPurchase => "refund_without_purchase",
            Self::RaisedWithoutUs { .. } => "decided_without_us",
        }
    }

    /// Details for finance beyond the cause.
    pub fn detail(self, purchase: &Purchase) -> String {
        let captured = purchase.captured;
        match self {
            Self::CaptureWithoutAuthorisation => {
                format!("{captured} captured, and nobody asked us")
            }
            Self::CapturedOnStoppedCard(state) => {
                format!("{captured} captured, and the card is {}", state.word())
            }
            Self::CapturedThoughDeclined => format!("{captured} captured, and it was declined"),
            Self::CaptureBeforeAuthorisation => {
                format!("{captured} captured, and the authorisation has not been heard of")
            }
            Self::CapturedTwice { authorised } => {
                format!("{captured} captured, each time all of {authorised}")
            }
            Self::CapturedBeyondPermission { ok } => {
                format!("{captured} captured, and the one-time OK was for {ok}")
            }
            Self::CapturedFarAbove { authorised } => {
                format!("{captured} captured, more than twice the {authorised} approved")
            }
            Self::CapturedAboveHold { authorised, excess } => {
                format!("{captured} captured of {authorised}; {excess} more would be usual there")
            }
            Self::CapturedAtOtherKind(mcc) => match purchase.counted.mcc {
                Some(asked) => format!("captured as {mcc}, authorised as {asked}"),
                None => format!("captured as {mcc}, authorised without a code"),
            },
            Self::HoldAboveMoney { missing } => format!("the pots lack {missing}"),
            Self::CapturedAfterReversal => format!("{captured} captured, and it was reversed"),
            Self::RefundWithoutPurchase => {
                format!("{} came back beyond what was captured", purchase.suspense)
            }
            Self::RaisedWithoutUs { raised, approved_total } => {
                format!("{raised} raised by the issuer, {approved_total} approved by us")
            }
        }
    }
}

/// The subject of an exception about a whole purchase: `connection/reference`.
pub fn about(purchase: &Purchase) -> String {
    format!("{}/{}", purchase.connection, purchase.reference)
}

/// Cause and subject of the exception for an authorisation request that the issuer answered itself.
pub fn decided_without_us(purchase: &Purchase, sequence: u32) -> (&'static str, String) {
    ("decided_without_us", format!("{}#{sequence}", about(purchase)))
}

/// All exceptions of `purchase`; `permissions` are those of its budget.
pub fn findings(
    purchase: &Purchase,
    permissions: &[Permission],
) -> Result<Vec<Finding>, MoneyError> {
    let capture =
        if purchase.captured.is_positive() { of_captures(purchase, permissions)? } else { None };
    let missing = purchase.requested_hold()?.saturating_sub(purchase.held()?)?;
    let uncovered = missing.is_positive().then_some(Finding::HoldAboveMoney { missing });
    let status = purchase.snapshot.as_ref().map(|snapshot| snapshot.status);
    // A partial capture followed by a reversal of the rest is normal.
    let is_all_captured = purchase.captured.is_positive()
        && purchase.captured.minor() >= purchase.approved_total()?.minor();
    let is_reversed = status == Some(AuthorisationStatus::Reversed) && is_all_captured;
    let reversed = is_reversed.then_some(Finding::CapturedAfterReversal);
    let is_unexplained = purchase.suspense.is_positive() && !purchase.anomalies.is_moved;
    let unexplained = is_unexplained.then_some(Finding::RefundWithoutPurchase);
    let all = [capture, uncovered, reversed, unexplained, raised_without_us(purchase)?];
    Ok(all.into_iter().flatten().collect())
}

fn of_captures(
    purchase: &Purchase,
    permissions: &[Permission],
) -> Result<Option<Finding>, MoneyError> {
    let anomalies = &purchase.anomalies;
    if anomalies.is_unlinked {
        return Ok(Some(Finding::CaptureWithoutAuthorisation));
    }
    // The mismatch with the named purchase is recorded as an exception of the capture itself.
    if anomalies.is_moved {
        return Ok(None);
    }
    let is_promised = purchase.increments.iter().any(|p| p.state == IncrementState::Kept);
    if !is_promised {
        if let Some(state) = anomalies.stopped_card {
            return Ok(Some(Finding::CapturedOnStoppedCard(state)));
        }
        let is_approved = purchase.most_held.is_positive() || purchase.raised.is_positive();
        if anomalies.is_declined && !is_approved {
            return Ok(Some(Finding::CapturedThoughDeclined));
        }
        let is_heard_of = purchase.snapshot.is_some() || purchase.raised.is_positive();
        if !is_heard_of {
            return Ok(Some(Finding::CaptureBeforeAuthorisation));
        }
    }
    let other_kind = anomalies.other_kind.map(Finding::CapturedAtOtherKind);
    Ok(too_much(purchase, permissions)?.or(other_kind))
}

/// The exception for a captured amount above the authorised one, if there is one.
fn too_much(
    purchase: &Purchase,
    permissions: &[Permission],
) -> Result<Option<Finding>, MoneyError> {
    let captured = purchase.captured.minor();
    let approved_total = purchase.approved_total()?;
    let authorised = larger(larger(approved_total, purchase.most_held), purchase.raised);
    if !authorised.is_positive() {
        return Ok(None);
    }
    if is_captured_twice(purchase, authorised)? {
        return Ok(Some(Finding::CapturedTwice { authorised }));
    }
    let with_margin = |sum: Money| sum.checked_add(purchase.margin.on(sum)?);
    if let Some(ok) = ok_of(purchase, permissions)?
        && captured > with_margin(larger(ok, approved_total))?.minor()
    {
        return Ok(Some(Finding::CapturedBeyondPermission { ok }));
    }
    let usual = |sum: Money| usual_excess(purchase.counted.mcc, purchase.counted.presence, sum);
    let asked = if approved_total.is_positive() { approved_total } else { authorised };
    let twice = asked.checked_add(asked)?;
    let most = larger(twice, asked.checked_add(usual(asked)?)?);
    if captured > with_margin(most)?.minor() {
        return Ok(Some(Finding::CapturedFarAbove { authorised: asked }));
    }
    let excess = usual(authorised)?.checked_add(purchase.margin.on(authorised)?)?;
    let is_above = captured > authorised.checked_add(excess)?.minor();
    Ok(is_above.then_some(Finding::CapturedAboveHold { authorised, excess }))
}

/// Whether two captures are equal and each covers the whole authorised amount, within the exchange
/// rate margin.
fn is_captured_twice(purchase: &Purchase, authorised: Money) -> Result<bool, MoneyError> {
    let [largest, second] = purchase.anomalies.largest_captures.as_slice() else {
        return Ok(false);
    };
    let rate = purchase.margin.on(authorised)?;
    let is_equal = largest.saturating_sub(*second)?.minor() <= rate.minor();
    Ok(is_equal && second.checked_add(rate)?.minor() >= authorised.minor())
}

/// The largest cap of the permissions used, or the approved total if higher; `None` if no
/// permission was used.
fn ok_of(purchase: &Purchase, permissions: &[Permission]) -> Result<Option<Money>, MoneyError> {
    let kept =
        purchase.increments.iter().filter(|increment| increment.state == IncrementState::Kept);
    if !kept.clone().any(|increment| increment.permission.is_some()) {
        return Ok(None);
    }
    let cap = |increment: &ApprovedIncrement| {
        let id = increment.permission?;
        permissions.iter().find(|permission| permission.id == id).map(|known| known.cap)
    };
    // One permission covers all requests of its purchase; increments without one were approved in
    // addition.
    let caps = kept.filter_map(cap).fold(Money::zero(purchase.currency), larger);
    Ok(Some(larger(caps, purchase.approved_total()?)))
}

fn raised_without_us(purchase: &Purchase) -> Result<Option<Finding>, MoneyError> {
    let (raised, approved_total) = (purchase.raised, purchase.approved_total()?);
    let usual = usual_excess(purchase.counted.mcc, purchase.counted.presence, approved_total)?;
    // A pump first authorises a nominal unit and raises it later, which the usual excess covers.
    let most = if approved_total.is_positive() {
        approved_total.checked_add(usual)?
    } else {
        approved_total
    };
    let is_above = raised.minor() > most.minor();
    Ok(is_above.then_some(Finding::RaisedWithoutUs { raised, approved_total }))
}

fn larger(one: Money, other: Money) -> Money {
    Money::from_minor(one.minor().max(other.minor()), one.currency())
}
