//! Disputes of captures, and where the disputed money is until the outcome is known.

use crate::domain::id::IssuerReference;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::purchase::position::{MessagePosition, MessageRank};
use crate::domain::stored_enum::stored_enum;

/// The content of one issuer message about a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// The issuer's identifier of the dispute.
    pub reference: IssuerReference,
    /// The disputed capture.
    pub presentment: IssuerReference,
    /// Above zero, in the card's currency.
    pub amount: Money,
    pub outcome: DisputeOutcome,
    /// Where the money is; `None` for a message without a movement of funds.
    pub funds: Option<DisputeFunds>,
    pub position: MessagePosition,
}

stored_enum!(
    /// The outcome of a dispute.
    DisputeOutcome {
        /// Not decided yet.
        Open => "open",
        /// Decided for the person, who keeps the credit.
        Won => "won",
        /// Decided for the merchant, or no longer pursued.
        Lost => "lost",
    }
);

impl DisputeOutcome {
    /// The rank of a message with this outcome, about `amount`, at `position`.
    fn rank(self, position: &MessagePosition, amount: Money) -> MessageRank {
        let outcome = match self {
            Self::Open => 0,
            Self::Won => 1,
            Self::Lost => 2,
        };
        position.rank(amount.minor(), outcome)
    }
}

stored_enum!(
    /// Where the disputed money is.
    DisputeFunds {
        /// The issuer credited it, provisionally or for good.
        Credited => "credited",
        /// The issuer reversed its credit.
        TakenAgain => "taken_again",
    }
);

impl DisputeFunds {
    /// The rank of a message about these funds at `position`.
    fn rank(self, position: &MessagePosition) -> MessageRank {
        let outcome = match self {
            Self::Credited => 0,
            Self::TakenAgain => 1,
        };
        position.rank(0, outcome)
    }
}

/// One dispute: its latest known outcome and its latest known funds movement.
///
/// Each keeps its own position in the issuer's order, so that messages may arrive in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub reference: IssuerReference,
    pub amount: Money,
    pub outcome: (DisputeOutcome, MessagePosition),
    pub funds: Option<(DisputeFunds, MessagePosition)>,
}

impl Dispute {
    /// The dispute after its first message.
    pub fn begin(report: &DisputeReport) -> Self {
        Self {
            reference: report.reference.clone(),
            amount: report.amount,
            outcome: (report.outcome, report.position.clone()),
            funds: report.funds.map(|funds| (funds, report.position.clone())),
        }
    }

    /// Applies each part of `report`, outcome and funds, that ranks after the known one.
    pub fn apply_report(&mut self, report: &DisputeReport) {
        let told = report.outcome.rank(&report.position, report.amount);
        if self.outcome.0.rank(&self.outcome.1, self.amount) < told {
            self.outcome = (report.outcome, report.position.clone());
            self.amount = report.amount;
        }
        let Some(funds) = report.funds else { return };
        let told = funds.rank(&report.position);
        if self.funds.as_ref().is_none_or(|(known, at)| known.rank(at) < told) {
            self.funds = Some((funds, report.position.clone()));
        }
    }

    fn is_credited(&self) -> bool {
        matches!(self.funds, Some((DisputeFunds::Credited, _)))
    }
}

/// The amount of `disputes` to hold in the disputed account: credited but not won.
pub fn provisional(disputes: &[Dispute], currency: Currency) -> Result<Money, MoneyError> {
    let open = disputes.iter().filter(|d| d.is_credited() && d.outcome.0 != DisputeOutcome::Won);
    Money::sum(currency, open.map(|dispute| dispute.amount))
}

/// The amount of `disputes` that the person has for good: credited and won.
pub fn recovered(disputes: &[Dispute], currency: Currency) -> Result<Money, MoneyError> {
    let won = disputes.iter().filter(|d| d.is_credited() && d.outcome.0 == DisputeOutcome::Won);
    Money::sum(currency, won.map(|dispute| dispute.amount))
}
