//! The difference between two sets of merchant rules, in sentences.

use std::collections::BTreeSet;

use crate::domain::shop::merchant::{BrandRange, Category, CategoryRule, Mcc, MerchantRules};

/// Describes what `new` changes, so that people can review it without reading two files: moved
/// codes first, then categories and their texts. Empty if nothing changes.
pub(super) fn compare(old: &MerchantRules, new: &MerchantRules) -> Vec<String> {
    let mut sentences = Vec::new();
    codes(old, new, &mut sentences);
    also(old, new, &mut sentences);
    ranges(old, new, &mut sentences);
    for rule in new {
        match old.get(&rule.category) {
            Some(before) => category(before, rule, &mut sentences),
            None => {
                sentences.push(format!("the category {} ({}) is new", rule.name, rule.category));
            }
        }
    }
    for rule in old.iter().filter(|rule| new.get(&rule.category).is_none()) {
        sentences.push(format!("the category {} ({}) is gone", rule.name, rule.category));
    }
    if order(old, new) != order(new, old) {
        sentences.push("the categories stand in another order".to_owned());
    }
    sentences
}

/// The codes whose categories differ between two sets of rules, with those of brand ranges.
pub fn moved_codes(old: &MerchantRules, new: &MerchantRules) -> Vec<Mcc> {
    let every = (0..=9999).filter_map(|number| Mcc::parse(&format!("{number:04}")).ok());
    let kinds = |rules: &MerchantRules, mcc: Mcc| -> BTreeSet<Category> {
        rules.kinds_of(Some(mcc)).iter().cloned().collect()
    };
    every.filter(|mcc| kinds(old, *mcc) != kinds(new, *mcc)).collect()
}

fn codes(old: &MerchantRules, new: &MerchantRules, sentences: &mut Vec<String>) {
    let all: BTreeSet<Mcc> =
        old.iter().chain(new).flat_map(|rule| rule.codes.keys().copied()).collect();
    for mcc in all {
        let [from, to] = [old, new].map(|rules| display_name(rules, rules.category_of(Some(mcc))));
        // A category with a new slug or name is reported once below, not for each of its codes.
        if from != to && old.category_of(Some(mcc)) != new.category_of(Some(mcc)) {
            sentences.push(format!("{mcc} moves from {from} to {to}"));
        }
        let [before, after] = [old, new].map(|rules| rules.code_name(mcc).unwrap_or_default());
        if before != after {
            sentences.push(format!("{mcc} is called {after:?} instead of {before:?}"));
        }
    }
}

/// The codes that gained or lost an additional category.
fn also(old: &MerchantRules, new: &MerchantRules, sentences: &mut Vec<String>) {
    let all = |rules: &MerchantRules| -> BTreeSet<(Mcc, Category)> {
        let of = |rule: &CategoryRule| {
            let category = rule.category.clone();
            rule.also.iter().map(move |mcc| (*mcc, category.clone())).collect::<Vec<_>>()
        };
        rules.iter().flat_map(of).collect()
    };
    let (before, after) = (all(old), all(new));
    for (mcc, category) in after.difference(&before) {
        sentences.push(format!("{mcc} counts as {} too", display_name(new, category)));
    }
    for (mcc, category) in before.difference(&after) {
        sentences.push(format!("{mcc} no longer counts as {} too", display_name(old, category)));
    }
}

fn ranges(old: &MerchantRules, new: &MerchantRules, sentences: &mut Vec<String>) {
    let all = |rules: &MerchantRules| -> Vec<(Category, BrandRange)> {
        let each = |rule: &CategoryRule| {
            let category = rule.category.clone();
            rule.ranges.clone().into_iter().map(move |range| (category.clone(), range))
        };
        rules.iter().flat_map(each).collect()
    };
    let (before, after) = (all(old), all(new));
    for (category, BrandRange { from, to, what }) in before.iter().filter(|r| !after.contains(r)) {
        let name = display_name(old, category);
        sentences
            .push(format!("{from} to {to}, where not listed, no longer means {what} in {name}"));
    }
    for (category, BrandRange { from, to, what }) in after.iter().filter(|r| !before.contains(r)) {
        let name = display_name(new, category);
        sentences.push(format!("{from} to {to}, where not listed, means {what} in {name}"));
    }
}

fn category(before: &CategoryRule, after: &CategoryRule, sentences: &mut Vec<String>) {
    let name = &after.name;
    if before.name != *name {
        sentences.push(format!("the category {} is called {name}", before.name));
    }
    if before.line != after.line {
        sentences
            .push(format!("the line of {name} is {:?} instead of {:?}", after.line, before.line));
    }
    if before.note != after.note {
        sentences
            .push(format!("the note of {name} is {:?} instead of {:?}", after.note, before.note));
    }
    if before.start != after.start {
        let (to, from) = (after.start.as_str(), before.start.as_str());
        sentences.push(format!("{name} starts as {to:?} instead of {from:?}"));
    }
    match (before.is_sensitive, after.is_sensitive) {
        (false, true) => sentences.push(format!("{name} becomes sensitive: texts mask it")),
        (true, false) => sentences.push(format!("{name} is no longer sensitive: texts name it")),
        (true, true) | (false, false) => {}
    }
}

/// The categories of `one` that `other` has too, in the order of `one`.
fn order<'r>(one: &'r MerchantRules, other: &MerchantRules) -> Vec<&'r Category> {
    one.iter().map(|rule| &rule.category).filter(|c| other.get(c).is_some()).collect()
}

fn display_name<'r>(rules: &'r MerchantRules, category: &'r Category) -> &'r str {
    rules.name(category).unwrap_or(category.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_rules::tests::changed;
    use crate::merchant_rules::{BUILT_IN_CATEGORIES as TEXT, built_in, parse};

    #[test]
    fn the_same_rules_do_not_differ() {
        assert_eq!(compare(built_in(), built_in()), Vec::<String>::new());
    }

    #[test]
    fn a_moved_code_is_said_in_words() {
        let petrol = "  \"5541 Petrol stations (pay in shop)\",\n";
        let text = changed(TEXT, petrol, "");
        let text = changed(&text, "  \"5462 Bakers\",\n", &format!("  \"5462 Bakers\",\n{petrol}"));
        let moved = parse(&text).unwrap();
        let sentences = compare(built_in(), &moved);
        assert_eq!(sentences, ["5541 moves from Driving and vehicles to Food and corner shops"]);
        let sentences = compare(&moved, built_in());
        assert_eq!(sentences, ["5541 moves from Food and corner shops to Driving and vehicles"]);
    }

    #[test]
    fn every_other_change_is_said_in_words() {
        let cases: [(&str, &str, &[&str]); 9] = [
            ("5462 Bakers", "5462 Bread", &["5462 is called \"Bread\" instead of \"Bakers\""]),
            (
                "name = \"Pubs and bars\"",
                "name = \"Pubs\"",
                &["the category Pubs and bars is called Pubs"],
            ),
            (
                "line = \"Taking out notes and coins.\"",
                "line = \"Notes.\"",
                &["the line of Cash is \"Notes.\" instead of \"Taking out notes and coins.\""],
            ),
            (
                "note = \"Many of these places also sell alcohol.\"\n",
                "",
                &["the note of Eating out and takeaway is \"\" instead of \"Many of these places \
                   also sell alcohol.\""],
            ),
            (
                "start = \"talk\"\nsensitive = true\n",
                "start = \"yes\"\n",
                &[
                    "Pubs and bars starts as \"yes\" instead of \"talk\"",
                    "Pubs and bars is no longer sensitive: texts name it",
                ],
            ),
            (
                "slug = \"eating\"",
                "sensitive = true\nslug = \"eating\"",
                &["Eating out and takeaway becomes sensitive: texts mask it"],
            ),
            (
                "slug = \"phone\"",
                "slug = \"phones\"",
                &[
                    "the category Phone, internet and TV (phones) is new",
                    "the category Phone, internet and TV (phone) is gone",
                ],
            ),
            (
                "to = \"3350\"",
                "to = \"3349\"",
                &[
                    "3000 to 3350, where not listed, no longer means Airline in Holidays and \
                     flights",
                    "3000 to 3349, where not listed, means Airline in Holidays and flights",
                ],
            ),
            (
                "[[category]]\nslug = \"eating\"",
                "[[category]]\nslug = \"fines\"\nname = \"Fines\"\nline = \"Fines.\"\nstart = \
                 \"yes\"\n\n[[category]]\nslug = \"eating\"",
                &["the category Fines (fines) is new"],
            ),
        ];
        for (from, to, expected) in cases {
            let new = parse(&changed(TEXT, from, to)).unwrap_or_else(|error| panic!("{error}"));
            let sentences = compare(built_in(), &new);
            for sentence in expected {
                assert!(
                    sentences.iter().any(|w| w == sentence),
                    "{sentence} is not in {sentences:#?}"
                );
            }
            assert_eq!(compare(built_in(), &new).is_empty(), compare(&new, built_in()).is_empty());
        }
    }

    #[test]
    fn another_order_is_said_in_words() {
        let mut rules: Vec<CategoryRule> = built_in().iter().cloned().collect();
        rules.reverse();
        let turned = MerchantRules::new(rules, String::new()).unwrap();
        assert_eq!(compare(built_in(), &turned), ["the categories stand in another order"]);
    }
}
