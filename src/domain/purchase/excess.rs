//! How far a capture usually exceeds the authorised amount, by kind of shop.
//!
//! Sources: "Visa Core Rules and Visa Product and Service Rules", table 7-10 (permitted difference
//! between the authorised and the captured amount), as the pages "Handle Overcaptures" of Airwallex
//! and "Overcapture a payment" of Checkout.com and Stripe quote it; Mastercard's "Transaction
//! Processing Rules" allow the same 20 % for gratuities. At a fuel pump one unit stands for a full
//! tank ("status check", Visa and Mastercard: up to 150 or the local equivalent), and on buses and
//! trains one nominal unit for the fares of a day (Visa "Mass Transit Transaction", Mastercard
//! "contactless transit aggregated transaction").

use crate::domain::decision::authorisation::Presence;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::shop::merchant::Mcc;

/// The usual excess over an authorised amount: the larger of a percentage and a fixed amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Excess {
    percent: u32,
    /// In major units of the card's currency.
    units: i64,
}

const NONE: Excess = Excess { percent: 0, units: 0 };
/// Tips.
const GRATUITY: Excess = Excess { percent: 20, units: 0 };
/// Minibar, laundry and damage.
const STAY: Excess = Excess { percent: 15, units: 0 };
/// Fuel, tolls and fines charged after the hire.
const VEHICLE_HIRE: Excess = Excess { percent: 15, units: 75 };
const FUEL_PUMP: Excess = Excess { percent: 0, units: 150 };
const TRANSIT: Excess = Excess { percent: 0, units: 25 };
/// Postage, weighed goods and substitutes in all other remote purchases.
const REMOTE: Excess = Excess { percent: 15, units: 0 };

impl Excess {
    fn at(mcc: Option<Mcc>, presence: Presence) -> Self {
        match (mcc.map(Mcc::number), presence) {
            (Some(4121 | 5812..=5814 | 7230 | 7298), _) => GRATUITY,
            (Some(3501..=3999 | 4411 | 7011 | 7012 | 7032 | 7033), _) => STAY,
            (Some(3351..=3500 | 7512 | 7513 | 7519), _) => VEHICLE_HIRE,
            // Fuel pumps, and chargers for electric cars.
            (Some(5542 | 5552), _) => FUEL_PUMP,
            (Some(4111 | 4112 | 4131), _) => TRANSIT,
            (_, Presence::Remote) => REMOTE,
            (_, Presence::InPerson) => NONE,
        }
    }

    fn on(self, authorised: Money) -> Result<Money, MoneyError> {
        let currency = authorised.currency();
        let hundredths = i128::from(authorised.minor()).checked_mul(i128::from(self.percent));
        let share = hundredths.and_then(|sum| sum.checked_add(99)?.checked_div(100));
        let share =
            share.and_then(|minor| i64::try_from(minor).ok()).ok_or(MoneyError::Overflow)?;
        let fixed = self.units.saturating_mul(minor_per_unit(currency));
        Ok(Money::from_minor(share.max(fixed), currency))
    }
}

/// The usual excess of a capture over `authorised` at this kind of shop.
pub fn usual_excess(
    mcc: Option<Mcc>,
    presence: Presence,
    authorised: Money,
) -> Result<Money, MoneyError> {
    Excess::at(mcc, presence).on(authorised)
}

fn minor_per_unit(currency: Currency) -> i64 {
    10_i64.saturating_pow(currency.exponent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excess(mcc: &str, presence: Presence, authorised: i64, currency: &str) -> i64 {
        let authorised = Money::from_minor(authorised, currency.parse().unwrap());
        usual_excess(Mcc::parse(mcc).ok(), presence, authorised).unwrap().minor()
    }

    #[test]
    fn tips_stays_hires_pumps_and_fares_have_their_usual_excess() {
        for (mcc, authorised, expected) in [
            ("5812", 20_00, 4_00),
            ("4121", 9_99, 2_00),
            ("7011", 100_00, 15_00),
            ("4411", 100_00, 15_00),
            ("3501", 100_00, 15_00),
            ("7512", 100_00, 75_00),
            ("3351", 1_000_00, 150_00),
            ("5542", 1_00, 150_00),
            ("4111", 10, 25_00),
            ("5411", 20_00, 0),
            ("none", 20_00, 0),
        ] {
            assert_eq!(excess(mcc, Presence::InPerson, authorised, "GBP"), expected, "{mcc}");
        }
        assert_eq!(excess("5411", Presence::Remote, 20_00, "GBP"), 3_00);
        assert_eq!(excess("7512", Presence::InPerson, 1_000, "JPY"), 150);
        assert_eq!(excess("7512", Presence::InPerson, 1_000, "KWD"), 75_000);
    }
}
