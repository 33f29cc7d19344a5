//! Separate threads for everything except issuer calls.
//!
//! All work of an API request (reading a body, comparing lists, evaluating a decision again) runs
//! here. The threads that answer authorisation requests run none of it, so no API request can block
//! them, whatever a handler does. Writes have threads apart from reads, because a write holds locks
//! that an authorisation request may wait for, and must not wait for a thread meanwhile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::problem::ApiError;

/// Threads of each runtime: two, so that one long request does not hold up all others.
const THREADS: usize = 2;
/// Maximum number of requests in progress. Further ones get 503 at once, because waiting ones would
/// occupy connection slots that issuers need.
const IN_FLIGHT_MAX: usize = 256;
/// How long a response is waited for. The request itself goes on; a retry with the same idempotency
/// key gets its recorded response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The threads. Cheap to clone; they stop when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct ApiRuntime {
    // Held for its `Drop` only.
    _guard: Arc<RuntimeGuard>,
    handle: Handle,
    write_handle: Handle,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct RuntimeGuard(Vec<Runtime>);

impl Drop for RuntimeGuard {
    /// Does not wait for the threads, because it may run where blocking is forbidden.
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            runtime.shutdown_background();
        }
    }
}

impl ApiRuntime {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The error of the system when a thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let start = |name: &str| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(THREADS).thread_name(name).enable_all().build()
        };
        let (reading, writing) = (start("apart")?, start("apart-writing")?);
        let handles = (reading.handle().clone(), writing.handle().clone());
        let guard = Arc::new(RuntimeGuard(vec![reading, writing]));
        let permits = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Ok(Self { _guard: guard, handle: handles.0, write_handle: handles.1, permits })
    }

    /// Runs work that must not delay an authorisation request.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs writing transactions.
    pub(super) const fn write_handle(&self) -> &Handle {
        &self.write_handle
    }

    /// The same threads with separate permits, for requests that must be served when all other
    /// permits are taken.
    pub(super) fn with_own_permits(&self) -> Self {
        Self { permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), ..self.clone() }
    }
}

/// Middleware that runs the request as a task on the API threads. The task is never cancelled, so a
/// client that disconnects leaves no database transaction half-way.
pub(super) async fn run_on_api_runtime(
    State(api_runtime): State<ApiRuntime>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(permit) = Arc::clone(&api_runtime.permits).try_acquire_owned() else {
        return ApiError::Overloaded.into_response();
    };
    let task = api_runtime.handle.spawn(async move {
        let _permit = permit;
        next.run(request).await
    });
    match timeout(RESPONSE_TIMEOUT, task).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::Panicked.into_response(),
        Err(_) => ApiError::ResponseTimedOut.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    /// The test itself has one thread, so a blocked thread would block everything.
    #[tokio::test]
    async fn a_blocked_api_thread_does_not_block_issuer_threads() {
        let slow = || async { std::thread::sleep(Duration::from_millis(400)) };
        let router = Router::new()
            .route("/slow", get(slow))
            .layer(from_fn_with_state(ApiRuntime::start().unwrap(), run_on_api_runtime))
            .route("/till", get(|| async {}));
        let started = Instant::now();
        let tills = async {
            for _ in 0..20 {
                assert_eq!(ask(&router, "/till").await, StatusCode::OK);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            started.elapsed()
        };
        let slow = async { tokio::join!(ask(&router, "/slow"), ask(&router, "/slow")) };
        let (took, slow) = tokio::join!(tills, slow);
        assert_eq!(slow, (StatusCode::OK, StatusCode::OK));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }

    #[tokio::test]
    async fn a_request_over_the_limit_gets_503_at_once() {
        let api_runtime =
            ApiRuntime { permits: Arc::new(Semaphore::new(1)), ..ApiRuntime::start().unwrap() };
        let slow = || async { tokio::time::sleep(Duration::from_millis(200)).await };
        let layer = |api_runtime| from_fn_with_state(api_runtime, run_on_api_runtime);
        let router =
            Router::new().route("/slow", get(slow)).layer(layer(api_runtime.clone())).merge(
                Router::new()
                    .route("/own", get(|| async {}))
                    .layer(layer(api_runtime.with_own_permits())),
            );
        let slow = ask(&router, "/slow");
        let others = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            (ask(&router, "/slow").await, ask(&router, "/own").await)
        };
        let (first, others) = tokio::join!(slow, others);
        assert_eq!(
            (first, others),
            (StatusCode::OK, (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK))
        );
        assert_eq!(ask(&router, "/slow").await, StatusCode::OK);
    }
}
