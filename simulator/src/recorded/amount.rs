//! Parses amounts as people and spreadsheets write them, and rejects every ambiguous one.

use crate::currency;

/// An amount split into its digits, its sign and its currency.
struct AmountDigits {
    /// Digits and separators: `1,234.56`.
    text: String,
    is_negative: bool,
    /// The text around the digits: `£`, `GBP`, or empty.
    unit: String,
}

/// The decimal mark of all amounts in a column, as far as any of them shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalMark {
    Point,
    Comma,
}

impl DecimalMark {
    const fn character(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    /// The mark that most of `texts` show; the point in a tie, `None` if none shows one.
    pub(super) fn of_column(texts: impl Iterator<Item: AsRef<str>>) -> Option<Self> {
        let shown: Vec<_> = texts
            .filter_map(|text| Self::shown_by(&AmountDigits::of(text.as_ref())?.text))
            .collect();
        let points = shown.iter().filter(|mark| **mark == Self::Point).count();
        let (points, commas) = (points, shown.len() - points);
        (!shown.is_empty()).then_some(if commas > points { Self::Comma } else { Self::Point })
    }

    /// The mark before the decimals of `digits`, independent of the currency; `None` if ambiguous.
    fn shown_by(digits: &str) -> Option<Self> {
        let (at, mark) = digits.rmatch_indices(['.', ',']).next()?;
        let (before, behind) = (digits.get(..at)?, digits.get(at + 1..)?);
        let is_other = before.contains(['.', ',']) && !before.contains(mark);
        let is_shown = is_other || (!before.contains(mark) && is_no_group(before, behind));
        is_shown.then_some(if mark == "." { Self::Point } else { Self::Comma })
    }
}

/// Whether `behind` cannot be a group of three digits in a number that begins with `before`.
fn is_no_group(before: &str, behind: &str) -> bool {
    behind.len() != 3 || before.is_empty() || before.starts_with('0') || before.len() > 3
}

/// Parses an amount in minor units of the currency `code`. A negative amount is a refund.
///
/// # Errors
/// A text for people when the amount is not readable, or is ambiguous.
pub(super) fn read(
    text: &str,
    code: &str,
    column: Option<DecimalMark>,
) -> Result<i64, &'static str> {
    const NONE: &str = "this is no amount: write it like 12.50";

    let digits = AmountDigits::of(text).ok_or(NONE)?;
    if !is_unit(&digits.unit, code) {
        return Err(
            "this is not in the programme's currency, or is no amount: write it like 12.50",
        );
    }
    let shown = DecimalMark::shown_by(&digits.text);
    if shown.is_some() && column.is_some() && shown != column {
        return Err("its decimals stand behind another mark than those of the other amounts");
    }
    let mark = shown.or(column).map(DecimalMark::character);
    let (whole, part) = match mark.and_then(|mark| digits.text.split_once(mark)) {
        Some((whole, part)) if !part.is_empty() => (whole, part),
        Some(_) => return Err(NONE),
        None => (digits.text.as_str(), ""),
    };
    let whole = ungrouped(whole).ok_or(NONE)?;
    if mark.is_none() && digits.text.contains(['.', ',']) && !is_surely_grouped(&digits.text, code)
    {
        return Err("this may be read in two ways: write it without marks between thousands");
    }
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NONE);
    }
    let minor = currency::to_minor(&whole, part, code)
        .ok_or("this is finer than the currency goes, or too much")?;
    Ok(if digits.is_negative { -minor } else { minor })
}

/// Whether the separators must be between groups of three digits and cannot be a decimal mark.
fn is_surely_grouped(digits: &str, code: &str) -> bool {
    let is_one_comma = digits.contains(',') && !digits.contains('.');
    // 1,234 is ambiguous in a currency with three decimals, 1.234 in every currency.
    digits.matches(['.', ',']).count() > 1 || (is_one_comma && currency::decimals(code) < 3)
}

/// The digits of a number, with or without separators between groups of three.
fn ungrouped(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split([',', '.', ' ', '\'']).collect();
    let separators: Vec<_> = text.matches([',', '.', ' ', '\'']).collect();
    let are_digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    let are_alike = separators.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
    let (first, rest) = groups.split_first()?;
    let are_three = rest.iter().all(|group| group.len() == 3);
    let is_begun = rest.is_empty() || (1..=3).contains(&first.len());
    (are_digits && are_alike && are_three && is_begun).then(|| groups.concat())
}

impl AmountDigits {
    fn of(text: &str) -> Option<Self> {
        let plain: String = text.chars().map(normalise_character).collect();
        let plain = plain.trim();
        let in_brackets = plain.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let text = in_brackets.unwrap_or(plain);
        let is_of_number = |c: char| c.is_ascii_digit() || ".,".contains(c);
        let digits = text.get(text.find(is_of_number)?..=text.rfind(is_of_number)?)?;
        let (before, behind) = text.split_once(digits)?;
        let around = format!("{}{}", before.trim(), behind.trim());
        let signs = around.matches(['-', '+']).count();
        let is_negative = in_brackets.is_some() || around.contains('-');
        let unit = around.replace(['-', '+'], "").trim().to_owned();
        let is_number = digits.chars().all(|c| is_of_number(c) || " '".contains(c));
        let has_digit = digits.contains(|c: char| c.is_ascii_digit());
        let is_signed_once = signs + usize::from(in_brackets.is_some()) <= 1;
        let digits = digits.to_owned();
        let is_whole = is_number && has_digit && is_signed_once;
        is_whole.then_some(Self { text: digits, is_negative, unit })
    }
}

/// Replaces Unicode variants of dashes, apostrophes and spaces by one character each.
fn normalise_character(character: char) -> char {
    match character {
        '\u{2212}' | '\u{2012}' | '\u{2013}' | '\u{2010}' | '\u{2011}' => '-',
        '\u{2019}' | '\u{02bc}' => '\'',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

/// Currencies that are called dollar, pound or crown, and are written with that sign.
const DOLLARS: [&str; 24] = [
    "ARS", "AUD", "BBD", "BMD", "BND", "BSD", "BZD", "CAD", "CLP", "COP", "FJD", "GYD", "HKD",
    "JMD", "KYD", "LRD", "MXN", "NAD", "NZD", "SBD", "SGD", "TTD", "TWD", "USD",
];
const POUNDS: [&str; 9] = ["EGP", "FKP", "GBP", "GIP", "LBP", "SDG", "SHP", "SSP", "SYP"];
const CROWNS: [&str; 4] = ["DKK", "ISK", "NOK", "SEK"];

/// Whether `unit` can be written beside an amount of the currency `code`.
pub(super) fn is_unit(unit: &str, code: &str) -> bool {
    match unit {
        "" => true,
        "£" => POUNDS.contains(&code),
        "$" => DOLLARS.contains(&code),
        "kr" | "Kr" => CROWNS.contains(&code),
        "€" => code == "EUR",
        "¥" | "￥" => ["JPY", "CNY"].contains(&code),
        "zł" => code == "PLN",
        "₹" => code == "INR",
        "Fr" | "SFr" => code == "CHF",
        unit => unit.eq_ignore_ascii_case(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_can_be_read_in_one_way_is_read() {
        for (text, minor) in [
            ("12.50", 12_50),
            ("£10.00", 10_00),
            ("GBP 10", 10_00),
            ("10 gbp", 10_00),
            ("12.5", 12_50),
            ("12.5000", 12_50),
            (".99", 99),
            ("0.125000", -1),
            ("1,234.56", 1_234_56),
            ("1.234,56", 1_234_56),
            ("1 234,56", 1_234_56),
            ("1\u{a0}234.56", 1_234_56),
            ("1'234.56", 1_234_56),
            ("1,234,567", 1_234_567_00),
            ("1,234", 1_234_00),
            ("1,500", 1_500_00),
            ("12,50", 12_50),
            ("(12.50)", -12_50),
            ("-£12.50", -12_50),
            ("£-12.50", -12_50),
            ("\u{2212}12.50", -12_50),
            ("12.50-", -12_50),
            ("+3.00", 3_00),
            ("0.00", 0),
        ] {
            let wanted = if text == "0.125000" { None } else { Some(minor) };
            assert_eq!(read(text, "GBP", None).ok(), wanted, "{text}");
        }
        assert_eq!(read("1,234", "JPY", None), Ok(1234));
        assert_eq!(read("¥1,500", "JPY", None), Ok(1500));
        assert_eq!(read("1.234", "KWD", Some(DecimalMark::Point)), Ok(1234));
    }

    #[test]
    fn an_amount_that_can_be_read_in_no_way_or_in_two_is_not() {
        for text in [
            "",
            "ten",
            "12.50 CR",
            "€10.00",
            "$10.00",
            "1.2.3",
            "1,23,456",
            "12..50",
            "--1",
            "-(1)",
            "1e3",
            "12.",
            "12.345",
            "1.234",
            "1.500",
            "1 2.50",
            "12;50",
            "99999999999999999999",
        ] {
            assert!(read(text, "GBP", None).is_err(), "{text}");
        }
        assert!(read("1,234", "KWD", None).is_err(), "1.234 or a thousand");
    }

    #[test]
    fn the_other_amounts_of_a_column_tell_what_a_mark_means() {
        let column = |texts: &[&str]| DecimalMark::of_column(texts.iter().copied());
        assert_eq!(column(&["12", "1,234"]), None);
        assert_eq!(column(&["12.50", "12,50"]), Some(DecimalMark::Point));
        let commas = column(&["12,50", "8,00", "1.234"]);
        assert_eq!(commas, Some(DecimalMark::Comma));
        assert_eq!(read("1.234", "GBP", commas), Ok(1_234_00));
        assert_eq!(read("1.500", "GBP", commas), Ok(1_500_00));
        assert!(read("12.50", "GBP", commas).is_err());
        let points = column(&["12.50"]);
        assert_eq!(read("1,500", "GBP", points), Ok(1_500_00));
        assert_eq!(read("1.500", "GBP", points), Ok(1_50), "a nought too many");
        assert!(read("12,50", "GBP", points).is_err());
        assert!(read("1.234", "GBP", points).is_err());
    }
}
