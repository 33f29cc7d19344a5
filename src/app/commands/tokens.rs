//! `sayso token` and `sayso keys`: for operators with access to the database.

use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;

use super::{CommandError, CommonArgs, ExitStatus, OutputFormat, json, print_status, result};
use crate::domain::id::ProgrammeId;
use crate::people::tokens::{
    IssuedToken, KeyState, LEEWAY, RotationUrgency, TokenIdentity, TokenService,
};
use crate::platform::clock::Clock;
use crate::platform::config::KeySource;
use crate::platform::ids::NewIds;
use crate::store::{KeyError, Store, StoreError};

pub(super) async fn token(
    common: &CommonArgs,
    programme: &str,
    member: Option<&str>,
    revoke: Option<&str>,
) -> Result<ExitStatus, CommandError> {
    let programme = parsed::<ProgrammeId>(programme)?;
    let issuer = common.config(None)?.token_issuer.value;
    let now = Clock::system().now();
    // Revoking needs the keys too, because they prove that a token's identifier is genuine.
    let store = common.with_key(common.existing_store().await?).await?;
    let tokens = TokenService::new(store.clone(), &issuer);
    let done = match (member, revoke) {
        (Some(member), _) => {
            issue(&tokens, &programme, member, now).await.map(TokenOutcome::Issued)
        }
        (None, Some(token)) => revoke_token(&store, &tokens, &programme, token, now).await,
        (None, None) => Err(CommandError::new("say --member or --revoke")),
    };
    store.close().await;
    done?.print(common.output)
}

/// The result of the command.
enum TokenOutcome {
    Issued(IssuedToken),
    Revoked(TokenIdentity),
    /// The token had expired already.
    AlreadyExpired(TokenIdentity),
    Unknown,
}

impl TokenOutcome {
    fn print(&self, output: OutputFormat) -> Result<ExitStatus, CommandError> {
        let revoked = |token: &TokenIdentity| {
            let TokenIdentity { token, expires_at } = token;
            serde_json::json!({
                "known": true, "jti": token, "expires_at": expires_at.to_string(),
            })
        };
        match (self, output) {
            (Self::Issued(made), OutputFormat::Text) => {
                result(format_args!("{}\n", made.text))?;
                print_status(format_args!("token {} counts until {}", made.token, made.expires_at));
            }
            (Self::Issued(made), OutputFormat::Json) => json(&serde_json::json!({
                "token": made.text,
                "jti": made.token,
                "expires_at": made.expires_at.to_string(),
            }))?,
            (Self::Revoked(known) | Self::AlreadyExpired(known), OutputFormat::Json) => {
                json(&revoked(known))?;
            }
            (Self::Revoked(known), OutputFormat::Text) => {
                print_status(format_args!("token {} was known, and counts no more", known.token));
            }
            (Self::AlreadyExpired(known), OutputFormat::Text) => {
                let TokenIdentity { token, expires_at } = known;
                print_status(format_args!(
                    "token {token} was known, and had run out at {expires_at}"
                ));
            }
            (Self::Unknown, OutputFormat::Json) => json(&serde_json::json!({ "known": false }))?,
            (Self::Unknown, OutputFormat::Text) => print_status(format_args!(
                "no such token was given out for this programme: nothing was revoked. Check what \
                 was copied; if the keys were rotated with --now since, no token of before counts"
            )),
        }
        let is_known = !matches!(self, Self::Unknown);
        Ok(if is_known { ExitStatus::Done } else { ExitStatus::NotInOrder })
    }
}

async fn issue(
    tokens: &TokenService,
    programme: &ProgrammeId,
    member: &str,
    now: Timestamp,
) -> Result<IssuedToken, CommandError> {
    let member = parsed(member)?;
    let made = tokens.issue(&NewIds::default(), programme, &member, now).await;
    made.map_err(|error| CommandError::of(&error))
}

async fn revoke_token(
    store: &Store,
    tokens: &TokenService,
    programme: &ProgrammeId,
    token: &str,
    now: Timestamp,
) -> Result<TokenOutcome, CommandError> {
    let failed = |error: StoreError| CommandError::of(&error);
    let known = tokens.recognise(programme, token.trim()).await.map_err(failed)?;
    let Some(known) = known else { return Ok(TokenOutcome::Unknown) };
    let until = known.expires_at.checked_add(LEEWAY).unwrap_or(Timestamp::MAX);
    if until <= now {
        return Ok(TokenOutcome::AlreadyExpired(known));
    }
    let revoke = async {
        let mut tx = store.begin().await?;
        tx.revoke_token(programme, &known.token, until, now).await?;
        tx.commit().await
    };
    revoke.await.map_err(failed)?;
    Ok(TokenOutcome::Revoked(known))
}

pub(super) async fn list(common: &CommonArgs) -> Result<ExitStatus, CommandError> {
    let issuer = common.config(None)?.token_issuer.value;
    let store = common.existing_store().await?;
    let keys = TokenService::new(store.clone(), &issuer).keys(Clock::system().now()).await;
    store.close().await;
    let keys = keys.map_err(|error| CommandError::of(&error))?;
    match common.output {
        OutputFormat::Json => {
            let key = |key: &crate::people::tokens::TokenKey| {
                serde_json::json!({
                    "kid": key.id,
                    "state": key.state.word(),
                    "since": key.changed_at.to_string(),
                })
            };
            json(&serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }))?;
        }
        OutputFormat::Text => {
            for key in &keys {
                let state = KeyState::word(key.state);
                result(format_args!("{}  {state:<8} since {}\n", key.id, key.changed_at))?;
            }
        }
    }
    Ok(ExitStatus::Done)
}

pub(super) async fn rotate(
    common: &CommonArgs,
    is_immediate: bool,
) -> Result<ExitStatus, CommandError> {
    let issuer = common.config(None)?.token_issuer.value;
    let urgency = if is_immediate { RotationUrgency::Now } else { RotationUrgency::None };
    let store = common.with_key(common.existing_store().await?).await?;
    let rotated =
        TokenService::new(store.clone(), &issuer).rotate(Clock::system().now(), urgency).await;
    store.close().await;
    rotated.map_err(|error| CommandError::of(&error))?;
    list(common).await
}

pub(super) async fn reseal(
    common: &CommonArgs,
    new_key_file: Option<&Path>,
    is_lost: bool,
) -> Result<ExitStatus, CommandError> {
    let store = common.existing_store().await?;
    let done = if is_lost {
        discard_lost_secrets(common, store).await
    } else {
        let store = common.with_key(store).await?;
        let resealed = store.reseal(new_key_file).await;
        store.close().await;
        resealed
            .map(|key| format!("every secret is sealed with the key {key} now"))
            .map_err(CommandError::from)
    };
    print_status(format_args!("{}", done?));
    if let Some(file) = new_key_file {
        print_status(format_args!("give {} as SAYSO_KEY_FILE from now on", file.display()));
    }
    Ok(ExitStatus::Done)
}

/// Deletes the secrets that no key can open any more.
async fn discard_lost_secrets(common: &CommonArgs, store: Store) -> Result<String, CommandError> {
    let key = common.config(None)?.key.value;
    let outcome = match store.find_key(&key).await {
        Ok(_) => Err(CommandError::new("the key is there, so nothing is lost: leave out --lost")),
        Err(StoreError::Key(KeyError::FileMissing { .. } | KeyError::KeyMismatch { .. })) => {
            purge_sealed_secrets(&store, &key).await.map_err(CommandError::from)
        }
        Err(error) => Err(error.into()),
    };
    store.close().await;
    outcome?;
    Ok("every secret is gone, and tokens count no more; apply each programme's file with the \
        secrets themselves in it"
        .to_owned())
}

async fn purge_sealed_secrets(store: &Store, key: &KeySource) -> Result<(), StoreError> {
    store.purge_sealed_secrets().await?;
    store.use_key(key).await
}

fn parsed<T: FromStr<Err: std::error::Error>>(text: &str) -> Result<T, CommandError> {
    text.parse().map_err(|error: T::Err| CommandError::new(error.to_string()))
}
