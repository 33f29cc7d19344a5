//! The words that all issuers' columns have in common: verbs, amounts and attributes.

use super::table::minor;

/// One message in words, split into its parts: `capture 20.61 of EUR 23.40`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageWords<'a> {
    pub(super) verb: &'a str,
    rest: &'a str,
    pub(super) text: &'a str,
}

impl<'a> MessageWords<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        Self { verb, rest, text }
    }

    /// The amount after the verb.
    pub(super) fn amount(self) -> i64 {
        self.amount_if_any().unwrap_or_else(|| panic!("{:?} names no amount", self.text))
    }

    pub(super) fn amount_if_any(self) -> Option<i64> {
        let first = self.rest.split(' ').next().unwrap();
        first.starts_with(|letter: char| letter.is_ascii_digit()).then(|| minor(first))
    }

    /// Whether the word occurs after the verb.
    pub(super) fn says(self, word: &str) -> bool {
        self.rest.split(' ').any(|said| said == word)
    }

    /// The word that follows `word`: `EUR` after `of`.
    pub(super) fn after(self, word: &str) -> Option<&'a str> {
        let mut words = self.rest.split(' ').skip_while(|said| *said != word);
        words.nth(1)
    }

    /// Code and name of the presentment's shop, if it differs from that of the purchase.
    pub(super) fn other_shop<'s>(self, code: &'s str, name: &'s str) -> (&'s str, &'s str)
    where
        'a: 's,
    {
        match (self.after("as"), self.after("at")) {
            (Some(code), _) => (code, name),
            (None, Some("boots")) => ("5912", "BOOTS 0452"),
            (None, Some(other)) => panic!("nobody knows the shop {other}"),
            (None, None) => (code, name),
        }
    }

    /// The merchant's own currency and amount, if given.
    pub(super) fn in_their_money(self) -> Option<(String, i64)> {
        let currency = self.after("of")?;
        let amount = minor(self.after(currency).unwrap());
        // Yen have no decimals.
        Some((currency.to_lowercase(), if currency == "JPY" { amount / 100 } else { amount }))
    }
}
