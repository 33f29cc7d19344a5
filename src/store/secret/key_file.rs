//! The file with the key that seals secrets.
//!
//! It is created atomically and never overwrites another key. A rotation first writes the new key
//! beside it (`.next`). Until the database names the new key, the old file stays in place; from
//! then on, any process that loads the key finishes the rotation by a rename.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use secrecy::{ExposeSecret as _, SecretString};

use crate::platform::config::KeySource;
use crate::platform::encryption::{KeyId, SealingKey, SealingKeyError};
use crate::store::secret::files::{private_file_in, sync_folder_of, with_suffix};

/// Why a database's secrets cannot be read or written. The message tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the secrets of this database are sealed with a key, and none is given: set SAYSO_KEY_FILE \
         to a file outside of the database that all gateways of it can read (it is made the first \
         time), or SAYSO_KEY to the key itself"
    )]
    NotConfigured,
    #[error(
        "the secrets of this database are sealed with the key {wanted}, and {from} is not there: \
         put it back, or set SAYSO_KEY_FILE to where it is. If it is lost for ever, \
         `sayso keys reseal --lost` begins with a new one"
    )]
    FileMissing { from: String, wanted: KeyId },
    #[error("the key file {} cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("the key in {from} cannot be used: {error}")]
    InvalidKey { from: String, error: SealingKeyError },
    #[error(
        "the secrets of this database are sealed with the key {wanted}, and {from} has the key \
         {found}: give the right one. If it is lost for ever, `sayso keys reseal --lost` begins \
         with a new one"
    )]
    KeyMismatch { wanted: KeyId, found: KeyId, from: String },
    #[error("the secrets of this database have not been sealed yet: start `sayso serve` first")]
    NotSealed,
    #[error("the secret {0} cannot be opened: {1}; replace it before the key is changed")]
    Row(String, String),
    #[error(
        "SAYSO_KEY gives the key, so its file cannot be replaced: name the new one with \
         --new-key-file, and give that from then on"
    )]
    NoKeyFile,
    #[error("the new key is the one already in use")]
    SameKey,
    #[error("no key or nonce could be generated")]
    Random(#[from] SealingKeyError),
}

/// Loads the key from `place`; `None` if its file does not exist. If the file does not have the key
/// `wanted` but the file beside it does, finishes the interrupted rotation first.
pub(in crate::store) fn load(
    place: &KeySource,
    wanted: Option<&KeyId>,
) -> Result<Option<SealingKey>, KeyError> {
    let file = match place {
        KeySource::Nowhere => return Err(KeyError::NotConfigured),
        KeySource::Given(text) => return parse(place, text).map(Some),
        KeySource::File(file) => file,
    };
    let found = read(file)?;
    let is_wanted = |key: &SealingKey| wanted == Some(key.id());
    if wanted.is_some() && !found.as_ref().is_some_and(is_wanted) {
        let next = replacement_path(file);
        if read(&next)?.as_ref().is_some_and(is_wanted) {
            install_replacement(&next, file)?;
            return read(file);
        }
    }
    Ok(found)
}

/// Loads the key from `place`, and generates it if its file does not exist. Of concurrent callers
/// the first to create the file wins, and all return its key.
pub(in crate::store) fn load_or_create(place: &KeySource) -> Result<SealingKey, KeyError> {
    if let Some(key) = load(place, None)? {
        return Ok(key);
    }
    let KeySource::File(file) = place else { return Err(KeyError::NotConfigured) };
    let key = SealingKey::generate()?;
    let file_error = |error| KeyError::File(file.clone(), error);
    let made = write_beside(file, &key).map_err(file_error)?;
    match made.persist_noclobber(file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(file_error(error.error)),
    }
    sync_folder_of(file).map_err(file_error)?;
    read(file)?.ok_or_else(|| file_error(ErrorKind::NotFound.into()))
}

/// Writes `key` to `file`.next, durably, as its future replacement.
pub(in crate::store) fn write_replacement(file: &Path, key: &SealingKey) -> Result<(), KeyError> {
    let next = replacement_path(file);
    let file_error = |error| KeyError::File(next.clone(), error);
    write_beside(file, key).map_err(file_error)?.persist(&next).map_err(|e| file_error(e.error))?;
    sync_folder_of(file).map_err(file_error)
}

/// Replaces `file` with the key that [`write_replacement`] wrote beside it.
pub(in crate::store) fn finish_rotation(file: &Path) -> Result<(), KeyError> {
    install_replacement(&replacement_path(file), file)
}

fn install_replacement(next: &Path, file: &Path) -> Result<(), KeyError> {
    let moved = fs::rename(next, file).and_then(|()| sync_folder_of(file));
    moved.map_err(|error| KeyError::File(file.to_owned(), error))
}

fn replacement_path(file: &Path) -> PathBuf {
    with_suffix(file, ".next")
}

/// A temporary file in the folder of `file` that contains `key` and is flushed to the disk.
fn write_beside(file: &Path, key: &SealingKey) -> io::Result<tempfile::NamedTempFile> {
    let mut made = private_file_in(file)?;
    writeln!(made, "{}", key.to_text().expose_secret())?;
    made.as_file().sync_all()?;
    Ok(made)
}

fn read(file: &Path) -> Result<Option<SealingKey>, KeyError> {
    match fs::read_to_string(file) {
        Ok(text) => parse(&KeySource::File(file.to_owned()), &text.into()).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::File(file.to_owned(), error)),
    }
}

fn parse(place: &KeySource, text: &SecretString) -> Result<SealingKey, KeyError> {
    SealingKey::parse(text)
        .map_err(|error| KeyError::InvalidKey { from: describe_place(place), error })
}

/// The place as an operator names it.
pub(in crate::store) fn describe_place(place: &KeySource) -> String {
    match place {
        KeySource::Given(_) => "SAYSO_KEY".to_owned(),
        KeySource::File(file) => format!("the file {}", file.display()),
        KeySource::Nowhere => "no place".to_owned(),
    }
}
