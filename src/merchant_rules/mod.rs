//! Reads merchant rules from the texts that people write into the domain's rules.
//!
//! A programme's folder may hold `categories.toml` (the category of each merchant category code),
//! `shops.toml` (the shop behind each printed line) and `guide.toml` (what the money is for). Every
//! problem has its file, its line and a way to correct it.

mod categories;
mod codes;
mod difference;
mod guide;
mod reader;
mod shops;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::domain::shop::merchant::MerchantRules;
use crate::domain::shop::table::{Shop, ShopTable};
use difference::compare;

pub use categories::{BUILT_IN_CATEGORIES, built_in, parse};
pub use codes::known_codes;
pub use difference::moved_codes;
pub use guide::{BUILT_IN_GUIDE, Guide, Paragraph, built_in_guide, parse_guide, published_guide};
pub use shops::{BUILT_IN_SHOPS, built_in_shops, parse_shops, with_own_shops};

/// Assigns codes to categories.
pub const CATEGORIES_FILE: &str = "categories.toml";
/// Holds the spending guide.
pub const GUIDE_FILE: &str = "guide.toml";
/// Assigns printed lines to shops.
pub const SHOPS_FILE: &str = "shops.toml";

/// The texts of a programme's merchant rules.
#[derive(Debug, Clone, Copy)]
pub struct RulesTexts<'a> {
    pub categories: &'a str,
    /// `None`: the built-in table of shops.
    pub shops: Option<&'a str>,
}

impl<'a> From<&'a str> for RulesTexts<'a> {
    /// The categories, with the built-in table of shops.
    fn from(categories: &'a str) -> Self {
        Self { categories, shops: Some(BUILT_IN_SHOPS) }
    }
}

/// Reads merchant rules, and puts a programme's `own` shops before those of the table.
///
/// # Errors
///
/// Every problem of the first text that has any.
pub fn read(texts: RulesTexts<'_>, own: &[Shop]) -> Result<MerchantRules, RulesError> {
    let rules = parse(texts.categories)?;
    let table = match texts.shops {
        Some(text) if text != BUILT_IN_SHOPS => Arc::new(parse_shops(text)?),
        Some(_) | None => Arc::clone(built_in_shops()),
    };
    let table = if own.is_empty() { table } else { Arc::new(with_own_shops(&table, own)) };
    Ok(rules.with_shops(table))
}

/// One problem: where it is, what is wrong, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulesProblem {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for RulesProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Every problem of the files at once, so that they can be corrected in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError {
    /// At least one, sorted by file and line.
    pub problems: Vec<RulesProblem>,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RulesError {}

/// The result of `sayso rules check` for valid files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesSummary {
    /// One sentence per file.
    pub files: Vec<String>,
    /// How the categories differ from the built-in ones, in sentences.
    pub differences: Vec<String>,
}

impl fmt::Display for RulesSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.files.iter().chain(&self.differences).map(String::as_str);
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Checks the files of one folder, given as name and text.
///
/// A guide is checked against the folder's categories, or against the built-in ones if the folder
/// has none. A programme file is recognised but not checked. Names that do not end in `.toml` are
/// ignored.
///
/// # Errors
///
/// The problems of all files at once. A folder without a rules file is a problem too, because it is
/// usually a wrong path.
pub fn check(files: &[(&str, &str)]) -> Result<RulesSummary, RulesError> {
    let mut summary = RulesSummary::default();
    let mut problems = Vec::new();
    let own = files.iter().find(|(name, _)| base_name(name) == CATEGORIES_FILE);
    let own = own.map(|(name, text)| categories::parse_file(name, text));
    for (name, text) in files {
        let checked = match (base_name(name), &own) {
            (CATEGORIES_FILE, Some(Ok(rules))) => {
                summary.differences = compare(built_in(), rules);
                Ok(categories_sentence(name, rules))
            }
            (CATEGORIES_FILE, Some(Err(error))) => Err(error.clone()),
            (GUIDE_FILE, own) => {
                let rules = match own {
                    Some(own) => own.as_ref().ok(),
                    None => Some(built_in()),
                };
                guide::parse_file(name, text, rules).map(|guide| guide_sentence(name, &guide))
            }
            (SHOPS_FILE, _) => {
                shops::parse_file(name, text).map(|table| shops_sentence(name, &table))
            }
            (other, _) if is_toml(other) => programme_sentence(name, text),
            _ => continue,
        };
        match checked {
            Ok(sentence) => summary.files.push(sentence),
            Err(error) => problems.extend(error.problems),
        }
    }
    if summary.files.is_empty() && problems.is_empty() {
        let text = format!(
            "nothing to check here: there is no {CATEGORIES_FILE}, {SHOPS_FILE} or \
             {GUIDE_FILE}"
        );
        problems.push(RulesProblem { file: CATEGORIES_FILE.to_owned(), line: 1, text });
    }
    if problems.is_empty() { Ok(summary) } else { Err(RulesError { problems }) }
}

fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn is_toml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

fn categories_sentence(name: &str, rules: &MerchantRules) -> String {
    let categories = rules.iter().count();
    let codes: usize = rules.iter().map(|rule| rule.codes.len()).sum();
    let same = if rules.digest() == built_in().digest() { ", as they come with Sayso" } else { "" };
    format!("{name}: {codes} codes in {categories} categories{same}")
}

fn shops_sentence(name: &str, table: &ShopTable) -> String {
    let list = table.list();
    let (shops, firms) = (list.shops.len(), list.facilitators.len());
    let prints: usize = list.shops.iter().map(|shop| shop.prints.len()).sum();
    let same = if table.version() == built_in_shops().version() {
        ", as they come with Sayso"
    } else {
        ""
    };
    format!("{name}: {shops} shops by {prints} printed lines, {firms} payment firms{same}")
}

fn guide_sentence(name: &str, guide: &Guide) -> String {
    let (version, paragraphs) = (guide.version, guide.paragraphs.len());
    let authors = if guide.authors.is_empty() { "; its authors are not named yet" } else { "" };
    format!("{name}: guide version {version}, {paragraphs} paragraphs{authors}")
}

/// Recognises a programme file by its `[programme]` table. Any other file is a problem.
fn programme_sentence(name: &str, text: &str) -> Result<String, RulesError> {
    let mut reader = reader::RulesReader::new(name, text);
    let sentence = reader.table().and_then(|table| {
        if table.get("programme").is_some_and(|value| value.get_ref().is_table()) {
            return Some(format!("{name}: a programme file, checked by `sayso programme apply`"));
        }
        let text = format!(
            "this is neither {CATEGORIES_FILE} nor {SHOPS_FILE} nor {GUIDE_FILE} nor a programme \
             file; give it the right name, a [programme] table, or take it away"
        );
        reader.problem(1, text);
        None
    });
    reader.finish(sentence)
}

/// The SHA-256 of a text, in hexadecimal.
fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAMME: &str = "[programme]\nid = \"x\"\n";

    /// The text with the first `from` replaced. Panics if there is none, because the test would
    /// then check the unchanged text.
    pub(super) fn changed(text: &str, from: &str, to: &str) -> String {
        assert!(text.contains(from), "{from:?} is not in the text");
        text.replacen(from, to, 1)
    }

    /// The number of the first line that contains `needle`, from 1.
    pub(super) fn line_with(text: &str, needle: &str) -> usize {
        1 + text.lines().position(|line| line.contains(needle)).unwrap()
    }

    #[test]
    fn the_files_that_come_with_sayso_are_in_order() {
        let files = [
            ("README.md", "# x"),
            ("categories.toml", BUILT_IN_CATEGORIES),
            ("shops.toml", BUILT_IN_SHOPS),
            ("guide.toml", BUILT_IN_GUIDE),
            ("demo.toml", PROGRAMME),
        ];
        let paragraphs = built_in_guide().paragraphs.len();
        let shops = built_in_shops().list();
        let expected = [
            "categories.toml: 932 codes in 36 categories, as they come with Sayso".to_owned(),
            format!(
                "shops.toml: {} shops by {} printed lines, {} payment firms, as they come with \
                 Sayso",
                shops.shops.len(),
                shops.shops.iter().map(|shop| shop.prints.len()).sum::<usize>(),
                shops.facilitators.len()
            ),
            format!(
                "guide.toml: guide version 1, {paragraphs} paragraphs; its authors are not named \
                 yet"
            ),
            "demo.toml: a programme file, checked by `sayso programme apply`".to_owned(),
        ];
        let summary = check(&files).unwrap();
        assert_eq!(summary.files, expected);
        assert_eq!(summary.differences, Vec::<String>::new());
        assert_eq!(summary.to_string(), expected.join("\n"));
    }

    #[test]
    fn a_folders_own_categories_hold_for_its_guide() {
        let categories = changed(BUILT_IN_CATEGORIES, "slug = \"phone\"", "slug = \"phones\"");
        let guide = changed(BUILT_IN_GUIDE, "[\"phone\",", "[\"phones\",");
        let files = [("a/guide.toml", guide.as_str()), ("a/categories.toml", categories.as_str())];
        let summary = check(&files).unwrap();
        assert!(summary.differences.iter().any(|words| words.ends_with("(phones) is new")));
        let error = check(&files[..1]).unwrap_err();
        let line = line_with(&guide, "\"phones\"");
        let expected = format!(
            "a/guide.toml:{line}: there is no category \"phones\"; use a slug of categories.toml"
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn problems_of_all_files_come_at_once() {
        let categories = changed(BUILT_IN_CATEGORIES, "start = \"talk\"", "start = \"no\"");
        let guide = changed(BUILT_IN_GUIDE, "version = 1", "version = \"one\"");
        let files = [
            ("categories.toml", categories.as_str()),
            ("shops.toml", "shops = 1"),
            ("guide.toml", guide.as_str()),
            ("guides.toml", "version = 1"),
            ("demo.toml", "[programme\n"),
        ];
        let error = check(&files).unwrap_err();
        let named: Vec<&str> = error.problems.iter().map(|problem| problem.file.as_str()).collect();
        assert_eq!(
            named,
            ["categories.toml", "shops.toml", "guide.toml", "guides.toml", "demo.toml"],
            "{error}"
        );
    }

    #[test]
    fn a_folder_without_rules_is_a_problem() {
        for files in [&[][..], &[("README.md", "# x")][..]] {
            let error = check(files).unwrap_err();
            assert!(error.to_string().contains("nothing to check here"), "{error}");
        }
    }

    #[test]
    fn the_digest_is_the_sha_256_of_the_text() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(""), empty);
        assert_eq!(built_in().digest(), digest(BUILT_IN_CATEGORIES));
    }
}
