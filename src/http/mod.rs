//! The HTTP edge: bytes in, values inward; answers outward, bytes out. No rule lives here.

mod issuers;
mod keys;
mod ops;
mod problem;
mod server;
mod v1;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::Clock;
use crate::committer::Committer;
use crate::ids::NewIds;
use crate::ops::health::Readiness;
use crate::programme::directory::Directory;
use crate::store::Store;
use crate::tokens::Tokens;

use ops::Operations;
pub use problem::{ApiError, FieldProblem};
pub use server::{Listening, listen};
pub use v1::document;

/// What the handlers reach. Shared: each request takes it several times.
#[derive(Debug, Clone)]
struct Edge(Arc<EdgeParts>);

impl Deref for Edge {
    type Target = EdgeParts;

    fn deref(&self) -> &EdgeParts {
        &self.0
    }
}

/// What the edge is put together from.
#[derive(Debug)]
pub struct EdgeParts {
    pub directory: Directory,
    pub committer: Committer,
    pub clock: Clock,
    pub readiness: Readiness,
    pub store: Store,
    pub ids: NewIds,
    pub tokens: Tokens,
}

impl FromRef<Edge> for Operations {
    fn from_ref(edge: &Edge) -> Self {
        Self { committer: edge.committer.clone(), readiness: edge.readiness.clone() }
    }
}

/// Every address of this process.
pub fn router(parts: EdgeParts) -> Router {
    let edge = Edge(Arc::new(parts));
    let ((v1, _), document) = (v1::router().split_for_parts(), document());
    Router::new()
        .merge(v1)
        .route("/openapi.json", get(async move || Json(document.clone())))
        .route("/.well-known/jwks.json", get(keys::public))
        .route("/issuers/{connection}/authorisations", post(issuers::authorise))
        .route("/issuers/{connection}/events", post(issuers::tell))
        .route("/livez", get(ops::live))
        .route("/readyz", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .route("/version", get(ops::version))
        .fallback(async || ApiError::NotFound("address"))
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .with_state(edge)
        .layer(CatchPanicLayer::custom(|_| ApiError::Panicked.into_response()))
        .layer(map_response(with_security_headers))
}

async fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
