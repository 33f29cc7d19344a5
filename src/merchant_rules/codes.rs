//! The known merchant category codes, listed in `codes.txt`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::domain::shop::merchant::Mcc;

const CODES: &str = include_str!("../../merchant-rules/codes.txt");

static KNOWN_CODES: LazyLock<BTreeSet<Mcc>> =
    LazyLock::new(|| code_lines().filter_map(|line| Mcc::parse(line).ok()).collect());

/// Every code that a rules file must assign to a category, sorted.
pub fn known_codes() -> &'static BTreeSet<Mcc> {
    &KNOWN_CODES
}

fn code_lines() -> impl Iterator<Item = &'static str> {
    CODES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_known_codes_is_whole_and_in_order() {
        let lines: Vec<Mcc> = code_lines().map(|line| Mcc::parse(line).unwrap()).collect();
        assert_eq!(lines.len(), 932);
        assert!(lines.is_sorted_by(|one, next| one < next), "in order, none twice");
    }
}
