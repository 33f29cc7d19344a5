//! The shop table: maps printed descriptors to shops.
//!
//! A shop is looked up in this order: the seller named after a payment facilitator; the network
//! identifier, if the table lists it; the listed descriptor patterns, the longest first; otherwise
//! the descriptor's own words without those that do not identify a shop.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::shop::descriptor::NormalisedDescriptor;
use crate::domain::shop::merchant::{Mcc, Merchant};
use crate::domain::shop::{ShopIdentity, ShopKey};
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// What is sold under a shop's descriptors.
    ShopKind {
        /// Goods or services of the shop itself.
        Shop => "shop",
        /// Goods of many sellers, under a name that people know.
        Marketplace => "marketplace",
        /// Rides, each with its own descriptor.
        Taxi => "taxi",
        /// Apps and subscriptions of many makers, billed from another country than the maker's.
        Apps => "apps",
    }
);

/// The beginning of a descriptor as whole words, such as `tesco stores`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DescriptorPattern {
    words: String,
    /// Whether any text may follow, written `tesco *`. Otherwise only words that do not identify a
    /// shop may: numbers, the shop's city, and the table's ignored words.
    is_open: bool,
}

/// The text is not a valid descriptor pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDescriptorPatternError {
    #[error("it has neither letters nor digits")]
    Empty,
    #[error("a star stands at its end alone, behind a space")]
    Star,
}

impl DescriptorPattern {
    /// Parses a pattern such as `tesco stores` or `tesco *`.
    pub fn parse(text: &str) -> Result<Self, ParseDescriptorPatternError> {
        let (words, is_open) = match text.trim().strip_suffix(" *") {
            Some(words) => (words, true),
            None => (text, false),
        };
        if words.contains('*') {
            return Err(ParseDescriptorPatternError::Star);
        }
        let words = NormalisedDescriptor::new(words).text().to_owned();
        if words.is_empty() {
            Err(ParseDescriptorPatternError::Empty)
        } else {
            Ok(Self { words, is_open })
        }
    }

    /// The words in lower case.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether any text may follow.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }
}

impl fmt::Display for DescriptorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.words, if self.is_open { " *" } else { "" })
    }
}

/// One shop as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// The name that people use. It also serves as a pattern.
    pub name: String,
    pub kind: ShopKind,
    /// Patterns of its descriptors.
    pub prints: Vec<DescriptorPattern>,
    /// Patterns of descriptors that look similar but belong to other shops.
    pub never: Vec<DescriptorPattern>,
    /// MCCs with which any text may follow each of the `prints`.
    pub codes: BTreeSet<Mcc>,
    /// MCCs that exclude the shop, regardless of the descriptor.
    pub not_codes: BTreeSet<Mcc>,
    /// Merchant identifiers that networks assign to it.
    pub network_ids: BTreeSet<String>,
}

/// A payment facilitator: it accepts payments for sellers, each of which is a shop of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facilitator {
    pub name: String,
    /// What its terminals print before the seller's name; never open patterns.
    pub prints: Vec<DescriptorPattern>,
    /// Whether a star must separate the two names, because the facilitator's name is also an
    /// ordinary word.
    pub star: bool,
}

/// The content of a shop table, as written in its source file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopList {
    /// Words that do not identify a shop.
    pub ignore: BTreeSet<String>,
    pub facilitators: Vec<Facilitator>,
    pub shops: Vec<Shop>,
}

/// A shop list, indexed for lookup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopTable {
    list: ShopList,
    /// Patterns by their first word, the longest first.
    by_word: BTreeMap<String, Vec<PatternEntry>>,
    /// Facilitator names by their first word: each as its words, and whether `*` must follow.
    before: BTreeMap<String, Vec<(String, bool)>>,
    by_network: BTreeMap<String, usize>,
    /// The index of each shop, by the keys of all its patterns.
    by_print: BTreeMap<ShopKey, usize>,
    /// The index of each shop, by the key of its name; `keys` is the inverse.
    by_name: BTreeMap<ShopKey, usize>,
    keys: Vec<Option<ShopKey>>,
    version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PatternEntry {
    print: DescriptorPattern,
    shop: usize,
    is_never: bool,
}

/// The result of looking up a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ShopMatch {
    shop: Option<usize>,
    is_seller: bool,
}

impl ShopTable {
    /// Builds a table from `list`. Of two equal patterns, the shop listed first wins.
    ///
    /// `version` identifies the source text of the list.
    pub fn new(list: ShopList, version: String) -> Self {
        let mut table = Self {
            by_word: BTreeMap::new(),
            before: BTreeMap::new(),
            by_network: BTreeMap::new(),
            by_print: BTreeMap::new(),
            by_name: BTreeMap::new(),
            keys: list.shops.iter().map(|shop| ShopKey::from_name(&shop.name)).collect(),
            list: ShopList::default(),
            version,
        };
        for facilitator in &list.facilitators {
            for print in &facilitator.prints {
                let entry = (print.words.clone(), facilitator.star);
                table.before.entry(first_word(&print.words).to_owned()).or_default().push(entry);
            }
        }
        for firms in table.before.values_mut() {
            firms.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        for (index, shop) in list.shops.iter().enumerate() {
            table.add(index, shop);
        }
        for entries in table.by_word.values_mut() {
            // The sort is stable, so the list's order decides between equal patterns.
            entries
                .sort_by_key(|entry| std::cmp::Reverse((entry.print.words.len(), entry.is_never)));
        }
        table.list = list;
        table
    }

    fn add(&mut self, index: usize, shop: &Shop) {
        let name = DescriptorPattern::parse(&shop.name).ok();
        let own = shop.prints.iter().cloned().chain(name).map(|print| (print, false));
        for (print, is_never) in own.chain(shop.never.iter().cloned().map(|print| (print, true))) {
            if !is_never && let Some(key) = ShopKey::from_name(&print.words) {
                self.by_print.entry(key).or_insert(index);
            }
            let entries = self.by_word.entry(first_word(&print.words).to_owned()).or_default();
            entries.push(PatternEntry { print, shop: index, is_never });
        }
        for network_id in &shop.network_ids {
            self.by_network.entry(network_id.clone()).or_insert(index);
        }
        if let Some(key) = ShopKey::from_name(&shop.name) {
            self.by_name.entry(key).or_insert(index);
        }
    }

    /// The list that the table was built from.
    pub const fn list(&self) -> &ShopList {
        &self.list
    }

    /// Identifies the table in the facts of a decision.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All keys that identify the shop of `merchant`.
    pub fn identify(&self, merchant: &Merchant) -> ShopIdentity {
        let printed = NormalisedDescriptor::new(merchant.name());
        let seller = self.seller(&printed);
        let line = seller.as_ref().unwrap_or(&printed);
        let found = self.find(line, seller.is_some(), merchant);
        // A key that is the name of another shop in the table is dropped, even if it is printed
        // alike.
        let own = |key: &ShopKey| {
            let named = self.by_name.get(key);
            named.is_none() || named == found.shop.as_ref()
        };
        let known = match found.shop {
            Some(shop) => self.keys.get(shop).copied().flatten(),
            None => self.cleaned_key(line, merchant.city()).filter(own),
        };
        let printed = ShopKey::from_name(merchant.name()).filter(own);
        let network = if found.is_seller {
            None
        } else {
            ShopKey::of_network(merchant.network_id(), merchant.mcc())
        };
        ShopIdentity::of([known, printed, network])
    }

    /// The shop in the table that `merchant` is, if any.
    pub fn recognise(&self, merchant: &Merchant) -> Option<&Shop> {
        let printed = NormalisedDescriptor::new(merchant.name());
        let seller = self.seller(&printed);
        let line = seller.as_ref().unwrap_or(&printed);
        let found = self.find(line, seller.is_some(), merchant);
        self.list.shops.get(found.shop?)
    }

    /// The most reliable key of the shop that a person calls `name`; `None` if the name identifies
    /// nothing.
    pub fn key_of(&self, name: &str) -> Option<ShopKey> {
        self.identify(&Merchant::new(None, name)).first()
    }

    /// Whether `key` is that of the name of a shop in the table.
    pub(in crate::domain) fn has_name(&self, key: &ShopKey) -> bool {
        self.by_name.contains_key(key)
    }

    /// The current identity of the shop of a purchase: the table's keys for the `printed` name,
    /// then the keys `known` when it began.
    pub fn identify_purchase(
        &self,
        known: &ShopIdentity,
        mcc: Option<Mcc>,
        printed: Option<&str>,
    ) -> ShopIdentity {
        let now = self.identify(&Merchant::new(mcc, printed.unwrap_or_default()));
        ShopIdentity::of(now.keys().iter().chain(known.keys()).copied().map(Some))
    }

    /// The shop with `key`: by its name in the table, or by one of its patterns.
    pub fn with_key(&self, key: &ShopKey) -> Option<&Shop> {
        let index = self.by_name.get(key).or_else(|| self.by_print.get(key))?;
        self.list.shops.get(*index)
    }

    /// Whether two identities are one shop: the same shop of the table or, unless the table knows
    /// both, any common key.
    pub fn is_same(&self, one: &ShopIdentity, other: &ShopIdentity) -> bool {
        let known = |shop: &ShopIdentity| self.by_name.get(&shop.first()?);
        match (known(one), known(other)) {
            (Some(one), Some(other)) => one == other,
            (_, _) => one.overlaps(other),
        }
    }

    fn seller(&self, printed: &NormalisedDescriptor) -> Option<NormalisedDescriptor> {
        let firms = self.before.get(first_word(printed.text()))?;
        let behind = |(words, star): &(String, bool)| {
            let is_firm = !star || printed.has_star_after(words);
            printed.after(words).filter(|seller| is_firm && !seller.text().is_empty())
        };
        firms.iter().find_map(behind)
    }

    fn find(&self, line: &NormalisedDescriptor, is_seller: bool, merchant: &Merchant) -> ShopMatch {
        let by_network = || self.by_network.get(merchant.network_id()).copied();
        let shop = if is_seller { None } else { by_network() };
        ShopMatch { shop: shop.or_else(|| self.printed_by(line, merchant)), is_seller }
    }

    fn printed_by(&self, line: &NormalisedDescriptor, merchant: &Merchant) -> Option<usize> {
        let entries = self.by_word.get(first_word(line.text()))?;
        let mut never = Vec::new();
        for PatternEntry { print, shop: index, is_never } in entries {
            let Some(rest) = line.rest(&print.words) else { continue };
            let Some(shop) = self.list.shops.get(*index) else { continue };
            let has =
                |codes: &BTreeSet<Mcc>| merchant.mcc().is_some_and(|mcc| codes.contains(&mcc));
            let fits = print.is_open
                || has(&shop.codes) && !is_never
                || self.says_nothing(rest, merchant.city());
            if !fits || never.contains(index) || has(&shop.not_codes) {
                continue;
            }
            if *is_never {
                never.push(*index);
            } else {
                return Some(*index);
            }
        }
        None
    }

    /// Whether the text after a shop's name does not identify another shop.
    fn says_nothing(&self, rest: &str, city: &str) -> bool {
        if rest.is_empty() {
            return true;
        }
        let city = NormalisedDescriptor::new(city);
        let mut words = rest.split(' ').rev();
        let says_nothing =
            |word: &str| self.is_ignored(word) || city.words().any(|part| part == word);
        // Terminals cut a descriptor at its maximum length: "wilko retail limit".
        let last = words.next().unwrap_or_default();
        let is_cut = |ignored: &String| last.len() > 1 && ignored.starts_with(last);
        (says_nothing(last) || self.list.ignore.iter().any(is_cut)) && words.all(says_nothing)
    }

    fn is_ignored(&self, word: &str) -> bool {
        word.chars().any(|c| c.is_ascii_digit()) || self.list.ignore.contains(word)
    }

    /// The key of a descriptor without the words that do not identify a shop.
    fn cleaned_key(&self, line: &NormalisedDescriptor, city: &str) -> Option<ShopKey> {
        let mut words: Vec<&str> = line.words().filter(|word| !self.is_ignored(word)).collect();
        let city = NormalisedDescriptor::new(city);
        let city: Vec<&str> = city.words().collect();
        if !city.is_empty() && words.len() > city.len() && words.ends_with(&city) {
            words.truncate(words.len().saturating_sub(city.len()));
        }
        // Numbers only leave no word; the key of the printed name identifies such a shop.
        if words.is_empty() { None } else { ShopKey::from_name(&words.join(" ")) }
    }
}

fn first_word(words: &str) -> &str {
    words.split(' ').next().unwrap_or_default()
}
