//! Currencies: their decimals by ISO 4217, and the units in which Stripe writes amounts.

/// Currencies with no, three and four decimals (ISO 4217). All others have two.
const ZERO_DECIMAL: [&str; 17] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
];
const THREE_DECIMAL: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
const FOUR_DECIMAL: [&str; 2] = ["CLF", "UYW"];

/// Currencies that Stripe writes without decimals (Stripe, "Zero-decimal currencies").
const STRIPE_ZERO_DECIMAL: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
];

/// The number of decimals of the currency.
pub(crate) fn decimals(code: &str) -> u32 {
    if ZERO_DECIMAL.contains(&code) {
        0
    } else if THREE_DECIMAL.contains(&code) {
        3
    } else if FOUR_DECIMAL.contains(&code) {
        4
    } else {
        2
    }
}

fn stripe_decimals(code: &str) -> u32 {
    match decimals(code) {
        _ if STRIPE_ZERO_DECIMAL.contains(&code) => 0,
        3 => 3,
        _ => 2,
    }
}

/// Converts minor units to Stripe's units; `None` when the amount is finer than Stripe can
/// represent. Stripe requires amounts of three decimals to end in a zero.
pub(crate) fn to_stripe(amount_minor: i64, code: &str) -> Option<i64> {
    let (ours, theirs) = (decimals(code), stripe_decimals(code));
    let amount = amount_minor.checked_mul(10_i64.checked_pow(theirs.saturating_sub(ours))?)?;
    let step = 10_i64.checked_pow(ours.saturating_sub(theirs))?;
    let is_representable = amount % step == 0 && (theirs != 3 || amount % 10 == 0);
    is_representable.then_some(amount / step)
}

/// Converts Stripe's units to minor units.
pub(crate) fn from_stripe(amount: i64, code: &str) -> i64 {
    let (ours, theirs) = (decimals(code), stripe_decimals(code));
    amount * 10_i64.pow(ours.saturating_sub(theirs)) / 10_i64.pow(theirs.saturating_sub(ours))
}

/// Parses an amount in major units as programme files write it: digits, at most one point, and no
/// more decimals than the currency has.
pub(crate) fn parse_major(text: &str, code: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_plain(whole) || !is_plain(part) {
        return None;
    }
    to_minor(whole, part, code)
}

/// The amount with these digits before and after the decimal mark, in minor units; `None` when it
/// is finer than the currency or does not fit into an `i64`.
pub(crate) fn to_minor(whole: &str, part: &str, code: &str) -> Option<i64> {
    let decimals = usize::try_from(decimals(code)).ok()?;
    let part = part.trim_end_matches('0');
    if part.len() > decimals {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{whole}{part:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (text, code, minor) in [
            ("40.00", "GBP", Some(40_00)),
            ("0.05", "GBP", Some(5)),
            ("40", "GBP", Some(40_00)),
            ("40.5", "GBP", Some(40_50)),
            ("1250", "JPY", Some(1250)),
            ("1250.00", "JPY", Some(1250)),
            ("1.5", "JPY", None),
            ("1.234", "KWD", Some(1234)),
            ("1.2345", "KWD", None),
            ("1.2345", "CLF", Some(1_2345)),
            ("12.345", "CHF", None),
        ] {
            assert_eq!(parse_major(text, code), minor, "{text} {code}");
        }
        for wrong in ["-1.00", "1.-1", ".50", "1e3.00", "1.", "", "1,00", "9999999999999999999"] {
            assert_eq!(parse_major(wrong, "GBP"), None, "{wrong}");
        }
    }

    #[test]
    fn stripe_has_units_of_its_own() {
        for (minor, code, theirs) in [
            (12_50, "GBP", Some(12_50)),
            (1250, "JPY", Some(1250)),
            (15, "ISK", Some(15_00)),
            (15, "UGX", Some(15)),
            (1230, "KWD", Some(1230)),
            (1234, "KWD", None),
            (15_00, "MGA", Some(15)),
            (15_50, "MGA", None),
            (-1_2300, "CLF", Some(-1_23)),
        ] {
            assert_eq!(to_stripe(minor, code), theirs, "{minor} {code}");
            if let Some(theirs) = theirs {
                assert_eq!(from_stripe(theirs, code), minor, "{theirs} {code}");
            }
        }
    }
}
