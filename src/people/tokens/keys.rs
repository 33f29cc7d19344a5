//! Signing keys: the current one, the next one, and retired ones whose last tokens are still valid.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::{IssueError, LEEWAY, LIFETIME, PUBLISHED_BEFORE_USE, RotationUrgency};
use crate::domain::stored_enum::stored_enum;
use crate::store::{Store, StoreError, TokenKeyRow};

/// The PKCS #8 prefix of the 32 bytes of an Ed25519 private key (RFC 8410, section 7).
const PKCS8_BEFORE_SEED: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

stored_enum!(
    /// The state of a key in its life cycle.
    KeyState {
        /// Published, so that verifiers know it before it signs.
        Next => "next",
        /// Signs new tokens.
        Current => "current",
        /// Signs no new tokens; those that it signed stay valid until they expire.
        Retired => "retired",
    }
);

/// A key pair for tokens.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// The RFC 7638 thumbprint of the public key.
    pub id: String,
    /// The public key in base64url, as `x` of a JWK (RFC 8037).
    pub public_x: String,
    pub state: KeyState,
    pub changed_at: Timestamp,
    private_pem: Option<SecretString>,
}

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("the next key is shown until {0} before it signs; --now does not wait")]
    TooSoon(Timestamp),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl TokenKey {
    /// Whether a token signed with it may be valid: a retired key stays live until its last token
    /// expires.
    pub fn is_live(&self, now: Timestamp) -> bool {
        match self.state {
            KeyState::Next | KeyState::Current => true,
            KeyState::Retired => now < last_token_expiry(self.changed_at),
        }
    }

    /// Whether the key could sign at `made`. False after its retirement, so that nobody can use a
    /// stolen retired key for new tokens.
    pub(super) fn could_sign_at(&self, made: Timestamp) -> bool {
        self.state != KeyState::Retired || made.duration_since(self.changed_at) <= LEEWAY
    }

    /// The private key for signing. Fails if it cannot be unsealed.
    pub(super) fn encoding_key(&self) -> Result<EncodingKey, IssueError> {
        let pem = self.private_pem.as_ref().ok_or(IssueError::Sealed)?;
        Ok(EncodingKey::from_ed_pem(pem.expose_secret().as_bytes())?)
    }

    /// A MAC of `text` by the private key: the first 8 bytes of HMAC-SHA256, in hexadecimal. None
    /// if the private key cannot be unsealed.
    pub(super) fn mac(&self, text: &str) -> Option<String> {
        let private = self.private_pem.as_ref()?.expose_secret();
        let mut mac = Hmac::<Sha256>::new_from_slice(private.as_bytes()).ok()?;
        mac.update(b"the name of a token: ");
        mac.update(text.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.first_chunk::<8>().map(hex::encode)
    }

    /// The public key for verifying signatures.
    pub(super) fn decoding_key(&self) -> Result<DecodingKey, jsonwebtoken::errors::Error> {
        DecodingKey::from_ed_components(&self.public_x)
    }
}

/// When the last token of a key retired at `retired_at` has expired on every clock.
fn last_token_expiry(retired_at: Timestamp) -> Timestamp {
    let over = retired_at.checked_add(LIFETIME).and_then(|over| over.checked_add(LEEWAY));
    over.unwrap_or(Timestamp::MAX)
}

/// All keys in the database.
#[derive(Debug, Default)]
pub(super) struct TokenKeySet(Vec<TokenKey>);

impl TokenKeySet {
    pub(super) fn read(rows: Vec<TokenKeyRow>) -> Self {
        let key = |row: TokenKeyRow| {
            let state = KeyState::from_word(&row.state)?;
            let TokenKeyRow { id, private_pem, public_x, state: _, changed_at } = row;
            Some(TokenKey { id, public_x, state, changed_at, private_pem })
        };
        Self(rows.into_iter().filter_map(key).collect())
    }

    pub(super) fn all(&self) -> &[TokenKey] {
        &self.0
    }

    /// The key that signs new tokens.
    pub(super) fn current(&self) -> Option<&TokenKey> {
        self.in_state(KeyState::Current)
    }

    /// The key `id`, if a token signed with it may be valid at `now`.
    pub(super) fn live(&self, id: &str, now: Timestamp) -> Option<&TokenKey> {
        self.0.iter().find(|key| key.id == id && key.is_live(now))
    }

    fn in_state(&self, state: KeyState) -> Option<&TokenKey> {
        self.0.iter().find(|key| key.state == state)
    }
}

/// Creates the first two keys. Concurrent callers get the same pair, because the store adds no
/// second key in the state `current` or `next`.
pub(super) async fn create_initial_keys(store: &Store, now: Timestamp) -> Result<(), IssueError> {
    let keys = [new_key(KeyState::Current, now)?, new_key(KeyState::Next, now)?];
    let mut tx = store.begin().await?;
    tx.add_token_keys(&keys).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn rotate(
    store: &Store,
    now: Timestamp,
    urgency: RotationUrgency,
) -> Result<(), RotateError> {
    let keys = TokenKeySet::read(store.token_keys().await?);
    let (current, next) = (keys.current(), keys.in_state(KeyState::Next));
    let Some((current, next)) = current.zip(next) else {
        return Ok(create_initial_keys(store, now).await?);
    };
    let shown_until = next.changed_at.checked_add(PUBLISHED_BEFORE_USE).unwrap_or(Timestamp::MAX);
    if urgency == RotationUrgency::None && now < shown_until {
        return Err(RotateError::TooSoon(shown_until));
    }
    let new = new_key(KeyState::Next, now)?;
    let mut tx = store.begin().await?;
    let (signs, shown) = (KeyState::Current.word(), KeyState::Next.word());
    tx.set_token_key_state(&current.id, signs, KeyState::Retired.word(), now).await?;
    tx.set_token_key_state(&next.id, shown, signs, now).await?;
    tx.add_token_keys(&[new]).await?;
    let cutoff = match urgency {
        RotationUrgency::Now => Ok(now),
        RotationUrgency::None => {
            now.checked_sub(LIFETIME).and_then(|cutoff| cutoff.checked_sub(LEEWAY))
        }
    };
    tx.purge_token_keys(cutoff.unwrap_or(Timestamp::MIN)).await?;
    tx.commit().await?;
    Ok(())
}

/// Generates a key pair.
fn new_key(state: KeyState, now: Timestamp) -> Result<TokenKeyRow, IssueError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| IssueError::NoRandomness)?;
    let der = [PKCS8_BEFORE_SEED.as_slice(), &seed].concat();
    let body = BASE64_STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let jwk = Jwk::from_encoding_key(&EncodingKey::from_ed_pem(pem.as_bytes())?, Algorithm::EdDSA)?;
    let AlgorithmParameters::OctetKeyPair(public) = &jwk.algorithm else {
        return Err(IssueError::Key(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat.into()));
    };
    Ok(TokenKeyRow {
        id: jwk.thumbprint(ThumbprintHash::SHA256)?,
        public_x: public.x.clone(),
        private_pem: Some(pem.into()),
        state: state.word().to_owned(),
        changed_at: now,
    })
}

/// Whether `text` has the form of a thumbprint: 32 bytes in base64url.
pub(super) fn is_thumbprint(text: &str) -> bool {
    text.len() == 43 && BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_signs_and_its_public_half_checks() {
        let row = new_key(KeyState::Current, Timestamp::UNIX_EPOCH).unwrap();
        assert!(is_thumbprint(&row.id), "{}", row.id);
        let keys = TokenKeySet::read(vec![row]);
        let key = keys.current().unwrap();
        let signature =
            jsonwebtoken::crypto::sign(b"words", &key.encoding_key().unwrap(), Algorithm::EdDSA);
        let checks = |words: &[u8]| {
            let signature = signature.as_ref().unwrap();
            let key = key.decoding_key().unwrap();
            jsonwebtoken::crypto::verify(signature, words, &key, Algorithm::EdDSA)
        };
        assert!(checks(b"words").unwrap());
        assert!(!checks(b"other").unwrap());
    }

    #[test]
    fn a_path_or_a_statement_is_no_thumbprint() {
        for text in ["", "../../etc/passwd", "' OR 1=1 --", &"a".repeat(44), &"=".repeat(43)] {
            assert!(!is_thumbprint(text), "{text:?}");
        }
    }

    /// The example of RFC 8037, appendix A.3.
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        let jwk = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let jwk: Jwk = serde_json::from_value(jwk).unwrap();
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
