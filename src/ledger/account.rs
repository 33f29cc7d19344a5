//! The chart of accounts.

use std::fmt;
use std::str::FromStr;

use crate::domain::id::{ConnectionId, PotId, StreamId};

/// One line of the chart of accounts. Accounts of pots belong to the posting's budget, all others
/// to its programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What a funding stream has given. Credit-normal.
    StreamFunds(StreamId),
    /// What a person can spend now. Never negative.
    PotLeft(PotId),
    /// What is kept aside for purchases that are not captured yet. Never negative.
    PotHeld(PotId),
    /// What is owed to an issuer for captures.
    Clearing(ConnectionId),
    /// What the programme owes because an issuer posted more than the pots held. Never hidden.
    Exposure,
    /// Refunds that belong to no known purchase, until somebody has looked.
    Suspense,
    /// Credited for disputes that have not ended yet.
    Disputed,
    /// Gains by another exchange rate, on their way from an issuer into the pot that paid: what goes
    /// there is loaded, because it was never spent. Nothing stays here.
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
