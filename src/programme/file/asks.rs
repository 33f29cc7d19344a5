//! Reads working hours, and the programme's rules for asks.

use jiff::civil::Weekday;

use crate::domain::ask::clock::ANSWER_HOURS_MAX;
use crate::domain::money::{Currency, Money};
use crate::domain::time::working_time::{WorkingHours, WorkingHoursError};

use super::reader::{FileEntry, NAME_CHARS_MAX, shortened};

/// The words of the weekdays, from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The programme's rules for asks: how soon each step answers, and what is allowed without an
/// answer. An amount that is `None` has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskRules {
    /// Within how many working hours each step answers: from 1 to [`ANSWER_HOURS_MAX`].
    pub answer_hours: u32,
    /// An ask up to this amount becomes a yes if nobody answers in time.
    pub silence_up_to: Option<Money>,
    /// An ask for food at a fuel station up to this amount is a yes at once.
    pub fuel_food_up_to: Option<Money>,
    /// The most that one permission allows while an appeal is open.
    pub interim_up_to: Option<Money>,
    /// The most that all such permissions of one person allow within seven days.
    pub interim_week_up_to: Option<Money>,
    /// The most that a worker, or a member on duty, may allow alone.
    pub worker_up_to: Option<Money>,
    pub duty_up_to: Option<Money>,
}

impl Default for AskRules {
    fn default() -> Self {
        Self {
            answer_hours: ANSWER_HOURS_MAX,
            silence_up_to: None,
            fuel_food_up_to: None,
            interim_up_to: None,
            interim_week_up_to: None,
            worker_up_to: None,
            duty_up_to: None,
        }
    }
}

impl AskRules {
    /// The amount up to which an ask becomes a yes without an answer. Default: zero.
    pub fn silence_up_to(&self, currency: Currency) -> Money {
        self.silence_up_to.unwrap_or(Money::zero(currency))
    }

    /// The amount up to which food at a fuel station is a yes at once. Default: zero.
    pub fn fuel_food_up_to(&self, currency: Currency) -> Money {
        self.fuel_food_up_to.unwrap_or(Money::zero(currency))
    }

    /// The most that one permission allows while an appeal is open. Default: 20 major units.
    pub fn interim_up_to(&self, currency: Currency) -> Money {
        self.interim_up_to.unwrap_or(of_major("20", currency))
    }

    /// The most that all such permissions of one person allow within seven days. Default: twice the
    /// amount of one.
    pub fn interim_week_up_to(&self, currency: Currency) -> Money {
        let one = self.interim_up_to(currency);
        self.interim_week_up_to.unwrap_or_else(|| one.checked_add(one).unwrap_or(one))
    }
}

fn of_major(text: &str, currency: Currency) -> Money {
    Money::parse(text, currency).unwrap_or(Money::zero(currency))
}

/// Reads `[hours]`.
pub(super) fn hours(root: &FileEntry<'_>) -> Option<WorkingHours> {
    if !root.has("hours") {
        return Some(WorkingHours::default());
    }
    let hours = root.table("hours", "hours", &["days", "from", "to"])?;
    let names = hours.texts("days", NAME_CHARS_MAX);
    let days: Vec<_> = names.iter().filter_map(|name| day(&hours, name)).collect();
    let (from, to) = (hours.time("from"), hours.time("to"));
    if days.len() < names.len() {
        return None;
    }
    let read = WorkingHours::new(&days, from?, to?);
    let problem = |error: &WorkingHoursError| match error {
        WorkingHoursError::NoDay => {
            hours.problem("days", "days is missing: write it like [\"mon\", \"tue\"]");
        }
        WorkingHoursError::EndsFirst => {
            hours.problem("to", "to is not after from: a working day ends on the day it begins");
        }
    };
    read.inspect_err(problem).ok()
}

fn day(hours: &FileEntry<'_>, name: &str) -> Option<Weekday> {
    let known = DAYS.iter().position(|day| *day == name);
    let offset = known.and_then(|place| i8::try_from(place).ok());
    if offset.is_none() {
        let (name, all) = (shortened(name), DAYS.join(", "));
        hours.problem("days", format!("there is no day {name:?}: use {all}"));
    }
    offset.and_then(|offset| Weekday::from_monday_zero_offset(offset).ok())
}

/// The word of a weekday.
pub(super) fn day_word(day: Weekday) -> &'static str {
    let place = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
    DAYS.get(place).copied().unwrap_or_default()
}

/// Reads `[asks]`.
pub(super) fn rules(root: &FileEntry<'_>, currency: Option<Currency>) -> Option<AskRules> {
    let usual = AskRules::default();
    if !root.has("asks") {
        return Some(usual);
    }
    let fields = [
        "answer_hours",
        "silence_up_to",
        "fuel_food_up_to",
        "interim_up_to",
        "interim_week_up_to",
        "worker_up_to",
        "duty_up_to",
    ];
    let asks = root.table("asks", "asks", &fields)?;
    let answer_hours = if asks.has("answer_hours") {
        let hours = asks.number("answer_hours", 1..=u32::MAX);
        if hours.is_some_and(|hours| hours > ANSWER_HOURS_MAX) {
            let text = format!(
                "answer_hours is more than {ANSWER_HOURS_MAX}: a programme may promise less time, \
                 never more"
            );
            asks.problem("answer_hours", text);
        }
        hours?
    } else {
        usual.answer_hours
    };
    let money = |key: &str| asks.has(key).then(|| asks.money(key, currency)).flatten();
    Some(AskRules {
        answer_hours,
        silence_up_to: money("silence_up_to"),
        fuel_food_up_to: money("fuel_food_up_to"),
        interim_up_to: money("interim_up_to"),
        interim_week_up_to: money("interim_week_up_to"),
        worker_up_to: money("worker_up_to"),
        duty_up_to: money("duty_up_to"),
    })
}
