//! Parses times as people and spreadsheets write them, and rejects every ambiguous one.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Whether the day or the month comes first in the dates of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateOrder {
    DayFirst,
    MonthFirst,
}

impl DateOrder {
    /// The order that at least one of `texts` shows; `None` when none does, or they contradict each
    /// other.
    pub(super) fn of_column(texts: impl Iterator<Item: AsRef<str>>) -> Option<Self> {
        let mut shown = None;
        for order in texts.filter_map(|text| Self::shown_by(text.as_ref())) {
            if shown.is_some_and(|shown| shown != order) {
                return None;
            }
            shown = Some(order);
        }
        shown
    }

    fn shown_by(text: &str) -> Option<Self> {
        let [one, other, _] = DateTimeParts::of(text).numbers()?;
        match (one > 12, other > 12) {
            (true, false) => Some(Self::DayFirst),
            (false, true) => Some(Self::MonthFirst),
            (true, true) | (false, false) => None,
        }
    }
}

/// A parsed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ParsedTime {
    pub(super) at: Timestamp,
    /// Whether the text has no time zone, so that the programme's zone was assumed.
    pub(super) is_local: bool,
}

/// Parses a time. A text without a time zone is in `zone`.
///
/// # Errors
/// A text for people when the time is not readable, or is ambiguous.
pub(super) fn read(
    text: &str,
    order: Option<DateOrder>,
    zone: &TimeZone,
) -> Result<ParsedTime, &'static str> {
    const TWICE: &str =
        "that hour is there twice or never where clocks change: write it with its zone";

    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(ParsedTime { at, is_local: false });
    }
    let day_number = text.split(['.', ',']).next().unwrap_or_default();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',');
    if is_number && (4..=5).contains(&day_number.len()) {
        return Err("this is a spreadsheet's number of a day: give its column a format of dates");
    }
    let parts = DateTimeParts::of(text);
    let date = parts.date(order)?;
    let time = parts.time()?;
    let is_utc = match parts.zone.as_deref() {
        None => false,
        Some("utc" | "gmt" | "z") => true,
        Some(_) => return Err("its zone has no such name: write it like 2026-11-23T08:30:00Z"),
    };
    let zone = if is_utc { &TimeZone::UTC } else { zone };
    let at = match time {
        // On a day without a midnight, because clocks change then, the day begins later.
        None => date.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp()),
        Some(time) => {
            let local = DateTime::from_parts(date, time);
            zone.to_ambiguous_timestamp(local).unambiguous().ok()
        }
    };
    at.map(|at| ParsedTime { at, is_local: !is_utc }).ok_or(TWICE)
}

/// A text in lower case, split into its parts.
struct DateTimeParts {
    /// Numbers and month names of the date, and the characters between them.
    date: Vec<String>,
    time: Option<String>,
    /// `am` or `pm`.
    half: Option<String>,
    zone: Option<String>,
}

impl DateTimeParts {
    fn of(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        // The separator of 2026-11-23t08:30: a letter between digits.
        let text = match text.split_once('t') {
            Some((date, time)) if ends_in_digit(date) && begins_with_digit(time) => {
                format!("{date} {time}")
            }
            _ => text,
        };
        let mut parts = Self { date: Vec::new(), time: None, half: None, zone: None };
        for word in text.split([' ', ',', '\u{a0}', '\u{202f}']).filter(|word| !word.is_empty()) {
            let bare = word.trim_end_matches('.');
            if word.contains(':') {
                let time = word.trim_end_matches(|c: char| c.is_alphabetic());
                parts.half =
                    word.get(time.len()..).filter(|half| !half.is_empty()).map(str::to_owned);
                parts.time = Some(time.to_owned());
            } else if ["am", "pm", "a.m", "p.m"].contains(&bare) {
                parts.half = Some(bare.replace('.', ""));
            } else if parts.time.is_some() && !begins_with_digit(word) {
                parts.zone = Some(word.to_owned());
            } else if !is_weekday(bare) {
                let pieces = word.split(['-', '/', '.']).filter(|piece| !piece.is_empty());
                parts.date.extend(pieces.map(str::to_owned));
            }
        }
        parts
    }

    /// Day, month and year as numbers, in the order of the text. The year must be the last.
    fn numbers(&self) -> Option<[i16; 3]> {
        let [one, other, year] = self.date.as_slice() else { return None };
        let is_plain = one.len() <= 2 && other.len() <= 2 && year.len() == 4;
        is_plain.then_some([one.parse().ok()?, other.parse().ok()?, year.parse().ok()?])
    }

    fn date(&self, order: Option<DateOrder>) -> Result<Date, &'static str> {
        const NONE: &str = "this is no time: write it like 2026-11-23T08:30:00Z";

        let date = |year: i16, month: i16, day: i16| {
            let (month, day) = (i8::try_from(month), i8::try_from(day));
            let (month, day) = (month.map_err(|_| NONE)?, day.map_err(|_| NONE)?);
            Date::new(year, month, day).map_err(|_| NONE)
        };
        if let Some([one, other, year]) = self.numbers() {
            return match order {
                _ if one > 12 || one == other => date(year, other, one),
                _ if other > 12 => date(year, one, other),
                Some(DateOrder::DayFirst) => date(year, other, one),
                Some(DateOrder::MonthFirst) => date(year, one, other),
                None => Err("day and month may be either way round: write the year first"),
            };
        }
        let number = |text: &String| text.parse::<i16>().map_err(|_| NONE);
        match self.date.as_slice() {
            [whole] if whole.len() == 8 => {
                let part = |range| whole.get(range).map(str::to_owned).ok_or(NONE);
                let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
                date(number(&year)?, number(&month)?, number(&day)?)
            }
            [year, one, other] if year.len() == 4 => {
                let month = month(one).map_or_else(|| number(one), Ok)?;
                date(number(year)?, month, number(other)?)
            }
            [one, other, year] if year.len() == 4 => {
                let day =
                    |text: &str| text.trim_end_matches(|c: char| c.is_alphabetic()).to_owned();
                match (month(one), month(other)) {
                    (None, Some(month)) => date(number(year)?, month, number(&day(one))?),
                    (Some(month), None) => date(number(year)?, month, number(&day(other))?),
                    (None, None) | (Some(_), Some(_)) => Err(NONE),
                }
            }
            [_, _, year] if year.len() == 2 => Err("its year has two digits: write all four"),
            _ => Err(NONE),
        }
    }

    fn time(&self) -> Result<Option<Time>, &'static str> {
        const NONE: &str = "this is no time of day: write it like 08:30:00";

        let Some(text) = &self.time else { return Ok(None) };
        let whole = text.split('.').next().unwrap_or(text);
        let pieces: Result<Vec<i8>, _> = whole.split(':').map(str::parse).collect();
        let (hour, minute, second) = match pieces.map_err(|_| NONE)?.as_slice() {
            [hour, minute] => (*hour, *minute, 0),
            [hour, minute, second] => (*hour, *minute, *second),
            _ => return Err(NONE),
        };
        let hour = match self.half.as_deref() {
            None => hour,
            Some("am") if (1..=12).contains(&hour) => hour % 12,
            Some("pm") if (1..=12).contains(&hour) => hour % 12 + 12,
            Some(_) => return Err(NONE),
        };
        Time::new(hour, minute, second, 0).map(Some).map_err(|_| NONE)
    }
}

fn ends_in_digit(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit())
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The number of a month by its English name or a prefix of at least three letters.
fn month(word: &str) -> Option<i16> {
    let word = if word == "sept" { "sep" } else { word };
    let place = MONTHS.iter().position(|month| word.len() >= 3 && month.starts_with(word))?;
    i16::try_from(place + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    word.len() >= 3 && WEEKDAYS.iter().any(|day| day.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").unwrap()
    }

    fn seen(text: &str, order: Option<DateOrder>) -> Option<String> {
        read(text, order, &london()).ok().map(|read| read.at.to_string())
    }

    #[test]
    fn a_time_that_can_be_read_in_one_way_is_read() {
        for (text, wanted) in [
            ("2026-06-23T08:30:00Z", "2026-06-23T08:30:00Z"),
            ("2026-06-23T08:30:00+02:00", "2026-06-23T06:30:00Z"),
            ("2026-06-23T08:30:00", "2026-06-23T07:30:00Z"),
            ("2026-06-23 08:30", "2026-06-23T07:30:00Z"),
            ("2026-06-23 08:30:15.250", "2026-06-23T07:30:15Z"),
            ("2026-06-23 08:30 UTC", "2026-06-23T08:30:00Z"),
            ("2026-06-23", "2026-06-22T23:00:00Z"),
            ("20261123", "2026-11-23T00:00:00Z"),
            ("2026/11/23", "2026-11-23T00:00:00Z"),
            ("23/11/2026 8:30", "2026-11-23T08:30:00Z"),
            ("11/23/2026 8:30 PM", "2026-11-23T20:30:00Z"),
            ("11/11/2026 12:00am", "2026-11-11T00:00:00Z"),
            ("23.11.2026 12:15 p.m.", "2026-11-23T12:15:00Z"),
            ("23 Nov 2026", "2026-11-23T00:00:00Z"),
            ("23-Sept-2026", "2026-09-22T23:00:00Z"),
            ("Monday, November 23rd, 2026 08:30", "2026-11-23T08:30:00Z"),
            ("2026-Nov-23", "2026-11-23T00:00:00Z"),
        ] {
            assert_eq!(seen(text, None).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn a_time_that_can_be_read_in_no_way_or_in_two_is_not() {
        for text in [
            "",
            "yesterday",
            "03/04/2026",
            "23/11/26",
            "2026-13-01",
            "46349",
            "46349.35",
            "31/02/2026",
            "2026-11-23 25:00",
            "2026-11-23 13:00 PM",
            "2026-06-23 08:30 BST",
            "08:30",
            "12.50",
            "2026-10-25 01:30",
            "2026-03-29 01:30",
            "11-2026",
        ] {
            assert_eq!(seen(text, None), None, "{text}");
        }
    }

    #[test]
    fn the_other_dates_of_a_column_tell_which_way_round_they_are() {
        let column = |texts: &[&str]| DateOrder::of_column(texts.iter().copied());
        let day = column(&["03/04/2026 09:00", "23/11/2026", "04/04/2026"]);
        assert_eq!(day, Some(DateOrder::DayFirst));
        assert_eq!(seen("03/04/2026", day).as_deref(), Some("2026-04-02T23:00:00Z"));
        let month = column(&["03/04/2026", "11/23/2026"]);
        assert_eq!(seen("03/04/2026", month).as_deref(), Some("2026-03-04T00:00:00Z"));
        assert_eq!(column(&["23/11/2026", "11/23/2026"]), None, "both, so neither");
        assert_eq!(column(&["03/04/2026", "2026-11-23"]), None);
    }
}
