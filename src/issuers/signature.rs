//! Signatures of messages: HMAC-SHA256 over the raw bytes, and a time window.
//!
//! Every live secret is tried against every candidate signature in constant time, so that the
//! duration does not reveal which one matches. The signature is checked before the time, so that
//! only the issuer can learn that a message is outside the window.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::SignedMessage;

/// The largest difference between a message's time and ours in either direction, in seconds.
const TOLERANCE_S: i64 = 300;
/// The shortest key that Standard Webhooks 1.0 allows, in bytes.
const STANDARD_WEBHOOKS_KEY_MIN: usize = 24;
/// The prefix of the secrets of Stripe and of Standard Webhooks.
const SECRET_PREFIX: &str = "whsec_";
/// The shortest Stripe secret that is accepted, in characters. Real ones are `whsec_` and at least
/// 32 characters; the whole text is the key.
const STRIPE_SECRET_MIN: usize = 24;

/// Why a message is not known to be genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the header {0} is missing; check that the issuer signs its messages")]
    MissingHeader(&'static str),
    #[error("the header {0} is not written as the issuer documents it")]
    MalformedHeader(&'static str),
    #[error("the header {0} holds no signature of version v1")]
    NoSupportedScheme(&'static str),
    #[error("the message was signed more than 5 minutes ago; a replay, or a clock is wrong")]
    TimestampTooOld,
    #[error("the message was signed more than 5 minutes in the future; check our clock")]
    TimestampInFuture,
    #[error("no live secret of this connection made the signature; check the endpoint's secret")]
    SignatureMismatch,
    #[error("no secret of this connection can have been made by the issuer; copy it again")]
    NoUsableSecret,
}

/// Why a text cannot be an issuer's secret. Never contains any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error(
        "it does not begin with {SECRET_PREFIX}: copy the endpoint's signing secret, no other key"
    )]
    WrongPrefix,
    #[error("it has a character that no secret has, such as a space: copy it again")]
    InvalidCharacter,
    #[error("it is shorter than {least} {unit}, so it was cut: copy the whole secret")]
    TooShort { least: usize, unit: &'static str },
    #[error("what follows {SECRET_PREFIX} is not base64, so it was cut or changed: copy it again")]
    InvalidBase64,
}

impl SignatureError {
    /// The stable label for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MissingHeader(_) => "missing_header",
            Self::MalformedHeader(_) => "malformed_header",
            Self::NoSupportedScheme(_) => "no_supported_scheme",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::SignatureMismatch => "signature_mismatch",
            Self::NoUsableSecret => "no_usable_secret",
        }
    }
}

/// Checks that `secret` has the format of a Stripe endpoint's secret.
///
/// # Errors
///
/// The first thing that is wrong with its format.
pub fn check_stripe_secret(secret: &SecretString) -> Result<(), SecretError> {
    let text = secret.expose_secret();
    let rest = text.strip_prefix(SECRET_PREFIX).ok_or(SecretError::WrongPrefix)?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+/=".contains(&byte);
    if !rest.bytes().all(is_allowed) {
        return Err(SecretError::InvalidCharacter);
    }
    if text.len() < STRIPE_SECRET_MIN {
        return Err(SecretError::TooShort { least: STRIPE_SECRET_MIN, unit: "characters" });
    }
    Ok(())
}

/// Checks `Stripe-Signature`: `t=<unix seconds>,v1=<lower-case hex>[,v1=…][,v0=…]`.
///
/// The key is the whole secret as text. Stricter than Stripe's own libraries: exactly one `t`, and
/// a time too far in the future is refused too. Unusable secrets are skipped, so that they do not
/// block the others.
pub fn verify_stripe(
    secrets: &[SecretString],
    message: &SignedMessage<'_>,
    now: Timestamp,
) -> Result<(), SignatureError> {
    const HEADER: &str = "stripe-signature";

    let usable = secrets.iter().filter(|secret| check_stripe_secret(secret).is_ok());
    let keys: Vec<&[u8]> = usable.map(|secret| secret.expose_secret().as_bytes()).collect();
    require_usable_key(secrets, &keys)?;
    let (mut times, mut candidates, mut is_v1) = (Vec::new(), Vec::new(), false);
    for (key, value) in header(message, HEADER)?.split(',').filter_map(|item| item.split_once('='))
    {
        match key {
            "t" => times.push(value),
            "v1" => {
                is_v1 = true;
                candidates.extend(lower_case_hex(value));
            }
            _ => {}
        }
    }
    let [time] = *times else { return Err(SignatureError::MalformedHeader(HEADER)) };
    let signed_at = unix_seconds(time).ok_or(SignatureError::MalformedHeader(HEADER))?;
    if !is_v1 {
        return Err(SignatureError::NoSupportedScheme(HEADER));
    }
    if !is_signed(&keys, &[time.as_bytes(), b".", message.body], &candidates) {
        return Err(SignatureError::SignatureMismatch);
    }
    check_window(signed_at, now)
}

/// Checks that `secret` is one of Standard Webhooks: `whsec_` and at least 24 bytes in base64.
///
/// # Errors
///
/// The first thing that is wrong with its format.
pub fn check_standard_webhooks_secret(secret: &SecretString) -> Result<(), SecretError> {
    standard_webhooks_key(secret).map(|_| ())
}

fn standard_webhooks_key(secret: &SecretString) -> Result<Vec<u8>, SecretError> {
    let key = secret.expose_secret().strip_prefix(SECRET_PREFIX);
    let key = STANDARD.decode(key.ok_or(SecretError::WrongPrefix)?);
    let key = key.map_err(|_| SecretError::InvalidBase64)?;
    let least = STANDARD_WEBHOOKS_KEY_MIN;
    if key.len() < least {
        return Err(SecretError::TooShort { least, unit: "bytes" });
    }
    Ok(key)
}

/// Checks the headers of Standard Webhooks 1.0: `webhook-id`, `-timestamp` and `-signature`.
///
/// A timestamp is digits only, so that `id.timestamp.body` cannot be split at another place.
pub fn verify_standard_webhooks(
    secrets: &[SecretString],
    message: &SignedMessage<'_>,
    now: Timestamp,
) -> Result<(), SignatureError> {
    const ID: &str = "webhook-id";
    const TIMESTAMP: &str = "webhook-timestamp";
    const SIGNATURE: &str = "webhook-signature";

    let keys: Vec<_> = secrets.iter().filter_map(|s| standard_webhooks_key(s).ok()).collect();
    require_usable_key(secrets, &keys)?;
    let id = header(message, ID)?;
    let time = header(message, TIMESTAMP)?;
    let signatures = header(message, SIGNATURE)?;
    if id.is_empty() {
        return Err(SignatureError::MalformedHeader(ID));
    }
    let signed_at = unix_seconds(time).ok_or(SignatureError::MalformedHeader(TIMESTAMP))?;
    let (mut candidates, mut is_v1) = (Vec::new(), false);
    for (version, value) in signatures.split(' ').filter_map(|entry| entry.split_once(',')) {
        if version == "v1" {
            is_v1 = true;
            candidates.extend(STANDARD.decode(value).ok());
        }
    }
    if !is_v1 {
        return Err(SignatureError::NoSupportedScheme(SIGNATURE));
    }
    if candidates.is_empty() {
        return Err(SignatureError::MalformedHeader(SIGNATURE));
    }
    let parts = [id.as_bytes(), b".", time.as_bytes(), b".", message.body];
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    if !is_signed(&keys, &parts, &candidates) {
        return Err(SignatureError::SignatureMismatch);
    }
    check_window(signed_at, now)
}

/// Fails if there are secrets but none is usable, so that an operator copies them again. Without
/// any secret the signature check fails later.
fn require_usable_key<K>(secrets: &[SecretString], keys: &[K]) -> Result<(), SignatureError> {
    let is_hopeless = keys.is_empty() && !secrets.is_empty();
    if is_hopeless { Err(SignatureError::NoUsableSecret) } else { Ok(()) }
}

/// The value of a header that occurs once. A repeated header is malformed, because it is ambiguous.
fn header<'a>(message: &SignedMessage<'a>, name: &'static str) -> Result<&'a str, SignatureError> {
    let mut values = message.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let (_, value) = values.next().ok_or(SignatureError::MissingHeader(name))?;
    match (str::from_utf8(value), values.next()) {
        (Ok(text), None) => Ok(text),
        _ => Err(SignatureError::MalformedHeader(name)),
    }
}

fn lower_case_hex(text: &str) -> Option<Vec<u8>> {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower.then(|| hex::decode(text).ok()).flatten()
}

fn unix_seconds(text: &str) -> Option<i64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

/// Whether any key made any of the candidate signatures. Always tries all, for constant time.
fn is_signed(keys: &[&[u8]], parts: &[&[u8]], candidates: &[Vec<u8>]) -> bool {
    let mut is_found = false;
    for key in keys {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { continue };
        for part in parts {
            mac.update(part);
        }
        for candidate in candidates {
            is_found |= mac.clone().verify_slice(candidate).is_ok();
        }
    }
    is_found
}

fn check_window(signed_at: i64, now: Timestamp) -> Result<(), SignatureError> {
    let age = now.as_second().saturating_sub(signed_at);
    if age > TOLERANCE_S {
        Err(SignatureError::TimestampTooOld)
    } else if age < -TOLERANCE_S {
        Err(SignatureError::TimestampInFuture)
    } else {
        Ok(())
    }
}
