//! Limits across every clock change of ten years, in every time zone of the database.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use sayso::domain::agreement::Scope;
use sayso::domain::money::limit::{Abroad, CountingAttributes, Limit, LimitUsage};
use sayso::domain::shop::ShopIdentity;
use sayso::domain::time::period::{Moment, Period};

use super::{agreed, reasons};
use crate::values::{a_request, category, gbp, limited, yes};

const FROM: &str = "2020-01-01T00:00:00Z";
const UNTIL: &str = "2031-01-01T00:00:00Z";

/// The local day of an instant as days since 1970, by plain arithmetic.
fn day_number(at: Timestamp, zone: &TimeZone) -> i64 {
    (at.as_second() + i64::from(zone.to_offset(at).seconds())).div_euclid(24 * 60 * 60)
}

/// Year and month of a day since 1970, by 400-year eras that begin on 1 March.
fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let is_new_year = month >= 10;
    let month = if is_new_year { month - 9 } else { month + 3 };
    (era * 400 + year + i64::from(is_new_year), month)
}

/// Whether both instants are in the same day, week or month of `zone`, by plain arithmetic.
fn is_in_one(period: Period, zone: &TimeZone, [one, other]: [Timestamp; 2]) -> bool {
    let (one, other) = (day_number(one, zone), day_number(other, zone));
    match period {
        Period::Day => one == other,
        // 1 January 1970 was a Thursday.
        Period::Week => (one + 3).div_euclid(7) == (other + 3).div_euclid(7),
        Period::Month => month_of(one) == month_of(other),
        Period::Agreement => true,
    }
}

/// Whether a limit that is used up at the first instant allows a purchase at the second.
fn is_free_again(period: Period, zone: &TimeZone, [before, after]: [Timestamp; 2]) -> bool {
    let limit = Limit::Amount { per: period, most: gbp(10_00) };
    let mut facts = agreed(|agreement| {
        agreement.terms = vec![limited(Scope::Everything, limit), yes(Scope::EverythingElse)];
    });
    let counted = CountingAttributes {
        on: Moment::new(before, zone).date,
        shop: ShopIdentity::default(),
        mcc: None,
        category: category("food"),
        kind: a_request().kind,
        presence: a_request().presence,
        abroad: Abroad::No,
        cash_back: gbp(0),
        atm_fee: gbp(0),
        matched: Scope::EverythingElse,
    };
    let used = LimitUsage { amount: gbp(10_00), purchases: 1 };
    let holder = facts.holder.as_ref().unwrap();
    let keys = counted.counters(&holder.agreement);
    facts.counters = keys.into_iter().map(|key| (key, used)).collect::<BTreeMap<_, _>>();
    facts.moment = Moment::new(after, zone);
    facts.counts_on = facts.moment.date;
    reasons(&a_request(), &facts).is_empty()
}

#[test]
fn scenario_42_over_every_clock_change_of_ten_years_a_limit_is_of_its_own_local_period() {
    let (from, until): (Timestamp, Timestamp) = (FROM.parse().unwrap(), UNTIL.parse().unwrap());
    let moment = SignedDuration::from_secs(1);
    let mut changes = 0;
    let mut hours = BTreeSet::new();
    for name in jiff::tz::db().available() {
        let zone = TimeZone::get(name.as_str()).unwrap();
        let of_these_years = zone.following(from).take_while(|change| change.timestamp() < until);
        for change in of_these_years {
            changes += 1;
            let at = change.timestamp();
            let today = zone.to_datetime(at).date();
            let start = today.to_zoned(zone.clone()).unwrap().timestamp();
            let end = today.tomorrow().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
            hours.insert(start.until(end).unwrap().total(jiff::Unit::Minute).unwrap().to_string());
            let (start_before, end_before) = (start - moment, end - moment);
            let month_end = today.last_of_month().to_zoned(zone.clone()).unwrap().timestamp();
            let next_month = month_end + SignedDuration::from_hours(26);
            let pairs = [
                [at - moment, at],
                [start, at],
                [start, end_before],
                [start_before, start],
                [start_before, end],
                [end_before, end],
                [month_end, next_month],
            ];
            for (pair, period) in pairs.iter().flat_map(|pair| {
                [Period::Day, Period::Week, Period::Month].map(|period| (pair, period))
            }) {
                let is_one = is_in_one(period, &zone, *pair);
                let is_free = is_free_again(period, &zone, *pair);
                assert_eq!(is_free, !is_one, "{name:?} {period:?}: {pair:?}");
            }
        }
    }
    assert!(changes > 4_000, "{changes} changes are not all of the world's");
    for length in ["1380", "1500", "1410", "1470"] {
        assert!(hours.contains(length), "no day of {length} minutes in {hours:?}");
    }
}
