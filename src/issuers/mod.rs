//! One adapter per issuer: verify, decode, encode. Bytes in, bytes out.
//!
//! An adapter is a pure translation. The HTTP handler passes a [`SignedMessage`], gets domain
//! values or a [`RefusedMessage`], and sends back an [`EncodedResponse`] unchanged, so it depends
//! on no issuer. A new issuer is a file here, one in [`wire`], a variant of [`Issuer`], and an arm
//! in each `match`.

mod json;
pub mod signature;
mod stripe;
pub mod wire;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::decision::authorisation::AuthorisationRequest;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{ConnectionId, DecisionId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::purchase::issuer_decline::IssuerDeclineReason;
use crate::domain::purchase::presentment::IssuerEvent;
use crate::domain::stored_enum::stored_enum;
use crate::issuers::signature::{SecretError, SignatureError};

stored_enum!(
    /// A supported issuer, with its name in a programme's file.
    Issuer {
        Stripe => "stripe",
    }
);

/// A name that no supported issuer has, cut to 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an issuer we understand: use one of {names}", names = Issuer::names())]
pub struct ParseIssuerError(String);

impl FromStr for Issuer {
    type Err = ParseIssuerError;

    fn from_str(name: &str) -> Result<Self, ParseIssuerError> {
        Self::from_word(name).ok_or_else(|| ParseIssuerError(name.chars().take(40).collect()))
    }
}

impl Issuer {
    fn names() -> String {
        Self::ALL.iter().map(|issuer| issuer.word()).collect::<Vec<_>>().join(", ")
    }

    /// Checks that `secret` has the format of this issuer's signing secrets, for configuration.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with its format.
    pub fn check_secret(self, secret: &SecretString) -> Result<(), SecretError> {
        match self {
            Self::Stripe => signature::check_stripe_secret(secret),
        }
    }

    /// Checks that one of the live `secrets` signed the message, at most 5 minutes from `now`. Call
    /// it before the body is parsed.
    ///
    /// # Errors
    ///
    /// [`RefusedMessage::Signature`].
    pub fn verify(
        self,
        secrets: &[SecretString],
        message: &SignedMessage<'_>,
        now: Timestamp,
    ) -> Result<(), RefusedMessage> {
        match self {
            Self::Stripe => signature::verify_stripe(secrets, message, now)?,
        }
        Ok(())
    }

    /// Decodes an authorisation request. Every check of its content happens here.
    ///
    /// # Errors
    ///
    /// [`RefusedMessage::Malformed`].
    pub fn decode_authorisation(
        self,
        origin: &Origin,
        body: &[u8],
    ) -> Result<AuthorisationRequest, RefusedMessage> {
        match self {
            Self::Stripe => stripe::decode_authorisation(origin, body),
        }
    }

    /// Decodes an issuer event. An unknown kind or unreadable content is not an error, because
    /// every event is stored.
    ///
    /// # Errors
    ///
    /// [`RefusedMessage::Malformed`] if the envelope cannot be read, or it is an authorisation
    /// request.
    pub fn decode_event(self, body: &[u8]) -> Result<IssuerEvent, RefusedMessage> {
        match self {
            Self::Stripe => stripe::decode_event(body),
        }
    }

    /// Maps the issuer's reason for a decline; `None` if the outcome was our own response.
    pub fn decline_reason(self, reason: Option<&str>) -> Option<IssuerDeclineReason> {
        match self {
            Self::Stripe => stripe::decline_reason(reason),
        }
    }

    /// Encodes a response. Equal responses give equal bytes.
    ///
    /// `api_version` is the version of the issuer's API that the connection is configured for.
    pub fn encode(self, response: &AuthorisationResponse, api_version: &str) -> EncodedResponse {
        match self {
            Self::Stripe => stripe::encode(response, api_version),
        }
    }
}

/// A message as received over HTTP.
#[derive(Clone, Copy)]
pub struct SignedMessage<'a> {
    /// Names in any case; a name may occur more than once.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The raw bytes as received.
    pub body: &'a [u8],
}

/// Shows only sizes, because headers may hold credentials and the body personal data.
impl fmt::Debug for SignedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedMessage")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// The connection that received a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
}

/// The response to an authorisation request, in our terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisationResponse {
    /// The recorded decision; `None` if none could be recorded, or on a conflict.
    pub decision: Option<DecisionId>,
    pub verdict: Verdict,
}

/// Whether the request is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `amount` is approved; if it is below `asked`, the approval is partial.
    Approved {
        amount: Money,
        asked: Money,
    },
    Declined {
        reason: ReasonCode,
    },
}

/// The HTTP response to the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedResponse {
    pub status: u16,
    /// Names in any case. The handler leaves out a header that HTTP does not allow.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Why a message is refused. The error text contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedMessage {
    /// No valid signature, or a time outside the tolerance. The body was not parsed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The message is genuine, but not as the issuer documents it for this address.
    #[error(
        "the issuer's message is not as documented at {field}: {what}; check that the issuer sends \
         it to the right address of this connection, in the API version that is configured"
    )]
    Malformed { field: String, what: String },
}

impl RefusedMessage {
    fn malformed(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed { field: field.into(), what: what.into() }
    }
}
