//! Calendar periods in the programme's time zone.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::domain::stored_enum::stored_enum;

/// The longest time between an event and its arrival for which [`Moment::day_of`] uses the issuer's
/// time of the event.
const LATE_REPORT_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The time at which a message arrived, with the local date and time in the programme's time zone.
///
/// Resolved once, on arrival, with the time zone data bundled in the program, and stored with the
/// decision, so that a replay needs no time zone data.
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

    /// The local day on which an event counts. It arrives at this moment, and the issuer says that
    /// it happened at `happened_at`.
    ///
    /// Limits and totals use the day of the purchase: the day of `happened_at` if that lies within
    /// the last seven days, or the day of arrival if the issuer sends no time, an older one or a
    /// future one. All other rules (hours, the card's state, staged release of a pot) use the time
    /// of arrival.
    pub fn day_of(&self, happened_at: Option<Timestamp>, zone: &TimeZone) -> Date {
        let is_recent =
            |at: &Timestamp| *at <= self.at && self.at.duration_since(*at) <= LATE_REPORT_WINDOW;
        happened_at.filter(is_recent).map_or(self.date, |at| zone.to_datetime(at).date())
    }
}

/// The earliest local day on which an event that arrives on `today` may count: eight days back,
/// because seven times 24 hours reach into an eighth day when the clocks change.
pub fn earliest_day(today: Date) -> Date {
    today.checked_sub(8.days()).unwrap_or(Date::MIN)
}

stored_enum!(
    /// A calendar span over which a limit counts.
    #[derive(Hash)]
    Period {
        Day => "day",
        /// Monday to Sunday.
        Week => "week",
        /// The first to the last day of a month.
        Month => "month",
        /// The whole agreement: all time for which this person's money has been counted.
        Agreement => "agreement",
    }
);

impl Period {
    /// The first day of the period that contains `date`; [`Date::MIN`] for the whole agreement.
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

    /// The last day of the period that contains `date`; none for the whole agreement.
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
    fn what_happened_before_midnight_counts_on_that_day_for_a_week() {
        let arrival = moment("2026-11-24T00:00:30Z", &london());
        for (happened_at, day) in [
            (None, date(2026, 11, 24)),
            (Some("2026-11-24T00:00:30Z"), date(2026, 11, 24)),
            (Some("2026-11-23T23:58:00Z"), date(2026, 11, 23)),
            (Some("2026-11-17T00:00:30Z"), date(2026, 11, 17)),
            (Some("2026-11-17T00:00:29Z"), date(2026, 11, 24)),
            (Some("2026-11-24T00:00:31Z"), date(2026, 11, 24)),
        ] {
            let at = happened_at.map(|at| at.parse().unwrap());
            assert_eq!(arrival.day_of(at, &london()), day, "{happened_at:?}");
        }
        // The day is local to the programme: in Sydney, 12:50 UTC is 23:50, before the midnight
        // that precedes the arrival at 00:10.
        let sydney = TimeZone::get("Australia/Sydney").unwrap();
        let arrival = moment("2026-11-23T13:10:00Z", &sydney);
        let at = Some("2026-11-23T12:50:00Z".parse().unwrap());
        assert_eq!(arrival.date, date(2026, 11, 24));
        assert_eq!(arrival.day_of(at, &sydney), date(2026, 11, 23));
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
    fn weeks_run_from_monday_to_sunday() {
        for day in [23, 24, 29] {
            assert_eq!(Period::Week.first_day(date(2026, 11, day)), date(2026, 11, 23));
            assert_eq!(Period::Week.last_day(date(2026, 11, day)), Some(date(2026, 11, 29)));
        }
        assert_eq!(Period::Week.first_day(date(2026, 11, 30)), date(2026, 11, 30));
    }
}
