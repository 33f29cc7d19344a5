//! The facts that the words of a message were made from, as JSON: for other languages, and for
//! pages that show more than a text message may.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::money::Money;
use crate::domain::reason::DeclineReason;

/// Parameters of a message, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Particulars(Map<String, Value>);

impl Particulars {
    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.value(name, Value::String(text.into()))
    }

    /// Adds a text that may not be there.
    #[must_use]
    pub fn optional(self, name: &str, text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds an amount.
    #[must_use]
    pub fn money(self, name: &str, money: Money) -> Self {
        let currency = money.currency().code();
        self.value(name, json!({"minor": money.minor(), "currency": currency}))
    }

    /// Adds an instant.
    #[must_use]
    pub fn instant(self, name: &str, at: Timestamp) -> Self {
        self.text(name, at.to_string())
    }

    /// Adds what a reason carries, and its code as `reason`.
    #[must_use]
    pub fn reason(self, reason: &DeclineReason) -> Self {
        let named = self.text("reason", reason.code().as_str());
        match reason {
            DeclineReason::FunderRule { category }
            | DeclineReason::CategoryOff { category }
            | DeclineReason::CategoryAsk { category } => named.text("category", category.as_str()),
            DeclineReason::OutsideHours { hours } => {
                named.text("from", hours.from.to_string()).text("to", hours.to.to_string())
            }
            DeclineReason::OkOver { ended_at } => named.instant("ended_at", *ended_at),
            DeclineReason::OkSmall { cap } => named.money("cap", *cap),
            DeclineReason::OverPurchase { limit } => named.money("limit", *limit),
            DeclineReason::OverPeriod { period, limit, left, until } => named
                .text("period", period.word())
                .money("limit", *limit)
                .money("left", *left)
                .optional("until", until.map(|date| date.to_string())),
            DeclineReason::TooMany { period, limit, until } => named
                .text("period", period.word())
                .value("limit", json!(limit))
                .optional("until", until.map(|date| date.to_string())),
            DeclineReason::NoMoney { left, gap } => named.money("left", *left).money("gap", *gap),
            DeclineReason::NotYet { left, comes, on } => {
                named.money("left", *left).money("comes", *comes).text("on", on.to_string())
            }
            DeclineReason::UnknownCard
            | DeclineReason::NotStarted
            | DeclineReason::FrozenSelf
            | DeclineReason::FrozenStaff
            | DeclineReason::CardLost
            | DeclineReason::OldCard
            | DeclineReason::Expired
            | DeclineReason::Ended
            | DeclineReason::Paused
            | DeclineReason::OtherCurrency
            | DeclineReason::PlaceOff
            | DeclineReason::Unsorted
            | DeclineReason::CashOff
            | DeclineReason::CashBackOff
            | DeclineReason::OnlineOff
            | DeclineReason::AbroadOff
            | DeclineReason::OkUsed
            | DeclineReason::Conflict
            | DeclineReason::OurFault => named,
        }
    }

    /// The parameters as one line of JSON.
    pub fn to_text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    fn value(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// One text among stored parameters.
pub fn text_of(facts: &str, name: &str) -> Option<String> {
    let facts: Map<String, Value> = serde_json::from_str(facts).ok()?;
    facts.get(name)?.as_str().map(str::to_owned)
}
