//! Reads `categories.toml`: every known code once, every category with its texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::domain::shop::merchant::{
    BrandRange, Category, CategoryRule, DefaultAnswer, Mcc, MerchantRules,
};

use super::codes::known_codes;
use super::reader::{Located, RulesEntry, RulesReader};
use super::shops::built_in_shops;
use super::{CATEGORIES_FILE, RulesError, digest};

/// The categories that come with Sayso.
pub const BUILT_IN_CATEGORIES: &str = include_str!("../../merchant-rules/categories.toml");

static BUILT_IN: LazyLock<MerchantRules> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is part of the program; a test reads it")]
    parse(BUILT_IN_CATEGORIES).expect("the built-in categories are right")
});

const CATEGORY_FIELDS: [&str; 9] =
    ["slug", "name", "line", "start", "sensitive", "note", "codes", "also", "brands"];
const BRANDS_FIELDS: [&str; 4] = ["from", "to", "what", "codes"];

/// The built-in rules, for programmes without their own.
pub fn built_in() -> &'static MerchantRules {
    &BUILT_IN
}

/// Reads merchant rules from the text of a `categories.toml`.
///
/// # Errors
///
/// Every problem at once, sorted by line; only the syntax errors if the text is not TOML.
pub fn parse(text: &str) -> Result<MerchantRules, RulesError> {
    parse_file(CATEGORIES_FILE, text)
}

pub(super) fn parse_file(file: &str, text: &str) -> Result<MerchantRules, RulesError> {
    let mut reader = RulesReader::new(file, text);
    let rules = reader.table().and_then(|table| {
        let root = reader.entry("the file", 1, &table, &["category"]);
        let mut declared = DeclaredCategories::default();
        let entries = reader.tables(&root, "category", "a category", &CATEGORY_FIELDS);
        let rules: Vec<CategoryRule> = entries
            .iter()
            .filter_map(|entry| category(&mut reader, &mut declared, entry))
            .collect();
        declared.missing(&mut reader);
        declared.overlaps(&mut reader);
        MerchantRules::new(rules, digest(text))
            .map(|rules| rules.with_shops(Arc::clone(built_in_shops())))
            .inspect_err(|error| {
                // A fallback: these errors should have been reported above with their lines.
                if reader.is_clean() {
                    reader.problem(1, error.to_string());
                }
            })
            .ok()
    });
    reader.finish(rules)
}

/// The slugs, names, codes and ranges that were read so far, with their lines.
#[derive(Debug, Default)]
struct DeclaredCategories {
    slugs: BTreeMap<Category, usize>,
    names: BTreeMap<String, usize>,
    codes: BTreeMap<Mcc, usize>,
    ranges: Vec<Located<BrandRange>>,
}

impl DeclaredCategories {
    fn code(&mut self, reader: &mut RulesReader<'_>, mcc: Mcc, line: usize) -> bool {
        if let Some(first) = self.codes.get(&mcc) {
            reader
                .problem(line, format!("{mcc} is listed on line {first} and again here; keep one"));
            return false;
        }
        self.codes.insert(mcc, line);
        true
    }

    fn missing(&mut self, reader: &mut RulesReader<'_>) {
        let missing = known_codes().iter().filter(|mcc| !self.codes.contains_key(mcc));
        let missing: Vec<String> = missing.map(Mcc::to_string).collect();
        let end = reader.last_line();
        match missing.as_slice() {
            [] => {}
            [code] => {
                reader
                    .problem(end, format!("{code} is in no category; add it to the codes of one"));
            }
            codes => {
                let (count, codes) = (codes.len(), codes.join(", "));
                let text = format!(
                    "{count} codes are in no category: {codes}; add each to the codes of one"
                );
                reader.problem(end, text);
            }
        }
        if !self.slugs.contains_key(&Category::unsorted()) {
            let text = "there is no category with slug = \"unsorted\"; codes nobody knows need it";
            reader.problem(end, text.to_owned());
        }
    }

    fn overlaps(&mut self, reader: &mut RulesReader<'_>) {
        self.ranges.sort_by_key(|range| range.value.from);
        let mut widest: Option<&Located<BrandRange>> = None;
        for range in &self.ranges {
            if let Some(other) = widest.filter(|other| range.value.from <= other.value.to) {
                let (from, to) = (range.value.from, range.value.to);
                let (other_from, other_to, other_line) =
                    (other.value.from, other.value.to, other.line);
                let text = format!(
                    "the brands {from} to {to} overlap {other_from} to {other_to} on line \
                     {other_line}; end one before the other starts"
                );
                reader.problem(range.line.max(other_line), text);
            }
            if widest.is_none_or(|widest| range.value.to > widest.value.to) {
                widest = Some(range);
            }
        }
    }
}

fn category<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredCategories,
    entry: &RulesEntry<'_, 't>,
) -> Option<CategoryRule> {
    let slug = reader.text(entry, "slug").and_then(|slug| new_slug(reader, declared, &slug));
    let name = reader.text(entry, "name").map(|name| {
        if let Some(first) = declared.names.insert(name.value.clone(), name.line) {
            let text = format!("{:?} is also the name on line {first}; change one", name.value);
            reader.problem(name.line, text);
        }
        name.value
    });
    let line = reader.text(entry, "line");
    let start = reader.text(entry, "start").and_then(|start| match start.value.as_str() {
        "yes" => Some(DefaultAnswer::Yes),
        "talk" => Some(DefaultAnswer::Talk),
        word => {
            reader.problem(start.line, format!("start is {word:?}; it can be \"yes\" or \"talk\""));
            None
        }
    });
    let is_sensitive = reader.flag(entry, "sensitive");
    let note = reader.optional_text(entry, "note").map_or_else(String::new, |note| note.value);
    let mut codes = BTreeMap::new();
    for (_, mcc, name) in listed(reader, declared, entry) {
        codes.insert(mcc, name);
    }
    let mut ranges = Vec::new();
    for brands in reader.tables(entry, "brands", "a run of brands", &BRANDS_FIELDS) {
        let range = brand_range(reader, declared, &brands);
        for (line, mcc, name) in listed(reader, declared, &brands) {
            let Some(range) = &range else { continue };
            if !range.contains(mcc) {
                let (from, to) = (range.from, range.to);
                let text = format!("{mcc} is not one of {from} to {to}; put it where it belongs");
                reader.problem(line, text);
            }
            codes.insert(mcc, format!("{}: {name}", range.what));
        }
        ranges.extend(range);
    }
    Some(CategoryRule {
        category: slug?,
        name: name?,
        line: line?.value,
        note,
        start: start?,
        is_sensitive,
        also: also(reader, entry, &codes),
        codes,
        ranges,
    })
}

/// The codes of other categories that also count as this one.
fn also<'t>(
    reader: &mut RulesReader<'t>,
    entry: &RulesEntry<'_, 't>,
    codes: &BTreeMap<Mcc, String>,
) -> BTreeSet<Mcc> {
    let mut also = BTreeSet::new();
    for Located { line, value } in reader.texts(entry, "also") {
        let code = value.split_whitespace().next().unwrap_or_default();
        match Mcc::parse(code).ok().filter(|mcc| known_codes().contains(mcc)) {
            None => {
                let text = format!("{value:?} does not start with a known code");
                reader.problem(line, text);
            }
            Some(mcc) if codes.contains_key(&mcc) => {
                let text = format!("{mcc} is of this category anyway; take it out of also");
                reader.problem(line, text);
            }
            Some(mcc) if !also.insert(mcc) => {
                reader.problem(line, format!("{mcc} stands in also twice; keep one"));
            }
            Some(_) => {}
        }
    }
    also
}

fn new_slug(
    reader: &mut RulesReader<'_>,
    declared: &mut DeclaredCategories,
    slug: &Located<String>,
) -> Option<Category> {
    let Ok(category) = Category::parse(&slug.value) else {
        let text = format!("{:?} cannot be a slug: use 1 to 24 of a-z, 0-9 and -", slug.value);
        reader.problem(slug.line, text);
        return None;
    };
    if let Some(first) = declared.slugs.insert(category.clone(), slug.line) {
        let text = format!("the slug {category} is taken on line {first}; choose another");
        reader.problem(slug.line, text);
    }
    Some(category)
}

/// The valid entries of `codes`, such as `"5411 Supermarkets and grocers"`; unknown and repeated
/// codes are reported and left out.
fn listed<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredCategories,
    entry: &RulesEntry<'_, 't>,
) -> Vec<(usize, Mcc, String)> {
    let mut found = Vec::new();
    for Located { line, value } in reader.texts(entry, "codes") {
        let (code, name) = value.split_once(char::is_whitespace).unwrap_or((&value, ""));
        let Ok(mcc) = Mcc::parse(code) else {
            let text = format!(
                "{value:?} does not start with a four-digit code; write it like \"5462 Bakers\""
            );
            reader.problem(line, text);
            continue;
        };
        if name.trim().is_empty() {
            let text = format!("{mcc} has no name; write it like \"5462 Bakers\"");
            reader.problem(line, text);
        }
        if !known_codes().contains(&mcc) {
            let text = format!("{mcc} is not a known code; correct it or take the line out");
            reader.problem(line, text);
        } else if declared.code(reader, mcc, line) {
            found.push((line, mcc, name.trim().to_owned()));
        }
    }
    found
}

fn brand_range<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredCategories,
    entry: &RulesEntry<'_, 't>,
) -> Option<BrandRange> {
    let mut end = |key| {
        let text = reader.text(entry, key)?;
        let mcc = Mcc::parse(&text.value).ok();
        // Networks reserve 3000 to 3999 for brands; ranges elsewhere could hide unsorted codes.
        let mcc = mcc.filter(|mcc| mcc.to_string().starts_with('3'));
        if mcc.is_none() {
            let text = format!("{key} is {:?}; brands are codes from 3000 to 3999", text.value);
            reader.problem(entry.line(), text);
        }
        mcc
    };
    let (from, to) = (end("from"), end("to"));
    let what = reader.text(entry, "what");
    let range = BrandRange { from: from?, to: to?, what: what?.value };
    if range.to < range.from {
        let text = format!("{} to {} ends before it starts; swap them", range.from, range.to);
        reader.problem(entry.line(), text);
        return None;
    }
    declared.ranges.push(Located { line: entry.line(), value: range.clone() });
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_rules::tests::{changed, line_with};

    const TEXT: &str = BUILT_IN_CATEGORIES;

    /// The line and the text of each problem of the built-in file after one replacement.
    fn problems(from: &str, to: &str) -> Vec<(usize, String)> {
        let error = parse(&changed(TEXT, from, to)).unwrap_err();
        error.problems.into_iter().map(|problem| (problem.line, problem.text)).collect()
    }

    fn mcc(code: &str) -> Mcc {
        Mcc::parse(code).unwrap()
    }

    #[test]
    fn the_built_in_file_sorts_every_known_code_once_into_36_categories() {
        let rules = parse(TEXT).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&rules, built_in());
        assert_eq!(rules.iter().count(), 36);
        let mut listed: Vec<Mcc> = rules.iter().flat_map(|r| r.codes.keys().copied()).collect();
        listed.sort();
        assert!(listed.iter().eq(known_codes()), "each known code in one category");
        let unsorted = rules.get(&Category::unsorted()).unwrap();
        let unsorted: Vec<String> = unsorted.codes.keys().map(Mcc::to_string).collect();
        assert_eq!(unsorted, ["9700", "9701", "9702", "9950"]);
    }

    #[test]
    fn codes_go_where_people_expect_them() {
        let cases = [
            ("0742", "pets", "Vets"),
            ("3005", "holidays", "Airline: British Airways"),
            ("3262", "holidays", "Airline: Reno Air, Inc."),
            ("3350", "holidays", "Airline"),
            ("3351", "driving", "Car hire: Affiliated"),
            ("3500", "driving", "Car hire"),
            ("3501", "hotels", "Hotel: Holiday Inns"),
            ("3997", "hotels", "Hotel"),
            ("3999", "hotels", "Hotel"),
            ("5411", "food", "Supermarkets and grocers"),
            ("5541", "driving", "Petrol stations (pay in shop)"),
            ("5940", "around", "Bike shops and repairs"),
            ("5994", "food", "Newsagents and kiosks"),
        ];
        for (code, category, name) in cases {
            assert_eq!(built_in().category_of(Some(mcc(code))).as_str(), category, "{code}");
            assert_eq!(built_in().code_name(mcc(code)), Some(name));
        }
        assert_eq!(built_in().category_of(Some(mcc("3998"))).as_str(), "around");
        assert_eq!(built_in().category_of(Some(mcc("0000"))).as_str(), "unsorted");
    }

    #[test]
    fn categories_that_say_something_private_are_sensitive() {
        let sensitive = built_in().iter().filter(|r| r.is_sensitive).map(|r| r.category.as_str());
        let mut sensitive: Vec<&str> = sensitive.collect();
        sensitive.sort_unstable();
        let expected = [
            "adult", "alcohol", "banks", "gambling", "giving", "health", "official", "pubs",
            "tobacco",
        ];
        assert_eq!(sensitive, expected);
    }

    /// Checks each case: the replaced text, its replacement, the line and the text of the problem.
    fn each_is_named(cases: &[(&str, &str, usize, &str)]) {
        for (from, to, line, words) in cases {
            let found = problems(from, to);
            assert!(found.contains(&(*line, (*words).to_owned())), "{to:?} gave {found:#?}");
        }
    }

    #[test]
    fn mistakes_in_codes_are_named_with_their_lines() {
        let at = |needle| line_with(TEXT, needle);
        let bakers = at("5462 Bakers");
        each_is_named(&[
            (
                "  \"5462 Bakers\",\n",
                "",
                TEXT.lines().count() - 1,
                "5462 is in no category; add it to the codes of one",
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", \"5813 Pubs\"",
                at("5813 Pubs"),
                &format!("5813 is listed on line {bakers} and again here; keep one"),
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", \"3005 BA\"",
                at("\"3005 British"),
                &format!("3005 is listed on line {bakers} and again here; keep one"),
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", \"5462 Bakers\"",
                at("5462"),
                &format!("5462 is listed on line {bakers} and again here; keep one"),
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", \"1234 Odd\"",
                at("5462"),
                "1234 is not a known code; correct it or take the line out",
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", \"742 Vets\"",
                at("5462"),
                "\"742 Vets\" does not start with a four-digit code; write it like \"5462 Bakers\"",
            ),
            (
                "\"5462 Bakers\"",
                "\"5462\"",
                at("5462"),
                "5462 has no name; write it like \"5462 Bakers\"",
            ),
            (
                "\"5462 Bakers\"",
                "\"5462 Bakers\", 5499",
                at("5462"),
                "a line of codes of a category is not a text: put it in \"quotes\"",
            ),
        ]);
    }

    #[test]
    fn mistakes_in_words_are_named_with_their_lines() {
        let at = |needle| line_with(TEXT, needle);
        let food = at("slug = \"food\"");
        let end = TEXT.lines().count();
        each_is_named(&[
            (
                "line = \"Cafes, restaurants and takeaways.\"\n",
                "",
                at("slug = \"eating\"") - 1,
                "a category needs line: write line = \"…\" here",
            ),
            (
                "name = \"Eating out and takeaway\"",
                "name = \" \"",
                at("name = \"Eating"),
                "name of a category is empty: write what it is",
            ),
            (
                "name = \"Eating out and takeaway\"",
                "name = \"Food and corner shops\"",
                at("name = \"Eating"),
                &format!(
                    "\"Food and corner shops\" is also the name on line {}; change one",
                    food + 1
                ),
            ),
            (
                "slug = \"eating\"",
                "slug = \"food\"",
                at("slug = \"eating\""),
                &format!("the slug food is taken on line {food}; choose another"),
            ),
            (
                "slug = \"eating\"",
                "slug = \"Eating out\"",
                at("slug = \"eating\""),
                "\"Eating out\" cannot be a slug: use 1 to 24 of a-z, 0-9 and -",
            ),
            (
                "slug = \"unsorted\"",
                "slug = \"rest\"",
                end,
                "there is no category with slug = \"unsorted\"; codes nobody knows need it",
            ),
            (
                "start = \"talk\"",
                "start = \"never\"",
                at("start = \"talk\""),
                "start is \"never\"; it can be \"yes\" or \"talk\"",
            ),
            (
                "sensitive = true",
                "sensitive = \"yes\"",
                at("sensitive = true"),
                "sensitive of a category is neither true nor false",
            ),
            (
                "note = \"Many of these places",
                "colour = \"blue\"\nnote = \"Many of these places",
                at("note = \"Many of these"),
                "\"colour\" is not a field of a category; the fields are slug, name, line, start, \
                 sensitive, note, codes, also, brands",
            ),
            (
                "[[category]]\nslug = \"food\"",
                "version = 1\n[[category]]\nslug = \"food\"",
                at("slug = \"food\"") - 1,
                "\"version\" is not a field of the file; the fields are category",
            ),
        ]);
    }

    #[test]
    fn mistakes_in_brands_are_named_with_their_lines() {
        let at = |needle| line_with(TEXT, needle);
        each_is_named(&[
            (
                "to = \"3500\"",
                "to = \"3510\"",
                at("from = \"3501\"") - 1,
                &format!(
                    "the brands 3501 to 3999 overlap 3351 to 3510 on line {}; end one before the \
                     other starts",
                    at("from = \"3351\"") - 1
                ),
            ),
            (
                "to = \"3350\"",
                "to = \"4350\"",
                at("from = \"3000\"") - 1,
                "to is \"4350\"; brands are codes from 3000 to 3999",
            ),
            (
                "from = \"3351\"\nto = \"3500\"",
                "from = \"3500\"\nto = \"3351\"",
                at("from = \"3351\"") - 1,
                "3500 to 3351 ends before it starts; swap them",
            ),
            (
                "from = \"3351\"",
                "from = \"3352\"",
                at("3351 Affiliated"),
                "3351 is not one of 3352 to 3500; put it where it belongs",
            ),
            (
                "[[category.brands]]\nfrom = \"3351\"",
                "[category.brands]\nfrom = \"3351\"",
                at("from = \"3351\"") - 1,
                "this is not a run of brands: begin it with [[…brands]], in two brackets",
            ),
        ]);
    }

    #[test]
    fn one_mistake_is_one_problem() {
        let single = [
            ("  \"5462 Bakers\",\n", ""),
            ("\"5462 Bakers\"", "\"5462 Bakers\", \"5813 Pubs\""),
            ("slug = \"eating\"", "slug = \"food\""),
            ("start = \"talk\"", "start = \"never\""),
            ("slug = \"unsorted\"", "slug = \"rest\""),
            ("slug = \"unsorted\"\n", "slug = \"unsorted\"\nlines = \"x\"\n"),
            ("to = \"3500\"", "to = \"3510\""),
        ];
        for (from, to) in single {
            let found = problems(from, to);
            assert_eq!(found.len(), 1, "{to:?} gave {found:#?}");
        }
    }

    #[test]
    fn a_category_with_a_mistake_is_not_also_missing() {
        let line = "line = \"The card company did not tell us what kind of shop it is.\"\n";
        let found = problems(line, "");
        assert_eq!(found.len(), 1, "{found:#?}");
    }

    #[test]
    fn syntax_errors_have_their_lines() {
        let found = problems("slug = \"eating\"", "slug = eating");
        let line = line_with(TEXT, "slug = \"eating\"");
        assert!(
            found.iter().all(|(at, words)| *at == line && words.starts_with("this is not TOML"))
        );
        assert!(!found.is_empty());
        let found = problems("name = \"Eating out and takeaway\"", "slug = \"eating\"");
        assert_eq!(found.first().map(|(at, _)| *at), Some(line + 1), "{found:?}");
    }

    #[test]
    fn all_problems_come_at_once_in_the_order_of_lines() {
        let text = changed(TEXT, "start = \"talk\"", "start = \"never\"");
        let text = changed(&text, "slug = \"eating\"", "slug = \"food\"");
        let text = changed(&text, "  \"0742 Vets\",\n", "");
        let error = parse(&changed(&text, "  \"5462 Bakers\",\n", "")).unwrap_err();
        let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines.is_sorted());
        let shown = error.to_string();
        assert!(shown.starts_with("categories.toml:"), "{shown}");
        assert!(shown.contains("2 codes are in no category: 0742, 5462;"), "{shown}");
    }

    #[test]
    fn an_empty_file_misses_every_code() {
        let error = parse("").unwrap_err();
        assert_eq!(error.problems.len(), 2, "{error}");
        assert!(error.to_string().contains("932 codes are in no category: 0742, 0743"));
    }

    proptest::proptest! {
        /// The file with any part cut out is read or refused, without a panic.
        #[test]
        fn a_damaged_file_is_read_without_harm(from in 0_usize..34_000, length in 1_usize..400) {
            let kept = TEXT.char_indices().filter(|(at, _)| !(from..from + length).contains(at));
            let text: String = kept.map(|(_, c)| c).collect();
            if let Err(error) = parse(&text) {
                let last = text.lines().count() + 1;
                proptest::prop_assert!(!error.problems.is_empty());
                proptest::prop_assert!(error.problems.iter().all(|p| (1..=last).contains(&p.line)));
            }
        }
    }
}
