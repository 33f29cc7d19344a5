//! The limits of one text message: 160 septets of the 7-bit alphabet of 3GPP TS 23.038, or 70
//! UTF-16 code units.

/// Characters of one septet.
const GSM7_BASIC: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/// Characters of two septets.
const GSM7_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Letters and marks outside the 7-bit alphabet, with replacements that read well enough.
const TRANSLITERATIONS: &[(&str, &str)] = &[
    ("‘’ʼ´`", "'"),
    ("“”„«»", "\""),
    ("‐‑‒–—―", "-"),
    ("…", "..."),
    ("ÁÀÂÃĀĂĄ", "A"),
    ("áâãāăą", "a"),
    ("ĆČĈĊ", "C"),
    ("çćčĉċ", "c"),
    ("ĎĐ", "D"),
    ("ďđ", "d"),
    ("ÈÊËĒĘĚĖ", "E"),
    ("êëēęěė", "e"),
    ("ĞĢ", "G"),
    ("ğģ", "g"),
    ("ÌÍÎÏĪĮİ", "I"),
    ("íîïīįı", "i"),
    ("Ķ", "K"),
    ("ķ", "k"),
    ("ŁĹĽĻ", "L"),
    ("łĺľļ", "l"),
    ("ŃŇŅ", "N"),
    ("ńňņ", "n"),
    ("ÒÓÔÕŌŐ", "O"),
    ("óôõōő", "o"),
    ("ŔŘ", "R"),
    ("ŕř", "r"),
    ("ŚŠŞȘ", "S"),
    ("śšşș", "s"),
    ("ŤŢȚ", "T"),
    ("ťţț", "t"),
    ("ÙÚÛŪŮŰŲ", "U"),
    ("úûūůűų", "u"),
    ("ŴẀẂ", "W"),
    ("ŵẁẃ", "w"),
    ("ÝŸŶ", "Y"),
    ("ýÿŷ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("Œ", "OE"),
    ("œ", "oe"),
];

/// Whether `text` fits into one message.
pub(super) fn fits(text: &str) -> bool {
    match septets(text) {
        Some(septets) => septets <= 160,
        None => text.encode_utf16().count() <= 70,
    }
}

/// The septets of `text`; none if it has a character outside the 7-bit alphabet.
pub(super) fn septets(text: &str) -> Option<usize> {
    text.chars().try_fold(0, |sum, letter| {
        if GSM7_BASIC.contains(letter) {
            Some(sum + 1)
        } else if GSM7_EXTENSION.contains(letter) {
            Some(sum + 2)
        } else {
            None
        }
    })
}

/// A name in the 7-bit alphabet where there are replacements: "Zoë" as "Zoe". Other scripts stay
/// as they are.
pub(super) fn transliterate(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        let known = TRANSLITERATIONS.iter().find(|(letters, _)| letters.contains(letter));
        match known {
            Some((_, simple)) => plain.push_str(simple),
            None if letter.is_whitespace() || letter.is_control() => plain.push(' '),
            None => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_160_places_or_70_of_another_alphabet() {
        assert!(fits(&"£".repeat(160)) && !fits(&"£".repeat(161)));
        assert!(fits(&"€".repeat(80)) && !fits(&"€".repeat(81)));
        assert!(fits(&"ł".repeat(70)) && !fits(&"ł".repeat(71)));
        assert_eq!(GSM7_BASIC.chars().count(), 127, "128 less the escape to the extension table");
    }

    #[test]
    fn names_lose_only_what_old_phones_cannot_show() {
        for (name, expected) in [
            ("Zoë Łukasz", "Zoe Lukasz"),
            ("Renée", "Renée"),
            ("O’Brien’s\tCafé", "O'Brien's Café"),
            ("أمينة", "أمينة"),
        ] {
            assert_eq!(transliterate(name), expected);
        }
        for (letters, simple) in TRANSLITERATIONS {
            assert!(septets(simple).is_some(), "{simple}");
            assert!(letters.chars().all(|letter| letter == '`' || !GSM7_BASIC.contains(letter)));
        }
    }
}
