//! The two addresses that issuers call: one question at a time, and everything that comes later.
//!
//! Nothing here looks into a body before the adapter has checked its signature over the raw bytes,
//! and nothing of a body, a signature or a name is ever logged.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::Edge;
use super::problem::ApiError;
use crate::card_path::issuers::{Origin, Reply, SignedMessage};
use crate::domain::id::ConnectionId;
use crate::ledger::record::event::ReceivedEvent;
use crate::operations::metrics;
use crate::programme::directory::LiveConnection;

/// The most that a message may hold. Real ones stay below 10 KB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(2);

/// A message whose signature was found good, and when it began to arrive.
struct Genuine {
    connection: Arc<LiveConnection>,
    body: Bytes,
    arrived_at: Timestamp,
    arrived: Instant,
}

/// `POST /issuers/{connection}/authorisations`: may this be spent?
pub(super) async fn authorise(
    State(edge): State<Edge>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let answer = async {
        let genuine = edge.receive(name, request).await?;
        let Genuine { connection, body, arrived_at, arrived } = genuine;
        let origin =
            Origin { programme: connection.programme.clone(), connection: connection.id.clone() };
        let question = connection.issuer.decode_authorisation(&origin, &body)?;
        let deadline = arrived.checked_add(connection.answer_within).unwrap_or(arrived);
        let told = edge.committer.authorise(question, arrived_at, deadline).await;
        metrics::answered(&told, arrived.elapsed());
        Ok(reply(connection.issuer.encode(&told, &connection.api_version)))
    };
    answer.await.unwrap_or_else(refuse)
}

/// `POST /issuers/{connection}/events`: something that has happened. 200 means durably stored.
pub(super) async fn tell(
    State(edge): State<Edge>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let answer = async {
        let Genuine { connection, body, arrived_at, .. } = edge.receive(name, request).await?;
        let event = connection.issuer.decode_event(&body)?;
        let received = ReceivedEvent {
            programme: connection.programme.clone(),
            connection: connection.id.clone(),
            event: event.clone(),
            // What could be decoded is UTF-8.
            text: String::from_utf8_lossy(&body).into_owned(),
            received_at: arrived_at,
        };
        edge.committer.book(received).await?;
        metrics::stored(&event);
        Ok(([(header::CONTENT_TYPE, "application/json")], "{}").into_response())
    };
    answer.await.unwrap_or_else(refuse)
}

fn refuse(error: ApiError) -> Response {
    metrics::refused(error.word());
    tracing::debug!(why = error.word(), "a message of an issuer was not taken");
    error.into_response()
}

impl Edge {
    /// Reads a message and checks who sent it. Its body is still unread text then.
    async fn receive(
        &self,
        name: Result<Path<String>, PathRejection>,
        request: Request,
    ) -> Result<Genuine, ApiError> {
        let (arrived_at, arrived) = (self.clock.now(), Instant::now());
        let name = name.ok().and_then(|Path(name)| name.parse::<ConnectionId>().ok());
        let connection = name.and_then(|name| self.directory.connection(&name));
        let connection = connection.ok_or(ApiError::NotFound("connection"))?;
        let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !request.headers().get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
            return Err(ApiError::Encoded);
        }
        let (head, body) = request.into_parts();
        let body = read_body(body).await?;
        let headers = pairs(&head.headers);
        let message = SignedMessage { headers: &headers, body: &body };
        let now = self.clock.now();
        connection.issuer.verify(&connection.secrets_at(now), &message, now)?;
        Ok(Genuine { connection, body, arrived_at, arrived })
    }
}

/// Reads a body that is neither too long nor too slow.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    // A length that is announced need not be waited for.
    let announced = usize::try_from(body.size_hint().lower());
    if announced.is_ok_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(ApiError::TooLarge);
    }
    let mut request = Request::new(body);
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
    match timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
            Err(ApiError::TooLarge)
        }
        Ok(Err(_)) => Err(ApiError::BrokenOff),
        Err(_) => Err(ApiError::TooSlow),
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn reply(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
