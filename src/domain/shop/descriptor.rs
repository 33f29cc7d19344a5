//! Normalisation of merchant descriptors: the text that a terminal prints for a shop.

use crate::domain::shop::merchant::clean;

/// A descriptor as plain words: lower case, without accents, apostrophes and punctuation, separated
/// by one space. "TESCO-STORES 6463" becomes `tesco stores 6463`, "B&Q" becomes `b and q`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::domain) struct NormalisedDescriptor {
    text: String,
    /// Byte offsets in `text` at which a star or underscore was removed. Payment facilitators print
    /// one between their own name and their seller's.
    stars: Vec<usize>,
}

impl NormalisedDescriptor {
    pub(in crate::domain) fn new(line: &str) -> Self {
        let mut text = String::with_capacity(line.len());
        let mut stars = Vec::new();
        let mut is_open = false;
        for c in clean(line).chars() {
            if c == '*' || c == '_' {
                stars.push(text.len());
            }
            if is_silent(c) {
                continue;
            }
            if c == '&' {
                let gap = if text.is_empty() { "" } else { " " };
                text.push_str(gap);
                text.push_str("and");
            }
            if !c.is_alphanumeric() {
                is_open = false;
                continue;
            }
            if !is_open && !text.is_empty() {
                text.push(' ');
            }
            is_open = true;
            let before = text.len();
            text.extend(c.to_lowercase().filter_map(without_accent));
            // A character that is only a combining accent starts no word.
            if text.len() == before && text.ends_with(' ') {
                text.pop();
                is_open = false;
            }
        }
        let mut printed = Self { text, stars };
        for noise in ["http", "https", "www"] {
            if let Some(rest) = printed.after(noise).filter(|rest| !rest.text.is_empty()) {
                printed = rest;
            }
        }
        printed
    }

    pub(in crate::domain) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::domain) fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split(' ').filter(|word| !word.is_empty())
    }

    /// The text after `words`, if the descriptor begins with them as whole words.
    pub(in crate::domain) fn rest(&self, words: &str) -> Option<&str> {
        let rest = self.text.strip_prefix(words)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix(' ') }
    }

    /// The descriptor after `words`, if it begins with them as whole words.
    pub(in crate::domain) fn after(&self, words: &str) -> Option<Self> {
        let rest = self.rest(words)?.to_owned();
        let gone = self.text.len().saturating_sub(rest.len());
        let stars = self.stars.iter().filter_map(|at| at.checked_sub(gone)).collect();
        Some(Self { text: rest, stars })
    }

    /// Whether a star follows `words` directly.
    pub(in crate::domain) fn has_star_after(&self, words: &str) -> bool {
        self.stars.contains(&words.len())
    }
}

/// Characters dropped within a word, so that "Sainsbury's" and "SAINSBURYS" are the same word.
const fn is_silent(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´')
}

/// The letter without its accent; `None` for a combining accent.
const fn without_accent(c: char) -> Option<char> {
    Some(match c {
        '\u{300}'..='\u{36f}' => return None,
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        _ => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_words() {
        let cases = [
            ("TESCO-STORES 6463", "tesco stores 6463"),
            ("B & Q 1357", "b and q 1357"),
            ("MARKS&SPENCER", "marks and spencer"),
            ("SAINSBURY'S S/MKTS", "sainsburys s mkts"),
            ("Home Bargains(northfie", "home bargains northfie"),
            ("WWW.AMAZON.CO.UK*2E5", "amazon co uk 2e5"),
            ("https://www.shop.example", "shop example"),
            ("Caffè Nero", "caffe nero"),
            ("Cafe\u{301} Rouge", "cafe rouge"),
            ("喫茶 *店", "喫茶 店"),
            ("WWW", "www"),
            ("***", ""),
        ];
        for (line, words) in cases {
            assert_eq!(NormalisedDescriptor::new(line).text(), words, "{line:?}");
        }
    }

    #[test]
    fn words_are_whole() {
        let line = NormalisedDescriptor::new("ICELANDAIR 108");
        assert_eq!((line.rest("iceland"), line.rest("icelandair")), (None, Some("108")));
        assert_eq!(NormalisedDescriptor::new("B&Q").rest("b and q"), Some(""));
    }

    #[test]
    fn a_star_stands_right_behind_its_word() {
        for line in ["SQ *CAFE", "SQ * CAFE", "sq* cafe", "SQ_*CAFE"] {
            assert!(NormalisedDescriptor::new(line).has_star_after("sq"), "{line}");
        }
        for line in ["SQ CAFE", "SQ CAFE *1", "SQUARE *CAFE"] {
            assert!(!NormalisedDescriptor::new(line).has_star_after("sq"), "{line}");
        }
        let seller = NormalisedDescriptor::new("PAYPAL *SHOP *1").after("paypal").unwrap();
        assert_eq!(seller.text(), "shop 1");
        assert!(seller.has_star_after("shop"));
    }
}
