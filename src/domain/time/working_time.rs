//! The working hours of a programme's staff, in the programme's time zone.
//!
//! A promise in working hours counts elapsed time within those hours, so that a day on which the
//! clocks change counts with its real length.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How many days [`WorkingTime`] searches for working time: far more than a promise needs, because
/// every week has a working day.
const DAYS_AHEAD: usize = 4_000;

/// The working days and their daily hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkingHours {
    /// One flag per day, Monday first.
    days: [bool; 7],
    from: Time,
    to: Time,
}

/// Why working hours are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WorkingHoursError {
    #[error("at least one day is a working day")]
    NoDay,
    #[error("a working day ends after it begins")]
    EndsFirst,
}

impl Default for WorkingHours {
    /// Monday to Friday, 09:00 to 18:00.
    fn default() -> Self {
        let days = [true, true, true, true, true, false, false];
        Self { days, from: Time::constant(9, 0, 0, 0), to: Time::constant(18, 0, 0, 0) }
    }
}

impl WorkingHours {
    /// Working hours on `days`, from `from` (inclusive) to `to` (exclusive).
    ///
    /// # Errors
    ///
    /// [`WorkingHoursError::NoDay`] without a day, [`WorkingHoursError::EndsFirst`] unless `from`
    /// is before `to`.
    pub fn new(days: &[Weekday], from: Time, to: Time) -> Result<Self, WorkingHoursError> {
        let mut hours = Self { days: [false; 7], from, to };
        for day in days {
            if let Some(is_working) = hours.days.get_mut(weekday_index(*day)) {
                *is_working = true;
            }
        }
        if days.is_empty() {
            Err(WorkingHoursError::NoDay)
        } else if from >= to {
            Err(WorkingHoursError::EndsFirst)
        } else {
            Ok(hours)
        }
    }

    /// The working days, Monday first.
    pub fn days(&self) -> impl Iterator<Item = Weekday> {
        Weekday::Monday.cycle_forward().take(7).filter(|day| self.has(*day))
    }

    /// When a working day begins.
    pub const fn from(&self) -> Time {
        self.from
    }

    /// When a working day ends.
    pub const fn to(&self) -> Time {
        self.to
    }

    fn has(&self, day: Weekday) -> bool {
        self.days.get(weekday_index(day)).copied().unwrap_or(false)
    }
}

fn weekday_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// Working hours in a time zone: they turn a promise in working hours into an instant.
#[derive(Debug, Clone, Copy)]
pub struct WorkingTime<'a> {
    pub hours: &'a WorkingHours,
    pub zone: &'a TimeZone,
}

impl WorkingTime<'_> {
    /// Whether `at` is within working hours.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.window(self.date(at)).is_some_and(|(opens, closes)| opens <= at && at < closes)
    }

    /// The instant at which `work` of working time has passed since `at`.
    pub fn after(&self, at: Timestamp, work: SignedDuration) -> Timestamp {
        let mut left = work;
        for (opens, closes) in self.windows(at) {
            let begins = opens.max(at);
            let room = closes.duration_since(begins);
            if left <= room {
                return begins.checked_add(left).unwrap_or(closes);
            }
            left = left.saturating_sub(room);
        }
        at
    }

    /// The end of the working day of `at`; that of the next working day if today's has ended or
    /// today is not a working day.
    pub fn end_of_working_day(&self, at: Timestamp) -> Timestamp {
        self.windows(at).next().map_or(at, |(_, closes)| closes)
    }

    /// The first working day after the local day of `at`.
    pub fn next_working_day(&self, at: Timestamp) -> Date {
        let today = self.date(at);
        let mut days = today.series(jiff::ToSpan::days(1)).skip(1).take(7);
        days.find(|date| self.hours.has(date.weekday())).unwrap_or(today)
    }

    /// The local midnight that ends the day of `at`.
    pub fn end_of_day(&self, at: Timestamp) -> Timestamp {
        let tomorrow = self.date(at).tomorrow().ok();
        tomorrow.and_then(|date| self.moment(date, Time::midnight())).unwrap_or(at)
    }

    /// The working windows (start, end) that end after `at`, in order of time.
    fn windows(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let days = self.date(at).series(jiff::ToSpan::days(1)).take(DAYS_AHEAD);
        days.filter_map(|date| self.window(date)).filter(move |(_, closes)| *closes > at)
    }

    /// The working window (start, end) on `date`; none if it is not a working day or the clocks
    /// skip those hours.
    fn window(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.hours.has(date.weekday()) {
            return None;
        }
        let opens = self.moment(date, self.hours.from)?;
        let closes = self.moment(date, self.hours.to)?;
        (opens < closes).then_some((opens, closes))
    }

    fn moment(&self, date: Date, time: Time) -> Option<Timestamp> {
        self.zone.to_timestamp(date.to_datetime(time)).ok()
    }

    fn date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").unwrap()
    }

    #[test]
    fn three_hours_pass_while_somebody_is_at_work() {
        let (hours, zone) = (WorkingHours::default(), london());
        let working = WorkingTime { hours: &hours, zone: &zone };
        for (asked, expected) in [
            ("2026-11-23T12:06:00Z", "2026-11-23T15:06:00Z"), // a Monday
            ("2026-11-23T15:00:00Z", "2026-11-23T18:00:00Z"),
            ("2026-11-23T16:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-23T20:00:00Z", "2026-11-24T12:00:00Z"),
            ("2026-11-24T03:00:00Z", "2026-11-24T12:00:00Z"),
            ("2026-11-27T17:00:00Z", "2026-11-30T11:00:00Z"), // over a weekend
            ("2026-11-28T12:00:00Z", "2026-11-30T12:00:00Z"),
            // The clocks change on Sunday: 16:00 BST on Friday, 10:00 GMT on Monday.
            ("2026-10-23T15:00:00Z", "2026-10-26T10:00:00Z"),
            ("2026-03-27T16:00:00Z", "2026-03-30T09:00:00Z"),
        ] {
            assert_eq!(working.after(at(asked), SignedDuration::from_hours(3)), at(expected));
        }
        assert_eq!(
            working.end_of_working_day(at("2026-07-01T10:00:00Z")),
            at("2026-07-01T17:00:00Z")
        );
        assert_eq!(
            working.end_of_working_day(at("2026-07-03T17:00:00Z")),
            at("2026-07-06T17:00:00Z")
        );
        assert_eq!(working.next_working_day(at("2026-11-27T23:30:00Z")), date(2026, 11, 30));
        assert_eq!(working.end_of_day(at("2026-07-01T22:59:00Z")), at("2026-07-01T23:00:00Z"));
        assert!(!working.is_open(at("2026-11-28T12:00:00Z")));
    }

    #[test]
    fn hours_need_a_day_and_an_order() {
        let (nine, ten) = (time(9, 0, 0, 0), time(10, 0, 0, 0));
        assert_eq!(WorkingHours::new(&[], nine, ten), Err(WorkingHoursError::NoDay));
        let backwards = WorkingHours::new(&[Weekday::Monday], ten, nine);
        assert_eq!(backwards, Err(WorkingHoursError::EndsFirst));
        let hours = WorkingHours::new(&[Weekday::Sunday, Weekday::Tuesday], nine, ten).unwrap();
        assert_eq!(hours.days().collect::<Vec<_>>(), [Weekday::Tuesday, Weekday::Sunday]);
    }
}
