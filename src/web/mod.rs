//! The HTTP edge: bytes in, values inward; answers outward, bytes out. No rule lives here.

mod api;
mod api_runtime;
mod connections;
mod guarded;
mod issuers;
mod keys;
mod operations;
mod problem;
mod server;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::card_path::committer::Committer;
use crate::operations::health::Readiness;
use crate::people::tokens::Tokens;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

pub use api::document;
pub use api_runtime::Apart;
use api_runtime::run_apart;
pub use connections::Limits;
use operations::Operations;
pub use problem::{ApiError, FieldProblem};
pub use server::{Listening, listen};

/// What the handlers reach. Shared: each request takes it several times.
#[derive(Debug, Clone)]
pub struct Edge(Arc<EdgeParts>);

impl Edge {
    pub fn new(parts: EdgeParts) -> Self {
        Self(Arc::new(parts))
    }
}

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
    /// Where everything runs that no till waits for.
    pub apart: Apart,
}

/// Who is served at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Issuers,
    People,
    Operations,
}

impl Part {
    /// Everybody at one address.
    pub const ALL: &[Self] = &[Self::Issuers, Self::People, Self::Operations];
}

impl FromRef<Edge> for Operations {
    fn from_ref(edge: &Edge) -> Self {
        Self { committer: edge.committer.clone(), readiness: edge.readiness.clone() }
    }
}

/// The addresses that `parts` need, and those that say how this process is.
pub fn router(edge: Edge, parts: &[Part]) -> Router {
    let apart = edge.apart.clone();
    let mut router = Router::new()
        .route("/livez", get(operations::live))
        .route("/readyz", get(operations::ready));
    for part in parts {
        router = router.merge(match part {
            Part::Issuers => Router::new()
                .route("/issuers/{connection}/authorisations", post(issuers::authorise))
                .route("/issuers/{connection}/events", post(issuers::tell)),
            Part::People => {
                let (v1, _) = api::router().split_for_parts();
                v1.route("/.well-known/jwks.json", get(keys::public))
                    .layer(from_fn_with_state(apart.clone(), run_apart))
            }
            // What is wrong must be heard when everybody asks at once.
            Part::Operations => Router::new()
                .route("/openapi.json", get(operations::openapi))
                .route("/metrics", get(operations::metrics))
                .route("/version", get(operations::version))
                .layer(from_fn_with_state(apart.with_own_places(), run_apart)),
        });
    }
    router
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
