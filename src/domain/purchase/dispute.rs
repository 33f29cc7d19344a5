//! Disputes: a person says that a claim was wrong, and money moves while that is found out.

use crate::domain::id::IssuerReference;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::purchase::position::{MessagePosition, MessageRank};

/// What one message says about a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// The issuer's identifier of the dispute.
    pub reference: IssuerReference,
    /// The claim that is disputed.
    pub presentment: IssuerReference,
    /// Above zero, in the card's currency.
    pub amount: Money,
    pub outcome: DisputeOutcome,
    /// Which way money moved, if the message is about money.
    pub funds: Option<DisputeFunds>,
    pub position: MessagePosition,
}

/// What has been found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeOutcome {
    /// Nothing yet.
    Open,
    /// The person was right: what was given back stays.
    Won,
    /// The shop was right, or nobody went on with it.
    Lost,
}

impl DisputeOutcome {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// Where a message that says this, about `amount`, stands among others at `position`.
    fn rank(self, position: &MessagePosition, amount: Money) -> MessageRank {
        let outcome = match self {
            Self::Open => 0,
            Self::Won => 1,
            Self::Lost => 2,
        };
        position.rank(amount.minor(), outcome)
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Won, Self::Lost].into_iter().find(|outcome| outcome.word() == word)
    }
}

/// Where the disputed money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeFunds {
    /// The issuer gave it back, for the time being or for good.
    Credited,
    /// The issuer took it again.
    TakenAgain,
}

impl DisputeFunds {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::TakenAgain => "taken_again",
        }
    }

    /// Where a message that says this stands among others at `position`.
    fn rank(self, position: &MessagePosition) -> MessageRank {
        let outcome = match self {
            Self::Credited => 0,
            Self::TakenAgain => 1,
        };
        position.rank(0, outcome)
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Credited, Self::TakenAgain].into_iter().find(|funds| funds.word() == word)
    }
}

/// One dispute: the latest of what was said about its outcome, and about its money.
///
/// Both are kept apart, each with its place in the issuer's own order, so that messages may come
/// in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub reference: IssuerReference,
    pub amount: Money,
    pub outcome: (DisputeOutcome, MessagePosition),
    pub funds: Option<(DisputeFunds, MessagePosition)>,
}

impl Dispute {
    /// A dispute that is first heard of.
    pub fn begin(report: &DisputeReport) -> Self {
        Self {
            reference: report.reference.clone(),
            amount: report.amount,
            outcome: (report.outcome, report.position.clone()),
            funds: report.funds.map(|funds| (funds, report.position.clone())),
        }
    }

    /// Takes over what is newer than what is known.
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

/// What must be kept aside of `disputes`, because it is not known yet whose it is: credited, and
/// not won.
pub fn provisional(disputes: &[Dispute], currency: Currency) -> Result<Money, MoneyError> {
    let open = disputes.iter().filter(|d| d.is_credited() && d.outcome.0 != DisputeOutcome::Won);
    Money::sum(currency, open.map(|dispute| dispute.amount))
}

/// What the person has back for good of `disputes`: credited, and won.
pub fn recovered(disputes: &[Dispute], currency: Currency) -> Result<Money, MoneyError> {
    let won = disputes.iter().filter(|d| d.is_credited() && d.outcome.0 == DisputeOutcome::Won);
    Money::sum(currency, won.map(|dispute| dispute.amount))
}
