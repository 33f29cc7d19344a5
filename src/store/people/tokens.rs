//! Token signing keys, revoked tokens, and the check of an account at sign-in.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::domain::people::role::MemberState;
use crate::ledger::record::row::{RowReader, Table, Value, columns, text_value};
use crate::platform::encryption::SealingKey;
use crate::store::secret::sealing::token_key;
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{KeyError, Store, StoreError, Tx};

static TOKEN_KEY: Table = Table {
    name: "token_key",
    columns: columns![
        Key "key_id", Text "sealed", Text "public_x", Text "state", Number "changed_at",
    ],
};
static REVOKED: Table = Table {
    name: "revoked_token",
    columns: columns![Key "programme_id", Key "token_id", Number "expires_at"],
};
static TOKEN_STATUS: Table =
    Table { name: "member", columns: columns![Text "state", Number "is_revoked"] };

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

impl Store {
    /// Every signing key, in order of identifier. Without the sealing key the private keys are
    /// `None`: tokens can be verified but not issued.
    pub async fn token_keys(&self) -> Result<Vec<TokenKeyRow>, StoreError> {
        let sql = "SELECT key_id, sealed, public_x, state, changed_at FROM token_key \
                   ORDER BY key_id";
        let mut rows = Vec::new();
        for row in &sqlx::query(sql).fetch_all(&self.readers()).await? {
            rows.push(read_row(row, TOKEN_KEY.columns)?);
        }
        let sealed = rows.iter().map(|row| TOKEN_KEY.text(row, "sealed"));
        let key = match self.opening_key(sealed).await {
            Ok(key) => Some(key),
            Err(StoreError::Key(_)) => None,
            Err(error) => return Err(error),
        };
        rows.iter().map(|row| read_key(row, key.as_deref())).collect()
    }

    /// Whether an account is active and `token` is not revoked; `None` if there is no such account.
    pub async fn may_sign_in(
        &self,
        programme: &ProgrammeId,
        member: &MemberId,
        token: &str,
    ) -> Result<Option<bool>, StoreError> {
        let sql = "SELECT state, CAST((SELECT COUNT(*) FROM revoked_token r \
                   WHERE r.programme_id = $1 AND r.token_id = $3) AS BIGINT) AS is_revoked \
                   FROM member WHERE programme_id = $1 AND member_id = $2";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(member.to_string())
            .bind(token.to_owned())
            .fetch_optional(&self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, TOKEN_STATUS.columns)?;
        let mut reader = RowReader::new(&TOKEN_STATUS, &row);
        let state = reader.word(MemberState::from_word)?;
        Ok(Some(state == MemberState::Active && reader.number()? == 0))
    }
}

impl Tx {
    /// Adds signing keys. A key is left out if one with its identifier exists, or one in the same
    /// state `next` or `current`.
    pub async fn add_token_keys(&mut self, keys: &[TokenKeyRow]) -> Result<(), StoreError> {
        let sealing = self.sealing_key().await?;
        let mut rows = Vec::new();
        for key in keys {
            rows.extend(key_row(key, &sealing)?);
        }
        let add = BatchStatement::insert_missing(self.statements.dialect, &TOKEN_KEY);
        add.execute(self.connection(), &rows).await?;
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
        let sql = "UPDATE token_key SET state = $3, changed_at = $4 \
                   WHERE key_id = $1 AND state = $2";
        let moved = sqlx::query(sql)
            .bind(id.to_owned())
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(at.as_microsecond())
            .execute(self.connection())
            .await?;
        if moved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Contended("token_key")) }
    }

    /// Deletes signing keys that were retired at `by` or before.
    pub async fn purge_token_keys(&mut self, by: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM token_key WHERE state = 'retired' AND changed_at <= $1";
        sqlx::query(sql).bind(by.as_microsecond()).execute(self.connection()).await?;
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
        let row = vec![text_value(programme), token.into(), expires_at.into()];
        let add = BatchStatement::insert_missing(self.statements.dialect, &REVOKED);
        add.execute(self.connection(), &[row]).await?;
        self.purge_revoked_tokens(now).await
    }

    /// Deletes revocations of tokens that expired before `now`, because an expired token is refused
    /// anyway.
    pub async fn purge_revoked_tokens(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM revoked_token WHERE expires_at < $1";
        sqlx::query(sql).bind(now.as_microsecond()).execute(self.connection()).await?;
        Ok(())
    }
}

fn read_key(row: &[Value], sealing: Option<&SealingKey>) -> Result<TokenKeyRow, StoreError> {
    let mut reader = RowReader::new(&TOKEN_KEY, row);
    let (id, sealed) = (reader.text()?.to_owned(), reader.text()?);
    let private_pem = sealing.and_then(|key| key.open(sealed, token_key(&[&id])).ok());
    Ok(TokenKeyRow {
        id,
        private_pem,
        public_x: reader.text()?.to_owned(),
        state: reader.text()?.to_owned(),
        changed_at: reader.instant()?,
    })
}

/// Builds the row of a signing key; `None` without its private key.
fn key_row(key: &TokenKeyRow, sealing: &SealingKey) -> Result<Option<Vec<Value>>, StoreError> {
    let Some(private_pem) = &key.private_pem else { return Ok(None) };
    let sealed = sealing.seal(private_pem, token_key(&[&key.id])).map_err(KeyError::Random)?;
    Ok(Some(vec![
        key.id.as_str().into(),
        sealed.into(),
        key.public_x.as_str().into(),
        key.state.as_str().into(),
        key.changed_at.into(),
    ]))
}
