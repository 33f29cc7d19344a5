//! Every way in which a request can fail, as the caller sees it (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::committer::NotStored;
use crate::issuers::RefusedMessage;

/// Why a request got no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    #[error("this address does not take that method")]
    WrongMethod,
    #[error("the body is over 64 KiB")]
    TooLarge,
    #[error("the body did not arrive within 2 seconds")]
    TooSlow,
    #[error("the body broke off")]
    BrokenOff,
    #[error("the body is encoded; send it as it is, without a content-encoding")]
    Encoded,
    #[error(transparent)]
    Refused(#[from] RefusedMessage),
    #[error("the message was not stored; send it again")]
    NotStored(#[from] NotStored),
    #[error("something here broke; it has been noted")]
    Panicked,
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl ApiError {
    /// The word by which refusals are counted: one of a few that are known in advance.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::WrongMethod => "wrong_method",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::BrokenOff => "broken_off",
            Self::Encoded => "encoded",
            Self::Refused(RefusedMessage::Signature(error)) => error.word(),
            Self::Refused(RefusedMessage::Malformed { .. }) => "malformed",
            Self::NotStored(_) => "not_stored",
            Self::Panicked => "panicked",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // The only place where an error becomes a status: one line per variant, no wildcard.
        let (status, kind, title) = match &self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "/problems/not-found", "Not found"),
            Self::WrongMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, "/problems/wrong-method", "Wrong method")
            }
            Self::TooLarge => (StatusCode::BAD_REQUEST, "/problems/too-large", "Too large"),
            Self::TooSlow => (StatusCode::BAD_REQUEST, "/problems/too-slow", "Too slow"),
            Self::BrokenOff => (StatusCode::BAD_REQUEST, "/problems/broken-off", "Broken off"),
            Self::Encoded => (StatusCode::BAD_REQUEST, "/problems/encoded", "Encoded body"),
            Self::Refused(RefusedMessage::Signature(_)) => {
                (StatusCode::UNAUTHORIZED, "/problems/signature", "Not known to be genuine")
            }
            Self::Refused(RefusedMessage::Malformed { .. }) => {
                (StatusCode::BAD_REQUEST, "/problems/malformed", "Not as documented")
            }
            Self::NotStored(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/not-stored", "Send it again")
            }
            Self::Panicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "Internal error")
            }
        };
        let field = match &self {
            Self::Refused(RefusedMessage::Malformed { field, .. }) => Some(field.clone()),
            Self::TooLarge | Self::TooSlow | Self::BrokenOff => Some("body".to_owned()),
            Self::Encoded => Some("content-encoding".to_owned()),
            Self::Refused(RefusedMessage::Signature(_))
            | Self::NotFound(_)
            | Self::WrongMethod
            | Self::NotStored(_)
            | Self::Panicked => None,
        };
        let detail = self.to_string();
        let body = Problem { r#type: kind, title, status: status.as_u16(), detail, field };
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, content_type)], Json(body)).into_response()
    }
}
