//! The parameters that a message's text was built from, as JSON: for rendering in other languages,
//! and for pages that show more than a text message may.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::reason::{money_value, reason_map};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::money::{Currency, Money};

/// Parameters of a message, in insertion order.
#[derive(Debug, Clone, Default)]
pub struct MessageParameters(Map<String, Value>);

impl MessageParameters {
    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.value(name, Value::String(text.into()))
    }

    /// Adds a text if there is one.
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
        self.value(name, money_value(money))
    }

    /// Adds an instant.
    #[must_use]
    pub fn instant(self, name: &str, at: Timestamp) -> Self {
        self.text(name, at.to_string())
    }

    /// Adds the parameters of a reason, and its code as `reason`.
    #[must_use]
    pub fn reason(mut self, reason: &DeclineReason) -> Self {
        self.0.extend(reason_map(reason));
        self
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

/// The text parameter `name` of stored parameters.
pub fn text_of(facts: &str, name: &str) -> Option<String> {
    let facts: Map<String, Value> = serde_json::from_str(facts).ok()?;
    facts.get(name)?.as_str().map(str::to_owned)
}

/// The amount parameter `name` of stored parameters, if it is in `currency`.
pub fn money_of(facts: &str, name: &str, currency: Currency) -> Option<Money> {
    let facts: Map<String, Value> = serde_json::from_str(facts).ok()?;
    let amount = facts.get(name)?;
    let is_same = amount.get("currency")?.as_str()? == currency.code();
    amount
        .get("minor")?
        .as_i64()
        .filter(|_| is_same)
        .map(|minor| Money::from_minor(minor, currency))
}
