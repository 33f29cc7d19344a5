//! Endpoints for operators and monitoring: liveness, readiness, metrics, version, API document.

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

/// State of these endpoints.
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

/// `GET /livez`: 200 while the process responds. It ignores the database, because a restart would
/// not repair that.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: whether authorisation requests can be decided; 503 with the problems if not.
pub(super) async fn ready(State(state): State<OperationsState>) -> Response {
    let health = state.committer.health();
    let mut problems: Vec<String> =
        state.readiness.problems().into_iter().map(str::to_owned).collect();
    if !health.is_ready {
        problems.push(match health.trouble_for {
            Some(time) => format!("nothing could be recorded for {} seconds", time.as_secs()),
            None => "recording works again: the circuit breaker closes step by step".to_owned(),
        });
    }
    if health.has_lost_rows {
        problems.push("the database lacks what was committed; sayso doctor says more".to_owned());
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyBody { ready: problems.is_empty(), problems })).into_response()
}

/// `GET /metrics`: all metrics, in the text format of Prometheus.
pub(super) async fn metrics(State(state): State<OperationsState>) -> impl IntoResponse {
    let queued = state.committer.health().queued;
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, registry::render(queued))
}

/// `GET /version`: name and version of this release.
pub(super) async fn version() -> impl IntoResponse {
    Json(VersionBody { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// The API document, serialised once.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| {
    // Cannot fail: the document consists of structs of texts and numbers.
    serde_json::to_vec(&super::document()).unwrap_or_default().into()
});

/// `GET /openapi.json`: the API document.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI.clone())
}
