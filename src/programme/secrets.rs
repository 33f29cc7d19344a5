//! What a file says of its connections' secrets, beside those that are stored.

use jiff::Timestamp;
use secrecy::SecretString;

use super::file::{Connection, KEPT, Secret, SecretValue, Settings};
use crate::issuers::Issuer;
use crate::store::SecretRow;

/// The secrets as they will be stored: given ones, and kept ones as they are. What is wrong is added
/// to `refusals`.
pub(super) fn secrets_to_store(
    settings: &Settings,
    stored: &[SecretRow],
    now: Timestamp,
    refusals: &mut Vec<String>,
) -> Vec<SecretRow> {
    let stored: Vec<_> = stored.iter().filter(|row| row.programme == settings.id).collect();
    let mut secrets = Vec::new();
    for connection in &settings.connections {
        for secret in &connection.secrets {
            let known =
                |row: &&&SecretRow| row.connection == connection.id && row.name == secret.name;
            let known = stored.iter().find(known).copied();
            match value_of(connection, secret, known) {
                Ok(value) => secrets.push(SecretRow {
                    programme: settings.id.clone(),
                    connection: connection.id.clone(),
                    issuer: connection.issuer.clone(),
                    name: secret.name.clone(),
                    secret: Some(value),
                    live_until: secret.until,
                }),
                Err(why) => refusals.push(format!(
                    "connection {}, secret {}: {why}; write the secret itself",
                    connection.id, secret.name
                )),
            }
        }
        if !connection.secrets.iter().any(|s| s.until.is_none_or(|until| now < until)) {
            refusals.push(format!(
                "connection {}: no secret of it counts any more, so every message would be \
                 refused; add the one that the issuer signs with now",
                connection.id
            ));
        }
    }
    secrets
}

/// The secret itself. One that an earlier build stored may be none.
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
    match connection.issuer.parse::<Issuer>().map(|issuer| issuer.check_secret(value)) {
        Ok(Err(error)) => Err(format!("the stored one is of no use: {error}")),
        Ok(Ok(())) | Err(_) => Ok(value.clone()),
    }
}
