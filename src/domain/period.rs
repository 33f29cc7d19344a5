//! Calendar periods in the programme's own time zone.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// The moment a message arrived, with the local date and time that were true there and then.
///
/// Resolved once, on arrival, with the time zone data bundled in the program; stored with the
/// decision, so that a replay needs no time zone data at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    pub date: Date,
    pub time: Time,
}

impl Moment {
    /// Resolves `at` in `zone`.
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let local = zone.to_datetime(at);
        Self { at, date: local.date(), time: local.time() }
    }
}

/// How long after a purchase its day still counts, however late it is told.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The local day on which a purchase counts that is first heard of at `heard`: the day on which it
/// was made by the issuer's clock, unless that is more than seven days ago, in the future, or not
/// told.
pub fn day_of_purchase(bought_at: Option<Timestamp>, heard: Moment, zone: &TimeZone) -> Date {
    let is_recent = |at: &Timestamp| *at <= heard.at && heard.at.duration_since(*at) <= TOLD_WITHIN;
    bought_at.filter(is_recent).map_or(heard.date, |at| zone.to_datetime(at).date())
}

/// A span of the calendar over which a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    Day,
    /// Monday to Sunday.
    Week,
    /// The first to the last day of a month.
    Month,
    /// As long as money has been counted for this person: the whole agreement.
    Agreement,
}

impl Period {
    /// Every period, for reading stored words.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Agreement];

    /// The word that is stored and written in programme files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Agreement => "agreement",
        }
    }

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == word)
    }

    /// The first day of the period that `date` is in. The agreement's begins with the calendar.
    pub fn first_day(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Week => {
                let since_monday = date.weekday().since(Weekday::Monday);
                date.checked_sub(i64::from(since_monday).days()).unwrap_or(Date::MIN)
            }
            Self::Month => date.first_of_month(),
            Self::Agreement => Date::MIN,
        }
    }

    /// The last day of the period that `date` is in; none for the whole agreement.
    pub fn last_day(self, date: Date) -> Option<Date> {
        match self {
            Self::Day => Some(date),
            Self::Week => self.first_day(date).checked_add(6.days()).ok(),
            Self::Month => Some(date.last_of_month()),
            Self::Agreement => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").unwrap()
    }

    fn moment(text: &str, zone: &TimeZone) -> Moment {
        Moment::new(text.parse().unwrap(), zone)
    }

    #[test]
    fn scenario_42_a_day_is_the_local_calendar_day_over_clock_changes() {
        // 2026-03-29 has 23 hours in London, 2026-10-25 has 25.
        for (instant, expected) in [
            ("2026-03-28T23:59:59Z", date(2026, 3, 28)),
            ("2026-03-29T00:00:00Z", date(2026, 3, 29)),
            ("2026-03-29T22:59:59Z", date(2026, 3, 29)),
            ("2026-03-29T23:00:00Z", date(2026, 3, 30)),
            ("2026-10-24T22:59:59Z", date(2026, 10, 24)),
            ("2026-10-24T23:00:00Z", date(2026, 10, 25)),
            ("2026-10-25T23:59:59Z", date(2026, 10, 25)),
            ("2026-10-26T00:00:00Z", date(2026, 10, 26)),
        ] {
            assert_eq!(moment(instant, &london()).date, expected, "{instant}");
        }
    }

    #[test]
    fn scenario_42_every_clock_change_of_ten_years_starts_a_new_day_once() {
        for name in ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
            let zone = TimeZone::get(name).unwrap();
            let mut at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let mut days = vec![Moment::new(at, &zone).date];
            for _ in 0..(10 * 366 * 24 * 2) {
                at = at.checked_add(30.minutes()).unwrap();
                let today = Moment::new(at, &zone).date;
                if days.last() != Some(&today) {
                    assert_eq!(days.last().unwrap().tomorrow().unwrap(), today, "{name}");
                    days.push(today);
                }
            }
        }
    }

    #[test]
    fn scenario_45_months_end_where_the_calendar_says() {
        for (day, first, last) in [
            (date(2028, 2, 29), date(2028, 2, 1), date(2028, 2, 29)),
            (date(2026, 2, 28), date(2026, 2, 1), date(2026, 2, 28)),
            (date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)),
            (date(2026, 1, 31), date(2026, 1, 1), date(2026, 1, 31)),
        ] {
            assert_eq!(Period::Month.first_day(day), first);
            assert_eq!(Period::Month.last_day(day), Some(last));
        }
    }

    #[test]
    fn a_purchase_counts_on_its_own_day_for_seven_days() {
        let heard = moment("2026-11-24T00:03:00Z", &london());
        for (bought_at, expected) in [
            (None, date(2026, 11, 24)),
            (Some("2026-11-23T23:58:00Z"), date(2026, 11, 23)),
            (Some("2026-11-24T00:03:00Z"), date(2026, 11, 24)),
            (Some("2026-11-24T00:03:01Z"), date(2026, 11, 24)),
            (Some("2026-11-25T00:00:00Z"), date(2026, 11, 24)),
            (Some("2026-11-17T00:03:00Z"), date(2026, 11, 17)),
            (Some("2026-11-17T00:02:59Z"), date(2026, 11, 24)),
        ] {
            let bought_at = bought_at.map(|text| text.parse().unwrap());
            assert_eq!(day_of_purchase(bought_at, heard, &london()), expected, "{bought_at:?}");
        }
    }

    #[test]
    fn weeks_run_from_monday_to_sunday() {
        for day in [23, 24, 29] {
            assert_eq!(Period::Week.first_day(date(2026, 11, day)), date(2026, 11, 23));
            assert_eq!(Period::Week.last_day(date(2026, 11, day)), Some(date(2026, 11, 29)));
        }
        assert_eq!(Period::Week.first_day(date(2026, 11, 30)), date(2026, 11, 30));
    }
}
