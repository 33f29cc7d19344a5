//! Rows of connections to issuers and of their secrets, which are stored sealed.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::id::{ConnectionId, ProgrammeId};
use crate::ledger::record::table::record;
use crate::platform::encryption::SealingKey;
use crate::store::secret::sealing::connection_secret;
use crate::store::sql::record::OnConflict;
use crate::store::{KeyError, Store, StoreError, Tx};

/// A secret of a connection.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub issuer: String,
    pub name: String,
    /// `None` if it cannot be opened: it was never sealed, was tampered with, or was moved from
    /// another row.
    pub secret: Option<SecretString>,
    pub live_until: Option<Timestamp>,
}

record! {
    /// A connection to an issuer.
    struct ConnectionRow in "connection" key(programme_id, connection_id) {
        programme_id: ProgrammeId,
        connection_id: ConnectionId,
        issuer: String,
    }
}

record! {
    /// A sealed secret of a connection.
    struct SealedRow in "connection_secret" key(programme_id, connection_id, name) {
        programme_id: ProgrammeId,
        connection_id: ConnectionId,
        name: String,
        sealed: String,
        live_until: Option<Timestamp>,
    }
}

record! {
    /// A sealed secret with the issuer of its connection.
    struct IssuerSecret in "connection_secret" key(programme_id, connection_id, name) {
        programme_id: ProgrammeId,
        connection_id: ConnectionId,
        issuer: String,
        name: String,
        sealed: String,
        live_until: Option<Timestamp>,
    }
}

record! {
    /// A secret of a connection, without the secret itself.
    pub struct SecretName in "connection_secret" key(name) {
        pub name: String,
        pub live_until: Option<Timestamp>,
    }
}

impl SealedRow {
    /// Seals `row` with `key`; `None` if its secret could not be opened.
    fn new(
        programme: &ProgrammeId,
        row: &SecretRow,
        key: &SealingKey,
    ) -> Result<Option<Self>, KeyError> {
        let Some(secret) = &row.secret else { return Ok(None) };
        let place = [programme.as_str(), row.connection.as_str(), row.name.as_str()];
        Ok(Some(Self {
            programme_id: programme.clone(),
            connection_id: row.connection.clone(),
            name: row.name.clone(),
            sealed: key.seal(secret, connection_secret(&place)).map_err(KeyError::Random)?,
            live_until: row.live_until,
        }))
    }
}

impl IssuerSecret {
    fn open(self, key: &SealingKey) -> SecretRow {
        let place = [self.programme_id.as_str(), self.connection_id.as_str(), self.name.as_str()];
        let secret = key.open(&self.sealed, connection_secret(&place)).ok();
        SecretRow {
            programme: self.programme_id,
            connection: self.connection_id,
            issuer: self.issuer,
            name: self.name,
            secret,
            live_until: self.live_until,
        }
    }
}

impl Store {
    /// Every secret of every connection that is live at `now`, for verifying the signatures of
    /// messages.
    pub async fn secrets(&self, now: Timestamp) -> Result<Vec<SecretRow>, StoreError> {
        let sql = "JOIN connection USING (programme_id, connection_id) \
                   WHERE live_until IS NULL OR live_until > $1 \
                   ORDER BY programme_id, connection_id, name";
        let rows: Vec<IssuerSecret> = self.fetch_all(sql, &[&now]).await?;
        let key = self.opening_key(rows.iter().map(|row| row.sealed.as_str())).await?;
        Ok(rows.into_iter().map(|row| row.open(&key)).collect())
    }

    /// The names of a connection's secrets, in order. Needs no sealing key.
    pub async fn secret_names(
        &self,
        programme: &ProgrammeId,
        connection: &ConnectionId,
    ) -> Result<Vec<SecretName>, StoreError> {
        let sql = "WHERE programme_id = $1 AND connection_id = $2 ORDER BY name";
        self.fetch_all(sql, &[programme, connection]).await
    }
}

impl Tx {
    /// Adds or updates connections, and replaces all connection secrets of the programme by
    /// `secrets`. Returns false and writes nothing if a connection's identifier belongs to another
    /// programme.
    pub async fn put_connections(
        &mut self,
        programme: &ProgrammeId,
        connections: &[(ConnectionId, String)],
        secrets: &[SecretRow],
    ) -> Result<bool, StoreError> {
        for (id, _) in connections {
            let sql = "SELECT programme_id FROM connection WHERE connection_id = $1 \
                       AND programme_id <> $2";
            let other: Option<ProgrammeId> = self.fetch_scalar(sql, &[id, programme]).await?;
            if other.is_some() {
                return Ok(false);
            }
        }
        let row = |(id, issuer): &(ConnectionId, String)| ConnectionRow {
            programme_id: programme.clone(),
            connection_id: id.clone(),
            issuer: issuer.clone(),
        };
        let rows: Vec<_> = connections.iter().map(row).collect();
        self.put(&rows, OnConflict::Replace).await?;
        self.execute("DELETE FROM connection_secret WHERE programme_id = $1", &[programme]).await?;
        let key = self.sealing_key().await?;
        let mut rows = Vec::new();
        for secret in secrets {
            rows.extend(SealedRow::new(programme, secret, &key)?);
        }
        self.put(&rows, OnConflict::Keep).await?;
        Ok(true)
    }
}
