//! The HTTP edge: bytes in, values inward; answers outward, bytes out. No rule lives here.

mod apart;
mod guarded;
mod issuers;
mod keys;
mod ops;
mod places;
mod problem;
mod server;
mod v1;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::Clock;
use crate::committer::Committer;
use crate::ids::NewIds;
use crate::ops::health::Readiness;
use crate::programme::directory::Directory;
use crate::store::Store;
use crate::tokens::Tokens;

pub use apart::Apart;
use apart::run_apart;
use ops::Operations;
pub use places::Limits;
pub use problem::{ApiError, FieldProblem};
pub use server::{Listening, listen};
pub use v1::document;

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
    let mut router =
        Router::new().route("/livez", get(ops::live)).route("/readyz", get(ops::ready));
    for part in parts {
        router = router.merge(match part {
            Part::Issuers => Router::new()
                .route("/issuers/{connection}/authorisations", post(issuers::authorise))
                .route("/issuers/{connection}/events", post(issuers::tell)),
            Part::People => {
                let (v1, _) = v1::router().split_for_parts();
                v1.route("/.well-known/jwks.json", get(keys::public))
                    .layer(from_fn_with_state(apart.clone(), run_apart))
            }
            // What is wrong must be heard when everybody asks at once.
            Part::Operations => Router::new()
                .route("/openapi.json", get(ops::openapi))
                .route("/metrics", get(ops::metrics))
                .route("/version", get(ops::version))
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
