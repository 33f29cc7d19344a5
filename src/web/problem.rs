//! Every error response of the HTTP layer, as problem details (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::card_path::committer::NotStored;
use crate::card_path::error::CardPathError;
use crate::domain::money::Money;
use crate::issuers::RefusedMessage;
use crate::operations::explain::ExplainError;
use crate::people::members::{ExistingAnswer, SeparationOfDuties, UseCaseError};
use crate::people::tokens::{TokenRejection, VerifyError};
use crate::store::StoreError;

/// Maximum number of invalid fields in one response. A corrected request gets the next ones.
pub(super) const FIELD_PROBLEMS_MAX: usize = 20;
/// Longest JSON pointer in a response, in characters; a longer one is cut.
const POINTER_CHARS_MAX: usize = 200;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    #[error("this address does not take that method")]
    MethodNotAllowed,
    #[error("the body is over 64 KiB")]
    BodyTooLarge,
    #[error("the body did not arrive within 2 seconds")]
    BodyTimedOut,
    #[error("the body broke off")]
    BodyInterrupted,
    #[error("the body is encoded; send it as it is, without a content-encoding")]
    UnsupportedEncoding,
    #[error(transparent)]
    Refused(#[from] RefusedMessage),
    #[error("the message was not stored; send it again")]
    NotStored(#[from] NotStored),
    #[error("something here broke; it has been noted")]
    Panicked,
    #[error("send a token of yours, as Bearer …")]
    NotSignedIn,
    #[error("that token is not accepted; get a new one")]
    InvalidToken(#[source] TokenRejection),
    #[error("this account may not do that: {0}")]
    NotAllowed(&'static str),
    #[error("{0}")]
    SeparationOfDuties(SeparationOfDuties),
    #[error("{field}: {what}")]
    Malformed { field: &'static str, what: String },
    #[error("the body must be JSON: send content-type: application/json")]
    UnsupportedMediaType,
    #[error("what was sent cannot be done")]
    Invalid(Vec<FieldProblem>),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    AlreadyAnswered(Box<ExistingAnswer>),
    #[error("give the request a key of its own: idempotency-key: \"…\", 1 to 200 characters")]
    MissingIdempotencyKey,
    #[error("something else was sent with this idempotency-key before; take a new one")]
    IdempotencyKeyReused,
    #[error("a request with this idempotency-key is being answered; send it again in a moment")]
    RequestInProgress,
    #[error("it could not be done just now; send it again")]
    Unavailable(#[source] StoreError),
    #[error("it could not be done just now; send it again")]
    ResponseTimedOut,
    #[error("this account has done all that one account does in a day; it can go on tomorrow")]
    DailyLimitReached,
    #[error("too much is being asked at once; send it again in a moment")]
    Overloaded,
    #[error("something here broke; it has been noted")]
    Internal(#[source] Box<UseCaseError>),
    #[error("something here broke; it has been noted")]
    ExplainFailed(#[source] Box<ExplainError>),
}

/// One invalid field of a request body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) to the field, cut after 200 characters.
    #[schema(examples("/amount"), max_length = 200)]
    pub pointer: String,
    /// What is wrong with it, and what to do.
    pub detail: String,
}

impl FieldProblem {
    /// A problem with `field`, which is a name or a JSON pointer.
    pub fn of(field: &str, detail: impl Into<String>) -> Self {
        let gap = if field.is_empty() || field.starts_with('/') { "" } else { "/" };
        Self { pointer: format!("{gap}{field}"), detail: detail.into() }
    }
}

/// Keeps the first problems and cuts long pointers, so that a response does not echo a large
/// request.
fn truncate_problems(mut problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    problems.truncate(FIELD_PROBLEMS_MAX);
    for FieldProblem { pointer, .. } in &mut problems {
        if let Some((end, _)) = pointer.char_indices().nth(POINTER_CHARS_MAX) {
            pointer.truncate(end);
        }
    }
    problems
}

/// An error response (problem details, RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Identifies the kind of problem.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// What happened, in words.
    detail: String,
    /// The wrong header, parameter or other part of the request, if it is a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// What can be done instead: the last path segment of another request about the same resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("pass-on"))]
    instead: Option<&'static str>,
    /// The invalid fields of the body, if any: the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    errors: Vec<FieldProblem>,
    /// The existing answer, if the request contradicts one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stands: Option<StandingBody>,
}

/// An existing answer. Fields without a value are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StandingBody {
    /// The member who answered; left out when the programme answered by itself after a deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
    #[schema(format = "date-time")]
    at: String,
    /// `yes`, `not_this_time`, `kept`.
    said: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<String>,
    /// In minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    up_to: Option<i64>,
    /// What the answer covers, such as `category:phone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    ends_at: Option<String>,
    /// The parts of a list that were agreed, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    /// Where to turn next, outside of the programme.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_step: Option<String>,
}

impl From<ExistingAnswer> for StandingBody {
    fn from(answer: ExistingAnswer) -> Self {
        Self {
            by: answer.by.map(|by| by.to_string()),
            at: answer.at.to_string(),
            said: answer.said,
            reason: answer.reason,
            words: answer.words,
            up_to: answer.up_to.map(Money::minor),
            scope: answer.scope,
            ends_at: answer.ends_at.map(|at| at.to_string()),
            parts: answer.parts,
            next_step: answer.next_step,
        }
    }
}

impl From<UseCaseError> for ApiError {
    fn from(error: UseCaseError) -> Self {
        match error {
            UseCaseError::NotFound(what) => Self::NotFound(what),
            UseCaseError::NotAllowed(what) => Self::NotAllowed(what),
            UseCaseError::SeparationOfDuties(why) => Self::SeparationOfDuties(why),
            UseCaseError::Invalid { field, what } => {
                Self::Invalid(vec![FieldProblem::of(field, what)])
            }
            UseCaseError::Conflict(what) => Self::Conflict(what),
            UseCaseError::AlreadyAnswered(answer) => Self::AlreadyAnswered(answer),
            UseCaseError::Store(error) if error.is_transient() || error.is_outage() => {
                Self::Unavailable(error)
            }
            UseCaseError::Store(_) | UseCaseError::Directory(_) | UseCaseError::Ledger(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        UseCaseError::from(error).into()
    }
}

impl From<CardPathError> for ApiError {
    fn from(error: CardPathError) -> Self {
        match error {
            CardPathError::Store(error) => UseCaseError::from(error).into(),
            CardPathError::Directory(error) => UseCaseError::from(error).into(),
            CardPathError::Ledger(error) => UseCaseError::from(error).into(),
            CardPathError::BudgetNotFound(_) => Self::NotFound("person"),
        }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused(why) => Self::InvalidToken(why),
            VerifyError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// The label under which refusals are counted: one of a fixed set.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "wrong_method",
            Self::BodyTooLarge => "too_large",
            Self::BodyTimedOut => "too_slow",
            Self::BodyInterrupted => "broken_off",
            Self::UnsupportedEncoding => "encoded",
            Self::Refused(RefusedMessage::Signature(error)) => error.word(),
            Self::Refused(RefusedMessage::Malformed { .. }) | Self::Malformed { .. } => "malformed",
            Self::NotStored(_) => "not_stored",
            Self::Panicked => "panicked",
            Self::NotSignedIn => "not_signed_in",
            Self::InvalidToken(_) => "bad_token",
            Self::NotAllowed(_) => "not_allowed",
            Self::SeparationOfDuties(_) => "barred",
            Self::UnsupportedMediaType => "wrong_media",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::AlreadyAnswered(_) => "answered",
            Self::MissingIdempotencyKey => "no_key",
            Self::IdempotencyKeyReused => "other_content",
            Self::RequestInProgress => "still_running",
            Self::DailyLimitReached => "enough",
            Self::Unavailable(_) | Self::ResponseTimedOut | Self::Overloaded => "try_later",
            Self::Internal(_) | Self::ExplainFailed(_) => "broken",
        }
    }

    /// Maps an error to its status. This is the only such place, with one arm per variant and no
    /// wildcard, so that a new variant cannot be forgotten.
    const fn status_type_title(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "/problems/not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "/problems/wrong-method", "Wrong method")
            }
            Self::BodyTooLarge => (StatusCode::BAD_REQUEST, "/problems/too-large", "Too large"),
            Self::BodyTimedOut => (StatusCode::BAD_REQUEST, "/problems/too-slow", "Too slow"),
            Self::BodyInterrupted => {
                (StatusCode::BAD_REQUEST, "/problems/broken-off", "Broken off")
            }
            Self::UnsupportedEncoding => {
                (StatusCode::BAD_REQUEST, "/problems/encoded", "Encoded body")
            }
            Self::Refused(RefusedMessage::Signature(_)) => {
                (StatusCode::UNAUTHORIZED, "/problems/signature", "Not known to be genuine")
            }
            Self::Refused(RefusedMessage::Malformed { .. }) | Self::Malformed { .. } => {
                (StatusCode::BAD_REQUEST, "/problems/malformed", "Not as documented")
            }
            Self::NotStored(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/not-stored", "Send it again")
            }
            Self::Panicked | Self::Internal(_) | Self::ExplainFailed(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "Internal error")
            }
            Self::NotSignedIn | Self::InvalidToken(_) => {
                (StatusCode::UNAUTHORIZED, "/problems/not-signed-in", "Not signed in")
            }
            Self::NotAllowed(_) => (StatusCode::FORBIDDEN, "/problems/not-allowed", "Not allowed"),
            Self::SeparationOfDuties(SeparationOfDuties::OverYourLimit) => {
                (StatusCode::FORBIDDEN, "/problems/over-your-limit", "Over your limit")
            }
            Self::SeparationOfDuties(SeparationOfDuties::ConflictOfInterest) => {
                (StatusCode::FORBIDDEN, "/problems/conflict-of-interest", "Somebody else must")
            }
            Self::SeparationOfDuties(SeparationOfDuties::OwnAsk) => {
                (StatusCode::FORBIDDEN, "/problems/own-question", "Somebody else must")
            }
            Self::SeparationOfDuties(SeparationOfDuties::OwnDecision) => {
                (StatusCode::FORBIDDEN, "/problems/own-decision", "Somebody else must")
            }
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "/problems/wrong-media", "Not JSON")
            }
            Self::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "Cannot be done so")
            }
            Self::Conflict(_) => (StatusCode::CONFLICT, "/problems/conflict", "Has changed"),
            Self::AlreadyAnswered(_) => (StatusCode::CONFLICT, "/problems/answered", "Is answered"),
            Self::MissingIdempotencyKey => {
                (StatusCode::BAD_REQUEST, "/problems/no-key", "A key is missing")
            }
            Self::IdempotencyKeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/other-content", "Another request")
            }
            Self::RequestInProgress => {
                (StatusCode::CONFLICT, "/problems/still-running", "Still being answered")
            }
            Self::DailyLimitReached => {
                (StatusCode::TOO_MANY_REQUESTS, "/problems/enough", "Enough for a day")
            }
            Self::Unavailable(_) | Self::ResponseTimedOut | Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/try-later", "Send it again")
            }
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Refused(RefusedMessage::Malformed { field, .. }) => Some(field.clone()),
            Self::Malformed { field, .. } => Some((*field).to_owned()),
            Self::BodyTooLarge | Self::BodyTimedOut | Self::BodyInterrupted => {
                Some("body".to_owned())
            }
            Self::UnsupportedEncoding => Some("content-encoding".to_owned()),
            Self::UnsupportedMediaType => Some("content-type".to_owned()),
            Self::MissingIdempotencyKey | Self::IdempotencyKeyReused | Self::RequestInProgress => {
                Some("idempotency-key".to_owned())
            }
            Self::NotSignedIn | Self::InvalidToken(_) => Some("authorization".to_owned()),
            Self::Refused(RefusedMessage::Signature(_))
            | Self::NotFound(_)
            | Self::MethodNotAllowed
            | Self::NotStored(_)
            | Self::Panicked
            | Self::NotAllowed(_)
            | Self::SeparationOfDuties(_)
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::AlreadyAnswered(_)
            | Self::DailyLimitReached
            | Self::Unavailable(_)
            | Self::ResponseTimedOut
            | Self::Overloaded
            | Self::Internal(_)
            | Self::ExplainFailed(_) => None,
        }
    }

    /// What the account can do instead: a path segment beside the same address.
    const fn instead(&self) -> Option<&'static str> {
        if matches!(self, Self::SeparationOfDuties(SeparationOfDuties::OverYourLimit)) {
            Some("pass-on")
        } else {
            None
        }
    }

    /// The header that tells an HTTP client what to do next, if there is one.
    const fn extra_header(&self) -> Option<(header::HeaderName, &'static str)> {
        match self {
            Self::NotSignedIn => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"sayso\"")),
            Self::InvalidToken(_) => {
                Some((header::WWW_AUTHENTICATE, "Bearer realm=\"sayso\", error=\"invalid_token\""))
            }
            Self::RequestInProgress
            | Self::Unavailable(_)
            | Self::ResponseTimedOut
            | Self::Overloaded => Some((header::RETRY_AFTER, "1")),
            Self::DailyLimitReached => Some((header::RETRY_AFTER, "3600")),
            Self::NotFound(_)
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::BodyTimedOut
            | Self::BodyInterrupted
            | Self::UnsupportedEncoding
            | Self::Refused(_)
            | Self::NotStored(_)
            | Self::Panicked
            | Self::NotAllowed(_)
            | Self::SeparationOfDuties(_)
            | Self::Malformed { .. }
            | Self::UnsupportedMediaType
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::AlreadyAnswered(_)
            | Self::MissingIdempotencyKey
            | Self::IdempotencyKeyReused
            | Self::Internal(_)
            | Self::ExplainFailed(_) => None,
        }
    }

    /// Logs the cause for the operator, because the client does not get it.
    fn log(&self) {
        let cause = std::error::Error::source(self);
        if matches!(self, Self::Internal(_) | Self::ExplainFailed(_)) {
            tracing::error!(cause, "a request failed");
        } else if matches!(self, Self::Unavailable(_) | Self::ResponseTimedOut | Self::Overloaded) {
            tracing::warn!(cause, "a request must wait");
        } else if matches!(self, Self::InvalidToken(_)) {
            tracing::debug!(cause, "a token was refused");
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let (status, kind, title) = self.status_type_title();
        let (field, detail, extra_header) = (self.field(), self.to_string(), self.extra_header());
        let instead = self.instead();
        let stands = if let Self::AlreadyAnswered(answer) = &self {
            Some(StandingBody::from(ExistingAnswer::clone(answer)))
        } else {
            None
        };
        let errors =
            if let Self::Invalid(errors) = self { truncate_problems(errors) } else { Vec::new() };
        let status_code = status.as_u16();
        let body = Problem {
            r#type: kind,
            title,
            status: status_code,
            detail,
            field,
            instead,
            errors,
            stands,
        };
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response =
            (status, [(header::CONTENT_TYPE, content_type)], Json(body)).into_response();
        if let Some((name, value)) = extra_header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
