//! `sayso token` and `sayso keys`: for whoever has the database.

use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Common, Ending, Failure, Output, json, result, talk};
use crate::domain::id::ProgrammeId;
use crate::people::tokens::{Haste, Issued, KeyState, LEEWAY, Recognised, Tokens};
use crate::platform::clock::Clock;
use crate::platform::config::KeyPlace;
use crate::platform::ids::NewIds;
use crate::store::{KeyError, Store, StoreError};

pub(super) async fn token(
    common: &Common,
    programme: &str,
    member: Option<&str>,
    revoke: Option<&str>,
) -> Result<Ending, Failure> {
    let programme = parsed::<ProgrammeId>(programme)?;
    let issuer = common.config(None)?.token_issuer.value;
    let now = Clock::system().now();
    // Names of tokens are proved by the keys, too.
    let store = common.with_key(common.existing_store().await?).await?;
    let tokens = Tokens::new(store.clone(), &issuer);
    let done = match (member, revoke) {
        (Some(member), _) => issue(&tokens, &programme, member, now).await.map(Done::Issued),
        (None, Some(token)) => revoke_token(&store, &tokens, &programme, token, now).await,
        (None, None) => Err(Failure::new("say --member or --revoke")),
    };
    store.close().await;
    done?.tell(common.output)
}

/// What came of it.
enum Done {
    Issued(Issued),
    Revoked(Recognised),
    /// It had run out by itself.
    Over(Recognised),
    Unknown,
}

impl Done {
    fn tell(&self, output: Output) -> Result<Ending, Failure> {
        let revoked = |token: &Recognised| {
            let Recognised { token, expires_at } = token;
            serde_json::json!({
                "known": true, "jti": token, "expires_at": expires_at.to_string(),
            })
        };
        match (self, output) {
            (Self::Issued(made), Output::Text) => {
                result(format_args!("{}\n", made.text))?;
                talk(format_args!("token {} counts until {}", made.token, made.expires_at));
            }
            (Self::Issued(made), Output::Json) => json(&serde_json::json!({
                "token": made.text,
                "jti": made.token,
                "expires_at": made.expires_at.to_string(),
            }))?,
            (Self::Revoked(known) | Self::Over(known), Output::Json) => json(&revoked(known))?,
            (Self::Revoked(known), Output::Text) => {
                talk(format_args!("token {} was known, and counts no more", known.token));
            }
            (Self::Over(known), Output::Text) => {
                let Recognised { token, expires_at } = known;
                talk(format_args!("token {token} was known, and had run out at {expires_at}"));
            }
            (Self::Unknown, Output::Json) => json(&serde_json::json!({ "known": false }))?,
            (Self::Unknown, Output::Text) => talk(format_args!(
                "no such token was given out for this programme: nothing was revoked. Check what \
                 was copied; if the keys were rotated with --now since, no token of before counts"
            )),
        }
        let is_known = !matches!(self, Self::Unknown);
        Ok(if is_known { Ending::Done } else { Ending::NotInOrder })
    }
}

async fn issue(
    tokens: &Tokens,
    programme: &ProgrammeId,
    member: &str,
    now: Timestamp,
) -> Result<Issued, Failure> {
    let member = parsed(member)?;
    let made = tokens.issue(&NewIds::default(), programme, &member, now).await;
    made.map_err(|error| Failure::of(&error))
}

async fn revoke_token(
    store: &Store,
    tokens: &Tokens,
    programme: &ProgrammeId,
    token: &str,
    now: Timestamp,
) -> Result<Done, Failure> {
    let failed = |error: StoreError| Failure::of(&error);
    let known = tokens.recognise(programme, token.trim()).await.map_err(failed)?;
    let Some(known) = known else { return Ok(Done::Unknown) };
    let until = known.expires_at.checked_add(LEEWAY).unwrap_or(Timestamp::MAX);
    if until <= now {
        return Ok(Done::Over(known));
    }
    let revoke = async {
        let mut tx = store.begin().await?;
        tx.revoke_token(programme, &known.token, until, now).await?;
        tx.commit().await
    };
    revoke.await.map_err(failed)?;
    Ok(Done::Revoked(known))
}

pub(super) async fn list(common: &Common) -> Result<Ending, Failure> {
    let issuer = common.config(None)?.token_issuer.value;
    let store = common.existing_store().await?;
    let keys = Tokens::new(store.clone(), &issuer).keys(Clock::system().now()).await;
    store.close().await;
    let keys = keys.map_err(|error| Failure::of(&error))?;
    match common.output {
        Output::Json => {
            let key = |key: &crate::people::tokens::TokenKey| {
                serde_json::json!({
                    "kid": key.id,
                    "state": key.state.word(),
                    "since": key.changed_at.to_string(),
                })
            };
            json(&serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }))?;
        }
        Output::Text => {
            for key in &keys {
                let state = KeyState::word(key.state);
                result(format_args!("{}  {state:<8} since {}\n", key.id, key.changed_at))?;
            }
        }
    }
    Ok(Ending::Done)
}

pub(super) async fn rotate(common: &Common, is_hasty: bool) -> Result<Ending, Failure> {
    let issuer = common.config(None)?.token_issuer.value;
    let haste = if is_hasty { Haste::Now } else { Haste::None };
    let store = common.with_key(common.existing_store().await?).await?;
    let rotated = Tokens::new(store.clone(), &issuer).rotate(Clock::system().now(), haste).await;
    store.close().await;
    rotated.map_err(|error| Failure::of(&error))?;
    list(common).await
}

pub(super) async fn reseal(
    common: &Common,
    new_key_file: Option<&Path>,
    is_lost: bool,
) -> Result<Ending, Failure> {
    let store = common.existing_store().await?;
    let done = if is_lost {
        begin_anew(common, store).await
    } else {
        let store = common.with_key(store).await?;
        let resealed = store.reseal(new_key_file).await;
        store.close().await;
        resealed
            .map(|key| format!("every secret is sealed with the key {key} now"))
            .map_err(Failure::from)
    };
    talk(format_args!("{}", done?));
    if let Some(file) = new_key_file {
        talk(format_args!("give {} as SAYSO_KEY_FILE from now on", file.display()));
    }
    Ok(Ending::Done)
}

/// Forgets what nobody can open any more.
async fn begin_anew(common: &Common, store: Store) -> Result<String, Failure> {
    let key = common.config(None)?.key.value;
    let begun = match store.find_key(&key).await {
        Ok(_) => Err(Failure::new("the key is there, so nothing is lost: leave out --lost")),
        Err(StoreError::Key(KeyError::FileIsGone { .. } | KeyError::Wrong { .. })) => {
            forget_sealed(&store, &key).await.map_err(Failure::from)
        }
        Err(error) => Err(error.into()),
    };
    store.close().await;
    begun?;
    Ok("every secret is gone, and tokens count no more; apply each programme's file with the \
        secrets themselves in it"
        .to_owned())
}

async fn forget_sealed(store: &Store, key: &KeyPlace) -> Result<(), StoreError> {
    store.forget_sealed().await?;
    store.use_key(key).await
}

fn parsed<T: FromStr<Err: std::error::Error>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: T::Err| Failure::new(error.to_string()))
}
