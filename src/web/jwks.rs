//! `GET /.well-known/jwks.json`: the public keys that verify our tokens.

use axum::Json;
use axum::extract::{FromRef, State};
use serde::Serialize;

use super::AppState;
use super::problem::ApiError;
use crate::people::tokens::{TokenKey, TokenService};
use crate::platform::clock::Clock;

/// State of this endpoint.
#[derive(Debug, Clone)]
pub(super) struct JwksState {
    tokens: TokenService,
    clock: Clock,
}

impl FromRef<AppState> for JwksState {
    fn from_ref(state: &AppState) -> Self {
        Self { tokens: state.tokens.clone(), clock: state.clock.clone() }
    }
}

#[derive(Serialize)]
pub(super) struct JwkSet {
    keys: Vec<Jwk>,
}

/// An Ed25519 public key as a JSON Web Key (RFC 8037).
#[derive(Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

impl Jwk {
    fn of(key: TokenKey) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            r#use: "sig",
            kid: key.id,
            x: key.public_x,
        }
    }
}

pub(super) async fn jwks(State(state): State<JwksState>) -> Result<Json<JwkSet>, ApiError> {
    // A task of its own, because a database read must not be cancelled when the client disconnects.
    let keys = tokio::spawn(async move { state.tokens.keys(state.clock.now()).await }).await;
    let keys = keys.map_err(|_| ApiError::Panicked)??;
    Ok(Json(JwkSet { keys: keys.into_iter().map(Jwk::of).collect() }))
}
