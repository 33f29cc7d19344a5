//! Token signing keys, revoked tokens, and the check of an account at sign-in.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::domain::people::role::MemberState;
use crate::ledger::record::table::record;
use crate::platform::encryption::SealingKey;
use crate::store::secret::sealing::token_key;
use crate::store::sql::record::OnConflict;
use crate::store::{KeyError, Store, StoreError, Tx};

record! {
    /// A token signing key whose private key is sealed.
    struct SealedTokenKeyRow in "token_key" key(key_id) {
        key_id: String,
        sealed: String,
        public_x: String,
        state: String,
        changed_at: Timestamp,
    }
}

record! {
    /// The state of a token signing key.
    struct TokenKeyStateRow in "token_key" key(key_id) {
        key_id: String,
        state: String,
        changed_at: Timestamp,
    }
}

record! {
    /// A revoked token, kept until it would have expired.
    struct RevokedTokenRow in "revoked_token" key(programme_id, token_id) {
        programme_id: ProgrammeId,
        token_id: String,
        expires_at: Timestamp,
    }
}

record! {
    /// The state of an account, and whether one token of it is revoked.
    struct TokenStatusRow in "member" key() {
        state: MemberState,
        is_revoked: bool,
    }
}

/// A token signing key (Ed25519).
#[derive(Debug, Clone)]
pub struct TokenKeyRow {
    /// Its RFC 7638 thumbprint.
    pub id: String,
    /// `None` if it cannot be opened, because the sealing key is not available.
    pub private_pem: Option<SecretString>,
    /// The public key, in base64url.
    pub public_x: String,
    /// `next`, `current` or `retired`.
    pub state: String,
    pub changed_at: Timestamp,
}

impl SealedTokenKeyRow {
    /// Seals the private key; `None` without one.
    fn seal(key: &TokenKeyRow, sealing: &SealingKey) -> Result<Option<Self>, StoreError> {
        let TokenKeyRow { id, private_pem, public_x, state, changed_at } = key;
        let Some(private_pem) = private_pem else { return Ok(None) };
        let sealed = sealing.seal(private_pem, token_key(&[id])).map_err(KeyError::Random)?;
        Ok(Some(Self {
            key_id: id.clone(),
            sealed,
            public_x: public_x.clone(),
            state: state.clone(),
            changed_at: *changed_at,
        }))
    }

    /// Opens the private key.
    fn open(self, sealing: Option<&SealingKey>) -> TokenKeyRow {
        let open = |key: &SealingKey| key.open(&self.sealed, token_key(&[&self.key_id])).ok();
        TokenKeyRow {
            private_pem: sealing.and_then(open),
            id: self.key_id,
            public_x: self.public_x,
            state: self.state,
            changed_at: self.changed_at,
        }
    }
}

impl Store {
    /// Every signing key, in order of identifier. Without the sealing key the private keys are
    /// `None`: tokens can be verified but not issued.
    pub async fn token_keys(&self) -> Result<Vec<TokenKeyRow>, StoreError> {
        let rows: Vec<SealedTokenKeyRow> = self.fetch_all("ORDER BY key_id", &[]).await?;
        let key = match self.opening_key(rows.iter().map(|row| row.sealed.as_str())).await {
            Ok(key) => Some(key),
            Err(StoreError::Key(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(rows.into_iter().map(|row| row.open(key.as_deref())).collect())
    }

    /// Whether an account is active and `token` is not revoked; `None` if there is no such account.
    pub async fn may_sign_in(
        &self,
        programme: &ProgrammeId,
        member: &MemberId,
        token: &str,
    ) -> Result<Option<bool>, StoreError> {
        let sql = "SELECT {columns} FROM (SELECT state, \
                   CAST((SELECT COUNT(*) FROM revoked_token r \
                   WHERE r.programme_id = $1 AND r.token_id = $3) AS BIGINT) AS is_revoked \
                   FROM member WHERE programme_id = $1 AND member_id = $2) AS found";
        let row: Option<TokenStatusRow> =
            self.fetch_optional(sql, &[programme, member, &token]).await?;
        Ok(row.map(|row| row.state == MemberState::Active && !row.is_revoked))
    }
}

impl Tx {
    /// Adds signing keys. A key is left out if one with its identifier exists, or one in the same
    /// state `next` or `current`.
    pub async fn add_token_keys(&mut self, keys: &[TokenKeyRow]) -> Result<(), StoreError> {
        let sealing = self.sealing_key().await?;
        let mut rows = Vec::new();
        for key in keys {
            rows.extend(SealedTokenKeyRow::seal(key, &sealing)?);
        }
        self.put(&rows, OnConflict::Keep).await?;
        Ok(())
    }

    /// Changes the state of a signing key from `from` to `to`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when it is no longer in the state `from`.
    pub async fn set_token_key_state(
        &mut self,
        id: &str,
        from: &str,
        to: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = TokenKeyStateRow { key_id: id.to_owned(), state: to.to_owned(), changed_at: at };
        self.update(&row, &[("state", &from)]).await
    }

    /// Deletes signing keys that were retired at `by` or before.
    pub async fn purge_token_keys(&mut self, by: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM token_key WHERE state = 'retired' AND changed_at <= $1";
        self.execute(sql, &[&by]).await?;
        Ok(())
    }

    /// Revokes a token, and deletes revocations of tokens that expired before `now`.
    pub async fn revoke_token(
        &mut self,
        programme: &ProgrammeId,
        token: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = RevokedTokenRow {
            programme_id: programme.clone(),
            token_id: token.to_owned(),
            expires_at,
        };
        self.put(&[row], OnConflict::Keep).await?;
        self.purge_revoked_tokens(now).await
    }

    /// Deletes revocations of tokens that expired before `now`, because an expired token is refused
    /// anyway.
    pub async fn purge_revoked_tokens(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.execute("DELETE FROM revoked_token WHERE expires_at < $1", &[&now]).await?;
        Ok(())
    }
}
