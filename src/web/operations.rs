//! What operators and their machines ask: alive, ready, how much, which version, what the API offers.

use std::sync::LazyLock;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::card_path::committer::Committer;
use crate::operations::health::Readiness;
use crate::operations::metrics as registry;

/// What these addresses need.
#[derive(Debug, Clone)]
pub(super) struct OperationsState {
    pub(super) committer: Committer,
    pub(super) readiness: Readiness,
}

#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct VersionBody {
    name: &'static str,
    version: &'static str,
}

/// `GET /livez`: the process answers. Says nothing about the database: a restart would not help.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: whether questions can be answered; 503 with what is wrong if not.
pub(super) async fn ready(State(state): State<OperationsState>) -> Response {
    let health = state.committer.health();
    let mut problems: Vec<String> =
        state.readiness.problems().into_iter().map(str::to_owned).collect();
    if !health.is_ready {
        let seconds = health.unchanged_for.as_secs();
        problems.push(format!("nothing could be recorded for {seconds} seconds"));
    }
    if health.has_lost_rows {
        problems.push("the database lacks what was committed; sayso doctor says more".to_owned());
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyBody { ready: problems.is_empty(), problems })).into_response()
}

/// `GET /metrics`: everything counted, as Prometheus reads it.
pub(super) async fn metrics(State(state): State<OperationsState>) -> impl IntoResponse {
    let queued = state.committer.health().queued;
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, registry::render(queued))
}

/// `GET /version`: which release this is.
pub(super) async fn version() -> impl IntoResponse {
    Json(VersionBody { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// What the API offers, written once.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| {
    // Our own document is structs of texts and numbers, which always become JSON.
    serde_json::to_vec(&super::document()).unwrap_or_default().into()
});

/// `GET /openapi.json`: what the API offers.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI.clone())
}
