//! One pot in the books: its money, what it may pay for, and when.

use std::sync::Arc;

use jiff::{Span, civil::Date};

use crate::{
    programme::{Release, ReleaseInterval},
    shops::Shop,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotBook {
    pub pot: Arc<str>,
    pub name: Arc<str>,
    pub allocated_minor: i64,
    pub loaded_minor: i64,
    pub held_minor: i64,
    pub spent_minor: i64,
    pub(crate) is_emergency: bool,
    pub(crate) only: Option<Arc<Vec<String>>>,
    pub(crate) never: Arc<Vec<String>>,
    /// The last day on which its money can be spent.
    pub(crate) ends_on: Option<Date>,
    pub(crate) drains_first: bool,
    pub(crate) release: Option<Arc<Release>>,
}

impl PotBook {
    pub fn left_minor(&self) -> i64 {
        self.loaded_minor - self.held_minor - self.spent_minor
    }

    /// The amount that can be spent on `date`, in minor units.
    pub(crate) fn spendable_minor(&self, date: Date) -> i64 {
        (self.left_minor() - self.unreleased_minor(date)).max(0)
    }

    /// The loaded amount that is released only after `date`, in minor units.
    fn unreleased_minor(&self, date: Date) -> i64 {
        let released = self.release.as_ref().map(|release| release.released_minor(date));
        released.map_or(0, |released| (self.loaded_minor - released).max(0))
    }

    /// Whether a later release adds to what can be spent.
    pub(crate) fn has_more_to_come(&self, date: Date) -> bool {
        let gone = self.held_minor + self.spent_minor;
        let released = self.release.as_ref().map(|release| release.released_minor(date));
        released.is_some_and(|released| released.max(gone) < self.loaded_minor)
    }

    /// Whether funder rules bar the purchase: by the shop's category, or because the stream has
    /// ended.
    pub(crate) fn is_barred(&self, shop: &Shop, date: Date) -> bool {
        let is_past = self.ends_on.is_some_and(|last| date > last);
        is_past || self.never.iter().any(|never| shop.is_in_category(never))
    }

    /// Whether the pot is agreed for the category, regardless of funder rules.
    pub(crate) fn is_agreed_for(&self, category: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == category))
    }

    pub(crate) fn is_for(&self, shop: &Shop, date: Date) -> bool {
        !self.is_barred(shop, date) && self.is_agreed_for(shop.category)
    }
}

impl Release {
    /// The amount released up to and including `date`, counted stage by stage, in minor units.
    fn released_minor(&self, date: Date) -> i64 {
        let mut stages = 0;
        while self.stage(stages).is_some_and(|begins| begins <= date) {
            stages += 1;
        }
        self.at_once.0 + stages * self.amount.0
    }

    /// The day on which a stage begins, after `others` earlier ones.
    fn stage(&self, others: i64) -> Option<Date> {
        let span = match self.every {
            ReleaseInterval::Day => Span::new().try_days(others),
            ReleaseInterval::Week => Span::new().try_weeks(others),
            ReleaseInterval::Month => Span::new().try_months(others),
        };
        self.from.checked_add(span.ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::programme::MinorUnits;

    fn pot(every: ReleaseInterval, from: Date) -> PotBook {
        let release = Release { at_once: MinorUnits(5_00), amount: MinorUnits(20_00), every, from };
        PotBook {
            pot: "pot".into(),
            name: "pot".into(),
            allocated_minor: 100_00,
            loaded_minor: 50_00,
            held_minor: 0,
            spent_minor: 0,
            is_emergency: false,
            only: None,
            never: Arc::default(),
            ends_on: Some(date(2027, 12, 31)),
            drains_first: false,
            release: Some(Arc::new(release)),
        }
    }

    #[test]
    fn money_comes_in_stages_until_all_of_it_is_there() {
        let weekly = pot(ReleaseInterval::Week, date(2027, 1, 4));
        for (day, spendable) in [
            (date(2027, 1, 3), 5_00),
            (date(2027, 1, 4), 25_00),
            (date(2027, 1, 10), 25_00),
            (date(2027, 1, 11), 45_00),
            (date(2027, 1, 18), 50_00),
        ] {
            assert_eq!(weekly.spendable_minor(day), spendable, "{day}");
            assert_eq!(weekly.has_more_to_come(day), spendable < 50_00, "{day}");
        }
        let monthly = pot(ReleaseInterval::Month, date(2027, 1, 31));
        assert_eq!(monthly.spendable_minor(date(2027, 2, 27)), 25_00);
        assert_eq!(monthly.spendable_minor(date(2027, 2, 28)), 45_00);
    }

    #[test]
    fn a_claim_takes_what_is_not_let_out_yet_and_the_next_stage_fills_that() {
        let spent = PotBook { spent_minor: 30_00, ..pot(ReleaseInterval::Day, date(2027, 1, 4)) };
        assert_eq!(spent.left_minor(), 20_00);
        assert_eq!(spent.spendable_minor(date(2027, 1, 4)), 0);
        assert_eq!(spent.spendable_minor(date(2027, 1, 5)), 15_00);
    }

    #[test]
    fn a_stream_that_has_ended_pays_for_nothing() {
        let pot = pot(ReleaseInterval::Day, date(2027, 1, 4));
        let shop = &crate::shops::BUS;
        assert!(pot.is_for(shop, date(2027, 12, 31)));
        assert!(!pot.is_for(shop, date(2028, 1, 1)));
    }
}
