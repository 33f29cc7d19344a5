//! The connections of a file with their secrets, as they will be stored.

use secrecy::ExposeSecret as _;

use crate::domain::id::ConnectionId;
use crate::programme::file::{self, ProgrammeFile, SecretValue, Settings};
use crate::store::{SecretRow, StoreError, Tx};

/// The secrets as they will be stored: given ones, and kept ones as they are.
pub(super) struct Secrets {
    rows: Vec<SecretRow>,
    pub(super) refusals: Vec<String>,
    pub(super) is_changed: bool,
}

impl Secrets {
    pub(super) fn of(
        file: &ProgrammeFile,
        stored: Vec<SecretRow>,
        before: Option<&Settings>,
    ) -> Self {
        let (mut rows, mut refusals) = (Vec::new(), Vec::new());
        for connection in &file.settings.connections {
            for secret in &connection.secrets {
                let known = stored
                    .iter()
                    .find(|row| row.connection == connection.id && row.name == secret.name);
                let value = match (&secret.value, known) {
                    (SecretValue::Given(value), _) => value.expose_secret().to_owned(),
                    (SecretValue::Kept, Some(row)) => row.secret.clone(),
                    (SecretValue::Kept, None) => {
                        refusals.push(format!(
                            "connection {}, secret {}: {} is written, but none is stored; \
                             write the secret itself",
                            connection.id,
                            secret.name,
                            file::KEPT
                        ));
                        continue;
                    }
                };
                rows.push(SecretRow {
                    programme: file.settings.id.clone(),
                    connection: connection.id.clone(),
                    issuer: connection.issuer.clone(),
                    name: secret.name.clone(),
                    secret: value,
                    live_until: secret.until,
                });
            }
        }
        let connections_before = before.map(connections).unwrap_or_default();
        let mut stored = stored;
        stored.retain(|row| row.programme == file.settings.id);
        let order = |row: &SecretRow| (row.connection.clone(), row.name.clone());
        stored.sort_by_key(order);
        let mut sorted = rows.clone();
        sorted.sort_by_key(order);
        let is_changed = sorted != stored || connections(&file.settings) != connections_before;
        Self { rows, refusals, is_changed }
    }

    /// Writes them. Says no, and writes nothing, when a connection's name is another programme's.
    pub(super) async fn put(&self, tx: &mut Tx, file: &ProgrammeFile) -> Result<bool, StoreError> {
        tx.put_connections(&file.settings.id, &connections(&file.settings), &self.rows).await
    }
}

fn connections(settings: &Settings) -> Vec<(ConnectionId, String)> {
    settings.connections.iter().map(|c| (c.id.clone(), c.issuer.clone())).collect()
}
