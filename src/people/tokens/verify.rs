//! Checking a token: one form, one algorithm, every claim.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;

use super::keys::{TokenKey, is_thumbprint};
use super::{Claims, LEEWAY, LIFETIME, TOKEN_TYPE, VerifiedToken};

/// The longest token that is read; ours have about 500 bytes.
const BYTES_MAX: usize = 2048;

/// Why a token is not ours, or counts no more. For the log: its sender is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejection {
    #[error("it is not a token")]
    NoToken,
    /// Another algorithm or kind, or something in the header that we never write: a key, an
    /// address where to find one.
    #[error("its header is not one of ours")]
    Header,
    #[error("it names no key of ours")]
    UnknownKey,
    #[error("its signature does not fit")]
    Signature,
    #[error("its key had been retired when it was made")]
    Retired,
    /// One is missing, is not of its kind, or is of somebody else.
    #[error("its claims are not those of our tokens")]
    Claims,
    #[error("it does not count yet, or not any more")]
    Time,
    #[error("it was revoked, or its account has ended")]
    Ended,
}

/// Everything that a header of ours has, and nothing else: no address of a key, no key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoseHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// A token of which only the form was looked at.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'t> {
    text: &'t str,
    key_id: String,
}

impl<'t> UnverifiedToken<'t> {
    /// Reads the header.
    pub(super) fn parse(text: &'t str) -> Result<Self, TokenRejection> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, _, _] = *parts.as_slice() else { return Err(TokenRejection::NoToken) };
        if text.len() > BYTES_MAX {
            return Err(TokenRejection::NoToken);
        }
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRejection::NoToken)?;
        let header: JoseHeader =
            serde_json::from_slice(&header).map_err(|_| TokenRejection::Header)?;
        if header.alg != "EdDSA" || header.typ != TOKEN_TYPE {
            return Err(TokenRejection::Header);
        }
        if !is_thumbprint(&header.kid) {
            return Err(TokenRejection::UnknownKey);
        }
        Ok(Self { text, key_id: header.kid })
    }

    /// Which key it names.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What it says, once its signature was found to be by the key that it names. It may have run out.
    pub(super) fn claims(
        &self,
        key: &TokenKey,
        issuer: &str,
        audience: &str,
    ) -> Result<Claims, TokenRejection> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Our own clock says what time it is, and our own types what a claim looks like.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        let decoding_key = key.decoding_key().map_err(|_| TokenRejection::UnknownKey)?;
        let claims: Claims = decode(self.text, &decoding_key, &validation)
            .map_err(|error| {
                let is_forged = matches!(error.kind(), ErrorKind::InvalidSignature);
                if is_forged { TokenRejection::Signature } else { TokenRejection::Claims }
            })?
            .claims;
        if claims.iss != issuer || claims.aud != audience || claims.jti.is_empty() {
            return Err(TokenRejection::Claims);
        }
        Ok(claims)
    }

    /// Checks everything else, with the key that it names.
    pub(super) fn verify(
        &self,
        key: &TokenKey,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenRejection> {
        let claims = self.claims(key, issuer, audience)?;
        let instant = |second| Timestamp::from_second(second).map_err(|_| TokenRejection::Claims);
        let (made, from, until) =
            (instant(claims.iat)?, instant(claims.nbf)?, instant(claims.exp)?);
        let lifetime = until.duration_since(made);
        if !lifetime.is_positive() || lifetime > LIFETIME {
            return Err(TokenRejection::Claims);
        }
        if !key.could_sign_at(made) {
            return Err(TokenRejection::Retired);
        }
        let is_early = |moment: Timestamp| moment.duration_since(now) > LEEWAY;
        let is_late = now.duration_since(until) >= LEEWAY;
        if is_early(made) || is_early(from) || is_late {
            return Err(TokenRejection::Time);
        }
        Ok(VerifiedToken {
            programme: claims.programme.parse().map_err(|_| TokenRejection::Claims)?,
            member: claims.sub.parse().map_err(|_| TokenRejection::Claims)?,
            token: claims.jti,
            expires_at: until,
        })
    }
}
