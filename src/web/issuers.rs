//! The two endpoints that issuers call: authorisation requests and issuer events.
//!
//! No body is parsed before the adapter has verified its signature over the raw bytes, and no part
//! of a body, a signature or a name is ever logged.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::AppState;
use super::problem::ApiError;
use crate::domain::id::ConnectionId;
use crate::issuers::{EncodedResponse, Origin, SignedMessage};
use crate::ledger::record::event::ReceivedEvent;
use crate::operations::metrics;
use crate::programme::directory::LiveConnection;

/// Maximum size of a body in bytes. Real messages stay below 10 KB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// A message with a verified signature, and when it began to arrive.
struct VerifiedMessage {
    connection: Arc<LiveConnection>,
    body: Bytes,
    arrived_at: Timestamp,
    arrived: Instant,
}

/// `POST /issuers/{connection}/authorisations`: decides an authorisation request.
pub(super) async fn authorise(
    State(state): State<AppState>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let result = async {
        let verified = state.receive_signed(name, request).await?;
        let VerifiedMessage { connection, body, arrived_at, arrived } = verified;
        let origin =
            Origin { programme: connection.programme.clone(), connection: connection.id.clone() };
        let received = connection.issuer.decode_authorisation(&origin, &body)?;
        let deadline = arrived.checked_add(connection.answer_within).unwrap_or(arrived);
        let response = state.committer.authorise(received, arrived_at, deadline).await;
        metrics::record_answer(&response, arrived.elapsed());
        Ok(reply(connection.issuer.encode(&response, &connection.api_version)))
    };
    result.await.unwrap_or_else(refuse)
}

/// `POST /issuers/{connection}/events`: records an issuer event. 200 means durably stored.
pub(super) async fn receive_event(
    State(state): State<AppState>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let result = async {
        let VerifiedMessage { connection, body, arrived_at, .. } =
            state.receive_signed(name, request).await?;
        let event = connection.issuer.decode_event(&body)?;
        let received = ReceivedEvent {
            programme: connection.programme.clone(),
            connection: connection.id.clone(),
            event: event.clone(),
            // The adapter has decoded the body, so it is valid UTF-8.
            text: String::from_utf8_lossy(&body).into_owned(),
            received_at: arrived_at,
        };
        state.committer.book(received).await?;
        metrics::record_event(&event);
        Ok(([(header::CONTENT_TYPE, "application/json")], "{}").into_response())
    };
    result.await.unwrap_or_else(refuse)
}

fn refuse(error: ApiError) -> Response {
    metrics::record_refusal(error.word());
    tracing::debug!(why = error.word(), "a message of an issuer was not taken");
    error.into_response()
}

impl AppState {
    /// Reads a message and verifies its signature. The body is not parsed yet.
    async fn receive_signed(
        &self,
        name: Result<Path<String>, PathRejection>,
        request: Request,
    ) -> Result<VerifiedMessage, ApiError> {
        let (arrived_at, arrived) = (self.clock.now(), Instant::now());
        let name = name.ok().and_then(|Path(name)| name.parse::<ConnectionId>().ok());
        let connection = name.and_then(|name| self.directory.connection(&name));
        let connection = connection.ok_or(ApiError::NotFound("connection"))?;
        let is_identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !request.headers().get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
            return Err(ApiError::UnsupportedEncoding);
        }
        let (head, body) = request.into_parts();
        let body = read_body(body).await?;
        let headers = header_pairs(&head.headers);
        let message = SignedMessage { headers: &headers, body: &body };
        let now = self.clock.now();
        connection.issuer.verify(&connection.secrets_at(now), &message, now)?;
        Ok(VerifiedMessage { connection, body, arrived_at, arrived })
    }
}

/// Reads a body of at most 64 KiB within 2 seconds.
///
/// # Errors
///
/// [`ApiError::BodyTooLarge`], [`ApiError::BodyTimedOut`], or [`ApiError::BodyInterrupted`] when it
/// cannot be read to its end.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    // A body that is announced as too long is refused before it arrives.
    let content_length = usize::try_from(body.size_hint().lower());
    if content_length.is_ok_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(ApiError::BodyTooLarge);
    }
    let mut request = Request::new(body);
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
    match timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
            Err(ApiError::BodyTooLarge)
        }
        Ok(Err(_)) => Err(ApiError::BodyInterrupted),
        Err(_) => Err(ApiError::BodyTimedOut),
    }
}

fn header_pairs(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn reply(reply: EncodedResponse) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
