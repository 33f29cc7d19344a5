//! Working hours across every kind of clock change.

use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sayso::domain::time::working_time::{WorkingHours, WorkingTime};

proptest! {
    /// Exactly the promised time passes within working hours, across every kind of clock change.
    #[test]
    fn what_is_promised_passes_minute_by_minute(
        zone in prop::sample::select(vec![
            "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
        ]),
        minute in 0..(366 * 24 * 60_i64),
        promised in 1..400_i64,
        days in prop::collection::vec(0..7_i8, 1..7),
        from in 0..23_i8,
        length in 1..12_i8,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let days: Vec<_> =
            days.into_iter().map(|d| Weekday::from_monday_zero_offset(d).unwrap()).collect();
        let to = time((from + length).min(23), 30, 0, 0);
        let hours = WorkingHours::new(&days, time(from, 0, 0, 0), to).unwrap();
        let working = WorkingTime { hours: &hours, zone: &zone };
        let year = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
        let asked = year + SignedDuration::from_mins(minute);
        let answered = working.after(asked, SignedDuration::from_mins(promised));
        let (mut passed, mut now) = (0, asked);
        while now < answered {
            passed += i64::from(working.is_open(now));
            now += SignedDuration::from_mins(1);
        }
        prop_assert_eq!(passed, promised);
    }
}
