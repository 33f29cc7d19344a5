//! Extractors for the path, the query, the body and the idempotency key of a request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ledger::record::row::{CanonicalHasher, Digest};
use crate::web::issuers::read_body;
use crate::web::problem::{ApiError, FIELD_PROBLEMS_MAX, FieldProblem};

/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 200;
/// Longest text that a person may send, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// The path parameters. A path that cannot be parsed gets 404.
#[derive(Debug, Clone)]
pub(super) struct ApiPath<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|_| ApiError::NotFound("address"))
    }
}

/// The query. An unknown or a repeated parameter gets 400.
#[derive(Debug, Clone)]
pub(super) struct ApiQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|error| ApiError::Malformed {
            field: "query",
            what: printable(&error.body_text()),
        })
    }
}

/// A query without parameters.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// The idempotency key of a request and the digest of its method, address and body. Requests with
/// the same key and digest are the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestFingerprint {
    pub(super) text: String,
    pub(super) digest: Digest,
}

/// A JSON body, with the idempotency key of its request.
#[derive(Debug, Clone)]
pub(super) struct ApiJson<T> {
    pub(super) key: RequestFingerprint,
    pub(super) body: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let text = idempotency_key(&head.headers)?;
        let is_identity = |value: &header::HeaderValue| value.as_bytes() == b"identity";
        if !head.headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
            return Err(ApiError::UnsupportedEncoding);
        }
        if !is_json(&head.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = read_body(body).await?;
        let (value, body) = read_json(&bytes)?;
        let mut canonical = CanonicalHasher::new("request");
        canonical.text(head.method.as_str());
        canonical.text(&head.uri.to_string());
        // Digests the canonical form, because a retry may be formatted differently. A body that has
        // no exact canonical form is digested as it was sent.
        let mut canonical_json = String::new();
        let hashed = if write_canonical_json(&value, &mut canonical_json) {
            canonical_json.as_bytes()
        } else {
            &bytes
        };
        canonical.digest(Digest::of_bytes(hashed));
        Ok(Self { key: RequestFingerprint { text, digest: canonical.finish() }, body })
    }
}

/// Reads the key as a quoted string (draft-ietf-httpapi-idempotency-key-header-07) or bare.
fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::MissingIdempotencyKey);
    };
    let text = value.to_str().map_err(|_| ApiError::MissingIdempotencyKey)?.trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let text = quoted.unwrap_or(text);
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err(ApiError::MissingIdempotencyKey)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).map(str::trim);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

/// Writes `value` in canonical form: fields in the order of their names, one notation for texts and
/// numbers, no whitespace. False if a number is not a 64-bit integer, because it is not kept
/// exactly.
fn write_canonical_json(value: &Value, canonical_json: &mut String) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _ = write!(canonical_json, "{value}");
            true
        }
        Value::Number(number) => {
            let _ = write!(canonical_json, "{number}");
            number.is_i64() || number.is_u64()
        }
        Value::Array(items) => {
            canonical_json.push('[');
            let written = items.iter().all(|item| {
                let is_written = write_canonical_json(item, canonical_json);
                canonical_json.push(',');
                is_written
            });
            canonical_json.push(']');
            written
        }
        Value::Object(fields) => {
            canonical_json.push('{');
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            let written = fields.into_iter().all(|(name, field)| {
                let _ = write!(canonical_json, "{}:", Value::from(name.as_str()));
                let is_written = write_canonical_json(field, canonical_json);
                canonical_json.push(',');
                is_written
            });
            canonical_json.push('}');
            written
        }
    }
}

/// Parses a body as a JSON value and as `T`.
///
/// # Errors
///
/// [`ApiError::Malformed`] (400) when it is not JSON; [`ApiError::Invalid`] (422), with the fields,
/// when it is not a `T` or has a value that no field accepts.
fn read_json<T: DeserializeOwned>(bytes: &Bytes) -> Result<(Value, T), ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| ApiError::Malformed {
        field: "body",
        what: printable(&error.to_string()),
    })?;
    let mut problems = Vec::new();
    find_unusable(&value, &mut String::new(), &mut problems);
    if !problems.is_empty() {
        return Err(ApiError::Invalid(problems));
    }
    // Parses the text again, because a duplicate field is lost in the value.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let mut pointer = error.path().iter().map(pointer_segment).collect::<String>();
        let detail = printable(&error.into_inner().to_string());
        if let Some(field) = field_of(&detail).map(|field| format!("/{}", escape_pointer(field)))
            && !pointer.ends_with(&field)
        {
            pointer.push_str(&field);
        }
        ApiError::Invalid(vec![FieldProblem { pointer, detail }])
    })?;
    Ok((value, body))
}

/// The name of a missing, duplicate or unknown field. The path of such an error ends at the object
/// that the field belongs to.
fn field_of(detail: &str) -> Option<&str> {
    let kinds = ["missing field `", "duplicate field `", "unknown field `"];
    let rest = kinds.iter().find_map(|kind| detail.strip_prefix(kind))?;
    rest.split('`').next()
}

fn pointer_segment(segment: &serde_path_to_error::Segment) -> String {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escape_pointer(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Finds values that no field accepts: `null`, because it could mean anything; and texts with
/// control characters, because `PostgreSQL` stores no NUL and no person types the others.
fn find_unusable(value: &Value, pointer: &mut String, problems: &mut Vec<FieldProblem>) {
    if problems.len() >= FIELD_PROBLEMS_MAX {
        return;
    }
    let length = pointer.len();
    let mut problem = |pointer: &str, detail: &str| {
        problems.push(FieldProblem { pointer: pointer.to_owned(), detail: detail.to_owned() });
    };
    match value {
        Value::Null => problem(pointer, "null means nothing here: leave it out, or say what it is"),
        Value::String(text) => {
            if text.chars().any(|c| c.is_control() && c != '\n') {
                problem(pointer, "it has a character that cannot be seen: take it out");
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let _ = write!(pointer, "/{index}");
                find_unusable(item, pointer, problems);
                pointer.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let _ = write!(pointer, "/{}", escape_pointer(key));
                find_unusable(field, pointer, problems);
                pointer.truncate(length);
            }
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The first 200 characters of a library's error text, without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Trims and checks a text that one person writes for another.
///
/// # Errors
///
/// [`ApiError::Invalid`] for an empty text, more than 500 characters, a control character other
/// than a newline, or what looks like a card number.
pub(super) fn check_words(field: &'static str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let problem = |what: &str| Err(ApiError::Invalid(vec![FieldProblem::of(field, what)]));
    if text.is_empty() {
        problem("write it in a few words")
    } else if text.chars().count() > WORDS_CHARS_MAX {
        problem("it is longer than 500 characters: shorten it")
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        problem("it has a character that cannot be seen: take it out")
    } else if has_card_number(text) {
        problem("it has what looks like a card number: take it out")
    } else {
        Ok(text.to_owned())
    }
}

/// Whether `text` has a run of 13 to 19 digits, ignoring spaces and hyphens, with a valid check
/// digit.
fn has_card_number(text: &str) -> bool {
    let mut run: Vec<u32> = Vec::new();
    for c in text.chars().chain(['.']) {
        match c.to_digit(10) {
            Some(digit) => run.push(digit),
            None if matches!(c, ' ' | '-') => {}
            None => {
                if (13..=19).contains(&run.len()) && is_luhn(&run) {
                    return true;
                }
                run.clear();
            }
        }
    }
    false
}

fn is_luhn(digits: &[u32]) -> bool {
    let weigh = |(place, digit): (usize, &u32)| {
        let doubled = digit.saturating_mul(2);
        if place.is_multiple_of(2) {
            *digit
        } else if doubled > 9 {
            doubled.saturating_sub(9)
        } else {
            doubled
        }
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

/// Parses an identifier in the path.
///
/// # Errors
///
/// [`ApiError::NotFound`] when it is malformed, because then nothing has it.
pub(super) fn parse_id<T: std::str::FromStr>(
    text: &str,
    what: &'static str,
) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_found_among_words() {
        for text in ["my card is 4242 4242 4242 4242 ok", "4000056655665556", "5555-5555-5555-4444"]
        {
            assert!(has_card_number(text), "{text}");
        }
        for text in ["call 020 7946 0000", "4242 4242 4242 4241", "on 2026-11-23 for £12.50"] {
            assert!(!has_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_key_may_be_quoted() {
        let key = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", value.parse().unwrap());
            idempotency_key(&headers).ok()
        };
        assert_eq!(key("\"abc-1\"").as_deref(), Some("abc-1"));
        assert_eq!(key("abc-1").as_deref(), Some("abc-1"));
        for bad in ["", "\"\"", "a b", "\"a", "a\"b", &"a".repeat(201)] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
        assert!(idempotency_key(&HeaderMap::new()).is_err());
    }

    #[test]
    fn equivalent_bodies_have_one_canonical_form() {
        let canonical_json = |text: &str| {
            let mut canonical_json = String::new();
            write_canonical_json(&serde_json::from_str(text).unwrap(), &mut canonical_json)
                .then_some(canonical_json)
        };
        let one = canonical_json(r#"{"a":[1,{"c":"\u00e9\/","b":true}],"d":7}"#);
        assert!(one.is_some());
        assert_eq!(one, canonical_json("{ \"d\": 7,\n\"a\": [1, {\"b\": true, \"c\": \"é/\"}] }"));
        for other in [
            r#"{"a":[{"c":"é/","b":true},1],"d":7}"#,
            r#"{"a":[1,{"c":"é/","b":true}],"d":"7"}"#,
            r#"{"a":[1,{"c":"e/","b":true}],"d":7}"#,
            r#"{"a":[1,{"c":"é/","b":true,"d":0}]}"#,
            r#"{"a":[11,{"c":"é/","b":true}],"d":7}"#,
        ] {
            assert_ne!(one, canonical_json(other), "{other}");
        }
        // These would be equal if fields were joined without quoting.
        assert_ne!(canonical_json(r#"["a,","b"]"#), canonical_json(r#"["a",",b"]"#));
        assert_eq!(canonical_json("[12345678901234567890123]"), None);
        assert_eq!(canonical_json("[0.10]"), None);
        assert_eq!(canonical_json("18446744073709551615").as_deref(), Some("18446744073709551615"));
    }

    #[test]
    fn a_body_tells_which_field_is_wrong() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[expect(dead_code, reason = "only its deserialisation is tested")]
            amounts: Vec<u32>,
        }
        let pointer =
            |text: &'static str| match read_json::<Body>(&Bytes::from_static(text.as_bytes())) {
                Err(ApiError::Invalid(problems)) => problems[0].pointer.clone(),
                Err(ApiError::Malformed { .. }) => "malformed".to_owned(),
                other => panic!("{other:?}"),
            };
        let nulls = format!("[{}]", vec!["null"; 6_550].join(","));
        match read_json::<Body>(&Bytes::from(nulls)) {
            Err(ApiError::Invalid(problems)) => assert_eq!(problems.len(), FIELD_PROBLEMS_MAX),
            other => panic!("{other:?}"),
        }
        assert_eq!(pointer(r#"{"amounts":[1,"x"]}"#), "/amounts/1");
        assert_eq!(pointer(r#"{"amounts":[1],"amounts":[2]}"#), "/amounts");
        assert_eq!(pointer("{}"), "/amounts");
        assert_eq!(pointer(r#"{"amounts":null}"#), "/amounts");
        assert_eq!(pointer(r#"{"amounts":[1],"more":1}"#), "/more");
        assert_eq!(pointer(r#"{"amounts":"\u0000"}"#), "/amounts");
        assert_eq!(pointer("{"), "malformed");
    }
}
