//! Encryption of secrets in the database with XChaCha20-Poly1305. The key is not in the database.
//!
//! *Seal* and *open* are the usual terms of authenticated encryption. A sealed text names the key
//! that opens it. It opens only with the [`AssociatedData`] that it was sealed with, so that a copy
//! in another row is useless.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

/// Length of a key, in bytes.
const KEY_SIZE: usize = 32;
/// Length of a nonce, in bytes. Long enough that random nonces do not collide, however many texts
/// one key seals.
const NONCE_SIZE: usize = 24;
/// The prefix of every sealed text. No issuer's secret and no PEM begins with it.
const SEALED_PREFIX: &str = "sealed:1:";

/// The key that secrets are sealed with.
pub struct SealingKey {
    id: KeyId,
    key: SecretBox<[u8; KEY_SIZE]>,
}

/// The fingerprint of a key, which does not reveal the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

/// The place in the database for which a text is sealed.
#[derive(Debug, Clone, Copy)]
pub struct AssociatedData<'a> {
    pub table: &'static str,
    /// The parts of the row's key. They have no line breaks, because a line break joins them.
    pub key: &'a [&'a str],
}

/// Why a key could not be read, made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    #[error(
        "it is no key: a key is 32 random bytes in base64, as `openssl rand -base64 32` writes them"
    )]
    NoKey,
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Why a sealed text could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("it was never sealed")]
    NotSealed,
    #[error("it was sealed with the key {0}")]
    OtherKey(KeyId),
    /// The text was changed, or was moved from another place.
    #[error("it was changed, or belongs elsewhere")]
    Forged,
}

impl SealingKey {
    /// Makes a random key.
    pub fn generate() -> Result<Self, SealingKeyError> {
        let mut bytes = [0; KEY_SIZE];
        getrandom::fill(&mut bytes).map_err(|_| SealingKeyError::NoRandomness)?;
        Ok(Self::of(bytes))
    }

    /// Parses a key in the form of [`Self::to_text`].
    pub fn parse(text: &SecretString) -> Result<Self, SealingKeyError> {
        let bytes = BASE64_STANDARD.decode(text.expose_secret().trim()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; KEY_SIZE]>::try_from(bytes).ok());
        bytes.map(Self::of).ok_or(SealingKeyError::NoKey)
    }

    fn of(bytes: [u8; KEY_SIZE]) -> Self {
        let digest = Sha256::new().chain_update("sayso key\n").chain_update(bytes).finalize();
        let id: String = hex::encode(digest).chars().take(16).collect();
        Self { id: KeyId(id), key: SecretBox::new(Box::new(bytes)) }
    }

    /// The key as base64, for its file.
    pub fn to_text(&self) -> SecretString {
        BASE64_STANDARD.encode(self.key.expose_secret()).into()
    }

    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Seals `secret` with `associated_data`. The same secret gives another text each time, because
    /// the nonce is random.
    pub fn seal(
        &self,
        secret: &SecretString,
        associated_data: AssociatedData<'_>,
    ) -> Result<String, SealingKeyError> {
        let mut nonce = [0; NONCE_SIZE];
        getrandom::fill(&mut nonce).map_err(|_| SealingKeyError::NoRandomness)?;
        let bound = associated_data.to_string();
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: bound.as_bytes() };
        // Fails only for texts of more than 256 GB.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealingKeyError::NoKey)?;
        let body = BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{SEALED_PREFIX}{}:{body}", self.id))
    }

    /// Opens a text that was sealed with this key and with `associated_data`.
    pub fn open(
        &self,
        sealed: &str,
        associated_data: AssociatedData<'_>,
    ) -> Result<SecretString, UnsealError> {
        let (id, body) = parts(sealed).ok_or(UnsealError::NotSealed)?;
        if id != self.id {
            return Err(UnsealError::OtherKey(id));
        }
        let bytes = BASE64_STANDARD.decode(body).map_err(|_| UnsealError::Forged)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_SIZE>().ok_or(UnsealError::Forged)?;
        let bound = associated_data.to_string();
        let payload = Payload { msg: sealed, aad: bound.as_bytes() };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| UnsealError::Forged)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| UnsealError::Forged)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key.expose_secret()))
    }
}

/// The id of the key that sealed `text`; `None` if `text` was never sealed.
pub fn sealing_key_id(text: &str) -> Option<KeyId> {
    parts(text).map(|(id, _)| id)
}

/// The id of the key and the body of a sealed text; `None` if it was never sealed.
fn parts(sealed: &str) -> Option<(KeyId, &str)> {
    let (id, body) = sealed.strip_prefix(SEALED_PREFIX)?.split_once(':')?;
    Some((KeyId(id.to_owned()), body))
}

impl KeyId {
    /// A key id as it is stored.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AssociatedData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sayso sealed 1\n{}\n{}", self.table, self.key.join("\n"))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: AssociatedData<'static> =
        AssociatedData { table: "connection_secret", key: &["riverside", "stripe", "events"] };

    fn secret() -> SecretString {
        "whsec_demo_events_8a41d7e6b95340c2".into()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_and_nowhere_else() {
        let (key, other) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
        let sealed = key.seal(&secret(), HERE).unwrap();
        assert!(!sealed.contains("whsec"), "{sealed}");
        assert_ne!(sealed, key.seal(&secret(), HERE).unwrap());
        let opened = key.open(&sealed, HERE).unwrap();
        assert_eq!(opened.expose_secret(), secret().expose_secret());
        for elsewhere in [
            AssociatedData { key: &["riverside", "stripe", "realtime"], ..HERE },
            AssociatedData { key: &["riverside", "other", "events"], ..HERE },
            AssociatedData { key: &["lakeside", "stripe", "events"], ..HERE },
            AssociatedData { table: "token_key", ..HERE },
        ] {
            let opened = key.open(&sealed, elsewhere);
            assert_eq!(opened.map(drop), Err(UnsealError::Forged), "{elsewhere}");
        }
        let opened = other.open(&sealed, HERE);
        assert_eq!(opened.map(drop), Err(UnsealError::OtherKey(key.id().clone())));
        assert_eq!(key.open("whsec_plain", HERE).map(drop), Err(UnsealError::NotSealed));
    }

    #[test]
    fn a_sealed_text_that_is_changed_anywhere_does_not_open() {
        let key = SealingKey::generate().unwrap();
        let sealed = key.seal(&secret(), HERE).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.open(&changed, HERE).is_err(), "at {at}");
            assert!(key.open(&sealed[..at], HERE).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_and_shows_itself_nowhere() {
        let key = SealingKey::generate().unwrap();
        let text = key.to_text();
        let again = SealingKey::parse(&format!("{}\n", text.expose_secret()).into()).unwrap();
        assert_eq!(again.id(), key.id());
        let shown = format!("{key:?} {} {text:?}", key.id());
        assert!(!shown.contains(text.expose_secret()), "{shown}");
        let short = BASE64_STANDARD.encode([7; 31]);
        for bad in ["", "hunter2", &short, &text.expose_secret()[1..]] {
            assert_eq!(
                SealingKey::parse(&(*bad).into()).map(drop),
                Err(SealingKeyError::NoKey),
                "{bad}"
            );
        }
    }
}
