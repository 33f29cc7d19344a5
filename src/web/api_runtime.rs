//! Threads of their own for everything but the issuers' calls.
//!
//! Whatever a request of a person's program costs (a body to read, a list to compare, a decision to
//! make again), it costs it here. The threads that answer tills run none of it, so no such request
//! can keep one of them, whatever is written into it later. What writes has threads apart from what
//! reads: it holds locks that a till may wait for, and must not wait for its turn meanwhile.

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

/// How many threads there are of each kind: two, so that a long answer does not hold up all others.
const THREADS: usize = 2;
/// How many requests are under way at once. More are told to come again, at once: they must not
/// take the places of connections from issuers.
const IN_FLIGHT_MAX: usize = 256;
/// How long an answer is waited for. What was begun goes on; the same key hears its answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The threads. Cheap to clone; they end with the last clone.
#[derive(Debug, Clone)]
pub struct ApiRuntime {
    // Kept for its drop.
    _guard: Arc<RuntimeGuard>,
    handle: Handle,
    write_handle: Handle,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct RuntimeGuard(Vec<Runtime>);

impl Drop for RuntimeGuard {
    /// Waits for nothing: it may be dropped where nobody may wait.
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            runtime.shutdown_background();
        }
    }
}

impl ApiRuntime {
    /// Starts the threads.
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

    /// Where to run what must not be in the way of a till.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where to run a transaction that writes.
    pub(super) const fn write_handle(&self) -> &Handle {
        &self.write_handle
    }

    /// The same threads, with places of their own: for what must be heard when the others are taken.
    pub(super) fn with_own_permits(&self) -> Self {
        Self { permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), ..self.clone() }
    }
}

/// Answers in a task of its own, on the threads apart. It is never cancelled: a client that goes away
/// leaves no database transaction half-way.
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

    /// The test itself has one thread, so whatever kept it would keep everything.
    #[tokio::test]
    async fn what_keeps_a_thread_keeps_none_of_those_that_answer_tills() {
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
    async fn one_request_too_many_is_told_to_come_again_at_once() {
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
