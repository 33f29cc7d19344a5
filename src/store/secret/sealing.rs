//! Secrets at rest: sealing them with the database's key, and rotating that key.
//!
//! The single row of `sealing_key` names the key by its fingerprint. A writer of a secret locks
//! that row first, so that no secret is sealed with a key that has just been rotated out. Unsealed
//! text is accepted only until the database has a key, because later it could only come from an
//! attacker with access to the database but not to the key.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::row::{ColumnKind, CorruptRow, RowReader, Table, Value};
use crate::ledger::record::table::{Record, record};
use crate::platform::config::KeySource;
use crate::platform::crash;
use crate::platform::encryption::{AssociatedData, KeyId, SealingKey, UnsealError, sealing_key_id};
use crate::store::secret::key_file;
use crate::store::secret::key_file::{KeyError, describe_place};
use crate::store::sql::record::{Argument, OnConflict};
use crate::store::{Store, StoreError, Tx};

/// Whether the secrets of a database are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealingKeyStatus {
    /// The database names no key yet.
    NotSealed,
    /// The database names this key, and the process has loaded it. With `has_plaintext_remains`,
    /// the database files may still contain secrets as they were before the last sealing.
    Active { key: KeyId, has_plaintext_remains: bool },
}

/// The key loaded by this process, if any.
#[derive(Debug, Default)]
pub(in crate::store) struct SealingState(RwLock<Option<ActiveKey>>);

#[derive(Debug, Clone)]
struct ActiveKey {
    place: KeySource,
    key: Arc<SealingKey>,
}

impl SealingState {
    fn active_key(&self) -> Result<ActiveKey, KeyError> {
        let active_key = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        active_key.ok_or(KeyError::NotConfigured)
    }

    fn activate(&self, place: &KeySource, key: SealingKey) {
        let active_key = ActiveKey { place: place.clone(), key: Arc::new(key) };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(active_key);
    }
}

record! {
    /// The name of the database's key.
    struct SealingKeyRow in "sealing_key" key(place) {
        /// Always [`SealingKeyRow::PLACE`], so that there is at most one row.
        place: String,
        key_id: KeyId,
        /// `some` if the database files may still contain secrets as they were before the last
        /// sealing, or else `none`.
        remains: String,
    }
}

record! {
    /// A secret of a connection, sealed or not.
    struct ConnectionSecretRow in "connection_secret" key(programme_id, connection_id, name) {
        programme_id: String,
        connection_id: String,
        name: String,
        sealed: String,
    }
}

record! {
    /// A token signing key, sealed or not.
    struct TokenKeySecretRow in "token_key" key(key_id) {
        key_id: String,
        sealed: String,
    }
}

/// The tables with secrets and the one with the name of their key.
const SEALING_TABLES: [&Table; 3] =
    [ConnectionSecretRow::TABLE, TokenKeySecretRow::TABLE, SealingKeyRow::TABLE];

impl SealingKeyRow {
    const PLACE: &str = "in use";

    fn new(key: &SealingKey, has_plaintext_remains: bool) -> Self {
        let remains = if has_plaintext_remains { "some" } else { "none" };
        Self { place: Self::PLACE.into(), key_id: key.id().clone(), remains: remains.into() }
    }

    fn has_plaintext_remains(&self) -> bool {
        self.remains == "some"
    }
}

impl ColumnValue for KeyId {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.as_str().into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.text().map(Self::stored)
    }
}

/// The associated data that binds a sealed text to a connection's secret.
pub(in crate::store) const fn connection_secret<'a>(key: &'a [&'a str; 3]) -> AssociatedData<'a> {
    AssociatedData { table: ConnectionSecretRow::TABLE.name, key }
}

/// The associated data that binds a sealed text to a token signing key.
pub(in crate::store) const fn token_key<'a>(key: &'a [&'a str; 1]) -> AssociatedData<'a> {
    AssociatedData { table: TokenKeySecretRow::TABLE.name, key }
}

impl Store {
    /// Loads the key from `place` and uses it from now on. If the database names no key yet,
    /// generates the key if its file is missing and seals all unsealed secrets in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when `place` does not have the key that the database names.
    pub async fn use_key(&self, place: &KeySource) -> Result<(), StoreError> {
        let mut status = self.find_key(place).await?;
        if status == SealingKeyStatus::NotSealed {
            let key = key_file::load_or_create(place)?;
            crash::failpoint("key_made");
            self.seal_all(&key).await?;
            status = self.find_key(place).await?;
        }
        match status {
            SealingKeyStatus::NotSealed => Err(StoreError::Contended("sealing_key")),
            SealingKeyStatus::Active { has_plaintext_remains: false, .. } => Ok(()),
            SealingKeyStatus::Active { has_plaintext_remains: true, .. } => {
                self.remove_plaintext_remains().await;
                Ok(())
            }
        }
    }

    /// Loads the key that the database names and uses it from now on. Generates no key and does not
    /// write to the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when the key is not in `place`.
    pub async fn find_key(&self, place: &KeySource) -> Result<SealingKeyStatus, StoreError> {
        let row: Option<SealingKeyRow> = self.fetch_optional("", &[]).await?;
        let Some(row) = row else { return Ok(SealingKeyStatus::NotSealed) };
        let has_plaintext_remains = row.has_plaintext_remains();
        let wanted = row.key_id;
        let key = key_file::load(place, Some(&wanted))?;
        let key = key.ok_or_else(|| KeyError::FileMissing {
            from: describe_place(place),
            wanted: wanted.clone(),
        })?;
        if *key.id() != wanted {
            let (found, from) = (key.id().clone(), describe_place(place));
            return Err(KeyError::KeyMismatch { wanted, found, from }.into());
        }
        self.sealing.activate(place, key);
        Ok(SealingKeyStatus::Active { key: wanted, has_plaintext_remains })
    }

    /// Seals every unsealed secret with `key`, unless a concurrent transaction has set the
    /// database's key first.
    async fn seal_all(&self, key: &SealingKey) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx.sealed_secrets().await?;
        let is_new = rows.is_empty() && tx.has_no_programme().await?;
        if tx.put(&[SealingKeyRow::new(key, !is_new)], OnConflict::Keep).await? == 0 {
            return Ok(());
        }
        for row in &rows {
            let plain = SecretString::from(row.text.as_str());
            tx.write_secret(row, &plain, key).await?;
        }
        tx.commit().await
    }

    /// Rotates the key and reseals every secret. The new key is the one in `to`, generated if that
    /// file is missing, or a generated one that replaces the current key file. Returns the new
    /// key's fingerprint.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when no key is loaded, the new key is the current one, a secret cannot
    /// be opened, or `to` is `None` and the current key is not in a file.
    pub async fn reseal(&self, to: Option<&Path>) -> Result<KeyId, StoreError> {
        let ActiveKey { place, key: old } = self.sealing.active_key()?;
        let (new, new_place) = match (to, &place) {
            (Some(to), _) => {
                let place = KeySource::File(to.to_owned());
                (key_file::load_or_create(&place)?, place)
            }
            (None, KeySource::File(file)) => {
                let key = SealingKey::generate().map_err(KeyError::Random)?;
                key_file::write_replacement(file, &key)?;
                (key, place.clone())
            }
            (None, KeySource::Given(_) | KeySource::Nowhere) => {
                return Err(KeyError::NoKeyFile.into());
            }
        };
        if new.id() == old.id() {
            return Err(KeyError::SameKey.into());
        }
        crash::failpoint("key_written");
        self.rotate_key(&old, &new).await?;
        crash::failpoint("resealed");
        if let (None, KeySource::File(file)) = (to, &place) {
            key_file::finish_rotation(file)?;
        }
        let id = new.id().clone();
        self.sealing.activate(&new_place, new);
        self.remove_plaintext_remains().await;
        Ok(id)
    }

    async fn rotate_key(&self, old: &SealingKey, new: &SealingKey) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.update(&SealingKeyRow::new(new, true), &[("key_id", old.id())]).await?;
        for row in &tx.sealed_secrets().await? {
            let plain = row.open(old);
            let plain = plain.map_err(|error| KeyError::Row(row.name(), error.to_string()))?;
            tx.write_secret(row, &plain, new).await?;
        }
        tx.commit().await
    }

    /// Deletes every sealed secret and the name of the key, because the key is lost.
    pub async fn purge_sealed_secrets(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for table in SEALING_TABLES {
            tx.execute(format!("DELETE FROM {}", table.name), &[]).await?;
        }
        tx.commit().await
    }

    /// Removes overwritten secrets, in plaintext or sealed with the previous key, from the database
    /// files. A failure is logged and retried at the next start.
    async fn remove_plaintext_remains(&self) {
        if let Err(error) = self.try_remove_plaintext_remains().await {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(
                cause,
                "the database's files may hold secrets as they were: see doctor"
            );
        }
    }

    async fn try_remove_plaintext_remains(&self) -> Result<(), StoreError> {
        self.pools.vacuum().await?;
        let mut tx = self.begin().await?;
        tx.execute("UPDATE sealing_key SET remains = 'none'", &[]).await?;
        tx.commit().await
    }

    /// The key for opening `sealed`. If a text names a key other than the loaded one, loads the key
    /// again first, because it may have been rotated.
    pub(in crate::store) async fn opening_key(
        &self,
        sealed: impl Iterator<Item = &str> + Send,
    ) -> Result<Arc<SealingKey>, StoreError> {
        let ActiveKey { place, key } = self.sealing.active_key()?;
        if sealed.filter_map(sealing_key_id).all(|id| id == *key.id()) {
            return Ok(key);
        }
        self.find_key(&place).await?;
        Ok(self.sealing.active_key()?.key)
    }
}

/// A secret as stored: its table, the columns and the values of its key, and its sealed text.
struct SealedSecret {
    table: &'static str,
    key_columns: &'static [&'static str],
    key: Vec<String>,
    text: String,
}

impl SealedSecret {
    /// The secret of a row with a column `sealed`.
    fn of<R: Record>(row: &R) -> Self {
        let row = row.row();
        let text = |column: &str| R::TABLE.text(&row, column).to_owned();
        Self {
            table: R::TABLE.name,
            key_columns: R::KEY,
            key: R::KEY.iter().map(|column| text(column)).collect(),
            text: text("sealed"),
        }
    }

    fn associated_data<'a>(&self, key: &'a [&'a str]) -> AssociatedData<'a> {
        AssociatedData { table: self.table, key }
    }

    fn open(&self, key: &SealingKey) -> Result<SecretString, UnsealError> {
        let parts: Vec<_> = self.key.iter().map(String::as_str).collect();
        key.open(&self.text, self.associated_data(&parts))
    }

    fn name(&self) -> String {
        format!("{} {}", self.table, self.key.join("/"))
    }
}

impl Tx {
    /// Every stored secret, sealed or not.
    async fn sealed_secrets(&mut self) -> Result<Vec<SealedSecret>, StoreError> {
        let mut secrets = self.sealed_secrets_of::<ConnectionSecretRow>().await?;
        secrets.extend(self.sealed_secrets_of::<TokenKeySecretRow>().await?);
        Ok(secrets)
    }

    async fn sealed_secrets_of<R: Record>(&mut self) -> Result<Vec<SealedSecret>, StoreError> {
        let rows: Vec<R> = self.fetch_all("", &[]).await?;
        Ok(rows.iter().map(SealedSecret::of).collect())
    }

    async fn write_secret(
        &mut self,
        row: &SealedSecret,
        plain: &SecretString,
        key: &SealingKey,
    ) -> Result<(), StoreError> {
        let parts: Vec<_> = row.key.iter().map(String::as_str).collect();
        let sealed = key.seal(plain, row.associated_data(&parts)).map_err(KeyError::Random)?;
        let conditions = (2..).zip(row.key_columns);
        let conditions: Vec<_> =
            conditions.map(|(number, column)| format!("{column} = ${number}")).collect();
        let (table, conditions) = (row.table, conditions.join(" AND "));
        let mut arguments: Vec<&dyn Argument> = vec![&sealed];
        arguments.extend(row.key.iter().map(|part| -> &dyn Argument { part }));
        self.execute(format!("UPDATE {table} SET sealed = $1 WHERE {conditions}"), &arguments)
            .await?;
        Ok(())
    }

    async fn has_no_programme(&mut self) -> Result<bool, StoreError> {
        let sql = "SELECT programme_id FROM programme LIMIT 1";
        Ok(self.fetch_scalar::<String>(sql, &[]).await?.is_none())
    }

    /// The key to seal with. A share lock on the key row prevents a rotation until this transaction
    /// ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the database names another key by now.
    pub(in crate::store) async fn sealing_key(&mut self) -> Result<Arc<SealingKey>, StoreError> {
        let key = self.sealing.active_key()?.key;
        let lock = self.lock_clause(" FOR SHARE");
        let sql = format!("SELECT key_id FROM sealing_key WHERE key_id = $1{lock}");
        match self.fetch_scalar::<KeyId>(sql, &[key.id()]).await? {
            Some(_) => Ok(key),
            None => Err(StoreError::Contended("sealing_key")),
        }
    }
}
