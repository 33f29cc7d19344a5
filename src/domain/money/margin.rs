//! The exchange rate margin: an amount held beyond the requested one for a purchase in another
//! currency, because the rate may change before the capture.

use crate::domain::money::{Currency, Money, MoneyError};

/// A percentage of the requested amount: 0 to 25, whole percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarginPercent(u32);

impl MarginPercent {
    pub const NONE: Self = Self(0);
    /// The highest percentage allowed; rates move less than this between authorisation and capture.
    pub const MAX: u32 = 25;

    /// `None` for a percentage above [`Self::MAX`].
    pub fn new(percent: u32) -> Option<Self> {
        (percent <= Self::MAX).then_some(Self(percent))
    }

    /// The percentage.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// This percentage of `asked`, rounded up to a whole minor unit.
    pub(in crate::domain) fn of(self, asked: Money) -> Result<Money, MoneyError> {
        let hundredths = i128::from(asked.minor()).checked_mul(i128::from(self.0));
        let rounded_up = hundredths.and_then(|sum| sum.checked_add(99)?.checked_div(100));
        let minor = rounded_up.and_then(|minor| i64::try_from(minor).ok());
        Ok(Money::from_minor(minor.ok_or(MoneyError::Overflow)?, asked.currency()))
    }
}

/// The margin of one purchase: agreed when the purchase begins, and held as soon as any message
/// shows that the merchant charges in another currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margin {
    percent: MarginPercent,
    /// Always false for a zero margin, so that two purchases without a margin compare equal.
    is_held: bool,
}

impl Margin {
    /// No margin, in any currency.
    pub const NONE: Self = Self::agreed(MarginPercent::NONE);

    /// The programme's margin, while no other currency is known.
    pub const fn agreed(percent: MarginPercent) -> Self {
        Self { percent, is_held: false }
    }

    /// The same margin for a purchase in another currency.
    #[must_use]
    pub fn held(self) -> Self {
        Self { is_held: self.percent != MarginPercent::NONE, ..self }
    }

    /// Replaces the agreed percentage and keeps whether another currency is known.
    #[must_use]
    pub fn with_percent(self, percent: MarginPercent) -> Self {
        if self.is_held { Self::agreed(percent).held() } else { Self::agreed(percent) }
    }

    /// Applies a message: the merchant charges in `theirs`, and the card is billed in `ours`.
    pub fn apply_currency(&mut self, theirs: Currency, ours: Currency) {
        if theirs != ours {
            *self = self.held();
        }
    }

    /// The agreed percentage.
    pub const fn percent(self) -> MarginPercent {
        self.percent
    }

    /// Whether the margin is held: the merchant charges in another currency and the margin is not
    /// zero.
    pub const fn is_held(self) -> bool {
        self.is_held
    }

    /// The margin to hold beyond `asked`, which is not negative.
    pub fn on(self, asked: Money) -> Result<Money, MoneyError> {
        if self.is_held { self.percent.of(asked) } else { Ok(Money::zero(asked.currency())) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pounds(minor: i64) -> Money {
        Money::from_minor(minor, "GBP".parse().unwrap())
    }

    fn held(percent: u32) -> Margin {
        Margin::agreed(MarginPercent::new(percent).unwrap()).held()
    }

    #[test]
    fn a_margin_is_held_only_for_another_currency_and_only_above_zero() {
        let agreed = Margin::agreed(MarginPercent::new(5).unwrap());
        assert!(!agreed.is_held() && agreed.held().is_held());
        assert!(!Margin::NONE.held().is_held());
    }

    #[test]
    fn scenario_38_a_margin_is_rounded_up_to_a_whole_minor_unit() {
        for (percent, asked, margin) in [
            (0, 20_00, 0),
            (5, 20_00, 1_00),
            (5, 20_01, 1_01),
            (5, 19_99, 1_00),
            (1, 1, 1),
            (25, 1, 1),
            (25, 4, 1),
            (25, 5, 2),
            (3, 0, 0),
            (25, i64::MAX, i64::MAX / 4 + 1),
        ] {
            assert_eq!(held(percent).on(pounds(asked)), Ok(pounds(margin)), "{percent} {asked}");
        }
        let yen = Money::from_minor(1234, "JPY".parse().unwrap());
        assert_eq!(held(3).on(yen), Ok(Money::from_minor(38, yen.currency())));
    }

    #[test]
    fn scenario_38_a_margin_is_held_once_another_currency_is_told() {
        let [pound, euro] = ["GBP", "EUR"].map(|code| code.parse().unwrap());
        let mut margin = Margin::agreed(MarginPercent::new(5).unwrap());
        assert_eq!(margin.on(pounds(20_00)), Ok(pounds(0)));
        margin.apply_currency(pound, pound);
        assert!(!margin.is_held());
        margin.apply_currency(euro, pound);
        margin.apply_currency(pound, pound);
        assert_eq!(margin, held(5), "what was told stays told");
        assert_eq!(margin.with_percent(MarginPercent::new(9).unwrap()), held(9));
        assert_eq!(margin.with_percent(MarginPercent::NONE), Margin::NONE);
        assert_eq!(Margin::NONE.held(), Margin::NONE, "a margin of nothing is none");
    }

    #[test]
    fn a_margin_is_a_quarter_at_most() {
        assert_eq!(MarginPercent::new(25).map(MarginPercent::number), Some(25));
        assert_eq!(MarginPercent::new(26), None);
    }

    proptest! {
        /// Exact: never below the true share, and less than one minor unit above it.
        #[test]
        fn scenario_38_a_margin_is_exact(percent in 0..=25_u32, asked in 0..=i64::MAX) {
            let margin = i128::from(held(percent).on(pounds(asked)).unwrap().minor());
            let share = i128::from(asked).checked_mul(i128::from(percent)).unwrap();
            let beyond = margin.checked_mul(100).unwrap().checked_sub(share).unwrap();
            prop_assert!((0..100).contains(&beyond));
        }
    }
}
