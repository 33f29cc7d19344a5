//! `GET /.well-known/jwks.json`: the public halves of the keys that our tokens are signed with.

use axum::Json;
use axum::extract::{FromRef, State};
use serde::Serialize;

use super::Edge;
use super::problem::ApiError;
use crate::people::tokens::{TokenKey, Tokens};
use crate::platform::clock::Clock;

/// What this address needs.
#[derive(Debug, Clone)]
pub(super) struct KeyCabinet {
    tokens: Tokens,
    clock: Clock,
}

impl FromRef<Edge> for KeyCabinet {
    fn from_ref(edge: &Edge) -> Self {
        Self { tokens: edge.tokens.clone(), clock: edge.clock.clone() }
    }
}

#[derive(Serialize)]
pub(super) struct KeySet {
    keys: Vec<PublicKey>,
}

/// A public key as RFC 8037 writes it.
#[derive(Serialize)]
struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

impl PublicKey {
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

pub(super) async fn public(State(cabinet): State<KeyCabinet>) -> Result<Json<KeySet>, ApiError> {
    // In a task of its own: a client that goes away disturbs no reading.
    let keys = tokio::spawn(async move { cabinet.tokens.keys(cabinet.clock.now()).await }).await;
    let keys = keys.map_err(|_| ApiError::Panicked)??;
    Ok(Json(KeySet { keys: keys.into_iter().map(PublicKey::of).collect() }))
}
