//! Secrets at rest: with which key a database's secrets are sealed, and changing it.
//!
//! The database names the key by its fingerprint, in a row of its own. Who writes a secret locks that
//! row first, so no secret is sealed with a key that was changed a moment ago. A text that was never
//! sealed counts only until the database has its key: later, somebody would have written it who has
//! the database and no key.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::ledger::record::row::{Column, Reader, Table, columns};
use crate::platform::config::KeyPlace;
use crate::platform::crash;
use crate::platform::encryption::{CannotOpen, KeyId, Place, SealingKey, sealed_with};
use crate::store::secret::key_file;
use crate::store::secret::key_file::{KeyError, told};
use crate::store::sql::batch::{Batch, read_row};
use crate::store::{Store, StoreError, Tx};

/// Whether a database has its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// Nothing was sealed yet.
    NotYet,
    /// It goes by this key, which is in use here from now on.
    InUse { key: KeyId, remains: bool },
}

/// The key as far as this process has it.
#[derive(Debug, Default)]
pub(in crate::store) struct Sealing(RwLock<Option<InUse>>);

#[derive(Debug, Clone)]
struct InUse {
    place: KeyPlace,
    key: Arc<SealingKey>,
}

impl Sealing {
    fn in_use(&self) -> Result<InUse, KeyError> {
        let in_use = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        in_use.ok_or(KeyError::Nowhere)
    }

    fn use_from_now(&self, place: &KeyPlace, key: SealingKey) {
        let in_use = InUse { place: place.clone(), key: Arc::new(key) };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(in_use);
    }
}

const KEY_ID: &[Column] = columns![Key "key_id"];
static SEALING_KEY: Table =
    Table { name: "sealing_key", columns: columns![Key "key_id", Text "remains"] };
/// The tables that keep secrets, with the columns of their keys; the secret is called `sealed`.
static KEEPING: [Table; 2] = [
    Table {
        name: "connection_secret",
        columns: columns![
            Key "programme_id", Key "connection_id", Key "name", Text "sealed",
        ],
    },
    Table { name: "token_key", columns: columns![Key "key_id", Text "sealed"] },
];

/// The place of a connection's secret.
pub(in crate::store) const fn connection_secret<'a>(key: &'a [&'a str; 3]) -> Place<'a> {
    Place { table: "connection_secret", key }
}

/// The place of a private key that tokens are signed with.
pub(in crate::store) const fn token_key<'a>(key: &'a [&'a str; 1]) -> Place<'a> {
    Place { table: "token_key", key }
}

impl Store {
    /// Uses the key in `place` from now on. The first time it is made if it has a file, and what
    /// is in the database as it is gets sealed, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when it is not the key that the database goes by.
    pub async fn use_key(&self, place: &KeyPlace) -> Result<(), StoreError> {
        let mut standing = self.find_key(place).await?;
        if standing == KeyStanding::NotYet {
            let key = key_file::load_or_make(place)?;
            crash::reach("key_made");
            self.seal_all(&key).await?;
            standing = self.find_key(place).await?;
        }
        match standing {
            KeyStanding::NotYet => Err(StoreError::Contended("sealing_key")),
            KeyStanding::InUse { remains: false, .. } => Ok(()),
            KeyStanding::InUse { remains: true, .. } => {
                self.remove_remains().await;
                Ok(())
            }
        }
    }

    /// Looks for the key that the database goes by, and uses it from now on. Makes none, and leaves the
    /// database as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when it is not in `place`.
    pub async fn find_key(&self, place: &KeyPlace) -> Result<KeyStanding, StoreError> {
        let sql = "SELECT key_id, remains FROM sealing_key";
        let Some(row) = sqlx::query(sql).fetch_optional(&self.readers()).await? else {
            return Ok(KeyStanding::NotYet);
        };
        let row = read_row(&row, SEALING_KEY.columns)?;
        let mut reader = Reader::new(&SEALING_KEY, &row);
        let wanted = KeyId::stored(reader.text()?);
        let remains = reader.text()? == "some";
        let key = key_file::load(place, Some(&wanted))?;
        let key =
            key.ok_or_else(|| KeyError::FileIsGone { from: told(place), wanted: wanted.clone() })?;
        if *key.id() != wanted {
            let (found, from) = (key.id().clone(), told(place));
            return Err(KeyError::Wrong { wanted, found, from }.into());
        }
        self.sealing.use_from_now(place, key);
        Ok(KeyStanding::InUse { key: wanted, remains })
    }

    /// Seals everything that is there as it is, unless somebody else was first.
    async fn seal_all(&self, key: &SealingKey) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx.kept_secrets().await?;
        let is_new = rows.is_empty() && tx.has_no_programme().await?;
        let sql = "INSERT INTO sealing_key (place, key_id, remains) VALUES ('in use', $1, $2) \
                   ON CONFLICT DO NOTHING";
        let remains = if is_new { "none" } else { "some" };
        let query = sqlx::query(sql).bind(key.id().as_str().to_owned()).bind(remains);
        if query.execute(tx.connection()).await?.rows_affected() == 0 {
            return Ok(());
        }
        for row in &rows {
            let plain = SecretString::from(row.text.as_str());
            tx.write_secret(row, &plain, key).await?;
        }
        tx.commit().await
    }

    /// Seals everything with another key: the one in `to`, made if its file is not there, or a new
    /// one in the file that the key is in now. Says which.
    pub async fn reseal(&self, to: Option<&Path>) -> Result<KeyId, StoreError> {
        let InUse { place, key: old } = self.sealing.in_use()?;
        let (new, new_place) = match (to, &place) {
            (Some(to), _) => {
                let place = KeyPlace::File(to.to_owned());
                (key_file::load_or_make(&place)?, place)
            }
            (None, KeyPlace::File(file)) => {
                let key = SealingKey::generate().map_err(KeyError::Random)?;
                key_file::write_next(file, &key)?;
                (key, place.clone())
            }
            (None, KeyPlace::Given(_) | KeyPlace::Nowhere) => return Err(KeyError::NoFile.into()),
        };
        if new.id() == old.id() {
            return Err(KeyError::SameKey.into());
        }
        crash::reach("key_written");
        self.change_key(&old, &new).await?;
        crash::reach("resealed");
        if let (None, KeyPlace::File(file)) = (to, &place) {
            key_file::finish_change(file)?;
        }
        let id = new.id().clone();
        self.sealing.use_from_now(&new_place, new);
        self.remove_remains().await;
        Ok(id)
    }

    async fn change_key(&self, old: &SealingKey, new: &SealingKey) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE sealing_key SET key_id = $2, remains = 'some' WHERE key_id = $1";
        let [from, to] = [old, new].map(|key| key.id().as_str().to_owned());
        let moved = sqlx::query(sql).bind(from).bind(to).execute(tx.connection()).await?;
        if moved.rows_affected() != 1 {
            return Err(StoreError::Contended("sealing_key"));
        }
        for row in &tx.kept_secrets().await? {
            let plain = row.open(old);
            let plain = plain.map_err(|error| KeyError::Row(row.name(), error.to_string()))?;
            tx.write_secret(row, &plain, new).await?;
        }
        tx.commit().await
    }

    /// Forgets everything that was sealed, and the key: it is lost.
    pub async fn forget_sealed(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for table in KEEPING.iter().map(|table| table.name).chain([SEALING_KEY.name]) {
            let sql = AssertSqlSafe(format!("DELETE FROM {table}"));
            sqlx::query(sql).execute(tx.connection()).await?;
        }
        tx.commit().await
    }

    /// Takes what was there before it was sealed out of the database's files. What cannot be done now
    /// is tried again at the next start.
    async fn remove_remains(&self) {
        if let Err(error) = self.try_remove_remains().await {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(
                cause,
                "the database's files may hold secrets as they were: see doctor"
            );
        }
    }

    async fn try_remove_remains(&self) -> Result<(), StoreError> {
        self.pools.rewrite().await?;
        let mut tx = self.begin().await?;
        tx.connection().execute("UPDATE sealing_key SET remains = 'none'").await?;
        tx.commit().await
    }

    /// The key that opens `sealed`, if one does. One that is not known is looked for: the key may have
    /// been changed.
    pub(in crate::store) async fn opening_key(
        &self,
        sealed: impl Iterator<Item = &str> + Send,
    ) -> Result<Arc<SealingKey>, StoreError> {
        let InUse { place, key } = self.sealing.in_use()?;
        if sealed.filter_map(sealed_with).all(|id| id == *key.id()) {
            return Ok(key);
        }
        self.find_key(&place).await?;
        Ok(self.sealing.in_use()?.key)
    }
}

/// A secret where it is kept.
struct Kept {
    table: &'static Table,
    key: Vec<String>,
    text: String,
}

impl Kept {
    fn place<'a>(&self, key: &'a [&'a str]) -> Place<'a> {
        Place { table: self.table.name, key }
    }

    fn open(&self, key: &SealingKey) -> Result<SecretString, CannotOpen> {
        let parts: Vec<_> = self.key.iter().map(String::as_str).collect();
        key.open(&self.text, self.place(&parts))
    }

    fn name(&self) -> String {
        format!("{} {}", self.table.name, self.key.join("/"))
    }
}

impl Tx {
    /// Every secret in the database.
    async fn kept_secrets(&mut self) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        for table in &KEEPING {
            let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            let sql = format!("SELECT {} FROM {}", names.join(", "), table.name);
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(self.connection()).await?;
            for row in &rows {
                let row = read_row(row, table.columns)?;
                let text = |column: &Column| table.text(&row, column.name).to_owned();
                let mut key: Vec<_> = table.columns.iter().map(text).collect();
                let text = key.pop().unwrap_or_default();
                kept.push(Kept { table, key, text });
            }
        }
        Ok(kept)
    }

    async fn write_secret(
        &mut self,
        row: &Kept,
        plain: &SecretString,
        key: &SealingKey,
    ) -> Result<(), StoreError> {
        let parts: Vec<_> = row.key.iter().map(String::as_str).collect();
        let sealed = key.seal(plain, row.place(&parts)).map_err(KeyError::Random)?;
        let named = row.table.columns.iter().zip(2..);
        let named: Vec<_> = named
            .take(row.key.len())
            .map(|(column, place)| format!("{} = ${place}", column.name))
            .collect();
        let (table, named) = (row.table.name, named.join(" AND "));
        let sql = format!("UPDATE {table} SET sealed = $1 WHERE {named}");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(sealed);
        for part in &row.key {
            query = query.bind(part.clone());
        }
        query.execute(self.connection()).await?;
        Ok(())
    }

    async fn has_no_programme(&mut self) -> Result<bool, StoreError> {
        let sql = "SELECT programme_id FROM programme LIMIT 1";
        Ok(sqlx::query(sql).fetch_optional(self.connection()).await?.is_none())
    }

    /// The key to seal with. Until this transaction ends, nobody changes it.
    pub(in crate::store) async fn sealing_key(&mut self) -> Result<Arc<SealingKey>, StoreError> {
        let key = self.sealing.in_use()?.key;
        let template =
            "SELECT b.key_id FROM {rows} JOIN sealing_key b ON b.key_id = r.key_id{share}";
        let asked = Batch::new(self.statements.dialect, KEY_ID, template);
        let id = [vec![key.id().as_str().into()]];
        match asked.fetch(self.connection(), &id, KEY_ID).await?.first() {
            Some(_) => Ok(key),
            None => Err(StoreError::Contended("sealing_key")),
        }
    }
}
