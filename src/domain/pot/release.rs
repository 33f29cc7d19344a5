//! Staged release: a fixed amount becomes available each day, week or month, although all of it is
//! already loaded.
//!
//! No posting is made when a stage begins. The released amount is a function of the local date, so
//! it changes at local midnight on every replica without a background job.

use jiff::Span;
use jiff::civil::Date;

use crate::domain::money::{Money, MoneyError};
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// The interval between stages.
    ReleaseInterval {
        Day => "day",
        /// On the weekday of the first stage.
        Week => "week",
        /// On the day of the month of the first stage, or on the last day of a shorter month.
        Month => "month",
    }
);

/// The release schedule of a pot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSchedule {
    at_once: Money,
    amount: Money,
    every: ReleaseInterval,
    from: Date,
}

/// The next release and its local date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextRelease {
    pub amount: Money,
    pub on: Date,
}

impl ReleaseSchedule {
    /// Releases `at_once` regardless of the date, and `amount` in each stage from the day `from`
    /// on. `None` if `amount` is not positive, `at_once` is negative, or their currencies differ.
    pub fn new(at_once: Money, amount: Money, every: ReleaseInterval, from: Date) -> Option<Self> {
        let is_fair =
            amount.is_positive() && at_once.minor() >= 0 && at_once.currency() == amount.currency();
        is_fair.then_some(Self { at_once, amount, every, from })
    }

    /// The amount released regardless of the date: money loaded before the schedule was agreed.
    pub const fn at_once(&self) -> Money {
        self.at_once
    }

    /// The amount that each stage releases.
    pub const fn amount(&self) -> Money {
        self.amount
    }

    /// The interval between stages.
    pub const fn every(&self) -> ReleaseInterval {
        self.every
    }

    /// The local day on which the first stage begins.
    pub const fn from(&self) -> Date {
        self.from
    }

    /// The part of `loaded`, the total ever loaded, that is not yet released on `date`.
    pub fn unreleased(&self, loaded: Money, date: Date) -> Result<Money, MoneyError> {
        loaded.saturating_sub(self.released(self.stages_started(date)))
    }

    /// The next release into a pot with `loaded` in total, of which `used` is held, spent, held
    /// back or moved away. `None` if no further release follows.
    ///
    /// A capture may have taken more than was released; the next stages fill that gap first.
    pub fn next(
        &self,
        loaded: Money,
        used: Money,
        date: Date,
    ) -> Result<Option<NextRelease>, MoneyError> {
        let released = self.released(self.stages_started(date)).minor();
        let floor = released.max(used.minor());
        if floor >= loaded.minor() {
            return Ok(None);
        }
        // The first stage that raises the total above `floor`, which is at least `at_once`.
        let beyond = floor.saturating_sub(self.at_once.minor());
        let stages = beyond.checked_div(self.amount.minor()).unwrap_or(0).saturating_add(1);
        let reached = self.released(stages).least(loaded)?;
        let amount = reached.checked_sub(Money::from_minor(floor, loaded.currency()))?;
        // A stage beyond the end of the calendar never begins.
        Ok(self.first_day(stages.saturating_sub(1)).map(|on| NextRelease { amount, on }))
    }

    /// The total released once `stages` stages have begun.
    fn released(&self, stages: i64) -> Money {
        let minor = self.amount.minor().saturating_mul(stages).saturating_add(self.at_once.minor());
        Money::from_minor(minor, self.amount.currency())
    }

    /// How many stages have begun on `date`.
    fn stages_started(&self, date: Date) -> i64 {
        if date < self.from {
            return 0;
        }
        let days = date.duration_since(self.from).as_hours().checked_div(24).unwrap_or(0);
        let whole = match self.every {
            ReleaseInterval::Day => days,
            ReleaseInterval::Week => days.checked_div(7).unwrap_or(0),
            ReleaseInterval::Month => {
                let years = i64::from(date.year()).saturating_sub(i64::from(self.from.year()));
                let months = i64::from(date.month()).saturating_sub(i64::from(self.from.month()));
                let months = years.saturating_mul(12).saturating_add(months);
                let is_begun = self.first_day(months).is_some_and(|first| first <= date);
                if is_begun { months } else { months.saturating_sub(1) }
            }
        };
        whole.saturating_add(1)
    }

    /// The day on which the stage with index `stages` begins; the first stage has index 0.
    fn first_day(&self, stages: i64) -> Option<Date> {
        let span = match self.every {
            ReleaseInterval::Day => Span::new().try_days(stages),
            ReleaseInterval::Week => Span::new().try_weeks(stages),
            ReleaseInterval::Month => Span::new().try_months(stages),
        };
        self.from.checked_add(span.ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn gbp(minor: i64) -> Money {
        Money::from_minor(minor, "GBP".parse().unwrap())
    }

    fn release(every: ReleaseInterval, from: Date) -> ReleaseSchedule {
        ReleaseSchedule::new(gbp(0), gbp(60_00), every, from).unwrap()
    }

    fn out(release: &ReleaseSchedule, on: Date) -> i64 {
        let unreleased = release.unreleased(gbp(1_000_00), on).unwrap();
        gbp(1_000_00).checked_sub(unreleased).unwrap().minor()
    }

    #[test]
    fn a_stage_begins_on_its_day_and_not_the_day_before() {
        let monday = date(2026, 11, 23);
        for (every, second) in [
            (ReleaseInterval::Day, date(2026, 11, 24)),
            (ReleaseInterval::Week, date(2026, 11, 30)),
            (ReleaseInterval::Month, date(2026, 12, 23)),
        ] {
            let release = release(every, monday);
            assert_eq!(out(&release, monday.yesterday().unwrap()), 0, "{every:?}");
            assert_eq!(out(&release, monday), 60_00, "{every:?}");
            assert_eq!(out(&release, second.yesterday().unwrap()), 60_00, "{every:?}");
            assert_eq!(out(&release, second), 120_00, "{every:?}");
        }
    }

    #[test]
    fn a_month_that_is_shorter_begins_its_stage_on_its_last_day() {
        let release = release(ReleaseInterval::Month, date(2026, 1, 31));
        for (on, stages) in [
            (date(2026, 2, 27), 1),
            (date(2026, 2, 28), 2),
            (date(2026, 3, 30), 2),
            (date(2026, 3, 31), 3),
            (date(2026, 4, 30), 4),
        ] {
            assert_eq!(out(&release, on), stages * 60_00, "{on}");
        }
    }

    #[test]
    fn what_is_let_out_at_once_waits_for_no_day() {
        let monday = date(2026, 11, 23);
        let release =
            ReleaseSchedule::new(gbp(40_00), gbp(60_00), ReleaseInterval::Week, monday).unwrap();
        assert_eq!(out(&release, date(2026, 1, 1)), 40_00);
        assert_eq!(out(&release, monday), 100_00);
        let next = release.next(gbp(1_000_00), gbp(0), date(2026, 1, 1)).unwrap();
        assert_eq!(next, Some(NextRelease { amount: gbp(60_00), on: monday }));
    }

    #[test]
    fn the_last_stage_brings_what_is_left_and_then_nothing_comes() {
        let release = release(ReleaseInterval::Week, date(2026, 11, 23));
        let next = |loaded, used, on| release.next(gbp(loaded), gbp(used), on).unwrap();
        let second = date(2026, 11, 30);
        let coming = |minor, on| Some(NextRelease { amount: gbp(minor), on });
        assert_eq!(next(100_00, 60_00, date(2026, 11, 29)), coming(40_00, second));
        assert_eq!(next(100_00, 60_00, second), None);
        // A capture took 70.00 although 60.00 were released, and then all of two stages.
        assert_eq!(next(200_00, 70_00, date(2026, 11, 24)), coming(50_00, second));
        assert_eq!(next(200_00, 120_00, date(2026, 11, 24)), coming(60_00, date(2026, 12, 7)));
        assert_eq!(next(100_00, 100_00, date(2026, 11, 24)), None);
    }

    prop_compose! {
        fn a_release()(
            at_once in 0..=100_00_i64,
            amount in 1..=90_00_i64,
            every in proptest::sample::select(ReleaseInterval::ALL.to_vec()),
            from in 0..400_i32,
        ) -> ReleaseSchedule {
            let from = date(2026, 1, 1).checked_add(from.days()).unwrap();
            ReleaseSchedule::new(gbp(at_once), gbp(amount), every, from).unwrap()
        }
    }

    proptest! {
        /// The announced release arrives on its day, to the penny, and not before.
        #[test]
        fn what_is_told_to_come_comes_then_and_not_before(
            release in a_release(),
            loaded in 0..=900_00_i64,
            used in 0..=900_00_i64,
            day in 0..800_i32,
        ) {
            let used = used.min(loaded);
            let today = date(2026, 1, 1).checked_add(day.days()).unwrap();
            let left = gbp(loaded).checked_sub(gbp(used)).unwrap();
            let free = |on| {
                let unreleased = release.unreleased(gbp(loaded), on).unwrap();
                left.saturating_sub(unreleased).unwrap()
            };
            if let Some(coming) = release.next(gbp(loaded), gbp(used), today).unwrap() {
                prop_assert!(coming.on > today && coming.amount.is_positive());
                prop_assert_eq!(free(coming.on.yesterday().unwrap()), free(today));
                let more = free(today).checked_add(coming.amount).unwrap();
                prop_assert_eq!(free(coming.on), more);
            } else {
                prop_assert_eq!(free(today), left, "all of it is there");
            }
        }

        /// The unreleased amount never grows from day to day, and reaches zero in the end.
        #[test]
        fn everything_comes_in_the_end(release in a_release(), loaded in 0..=900_00_i64) {
            let mut before = loaded;
            for day in 0..1_200_i32 {
                let on = date(2026, 1, 1).checked_add(day.days()).unwrap();
                let unreleased = release.unreleased(gbp(loaded), on).unwrap().minor();
                prop_assert!((0..=before).contains(&unreleased));
                before = unreleased;
            }
            let far = date(9999, 12, 31);
            prop_assert!(release.unreleased(gbp(loaded), far).unwrap().is_zero());
        }
    }
}
