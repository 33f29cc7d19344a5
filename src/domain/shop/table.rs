//! The table of shops: which shop it is that a till's line means.
//!
//! A shop is looked for in this order: the seller behind a payment firm's name; the number that the
//! network gives the shop, where the table has it; what tills print, the longest first; else the
//! line's own words without what says nothing about who the shop is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::agreement::Scope;
use crate::domain::people::role::stored_enum;
use crate::domain::shop::descriptor::NormalisedDescriptor;
use crate::domain::shop::merchant::{Mcc, Merchant};
use crate::domain::shop::{ShopIdentity, ShopKey};

stored_enum!(
    /// What a shop's own line stands for.
    ShopKind {
        /// What it sells itself.
        Shop => "shop",
        /// Many sellers behind one name, that people know by that name.
        Marketplace => "marketplace",
        /// Rides, each with a line of its own.
        Taxi => "taxi",
        /// Apps and subscriptions of many makers, whose bills come from another country than theirs.
        Apps => "apps",
    }
);

/// The beginning of what a till prints: whole words, such as `tesco stores`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DescriptorPattern {
    words: String,
    /// Whether anything may follow, written `tesco *`. Else only what says nothing: numbers, the
    /// shop's city, and the table's own list.
    is_open: bool,
}

/// The text is not the beginning of a till's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDescriptorPatternError {
    #[error("it has neither letters nor digits")]
    Empty,
    #[error("a star stands at its end alone, behind a space")]
    Star,
}

impl DescriptorPattern {
    /// Reads a text such as `tesco stores` or `tesco *`.
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

    /// The words, in lower case.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether anything may follow.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }
}

impl fmt::Display for DescriptorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.words, if self.is_open { " *" } else { "" })
    }
}

/// One shop as people mean it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// What people call it. It is one of the shop's own lines too.
    pub name: String,
    pub kind: ShopKind,
    /// How its lines begin.
    pub prints: Vec<DescriptorPattern>,
    /// How lines begin that look like it and are not.
    pub never: Vec<DescriptorPattern>,
    /// With one of these codes anything may follow every print.
    pub codes: BTreeSet<Mcc>,
    /// With one of these codes it is another shop, whatever is printed.
    pub not_codes: BTreeSet<Mcc>,
    /// Numbers that networks give it.
    pub network_ids: BTreeSet<String>,
}

/// A firm that takes payments for others. Its sellers are shops of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facilitator {
    pub name: String,
    /// What its tills print before the seller's name; never open.
    pub prints: Vec<DescriptorPattern>,
    /// Whether there must be a star between both: its print is also a word of other names.
    pub star: bool,
}

/// What a table of shops is made of, as people wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopList {
    /// Words that say nothing about who a shop is.
    pub ignore: BTreeSet<String>,
    pub facilitators: Vec<Facilitator>,
    pub shops: Vec<Shop>,
}

/// Which shop each line means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopTable {
    list: ShopList,
    /// The beginnings of lines by their first word, the longest first.
    by_word: BTreeMap<String, Vec<PatternEntry>>,
    /// What payment firms print, by its first word: the words, and whether a star must follow.
    before: BTreeMap<String, Vec<(String, bool)>>,
    by_network: BTreeMap<String, usize>,
    /// Each shop by the keys of all its prints.
    by_print: BTreeMap<ShopKey, usize>,
    /// Each shop by the key of its name, and the other way round.
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

/// What a line was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ShopMatch {
    shop: Option<usize>,
    is_seller: bool,
}

impl ShopTable {
    /// Makes a table of `list`. Of two lines that begin alike, the shop that stands first has them.
    ///
    /// `version` identifies the text that the list was read from.
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
            // Stable: what stands first in the list stays first.
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

    /// What the table was made of.
    pub const fn list(&self) -> &ShopList {
        &self.list
    }

    /// Identifies the table in the facts of a decision.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Every key by which the shop of `merchant` is known.
    pub fn identify(&self, merchant: &Merchant) -> ShopIdentity {
        let printed = NormalisedDescriptor::new(merchant.name());
        let seller = self.seller(&printed);
        let line = seller.as_ref().unwrap_or(&printed);
        let found = self.find(line, seller.is_some(), merchant);
        // The name of a shop that this one is not is no name of this one, however alike they print.
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

    /// The shop of the table that `merchant` is, if it is one.
    pub fn recognise(&self, merchant: &Merchant) -> Option<&Shop> {
        let printed = NormalisedDescriptor::new(merchant.name());
        let seller = self.seller(&printed);
        let line = seller.as_ref().unwrap_or(&printed);
        let found = self.find(line, seller.is_some(), merchant);
        self.list.shops.get(found.shop?)
    }

    /// The key by which the shop is known that a person calls `name`; none for a name that says
    /// nothing.
    pub fn key_of(&self, name: &str) -> Option<ShopKey> {
        self.identify(&Merchant::new(None, name)).first()
    }

    /// What a term or an OK is about that is meant for the shop of `merchant` alone: the shop of the
    /// table; else whatever has its name or its network's number, because either may change from one
    /// purchase to the next. None for a shop without both.
    pub fn scope_of(&self, merchant: &Merchant) -> Option<Scope> {
        let shop = self.identify(merchant);
        let first = shop.first()?;
        let number = ShopKey::of_network(merchant.network_id(), merchant.mcc());
        match number.filter(|number| *number != first && shop.is(number)) {
            Some(number) if !self.by_name.contains_key(&first) => {
                Some(Scope::OneShop(first, number))
            }
            Some(_) | None => Some(Scope::Shop(first)),
        }
    }

    /// As [`Self::scope_of`], of a shop at which something was bought: by what it was `known` when the
    /// purchase began, and by what its till printed then.
    pub fn scope_of_purchase(
        &self,
        known: &ShopIdentity,
        mcc: Option<Mcc>,
        printed: Option<&str>,
    ) -> Option<Scope> {
        let printed = printed.unwrap_or_default();
        let named = self.identify(&Merchant::new(mcc, printed));
        if let Some(first) = named.first().filter(|key| self.by_name.contains_key(key)) {
            return Some(Scope::Shop(first));
        }
        let first = known.first().or_else(|| named.first())?;
        let other = known.keys().last().filter(|last| {
            **last != first && Some(**last) != ShopKey::from_name(printed) && !printed.is_empty()
        });
        Some(other.map_or(Scope::Shop(first), |number| Scope::OneShop(first, *number)))
    }

    /// By what a shop is known now at which something was bought: what it was `known` by then, and
    /// what the table says of what its till printed.
    pub fn identify_purchase(
        &self,
        known: &ShopIdentity,
        mcc: Option<Mcc>,
        printed: Option<&str>,
    ) -> ShopIdentity {
        let now = self.identify(&Merchant::new(mcc, printed.unwrap_or_default()));
        ShopIdentity::of(now.keys().iter().chain(known.keys()).copied().map(Some))
    }

    /// The shop that is known by `key`: by its name in the table, or as its lines begin.
    pub fn with_key(&self, key: &ShopKey) -> Option<&Shop> {
        let index = self.by_name.get(key).or_else(|| self.by_print.get(key))?;
        self.list.shops.get(*index)
    }

    /// Whether two shops are one: they have a key in common, and the table does not know them as two.
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

    /// Whether what follows a shop's name says nothing about who the shop is.
    fn says_nothing(&self, rest: &str, city: &str) -> bool {
        if rest.is_empty() {
            return true;
        }
        let city = NormalisedDescriptor::new(city);
        let mut words = rest.split(' ').rev();
        let says_nothing =
            |word: &str| self.is_ignored(word) || city.words().any(|part| part == word);
        // Tills cut a line where it is full: "wilko retail limit".
        let last = words.next().unwrap_or_default();
        let is_cut = |ignored: &String| last.len() > 1 && ignored.starts_with(last);
        (says_nothing(last) || self.list.ignore.iter().any(is_cut)) && words.all(says_nothing)
    }

    fn is_ignored(&self, word: &str) -> bool {
        word.chars().any(|c| c.is_ascii_digit()) || self.list.ignore.contains(word)
    }

    /// The key of a line without what says nothing about who the shop is.
    fn cleaned_key(&self, line: &NormalisedDescriptor, city: &str) -> Option<ShopKey> {
        let mut words: Vec<&str> = line.words().filter(|word| !self.is_ignored(word)).collect();
        let city = NormalisedDescriptor::new(city);
        let city: Vec<&str> = city.words().collect();
        if !city.is_empty() && words.len() > city.len() && words.ends_with(&city) {
            words.truncate(words.len().saturating_sub(city.len()));
        }
        // A name of nothing but numbers is still a name.
        if words.is_empty() { None } else { ShopKey::from_name(&words.join(" ")) }
    }
}

fn first_word(words: &str) -> &str {
    words.split(' ').next().unwrap_or_default()
}
