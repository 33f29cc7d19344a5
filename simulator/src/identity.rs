//! Which tills are one shop to people: the simulator's own reading of names.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use crate::shops::Shop;

/// What was found for each descriptor and name: asked for many times in one decision.
static RANKS: Mutex<BTreeMap<&str, BTreeMap<String, Option<usize>>>> = Mutex::new(BTreeMap::new());

impl Shop {
    /// How sure it is that a list that names the shop `name` means this one: 0 is the surest, none
    /// that it does not.
    pub(crate) fn rank_of(&self, name: &str) -> Option<usize> {
        let mut ranks = RANKS.lock().unwrap_or_else(PoisonError::into_inner);
        let ranks = ranks.entry(self.descriptor).or_default();
        if let Some(known) = ranks.get(name) {
            return *known;
        }
        let both = bare(self.descriptor).zip(bare(name));
        let rank = both.filter(|(ours, theirs)| ours == theirs).map(|_| 0);
        ranks.insert(name.to_owned(), rank);
        rank
    }

    /// As [`Shop::rank_of`], of a list that has the digest of a name in place of the name.
    pub(crate) fn rank_of_key(&self, key: &str) -> Option<usize> {
        let name = bare(self.descriptor)?;
        (hex::encode(Sha256::digest(name.as_bytes())) == key).then_some(0)
    }

    /// Whether people would say that the two are one shop.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.rank_of(other.descriptor).is_some()
    }

    /// Whether one shop may have sent both: names differ between a till and its claims.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let first = |shop: &Self| first_word(shop.descriptor);
        let is_alike =
            self.code == other.code && first(self).is_some() && first(self) == first(other);
        bare(self.descriptor).is_none()
            || bare(other.descriptor).is_none()
            || self.is_same_as(other)
            || is_alike
    }
}

/// The letters of the first word that has any, in capitals.
fn first_word(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    upper.split_whitespace().map(letters).find(|word| !word.is_empty())
}

/// The letters of a name in capitals, or its digits when it has no letters; none when it has neither.
fn bare(text: &str) -> Option<String> {
    let upper = text.to_uppercase();
    let kept = |keep: fn(char) -> bool| {
        let words = upper.split_whitespace();
        let words = words.map(|word| word.chars().filter(|c| keep(*c)).collect::<String>());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    kept(char::is_alphabetic).or_else(|| kept(char::is_numeric))
}
