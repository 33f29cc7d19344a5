//! The HTTP layer: decodes requests, calls use cases and encodes responses. It holds no business
//! rule.

mod api;
mod api_runtime;
mod connections;
mod issuers;
mod jwks;
mod operations;
mod problem;
mod server;
mod timeout_stream;

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
use crate::people::tokens::TokenService;
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::directory::Directory;
use crate::store::Store;

pub use api::document;
pub use api_runtime::ApiRuntime;
use api_runtime::run_on_api_runtime;
pub use connections::ConnectionLimits;
use operations::OperationsState;
pub use problem::{ApiError, FieldProblem};
pub use server::{ServerHandle, listen};

/// State of all handlers, behind an `Arc` because every request clones it several times.
#[derive(Debug, Clone)]
pub struct AppState(Arc<AppStateParts>);

impl AppState {
    pub fn new(parts: AppStateParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = AppStateParts;

    fn deref(&self) -> &AppStateParts {
        &self.0
    }
}

/// The services from which [`AppState`] is built.
#[derive(Debug)]
pub struct AppStateParts {
    pub directory: Directory,
    pub committer: Committer,
    pub clock: Clock,
    pub readiness: Readiness,
    pub store: Store,
    pub ids: NewIds,
    pub tokens: TokenService,
    /// Threads for all work that no authorisation request waits for.
    pub api_runtime: ApiRuntime,
}

/// A group of routes that one listener can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteGroup {
    Issuers,
    People,
    Operations,
}

impl RouteGroup {
    /// Every group, for one listener that serves everything.
    pub const ALL: &[Self] = &[Self::Issuers, Self::People, Self::Operations];
}

impl FromRef<AppState> for OperationsState {
    fn from_ref(state: &AppState) -> Self {
        Self { committer: state.committer.clone(), readiness: state.readiness.clone() }
    }
}

/// The routes of `groups`, plus the health probes `/livez` and `/readyz`.
pub fn router(state: AppState, groups: &[RouteGroup]) -> Router {
    let api_runtime = state.api_runtime.clone();
    let mut router = Router::new()
        .route("/livez", get(operations::live))
        .route("/readyz", get(operations::ready));
    for group in groups {
        router = router.merge(match group {
            RouteGroup::Issuers => Router::new()
                .route("/issuers/{connection}/authorisations", post(issuers::authorise))
                .route("/issuers/{connection}/events", post(issuers::receive_event)),
            RouteGroup::People => {
                let (v1, _) = api::router().split_for_parts();
                v1.route("/.well-known/jwks.json", get(jwks::jwks))
                    .layer(from_fn_with_state(api_runtime.clone(), run_on_api_runtime))
            }
            // Own permits, because operators need the metrics most when the API has no permit left.
            RouteGroup::Operations => Router::new()
                .route("/openapi.json", get(operations::openapi))
                .route("/metrics", get(operations::metrics))
                .route("/version", get(operations::version))
                .layer(from_fn_with_state(api_runtime.with_own_permits(), run_on_api_runtime)),
        });
    }
    router
        .fallback(async || ApiError::NotFound("address"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(state)
        .layer(CatchPanicLayer::custom(|_| ApiError::Panicked.into_response()))
        .layer(map_response(with_security_headers))
}

async fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
