//! Shop identity: the keys that identify a shop across different descriptors.
//!
//! `merchant` and `table` refer to each other: the merchant rules contain the shop table, because a
//! programme puts both in force together, and the table identifies a shop by the name, MCC and
//! network identifier of a merchant. It compares names as normalised by `descriptor`, whose first
//! step is `clean` of `merchant`.

pub(in crate::domain) mod descriptor;
pub mod home;
pub mod merchant;
pub mod table;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::domain::shop::merchant::{Mcc, clean};

/// The SHA-256 of one name of a shop, or of one network identifier.
///
/// The key still matches after the name's text is erased. It hides the name from readers, but not
/// from an attacker who hashes candidate names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShopKey([u8; 32]);

/// The text is not a shop key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shop key is 64 lower-case hexadecimal digits")]
pub struct ParseShopKeyError;

impl ShopKey {
    /// The key of a shop's name. "Tesco Stores 3278" and "TESCO  STORES" have the same key.
    ///
    /// `None` if the name has neither a letter nor a digit, because such a name must match nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        let normal = normalised(name)?;
        Some(Self(Sha256::digest(normal.as_bytes()).into()))
    }

    /// The key of a network's merchant identifier, combined with the MCC. It never equals a name's
    /// key, because names hold no control characters.
    ///
    /// `None` for an identifier without information: terminals that have none send placeholders
    /// such as `0000000` or `1234567890`.
    pub fn of_network(network_id: &str, mcc: Option<Mcc>) -> Option<Self> {
        let number = network_id.trim();
        let code = mcc.map(Mcc::number).unwrap_or_default();
        (!is_placeholder(number)).then(|| {
            Self(Sha256::digest(format!("network\u{0}{code:04}\u{0}{number}").as_bytes()).into())
        })
    }

    /// Parses a stored key.
    pub fn parse(text: &str) -> Result<Self, ParseShopKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseShopKeyError)?;
        let key = Self(bytes);
        if key.to_string() == text { Ok(key) } else { Err(ParseShopKeyError) }
    }
}

impl FromStr for ShopKey {
    type Err = ParseShopKeyError;

    fn from_str(text: &str) -> Result<Self, ParseShopKeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for ShopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ShopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShopKey({self})")
    }
}

/// Whether a network identifier is a placeholder: no letters or digits, a single repeated digit, or
/// the digits in ascending order.
fn is_placeholder(number: &str) -> bool {
    let mut signs = number.chars().filter(|c| c.is_alphanumeric());
    let Some(first) = signs.next() else { return true };
    let is_one_digit = number.len() > 1 && first.is_ascii_digit() && signs.all(|c| c == first);
    let in_order = |digits: &str| number.len() >= 6 && digits.starts_with(number);
    first == '0' && number.len() == 1
        || is_one_digit
        || in_order("12345678901234567890")
        || in_order("01234567890123456789")
}

/// Upper-cases a shop's name and keeps its letters, with one space between words, because branch
/// and till numbers do not identify the shop.
///
/// A name without letters ("365") keeps its digits instead; otherwise all such shops would share
/// one key.
fn normalised(name: &str) -> Option<String> {
    let upper = clean(name).to_uppercase();
    let keep = |wanted: fn(char) -> bool| {
        let words = upper.split(' ').map(|word| word.chars().filter(|c| wanted(*c)).collect());
        let words: Vec<String> = words.filter(|word: &String| !word.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    keep(char::is_alphabetic).or_else(|| keep(char::is_numeric))
}

/// All keys that identify one shop, the most reliable first: the key of its name in the shop table
/// or, for a shop not in the table, of its cleaned name; the key of the printed name; the key of
/// its network identifier.
///
/// A term or a permission about a shop applies to a purchase if its key is one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopIdentity(Vec<ShopKey>);

/// The text is not a list of shop keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys of a shop are separated by one space")]
pub struct ParseShopIdentityError;

impl ShopIdentity {
    /// The given keys in this order, without duplicates.
    pub fn of(keys: impl IntoIterator<Item = Option<ShopKey>>) -> Self {
        let mut known = Vec::new();
        for key in keys.into_iter().flatten() {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        Self(known)
    }

    /// The identity of a shop known by its printed name alone, as in records from before the shop
    /// table.
    pub fn printed(name: &str) -> Self {
        Self::of([ShopKey::from_name(name)])
    }

    /// The most reliable key; `None` for a shop with neither name nor identifier.
    pub fn first(&self) -> Option<ShopKey> {
        self.0.first().copied()
    }

    /// All keys, the most reliable first.
    pub fn keys(&self) -> &[ShopKey] {
        &self.0
    }

    /// Whether no key is known.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is one of the shop's keys.
    pub fn is(&self, key: &ShopKey) -> bool {
        self.0.contains(key)
    }

    /// The position of `key`: 0 is the most reliable. `None` if it is not one of the shop's keys.
    pub fn rank(&self, key: &ShopKey) -> Option<usize> {
        self.0.iter().position(|known| known == key)
    }

    /// Whether both have a key in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|key| other.is(key))
    }

    /// Keeps only the keys that are `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&ShopKey) -> bool) -> Self {
        Self(self.0.iter().filter(|key| wanted(key)).copied().collect())
    }
}

impl fmt::Display for ShopIdentity {
    /// Writes the stored form: the keys, separated by one space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{key}")?;
        }
        Ok(())
    }
}

impl FromStr for ShopIdentity {
    type Err = ParseShopIdentityError;

    fn from_str(text: &str) -> Result<Self, ParseShopIdentityError> {
        let keys: Result<Vec<_>, _> = text.split_ascii_whitespace().map(ShopKey::parse).collect();
        let identity = Self(keys.map_err(|_| ParseShopIdentityError)?);
        if identity.to_string() == text { Ok(identity) } else { Err(ParseShopIdentityError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::shop::merchant::Merchant;

    #[test]
    fn one_shop_has_one_key_whatever_its_branch() {
        let same = [
            ("Tesco Stores 3278", "TESCO   STORES"),
            ("Sainsbury's", "SAINSBURYS 0042"),
            ("Straße Café", "STRASSE CAFÉ"),
            ("Кафе №1", "КАФЕ №2"),
            ("365", " 3-6-5 "),
        ];
        for (one, other) in same {
            assert!(ShopKey::from_name(one).is_some());
            assert_eq!(ShopKey::from_name(one), ShopKey::from_name(other), "{one} / {other}");
        }
        let different = [("Tesco", "Tescoma"), ("365", "99"), ("喫茶", "茶喫"), ("A B", "AB")];
        for (one, other) in different {
            assert_ne!(ShopKey::from_name(one), ShopKey::from_name(other), "{one} / {other}");
        }
        for nothing in ["", "  ", "***", "\u{200B}"] {
            assert_eq!(ShopKey::from_name(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_shop_key_is_the_sha_256_of_the_normalised_name() {
        let key = Merchant::new(None, "Tesco Stores, 3278").shop_key().unwrap();
        let known = "286afb5e385c6b12ebbae23544a6d9b16be3dd88a47928a35b5a9e7206af23f6";
        assert_eq!(key.to_string(), known);
        assert_eq!(ShopKey::parse(known), Ok(key));
        for text in ["", "286a", &known.to_uppercase(), &format!("{known}00")] {
            assert_eq!(ShopKey::parse(text), Err(ParseShopKeyError), "{text}");
        }
    }

    #[test]
    fn the_number_of_a_network_is_a_key_apart_from_every_name() {
        let mcc = Mcc::parse("5942").ok();
        let key = ShopKey::of_network("000123400", mcc);
        assert!(key.is_some());
        assert_eq!(key, ShopKey::of_network(" 000123400 ", mcc));
        assert_ne!(key, ShopKey::of_network("000123400", None));
        assert_ne!(key, ShopKey::of_network("000123401", mcc));
        assert_ne!(key, ShopKey::from_name("000123400"));
        for nothing in ["", "  ", "0", "000000000", "0-0", "---", "999999999", "1234567890"] {
            assert_eq!(ShopKey::of_network(nothing, mcc), None, "{nothing:?}");
        }
        for number in ["1", "7788", "111000", "123457", "12345", "PP0001", "A"] {
            assert!(ShopKey::of_network(number, mcc).is_some(), "{number}");
        }
    }

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        let [tesco, stores] = ["Tesco", "Tesco Stores"].map(ShopKey::from_name);
        let both = ShopIdentity::of([tesco, None, stores, tesco]);
        assert_eq!(both.keys().len(), 2);
        assert_eq!(both.to_string().parse(), Ok(both.clone()));
        assert_eq!(both.rank(&stores.unwrap()), Some(1));
        assert!(both.overlaps(&ShopIdentity::printed("TESCO STORES 3278")));
        assert!(!both.overlaps(&ShopIdentity::printed("TESCOMA")));
        assert_eq!("".parse(), Ok(ShopIdentity::default()));
        let one = tesco.unwrap().to_string();
        for text in [format!("{one}  {one}"), format!("{one} "), "tesco".to_owned()] {
            assert_eq!(text.parse::<ShopIdentity>(), Err(ParseShopIdentityError), "{text:?}");
        }
    }

    proptest! {
        /// The key stays the same if the text is erased and the merchant's cleaned name is kept.
        #[test]
        fn a_key_does_not_depend_on_case_or_digits(name in "[a-z]{1,12}( [a-z]{1,9})?", n: u32) {
            let key = ShopKey::from_name(&name);
            prop_assert!(key.is_some());
            prop_assert_eq!(ShopKey::from_name(&format!("  {} #{n}", name.to_uppercase())), key);
        }
    }
}
