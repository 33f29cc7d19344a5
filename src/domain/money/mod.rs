//! Exact money: whole minor units together with their currency.

pub mod limit;
pub mod margin;
pub mod stream;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

/// An ISO 4217 currency that has minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(iso_currency::Currency);

/// Text that is not the code of a currency with minor units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ISO 4217 currency code in capitals, such as \"GBP\"")]
pub struct ParseCurrencyError(String);

impl Currency {
    /// The three-letter code in capitals.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The number of decimal places of the major unit: 2 for GBP, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }
}

impl FromStr for Currency {
    type Err = ParseCurrencyError;

    /// Parses a code in capitals. Metals and special units are rejected because they have no
    /// exponent.
    fn from_str(code: &str) -> Result<Self, ParseCurrencyError> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| ParseCurrencyError(code.chars().take(16).collect()))
    }
}

/// An amount in one currency, in minor units (pence). Never negative where it is held or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why two amounts could not be combined, or a text could not be read as money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("cannot combine {left:?} with {right:?}")]
    CurrencyMismatch { left: Currency, right: Currency },
    #[error("the amount is outside the range of 64-bit minor units")]
    Overflow,
    #[error("{0} has more decimal places than its currency allows")]
    TooPrecise(Decimal),
    #[error("{0:?} is not an amount of money, such as \"12.34\"")]
    NotANumber(String),
}

impl Money {
    /// An amount of `minor` minor units.
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Zero in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Converts a major-unit amount such as `12.34`. Never rounds: `12.345 EUR` is an error.
    pub fn from_major(major: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let scale = 10_i64.checked_pow(currency.exponent()).ok_or(MoneyError::Overflow)?;
        let scaled = major.checked_mul(Decimal::from(scale)).ok_or(MoneyError::Overflow)?;
        if !scaled.fract().is_zero() {
            return Err(MoneyError::TooPrecise(major));
        }
        let minor = i64::try_from(scaled).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, currency })
    }

    /// Parses `12.34` as people write it: digits, at most one point, no sign, no separators.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        let major = (plain && starts_well && !text.ends_with('.'))
            .then(|| text.parse::<Decimal>().ok())
            .flatten()
            .ok_or_else(|| MoneyError::NotANumber(text.chars().take(40).collect()))?;
        Self::from_major(major, currency)
    }

    pub const fn minor(self) -> i64 {
        self.minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Adds two amounts of one currency. There is no `impl Add`, because addition can fail.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// Subtracts an amount of the same currency. The result may be negative.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// Subtracts an amount of the same currency; a negative result becomes zero.
    pub fn saturating_sub(self, other: Self) -> Result<Self, MoneyError> {
        let difference = self.checked_sub(other)?;
        Ok(Self::from_minor(difference.minor.max(0), self.currency))
    }

    /// The smaller of two amounts of one currency.
    pub fn least(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Ok(Self::from_minor(self.minor.min(other.minor), self.currency))
    }

    /// Adds up `amounts`; zero `currency` for an empty iterator.
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// The exact amount in major units: `12.34`.
    pub fn major(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency })
        }
    }
}

impl fmt::Display for Money {
    /// Writes `GBP 12.34`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency.code(), self.major())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn scenario_37_minor_units_come_from_the_iso_table() {
        let cases = [
            ("GBP", "12.34", Some(12_34)),
            ("JPY", "1234", Some(1234)),
            ("JPY", "12.3", None),
            ("KWD", "1.234", Some(1234)),
            ("KWD", "1.2345", None),
            ("ISK", "15", Some(15)),
            ("CLF", "1.0001", Some(1_0001)),
        ];
        for (code, text, minor) in cases {
            let money = Money::parse(text, currency(code)).ok().map(Money::minor);
            assert_eq!(money, minor, "{code} {text}");
        }
    }

    #[test]
    fn special_units_are_no_currency() {
        for code in ["XAU", "XXX", "gbp", "GB", "", "GBPX"] {
            assert!(code.parse::<Currency>().is_err(), "{code}");
        }
    }

    #[test]
    fn scenario_40_only_plain_amounts_are_money() {
        for bad in ["", "-1", "+1", "1e309", "NaN", "1,000", ".5", "5.", "0x10", "1.2.3", "٣"] {
            assert!(Money::parse(bad, currency("GBP")).is_err(), "{bad:?}");
        }
        assert_eq!(Money::parse("007.50", currency("GBP")).unwrap().minor(), 7_50);
    }

    #[test]
    fn scenario_41_sums_that_do_not_fit_are_errors() {
        let most = Money::from_minor(i64::MAX, currency("GBP"));
        let penny = Money::from_minor(1, currency("GBP"));
        assert_eq!(most.checked_add(penny), Err(MoneyError::Overflow));
        let least = Money::from_minor(i64::MIN, currency("GBP"));
        assert_eq!(least.checked_sub(penny), Err(MoneyError::Overflow));
        assert!(Money::parse("92233720368547758.08", currency("GBP")).is_err());
        assert!(Money::parse("92233720368547758.07", currency("GBP")).is_ok());
    }

    #[test]
    fn money_is_written_with_the_decimal_places_of_its_currency() {
        for (minor, code, major, written) in [
            (12_34, "GBP", "12.34", "GBP 12.34"),
            (12_00, "GBP", "12.00", "GBP 12.00"),
            (-5, "GBP", "-0.05", "GBP -0.05"),
            (1234, "JPY", "1234", "JPY 1234"),
            (1234, "KWD", "1.234", "KWD 1.234"),
        ] {
            let money = Money::from_minor(minor, currency(code));
            assert_eq!(money.major().to_string(), major);
            assert_eq!(money.to_string(), written);
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let pound = Money::from_minor(1, currency("GBP"));
        let dollar = Money::from_minor(1, currency("USD"));
        assert!(matches!(pound.checked_add(dollar), Err(MoneyError::CurrencyMismatch { .. })));
    }
}
