//! Pots: a person's money from one stream, and how a purchase is split over several pots.

pub mod personal;
pub mod release;

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::domain::id::{PotId, StreamId};
use crate::domain::money::{Money, MoneyError};
use crate::domain::pot::release::{NextRelease, ReleaseSchedule};
use crate::domain::shop::merchant::Category;

/// The agreed settings of a pot. Part of the agreement, which lists pots in drain order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotPlan {
    pub id: PotId,
    pub stream: StreamId,
    /// The name used in texts: "pets", "your week".
    pub name: String,
    /// The only categories this pot pays for; `None` means all categories.
    pub only: Option<BTreeSet<Category>>,
    /// Whether the pot pays only what the other pots cannot.
    pub emergency: bool,
    /// The release schedule; `None` if all money is available as soon as it is loaded.
    pub release: Option<ReleaseSchedule>,
}

/// The figures of a pot that determine what can be spent from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotFunds {
    pub left: Money,
    /// The total that the funder has loaded; `None` for a pot without staged release, because no
    /// other rule reads it.
    pub loaded: Option<Money>,
    /// The amount that the person holds back now.
    pub held_back: Option<Money>,
    /// The agreed pot that contains this pot; `None` unless it is one of the person's own pots.
    pub part_of: Option<PotId>,
}

impl PotFunds {
    /// What is left beyond what the person holds back.
    fn wanted(&self) -> Result<Money, MoneyError> {
        self.held_back.map_or(Ok(self.left), |held| self.left.saturating_sub(held))
    }
}

impl From<Money> for PotFunds {
    /// A pot with `left` available and no restrictions.
    fn from(left: Money) -> Self {
        Self { left, loaded: None, held_back: None, part_of: None }
    }
}

impl PotPlan {
    /// Whether the agreement lets the pot pay for `category`.
    pub fn pays_for(&self, category: &Category) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(category))
    }

    /// What can be spent on `date` from `pot`, which is this pot or one of the person's own within
    /// it.
    pub fn spendable(&self, pot: &PotFunds, date: Date) -> Result<Money, MoneyError> {
        let wanted = pot.wanted()?;
        match &self.release {
            // Money in the person's own pots was already released, because only released money can
            // be moved.
            Some(release) if pot.part_of.is_none() => {
                let loaded = pot.loaded.unwrap_or(pot.left);
                wanted.saturating_sub(release.unreleased(loaded, date)?)
            }
            Some(_) | None => Ok(wanted),
        }
    }

    /// The next scheduled release into `pot` after `date`, if there is one.
    pub fn next(&self, pot: &PotFunds, date: Date) -> Result<Option<NextRelease>, MoneyError> {
        let Some(release) = &self.release else { return Ok(None) };
        let loaded = pot.loaded.unwrap_or(pot.left);
        release.next(loaded, loaded.checked_sub(pot.wanted()?)?, date)
    }
}

/// One pot's share of a purchase; above zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotPart {
    pub pot: PotId,
    pub amount: Money,
}

/// Funds that a purchase may draw on. Lists of sources are in drain order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundingSource {
    pub pot: PotId,
    pub available: Money,
}

/// Takes up to `amount` from `sources` in order. The parts sum to the amount taken.
pub fn drain(amount: Money, sources: &[FundingSource]) -> Result<Vec<PotPart>, MoneyError> {
    let mut wanted = amount;
    let mut parts = Vec::new();
    for source in sources {
        let taken = wanted.least(source.available)?;
        if taken.is_positive() {
            parts.push(PotPart { pot: source.pot.clone(), amount: taken });
            wanted = wanted.checked_sub(taken)?;
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pounds(minor: i64) -> Money {
        Money::from_minor(minor, "GBP".parse().unwrap())
    }

    fn sources(amounts: &[i64]) -> Vec<FundingSource> {
        let source = |(n, &minor): (usize, &i64)| FundingSource {
            pot: format!("pot-{n}").parse().unwrap(),
            available: pounds(minor),
        };
        amounts.iter().enumerate().map(source).collect()
    }

    #[test]
    fn pots_drain_in_order() {
        let parts = drain(pounds(48_00), &sources(&[40_00, 0, 63_90])).unwrap();
        let amounts: Vec<_> = parts.iter().map(|part| part.amount.minor()).collect();
        assert_eq!(amounts, [40_00, 8_00]);
        assert_eq!(parts[1].pot.as_str(), "pot-2", "an empty pot is no part");
    }

    proptest! {
        /// The parts sum exactly, and no pot gives more than it has.
        #[test]
        fn scenario_48_a_split_sums_exactly(
            wanted in 0..=1_000_000_i64,
            amounts in proptest::collection::vec(0..=300_000_i64, 0..6),
        ) {
            let sources = sources(&amounts);
            let parts = drain(pounds(wanted), &sources).unwrap();
            let taken: i64 = parts.iter().map(|part| part.amount.minor()).sum();
            prop_assert_eq!(taken, wanted.min(amounts.iter().sum()));
            for part in &parts {
                let source = sources.iter().find(|source| source.pot == part.pot).unwrap();
                prop_assert!(part.amount.is_positive());
                prop_assert!(part.amount.minor() <= source.available.minor());
            }
        }
    }
}
