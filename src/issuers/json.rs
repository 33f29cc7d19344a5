//! Strict reader of an issuer's JSON. Its errors name the field.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::RefusedMessage;

/// The deepest nesting of objects and arrays. Real messages stay below 10.
const DEPTH_MAX: u32 = 64;

const NUL_FOUND: &str = "it holds a NUL character";

/// The text of a verified message, which can be stored and does not nest too deeply.
#[derive(Debug, Clone)]
pub(super) struct JsonBody<'a>(Cow<'a, str>);

impl<'a> JsonBody<'a> {
    /// Checks `bytes`. An escaped NUL, which PostgreSQL cannot store, and an unpaired surrogate,
    /// which is no character, are replaced by U+FFFD, because the issuer would resend a refused
    /// message for ever.
    ///
    /// # Errors
    ///
    /// [`RefusedMessage::Malformed`] if `bytes` are not UTF-8, hold a NUL, or nest too deeply.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, RefusedMessage> {
        let text = str::from_utf8(bytes)
            .map_err(|_| RefusedMessage::malformed("body", "it is not UTF-8"))?;
        Ok(Self(match scan(bytes)? {
            Escapes::Valid => Cow::Borrowed(text),
            Escapes::Invalid => Cow::Owned(repair_escapes(text)),
        }))
    }

    /// Deserialises the whole text. An error names the field, such as `data.object.amount`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, RefusedMessage> {
        serde_json::from_str(&self.0).map_err(|error| {
            let earlier_lines = self.0.split_inclusive('\n').take(error.line().saturating_sub(1));
            let start: usize = earlier_lines.map(str::len).sum();
            let end = start.saturating_add(error.column()).min(self.0.len());
            let before = self.0.as_bytes().get(..end).unwrap_or_default();
            RefusedMessage::malformed(path_at_end(before), describe_error(&error))
        })
    }
}

/// The error without the value that was found, because that may be personal data.
fn describe_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("it should be {expected}"),
        None => text,
    }
}

/// Whether a text has an escaped NUL or surrogate, which [`repair_escapes`] must check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Valid,
    Invalid,
}

/// Checks the nesting depth, refuses an unescaped NUL, and looks for escaped NULs and surrogates.
fn scan(bytes: &[u8]) -> Result<Escapes, RefusedMessage> {
    let refuse = |rest: &[u8], what| {
        let end = bytes.len().saturating_sub(rest.len());
        let before = bytes.get(..end).unwrap_or_default();
        RefusedMessage::malformed(path_at_end(before), what)
    };
    let mut depth = 0_u32;
    let mut escapes = Escapes::Valid;
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            0 => return Err(refuse(after, NUL_FOUND)),
            b'"' => {
                rest =
                    skip_string(after, &mut escapes).map_err(|at_nul| refuse(at_nul, NUL_FOUND))?;
            }
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > DEPTH_MAX {
                    return Err(refuse(after, "it nests too deeply"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(escapes)
}

/// Skips the rest of a string after its opening quote, and returns what follows its closing quote.
/// The error is the text after an unescaped NUL in the string.
fn skip_string<'b>(opened: &'b [u8], escapes: &mut Escapes) -> Result<&'b [u8], &'b [u8]> {
    let mut rest = opened;
    while let Some(at) = memchr::memchr3(b'"', b'\\', 0, rest) {
        let (found, after) = rest.get(at..).and_then(<[u8]>::split_first).unwrap_or((&b'"', b""));
        match found {
            b'"' => return Ok(after),
            b'\\' => {
                if let [b'u', b'd' | b'D', ..] | [b'u', b'0', b'0', b'0', b'0', ..] = after {
                    *escapes = Escapes::Invalid;
                }
                rest = after.get(1..).unwrap_or_default();
            }
            _ => return Err(after),
        }
    }
    Ok(b"")
}

/// `text` with U+FFFD for every escaped NUL and every unpaired surrogate. Byte offsets do not
/// change.
fn repair_escapes(text: &str) -> String {
    const REPLACEMENT: &str = "\\ufffd";

    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        whole.push_str(before);
        let (kept, length) = match (parse_escape(escape), escape.get(6..).and_then(parse_escape)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (None, 12),
            (Some(0 | 0xd800..=0xdfff), _) => (Some(REPLACEMENT), 6),
            (Some(_), _) => (None, 6),
            // A backslash and the one character that it escapes.
            (None, _) => {
                (None, 1_usize.saturating_add(escape.chars().nth(1).map_or(0, char::len_utf8)))
            }
        };
        let (this, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push_str(kept.unwrap_or(this));
        rest = after;
    }
    whole.push_str(rest);
    whole
}

/// The UTF-16 code unit of an escape at the start of `text`.
fn parse_escape(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// The field that is being read at the end of `before`: keys joined by dots, without array indices.
fn path_at_end(before: &[u8]) -> String {
    let mut keys: Vec<Option<&[u8]>> = Vec::new();
    let mut is_key = false;
    let mut rest = before;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'{' => {
                keys.push(Some(b""));
                is_key = true;
            }
            b'[' => {
                keys.push(None);
                is_key = false;
            }
            b'}' | b']' => {
                keys.pop();
                is_key = false;
            }
            b',' => is_key = matches!(keys.last(), Some(Some(_))),
            b'"' => {
                let (text, beyond) = split_string(after);
                rest = beyond;
                if is_key && let Some(key) = keys.last_mut() {
                    *key = Some(text);
                    is_key = false;
                }
            }
            _ => {}
        }
    }
    let named = keys.into_iter().flatten().filter(|key| !key.is_empty());
    let path = named.map(String::from_utf8_lossy).collect::<Vec<_>>().join(".");
    if path.is_empty() { "body".to_owned() } else { path.chars().take(200).collect() }
}

/// Splits the text after an opening quote into the content of the string and what follows its
/// closing quote.
fn split_string(after_quote: &[u8]) -> (&[u8], &[u8]) {
    let mut is_escaped = false;
    let end = after_quote.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    let (text, rest) = after_quote.split_at(end.unwrap_or(after_quote.len()));
    (text, rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, RefusedMessage> {
        JsonBody::new(text.as_bytes()).and_then(|body| body.read())
    }

    fn refused<T: DeserializeOwned>(text: &str) -> (String, String) {
        match read::<T>(text) {
            Err(RefusedMessage::Malformed { field, what }) => (field, what),
            Err(RefusedMessage::Signature(error)) => panic!("{error}"),
            Ok(_) => panic!("{text} was taken"),
        }
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        amount: i64,
    }

    #[test]
    fn an_error_names_the_field() {
        let cases = [
            (r#"{"x":{"list":[]},"list":[{"amount":1},{"amount":1.0}]}"#, "list.amount"),
            ("{\n \"é\": \"}\\\"\",\n \"list\": [\n{\"amount\": \"1\"}]}", "list.amount"),
            (r#"{"list":[{}]}"#, "list"),
            (r#"{"list":[{"amount":1,"amount":1}]}"#, "list.amount"),
            (r#"{"list":[{"amount":01}]}"#, "list.amount"),
            (r#"{"list":[{"amount":NaN}]}"#, "list.amount"),
            (r#"{"list":[],"list":[]}"#, "list"),
            ("{}", "body"),
            ("", "body"),
            ("[[]", "body"),
        ];
        for (text, field) in cases {
            assert_eq!(refused::<Outer>(text).0, field, "{text}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_it_found() {
        let (_, what) = refused::<Inner>(r#"{"amount":"Ada, expected home"}"#);
        assert_eq!(what, "it should be i64 at line 1 column 30");
        assert_eq!(refused::<Inner>("{}").1, "missing field `amount` at line 1 column 2");
    }

    #[test]
    fn no_nul_character_gets_in() {
        let cases = [("{\"a\":{\"b\":\"\0\"}}", "a.b"), ("{\"a\":\"\0\"}", "a"), ("\0", "body")];
        for (text, field) in cases {
            assert_eq!(
                refused::<Value>(text),
                (field.to_owned(), "it holds a NUL character".to_owned()),
                "{text:?}"
            );
        }
        for fine in [r#"{"a":"\\u0000"}"#, r#"{"a":"\u0001u0000"}"#, r#""\"u0000""#] {
            assert_eq!(read::<Value>(fine).unwrap(), serde_json::from_str::<Value>(fine).unwrap());
        }
    }

    #[test]
    fn what_stands_for_no_character_is_read_as_one_that_says_so() {
        for (text, expected) in [
            (r#"{"a":{"b":"x\u0000"}}"#, r#"{"a":{"b":"x\ufffd"}}"#),
            (r#"{"a":["\\\u0000"]}"#, r#"{"a":["\\\ufffd"]}"#),
            (r#"{"a\u0000":1}"#, r#"{"a\ufffd":1}"#),
            (r#"["\ud800"]"#, r#"["\ufffd"]"#),
            (r#"["\uDFff é\""]"#, r#"["\ufffd é\""]"#),
            (r#"["\ud83d\ude00"]"#, r#"["😀"]"#),
            (r#"["\ud83d\ud83d\ude00\ude00"]"#, r#"["\ufffd😀\ufffd"]"#),
            (r#"["\ud83d\\ude00"]"#, r#"["\ufffd\\ude00"]"#),
            (r#"["\\ud800", "\ud83dx"]"#, r#"["\\ud800", "\ufffdx"]"#),
        ] {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(read::<Value>(text).unwrap(), expected, "{text}");
        }
        for broken in [r#"["\ud8"]"#, r#"["\ud800"#, r#"["\u+d80"]"#, "[\"\\ud800\\é\"]"] {
            assert!(read::<Value>(broken).is_err(), "{broken}");
        }
        assert_eq!(refused::<Inner>(r#"{"x":"\ud800","amount":"\udfff"}"#).0, "amount");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(JsonBody::new(nested(64).as_bytes()).is_ok());
        assert_eq!(refused::<Value>(&nested(65)).1, "it nests too deeply");
        let braces_in_text = format!("{:?}", "[{".repeat(100));
        assert!(JsonBody::new(braces_in_text.as_bytes()).is_ok());
    }
}
