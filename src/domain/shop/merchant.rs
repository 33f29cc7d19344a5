//! Merchants, their category codes (MCC), and the everyday category of each code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use crate::domain::shop::ShopKey;
use crate::domain::shop::table::ShopTable;

/// The maximum length of a text from a merchant or an issuer, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// The merchant named in an issuer's message.
///
/// Its texts are untrusted: every constructor removes control, bidirectional and zero-width
/// characters and keeps at most [`TEXT_CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    mcc: Option<Mcc>,
    name: String,
    city: String,
    country: Option<String>,
    network_id: String,
}

impl Merchant {
    /// Names a merchant; `mcc` is `None` if the message has no valid code.
    pub fn new(mcc: Option<Mcc>, name: &str) -> Self {
        Self {
            mcc,
            name: clean(name),
            city: String::new(),
            country: None,
            network_id: String::new(),
        }
    }

    /// Adds the city as printed in the message.
    #[must_use]
    pub fn in_city(mut self, city: &str) -> Self {
        self.city = clean(city);
        self
    }

    /// Adds the country, an ISO 3166 alpha-2 code in either case; any other text means unknown.
    #[must_use]
    pub fn in_country(mut self, country: &str) -> Self {
        let is_alpha_2 = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
        self.country = is_alpha_2.then(|| country.to_ascii_uppercase());
        self
    }

    /// Adds the network's merchant identifier (card acceptor ID).
    #[must_use]
    pub fn with_network_id(mut self, network_id: &str) -> Self {
        self.network_id = clean(network_id);
        self
    }

    /// The merchant category code, if the message has one.
    pub const fn mcc(&self) -> Option<Mcc> {
        self.mcc
    }

    /// The printed name; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The printed city; may be empty.
    pub fn city(&self) -> &str {
        &self.city
    }

    /// ISO 3166 alpha-2 in capitals; `None` if unknown.
    pub fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }

    /// The network's identifier; may be empty.
    pub fn network_id(&self) -> &str {
        &self.network_id
    }

    /// The key of the printed name; `None` if the name has no letter or digit.
    pub fn shop_key(&self) -> Option<ShopKey> {
        ShopKey::from_name(&self.name)
    }
}

/// Removes characters that are unsafe to display, and cuts to [`TEXT_CHARS_MAX`] characters.
///
/// Any white space becomes a plain space; leading and trailing spaces are removed. Idempotent, so a
/// stored text may be cleaned again.
pub(in crate::domain) fn clean(text: &str) -> String {
    let shown = text.chars().filter_map(|c| match c {
        _ if c.is_whitespace() => Some(' '),
        _ if c.is_control() || is_hidden(c) => None,
        _ => Some(c),
    });
    let cut: String = shown.skip_while(|c| *c == ' ').take(TEXT_CHARS_MAX).collect();
    cut.trim_end().to_owned()
}

/// Whether a character is invisible or changes text direction: such characters would make different
/// texts look alike, or reorder the surrounding text.
const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' // soft hyphen
            | '\u{034F}' // combining grapheme joiner
            | '\u{061C}' // Arabic letter mark
            | '\u{115F}'..='\u{1160}' // Hangul fillers
            | '\u{180B}'..='\u{180F}' // Mongolian selectors and vowel separator
            | '\u{200B}'..='\u{200F}' // zero-width space and joiners, direction marks
            | '\u{202A}'..='\u{202E}' // direction embeddings and overrides
            | '\u{2060}'..='\u{206F}' // word joiner, isolates, invisible operators
            | '\u{3164}' // Hangul filler
            | '\u{FE00}'..='\u{FE0F}' // variation selectors
            | '\u{FEFF}' // byte order mark
            | '\u{FFA0}' // half-width Hangul filler
            | '\u{FFF9}'..='\u{FFFB}' // interlinear annotation
            | '\u{E0000}'..='\u{E0FFF}' // tags and more variation selectors
    )
}

/// A merchant category code: four digits that name a kind of shop (ISO 18245).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mcc(u16);

/// The text is not a merchant category code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a merchant category code is four digits, such as 5411 or 0742")]
pub struct ParseMccError;

impl Mcc {
    /// Parses exactly four ASCII digits, leading zeros included.
    pub fn parse(text: &str) -> Result<Self, ParseMccError> {
        if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseMccError);
        }
        text.parse().map(Self).map_err(|_| ParseMccError)
    }

    /// The code as a number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for Mcc {
    type Err = ParseMccError;

    fn from_str(text: &str) -> Result<Self, ParseMccError> {
        Self::parse(text)
    }
}

impl fmt::Display for Mcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl fmt::Debug for Mcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mcc({self})")
    }
}

/// An everyday group of merchant category codes, identified by a short name such as `food`.
///
/// The merchant rules define which categories exist; an agreement may name one that a later version
/// of the rules dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Category(Arc<str>);

/// The text is not the short name of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a category's short name is 1 to 24 of the characters a-z, 0-9 and -")]
pub struct ParseCategoryError;

static UNSORTED: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("unsorted"));

impl Category {
    /// Parses a short name: 1 to 24 of the characters `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Result<Self, ParseCategoryError> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=24).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(ParseCategoryError)
        }
    }

    /// The category of codes that no rule lists, and of purchases without a code.
    pub fn unsorted() -> Self {
        Self(Arc::clone(&UNSORTED))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Category {
    type Err = ParseCategoryError;

    fn from_str(text: &str) -> Result<Self, ParseCategoryError> {
        Self::parse(text)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The suggested answer for a category before the person and the worker have talked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefaultAnswer {
    /// Suggested as yes.
    Yes,
    /// No suggestion until they have talked; until then, yes up to a small agreed amount.
    Talk,
}

impl DefaultAnswer {
    /// The word in the rules file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Talk => "talk",
        }
    }
}

/// An inclusive range of codes that networks assign to single brands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandRange {
    pub from: Mcc,
    pub to: Mcc,
    /// What the brands of unlisted codes are called: "Hotel".
    pub what: String,
}

impl BrandRange {
    pub fn contains(&self, mcc: Mcc) -> bool {
        self.from <= mcc && mcc <= self.to
    }
}

/// The rules for one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryRule {
    pub category: Category,
    /// The name that people read: "Food and corner shops".
    pub name: String,
    /// One or two plain sentences about the kind of shop.
    pub line: String,
    /// What the category cannot show, in plain words; may be empty.
    pub note: String,
    pub start: DefaultAnswer,
    /// Whether the category reveals something private, so that texts and lists mask it.
    pub is_sensitive: bool,
    /// Each code, with the kind of shop or the brand it stands for.
    pub codes: BTreeMap<Mcc, String>,
    /// Ranges of codes that belong here unless a code is listed elsewhere.
    pub ranges: Vec<BrandRange>,
    /// Codes listed under other categories that also sell this one, such as hotels with a casino.
    pub also: BTreeSet<Mcc>,
}

/// What a shop may sell: the category that its purchases count in, and further categories under the
/// same code.
///
/// The message does not show which of them was bought. So exclusions and the answers no and ask
/// apply for each category, but the amount counts once, in the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopCategories<'a> {
    pub category: &'a Category,
    pub also: &'a [Category],
}

impl<'a> ShopCategories<'a> {
    /// A single category.
    pub const fn only(category: &'a Category) -> Self {
        Self { category, also: &[] }
    }

    /// All categories, the one that purchases count in first.
    pub fn iter(self) -> impl Iterator<Item = &'a Category> {
        std::iter::once(self.category).chain(self.also)
    }
}

/// The category of each code, and the texts of each category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantRules {
    rules: Vec<CategoryRule>,
    by_category: BTreeMap<Category, usize>,
    by_code: BTreeMap<Mcc, usize>,
    /// The further categories of a code.
    also: BTreeMap<Mcc, Vec<Category>>,
    unsorted: Category,
    digest: String,
    shops: Arc<ShopTable>,
}

/// Why a list of categories is inconsistent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerchantRulesError {
    #[error("the category \"unsorted\" is missing")]
    NoUnsorted,
    #[error("the category {0} is there twice")]
    CategoryTwice(Category),
    #[error("the code {0} is there twice")]
    CodeTwice(Mcc),
    #[error("the brand ranges that start at {0} and {1} overlap")]
    RangesOverlap(Mcc, Mcc),
    #[error("the brand range {0} to {1} ends before it starts")]
    RangeBackwards(Mcc, Mcc),
}

impl MerchantRules {
    /// Builds the rules from categories in display order.
    ///
    /// `digest` identifies the source text: SHA-256 in hex.
    pub fn new(rules: Vec<CategoryRule>, digest: String) -> Result<Self, MerchantRulesError> {
        let mut by_category = BTreeMap::new();
        let mut by_code = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if by_category.insert(rule.category.clone(), index).is_some() {
                return Err(MerchantRulesError::CategoryTwice(rule.category.clone()));
            }
            for mcc in rule.codes.keys() {
                if by_code.insert(*mcc, index).is_some() {
                    return Err(MerchantRulesError::CodeTwice(*mcc));
                }
            }
        }
        let unsorted = Category::unsorted();
        if !by_category.contains_key(&unsorted) {
            return Err(MerchantRulesError::NoUnsorted);
        }
        let mut ranges: Vec<&BrandRange> = rules.iter().flat_map(|rule| &rule.ranges).collect();
        ranges.sort_by_key(|range| range.from);
        let mut end: Option<&BrandRange> = None;
        for range in ranges {
            if range.to < range.from {
                return Err(MerchantRulesError::RangeBackwards(range.from, range.to));
            }
            if let Some(earlier) = end.filter(|earlier| range.from <= earlier.to) {
                return Err(MerchantRulesError::RangesOverlap(earlier.from, range.from));
            }
            end = Some(range);
        }
        let mut also: BTreeMap<Mcc, Vec<Category>> = BTreeMap::new();
        for rule in &rules {
            for mcc in &rule.also {
                also.entry(*mcc).or_default().push(rule.category.clone());
            }
        }
        let shops = Arc::default();
        Ok(Self { rules, by_category, by_code, also, unsorted, digest, shops })
    }

    /// Replaces the shop table.
    #[must_use]
    pub fn with_shops(self, shops: Arc<ShopTable>) -> Self {
        Self { shops, ..self }
    }

    pub fn shops(&self) -> &ShopTable {
        &self.shops
    }

    /// All categories that a shop with this code may sell.
    pub fn kinds_of(&self, mcc: Option<Mcc>) -> ShopCategories<'_> {
        let also = mcc.and_then(|mcc| self.also.get(&mcc));
        ShopCategories { category: self.category_of(mcc), also: also.map_or(&[], Vec::as_slice) }
    }

    /// The category of a code: by listed code, else by brand range, else unsorted.
    pub fn category_of(&self, mcc: Option<Mcc>) -> &Category {
        mcc.and_then(|mcc| self.rule_of(mcc)).map_or(&self.unsorted, |rule| &rule.category)
    }

    fn rule_of(&self, mcc: Mcc) -> Option<&CategoryRule> {
        match self.by_code.get(&mcc) {
            Some(index) => self.rules.get(*index),
            None => {
                self.rules.iter().find(|rule| rule.ranges.iter().any(|range| range.contains(mcc)))
            }
        }
    }

    /// The kind of shop or brand that a code stands for; `None` for an unknown code.
    pub fn code_name(&self, mcc: Mcc) -> Option<&str> {
        let rule = self.rule_of(mcc)?;
        let range = || rule.ranges.iter().find(|range| range.contains(mcc));
        rule.codes.get(&mcc).or_else(|| range().map(|range| &range.what)).map(String::as_str)
    }

    /// The rule of a category; `None` if these rules lack it.
    pub fn get(&self, category: &Category) -> Option<&CategoryRule> {
        self.by_category.get(category).and_then(|index| self.rules.get(*index))
    }

    /// The name that people read.
    pub fn name(&self, category: &Category) -> Option<&str> {
        self.get(category).map(|rule| rule.name.as_str())
    }

    /// The category's plain sentence.
    pub fn line(&self, category: &Category) -> Option<&str> {
        self.get(category).map(|rule| rule.line.as_str())
    }

    /// Whether texts and lists mask the category. An unknown category is masked, because it may be
    /// a sensitive one that was dropped.
    pub fn is_sensitive(&self, category: &Category) -> bool {
        self.get(category).is_none_or(|rule| rule.is_sensitive)
    }

    /// All categories in display order.
    pub fn iter(&self) -> std::slice::Iter<'_, CategoryRule> {
        self.rules.iter()
    }

    /// Identifies the source text of these rules: SHA-256 in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl<'a> IntoIterator for &'a MerchantRules {
    type Item = &'a CategoryRule;
    type IntoIter = std::slice::Iter<'a, CategoryRule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mcc(text: &str) -> Mcc {
        Mcc::parse(text).unwrap()
    }

    fn a_rule(slug: &str, codes: &[&str]) -> CategoryRule {
        CategoryRule {
            category: Category::parse(slug).unwrap(),
            name: format!("{slug} shops"),
            line: format!("Shops for {slug}."),
            note: String::new(),
            start: DefaultAnswer::Yes,
            is_sensitive: false,
            codes: codes.iter().map(|code| (mcc(code), format!("kind {code}"))).collect(),
            ranges: Vec::new(),
            also: BTreeSet::new(),
        }
    }

    fn a_range(from: &str, to: &str) -> BrandRange {
        BrandRange { from: mcc(from), to: mcc(to), what: "Hotel".to_owned() }
    }

    fn some_rules() -> Vec<CategoryRule> {
        vec![
            a_rule("food", &["5411", "0742"]),
            CategoryRule { ranges: vec![a_range("3501", "3999")], ..a_rule("hotels", &["7011"]) },
            CategoryRule { is_sensitive: true, ..a_rule("around", &["3998"]) },
            a_rule("unsorted", &[]),
        ]
    }

    fn the_rules() -> MerchantRules {
        MerchantRules::new(some_rules(), "digest".to_owned()).unwrap()
    }

    #[test]
    fn a_code_is_exactly_four_digits() {
        for text in ["0000", "0742", "5411", "9999"] {
            assert_eq!(mcc(text).to_string(), text);
        }
        for text in
            ["", "742", "05411", "54a1", "+541", " 541", "-541", "５４１１", "54 1", "5411 "]
        {
            assert_eq!(Mcc::parse(text), Err(ParseMccError), "{text:?}");
        }
        assert!(mcc("0742") < mcc("5411"));
        assert_eq!(format!("{:?}", mcc("0742")), "Mcc(0742)");
    }

    #[test]
    fn a_category_is_a_short_lower_case_word() {
        for text in ["a", "food", "big-shops", "day2", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(Category::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "Food", "food shops", "é", "food_", "abcdefghijklmnopqrstuvwxy"] {
            assert_eq!(Category::parse(text), Err(ParseCategoryError), "{text:?}");
        }
        assert_eq!(Category::unsorted(), Category::parse("unsorted").unwrap());
    }

    #[test]
    fn a_listed_code_wins_over_a_range_and_the_rest_is_unsorted() {
        let rules = the_rules();
        let cases = [
            (Some("5411"), "food"),
            (Some("3501"), "hotels"),
            (Some("3999"), "hotels"),
            (Some("3500"), "unsorted"),
            (Some("4000"), "unsorted"),
            (Some("3998"), "around"),
            (None, "unsorted"),
        ];
        for (code, category) in cases {
            assert_eq!(rules.category_of(code.map(mcc)).as_str(), category, "{code:?}");
        }
        assert_eq!(rules.code_name(mcc("5411")), Some("kind 5411"));
        assert_eq!(rules.code_name(mcc("3600")), Some("Hotel"));
        assert_eq!(rules.code_name(mcc("1234")), None);
    }

    #[test]
    fn a_category_that_the_rules_do_not_have_is_masked_and_has_no_words() {
        let rules = the_rules();
        let [food, around, gone] = ["food", "around", "gone"].map(|s| Category::parse(s).unwrap());
        assert_eq!(
            (rules.name(&food), rules.line(&food)),
            (Some("food shops"), Some("Shops for food."))
        );
        assert_eq!((rules.name(&gone), rules.line(&gone)), (None, None));
        assert_eq!([&food, &around, &gone].map(|c| rules.is_sensitive(c)), [false, true, true]);
        let order: Vec<&str> = rules.iter().map(|rule| rule.category.as_str()).collect();
        assert_eq!(order, ["food", "hotels", "around", "unsorted"]);
    }

    #[test]
    fn categories_that_contradict_each_other_make_no_rules() {
        use MerchantRulesError as E;
        let with = |extra: CategoryRule| {
            let mut rules = some_rules();
            rules.push(extra);
            MerchantRules::new(rules, String::new()).unwrap_err()
        };
        let ranged =
            |from, to| CategoryRule { ranges: vec![a_range(from, to)], ..a_rule("x", &[]) };
        assert_eq!(with(a_rule("food", &[])), E::CategoryTwice(Category::parse("food").unwrap()));
        assert_eq!(with(a_rule("x", &["5411"])), E::CodeTwice(mcc("5411")));
        assert_eq!(with(ranged("3400", "3501")), E::RangesOverlap(mcc("3400"), mcc("3501")));
        assert_eq!(with(ranged("3600", "3601")), E::RangesOverlap(mcc("3501"), mcc("3600")));
        assert_eq!(with(ranged("3400", "3300")), E::RangeBackwards(mcc("3400"), mcc("3300")));
        assert_eq!(MerchantRules::new(Vec::new(), String::new()).unwrap_err(), E::NoUnsorted);
    }

    #[test]
    fn merchants_texts_are_cleaned() {
        let cases = [
            ("  CAFE\tROUGE\r\n ", "CAFE ROUGE"),
            ("PAY\u{202E}LAP", "PAYLAP"),
            ("Te\u{200B}s\u{FEFF}co\u{0}\u{1b}[31m", "Tesco[31m"),
            ("Łódź Кафе 喫茶", "Łódź Кафе 喫茶"),
            ("\u{2066}\u{E0041}", ""),
        ];
        for (raw, cleaned) in cases {
            let merchant = Merchant::new(None, raw).in_city(raw).with_network_id(raw);
            let texts = [merchant.name(), merchant.city(), merchant.network_id()];
            assert_eq!(texts, [cleaned; 3], "{raw:?}");
        }
    }

    #[test]
    fn a_country_is_two_letters_or_unknown() {
        let country = |text| Merchant::new(None, "").in_country(text).country().map(str::to_owned);
        assert_eq!(country("gb").as_deref(), Some("GB"));
        for text in ["", "GBR", "826", "1A", "é"] {
            assert_eq!(country(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_code_prints_as_it_was_read(number in 0_u16..10_000) {
            let text = format!("{number:04}");
            prop_assert_eq!(mcc(&text).to_string(), text);
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text: String, long in "[ a\u{200B}]{150,300}") {
            for text in [text, long] {
                let once = clean(&text);
                prop_assert_eq!(clean(&once), once.clone());
                prop_assert!(once.chars().count() <= TEXT_CHARS_MAX);
                prop_assert!(!once.chars().any(|c| c.is_control() || is_hidden(c)));
            }
        }

        #[test]
        fn every_code_has_one_category(number in 0_u16..10_000) {
            let rules = the_rules();
            prop_assert!(rules.get(rules.category_of(Some(Mcc(number)))).is_some());
        }
    }
}
