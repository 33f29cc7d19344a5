//! The stored form of a person's own pot settings, as JSON.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::money::{Currency, Money};
use crate::domain::pot::personal::{HoldBack, PersonalPotSettings, SavingsGoal};

#[derive(Serialize, Deserialize)]
struct OwnPotRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_back: Option<HeldBackRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goal: Option<GoalRecord>,
}

#[derive(Serialize, Deserialize)]
struct HeldBackRecord {
    amount: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Date>,
    #[serde(default)]
    cooling_days: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct GoalRecord {
    of: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pays: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
}

/// The stored text; `None` for default settings.
pub fn own_pot_text(own: &PersonalPotSettings) -> Option<String> {
    if *own == PersonalPotSettings::default() {
        return None;
    }
    let record = OwnPotRecord {
        held_back: own.held_back.as_ref().map(|held| HeldBackRecord {
            amount: held.amount.minor(),
            until: held.until,
            cooling_days: held.cooling_days,
            asked_at: held.asked_at,
        }),
        goal: own.goal.as_ref().map(|goal| GoalRecord {
            of: goal.of.to_string(),
            name: goal.name.clone(),
            sum: goal.sum.map(Money::minor),
            pays: goal.pays,
            closed: goal.is_closed,
        }),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&record).ok()
}

/// Parses a stored text; `None` if it is invalid.
pub fn read_own_pot(text: &str, currency: Currency) -> Option<PersonalPotSettings> {
    let record: OwnPotRecord = serde_json::from_str(text).ok()?;
    let money = |minor| Money::from_minor(minor, currency);
    let goal = match record.goal {
        Some(goal) => Some(SavingsGoal {
            of: goal.of.parse().ok()?,
            name: goal.name,
            sum: goal.sum.map(money),
            pays: goal.pays,
            is_closed: goal.closed,
        }),
        None => None,
    };
    let held_back = record.held_back.map(|held| HoldBack {
        amount: money(held.amount),
        until: held.until,
        cooling_days: held.cooling_days,
        asked_at: held.asked_at,
    });
    Some(PersonalPotSettings { held_back, goal })
}
