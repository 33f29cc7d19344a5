//! Access tokens: JWTs (RFC 9068), signed with Ed25519, that say which account is calling.
//!
//! A token never says what its account may do, because access is read in the transaction that
//! writes the act. Its header names a key only by a thumbprint, which is looked up among our own
//! keys. No claim is trusted before the signature is verified.

mod keys;
mod token_id;
mod verify;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, Header, encode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::domain::id::{MemberId, ProgrammeId};
use crate::platform::ids::NewIds;
use crate::store::{Store, StoreError};

use keys::TokenKeySet;
pub use keys::{KeyState, RotateError, TokenKey};
use token_id::TokenId;
pub use token_id::TokenIdentity;
pub use verify::TokenRejection;

/// The issuer (`iss`), unless the settings name another one.
pub const ISSUER: &str = "sayso";
/// The lifetime of a token.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// How far the clocks of two machines may differ.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(30);
/// How long a key is published before it signs.
pub const PUBLISHED_BEFORE_USE: SignedDuration = SignedDuration::from_hours(24);
/// The `typ` of our tokens (RFC 9068), so that nothing else signed with these keys is accepted.
const TOKEN_TYPE: &str = "at+jwt";
/// How long the keys are cached.
const KEY_CACHE_TTL: Duration = Duration::from_secs(1);
/// The shortest time between two reads of the keys, because anybody can invent key ids.
const KEY_REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    programme: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// A verified token, which says which account calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub programme: ProgrammeId,
    pub member: MemberId,
    /// The token id (`jti`), by which it can be revoked.
    pub token: String,
    pub expires_at: Timestamp,
}

/// A token that was just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    pub text: String,
    /// The token id (`jti`), by which it can be revoked.
    pub token: String,
    pub expires_at: Timestamp,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The private key was sealed with another sealing key than the configured one, or was altered.
    #[error(
        "the key that signs tokens cannot be opened: check SAYSO_KEY or SAYSO_KEY_FILE; \
         `sayso keys rotate --now` makes new keys"
    )]
    Sealed,
    #[error("the key could not be used")]
    Key(#[from] jsonwebtoken::errors::Error),
    #[error("no key could be made: the system gives no random numbers")]
    NoRandomness,
    #[error("there is no such account in this programme, or it has ended")]
    NoSuchMember,
}

/// Issues and verifies tokens with the keys in the database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenService {
    store: Store,
    issuer: Arc<str>,
    cached: Arc<RwLock<Option<CachedKeys>>>,
    refresh_lock: Arc<Mutex<()>>,
}

#[derive(Debug, Clone)]
struct CachedKeys {
    keys: Arc<TokenKeySet>,
    read_at: Instant,
}

impl TokenService {
    /// A service for tokens of `issuer`, with the keys in `store`.
    pub fn new(store: Store, issuer: &str) -> Self {
        Self { store, issuer: issuer.into(), cached: Arc::default(), refresh_lock: Arc::default() }
    }

    /// The audience (`aud`): the API of this issuer.
    fn audience(&self) -> String {
        format!("{}/v1", self.issuer)
    }

    /// Issues a token for an active account. Creates the first keys if there are none.
    ///
    /// # Errors
    ///
    /// [`IssueError::NoSuchMember`] when the account does not exist or has ended.
    pub async fn issue(
        &self,
        ids: &NewIds,
        programme: &ProgrammeId,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<IssuedToken, IssueError> {
        if self.store.may_sign_in(programme, member, "").await? != Some(true) {
            return Err(IssueError::NoSuchMember);
        }
        let mut keys = self.fresh_keys().await?;
        if keys.current().is_none() {
            keys::create_initial_keys(&self.store, now).await?;
            keys = self.keys_read_since(Instant::now()).await?;
        }
        let key = keys.current().ok_or(StoreError::Contended("token_key"))?;
        let token = TokenId::new(ids.next(now), key, programme).ok_or(IssueError::Sealed)?;
        let token = token.to_string();
        let seconds = now.as_second();
        let expires = seconds.saturating_add(LIFETIME.as_secs());
        let claims = Claims {
            iss: self.issuer.as_ref().to_owned(),
            aud: self.audience(),
            sub: member.to_string(),
            programme: programme.to_string(),
            jti: token.clone(),
            iat: seconds,
            nbf: seconds,
            exp: expires,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.id.clone());
        let text = encode(&header, &claims, &key.encoding_key()?)?;
        let expires_at = Timestamp::from_second(expires).unwrap_or(now);
        Ok(IssuedToken { text, token, expires_at })
    }

    /// Verifies the form, the key, the signature and the claims of a token. The store checks
    /// whether it was revoked and whether its account is active.
    pub async fn verify(&self, text: &str, now: Timestamp) -> Result<VerifiedToken, VerifyError> {
        let unverified = verify::UnverifiedToken::parse(text)?;
        let keys = self.fresh_keys().await?;
        let key = keys.live(unverified.key_id(), now);
        let checked = if let Some(key) = key {
            unverified.verify(key, &self.issuer, &self.audience(), now)
        } else {
            // Another process may have created a key since the cache was filled.
            let keys = self.keys_read_since(Instant::now()).await?;
            let key = keys.live(unverified.key_id(), now).ok_or(TokenRejection::UnknownKey)?;
            unverified.verify(key, &self.issuer, &self.audience(), now)
        };
        Ok(checked?)
    }

    /// Identifies a token of `programme` by its whole text or by its id. None if no known key
    /// signed it. It may have expired.
    pub async fn recognise(
        &self,
        programme: &ProgrammeId,
        text: &str,
    ) -> Result<Option<TokenIdentity>, StoreError> {
        let keys = self.fresh_keys().await?;
        let of_name = |name: &str| {
            let name: TokenId = name.parse().ok()?;
            keys.all().iter().any(|key| name.is_of(key, programme)).then(|| name.identity())
        };
        let Ok(unverified) = verify::UnverifiedToken::parse(text) else { return Ok(of_name(text)) };
        let key = keys.all().iter().find(|key| key.id == unverified.key_id());
        let claims =
            key.and_then(|key| unverified.claims(key, &self.issuer, &self.audience()).ok());
        let ours = claims.filter(|claims| claims.programme == programme.as_str());
        Ok(ours.and_then(|claims| {
            let expires_at = Timestamp::from_second(claims.exp).ok()?;
            Some(TokenIdentity { token: claims.jti, expires_at })
        }))
    }

    /// Every key that a valid token may be signed with, now or after the next rotation.
    pub async fn keys(&self, now: Timestamp) -> Result<Vec<TokenKey>, StoreError> {
        let keys = self.fresh_keys().await?;
        Ok(keys.all().iter().filter(|key| key.is_live(now)).cloned().collect())
    }

    /// Rotates the keys: the current key is retired, the next one signs from now on, and a new next
    /// key is published. Creates the first two keys if there are none.
    ///
    /// # Errors
    ///
    /// [`RotateError::TooSoon`] when the next key has been published for less than
    /// [`PUBLISHED_BEFORE_USE`] and `urgency` is [`RotationUrgency::None`].
    pub async fn rotate(
        &self,
        now: Timestamp,
        urgency: RotationUrgency,
    ) -> Result<(), RotateError> {
        keys::rotate(&self.store, now, urgency).await?;
        self.keys_read_since(Instant::now()).await?;
        Ok(())
    }

    async fn fresh_keys(&self) -> Result<Arc<TokenKeySet>, StoreError> {
        match self.cached_keys() {
            Some(cached) if cached.read_at.elapsed() < KEY_CACHE_TTL => Ok(cached.keys),
            Some(_) | None => self.keys_read_since(Instant::now()).await,
        }
    }

    /// The keys, read at `moment` or later. Concurrent callers share one read.
    async fn keys_read_since(&self, moment: Instant) -> Result<Arc<TokenKeySet>, StoreError> {
        let _refresh = self.refresh_lock.lock().await;
        if let Some(cached) = self.cached_keys() {
            if cached.read_at >= moment {
                return Ok(cached.keys);
            }
            sleep_until(cached.read_at.checked_add(KEY_REFRESH_INTERVAL).unwrap_or(cached.read_at))
                .await;
        }
        let read_at = Instant::now();
        let keys = Arc::new(TokenKeySet::read(self.store.token_keys().await?));
        let cached = CachedKeys { keys: Arc::clone(&keys), read_at };
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(cached);
        Ok(keys)
    }

    fn cached_keys(&self) -> Option<CachedKeys> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether the current key must be replaced at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationUrgency {
    /// No: the next key must have been published for [`PUBLISHED_BEFORE_USE`].
    None,
    /// Yes, because it may be compromised. Its tokens are no longer accepted.
    Now,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Refused(#[from] TokenRejection),
    #[error(transparent)]
    Store(#[from] StoreError),
}
