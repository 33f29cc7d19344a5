//! Country codes and names.

use std::{collections::BTreeMap, sync::LazyLock};

const LIST: &str = include_str!("countries.txt");

/// Alpha-2 code by every code and name of the country, each [`folded`].
static CODES: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    let mut codes = BTreeMap::new();
    for (alpha_2, rest) in lines.filter_map(|line| line.split_once(' ')) {
        let (alpha_3, names) = rest.split_once(' ').unwrap_or((rest, ""));
        let names = names.split(", ").chain([alpha_2, alpha_3]);
        codes.extend(names.map(|name| (folded(name), alpha_2)));
    }
    codes
});

/// The ISO 3166 alpha-2 code of the country with this code or name; `None` when it is unknown or
/// ambiguous.
pub(super) fn code(text: &str) -> Option<&'static str> {
    CODES.get(&folded(text)).copied()
}

/// Normalises a name for comparison: upper case, without points and without "the".
fn folded(text: &str) -> String {
    let upper = text.to_uppercase().replace('.', "");
    let words = upper.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.filter(|word| *word != "THE").collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_found_by_each_of_its_names_and_no_name_means_two() {
        let mut seen = BTreeMap::new();
        let lines: Vec<_> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 250, "249 of ISO 3166-1, and Kosovo");
        for (alpha_2, rest) in lines.iter().filter_map(|line| line.split_once(' ')) {
            for name in rest[4..].split(", ").chain([alpha_2, &rest[..3]]) {
                assert_eq!(code(name), Some(alpha_2), "{name}");
                let other = seen.insert(folded(name), alpha_2).filter(|other| *other != alpha_2);
                assert_eq!(other, None, "{name} is {alpha_2} as well");
            }
        }
    }

    #[test]
    fn a_country_is_read_as_people_write_it() {
        for text in ["gb", "UK", "u.k.", "GBR", "Great Britain", "the United Kingdom", "england"] {
            assert_eq!(code(text), Some("GB"), "{text}");
        }
        assert_eq!(code("côte d'ivoire"), Some("CI"));
        for text in ["", "ZZ", "Congo", "Korea", "somewhere", "12"] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
