//! The chart of accounts.

use std::fmt;
use std::str::FromStr;

use crate::domain::id::{ConnectionId, PotId, StreamId};
use crate::ledger::record::column::text_columns;

text_columns!(Account);

/// One account of the chart of accounts. Pot accounts belong to the posting's budget, all others to
/// its programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Funds provided by a funding stream. Credit-normal.
    StreamFunds(StreamId),
    /// Money in a pot that is not held or spent. Never negative.
    PotLeft(PotId),
    /// Money in a pot held for purchases that are not captured yet. Never negative.
    PotHeld(PotId),
    /// Captures owed to an issuer.
    Clearing(ConnectionId),
    /// Owed by the programme because an issuer captured more than the pots had. Never hidden.
    Exposure,
    /// Refunds that match no captured purchase, until finance has checked them.
    Suspense,
    /// Credited for disputes that have not ended yet.
    Disputed,
    /// Exchange rate gains in transit from the suspense account to the pot that paid. The pot
    /// counts them as loaded, because they were never spent. The balance is always zero.
    Exchange,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StreamFunds(stream) => write!(f, "stream:{stream}"),
            Self::PotLeft(pot) => write!(f, "pot:{pot}:left"),
            Self::PotHeld(pot) => write!(f, "pot:{pot}:held"),
            Self::Clearing(connection) => write!(f, "clearing:{connection}"),
            Self::Exposure => f.write_str("exposure"),
            Self::Suspense => f.write_str("suspense"),
            Self::Disputed => f.write_str("disputed"),
            Self::Exchange => f.write_str("exchange"),
        }
    }
}

/// Text that names no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an account such as \"pot:week:left\"")]
pub struct ParseAccountError;

impl FromStr for Account {
    type Err = ParseAccountError;

    fn from_str(text: &str) -> Result<Self, ParseAccountError> {
        let parts: Vec<_> = text.split(':').collect();
        let account = match parts.as_slice() {
            ["exposure"] => Some(Self::Exposure),
            ["suspense"] => Some(Self::Suspense),
            ["disputed"] => Some(Self::Disputed),
            ["exchange"] => Some(Self::Exchange),
            ["stream", stream] => stream.parse().ok().map(Self::StreamFunds),
            ["clearing", connection] => connection.parse().ok().map(Self::Clearing),
            ["pot", pot, "left"] => pot.parse().ok().map(Self::PotLeft),
            ["pot", pot, "held"] => pot.parse().ok().map(Self::PotHeld),
            _ => None,
        };
        account.ok_or(ParseAccountError)
    }
}
