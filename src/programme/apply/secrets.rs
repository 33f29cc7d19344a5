//! The connections and secrets of a file, as they will be stored.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::id::ConnectionId;
use crate::programme::file::{Connection, KEPT, ProgrammeFile, Secret, SecretValue, Settings};
use crate::store::{SecretRow, StoreError, Tx};

/// The rows to store: given secrets, and kept secrets as they are stored now.
pub(super) struct SecretChanges {
    rows: Vec<SecretRow>,
    pub(super) refusals: Vec<String>,
    pub(super) is_changed: bool,
}

impl SecretChanges {
    pub(super) fn of(
        file: &ProgrammeFile,
        mut stored: Vec<SecretRow>,
        before: Option<&Settings>,
        now: Timestamp,
    ) -> Self {
        let settings = &file.settings;
        stored.retain(|row| row.programme == settings.id);
        let mut secrets = Self { rows: Vec::new(), refusals: Vec::new(), is_changed: false };
        for connection in &settings.connections {
            secrets.add(settings, connection, &stored, now);
        }
        let connections_before = before.map(connections).unwrap_or_default();
        secrets.is_changed =
            !is_same(&secrets.rows, &stored) || connections(settings) != connections_before;
        secrets
    }

    fn add(
        &mut self,
        settings: &Settings,
        connection: &Connection,
        stored: &[SecretRow],
        now: Timestamp,
    ) {
        for secret in &connection.secrets {
            let known = stored
                .iter()
                .find(|row| row.connection == connection.id && row.name == secret.name);
            match value_of(connection, secret, known) {
                Ok(value) => self.rows.push(SecretRow {
                    programme: settings.id.clone(),
                    connection: connection.id.clone(),
                    issuer: connection.issuer.word().to_owned(),
                    name: secret.name.clone(),
                    secret: Some(value),
                    live_until: secret.until,
                }),
                Err(why) => self.refusals.push(format!(
                    "connection {}, secret {}: {why}; write the secret itself",
                    connection.id, secret.name
                )),
            }
        }
        if !connection.secrets.iter().any(|s| s.until.is_none_or(|until| now < until)) {
            self.refusals.push(format!(
                "connection {}: no secret of it counts any more, so every message would be \
                 refused; add the one that the issuer signs with now",
                connection.id
            ));
        }
    }

    /// Writes the connections and their secrets. Returns `false` and writes nothing if another
    /// programme has a connection of the same name.
    pub(super) async fn put(&self, tx: &mut Tx, file: &ProgrammeFile) -> Result<bool, StoreError> {
        tx.put_connections(&file.settings.id, &connections(&file.settings), &self.rows).await
    }
}

/// The value to store. A stored value is checked again, because an earlier build may have stored an
/// invalid one.
fn value_of(
    connection: &Connection,
    secret: &Secret,
    known: Option<&SecretRow>,
) -> Result<SecretString, String> {
    let stored = match (&secret.value, known) {
        (SecretValue::Given(value), _) => return Ok(value.clone()),
        (SecretValue::Kept, Some(row)) => row.secret.as_ref(),
        (SecretValue::Kept, None) => {
            return Err(format!("{KEPT} is written, but none is stored"));
        }
    };
    let Some(value) = stored else { return Err("the stored one cannot be opened".to_owned()) };
    match connection.issuer.check_secret(value) {
        Err(error) => Err(format!("the stored one is of no use: {error}")),
        Ok(()) => Ok(value.clone()),
    }
}

/// Whether both lists hold the same secrets, in any order.
fn is_same(some: &[SecretRow], others: &[SecretRow]) -> bool {
    let is_there = |row: &SecretRow| others.iter().any(|other| is_same_secret(row, other));
    some.len() == others.len() && some.iter().all(is_there)
}

fn is_same_secret(one: &SecretRow, other: &SecretRow) -> bool {
    let text = |row: &SecretRow| row.secret.as_ref().map(|s| s.expose_secret().to_owned());
    one.connection == other.connection
        && one.issuer == other.issuer
        && one.name == other.name
        && one.live_until == other.live_until
        && other.secret.is_some()
        && text(one) == text(other)
}

fn connections(settings: &Settings) -> Vec<(ConnectionId, String)> {
    settings.connections.iter().map(|c| (c.id.clone(), c.issuer.word().to_owned())).collect()
}
