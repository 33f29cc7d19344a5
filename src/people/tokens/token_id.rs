//! The token id (claim `jti`): a UUID, followed by a MAC of it by the signing key. The MAC proves
//! that we issued the token, so issued tokens need not be stored.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use super::LIFETIME;
use super::keys::TokenKey;
use crate::domain::id::ProgrammeId;

/// The hexadecimal digits of the UUID.
const ID_DIGITS: usize = 32;
/// The hexadecimal digits of the MAC.
const MAC_DIGITS: usize = 16;

/// A token that we issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIdentity {
    /// The token id (`jti`).
    pub token: String,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenId {
    id: Uuid,
    mac: String,
}

impl TokenId {
    /// None if the private half of `key` cannot be unsealed.
    pub(super) fn new(id: Uuid, key: &TokenKey, programme: &ProgrammeId) -> Option<Self> {
        mac(id, key, programme).map(|mac| Self { id, mac })
    }

    /// Whether `key` signed the token with this id, for `programme`.
    pub(super) fn is_of(&self, key: &TokenKey, programme: &ProgrammeId) -> bool {
        mac(self.id, key, programme).is_some_and(|mac| mac == self.mac)
    }

    /// The token, which expires [`LIFETIME`] after the timestamp of its UUID.
    pub(super) fn identity(&self) -> TokenIdentity {
        let made = self.id.get_timestamp().and_then(|made| {
            let (seconds, _) = made.to_unix();
            Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
        });
        let made = made.unwrap_or(Timestamp::MIN);
        let expires_at = made.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        TokenIdentity { token: self.to_string(), expires_at }
    }
}

fn mac(id: Uuid, key: &TokenKey, programme: &ProgrammeId) -> Option<String> {
    key.mac(&format!("{programme}/{}", id.simple()))
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id.simple(), self.mac)
    }
}

/// The text is not a token id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token id")]
pub(super) struct ParseTokenIdError;

impl FromStr for TokenId {
    type Err = ParseTokenIdError;

    fn from_str(text: &str) -> Result<Self, ParseTokenIdError> {
        let (id, mac) = text.split_at_checked(ID_DIGITS).ok_or(ParseTokenIdError)?;
        if mac.len() != MAC_DIGITS {
            return Err(ParseTokenIdError);
        }
        let id = Uuid::try_parse(id).map_err(|_| ParseTokenIdError)?;
        Ok(Self { id, mac: mac.to_owned() })
    }
}
