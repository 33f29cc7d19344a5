//! Decides which merchant descriptors belong to one shop: the simulator's own implementation of the
//! rules in `merchant-rules/shops.toml`.
//!
//! A shop has several names: its name in the table, or else its descriptor without noise words; the
//! whole descriptor; and the network's merchant number. Two shops that share a name are one shop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::shops::{self, Shop};

const DEFAULT_TABLE: &str = include_str!("../../merchant-rules/shops.toml");

/// The table in use: the built-in one, preceded by the programme's own shops.
static CURRENT_TABLE: LazyLock<Mutex<Arc<ShopTable>>> =
    LazyLock::new(|| Mutex::new(Arc::new(ShopTable::with(Vec::new()))));
/// Names of every shop seen so far. The entries are leaked, because a run sees few shops.
static NAMES_CACHE: Mutex<BTreeMap<ShopCacheKey, &'static ShopNames>> = Mutex::new(BTreeMap::new());

type ShopCacheKey = (&'static str, &'static str, &'static str, &'static str);

/// The names of one shop, the most reliable first, and a cache of [`Shop::rank_of`].
#[derive(Debug, Default)]
struct ShopNames(Vec<String>, Mutex<BTreeMap<String, Option<usize>>>);

impl ShopNames {
    fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|name| other.0.contains(name))
    }
}

impl Shop {
    /// Rank of the name by which a list's `name` matches this shop: 0 is the most reliable; `None`
    /// without a match.
    pub(crate) fn rank_of(&self, name: &str) -> Option<usize> {
        let ShopNames(names, ranks) = self.names();
        let mut ranks = ranks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rank) = ranks.get(name) {
            return *rank;
        }
        let resolved_name = table().resolved_name(name);
        let rank = resolved_name.and_then(|name| names.iter().position(|known| *known == name));
        ranks.insert(name.to_owned(), rank);
        rank
    }

    /// Like [`Shop::rank_of`], for a list that holds digests of names, joined by `+`.
    pub(crate) fn rank_of_key(&self, keys: &str) -> Option<usize> {
        let digest = |name: &String| hex::encode(Sha256::digest(name.as_bytes()));
        self.names().0.iter().position(|name| keys.split('+').any(|key| digest(name) == key))
    }

    /// Whether two descriptors belong to one shop. Two entries of the table are never the same
    /// shop.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let (one, other) = (self.names(), other.names());
        let table = table();
        let known = |names: &ShopNames| table.shop_called(names.0.first()?);
        match (known(one), known(other)) {
            (Some(one), Some(other)) => one == other,
            (_, _) => one.overlaps(other),
        }
    }

    /// Whether one shop may have sent both messages. Looser than [`Shop::is_same_as`], because the
    /// descriptor of a capture may differ from that of its authorisation request.
    pub(crate) fn may_be_same_shop(&self, other: &Self) -> bool {
        let words = first_word(self.descriptor).zip(first_word(other.descriptor));
        let is_alike = self.code == other.code && words.is_none_or(|(one, other)| one == other);
        let is_nameless = |shop: &Self| shop.names().0.is_empty();
        is_nameless(self) || is_nameless(other) || self.shares_name_with(other) || is_alike
    }

    /// Whether the two shops have a name in common.
    pub(crate) fn shares_name_with(&self, other: &Self) -> bool {
        self.names().overlaps(other.names())
    }

    fn names(&self) -> &'static ShopNames {
        let cache_key = (self.descriptor, self.code, self.city, self.network_id);
        let mut known = NAMES_CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(cache_key).or_insert_with(|| Box::leak(Box::new(table().names(self))))
    }
}

/// Puts a programme's own shops before those of the built-in table. A shop of the same name
/// replaces the table's.
pub(crate) fn load_own_shops(own: &[KnownShop]) {
    if own != table().own {
        *CURRENT_TABLE.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(ShopTable::with(own.to_vec()));
        NAMES_CACHE.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn table() -> Arc<ShopTable> {
    Arc::clone(&CURRENT_TABLE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The letters of the first word that has letters, in upper case.
fn first_word(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    upper.split_whitespace().map(letters).find(|word| !word.is_empty())
}

/// A name reduced to its letters in upper case, or to its digits if it has no letters; `None` if it
/// has neither.
fn normalised_name(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let kept = |keep: fn(char) -> bool| {
        let words = upper.split_whitespace();
        let words = words.map(|word| word.chars().filter(|c| keep(*c)).collect::<String>());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    kept(char::is_alphabetic).or_else(|| kept(char::is_numeric))
}

/// The TOML file of the table.
#[derive(Debug, Default, Deserialize)]
struct ShopTableFile {
    #[serde(default)]
    ignore: BTreeSet<String>,
    #[serde(default)]
    facilitator: Vec<Facilitator>,
    #[serde(default)]
    shop: Vec<KnownShop>,
}

#[derive(Debug, Deserialize)]
struct Facilitator {
    prints: Vec<String>,
    /// Whether a star must follow the facilitator's name.
    #[serde(default)]
    star: bool,
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct KnownShop {
    name: String,
    #[serde(default)]
    prints: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    #[serde(default)]
    codes: BTreeSet<String>,
    #[serde(default)]
    not_codes: BTreeSet<String>,
    #[serde(default)]
    network_ids: BTreeSet<String>,
}

impl ShopTableFile {
    fn read(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

/// The table, indexed for lookups.
#[derive(Debug)]
struct ShopTable {
    /// The programme's own shops.
    own: Vec<KnownShop>,
    ignore: BTreeSet<String>,
    /// Descriptor prefixes of payment facilitators, and whether a star must follow, longest first.
    facilitators: Vec<(Vec<String>, bool)>,
    shops: Vec<KnownShop>,
    /// Index into `shops` by normalised name.
    called: BTreeMap<String, usize>,
    /// Descriptor prefixes by their first word, in order of precedence.
    prints: BTreeMap<String, Vec<DescriptorPrefix>>,
}

/// A descriptor prefix and the shop that it identifies or excludes.
#[derive(Debug)]
struct DescriptorPrefix {
    words: Vec<String>,
    /// Whether any words may follow the prefix.
    is_open: bool,
    /// Index into [`ShopTable::shops`].
    shop: usize,
    /// Whether the prefix excludes the shop.
    is_never: bool,
}

impl DescriptorPrefix {
    fn of(text: &str, shop: usize, is_never: bool) -> Self {
        let open = text.trim().strip_suffix(" *");
        let words = NormalisedDescriptor::of(open.unwrap_or(text)).words;
        Self { words, is_open: open.is_some(), shop, is_never }
    }

    /// Sort key: the longest prefix first.
    fn order(&self) -> std::cmp::Reverse<(usize, bool)> {
        std::cmp::Reverse((self.words.join(" ").len(), self.is_never))
    }
}

impl ShopTable {
    /// The built-in table, preceded by a programme's own shops.
    fn with(own: Vec<KnownShop>) -> Self {
        let mut file = ShopTableFile::read(DEFAULT_TABLE).unwrap_or_default();
        let names: BTreeSet<_> =
            own.iter().filter_map(|shop| normalised_name(&shop.name)).collect();
        file.shop
            .retain(|shop| normalised_name(&shop.name).is_none_or(|name| !names.contains(&name)));
        file.shop.splice(0..0, own.iter().cloned());
        Self::of(file, own)
    }

    fn of(file: ShopTableFile, own: Vec<KnownShop>) -> Self {
        let facilitators = file.facilitator.iter().flat_map(|facilitator| {
            facilitator
                .prints
                .iter()
                .map(|print| (NormalisedDescriptor::of(print).words, facilitator.star))
        });
        let mut facilitators: Vec<_> = facilitators.collect();
        facilitators.sort_by_key(|(words, _)| std::cmp::Reverse(words.join(" ").len()));
        let (mut called, mut prints) =
            (BTreeMap::new(), BTreeMap::<_, Vec<DescriptorPrefix>>::new());
        for (place, shop) in file.shop.iter().enumerate() {
            if let Some(letters) = normalised_name(&shop.name) {
                called.entry(letters).or_insert(place);
            }
            let own = shop.prints.iter().chain([&shop.name]).map(|text| (text, false));
            for (text, is_never) in own.chain(shop.never.iter().map(|text| (text, true))) {
                let print = DescriptorPrefix::of(text, place, is_never);
                let first = print.words.first().cloned().unwrap_or_default();
                prints.entry(first).or_default().push(print);
            }
        }
        for prints in prints.values_mut() {
            prints.sort_by_key(DescriptorPrefix::order);
        }
        Self { own, ignore: file.ignore, facilitators, shops: file.shop, called, prints }
    }

    /// Index of the shop with this normalised name.
    fn shop_called(&self, letters: &str) -> Option<usize> {
        self.called.get(letters).copied()
    }

    /// The most reliable name of the shop that a list calls `name`.
    fn resolved_name(&self, name: &str) -> Option<String> {
        let line = NormalisedDescriptor::of(name);
        let seller = self.seller(&line);
        let line = seller.as_ref().unwrap_or(&line);
        let known = self.match_prefix(line, "", &[]).and_then(|place| self.shops.get(place));
        known
            .map_or_else(|| self.without_noise(line, &[]), |known| normalised_name(&known.name))
            .or_else(|| normalised_name(name))
    }

    fn names(&self, shop: &Shop) -> ShopNames {
        let printed = NormalisedDescriptor::of(shop.descriptor);
        let seller = self.seller(&printed);
        let line = seller.as_ref().unwrap_or(&printed);
        let city = NormalisedDescriptor::of(shop.city).words;
        let by_number = || {
            let is_its = |known: &KnownShop| known.network_ids.contains(shop.network_id);
            self.shops.iter().position(is_its)
        };
        let known = if seller.is_some() { None } else { by_number() };
        let known = known.or_else(|| self.match_prefix(line, shop.code, &city));
        // A name of another shop in the table does not identify this one.
        let is_own = |name: &String| {
            let named = self.shop_called(name);
            named.is_none() || named == known
        };
        let called = match known.and_then(|place| self.shops.get(place)) {
            Some(known) => normalised_name(&known.name),
            None => self.without_noise(line, &city).filter(is_own),
        };
        let printed = normalised_name(shop.descriptor).filter(is_own);
        let number = shops::network_id(shop)
            .filter(|id| seller.is_none() && id.chars().any(|c| c.is_alphanumeric() && c != '0'));
        let number = number.map(|id| number_name(shop.code, id.trim()));
        let mut names: Vec<String> = Vec::new();
        for name in [called, printed, number].into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        ShopNames(names, Mutex::default())
    }

    /// The seller's part of a descriptor that begins with a payment facilitator's name.
    fn seller(&self, line: &NormalisedDescriptor) -> Option<NormalisedDescriptor> {
        let mut facilitators =
            self.facilitators.iter().filter(|(words, _)| line.words.starts_with(words));
        facilitators.find_map(|(words, star)| {
            let remainder = line.remainder(words.len());
            let is_facilitator = !star || line.stars.contains(&words.len());
            (is_facilitator && !remainder.words.is_empty()).then_some(remainder)
        })
    }

    /// Index of the shop with the longest prefix that matches the descriptor.
    fn match_prefix(
        &self,
        line: &NormalisedDescriptor,
        code: &str,
        city: &[String],
    ) -> Option<usize> {
        let mut never = BTreeSet::new();
        for print in self.prints.get(line.words.first()?)? {
            let Some(rest) = line.words.strip_prefix(print.words.as_slice()) else { continue };
            let Some(KnownShop { codes, not_codes, .. }) = self.shops.get(print.shop) else {
                continue;
            };
            let is_free = print.is_open || (codes.contains(code) && !print.is_never);
            let fits = is_free || self.is_noise(rest, city);
            if !fits || never.contains(&print.shop) || not_codes.contains(code) {
                continue;
            }
            if !print.is_never {
                return Some(print.shop);
            }
            never.insert(print.shop);
        }
        None
    }

    /// Whether the words do not identify a shop. The last one may be cut off, because descriptors
    /// have a maximum length.
    fn is_noise(&self, words: &[String], city: &[String]) -> bool {
        let Some((last, before)) = words.split_last() else { return true };
        let is_noise = |word: &String| self.is_ignored(word) || city.contains(word);
        let is_cut = || {
            let mut ignored = self.ignore.iter();
            last.len() > 1 && ignored.any(|ignored| ignored.starts_with(last.as_str()))
        };
        (is_noise(last) || is_cut()) && before.iter().all(is_noise)
    }

    fn is_ignored(&self, word: &String) -> bool {
        word.contains(|c: char| c.is_ascii_digit()) || self.ignore.contains(word)
    }

    /// The descriptor without noise words and without the city at its end.
    fn without_noise(&self, line: &NormalisedDescriptor, city: &[String]) -> Option<String> {
        let mut words: Vec<_> = line.words.iter().filter(|word| !self.is_ignored(word)).collect();
        let is_after = words.len() > city.len() && !city.is_empty();
        if is_after && words.iter().rev().zip(city.iter().rev()).all(|(word, city)| *word == city) {
            words.truncate(words.len() - city.len());
        }
        let words: Vec<_> = words.into_iter().cloned().collect();
        normalised_name(&words.join(" "))
    }
}

/// The merchant number as a name. The NUL characters keep it apart from every printed name.
fn number_name(code: &str, number: &str) -> String {
    // Must equal the gateway's text, because lists may hold the digest of it.
    format!("network\u{0}{code}\u{0}{number}")
}

/// A descriptor in lower-case words without accents and punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NormalisedDescriptor {
    words: Vec<String>,
    /// The number of words before each star or underscore.
    stars: Vec<usize>,
}

impl NormalisedDescriptor {
    fn of(text: &str) -> Self {
        let mut line = Self { words: Vec::new(), stars: Vec::new() };
        let mut word = String::new();
        for character in text.chars().flat_map(char::to_lowercase).chain([' ']) {
            match character {
                '\'' | '’' | '‘' | '`' | '´' | '\u{300}'..='\u{36f}' => continue,
                c if c.is_alphanumeric() => {
                    word.push(without_accent(c));
                    continue;
                }
                _ => {}
            }
            if !word.is_empty() {
                line.words.push(std::mem::take(&mut word));
            }
            match character {
                '*' | '_' => line.stars.push(line.words.len()),
                '&' => line.words.push("and".to_owned()),
                _ => {}
            }
        }
        for noise in ["http", "https", "www"] {
            if line.words.len() > 1 && line.words.first().is_some_and(|first| first == noise) {
                line = line.remainder(1);
            }
        }
        line
    }

    /// The descriptor without its first `words` words.
    fn remainder(&self, words: usize) -> Self {
        let stars = self.stars.iter().filter_map(|star| star.checked_sub(words)).collect();
        Self { words: self.words.get(words..).unwrap_or_default().to_vec(), stars }
    }
}

fn without_accent(letter: char) -> char {
    const ACCENTS: [(&str, char); 8] = [
        ("àáâãäå", 'a'),
        ("ç", 'c'),
        ("èéêë", 'e'),
        ("ìíîï", 'i'),
        ("ñ", 'n'),
        ("òóôõöø", 'o'),
        ("ùúûü", 'u'),
        ("ýÿ", 'y'),
    ];
    let found = ACCENTS.iter().find(|(letters, _)| letters.contains(letter));
    found.map_or(letter, |(_, without_accent)| *without_accent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shops::PurchaseChannel;

    fn shop(descriptor: &'static str, code: &'static str, city: &'static str) -> Shop {
        Shop {
            name: descriptor,
            descriptor,
            code,
            slug: "",
            category: "",
            also: &[],
            city,
            country: "GB",
            network_id: "",
            channel: PurchaseChannel::Counter,
        }
    }

    #[test]
    fn the_table_is_read() {
        let file = ShopTableFile::read(DEFAULT_TABLE).unwrap();
        assert!(file.shop.len() > 50);
        assert!(!file.ignore.is_empty() && !file.facilitator.is_empty());
    }

    #[test]
    fn a_shop_has_the_name_that_people_call_it() {
        for (descriptor, code, name) in [
            ("TESCO STORES 3278", "5411", "Tesco"),
            ("TESCO STORES 3278", "5411", "Tesco Stores"),
            ("Tesco Express 2211 Leeds", "5411", "tesco"),
            ("B & Q 1357", "5200", "B&Q"),
            ("AMZNMktplace*2E5QX", "5942", "Amazon"),
            ("SAINSBURY'S S/MKTS", "5411", "Sainsbury's"),
            ("THEORY TEST CENTRE", "8299", "Theory Test Centre"),
            ("MILL LANE BAKERY 12 LTD", "5462", "Mill Lane Bakery"),
            ("SQ *MILL LANE BAKERY", "5462", "Mill Lane Bakery"),
        ] {
            assert!(shop(descriptor, code, "").rank_of(name).is_some(), "{descriptor}: {name}");
        }
        for (descriptor, code, name) in [
            ("ICELANDAIR 108", "3015", "Iceland"),
            ("TESCO BANK 12", "6012", "Tesco"),
            ("PAYPAL *BOOKSHOP", "5942", "PayPal"),
            ("SQUARE PIE 12", "5812", "Pie"),
        ] {
            assert_eq!(shop(descriptor, code, "").rank_of(name), None, "{descriptor}: {name}");
        }
    }

    #[test]
    fn tills_of_one_shop_are_one_shop() {
        let same = |one: &Shop, other: &Shop| one.is_same_as(other);
        let bakery = shop("MILL LANE BAKERY LEEDS", "5462", "LEEDS");
        assert!(same(&bakery, &shop("Mill Lane Bakery 7", "5462", "")));
        let numbered = |descriptor, network_id| Shop { network_id, ..shop(descriptor, "4121", "") };
        assert!(same(&numbered("RIDE 1 ANN", "0042"), &numbered("RIDE BOB", "0042")));
        assert!(!same(&numbered("RIDE ANN", "0042"), &numbered("RIDE BOB", "0043")));
        assert!(!same(&numbered("RIDE ANN", "0000"), &numbered("RIDE BOB", "0000")));
        let sellers = ["PAYPAL *ANN", "PAYPAL *BOB"].map(|name| numbered(name, "0042"));
        assert!(!same(&sellers[0], &sellers[1]), "a payment firm's number is not its sellers'");
        let tescos = ["TESCO STORES 1", "TESCO BANK"].map(|name| numbered(name, "0042"));
        assert!(!same(&tescos[0], &tescos[1]), "the table knows them as two");
    }

    #[test]
    fn a_programme_has_shops_of_its_own() {
        let own = "[[shop]]\nname = \"Zebra Corner\"\nprints = [\"zc foods *\"]\n\
                   [[shop]]\nname = \"Farmfoods\"\nprints = [\"zc frozen *\"]\n";
        load_own_shops(&ShopTableFile::read(own).unwrap().shop);
        assert!(shop("ZC FOODS 12 LEEDS", "5411", "").rank_of("Zebra Corner").is_some());
        assert!(shop("ZC FROZEN 12", "5411", "").rank_of("Farmfoods").is_some());
        assert_eq!(table().shops[1].prints, ["zc frozen *"], "in place of the table's");
    }

    #[test]
    fn the_digest_of_a_name_is_a_name() {
        let tesco = shop("TESCO STORES 3278", "5411", "");
        let key = "286afb5e385c6b12ebbae23544a6d9b16be3dd88a47928a35b5a9e7206af23f6";
        assert!(tesco.rank_of_key(key).is_some());
        assert_eq!(tesco.rank_of_key("00"), None);
    }
}
