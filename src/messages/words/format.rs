//! Amounts, dates and times, in the patterns of the catalogue of a language.

use fluent_bundle::FluentArgs;
use jiff::civil::{Date, Time};

use super::Words;
use super::phrase::Phrase;
use crate::domain::money::Money;

impl Words {
    /// An amount, with a fraction only if it is not zero: `£42.50`, `£60`.
    pub fn money(&self, money: Money) -> String {
        let major = money.major().to_string();
        let (whole, fraction) = major.split_once('.').unwrap_or((&major, ""));
        let mut number = grouped(whole, &self.text(Phrase::ThousandsMark));
        if fraction.bytes().any(|digit| digit != b'0') {
            number.push_str(&self.text(Phrase::DecimalMark));
            number.push_str(fraction);
        }
        let mut args = FluentArgs::new();
        args.set("currency", money.currency().code());
        args.set("number", number);
        self.fill(Phrase::Money.id(), None, &args)
    }

    /// A date with its weekday: `Tuesday 18 November`.
    pub fn date(&self, date: Date) -> String {
        self.fill(Phrase::Date.id(), None, &date_args(date))
    }

    /// A date for a text message: `Tue 18 November`.
    pub fn short_date(&self, date: Date) -> String {
        self.fill(Phrase::ShortDate.id(), None, &date_args(date))
    }

    /// A time of day, without its seconds: `2:15pm`, `6am`, `midnight`.
    pub fn time(&self, time: Time) -> String {
        let (hour, minute) = (time.hour(), time.minute());
        let precision = match (hour, minute) {
            (0, 0) => "midnight",
            (12, 0) => "midday",
            (_, 0) => "hour",
            _ => "minute",
        };
        let mut args = FluentArgs::new();
        args.set("sharp", precision);
        args.set("hour", if hour % 12 == 0 { 12 } else { hour % 12 });
        args.set("minute", format!("{minute:02}"));
        args.set("half", if hour < 12 { "am" } else { "pm" });
        args.set("clock", format!("{hour:02}:{minute:02}"));
        self.fill(Phrase::Time.id(), None, &args)
    }
}

fn date_args(date: Date) -> FluentArgs<'static> {
    let mut args = FluentArgs::new();
    args.set("weekday", date.weekday().to_monday_one_offset());
    args.set("day", date.day());
    args.set("month", date.month());
    args
}

/// Puts `mark` between groups of three digits.
fn grouped(digits: &str, mark: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut grouped = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push_str(mark);
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    #[test]
    fn money_reads_as_it_is_said() {
        for (minor, code, expected) in [
            (42_50, "GBP", "£42.50"),
            (60_00, "GBP", "£60"),
            (5, "GBP", "£0.05"),
            (0, "GBP", "£0"),
            (12_000_00, "GBP", "£12,000"),
            (1_234_567_89, "EUR", "€1,234,567.89"),
            (999_00, "USD", "$999"),
            (1500, "JPY", "JPY 1,500"),
            (1_234, "KWD", "KWD 1.234"),
            (12_10, "CHF", "CHF 12.10"),
        ] {
            let money = Money::from_minor(minor, code.parse().unwrap());
            assert_eq!(Words::english().money(money), expected);
        }
    }

    #[test]
    fn dates_have_their_weekday() {
        let words = Words::english();
        assert_eq!(words.date(date(2025, 11, 18)), "Tuesday 18 November");
        assert_eq!(words.short_date(date(2025, 12, 1)), "Mon 1 December");
        assert_eq!(words.date(date(2026, 3, 1)), "Sunday 1 March");
    }

    #[test]
    fn times_cannot_be_mistaken() {
        for (hour, minute, expected) in [
            (0, 0, "midnight"),
            (0, 5, "12:05am"),
            (6, 0, "6am"),
            (12, 0, "midday"),
            (12, 30, "12:30pm"),
            (14, 15, "2:15pm"),
            (23, 0, "11pm"),
        ] {
            assert_eq!(Words::english().time(time(hour, minute, 59, 0)), expected);
        }
    }
}
