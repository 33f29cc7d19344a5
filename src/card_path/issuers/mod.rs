//! One adapter per issuer: verify, decode, encode. Bytes in, bytes out.
//!
//! An adapter is a pure translation. Whoever speaks HTTP hands over a [`SignedMessage`], gets values
//! of the domain or a [`RefusedMessage`], and sends back a [`EncodedResponse`] as it is; it needs to know no
//! issuer. A new issuer is a file here, one in [`wire`](crate::card_path::issuers::wire), and an arm in each `match`.

mod json;
pub mod signature;
mod stripe;
pub mod wire;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::card_path::issuers::signature::{SecretError, SignatureError};
use crate::domain::decision::authorisation::AuthorisationRequest;
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{ConnectionId, DecisionId, ProgrammeId};
use crate::domain::money::Money;
use crate::domain::purchase::issuer_decline::IssuerDeclineReason;
use crate::domain::purchase::presentment::IssuerEvent;

/// An issuer that we understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Stripe,
}

/// A name that is no issuer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an issuer we understand: use one of {names}", names = Issuer::names())]
pub struct ParseIssuerError(String);

impl FromStr for Issuer {
    type Err = ParseIssuerError;

    fn from_str(name: &str) -> Result<Self, ParseIssuerError> {
        Self::ALL
            .iter()
            .copied()
            .find(|issuer| issuer.name() == name)
            .ok_or_else(|| ParseIssuerError(name.chars().take(40).collect()))
    }
}

impl Issuer {
    /// Every issuer.
    pub const ALL: &[Self] = &[Self::Stripe];

    /// The name in a programme's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
        }
    }

    fn names() -> String {
        Self::ALL.iter().map(|issuer| issuer.name()).collect::<Vec<_>>().join(", ")
    }

    /// Says whether a signing secret is one that this issuer could have made. For configuration.
    pub fn check_secret(self, secret: &SecretString) -> Result<(), SecretError> {
        match self {
            Self::Stripe => signature::check_stripe_secret(secret),
        }
    }

    /// Checks that the message is genuine and fresh. `secrets` are all that are live.
    ///
    /// To be called before any byte of the body is read.
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

    /// Reads a question. Everything that can be refused is refused here.
    pub fn decode_authorisation(
        self,
        origin: &Origin,
        body: &[u8],
    ) -> Result<AuthorisationRequest, RefusedMessage> {
        match self {
            Self::Stripe => stripe::decode_authorisation(origin, body),
        }
    }

    /// Reads a later message. One whose kind we do not know is an event all the same.
    pub fn decode_event(self, body: &[u8]) -> Result<IssuerEvent, RefusedMessage> {
        match self {
            Self::Stripe => stripe::decode_event(body),
        }
    }

    /// Why a question was refused, by the issuer's own word; none if the answer was ours.
    pub fn refusal(self, reason: Option<&str>) -> Option<IssuerDeclineReason> {
        match self {
            Self::Stripe => stripe::refusal(reason),
        }
    }

    /// Writes the answer to a question: the same bytes for the same answer, always.
    ///
    /// `api_version` is the version of the issuer's interface that the connection is set to.
    pub fn encode(self, response: &AuthorisationResponse, api_version: &str) -> EncodedResponse {
        match self {
            Self::Stripe => stripe::encode(response, api_version),
        }
    }
}

/// A message as it came over HTTP.
#[derive(Clone, Copy)]
pub struct SignedMessage<'a> {
    /// Names in any case. A name may come more than once.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// As received, byte by byte.
    pub body: &'a [u8],
}

/// Shows no content: headers may hold credentials, the body names people.
impl fmt::Debug for SignedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedMessage")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Where a message came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
}

/// What an issuer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisationResponse {
    /// The recorded decision; none when nothing could be recorded.
    pub decision: Option<DecisionId>,
    pub verdict: Verdict,
}

/// Whether the purchase is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `amount` is what we hold; below `asked` it is a partial approval.
    Approved {
        amount: Money,
        asked: Money,
    },
    Declined {
        reason: ReasonCode,
    },
}

/// The HTTP response that the issuer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// A message that we do not take. Its text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedMessage {
    /// Nobody proved who sent it, or it is too old. Not one byte of the body was read.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is genuine, but not what the issuer documents for this address.
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
