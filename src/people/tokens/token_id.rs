//! A token's own name (its claim `jti`), which says by itself that it is one of ours.
//!
//! It is the identifier under which the token was made, and a mark that only the key which signed it
//! could put behind it. So nobody has to write down which tokens were given out.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use super::LIFETIME;
use super::keys::TokenKey;
use crate::domain::id::ProgrammeId;

/// How many digits the identifier has.
const ID_DIGITS: usize = 32;
/// How many digits the mark has.
const MAC_DIGITS: usize = 16;

/// A token that was given out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIdentity {
    /// Its own name.
    pub token: String,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenId {
    id: Uuid,
    mac: String,
}

impl TokenId {
    /// None where the key cannot be used.
    pub(super) fn new(id: Uuid, key: &TokenKey, programme: &ProgrammeId) -> Option<Self> {
        mac(id, key, programme).map(|mac| Self { id, mac })
    }

    /// Whether `key` signed the token, for `programme`.
    pub(super) fn is_of(&self, key: &TokenKey, programme: &ProgrammeId) -> bool {
        mac(self.id, key, programme).is_some_and(|mac| mac == self.mac)
    }

    /// The token; when it was made says its identifier.
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

/// Text that is no name of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a token")]
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
