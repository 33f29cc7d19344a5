//! Reads `guide.toml`: the spending guide that agreements refer to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::domain::shop::merchant::{Category, MerchantRules};

use super::reader::{Located, RulesEntry, RulesReader};
use super::{GUIDE_FILE, RulesError, digest};

/// The starter guide that comes with Sayso.
pub const BUILT_IN_GUIDE: &str = include_str!("../../merchant-rules/guide.toml");

static BUILT_IN: LazyLock<Guide> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is part of the program; a test reads it")]
    parse_guide(BUILT_IN_GUIDE, super::built_in()).expect("the built-in guide is right")
});

/// A spending guide: what a programme's money is for, in words that people wrote together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guide {
    /// Increases with every change, so that an agreement can name the version that it follows.
    pub version: u32,
    pub title: String,
    /// The groups who wrote it. A programme names them before it publishes the guide.
    pub authors: Vec<String>,
    /// The date of the next review.
    pub review_on: Option<jiff::civil::Date>,
    pub paragraphs: Vec<Paragraph>,
    /// Identifies the text: its SHA-256 in hexadecimal.
    pub digest: String,
}

/// A paragraph that a term or an answer can refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    pub id: String,
    pub text: String,
    /// The categories that it is about; empty means all.
    pub categories: Vec<Category>,
}

impl Guide {
    /// The paragraph with this id.
    pub fn paragraph(&self, id: &str) -> Option<&Paragraph> {
        self.paragraphs.iter().find(|paragraph| paragraph.id == id)
    }

    /// The paragraphs that name `category`, in the guide's order. Paragraphs about all categories
    /// are not included.
    pub fn about(&self, category: &Category) -> impl Iterator<Item = &Paragraph> {
        self.paragraphs.iter().filter(move |paragraph| paragraph.categories.contains(category))
    }
}

/// The built-in guide, for programmes without their own.
pub fn built_in_guide() -> &'static Guide {
    &BUILT_IN
}

/// Reads a guide whose paragraphs name categories of `rules`.
///
/// # Errors
///
/// Every problem at once, sorted by line; only the syntax errors if the text is not TOML.
pub fn parse_guide(text: &str, rules: &MerchantRules) -> Result<Guide, RulesError> {
    parse_file(GUIDE_FILE, text, Some(rules))
}

/// Reads a published guide. Its categories are not checked, because they are those of its time.
///
/// # Errors
///
/// As [`parse_guide`].
pub fn published_guide(text: &str) -> Result<Guide, RulesError> {
    parse_file(GUIDE_FILE, text, None)
}

/// Reads a guide. Without `rules`, its categories are not checked.
pub(super) fn parse_file(
    file: &str,
    text: &str,
    rules: Option<&MerchantRules>,
) -> Result<Guide, RulesError> {
    let mut reader = RulesReader::new(file, text);
    let guide = reader.table().and_then(|table| {
        let fields = ["version", "title", "authors", "review_on", "paragraph"];
        let root = reader.entry("the guide", 1, &table, &fields);
        let version = reader.number(&root, "version");
        let title = reader.text(&root, "title");
        let authors =
            reader.texts(&root, "authors").into_iter().map(|author| author.value).collect();
        let review_on = reader.date(&root, "review_on");
        let fields = ["id", "text", "categories"];
        let entries = reader.tables(&root, "paragraph", "a paragraph", &fields);
        if !root.has("paragraph") {
            let end = reader.last_line();
            reader.problem(
                end,
                "the guide has no paragraph; begin one with [[paragraph]]".to_owned(),
            );
        }
        let mut ids = BTreeMap::new();
        let paragraphs = entries
            .iter()
            .filter_map(|entry| paragraph(&mut reader, &mut ids, rules, entry))
            .collect();
        let (version, title) = (version?, title?.value);
        Some(Guide { version, title, authors, review_on, paragraphs, digest: digest(text) })
    });
    reader.finish(guide)
}

fn paragraph<'t>(
    reader: &mut RulesReader<'t>,
    ids: &mut BTreeMap<String, usize>,
    rules: Option<&MerchantRules>,
    entry: &RulesEntry<'_, 't>,
) -> Option<Paragraph> {
    let id = reader.text(entry, "id");
    if let Some(Located { line, value }) = &id {
        if Category::parse(value).is_err() {
            let text = format!("{value:?} cannot be an id: use 1 to 24 of a-z, 0-9 and -");
            reader.problem(*line, text);
        }
        if let Some(first) = ids.insert(value.clone(), *line) {
            reader
                .problem(*line, format!("the id {value} is taken on line {first}; choose another"));
        }
    }
    let text = reader.text(entry, "text");
    let mut categories = Vec::new();
    for Located { line, value } in reader.texts(entry, "categories") {
        let known = Category::parse(&value)
            .ok()
            .filter(|category| rules.is_none_or(|rules| rules.get(category).is_some()));
        match known {
            Some(category) if categories.contains(&category) => {
                reader.problem(line, format!("{value:?} is in this paragraph twice; keep one"));
            }
            Some(category) => categories.push(category),
            None => {
                let text = format!(
                    "there is no category {value:?}; use a slug of {}",
                    super::CATEGORIES_FILE
                );
                reader.problem(line, text);
            }
        }
    }
    Some(Paragraph { id: id?.value, text: text?.value, categories })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_rules::built_in;
    use crate::merchant_rules::tests::{changed, line_with};

    const TEXT: &str = BUILT_IN_GUIDE;

    #[test]
    fn the_built_in_guide_speaks_about_every_category() {
        let guide = parse_guide(TEXT, built_in()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&guide, built_in_guide());
        for rule in built_in() {
            assert!(guide.about(&rule.category).next().is_some(), "{}", rule.category);
        }
        assert!(guide.paragraph("yours").unwrap().categories.is_empty());
        assert!(guide.paragraph("nothing").is_none());
    }

    #[test]
    fn the_built_in_guide_has_short_sentences() {
        for paragraph in &built_in_guide().paragraphs {
            for sentence in paragraph.text.split_inclusive(['.', '?', ':']) {
                let words = sentence.split_whitespace().count();
                assert!(words <= 22, "{}: {words} words: {sentence}", paragraph.id);
            }
        }
    }

    #[test]
    fn a_review_date_and_authors_are_read() {
        let text = changed(TEXT, "authors = []", "review_on = 2027-05-31\nauthors = [\"Dee\"]");
        let guide = parse_guide(&text, built_in()).unwrap();
        assert_eq!(guide.review_on, Some(jiff::civil::date(2027, 5, 31)));
        assert_eq!(guide.authors, ["Dee"]);
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let at = |needle| line_with(TEXT, needle);
        let cases = [
            (
                "[\"phone\", \"apps\"",
                "[\"phone\", \"fones\"",
                at("[\"phone\", \"apps\""),
                "there is no category \"fones\"; use a slug of categories.toml",
            ),
            (
                "[\"phone\", \"apps\"",
                "[\"phone\", \"phone\"",
                at("[\"phone\", \"apps\""),
                "\"phone\" is in this paragraph twice; keep one",
            ),
            (
                "id = \"list\"",
                "id = \"yours\"",
                at("id = \"list\""),
                &format!("the id yours is taken on line {}; choose another", at("id = \"yours\"")),
            ),
            (
                "id = \"list\"",
                "id = \"The list\"",
                at("id = \"list\""),
                "\"The list\" cannot be an id: use 1 to 24 of a-z, 0-9 and -",
            ),
            (
                "id = \"list\"\n",
                "",
                at("id = \"list\"") - 1,
                "a paragraph needs id: write id = \"…\" here",
            ),
            ("version = 1\n", "", 1, "the guide needs version: write version = 1 here"),
            (
                "version = 1",
                "version = 0",
                at("version = 1"),
                "version of the guide is not a whole number of 1 or more",
            ),
            (
                "authors = []",
                "authors = \"Dee\"",
                at("authors = []"),
                "authors of the guide is not a list: put it in [brackets]",
            ),
            (
                "authors = []",
                "review_on = \"soon\"",
                at("authors = []"),
                "review_on of the guide is not a date: write it like 2027-05-31",
            ),
            (
                "id = \"list\"",
                "ide = \"list\"",
                at("id = \"list\""),
                "\"ide\" is not a field of a paragraph; the fields are id, text, categories",
            ),
        ];
        for (from, to, line, words) in cases {
            let error = parse_guide(&changed(TEXT, from, to), built_in()).unwrap_err();
            let found = error.problems.iter().any(|p| p.line == line && p.text == words);
            assert!(found, "{to:?} gave {error}");
        }
        let error = parse_guide("version = 1\ntitle = \"x\"\n", built_in()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "guide.toml:2: the guide has no paragraph; begin one with [[paragraph]]"
        );
    }
}
