//! Every way in which a request can fail, as the caller sees it (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::card_path::committer::NotStored;
use crate::card_path::issuers::RefusedMessage;
use crate::domain::money::Money;
use crate::operations::explain::ExplainError;
use crate::people::members::{ActError, Barred, StandingAnswer};
use crate::people::tokens::{RefusedToken, VerifyError};
use crate::store::StoreError;

/// How many fields one answer names as wrong. Whoever mends them hears of the next.
pub(super) const PROBLEMS_MOST: usize = 20;
/// The longest pointer that is told; a longer one is cut.
const POINTER_CHARS_MAX: usize = 200;

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
    #[error("send a token of yours, as Bearer …")]
    NotSignedIn,
    #[error("that token is not accepted; get a new one")]
    BadToken(#[source] RefusedToken),
    #[error("this account may not do that: {0}")]
    NotAllowed(&'static str),
    #[error("{0}")]
    Barred(Barred),
    #[error("{field}: {what}")]
    Malformed { field: &'static str, what: String },
    #[error("the body must be JSON: send content-type: application/json")]
    WrongMedia,
    #[error("what was sent cannot be done")]
    Invalid(Vec<FieldProblem>),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Answered(Box<StandingAnswer>),
    #[error("give the request a key of its own: idempotency-key: \"…\", 1 to 200 characters")]
    NoKey,
    #[error("something else was sent with this idempotency-key before; take a new one")]
    OtherContent,
    #[error("a request with this idempotency-key is being answered; send it again in a moment")]
    StillRunning,
    #[error("it could not be done just now; send it again")]
    TryLater(#[source] StoreError),
    #[error("it could not be done just now; send it again")]
    TooLate,
    #[error("this account has done all that one account does in a day; it can go on tomorrow")]
    Enough,
    #[error("too much is being asked at once; send it again in a moment")]
    TooMany,
    #[error("something here broke; it has been noted")]
    Broken(#[source] Box<ActError>),
    #[error("something here broke; it has been noted")]
    Unreadable(#[source] Box<ExplainError>),
}

/// One field of what was sent that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is in the body, as a JSON pointer (RFC 6901), cut after 200 characters.
    #[schema(examples("/amount"), max_length = 200)]
    pub pointer: String,
    /// What is wrong with it and what to do.
    pub detail: String,
}

impl FieldProblem {
    /// A problem with the field called `field`.
    pub fn of(field: &str, detail: impl Into<String>) -> Self {
        let gap = if field.is_empty() || field.starts_with('/') { "" } else { "/" };
        Self { pointer: format!("{gap}{field}"), detail: detail.into() }
    }
}

/// The first few problems, with pointers of a fair length: an answer is no echo of what was sent.
fn told_of(mut problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    problems.truncate(PROBLEMS_MOST);
    for FieldProblem { pointer, .. } in &mut problems {
        if let Some((end, _)) = pointer.char_indices().nth(POINTER_CHARS_MAX) {
            pointer.truncate(end);
        }
    }
    problems
}

/// Why a request got no answer of its own (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of problem it is; the same for the same kind.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// What happened, in words.
    detail: String,
    /// The header or parameter that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// What can be done instead: the last part of the address of the same thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("pass-on"))]
    instead: Option<&'static str>,
    /// The fields of the body that are wrong, where there are any: the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    errors: Vec<FieldProblem>,
    /// The answer that stands, for whoever answers otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stands: Option<StandingBody>,
}

/// An answer that stands. What it has none of is left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StandingBody {
    /// Left out when a clock of the programme answered.
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
    /// What it is for, such as `category:phone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    ends_at: Option<String>,
    /// What of a list was agreed, if not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    /// Where to go next, outside of the programme.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_step: Option<String>,
}

impl From<StandingAnswer> for StandingBody {
    fn from(answer: StandingAnswer) -> Self {
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

impl From<ActError> for ApiError {
    fn from(error: ActError) -> Self {
        match error {
            ActError::NotThere(what) => Self::NotFound(what),
            ActError::NotAllowed(what) => Self::NotAllowed(what),
            ActError::Barred(why) => Self::Barred(why),
            ActError::Invalid { field, what } => Self::Invalid(vec![FieldProblem::of(field, what)]),
            ActError::Conflict(what) => Self::Conflict(what),
            ActError::Answered(answer) => Self::Answered(answer),
            ActError::Store(error) if error.is_transient() || error.is_outage() => {
                Self::TryLater(error)
            }
            ActError::Store(_) | ActError::Directory(_) | ActError::Ledger(_) => {
                Self::Broken(Box::new(error))
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ActError::from(error).into()
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused(why) => Self::BadToken(why),
            VerifyError::Store(error) => error.into(),
        }
    }
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
            Self::Refused(RefusedMessage::Malformed { .. }) | Self::Malformed { .. } => "malformed",
            Self::NotStored(_) => "not_stored",
            Self::Panicked => "panicked",
            Self::NotSignedIn => "not_signed_in",
            Self::BadToken(_) => "bad_token",
            Self::NotAllowed(_) => "not_allowed",
            Self::Barred(_) => "barred",
            Self::WrongMedia => "wrong_media",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::Answered(_) => "answered",
            Self::NoKey => "no_key",
            Self::OtherContent => "other_content",
            Self::StillRunning => "still_running",
            Self::Enough => "enough",
            Self::TryLater(_) | Self::TooLate | Self::TooMany => "try_later",
            Self::Broken(_) | Self::Unreadable(_) => "broken",
        }
    }

    /// The only place where an error becomes a status: one line per variant, no wildcard.
    const fn told(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
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
            Self::Refused(RefusedMessage::Malformed { .. }) | Self::Malformed { .. } => {
                (StatusCode::BAD_REQUEST, "/problems/malformed", "Not as documented")
            }
            Self::NotStored(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/not-stored", "Send it again")
            }
            Self::Panicked | Self::Broken(_) | Self::Unreadable(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "Internal error")
            }
            Self::NotSignedIn | Self::BadToken(_) => {
                (StatusCode::UNAUTHORIZED, "/problems/not-signed-in", "Not signed in")
            }
            Self::NotAllowed(_) => (StatusCode::FORBIDDEN, "/problems/not-allowed", "Not allowed"),
            Self::Barred(Barred::OverYourLimit) => {
                (StatusCode::FORBIDDEN, "/problems/over-your-limit", "Over your limit")
            }
            Self::Barred(Barred::ConflictOfInterest) => {
                (StatusCode::FORBIDDEN, "/problems/conflict-of-interest", "Somebody else must")
            }
            Self::Barred(Barred::OwnQuestion) => {
                (StatusCode::FORBIDDEN, "/problems/own-question", "Somebody else must")
            }
            Self::Barred(Barred::OwnDecision) => {
                (StatusCode::FORBIDDEN, "/problems/own-decision", "Somebody else must")
            }
            Self::WrongMedia => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "/problems/wrong-media", "Not JSON")
            }
            Self::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "Cannot be done so")
            }
            Self::Conflict(_) => (StatusCode::CONFLICT, "/problems/conflict", "Has changed"),
            Self::Answered(_) => (StatusCode::CONFLICT, "/problems/answered", "Is answered"),
            Self::NoKey => (StatusCode::BAD_REQUEST, "/problems/no-key", "A key is missing"),
            Self::OtherContent => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/other-content", "Another request")
            }
            Self::StillRunning => {
                (StatusCode::CONFLICT, "/problems/still-running", "Still being answered")
            }
            Self::Enough => (StatusCode::TOO_MANY_REQUESTS, "/problems/enough", "Enough for a day"),
            Self::TryLater(_) | Self::TooLate | Self::TooMany => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/try-later", "Send it again")
            }
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Refused(RefusedMessage::Malformed { field, .. }) => Some(field.clone()),
            Self::Malformed { field, .. } => Some((*field).to_owned()),
            Self::TooLarge | Self::TooSlow | Self::BrokenOff => Some("body".to_owned()),
            Self::Encoded => Some("content-encoding".to_owned()),
            Self::WrongMedia => Some("content-type".to_owned()),
            Self::NoKey | Self::OtherContent | Self::StillRunning => {
                Some("idempotency-key".to_owned())
            }
            Self::NotSignedIn | Self::BadToken(_) => Some("authorization".to_owned()),
            Self::Refused(RefusedMessage::Signature(_))
            | Self::NotFound(_)
            | Self::WrongMethod
            | Self::NotStored(_)
            | Self::Panicked
            | Self::NotAllowed(_)
            | Self::Barred(_)
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::Answered(_)
            | Self::Enough
            | Self::TryLater(_)
            | Self::TooLate
            | Self::TooMany
            | Self::Broken(_)
            | Self::Unreadable(_) => None,
        }
    }

    /// What the account can do instead, beside the same address.
    const fn instead(&self) -> Option<&'static str> {
        if matches!(self, Self::Barred(Barred::OverYourLimit)) { Some("pass-on") } else { None }
    }

    /// What an HTTP client may do about it, where a header says so.
    const fn remedy(&self) -> Option<(header::HeaderName, &'static str)> {
        match self {
            Self::NotSignedIn => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"sayso\"")),
            Self::BadToken(_) => {
                Some((header::WWW_AUTHENTICATE, "Bearer realm=\"sayso\", error=\"invalid_token\""))
            }
            Self::StillRunning | Self::TryLater(_) | Self::TooLate | Self::TooMany => {
                Some((header::RETRY_AFTER, "1"))
            }
            Self::Enough => Some((header::RETRY_AFTER, "3600")),
            Self::NotFound(_)
            | Self::WrongMethod
            | Self::TooLarge
            | Self::TooSlow
            | Self::BrokenOff
            | Self::Encoded
            | Self::Refused(_)
            | Self::NotStored(_)
            | Self::Panicked
            | Self::NotAllowed(_)
            | Self::Barred(_)
            | Self::Malformed { .. }
            | Self::WrongMedia
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::Answered(_)
            | Self::NoKey
            | Self::OtherContent
            | Self::Broken(_)
            | Self::Unreadable(_) => None,
        }
    }

    /// The sender is told no cause; whoever runs this is.
    fn note(&self) {
        let cause = std::error::Error::source(self);
        if matches!(self, Self::Broken(_) | Self::Unreadable(_)) {
            tracing::error!(cause, "a request failed");
        } else if matches!(self, Self::TryLater(_) | Self::TooLate | Self::TooMany) {
            tracing::warn!(cause, "a request must wait");
        } else if matches!(self, Self::BadToken(_)) {
            tracing::debug!(cause, "a token was refused");
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.note();
        let (status, kind, title) = self.told();
        let (field, detail, remedy) = (self.field(), self.to_string(), self.remedy());
        let instead = self.instead();
        let stands = if let Self::Answered(answer) = &self {
            Some(StandingBody::from(StandingAnswer::clone(answer)))
        } else {
            None
        };
        let errors = if let Self::Invalid(errors) = self { told_of(errors) } else { Vec::new() };
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
        if let Some((name, value)) = remedy {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
